/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-session.h"

#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char *root, *sys, *mesa;

static void
make_card (const char *name, const char *driver)
{
  g_autofree char *device = g_build_filename (sys, "class/drm", name, "device", NULL);
  g_autofree char *link = g_build_filename (device, "driver", NULL);
  g_autofree char *target = g_build_filename ("../../../../bus/pci/drivers", driver, NULL);

  g_assert_cmpint (g_mkdir_with_parents (device, 0755), ==, 0);
  unlink (link);
  g_assert_cmpint (symlink (target, link), ==, 0);
}

static void
make_driver (const char *name)
{
  g_autofree char *path = g_build_filename (mesa, name, NULL);

  g_assert_cmpint (g_mkdir_with_parents (mesa, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
}

static void
test_gpu (void)
{
  g_assert_false (floe_session_has_gpu (sys, mesa));
  /* A screen of a virtual machine has a render node as well, and no hardware behind it. */
  make_card ("card0", "virtio-pci");
  make_card ("card1", "simple-framebuffer");
  make_driver ("virtio_gpu_dri.so");
  g_assert_false (floe_session_has_gpu (sys, mesa));
  /* Connectors are no cards: they have no driver. */
  make_card ("renderD128", "i915");
  g_assert_false (floe_session_has_gpu (sys, mesa));
  make_card ("card2", "i915x");
  g_assert_false (floe_session_has_gpu (sys, mesa));
  make_card ("card2", "i915");
  g_assert_true (floe_session_has_gpu (sys, mesa));
}

static void
test_no_mesa (void)
{
  g_autofree char *path = g_build_filename (mesa, "virtio_gpu_dri.so", NULL);

  make_card ("card2", "amdgpu");
  unlink (path);
  g_assert_false (floe_session_has_gpu (sys, mesa));
  make_driver ("README");
  g_assert_false (floe_session_has_gpu (sys, mesa));
  make_driver ("radeonsi_dri.so");
  g_assert_true (floe_session_has_gpu (sys, mesa));
}

/* NAME as systemd gives it: "@" for an abstract one. */
static void
check_ready (const char *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  char text[64];

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpuint (strlen (name), <, sizeof address.sun_path);
  memcpy (address.sun_path, name, strlen (name));
  if (name[0] == '@')
    address.sun_path[0] = 0;
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, (socklen_t)(offsetof (struct sockaddr_un, sun_path) + strlen (name))), ==, 0);
  g_setenv ("NOTIFY_SOCKET", name, TRUE);
  floe_session_ready ();
  g_assert_cmpint (recv (fd, text, sizeof text, 0), ==, 7);
  g_assert_cmpint (memcmp (text, "READY=1", 7), ==, 0);
  close (fd);
}

static void
test_ready (void)
{
  g_autofree char *path = g_build_filename (root, "notify", NULL);
  g_autofree char *abstract = g_strdup_printf ("@floe-session-test-%d", (int)getpid ());
  g_autofree char *longer = g_strnfill (200, '/');
  const char *nobody[] = { "", "relative", longer, path };

  check_ready (path);
  check_ready (abstract);
  unlink (path);
  for (size_t i = 0; i < G_N_ELEMENTS (nobody); i++) {
    g_setenv ("NOTIFY_SOCKET", nobody[i], TRUE);
    floe_session_ready ();
  }
  g_unsetenv ("NOTIFY_SOCKET");
  floe_session_ready ();
}

int
main (int argc, char **argv)
{
  g_autofree char *clean = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  root = g_dir_make_tmp ("floe-session-XXXXXX", NULL);
  sys = g_build_filename (root, "sys", NULL);
  mesa = g_build_filename (root, "mesa", NULL);
  g_test_add_func ("/session/gpu", test_gpu);
  g_test_add_func ("/session/no-mesa", test_no_mesa);
  g_test_add_func ("/session/ready", test_ready);
  status = g_test_run ();
  clean = g_strdup_printf ("rm -r '%s'", root);
  if (g_spawn_command_line_sync (clean, NULL, NULL, NULL, NULL))
    g_free (root);
  g_free (sys);
  g_free (mesa);
  return status;
}
