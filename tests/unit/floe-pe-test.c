/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-pe.h"
#include "common/floe-error.h"
#include "tests/lib/pe-forge.h"

#include <string.h>

#define LINE "roothash=00 quiet"

static PeSigner *ours, *theirs;
static GBytes *certificate;

static void
assert_error (gboolean good, GError **error, FloeError code)
{
  g_assert_false (good);
  g_assert_error (*error, FLOE_ERROR, (int) code);
  g_clear_error (error);
}

static void
test_good (void)
{
  g_autoptr (GBytes) image = pe_forge (LINE, 3000, ours);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) line = floe_pe_section (image, ".cmdline", &error);

  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (line, NULL), g_bytes_get_size (line), LINE, strlen (LINE));
  g_assert_true (floe_pe_verify (image, certificate, &error));
  g_assert_no_error (error);
  g_assert_null (floe_pe_section (image, ".initrd", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

static void
test_foreign (void)
{
  g_autoptr (GBytes) unsigned_one = pe_forge (LINE, 3000, NULL), foreign = pe_forge (LINE, 3000, theirs), empty = g_bytes_new_static ("", 0);
  g_autoptr (GBytes) image = pe_forge (LINE, 3000, ours), junk = g_bytes_new_static ("junk", 4);
  GError *error = NULL;

  assert_error (floe_pe_verify (unsigned_one, certificate, &error), &error, FLOE_ERROR_UNVERIFIED);
  assert_error (floe_pe_verify (foreign, certificate, &error), &error, FLOE_ERROR_UNVERIFIED);
  assert_error (floe_pe_verify (empty, certificate, &error), &error, FLOE_ERROR_INVALID);
  assert_error (floe_pe_verify (image, junk, &error), &error, FLOE_ERROR_INVALID);
}

/* The signature of one image under another; and the certificate of ours inside a signature that is not by its key. */
static void
test_grafted (void)
{
  g_autoptr (GBytes) good = pe_forge (LINE, 3000, ours), other = pe_forge ("roothash=11 quiet", 3000, NULL);
  gsize size, other_size;
  const guint8 *data = g_bytes_get_data (good, &size), *changed = g_bytes_get_data (other, &other_size);
  guint8 *grafted = g_memdup2 (data, size);
  g_autoptr (GBytes) image = NULL;
  GError *error = NULL;

  g_assert_cmpuint (other_size, <, size);
  /* All but the entry that says where the signature is. */
  memcpy (grafted + 512, changed + 512, other_size - 512);
  image = g_bytes_new_take (grafted, size);
  assert_error (floe_pe_verify (image, certificate, &error), &error, FLOE_ERROR_UNVERIFIED);
}

/* Every byte changed, and every end cut off: whatever is accepted has the same line and the same code. */
static void
test_flips (void)
{
  g_autoptr (GBytes) good = pe_forge (LINE, 700, ours);
  gsize size;
  const guint8 *data = g_bytes_get_data (good, &size);
  unsigned accepted = 0;

  for (gsize i = 0; i < size; i++) {
    guint8 *copy = g_memdup2 (data, size);
    g_autoptr (GBytes) image = NULL;

    copy[i] ^= 0x10;
    image = g_bytes_new_take (copy, size);
    if (!floe_pe_verify (image, certificate, NULL))
      continue;
    accepted++;
    /* The checksum, which nothing is made of; padding behind the signature, certificates inside that are not used. */
    g_assert_true ((i >= 128 + 24 + 64 && i < 128 + 24 + 68) || i >= 512 + 512 + 1024);
  }
  /* The signature's own parts that say who may have made it are no part of what it is over. */
  g_assert_cmpuint (accepted, >, 0);
  for (gsize cut = 0; cut < size; cut++) {
    g_autofree guint8 *copy = g_memdup2 (data, cut);
    g_autoptr (GBytes) image = g_bytes_new (copy, cut);

    g_assert_false (floe_pe_verify (image, certificate, NULL));
  }
}

static void
test_appended (void)
{
  g_autoptr (GBytes) good = pe_forge (LINE, 700, ours);
  gsize size;
  const guint8 *data = g_bytes_get_data (good, &size);
  g_autofree guint8 *longer = g_malloc0 (size + 8);
  g_autoptr (GBytes) image = NULL;

  memcpy (longer, data, size);
  image = g_bytes_new (longer, size + 8);
  g_assert_false (floe_pe_verify (image, certificate, NULL));
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  ours = pe_signer_new ("ours");
  theirs = pe_signer_new ("ours"); /* the same name and number: another key */
  certificate = pe_signer_certificate (ours);
  g_test_add_func ("/pe/good", test_good);
  g_test_add_func ("/pe/foreign", test_foreign);
  g_test_add_func ("/pe/grafted", test_grafted);
  g_test_add_func ("/pe/flips", test_flips);
  g_test_add_func ("/pe/appended", test_appended);
  result = g_test_run ();
  pe_signer_free (ours);
  pe_signer_free (theirs);
  g_bytes_unref (certificate);
  return result;
}
