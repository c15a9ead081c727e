/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-image-commands.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

/* What builds is scripts: all that they do is done by mmdebstrap, mke2fs, mtools and the like. They are installed
 * beside our other helpers, at ../libexec/floe of this program's directory, in the build tree too. */
static char *
find_helper (const char *name, GError **error)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", error);
  g_autofree char *directory = NULL, *helper = NULL;

  if (self == NULL)
    return NULL;
  directory = g_path_get_dirname (self);
  helper = g_build_filename (directory, "..", "libexec", "floe", name, NULL);
  if (!g_file_test (helper, G_FILE_TEST_IS_EXECUTABLE)) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s is not there: the installation of floe-image is not complete", helper);
    return NULL;
  }
  return g_steal_pointer (&helper);
}

/* mmdebstrap mounts /proc, /sys and more in the tree that it makes. In a mount namespace of the builder's own these are gone
 * with it, however it ends; otherwise one that was killed leaves them there, and who then removes the half-made tree
 * removes through them. The host's own mounts and unmounts still come in. Who may not have a namespace may not mount either. */
static gboolean
hide_mounts (GError **error)
{
  if (unshare (CLONE_NEWNS) < 0)
    return errno == EPERM || floe_error_set_errno (error, errno, "make a mount namespace");
  if (mount (NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
    return floe_error_set_errno (error, errno, "keep mounts to the mount namespace");
  return TRUE;
}

static gboolean
run_helper (const char *name, int argc, char **argv, GError **error)
{
  g_autofree char *helper = find_helper (name, error);
  g_autofree char **arguments = g_new0 (char *, (gsize) argc + 1);

  if (helper == NULL || !hide_mounts (error))
    return FALSE;
  arguments[0] = helper;
  for (int i = 1; i < argc; i++)
    arguments[i] = argv[i];
  execv (helper, arguments);
  return floe_error_set_errno (error, errno, "run %s", helper);
}

static gboolean
run_build_desktop (int argc, char **argv, GError **error)
{
  return run_helper ("build-desktop", argc, argv, error);
}

static gboolean
run_build_filter (int argc, char **argv, GError **error)
{
  return run_helper ("build-filter", argc, argv, error);
}

static gboolean
run_build_appliance (int argc, char **argv, GError **error)
{
  return run_helper ("build-appliance", argc, argv, error);
}

const FloeCommand floe_image_build_desktop_command = {
  "build-desktop",
  "[OPTION...] OUTPUT.raw",
  "make a Debian desktop that boots by UEFI from its own disk (--help lists the options)",
  run_build_desktop,
};

const FloeCommand floe_image_build_filter_command = {
  "build-filter",
  "[OPTION...] OUTPUT.raw",
  "make a small Linux that filters other machines' network (--help lists the options)",
  run_build_filter,
};

const FloeCommand floe_image_build_appliance_command = {
  "build-appliance",
  "[OPTION...] --output FILE",
  "make a disk image that a PC boots straight into Floe (--help lists the options)",
  run_build_appliance,
};
