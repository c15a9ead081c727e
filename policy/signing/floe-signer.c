/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-signer.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"
#include "policy/signing/floe-token.h"
#include "policy/trust/floe-key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 16384
#define SIGNATURE_MAX 512
#define SIGNERS_MAX 256
/* What OWASP's Password Storage sheet gives for 16 MiB, the most that OpenSSL's PKCS#8 reader allows scrypt: about 0.2 s a try. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 5

struct _FloeSigner {
  int keys_dir; /* own */
  char *name;
  char *keyid;
  char *private_file; /* NAME.key or NAME.uri; NULL: only the public half is here */
  EVP_PKEY *public;
  EVP_PKEY *private; /* only between the first signature and floe_signer_forget() */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_SIG, X509_SIG_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_ALGOR, X509_ALGOR_free)

static gboolean
set_openssl (GError **error, FloeError code, const char *what)
{
  char text[256] = "no reason given";
  unsigned long reason = ERR_peek_last_error ();

  if (reason != 0)
    ERR_error_string_n (reason, text, sizeof text);
  ERR_clear_error ();
  return floe_error_set (error, code, "%s: %s", what, text);
}

void
floe_signer_free (FloeSigner *signer)
{
  if (signer == NULL)
    return;
  floe_signer_forget (signer);
  EVP_PKEY_free (signer->public);
  floe_fd_clear (&signer->keys_dir);
  g_free (signer->private_file);
  g_free (signer->keyid);
  g_free (signer->name);
  g_free (signer);
}

const char *
floe_signer_name (const FloeSigner *signer)
{
  return signer->name;
}

const char *
floe_signer_keyid (const FloeSigner *signer)
{
  return signer->keyid;
}

gboolean
floe_signer_can_sign (const FloeSigner *signer)
{
  return signer->private_file != NULL;
}

void
floe_signer_forget (FloeSigner *signer)
{
  /* OpenSSL wipes private keys as it frees them. */
  g_clear_pointer (&signer->private, EVP_PKEY_free);
}

/* -- Public halves -------------------------------------------------------------------------------------------------- */

/* A passphrase callback for PEM that is not to be encrypted: OpenSSL's own would ask on the terminal. */
static int
no_passphrase (char *buffer, int size, int writing, void *data)
{
  (void) buffer, (void) size, (void) writing, (void) data;
  return -1;
}

static EVP_PKEY *
parse_public (GBytes *pem, const char *source, GError **error)
{
  g_autoptr (BIO) bio = BIO_new_mem_buf (g_bytes_get_data (pem, NULL), (int) g_bytes_get_size (pem));
  EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PUBKEY (bio, NULL, no_passphrase, NULL);

  if (key == NULL)
    set_openssl (error, FLOE_ERROR_INVALID, source);
  return key;
}

static char *
public_to_pem (EVP_PKEY *key, GError **error)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  char *data;
  long size;

  if (bio == NULL || PEM_write_bio_PUBKEY (bio, key) != 1) {
    set_openssl (error, FLOE_ERROR_FAILED, "public key");
    return NULL;
  }
  size = BIO_get_mem_data (bio, &data);
  return g_strndup (data, (gsize) size);
}

static gboolean
is_p256 (EVP_PKEY *key)
{
  char group[64];

  return EVP_PKEY_is_a (key, "EC") && EVP_PKEY_get_group_name (key, group, sizeof group, NULL) == 1 &&
         strcmp (group, "prime256v1") == 0;
}

static json_t *
public_to_json (EVP_PKEY *key, const char *source, GError **error)
{
  g_autofree char *value = NULL;

  if (EVP_PKEY_is_a (key, "ED25519")) {
    unsigned char raw[32];
    size_t size = sizeof raw;

    if (EVP_PKEY_get_raw_public_key (key, raw, &size) != 1) {
      set_openssl (error, FLOE_ERROR_INVALID, source);
      return NULL;
    }
    value = floe_hex_encode (raw, size);
    return json_pack ("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval", "public", value);
  }
  if (!is_p256 (key)) {
    floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s: Ed25519 or ECDSA P-256 wanted, not %s", source,
                    EVP_PKEY_get0_type_name (key) != NULL ? EVP_PKEY_get0_type_name (key) : "an unknown type");
    return NULL;
  }
  value = public_to_pem (key, error);
  if (value == NULL)
    return NULL;
  return json_pack ("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval", "public", value);
}

