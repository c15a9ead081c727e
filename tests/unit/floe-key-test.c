/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-key.h"
#include "tests/lib/forge.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static unsigned countdown;

static void *
failing_malloc (size_t size, const char *file, int line)
{
  (void) file, (void) line;
  return countdown > 0 && --countdown == 0 ? NULL : malloc (size);
}

static void *
failing_realloc (void *data, size_t size, const char *file, int line)
{
  (void) file, (void) line;
  return countdown > 0 && --countdown == 0 ? NULL : realloc (data, size);
}

static void
plain_free (void *data, const char *file, int line)
{
  (void) file, (void) line;
  free (data);
}

/* Reads KEY's JSON under its right id. */
static FloeKey *
read_key (ForgeKey *key)
{
  g_autofree char *id = forge_key_id (key);
  g_autoptr (GError) error = NULL;
  FloeKey *read = floe_key_parse (id, forge_key_json (key), &error);

  g_assert_no_error (error);
  return read;
}

static const char *const types[] = { "ed25519", "ecdsa", "rsa2048", "rsa3072" };

static void
test_verify (void)
{
  g_autoptr (GBytes) data = g_bytes_new_static ("signed", 6);

  for (size_t i = 0; i < G_N_ELEMENTS (types); i++) {
    g_autoptr (ForgeKey) key = forge_key_new (types[i]), stranger = forge_key_new (types[i]);
    g_autoptr (FloeKey) read = read_key (key);
    g_autofree char *signature = forge_key_sign (key, data), *wrong = forge_key_sign (stranger, data), *upper = NULL, *odd = NULL;

    upper = g_ascii_strup (signature, -1);
    odd = g_strconcat (signature, "0", NULL);
    g_assert_true (floe_key_is_usable (read) && floe_key_problem (read) == NULL);
    g_assert_true (floe_key_verify (read, "signed", 6, signature));
    g_assert_true (floe_key_verify (read, "signed", 6, upper));
    g_assert_false (floe_key_verify (read, "Signed", 6, signature));
    g_assert_false (floe_key_verify (read, "signed", 5, signature));
    g_assert_false (floe_key_verify (read, "signed", 6, wrong));
    g_assert_false (floe_key_verify (read, "signed", 6, ""));
    g_assert_false (floe_key_verify (read, "signed", 6, "zz"));
    g_assert_false (floe_key_verify (read, "signed", 6, "0z"));
    g_assert_false (floe_key_verify (read, "signed", 6, odd));
  }
}

static void
test_signature_too_long (void)
{
  g_autoptr (ForgeKey) key = forge_key_new ("ed25519");
  g_autoptr (FloeKey) read = read_key (key);
  g_autofree char *huge = g_strnfill (100000, 'a');

  g_assert_false (floe_key_verify (read, "x", 1, huge));
}

