/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-fat.h"
#include "common/floe-fd.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* What is written is read by others: fsck.fat (dosfstools) and mtools. */

#define BOOT (UINT64_C (160) << 20)

static gboolean
have (const char *program)
{
  g_autofree char *path = g_find_program_in_path (program);

  if (path == NULL)
    g_test_skip ("fsck.fat and mtools are not both installed");
  return path != NULL;
}

static gboolean
write_file (const void *data, size_t size, uint64_t at, gpointer user, GError **error)
{
  int fd = GPOINTER_TO_INT (user);

  (void) error;
  g_assert_cmpint (pwrite (fd, data, size, (off_t) at), ==, (gssize) size);
  return TRUE;
}

static GBytes *
bytes (gsize size, guint8 seed)
{
  guint8 *data = g_malloc (size + 1);

  for (gsize i = 0; i < size; i++)
    data[i] = (guint8) (seed + i * 13 + i / 256);
  return g_bytes_new_take (data, size);
}

static void
run (gboolean good, char **output, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
run (gboolean good, char **output, const char *format, ...)
{
  g_autofree char *command = NULL, *said = NULL, *complaint = NULL;
  g_autoptr (GError) error = NULL;
  va_list arguments;
  int status;

  va_start (arguments, format);
  command = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_assert_true (g_spawn_command_line_sync (command, &said, &complaint, &status, &error));
  g_assert_no_error (error);
  if (good && status != 0)
    g_error ("%s: %s%s", command, said, complaint);
  if (output != NULL)
    *output = g_steal_pointer (&said);
}

typedef struct {
  uint64_t size;
  gsize sizes[8];
} Case;

static void
test_files (gconstpointer data)
{
  static const char *const paths[] = { "EFI/BOOT/BOOTX64.EFI", "EFI/Linux/floe_202611260510+3.efi", "EFI/Linux/floe_202611260511.efi", "loader/loader.conf",
                                       "floe.conf" };
  const Case *one = data;
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "floe-fat-XXXXXX", NULL);
  FloeFatFile files[5];
  FloeFat fat = { .size = one->size, .hidden = 2048, .id = 0x1234abcd, .label = "FLOE-BOOT", .now = 1790000000, .files = files, .n_files = 5 };
  g_autoptr (GError) error = NULL;
  int fd;

  if (!have ("fsck.fat") || !have ("mcopy"))
    return;
  fd = g_mkstemp (path);
  /* Junk of another system beneath. */
  for (uint64_t at = 0; at < one->size; at += 1 << 20) {
    g_autoptr (GBytes) junk = bytes (1 << 20, (guint8) (at >> 20));

    write_file (g_bytes_get_data (junk, NULL), 1 << 20, at, GINT_TO_POINTER (fd), NULL);
  }
  for (guint i = 0; i < 5; i++)
    files[i] = (FloeFatFile){ paths[i], bytes (one->sizes[i], (guint8) i) };
  g_assert_true (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_no_error (error);
  run (TRUE, NULL, "fsck.fat -n %s", path);
  for (guint i = 0; i < 5; i++) {
    g_autofree char *out = g_strconcat (path, ".out", NULL), *content = NULL;
    gsize size;

    run (TRUE, NULL, "mcopy -n -i %s ::%s %s", path, paths[i], out);
    g_assert_true (g_file_get_contents (out, &content, &size, NULL));
    g_assert_cmpmem (content, size, g_bytes_get_data (files[i].content, NULL), g_bytes_get_size (files[i].content));
    g_unlink (out);
  }
  for (guint i = 0; i < 5; i++)
    g_bytes_unref ((GBytes *) files[i].content);
  close (fd);
  g_unlink (path);
}

static void
test_refused (void)
{
  static const char *const bad[] = { "", "/x", "x/", "../x", "a//b", "a b", "x.", "\xc3\xa9", "a:b", "a\nb" };
  static const char *const names[FLOE_FAT_FILES_MAX] = { "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P" };
  g_autoptr (GBytes) content = bytes (10, 0), large = bytes (2200000, 0);
  FloeFatFile file = { "x", content }, many[FLOE_FAT_FILES_MAX + 1];
  FloeFat fat = { .size = BOOT, .label = "X", .files = &file, .n_files = 1 };
  g_autoptr (GError) error = NULL;
  int fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    file.path = bad[i];
    g_assert_false (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_clear_error (&error);
  }
  file.path = "X";
  for (size_t i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = file;
  fat.files = many;
  fat.n_files = G_N_ELEMENTS (many);
  g_assert_false (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  fat.n_files = 1;
  fat.size = 32u << 20;
  g_assert_false (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  fat.size = BOOT;
  fat.n_files = 2;
  g_assert_false (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  /* Just large enough for a file system, but not for these. */
  fat.size = 34u << 20;
  for (size_t i = 0; i < FLOE_FAT_FILES_MAX; i++)
    many[i] = (FloeFatFile){ names[i], large };
  fat.n_files = FLOE_FAT_FILES_MAX;
  g_assert_false (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  fat.n_files = FLOE_FAT_FILES_MAX - 1;
  g_assert_true (floe_fat_write (&fat, write_file, GINT_TO_POINTER (fd), &error));
  g_assert_no_error (error);
  close (fd);
}

int
main (int argc, char **argv)
{
  static const Case cases[] = {
    { BOOT, { 91000, 13956176, 511, 70, 0 } },
    { UINT64_C (64) << 20, { 1, 512, 513, 4096, 4097 } },
    { UINT64_C (300) << 20, { 4096, 4097, 1, 0, 123456 } },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/fat/160-mib", &cases[0], test_files);
  g_test_add_data_func ("/fat/64-mib", &cases[1], test_files);
  g_test_add_data_func ("/fat/300-mib", &cases[2], test_files);
  g_test_add_func ("/fat/refused", test_refused);
  return g_test_run ();
}
