/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "image-builder/floe-foreign.h"
#include "image-builder/floe-image-commands.h"
#include "image-builder/floe-ova.h"
#include "server-sync/image/floe-chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD 4096
#define OUTPUT_MAX (4u << 20)
/* Exit statuses of `qemu-img check`: space is wasted, nothing else; the format has no such check. */
#define CHECK_LEAKS 3
#define CHECK_NONE 63
/* For qemu-img: address space, and seconds of CPU (256 GiB of compressed clusters in the worst case). */
#define MEMORY_LIMIT (UINT64_C (4) << 30)
#define CPU_LIMIT 14400

/* Between fork and exec: plain C, async-signal-safe calls only. */
static void
set_limits (gpointer data)
{
  const struct rlimit memory = { MEMORY_LIMIT, MEMORY_LIMIT }, cpu = { CPU_LIMIT, CPU_LIMIT }, core = { 0, 0 },
                      file = { FLOE_IMAGE_MAX_SIZE, FLOE_IMAGE_MAX_SIZE }, files = { 64, 64 };

  (void) data;
  if (setrlimit (RLIMIT_AS, &memory) < 0 || setrlimit (RLIMIT_CPU, &cpu) < 0 || setrlimit (RLIMIT_CORE, &core) < 0
      || setrlimit (RLIMIT_FSIZE, &file) < 0 || setrlimit (RLIMIT_NOFILE, &files) < 0)
    _exit (126);
}

/* Runs qemu-img with ARGV; its output, or NULL with what it said as the error and its wait status in *STATUS. */
static GBytes *
run_qemu_img (const char *const *argv, int *status, GError **error)
{
  g_autofree char *output = NULL, *said = NULL;
  g_autoptr (GError) local = NULL;

  if (!g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, set_limits, NULL, &output, &said, status, &local)) {
    floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s (is qemu-utils installed?)", local->message);
    return NULL;
  }
  if (!g_spawn_check_wait_status (*status, &local)) {
    /* One line, whatever qemu-img and a file name in its words hold. */
    for (char *at = said; *at != '\0'; at++)
      if (g_ascii_iscntrl (*at))
        *at = ' ';
    g_strstrip (said);
    floe_error_set (error, strstr (said, g_strerror (ENOSPC)) != NULL ? FLOE_ERROR_NO_SPACE : FLOE_ERROR_INVALID, "%s",
                    *said != '\0' ? said : local->message);
    return NULL;
  }
  return g_bytes_new (output, MIN (strlen (output), OUTPUT_MAX + 1));
}

static gboolean
check_head (const char *path, const char *driver, GError **error)
{
  floe_autofd fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  uint8_t head[HEAD], tail[512] = { 0 };
  struct stat st;
  ssize_t got;

  if (fd < 0 || fstat (fd, &st) < 0 || (got = pread (fd, head, sizeof head, 0)) < 0)
    return floe_error_set_errno (error, errno, "open");
  if (st.st_size >= (off_t) sizeof tail && !floe_pread_all (fd, tail, sizeof tail, st.st_size - (off_t) sizeof tail, error))
    return FALSE;
  return floe_foreign_check_head (driver, head, (size_t) got, error)
         && floe_foreign_check_length (driver, head, (size_t) got, tail, (uint64_t) st.st_size, error);
}

/* A file that was cut short in a download opens all the same, and what is missing would read as zeros. */
static gboolean
check_whole (const char *path, const char *driver, GError **error)
{
  const char *const argv[] = { "qemu-img", "check", "-q", "-f", driver, path, NULL };
  g_autoptr (GBytes) said = NULL;
  g_autoptr (GError) local = NULL;
  int status = 0;

  said = run_qemu_img (argv, &status, &local);
  if (said != NULL || (WIFEXITED (status) && (WEXITSTATUS (status) == CHECK_LEAKS || WEXITSTATUS (status) == CHECK_NONE)))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_INVALID, "it is damaged or cut short (`qemu-img check` says more)");
}

