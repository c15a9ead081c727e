/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-boot-list.h"
#include "server-sync/image/floe-image-info.h"
#include "server-sync/image/floe-table.h"
#include "server-sync/image/floe-wire.h"

#include <stdlib.h>

/* A good file of each form, with one thing in it spoiled at a time. */

typedef struct {
  const char *what;
  size_t at;         /* of the bytes to replace; SIZE_MAX: cut to `size` bytes or add zeros up to it */
  const char *bytes; /* what to put there */
  size_t size;
} Spoil;

static GBytes *
spoil (GBytes *good, const Spoil *how)
{
  gsize size;
  const uint8_t *data = g_bytes_get_data (good, &size);
  size_t wanted = how->at == SIZE_MAX ? how->size : size;
  uint8_t *copy = g_malloc0 (wanted + 1);

  memcpy (copy, data, MIN (size, wanted));
  if (how->at != SIZE_MAX)
    memcpy (copy + how->at, how->bytes, how->size);
  return g_bytes_new_take (copy, wanted);
}

static FloeDigest
digest_number (uint8_t number)
{
  FloeDigest digest;

  memset (&digest, number, sizeof digest);
  return digest;
}

/* An image of three chunks, the last one of 512 bytes. */
#define IMAGE_SIZE (2 * FLOE_CHUNK_SIZE + 512)

static GBytes *
good_index (void)
{
  const FloeDigest digests[] = { digest_number (9), digest_number (7), digest_number (9) };

  return floe_index_build (digests, IMAGE_SIZE);
}

static void
test_index (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = good_index ();
  g_autoptr (FloeIndex) index = floe_index_parse (bytes, "good", &error);
  FloeDigest digest, wanted = digest_number (7);
  uint32_t size;

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 104 + 3 * 40);
  g_assert_cmpuint (floe_index_size (index), ==, IMAGE_SIZE);
  g_assert_cmpuint (floe_index_chunks (index), ==, 3);
  floe_index_chunk (index, 1, &digest, &size);
  g_assert_true (floe_digest_equal (&digest, &wanted));
  g_assert_cmpuint (size, ==, FLOE_CHUNK_SIZE);
  floe_index_chunk (index, 2, &digest, &size);
  g_assert_cmpuint (size, ==, 512);
}

static void
test_index_empty (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = floe_index_build (NULL, 0);
  g_autoptr (FloeIndex) index = floe_index_parse (bytes, "empty", &error);

  g_assert_no_error (error);
  g_assert_cmpuint (floe_index_chunks (index), ==, 0);
  g_assert_cmpuint (floe_index_size (index), ==, 0);
}

static void
test_index_refuses (void)
{
  static const Spoil cases[] = {
    { "cut in the head", SIZE_MAX, NULL, 47 },
    { "empty", SIZE_MAX, NULL, 0 },
    { "cut in an item", SIZE_MAX, NULL, 104 + 3 * 40 - 1 },
    { "an item less", SIZE_MAX, NULL, 104 + 2 * 40 },
    { "bytes behind the tail", SIZE_MAX, NULL, 104 + 3 * 40 + 1 },
    { "an item's worth of bytes behind the tail", SIZE_MAX, NULL, 104 + 4 * 40 },
    { "head's size", 0, "\x31", 1 },
    { "type", 8, "\xf8", 1 },
    { "SHA512/256", 23, "\xb0", 1 },
    { "an archive's features", 16, "\x01", 1 },
    { "minimal chunk size", 24, "\0\0\1", 3 },
    { "average chunk size", 32, "\0\0\0", 3 },
    { "maximal chunk size", 40, "\0\0\4", 3 },
    { "table's size", 48, "\0", 1 },
    { "table's type", 56, "\0", 1 },
    { "first chunk ends at zero", 64, "\0\0\0", 3 },
    { "first chunk too long", 64, "\1\0\2", 3 },
    { "first chunk short", 64, "\0\0\1", 3 },
    { "second chunk overlaps", 104, "\0\0\2", 3 },
    { "second chunk leaves a gap", 104, "\0\0\5", 3 },
    { "last chunk ends before its start", 144, "\0\0\4", 3 },
    { "last chunk too long", 144, "\1\0\6", 3 },
    { "last chunk's end overflows", 144, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
    { "tail's zeros", 184, "\1", 1 },
    { "tail's more zeros", 192, "\1", 1 },
    { "tail's index offset", 200, "\x31", 1 },
    { "tail's size", 208, "\0", 1 },
    { "tail's marker", 216, "\0", 1 },
  };
  g_autoptr (GBytes) good = good_index ();

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) bad = spoil (good, &cases[i]);
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i].what);
    g_assert_null (floe_index_parse (bad, "bad.caibx", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_true (g_str_has_prefix (error->message, "bad.caibx: "));
  }
}

