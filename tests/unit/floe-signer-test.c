/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/signing/floe-signer.h"
#include "policy/trust/floe-key.h"

#include <glib/gstdio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  char *path;
  int dir;
  FloePassphrase *passphrase;
} Keys;

static void
write_text (const Keys *keys, const char *name, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_file_replace_at (keys->dir, name, text, strlen (text), 0600, &error));
  g_assert_no_error (error);
}

static void
set_up (Keys *keys, gconstpointer data)
{
  g_autofree char *file = NULL;
  g_autoptr (GError) error = NULL;

  (void) data;
  keys->path = g_dir_make_tmp ("floe-signer-XXXXXX", &error);
  g_assert_no_error (error);
  keys->dir = floe_dir_open (keys->path, &error);
  g_assert_no_error (error);
  write_text (keys, "pass", "correct horse\nnot this line\n");
  file = g_build_filename (keys->path, "pass", NULL);
  keys->passphrase = floe_passphrase_new (file);
}

static void
tear_down (Keys *keys, gconstpointer data)
{
  g_autofree char *command = g_strdup_printf ("rm -rf %s", keys->path);

  (void) data;
  floe_passphrase_free (keys->passphrase);
  floe_fd_clear (&keys->dir);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  g_free (keys->path);
}

static FloeSigner *
only_signer (GPtrArray *signers)
{
  g_assert_cmpuint (signers->len, ==, 1);
  return g_ptr_array_index (signers, 0);
}

