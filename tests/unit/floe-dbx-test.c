/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-dbx.h"
#include "tests/lib/dbx-forge.h"

#include <string.h>

static FloeDigest
digest (guint8 number)
{
  FloeDigest made;

  floe_digest_of (&number, 1, &made);
  return made;
}

static void
expect (FloeDbx *dbx, GError **error, FloeError code)
{
  g_assert_null (dbx);
  g_assert_error (*error, FLOE_ERROR, (int) code);
  g_clear_error (error);
}

static void
test_reads (void)
{
  const FloeDigest images[] = { digest (1), digest (2), digest (3) }, other = digest (9);
  g_autoptr (GByteArray) lists = g_byte_array_new ();
  g_autoptr (GBytes) bytes = NULL, nothing = g_bytes_new_static ("", 0);
  g_autoptr (FloeDbx) dbx = NULL, empty = NULL;
  g_autoptr (GError) error = NULL;

  dbx_forge_images (lists, images, 2);
  dbx_forge_others (lists, 3, 7);
  dbx_forge_images (lists, images + 1, 2);
  bytes = g_bytes_new (lists->data, lists->len);
  dbx = floe_dbx_parse (bytes, &error);
  g_assert_no_error (error);
  /* One is there twice. */
  g_assert_cmpuint (floe_dbx_count (dbx), ==, 3);
  for (size_t i = 0; i < G_N_ELEMENTS (images); i++)
    g_assert_true (floe_dbx_has (dbx, &images[i]));
  g_assert_false (floe_dbx_has (dbx, &other));
  /* A machine that has none. */
  empty = floe_dbx_parse (nothing, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (floe_dbx_count (empty), ==, 0);
  g_assert_cmpuint (floe_dbx_missing (empty, dbx), ==, 3);
  g_assert_cmpuint (floe_dbx_missing (dbx, empty), ==, 0);
}

static void
test_update (void)
{
  const FloeDigest images[] = { digest (1), digest (2) };
  g_autoptr (GBytes) update = dbx_forge_update (images, 2);
  g_autoptr (FloeDbx) wanted = NULL;
  g_autoptr (GByteArray) other = g_byte_array_new ();
  g_autoptr (GBytes) with_other = NULL, with_empty = NULL, nothing = g_bytes_new_static ("", 0), none = dbx_forge_update (images, 0);
  GError *error = NULL;

  wanted = floe_dbx_parse_update (update, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (floe_dbx_count (wanted), ==, 2);
  g_assert_true (floe_dbx_has (wanted, &images[0]) && floe_dbx_has (wanted, &images[1]));
  /* An update of ours has nothing but images. */
  g_byte_array_append (other, g_bytes_get_data (update, NULL), (guint) g_bytes_get_size (update));
  dbx_forge_others (other, 1, 7);
  with_other = g_bytes_new (other->data, other->len);
  expect (floe_dbx_parse_update (with_other, &error), &error, FLOE_ERROR_INVALID);
  /* Be that list empty: what appends images to another list takes all that is there for images. */
  g_byte_array_set_size (other, (guint) g_bytes_get_size (update));
  dbx_forge_others (other, 0, 7);
  with_empty = g_bytes_new (other->data, other->len);
  expect (floe_dbx_parse_update (with_empty, &error), &error, FLOE_ERROR_INVALID);
  g_assert_null (floe_dbx_appended (nothing, with_empty, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  expect (floe_dbx_parse_update (none, &error), &error, FLOE_ERROR_INVALID);
}

/* As the firmware of EDK II puts it together: what is there already is left out, by all 48 bytes of it. */
static void
test_appended (void)
{
  const FloeDigest images[] = { digest (1), digest (2), digest (3) };
  g_autoptr (GByteArray) lists = g_byte_array_new (), wanted = g_byte_array_new ();
  g_autoptr (GBytes) before = NULL, nothing = g_bytes_new_static ("", 0), update = dbx_forge_update (images, 3), after = NULL, again = NULL, first = NULL;
  g_autoptr (GBytes) other_owner = NULL, both = NULL, junk = g_bytes_new_static ("junk", 4);
  GError *error = NULL;

  dbx_forge_others (lists, 1, 7);
  dbx_forge_images (lists, images + 1, 1);
  before = g_bytes_new (lists->data, lists->len);
  g_byte_array_append (wanted, lists->data, lists->len);
  {
    const FloeDigest news[] = { images[0], images[2] };

    dbx_forge_images (wanted, news, 2);
  }
  after = floe_dbx_appended (before, update, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (after, NULL), g_bytes_get_size (after), wanted->data, wanted->len);
  again = floe_dbx_appended (after, update, &error);
  g_assert_true (g_bytes_equal (again, after));
  first = floe_dbx_appended (nothing, update, &error);
  g_assert_cmpuint (g_bytes_get_size (first), ==, 28 + 3 * 48);
  /* The same image by another owner's word is another entry. */
  lists->data[lists->len - 33] ^= 1;
  other_owner = g_bytes_new (lists->data, lists->len);
  both = floe_dbx_appended (other_owner, update, &error);
  g_assert_cmpuint (g_bytes_get_size (both), ==, lists->len + 28 + 3 * 48);
  g_assert_null (floe_dbx_appended (junk, update, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (floe_dbx_appended (before, junk, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
}

/* Cut off anywhere but between two lists, it is none. */
static void
test_short (void)
{
  const FloeDigest images[] = { digest (1), digest (2) };
  g_autoptr (GBytes) update = dbx_forge_update (images, 2);
  g_autoptr (GByteArray) lists = g_byte_array_new ();
  gsize first;

  dbx_forge_images (lists, images, 1);
  first = lists->len;
  dbx_forge_others (lists, 2, 9);
  for (gsize size = 1; size < lists->len; size++) {
    g_autoptr (GBytes) bytes = g_bytes_new (lists->data, size);
    g_autoptr (FloeDbx) dbx = floe_dbx_parse (bytes, NULL);

    g_assert_true ((dbx != NULL) == (size == first));
  }
  for (gsize size = 0; size < g_bytes_get_size (update); size++) {
    g_autoptr (GBytes) bytes = g_bytes_new (g_bytes_get_data (update, NULL), size);

    g_assert_null (floe_dbx_parse_update (bytes, NULL));
  }
}

static void
put32 (GByteArray *lists, guint at, guint32 value)
{
  for (guint i = 0; i < 4; i++)
    lists->data[at + i] = (guint8) (value >> (8 * i));
}

/* Sizes that do not come out even, in a list with two images. */
static void
test_refuses (void)
{
  static const struct {
    const char *what;
    guint at;
    guint32 value;
  } bad[] = {
    { "no bytes at all", 16, 0 },         { "less than its header", 16, 27 },
    { "a byte more than is there", 16, 28 + 97 }, { "all there could be", 16, 0xffffffff },
    { "a header", 20, 48 },               { "a header past its end", 20, 97 },
    { "a header that wraps", 20, 0xffffffe4 },    { "entries of nothing", 24, 0 },
    { "entries without an owner", 24, 15 },       { "entries of another digest", 24, 96 },
    { "entries that do not fill it", 24, 47 },    { "entries past its end", 24, 0xffffffff },
  };
  const FloeDigest images[] = { digest (1), digest (2) };
  g_autofree guint8 *much = g_malloc0 (FLOE_DBX_MAX + 1);
  g_autoptr (GBytes) too_much = g_bytes_new_static (much, FLOE_DBX_MAX + 1);
  GError *error = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GByteArray) lists = g_byte_array_new ();
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (FloeDbx) dbx = NULL;

    dbx_forge_images (lists, images, 2);
    put32 (lists, bad[i].at, bad[i].value);
    bytes = g_bytes_new (lists->data, lists->len);
    dbx = floe_dbx_parse (bytes, &error);
    if (dbx != NULL)
      g_test_fail_printf ("%s: taken", bad[i].what);
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_clear_error (&error);
  }
  expect (floe_dbx_parse (too_much, &error), &error, FLOE_ERROR_LIMIT);
  expect (floe_dbx_parse_update (too_much, &error), &error, FLOE_ERROR_LIMIT);
}

/* Every bit of an update's head: what is still taken asks for the same images. */
static void
test_bits (void)
{
  const FloeDigest images[] = { digest (1) };
  g_autoptr (GBytes) update = dbx_forge_update (images, 1);
  gsize size = g_bytes_get_size (update), head = size - 28 - 48;
  guint taken = 0;

  for (gsize bit = 0; bit < 8 * head; bit++) {
    g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (update, NULL), size);
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (FloeDbx) wanted = NULL;

    copy[bit / 8] ^= (guint8) (1u << (bit % 8));
    bytes = g_bytes_new (copy, size);
    wanted = floe_dbx_parse_update (bytes, NULL);
    if (wanted == NULL)
      continue;
    taken++;
    g_assert_true (floe_dbx_count (wanted) == 1 && floe_dbx_has (wanted, &images[0]));
  }
  /* Its time and its signature are for the firmware to judge. */
  g_assert_cmpuint (taken, ==, 8 * (16 + DBX_FORGE_SIGNATURE));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dbx/reads", test_reads);
  g_test_add_func ("/dbx/update", test_update);
  g_test_add_func ("/dbx/appended", test_appended);
  g_test_add_func ("/dbx/short", test_short);
  g_test_add_func ("/dbx/refuses", test_refuses);
  g_test_add_func ("/dbx/bits", test_bits);
  return g_test_run ();
}