static GBytes *
good_table (void)
{
  FloeTableEntry entries[] = {
    { digest_number (9), digest_number (1), 700, FLOE_CHUNK_SIZE },
    { digest_number (7), digest_number (2), FLOE_CHUNK_COMPRESSED_MAX, 512 },
  };

  return floe_table_build (entries, G_N_ELEMENTS (entries));
}

static void
test_table (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = good_table ();
  g_autoptr (FloeTable) table = floe_table_parse (bytes, "good", &error);
  FloeDigest seven = digest_number (7), eight = digest_number (8), two = digest_number (2);
  FloeTableEntry entry;

  g_assert_no_error (error);
  g_assert_cmpuint (floe_table_count (table), ==, 2);
  g_assert_cmpuint (floe_table_compressed_total (table), ==, 700 + FLOE_CHUNK_COMPRESSED_MAX);
  g_assert_true (floe_table_find (table, &seven, &entry));
  g_assert_cmpuint (entry.raw_size, ==, 512);
  g_assert_true (floe_digest_equal (&entry.compressed_digest, &two));
  g_assert_false (floe_table_find (table, &eight, &entry));
  floe_table_entry (table, 0, &entry);
  g_assert_true (floe_digest_equal (&entry.digest, &seven));
}

static void
test_table_refuses (void)
{
  static const Spoil cases[] = {
    { "empty", SIZE_MAX, NULL, 0 },
    { "cut in the head", SIZE_MAX, NULL, 15 },
    { "cut in an entry", SIZE_MAX, NULL, 16 + 2 * 72 - 1 },
    { "an entry less", SIZE_MAX, NULL, 16 + 72 },
    { "a byte more", SIZE_MAX, NULL, 16 + 2 * 72 + 1 },
    { "magic", 7, "2", 1 },
    { "count", 8, "\1", 1 },
    { "a count that overflows 32 bits of bytes", 8, "\x8e\xe3\x38\x8e", 4 },
    { "size of an entry", 12, "\x49", 1 },
    { "an order upside down", 16, "\x0a", 1 },
    { "a digest twice", 16, "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t", 32 },
    { "compressed size 0", 80, "\0\0\0\0", 4 },
    { "compressed size too large", 80, "\1\4\2\0", 4 },
    { "raw size 0", 84, "\0\0\0\0", 4 },
    { "raw size too large", 84, "\1\0\2\0", 4 },
    { "raw size negative", 84, "\0\0\0\x80", 4 },
  };
  g_autoptr (GBytes) good = good_table ();

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) bad = spoil (good, &cases[i]);
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i].what);
    g_assert_null (floe_table_parse (bad, "bad.table", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

static void
test_table_matches (void)
{
  FloeTableEntry nine = { digest_number (9), digest_number (1), 700, FLOE_CHUNK_SIZE };
  FloeTableEntry seven = { digest_number (7), digest_number (2), 9, 512 };
  FloeTableEntry eight = { digest_number (8), digest_number (2), 9, 512 };
  const FloeDigest digests[] = { digest_number (9), digest_number (9), digest_number (7) };
  const struct {
    FloeTableEntry entries[3];
    size_t count;
    gboolean good;
  } cases[] = {
    { { nine, seven }, 2, TRUE },
    { { nine }, 1, FALSE },
    { { nine, eight }, 2, FALSE },
    { { nine, seven, eight }, 3, FALSE },
    { { { nine.digest, nine.digest, 700, 512 }, seven }, 2, FALSE },
  };
  g_autoptr (GBytes) index_bytes = floe_index_build (digests, IMAGE_SIZE);
  g_autoptr (FloeIndex) index = floe_index_parse (index_bytes, "index", NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloeTableEntry entries[3];
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (FloeTable) table = NULL;
    g_autoptr (GError) error = NULL;

    memcpy (entries, cases[i].entries, sizeof entries);
    bytes = floe_table_build (entries, cases[i].count);
    table = floe_table_parse (bytes, "table", &error);
    g_assert_no_error (error);
    g_assert_cmpint (floe_table_matches (table, index, &error), ==, cases[i].good);
    g_assert_true (cases[i].good || g_error_matches (error, FLOE_ERROR, FLOE_ERROR_INVALID));
  }
}

/* A trace of these digests by number, 64 digits a line. */
static GBytes *
make_trace (const char *numbers)
{
  GString *trace = g_string_new (NULL);

  for (const char *at = numbers; *at != '\0'; at++) {
    for (int i = 0; i < FLOE_DIGEST_SIZE; i++)
      g_string_append_printf (trace, "0%c", *at);
    g_string_append_c (trace, '\n');
  }
  return g_string_free_to_bytes (trace);
}

static void
test_boot_list (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) table_bytes = good_table (), trace = make_trace ("98797");
  g_autoptr (FloeTable) table = floe_table_parse (table_bytes, "table", NULL);
  g_autoptr (GBytes) bytes = floe_boot_list_from_trace (trace, "trace", table, &error);
  g_autoptr (FloeBootList) list = NULL;
  FloeDigest digest, seven = digest_number (7);

  g_assert_no_error (error);
  list = floe_boot_list_parse (bytes, "list", &error);
  g_assert_no_error (error);
  /* 8 is not in the table, and each is there once. */
  g_assert_cmpuint (floe_boot_list_count (list), ==, 2);
  floe_boot_list_digest (list, 1, &digest);
  g_assert_true (floe_digest_equal (&digest, &seven));
}

static void
test_boot_list_refuses (void)
{
  static const Spoil cases[] = {
    { "empty", SIZE_MAX, NULL, 0 },
    { "cut in the head", SIZE_MAX, NULL, 15 },
    { "cut", SIZE_MAX, NULL, 16 + 63 },
    { "a byte more", SIZE_MAX, NULL, 16 + 65 },
    { "magic", 0, "f", 1 },
    { "count", 8, "\3", 1 },
    { "size of a digest", 12, "\x21", 1 },
    { "a digest twice", 16, "\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7", 32 },
  };
  static const char *const traces[] = { "zz\n", "09", "09\n" };
  g_autoptr (GBytes) table_bytes = good_table (), trace = make_trace ("97");
  g_autoptr (FloeTable) table = floe_table_parse (table_bytes, "table", NULL);
  g_autoptr (GBytes) good = floe_boot_list_from_trace (trace, "trace", table, NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) bad = spoil (good, &cases[i]);
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i].what);
    g_assert_null (floe_boot_list_parse (bad, "bad.boot", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (traces); i++) {
    g_autoptr (GBytes) bad = g_bytes_new_static (traces[i], strlen (traces[i]));
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_boot_list_from_trace (bad, "bad.trace", table, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define INFO(name, version, os, firmware, size, chunk, index, rest)                                                        \
  "{\"floe-image\":1,\"name\":" name ",\"version\":" version ",\"os\":" os ",\"firmware\":" firmware ",\"size\":" size     \
  ",\"chunk_size\":" chunk ",\"index\":" index ",\"table\":\"" HEX "\"" rest "}"
#define NEEDS ",\"needs\":{\"memory_mib\":2048,\"tpm\":true}"
#define GOOD_VERSION "\"0123456789abcdef\""

static void
test_info (void)
{
  static const char text[] = INFO ("\"desktop\"", GOOD_VERSION, "\"windows\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"",
                                   ",\"boot\":\"" HEX "\"" NEEDS);
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, sizeof text - 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeImageInfo) info = floe_image_info_parse (bytes, "image.json", &error), again = NULL;
  g_autoptr (GBytes) built = NULL, rebuilt = NULL;
  g_autofree char *target = NULL;

  g_assert_no_error (error);
  g_assert_cmpint (info->os, ==, FLOE_IMAGE_WINDOWS);
  g_assert_cmpuint (info->needs.memory_mib, ==, 2048);
  g_assert_cmpuint (info->needs.vcpus, ==, 0);
  g_assert_true (info->needs.tpm && !info->needs.secure_boot && info->has_boot);
  target = floe_image_target (info, "caibx");
  g_assert_cmpstr (target, ==, "images/desktop/0123456789abcdef.caibx");
  built = floe_image_info_build (info);
  again = floe_image_info_parse (built, "built", &error);
  g_assert_no_error (error);
  rebuilt = floe_image_info_build (again);
  g_assert_true (g_bytes_equal (built, rebuilt));
}

static void
test_info_refuses (void)
{
  static const char *const cases[] = {
    "{}",
    INFO ("\"../x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", "\"0123456789abcdee\"", "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", "7", "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"beos\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"coreboot\"", "1024", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "0", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "274877906945", "131072", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "65536", "\"" HEX "\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"0123\"", NEEDS),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", ""),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", ",\"needs\":{\"gpu\":true}"),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", ",\"needs\":{\"vcpus\":0}"),
    INFO ("\"x\"", GOOD_VERSION, "\"linux\"", "\"uefi\"", "1024", "131072", "\"" HEX "\"", NEEDS ",\"extra\":1"),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) bytes = g_bytes_new_static (cases[i], strlen (cases[i]));
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i]);
    g_assert_null (floe_image_info_parse (bytes, "image.json", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image/index", test_index);
  g_test_add_func ("/image/index-empty", test_index_empty);
  g_test_add_func ("/image/index-refuses", test_index_refuses);
  g_test_add_func ("/image/table", test_table);
  g_test_add_func ("/image/table-refuses", test_table_refuses);
  g_test_add_func ("/image/table-matches", test_table_matches);
  g_test_add_func ("/image/boot-list", test_boot_list);
  g_test_add_func ("/image/boot-list-refuses", test_boot_list_refuses);
  g_test_add_func ("/image/info", test_info);
  g_test_add_func ("/image/info-refuses", test_info_refuses);
  return g_test_run ();
}