json_t *
floe_signer_public_from_pem (GBytes *pem, const char *source, GError **error)
{
  g_autoptr (EVP_PKEY) key = parse_public (pem, source, error);

  return key == NULL ? NULL : public_to_json (key, source, error);
}

/* -- Making --------------------------------------------------------------------------------------------------------- */

static gboolean
check_name_free (int keys_dir, const char *name, GError **error)
{
  static const char *const endings[] = { ".pub", ".key", ".uri" };

  if (!floe_name_is_safe (name) || strlen (name) > 64)
    return floe_error_set (error, FLOE_ERROR_INVALID, "key name '%s': 1 to 64 of A-Z a-z 0-9 . _ - wanted", name);
  for (size_t i = 0; i < G_N_ELEMENTS (endings); i++) {
    g_autofree char *file = g_strconcat (name, endings[i], NULL);

    if (faccessat (keys_dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return floe_error_set (error, FLOE_ERROR_BUSY, "key %s exists already; keys are never overwritten", file);
  }
  return TRUE;
}

static gboolean
write_public (int keys_dir, const char *name, EVP_PKEY *key, GError **error)
{
  g_autofree char *file = g_strconcat (name, ".pub", NULL);
  g_autofree char *pem = public_to_pem (key, error);

  return pem != NULL && floe_file_replace_at (keys_dir, file, pem, strlen (pem), 0644, error);
}

/* PKCS#8 under PBES2 with scrypt (RFC 7914) and AES-256-CBC. Ownership of what OpenSSL takes over is given up step by step. */
static X509_SIG *
encrypt_private (EVP_PKEY *key, const char *passphrase, GError **error)
{
  g_autoptr (PKCS8_PRIV_KEY_INFO) info = EVP_PKEY2PKCS8 (key);
  g_autoptr (X509_ALGOR) algorithm = PKCS5_pbe2_set_scrypt (EVP_aes_256_cbc (), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
  X509_SIG *encrypted = NULL;

  if (info != NULL && algorithm != NULL)
    encrypted = PKCS8_set0_pbe (passphrase, (int) strlen (passphrase), info, algorithm);
  if (encrypted == NULL)
    set_openssl (error, FLOE_ERROR_FAILED, "encrypt private key");
  else
    (void) g_steal_pointer (&algorithm); /* now part of ENCRYPTED */
  return encrypted;
}

static gboolean
write_private (int keys_dir, const char *name, EVP_PKEY *key, const char *passphrase, GError **error)
{
  g_autofree char *file = g_strconcat (name, ".key", NULL);
  g_autoptr (X509_SIG) encrypted = encrypt_private (key, passphrase, error);
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  char *data;
  long size;

  if (encrypted == NULL)
    return FALSE;
  if (bio == NULL || PEM_write_bio_PKCS8 (bio, encrypted) != 1)
    return set_openssl (error, FLOE_ERROR_FAILED, "write private key");
  size = BIO_get_mem_data (bio, &data);
  return floe_file_replace_at (keys_dir, file, data, (size_t) size, 0600, error);
}

gboolean
floe_signer_generate (int keys_dir, const char *name, FloeSignerType type, FloePassphrase *passphrase, GError **error)
{
  g_autoptr (EVP_PKEY) key = NULL;
  const char *text;

  if (!check_name_free (keys_dir, name, error))
    return FALSE;
  text = floe_passphrase_get (passphrase, "new private keys", TRUE, error);
  if (text == NULL)
    return FALSE;
  key = type == FLOE_SIGNER_ED25519 ? EVP_PKEY_Q_keygen (NULL, NULL, "ED25519")
                                    : EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  if (key == NULL)
    return set_openssl (error, FLOE_ERROR_FAILED, "make key");
  /* The private half first: a public half alone would be put into a role that nobody can sign. */
  return write_private (keys_dir, name, key, text, error) && write_public (keys_dir, name, key, error);
}

gboolean
floe_signer_adopt_token (int keys_dir, const char *name, const char *uri, FloePassphrase *passphrase, GError **error)
{
  g_autofree char *file = g_strconcat (name, ".uri", NULL);
  g_autofree char *line = g_strconcat (uri, "\n", NULL);
  g_autoptr (EVP_PKEY) key = NULL;
  json_t *checked;

  if (!check_name_free (keys_dir, name, error))
    return FALSE;
  key = floe_token_open (uri, passphrase, error);
  if (key == NULL)
    return FALSE;
  checked = public_to_json (key, uri, error);
  if (checked == NULL)
    return FALSE;
  json_decref (checked);
  return floe_file_replace_at (keys_dir, file, line, strlen (line), 0600, error) &&
         write_public (keys_dir, name, key, error);
}

/* -- Listing -------------------------------------------------------------------------------------------------------- */

static char *
private_file_of (int keys_dir, const char *name)
{
  static const char *const endings[] = { ".key", ".uri" };

  for (size_t i = 0; i < G_N_ELEMENTS (endings); i++) {
    g_autofree char *file = g_strconcat (name, endings[i], NULL);

    if (faccessat (keys_dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return g_steal_pointer (&file);
  }
  return NULL;
}

static FloeSigner *
signer_open (int keys_dir, const char *file, GError **error)
{
  g_autoptr (FloeSigner) signer = g_new0 (FloeSigner, 1);
  g_autoptr (GBytes) pem = NULL;
  json_t *json;

  signer->keys_dir = fcntl (keys_dir, F_DUPFD_CLOEXEC, 3);
  signer->name = g_strndup (file, strlen (file) - strlen (".pub"));
  signer->private_file = private_file_of (keys_dir, signer->name);
  if (signer->keys_dir < 0) {
    floe_error_set_errno (error, errno, "keys directory");
    return NULL;
  }
  pem = floe_file_read_at (keys_dir, file, KEY_FILE_MAX, error);
  if (pem == NULL)
    return NULL;
  signer->public = parse_public (pem, file, error);
  if (signer->public == NULL)
    return NULL;
  json = public_to_json (signer->public, file, error);
  if (json == NULL)
    return NULL;
  signer->keyid = floe_key_make_id (json, error);
  json_decref (json);
  return signer->keyid == NULL ? NULL : g_steal_pointer (&signer);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const FloeSigner *const *one = a, *const *other = b;

  return strcmp ((*one)->name, (*other)->name);
}

GPtrArray *
floe_signer_list (int keys_dir, GError **error)
{
  g_autoptr (GPtrArray) signers = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_signer_free);
  floe_autofd copy = openat (keys_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  const struct dirent *entry;
  gboolean ok = TRUE;

  if (dir == NULL) {
    floe_error_set_errno (error, errno, "list keys");
    return NULL;
  }
  (void) floe_fd_steal (&copy); /* DIR's now */
  while (ok && (entry = readdir (dir)) != NULL) {
    FloeSigner *signer;

    if (!floe_name_is_safe (entry->d_name) || !g_str_has_suffix (entry->d_name, ".pub"))
      continue;
    signer = signer_open (keys_dir, entry->d_name, error);
    ok = signer != NULL;
    if (ok)
      g_ptr_array_add (signers, signer);
    if (signers->len > SIGNERS_MAX)
      ok = floe_error_set (error, FLOE_ERROR_LIMIT, "more than %d keys in one directory", SIGNERS_MAX);
  }
  closedir (dir);
  g_ptr_array_sort (signers, compare_names);
  return ok ? g_steal_pointer (&signers) : NULL;
}

/* -- Signing -------------------------------------------------------------------------------------------------------- */

typedef struct {
  FloePassphrase *passphrase;
  const char *what;
  GError **error;
} Asked;

/* OpenSSL asks only when the key is encrypted, and, when it gets no answer, again for each form the key could have. */
static int
give_passphrase (char *buffer, int size, int writing, void *data)
{
  Asked *asked = data;
  const char *text = NULL;

  (void) writing;
  if (*asked->error == NULL)
    text = floe_passphrase_get (asked->passphrase, asked->what, FALSE, asked->error);
  if (text == NULL || strlen (text) > (size_t) size)
    return -1;
  memcpy (buffer, text, strlen (text));
  return (int) strlen (text);
}

static gboolean
check_private_mode (const FloeSigner *signer, GError **error)
{
  struct stat st;

  if (fstatat (signer->keys_dir, signer->private_file, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return floe_error_set_errno (error, errno, "%s", signer->private_file);
  if (S_ISREG (st.st_mode) && (st.st_mode & 077) == 0)
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_REFUSED, "%s is open to others than its owner (mode %04o): chmod 0600 it",
                         signer->private_file, (unsigned) st.st_mode & 07777);
}

static EVP_PKEY *
read_private (FloeSigner *signer, FloePassphrase *passphrase, GError **error)
{
  g_autoptr (GBytes) content = floe_file_read_at (signer->keys_dir, signer->private_file, KEY_FILE_MAX, error);
  g_autoptr (BIO) bio = NULL;
  g_autoptr (GError) asking = NULL;
  Asked asked = { passphrase, signer->private_file, &asking };
  EVP_PKEY *key;
  gsize size;
  const char *data;

  if (content == NULL)
    return NULL;
  data = g_bytes_get_data (content, &size);
  if (g_str_has_suffix (signer->private_file, ".uri")) {
    g_autofree char *uri = g_strstrip (g_strndup (data != NULL ? data : "", size));

    return floe_token_open (uri, passphrase, error);
  }
  bio = BIO_new_mem_buf (data, (int) size);
  key = bio == NULL ? NULL : PEM_read_bio_PrivateKey (bio, NULL, give_passphrase, &asked);
  /* A key that its owner chose not to encrypt must not linger in the buffer either. */
  if (data != NULL)
    OPENSSL_cleanse ((gpointer) data, size);
  if (key == NULL && asking != NULL)
    g_propagate_error (error, g_steal_pointer (&asking));
  else if (key == NULL) {
    ERR_clear_error ();
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: wrong passphrase, or no private key in PKCS#8", signer->private_file);
  }
  return key;
}

static gboolean
unlock (FloeSigner *signer, FloePassphrase *passphrase, GError **error)
{
  g_autoptr (EVP_PKEY) key = NULL;

  if (signer->private != NULL)
    return TRUE;
  if (signer->private_file == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: the private half of this key is not here", signer->name);
  if (!check_private_mode (signer, error))
    return FALSE;
  key = read_private (signer, passphrase, error);
  if (key == NULL)
    return FALSE;
  if (EVP_PKEY_eq (key, signer->public) != 1) {
    ERR_clear_error ();
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s is not the private half of %s.pub", signer->private_file,
                           signer->name);
  }
  signer->private = g_steal_pointer (&key);
  return TRUE;
}

/* A signature that does not verify must not be published: a token may have signed with another of its keys than the URI means, or
 * a fault may have struck, whose result can even give the key away. */
static gboolean
check_signature (FloeSigner *signer, const EVP_MD *digest, const unsigned char *raw, size_t length, const void *data, size_t size,
                 GError **error)
{
  g_autoptr (EVP_MD_CTX) context = EVP_MD_CTX_new ();

  if (context != NULL && EVP_DigestVerifyInit (context, NULL, digest, NULL, signer->public) == 1 &&
      EVP_DigestVerify (context, raw, length, data, size) == 1)
    return TRUE;
  ERR_clear_error ();
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                         "%s made a signature that is not by %s.pub; if it is in a token, give each key there an id and the URI "
                         "that id",
                         signer->private_file, signer->name);
}

char *
floe_signer_sign (FloeSigner *signer, FloePassphrase *passphrase, const void *data, size_t size, GError **error)
{
  g_autoptr (EVP_MD_CTX) context = NULL;
  unsigned char raw[SIGNATURE_MAX];
  size_t length = sizeof raw;
  const EVP_MD *digest;

  if (!unlock (signer, passphrase, error))
    return NULL;
  context = EVP_MD_CTX_new ();
  /* Ed25519 hashes by itself. */
  digest = EVP_PKEY_is_a (signer->public, "ED25519") ? NULL : EVP_sha256 ();
  if (context == NULL || EVP_DigestSignInit (context, NULL, digest, NULL, signer->private) != 1 ||
      EVP_DigestSign (context, raw, &length, data, size) != 1) {
    set_openssl (error, FLOE_ERROR_FAILED, signer->name);
    return NULL;
  }
  if (!check_signature (signer, digest, raw, length, data, size, error))
    return NULL;
  return floe_hex_encode (raw, length);
}
