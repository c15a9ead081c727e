/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-gpt.h"

#include <glib.h>
#include <string.h>

#define ENTRIES 8

static void
put (uint8_t *at, uint64_t value, int size)
{
  for (int i = 0; i < size; i++)
    at[i] = (uint8_t) (value >> (8 * i));
}

/* CRC-32 by its definition as a polynomial division, bit by bit from the front: another way than the parser's. */
static uint32_t
crc32 (const uint8_t *data, size_t size)
{
  uint32_t crc = ~0u;

  for (size_t i = 0; i < 8 * size; i++) {
    uint32_t in = (data[i / 8] >> (i % 8) & 1) ^ (crc & 1);

    crc = crc >> 1 ^ (in ? 0xEDB88320u : 0);
  }
  return ~crc;
}

static void
seal (uint8_t *disk, unsigned sector)
{
  uint8_t *header = disk + sector;

  put (header + 88, crc32 (disk + 2 * sector, ENTRIES * 128), 4);
  put (header + 16, 0, 4);
  put (header + 16, crc32 (header, 92), 4);
}

static void
entry (uint8_t *disk, unsigned sector, unsigned index, const char *label, uint64_t first, uint64_t last)
{
  uint8_t *at = disk + 2 * sector + 128 * index;

  memset (at, 0x11, 16);
  for (int i = 0; i < 16; i++)
    at[16 + i] = (uint8_t) (16 * index + i);
  put (at + 32, first, 8);
  put (at + 40, last, 8);
  for (int i = 0; label[i] != 0; i++)
    put (at + 56 + 2 * i, (uint8_t) label[i], 2);
}

static uint8_t *
disk_new (unsigned sector)
{
  uint8_t *disk = g_malloc0 (FLOE_GPT_READ), *header = disk + sector;

  memcpy (header, "EFI PART", 8);
  put (header + 8, 0x00010000, 4);
  put (header + 12, 92, 4);
  put (header + 24, 1, 8);
  put (header + 40, 34, 8);
  put (header + 48, 10000, 8);
  put (header + 72, 2, 8);
  put (header + 80, ENTRIES, 4);
  put (header + 84, 128, 4);
  entry (disk, sector, 0, "FLOE-BOOT", 40, 99);
  entry (disk, sector, 2, "floe_7", 100, 199);
  seal (disk, sector);
  return disk;
}

static void
test_reads (gconstpointer data)
{
  unsigned sector = GPOINTER_TO_UINT (data);
  g_autofree uint8_t *disk = disk_new (sector);
  FloeGpt table;
  const FloeGptPartition *found;

  g_assert_null (floe_gpt_parse (disk, FLOE_GPT_READ, &table));
  g_assert_cmpuint (table.sector_size, ==, sector);
  g_assert_cmpuint (table.count, ==, 2);
  found = floe_gpt_find (&table, NULL, "floe_7");
  g_assert_nonnull (found);
  g_assert_cmpuint (found->number, ==, 3);
  g_assert_cmpuint (found->first, ==, 100);
  g_assert_cmpuint (found->last, ==, 199);
  /* The first three fields are little-endian on disk. */
  g_assert_cmpstr (found->uuid, ==, "23222120-2524-2726-2829-2a2b2c2d2e2f");
  g_assert_true (floe_gpt_find (&table, found->uuid, NULL) == found);
  g_assert_null (floe_gpt_find (&table, NULL, "floe_8"));
}

/* Every single-bit change of header and entries is noticed. */
static void
test_bits (void)
{
  g_autofree uint8_t *disk = disk_new (512);

  for (size_t bit = 8 * 512; bit < 8 * (1024 + ENTRIES * 128); bit++) {
    FloeGpt table = { .count = 77 };

    if (bit >= 8 * (512 + 92) && bit < 8 * 1024)
      continue;
    disk[bit / 8] ^= (uint8_t) (1 << (bit % 8));
    g_assert_nonnull (floe_gpt_parse (disk, FLOE_GPT_READ, &table));
    g_assert_cmpuint (table.count, ==, 77);
    disk[bit / 8] ^= (uint8_t) (1 << (bit % 8));
  }
}

/* Right sums, wrong contents. */
static void
test_refuses (void)
{
  static const struct {
    unsigned at, size;
    uint64_t value;
  } wrong[] = {
    { 512 + 72, 8, 0 },          /* entries in the MBR */
    { 512 + 72, 8, ~0ull },      /* far outside */
    { 512 + 72, 8, 48 },         /* at the end of what was read */
    { 512 + 80, 4, 0 },          /* no entries */
    { 512 + 80, 4, 4096 },       /* too many */
    { 512 + 84, 4, 256 },        /* of another size */
    { 512 + 24, 8, 2 },          /* a header that belongs elsewhere */
    { 1024 + 32, 8, 20 },        /* a partition over the table */
    { 1024 + 40, 8, 100000 },    /* one past the disk's end */
    { 1024 + 40, 8, 39 },        /* one that ends before it begins */
    { 1024 + 40, 8, 100 },       /* two that overlap */
    { 1024 + 256 + 32, 8, ~0ull },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree uint8_t *disk = disk_new (512);
    FloeGpt table = { .count = 77 };

    put (disk + wrong[i].at, wrong[i].value, (int) wrong[i].size);
    seal (disk, 512);
    g_assert_nonnull (floe_gpt_parse (disk, FLOE_GPT_READ, &table));
    g_assert_cmpuint (table.count, ==, 77);
  }
}

static void
test_short (void)
{
  g_autofree uint8_t *disk = disk_new (512);

  for (size_t size = 0; size < 1024 + ENTRIES * 128; size++) {
    g_autofree uint8_t *copy = g_memdup2 (disk, size);
    FloeGpt table;

    g_assert_nonnull (floe_gpt_parse (copy, size, &table));
  }
}

static void
test_labels (void)
{
  g_autofree uint8_t *disk = disk_new (512);
  FloeGpt table;

  /* Two of one name: neither is taken. */
  entry (disk, 512, 3, "floe_7", 300, 399);
  put (disk + 1024 + 56, 0x202E, 2);
  seal (disk, 512);
  g_assert_null (floe_gpt_parse (disk, FLOE_GPT_READ, &table));
  g_assert_null (floe_gpt_find (&table, NULL, "floe_7"));
  g_assert_nonnull (floe_gpt_find (&table, NULL, "?LOE-BOOT"));
}

static void
test_uuid (void)
{
  char uuid[FLOE_GPT_UUID_SIZE] = "";

  g_assert_true (floe_gpt_uuid_of_hex ("0123456789abcdef0123456789abcdef99", uuid));
  g_assert_cmpstr (uuid, ==, "01234567-89ab-cdef-0123-456789abcdef");
  g_assert_false (floe_gpt_uuid_of_hex ("0123456789ABCDEF0123456789abcdef", uuid));
  g_assert_false (floe_gpt_uuid_of_hex ("01", uuid));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/gpt/sectors-of-512", GUINT_TO_POINTER (512), test_reads);
  g_test_add_data_func ("/gpt/sectors-of-4096", GUINT_TO_POINTER (4096), test_reads);
  g_test_add_func ("/gpt/bits", test_bits);
  g_test_add_func ("/gpt/refuses", test_refuses);
  g_test_add_func ("/gpt/short", test_short);
  g_test_add_func ("/gpt/labels", test_labels);
  g_test_add_func ("/gpt/uuid", test_uuid);
  return g_test_run ();
}