/* RFC 8032, section 7.1, test 3. */
static void
test_vector (void)
{
  json_t *json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval", "public",
                            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
  g_autofree char *id = floe_key_make_id (json, NULL);
  g_autoptr (FloeKey) key = floe_key_parse (id, json, NULL);

  g_assert_true (floe_key_verify (key, "\xaf\x82", 2,
                                  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                                  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"));
  g_assert_cmpstr (floe_key_scheme (key), ==, "ed25519");
  g_assert_cmpstr (floe_key_id (key), ==, id);
  json_decref (json);
}

/* The root key of the specification's example (4.3). */
static void
test_id (void)
{
  json_t *json = json_pack ("{s:s,s:s,s:{s:s}}", "scheme", "ed25519", "keytype", "ed25519", "keyval", "public",
                            "66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba021275");
  g_autofree char *id = floe_key_make_id (json, NULL);

  g_assert_cmpstr (id, ==, "cb3fbd83df4ba2471a736b065650878280964a98843ec13b457a99b2a21cc3b4");
  json_decref (json);
}

static void
test_equal (void)
{
  g_autoptr (ForgeKey) one = forge_key_new ("ed25519"), alias = forge_key_alias (one), other = forge_key_new ("ed25519");
  g_autoptr (FloeKey) a = read_key (one), b = read_key (alias), c = read_key (other), d = floe_key_ref (a);

  g_assert_cmpstr (floe_key_id (a), !=, floe_key_id (b));
  g_assert_true (floe_key_equal (a, b) && floe_key_equal (a, d));
  g_assert_false (floe_key_equal (a, c));
  floe_key_unref (NULL);
}

/* One P-256 point written whole and compressed: two spellings of one key. */
static void
test_equal_compressed (void)
{
  static const char *const pems[] = {
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELFuB8iDGJDmZI5YpuK+Gz7udwMOx\n"
    "lN+OcWU6G+brzktjEJkWaf3xicKJ+vcGceC7B55mAuj8MwdKI4rQtWTmiQ==\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\nMDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADLFuB8iDGJDmZI5YpuK+Gz7udwMOx\n"
    "lN+OcWU6G+brzks=\n-----END PUBLIC KEY-----\n",
  };
  FloeKey *keys[2];

  for (size_t i = 0; i < 2; i++) {
    json_t *json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval", "public", pems[i]);
    g_autofree char *id = floe_key_make_id (json, NULL);

    keys[i] = floe_key_parse (id, json, NULL);
    g_assert_true (floe_key_is_usable (keys[i]));
    json_decref (json);
  }
  g_assert_true (floe_key_equal (keys[0], keys[1]));
  floe_key_unref (keys[0]);
  floe_key_unref (keys[1]);
}

/* TYPE, SCHEME and PUBLIC that are a key in form but none to be used. */
static const struct {
  const char *type, *scheme, *public;
} unusable[] = {
  { "ed25519", "ed25519", "" },
  { "ed25519", "ed25519", "66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba0212" },
  { "ed25519", "ed25519", "66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba02127z" },
  { "ed25519", "ecdsa-sha2-nistp256", "66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba021275" },
  { "ed448", "ed448", "00" },
  { "ecdsa", "ecdsa-sha2-nistp256", "66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba021275" },
  { "ecdsa", "ecdsa-sha2-nistp256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" },
  { "rsa", "rsa-pkcs1v15-sha256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" },
};

static void
test_unusable (void)
{
  g_autoptr (ForgeKey) small = forge_key_new ("rsa1024"), ec = forge_key_new ("ecdsa"), good = forge_key_new ("ed25519");
  g_autoptr (FloeKey) short_key = read_key (small), misplaced = NULL, renamed = NULL, usable = read_key (good), mistyped = NULL;
  g_autofree char *long_pem = g_strnfill (100000, 'A');

  for (size_t i = 0; i < G_N_ELEMENTS (unusable); i++) {
    json_t *json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", unusable[i].type, "scheme", unusable[i].scheme, "keyval", "public",
                              unusable[i].public);
    g_autofree char *id = floe_key_make_id (json, NULL);
    g_autoptr (FloeKey) key = floe_key_parse (id, json, NULL);

    g_assert_nonnull (key);
    g_assert_false (floe_key_is_usable (key) || floe_key_verify (key, "", 0, "") || floe_key_equal (key, key)
                    || floe_key_equal (usable, key));
    g_assert_nonnull (floe_key_problem (key));
    json_decref (json);
  }
  g_assert_false (floe_key_is_usable (short_key));
  json_object_update_new (forge_key_json (ec), json_pack ("{s:s,s:s}", "keytype", "rsa", "scheme", "rsassa-pss-sha256"));
  misplaced = read_key (ec);
  g_assert_false (floe_key_is_usable (misplaced));
  json_object_set_new (json_object_get (forge_key_json (ec), "keyval"), "public", json_string (long_pem));
  mistyped = read_key (ec);
  g_assert_false (floe_key_is_usable (mistyped));
  renamed = floe_key_parse ("0000", forge_key_json (good), NULL);
  g_assert_false (floe_key_is_usable (renamed));
}

static void
test_malformed (void)
{
  static const char *const cases[] = { "{}", "[]", "{\"keytype\":1,\"scheme\":\"x\",\"keyval\":{\"public\":\"\"}}",
                                       "{\"keytype\":\"x\",\"scheme\":\"x\",\"keyval\":\"\"}", "{\"keytype\":\"x\",\"scheme\":\"x\"}",
                                       "{\"keytype\":\"x\",\"keyval\":{\"public\":\"\"}}",
                                       "{\"keytype\":\"x\",\"scheme\":\"x\",\"keyval\":{\"public\":\"\"},\"x\":1.5}" };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    json_t *json = json_loads (cases[i], 0, NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_key_parse ("k", json, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    json_decref (json);
  }
}

/* Every allocation of OpenSSL's failing in turn, while a key is read and a signature checked: never a crash, never TRUE for what
 * is wrong, and with memory again the right answer. */
static void
test_oom (void)
{
  g_autoptr (GBytes) data = g_bytes_new_static ("signed", 6);
  unsigned points = 0;

  for (size_t i = 0; i < 3; i++) {
    g_autoptr (ForgeKey) key = forge_key_new (types[i]);
    g_autofree char *signature = forge_key_sign (key, data), *id = forge_key_id (key);
    gboolean done = FALSE, right = FALSE;

    for (unsigned n = 1; !done; n++, points++) {
      g_autoptr (GError) error = NULL;
      g_autoptr (FloeKey) read = NULL;

      countdown = n;
      read = floe_key_parse (id, forge_key_json (key), &error);
      if (read == NULL)
        g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NO_SPACE);
      if (read != NULL) {
        g_assert_false (floe_key_verify (read, "forged", 6, signature));
        right = floe_key_verify (read, "signed", 6, signature);
      }
      done = countdown > 0;
      countdown = 0;
      g_assert_true (right || !done);
    }
  }
  g_print ("figure: trust_oom_keys = %u\n", points);
}

int
main (int argc, char **argv)
{
  /* Before anything else: OpenSSL takes other functions only until its first allocation. */
  if (CRYPTO_set_mem_functions (failing_malloc, failing_realloc, plain_free) != 1)
    abort ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/key/verify", test_verify);
  g_test_add_func ("/key/signature-too-long", test_signature_too_long);
  g_test_add_func ("/key/vector", test_vector);
  g_test_add_func ("/key/id", test_id);
  g_test_add_func ("/key/equal", test_equal);
  g_test_add_func ("/key/equal-compressed", test_equal_compressed);
  g_test_add_func ("/key/unusable", test_unusable);
  g_test_add_func ("/key/malformed", test_malformed);
  g_test_add_func ("/key/oom", test_oom);
  return g_test_run ();
}