/* What is signed verifies with the key that a client makes of the public half, and with nothing altered. */
static void
check_type (Keys *keys, FloeSignerType type, const char *scheme)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) signers = NULL;
  g_autoptr (FloeKey) key = NULL;
  g_autoptr (GBytes) pem = NULL;
  g_autofree char *signature = NULL;
  struct stat st;
  json_t *json;

  g_assert_true (floe_signer_generate (keys->dir, "alice", type, keys->passphrase, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fstatat (keys->dir, "alice.key", &st, 0), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0600);
  signers = floe_signer_list (keys->dir, &error);
  g_assert_no_error (error);
  g_assert_true (floe_signer_can_sign (only_signer (signers)));
  g_assert_cmpstr (floe_signer_name (only_signer (signers)), ==, "alice");

  pem = floe_file_read_at (keys->dir, "alice.pub", 4096, &error);
  json = floe_signer_public_from_pem (pem, "alice.pub", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (json_string_value (json_object_get (json, "scheme")), ==, scheme);
  key = floe_key_parse (floe_signer_keyid (only_signer (signers)), json, &error);
  json_decref (json);
  g_assert_no_error (error);
  g_assert_true (floe_key_is_usable (key));

  signature = floe_signer_sign (only_signer (signers), keys->passphrase, "data", 4, &error);
  g_assert_no_error (error);
  g_assert_true (floe_key_verify (key, "data", 4, signature));
  g_assert_false (floe_key_verify (key, "datb", 4, signature));
  floe_signer_forget (only_signer (signers));
}

static void
test_ed25519 (Keys *keys, gconstpointer data)
{
  (void) data;
  check_type (keys, FLOE_SIGNER_ED25519, "ed25519");
}

static void
test_ecdsa (Keys *keys, gconstpointer data)
{
  (void) data;
  check_type (keys, FLOE_SIGNER_ECDSA_P256, "ecdsa-sha2-nistp256");
}

static void
expect_refusal (Keys *keys, FloePassphrase *passphrase, FloeError code, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) signers = floe_signer_list (keys->dir, &error);
  g_autofree char *signature = NULL;

  g_assert_no_error (error);
  signature = floe_signer_sign (only_signer (signers), passphrase, "data", 4, &error);
  g_assert_null (signature);
  g_assert_error (error, FLOE_ERROR, (int) code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
}

static void
test_private_key_refused (Keys *keys, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *wrong = g_build_filename (keys->path, "wrong", NULL);
  g_autofree char *absent = g_build_filename (keys->path, "absent", NULL);
  g_autoptr (FloePassphrase) wrong_one = floe_passphrase_new (wrong), absent_one = floe_passphrase_new (absent);
  g_autoptr (GBytes) other G_GNUC_UNUSED = NULL;

  (void) data;
  g_assert_true (floe_signer_generate (keys->dir, "alice", FLOE_SIGNER_ED25519, keys->passphrase, &error));
  write_text (keys, "wrong", "incorrect\n");
  expect_refusal (keys, wrong_one, FLOE_ERROR_UNVERIFIED, "wrong passphrase");
  expect_refusal (keys, absent_one, FLOE_ERROR_NOT_FOUND, "absent");
  expect_refusal (keys, NULL, FLOE_ERROR_REFUSED, "none was given");
  g_assert_cmpint (fchmodat (keys->dir, "alice.key", 0640, 0), ==, 0);
  expect_refusal (keys, keys->passphrase, FLOE_ERROR_REFUSED, "open to others");
  write_text (keys, "alice.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  expect_refusal (keys, keys->passphrase, FLOE_ERROR_UNVERIFIED, "no private key");
  g_assert_cmpint (unlinkat (keys->dir, "alice.key", 0), ==, 0);
  expect_refusal (keys, keys->passphrase, FLOE_ERROR_NOT_FOUND, "not here");

  /* Another key's private half under this name. */
  g_assert_true (floe_signer_generate (keys->dir, "bob", FLOE_SIGNER_ED25519, keys->passphrase, &error));
  g_assert_cmpint (unlinkat (keys->dir, "bob.pub", 0), ==, 0);
  g_assert_cmpint (renameat (keys->dir, "bob.key", keys->dir, "alice.key"), ==, 0);
  expect_refusal (keys, keys->passphrase, FLOE_ERROR_UNVERIFIED, "not the private half");
}

static void
test_never_overwritten (Keys *keys, gconstpointer data)
{
  static const char *const bad[] = { "", ".hidden", "a/b", "../x", "a b" };
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) before = NULL, after = NULL;

  (void) data;
  g_assert_true (floe_signer_generate (keys->dir, "alice", FLOE_SIGNER_ED25519, keys->passphrase, &error));
  before = floe_file_read_at (keys->dir, "alice.key", 4096, &error);
  g_assert_false (floe_signer_generate (keys->dir, "alice", FLOE_SIGNER_ED25519, keys->passphrase, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
  g_clear_error (&error);
  after = floe_file_read_at (keys->dir, "alice.key", 4096, &error);
  g_assert_true (g_bytes_equal (before, after));
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_assert_false (floe_signer_generate (keys->dir, bad[i], FLOE_SIGNER_ED25519, keys->passphrase, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_clear_error (&error);
  }
}

/* What add-key gets may come from anyone. */
static void
test_public_refused (void)
{
  static const char p384[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEKLrLwEw2GqIbLAkQuq4vZUo4pP1dXlqe\n"
                             "-----END PUBLIC KEY-----\n";
  static const char *const cases[] = { "", "no key", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", p384 };
  g_autoptr (GError) error = NULL;
  EVP_PKEY *rsa = EVP_RSA_gen (2048);
  BIO *bio = BIO_new (BIO_s_mem ());
  char *text;
  long size;

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) pem = g_bytes_new_static (cases[i], strlen (cases[i]));

    g_assert_null (floe_signer_public_from_pem (pem, "given.pub", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_true (g_str_has_prefix (error->message, "given.pub"));
    g_clear_error (&error);
  }
  g_assert_cmpint (PEM_write_bio_PUBKEY (bio, rsa), ==, 1);
  size = BIO_get_mem_data (bio, &text);
  g_autoptr (GBytes) pem = g_bytes_new (text, (gsize) size);
  BIO_free (bio);
  EVP_PKEY_free (rsa);
  g_assert_null (floe_signer_public_from_pem (pem, "rsa.pub", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNSUPPORTED);
}

static void
test_passphrase_refused (Keys *keys, gconstpointer data)
{
  g_autofree char *file = g_build_filename (keys->path, "bad", NULL);
  g_autofree char *endless = g_strnfill (5000, 'x');
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePassphrase) empty = floe_passphrase_new (file), longer = floe_passphrase_new (file);

  (void) data;
  write_text (keys, "bad", "\nsecond line\n");
  g_assert_null (floe_passphrase_get (empty, "x", FALSE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  write_text (keys, "bad", endless);
  g_assert_null (floe_passphrase_get (longer, "x", FALSE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_cmpstr (floe_passphrase_get (keys->passphrase, "x", FALSE, &error), ==, "correct horse");
  g_assert_no_error (error);
}

/* Only PKCS#11 URIs: OpenSSL's store would open files too. What needs a token is in tests/host/signing-token.sh. */
static void
test_no_token (Keys *keys, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_false (floe_signer_adopt_token (keys->dir, "token", "file:/etc/passwd", keys->passphrase, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_assert_cmpint (faccessat (keys->dir, "token.uri", F_OK, 0), !=, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/signer/ed25519", Keys, NULL, set_up, test_ed25519, tear_down);
  g_test_add ("/signer/ecdsa", Keys, NULL, set_up, test_ecdsa, tear_down);
  g_test_add ("/signer/private-key-refused", Keys, NULL, set_up, test_private_key_refused, tear_down);
  g_test_add ("/signer/never-overwritten", Keys, NULL, set_up, test_never_overwritten, tear_down);
  g_test_add_func ("/signer/public-refused", test_public_refused);
  g_test_add ("/signer/passphrase-refused", Keys, NULL, set_up, test_passphrase_refused, tear_down);
  g_test_add ("/signer/no-token", Keys, NULL, set_up, test_no_token, tear_down);
  return g_test_run ();
}
