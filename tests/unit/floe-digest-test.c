/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-digest.h"

#include <string.h>

/* FIPS 180-4's own examples (NIST's "SHA256.pdf"). */
static const struct {
  const char *message, *hex;
} vectors[] = {
  { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
  { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
  { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void
test_vectors (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (vectors); i++) {
    g_autoptr (FloeDigester) digester = floe_digester_new ();
    FloeDigest whole, pieces, parsed;
    char hex[FLOE_DIGEST_HEX_SIZE];

    floe_digest_of (vectors[i].message, strlen (vectors[i].message), &whole);
    floe_digest_to_hex (&whole, hex);
    g_assert_cmpstr (hex, ==, vectors[i].hex);
    for (const char *at = vectors[i].message; *at != '\0'; at++)
      floe_digester_update (digester, at, 1);
    floe_digester_finish (digester, &pieces);
    g_assert_true (floe_digest_equal (&whole, &pieces));
    g_assert_true (floe_digest_from_hex (hex, &parsed, NULL));
    g_assert_true (floe_digest_equal (&whole, &parsed));
  }
}

static void
test_refuses_hex (void)
{
  g_autofree char *upper = g_ascii_strup (vectors[1].hex, -1);
  g_autofree char *longer = g_strconcat (vectors[1].hex, "0", NULL);
  g_autofree char *shorter = g_strndup (vectors[1].hex, 63);
  const char *const bad[] = { "", upper, longer, shorter, "zz" };
  FloeDigest digest = { { 7 } };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (floe_digest_from_hex (bad[i], &digest, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpint (digest.bytes[0], ==, 7);
  }
}

static void
test_hex (void)
{
  const unsigned char bytes[] = { 0x00, 0x7f, 0x80, 0xff };
  const char *const bad[] = { "007f80f", "007f80ff0", "007F80FF", "007f80fg", "", " 07f80ff" };
  unsigned char read[sizeof bytes] = { 1, 2, 3, 4 };
  g_autofree char *hex = floe_hex_encode (bytes, sizeof bytes);
  g_autofree char *nothing = floe_hex_encode (bytes, 0);

  g_assert_cmpstr (hex, ==, "007f80ff");
  g_assert_cmpstr (nothing, ==, "");
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (floe_hex_decode (bad[i], read, sizeof read));
  g_assert_cmpint (read[0], ==, 1);
  g_assert_true (floe_hex_decode (hex, read, sizeof read));
  g_assert_cmpmem (read, sizeof read, bytes, sizeof bytes);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/digest/vectors", test_vectors);
  g_test_add_func ("/digest/refuses-hex", test_refuses_hex);
  g_test_add_func ("/digest/hex", test_hex);
  return g_test_run ();
}