static gboolean
check_file (const char *path, const char *driver, uint64_t *size, GError **error)
{
  const char *const info[] = { "qemu-img", "info", "--output=json", "-f", driver, path, NULL };
  g_autoptr (GBytes) json = NULL;
  int status;

  if (!check_head (path, driver, error))
    return FALSE;
  json = run_qemu_img (info, &status, error);
  return json != NULL && floe_foreign_check_info (json, path, size, error) && check_whole (path, driver, error);
}

/* Converts the file at the absolute PATH to raw under a temporary name, and gives it the name OUT. */
static gboolean
convert (const char *path, const char *driver, const char *out, GError **error)
{
  g_autofree char *temporary = g_strdup_printf ("%s.part-%08x", out, g_random_int ());
  const char *const argv[] = { "qemu-img", "convert", "-f", driver, "-O", "raw", "-S", "64k", path, temporary, NULL };
  g_autoptr (GBytes) said = NULL;
  uint64_t size;
  int status;

  if (!check_file (path, driver, &size, error))
    return FALSE;
  said = run_qemu_img (argv, &status, error);
  if (said == NULL || rename (temporary, out) < 0) {
    if (said != NULL)
      floe_error_set_errno (error, errno, "rename to %s", out);
    unlink (temporary);
    return FALSE;
  }
  g_print ("%s: %" PRIu64 " MiB\n", out, size >> 20);
  return TRUE;
}

static gboolean
copy_member (int from, const FloeOvaDisk *disk, int to, GError **error)
{
  g_autofree uint8_t *block = g_malloc (1u << 20);

  for (uint64_t done = 0; done < disk->size;) {
    size_t part = (size_t) MIN (disk->size - done, 1u << 20);

    if (!floe_pread_all (from, block, part, (off_t) (disk->offset + done), error)
        || !floe_write_all (to, block, part, error))
      return FALSE;
    done += part;
  }
  return TRUE;
}

static gboolean
convert_member (int ova, const FloeOvaDisk *disk, const char *out, GError **error)
{
  const FloeForeignFormat *format = floe_foreign_format (NULL, disk->name, error);
  g_autofree char *temporary = NULL;
  floe_autofd fd = -1;
  gboolean done;

  if (format == NULL)
    return FALSE;
  if (format->driver == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "its disk %s is an OVA itself", disk->name);
  temporary = g_strdup_printf ("%s.disk-%08x", out, g_random_int ());
  fd = open (temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return floe_error_set_errno (error, errno, "create %s", temporary);
  done = copy_member (ova, disk, fd, error) && convert (temporary, format->driver, out, error);
  unlink (temporary);
  return done;
}

static gboolean
import_ova (const char *path, const char *out, GError **error)
{
  floe_autofd fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  FloeOvaDisk disk;

  if (fd < 0)
    return floe_error_set_errno (error, errno, "open");
  return floe_ova_find_disk (fd, &disk, error) && convert_member (fd, &disk, out, error);
}

static gboolean
run_import (int argc, char **argv, GError **error)
{
  g_autofree char *name = NULL, *in = NULL, *out = NULL;
  const GOptionEntry entries[] = {
    { "format", 0, 0, G_OPTION_ARG_STRING, &name, "raw, qcow2, vmdk, vhd, vhdx, vdi or ova (by the file's suffix)",
      "FORMAT" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  const FloeForeignFormat *format;
  gboolean done;

  if (!floe_cli_parse (&floe_image_import_command, entries, 2, &argc, &argv, error))
    return FALSE;
  format = floe_foreign_format (name, argv[1], error);
  if (format == NULL)
    return FALSE;
  /* Absolute, so that qemu-img never takes a part of the name for a protocol or an option. */
  in = g_canonicalize_filename (argv[1], NULL);
  out = g_canonicalize_filename (argv[2], NULL);
  done = format->driver == NULL ? import_ova (in, out, error) : convert (in, format->driver, out, error);
  if (!done)
    g_prefix_error (error, "%s: ", argv[1]);
  return done;
}

const FloeCommand floe_image_import_command = {
  "import",
  "[--format FORMAT] INPUT OUTPUT.raw",
  "converts raw, qcow2, VMDK, VHD, VHDX, VDI and OVA to a raw image for publish",
  run_import,
};
