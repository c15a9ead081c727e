/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/forge.h"

#include "policy/trust/floe-canonical.h"
#include "policy/trust/floe-key.h"
#include "policy/trust/floe-metadata.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#define PIECE 37 /* bytes handed over at once, so that nothing arrives whole */

/* -- Keys ------------------------------------------------------------------------------------------------------------ */

struct _ForgeKey {
  gatomicrefcount references;
  EVP_PKEY *key;
  json_t *json;
};

static char *
to_hex (const guint8 *data, size_t size)
{
  GString *hex = g_string_new (NULL);

  for (size_t i = 0; i < size; i++)
    g_string_append_printf (hex, "%02x", data[i]);
  return g_string_free (hex, FALSE);
}

static char *
public_pem (EVP_PKEY *key)
{
  BIO *out = BIO_new (BIO_s_mem ());
  char *data, *pem;
  long size;

  g_assert_true (PEM_write_bio_PUBKEY (out, key));
  size = BIO_get_mem_data (out, &data);
  pem = g_strndup (data, (gsize) size);
  BIO_free (out);
  return pem;
}

ForgeKey *
forge_key_new (const char *type)
{
  ForgeKey *key = g_new0 (ForgeKey, 1);
  g_autofree char *public = NULL;
  guint8 raw[32];
  size_t size = sizeof raw;

  g_atomic_ref_count_init (&key->references);
  if (strcmp (type, "ed25519") == 0) {
    key->key = EVP_PKEY_Q_keygen (NULL, NULL, "ED25519");
    g_assert_true (EVP_PKEY_get_raw_public_key (key->key, raw, &size));
    public = to_hex (raw, size);
    key->json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", type, "scheme", type, "keyval", "public", public);
  } else if (strcmp (type, "ecdsa") == 0) {
    key->key = EVP_EC_gen ("P-256");
    public = public_pem (key->key);
    key->json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", type, "scheme", "ecdsa-sha2-nistp256", "keyval", "public", public);
  } else {
    key->key = EVP_RSA_gen ((unsigned) atoi (type + strlen ("rsa")));
    public = public_pem (key->key);
    key->json = json_pack ("{s:s,s:s,s:{s:s}}", "keytype", "rsa", "scheme", "rsassa-pss-sha256", "keyval", "public", public);
  }
  g_assert_nonnull (key->key);
  return key;
}

ForgeKey *
forge_key_alias (ForgeKey *key)
{
  ForgeKey *alias = g_new0 (ForgeKey, 1);

  g_atomic_ref_count_init (&alias->references);
  g_assert_true (EVP_PKEY_up_ref (key->key));
  alias->key = key->key;
  alias->json = json_deep_copy (key->json);
  json_object_set_new (alias->json, "x-note", json_string ("another id"));
  return alias;
}

ForgeKey *
forge_key_ref (ForgeKey *key)
{
  g_atomic_ref_count_inc (&key->references);
  return key;
}

void
forge_key_unref (ForgeKey *key)
{
  if (key == NULL || !g_atomic_ref_count_dec (&key->references))
    return;
  EVP_PKEY_free (key->key);
  json_decref (key->json);
  g_free (key);
}

json_t *
forge_key_json (ForgeKey *key)
{
  return key->json;
}

char *
forge_key_id (ForgeKey *key)
{
  return floe_key_make_id (key->json, NULL);
}

char *
forge_key_sign (ForgeKey *key, GBytes *data)
{
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  EVP_PKEY_CTX *parameters;
  const EVP_MD *digest = EVP_PKEY_is_a (key->key, "ED25519") ? NULL : EVP_sha256 ();
  guint8 signature[1024];
  size_t size = sizeof signature;

  g_assert_true (EVP_DigestSignInit (context, &parameters, digest, NULL, key->key));
  if (EVP_PKEY_is_a (key->key, "RSA"))
    g_assert_true (EVP_PKEY_CTX_set_rsa_padding (parameters, RSA_PKCS1_PSS_PADDING) > 0);
  g_assert_true (EVP_DigestSign (context, signature, &size, g_bytes_get_data (data, NULL), g_bytes_get_size (data)));
  EVP_MD_CTX_free (context);
  return to_hex (signature, size);
}

/* -- Transport ------------------------------------------------------------------------------------------------------- */

static gboolean
serve_endless (Forge *forge, FloeTrustSink sink, gpointer context, GError **error)
{
  static const char spaces[4096] = { [0 ... 4095] = ' ' };

  for (;;) {
    g_assert_cmpuint (forge->served, <, 256u << 20); /* a client that has not stopped by then never will */
    forge->served += sizeof spaces;
    if (!sink (spaces, sizeof spaces, context, error))
      return FALSE;
  }
}

/* Ignores MAX: a hostile server does. */
static gboolean
forge_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
             GCancellable *cancellable, GError **error)
{
  Forge *forge = (Forge *) base;
  GBytes *file = g_hash_table_lookup (forge->files, path);
  gsize size;
  const char *data;

  (void) max;
  g_ptr_array_add (forge->requests, g_strdup (path));
  if (g_strcmp0 (path, forge->endless) == 0)
    return serve_endless (forge, sink, context, error);
  if (file == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: not in the repository", path);
  data = g_bytes_get_data (file, &size);
  for (gsize at = 0; at < size; at += PIECE) {
    if (g_cancellable_is_cancelled (cancellable))
      return floe_error_set (error, FLOE_ERROR_CANCELLED, "cancelled");
    if (g_strcmp0 (path, forge->broken) == 0 && at > 0)
      return floe_error_set (error, FLOE_ERROR_IO, "%s: connection lost", path);
    if (!sink (data + at, MIN (PIECE, size - at), context, error))
      return FALSE;
  }
  return TRUE;
}

static void
keep (FloeTrustTransport *base)
{
  (void) base;
}

/* -- Repository ------------------------------------------------------------------------------------------------------ */

json_t *
forge_body (Forge *forge, const char *role)
{
  return g_hash_table_lookup (forge->bodies, role);
}

json_int_t
forge_version (Forge *forge, const char *role)
{
  return json_integer_value (json_object_get (forge_body (forge, role), "version"));
}

void
forge_set_version (Forge *forge, const char *role, json_int_t version)
{
  json_object_set_new (forge_body (forge, role), "version", json_integer (version));
}

GPtrArray *
forge_signers (Forge *forge, const char *role)
{
  GPtrArray *signers = g_hash_table_lookup (forge->signers, role);

  if (signers == NULL) {
    signers = g_ptr_array_new_with_free_func ((GDestroyNotify) forge_key_unref);
    g_hash_table_insert (forge->signers, g_strdup (role), signers);
  }
  return signers;
}

GBytes *
forge_sign (json_t *body, GPtrArray *keys)
{
  g_autoptr (GBytes) canonical = floe_canonical_encode (body, NULL);
  json_t *file = json_pack ("{s:[],s:O}", "signatures", "signed", body);
  char *text;

  for (guint i = 0; keys != NULL && i < keys->len; i++) {
    g_autofree char *id = forge_key_id (keys->pdata[i]);
    g_autofree char *signature = forge_key_sign (keys->pdata[i], canonical);

    json_array_append_new (json_object_get (file, "signatures"), json_pack ("{s:s,s:s}", "keyid", id, "sig", signature));
  }
  text = json_dumps (file, JSON_COMPACT);
  json_decref (file);
  return g_bytes_new_take (text, strlen (text));
}

char *
forge_path (Forge *forge, const char *role)
{
  g_autofree char *encoded = floe_percent_encode (role, "");
  gboolean consistent = json_is_true (json_object_get (forge_body (forge, "root"), "consistent_snapshot"));

  if (strcmp (role, "timestamp") == 0 || (!consistent && strcmp (role, "root") != 0))
    return g_strdup_printf ("metadata/%s.json", encoded);
  return g_strdup_printf ("metadata/%" JSON_INTEGER_FORMAT ".%s.json", forge_version (forge, role), encoded);
}

void
forge_put (Forge *forge, const char *path, GBytes *content)
{
  g_hash_table_insert (forge->files, g_strdup (path), g_bytes_ref (content));
}

void
forge_put_text (Forge *forge, const char *path, const char *text)
{
  g_autoptr (GBytes) content = g_bytes_new (text, strlen (text));

  forge_put (forge, path, content);
}

void
forge_publish (Forge *forge, const char *role)
{
  const char *parent = strcmp (role, "snapshot") == 0 ? "timestamp" : "snapshot";
  g_autoptr (GBytes) file = forge_sign (forge_body (forge, role), forge_signers (forge, role));
  g_autofree char *path = forge_path (forge, role), *name = g_strconcat (role, ".json", NULL);
  json_t *meta = json_pack ("{s:I}", "version", forge_version (forge, role));

  forge_put (forge, path, file);
  if (forge->hashes) {
    g_autofree char *digest = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, file);

    json_object_set_new (meta, "length", json_integer ((json_int_t) g_bytes_get_size (file)));
    json_object_set_new (meta, "hashes", json_pack ("{s:s}", "sha256", digest));
  }
  if (strcmp (role, "root") != 0 && strcmp (role, "timestamp") != 0)
    json_object_set (json_object_get (forge_body (forge, parent), "meta"), name, meta);
  json_decref (meta);
}

void
forge_bump (Forge *forge, const char *role)
{
  forge_set_version (forge, role, forge_version (forge, role) + 1);
  forge_publish (forge, role);
}

void
forge_release (Forge *forge, const char *role, ...)
{
  va_list arguments;

  va_start (arguments, role);
  for (; role != NULL; role = va_arg (arguments, const char *))
    forge_bump (forge, role);
  va_end (arguments);
  forge_bump (forge, "snapshot");
  forge_bump (forge, "timestamp");
}

void
forge_add_target_bytes (Forge *forge, const char *role, const char *name, GBytes *content)
{
  g_autofree char *digest = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, content);
  g_autofree char *encoded = floe_percent_encode (name, "/");
  const char *slash = strrchr (encoded, '/');
  g_autofree char *path = g_strdup_printf ("targets/%.*s%s.%s", slash != NULL ? (int) (slash + 1 - encoded) : 0, encoded, digest,
                                           slash != NULL ? slash + 1 : encoded);
  g_autofree char *plain = g_strconcat ("targets/", encoded, NULL);

  forge_put (forge, path, content);
  forge_put (forge, plain, content);
  json_object_set_new (json_object_get (forge_body (forge, role), "targets"), name,
                       json_pack ("{s:I,s:{s:s}}", "length", (json_int_t) g_bytes_get_size (content), "hashes", "sha256", digest));
}

void
forge_add_target (Forge *forge, const char *role, const char *name, const char *content)
{
  g_autoptr (GBytes) bytes = g_bytes_new (content, strlen (content));

  forge_add_target_bytes (forge, role, name, bytes);
}

json_t *
forge_delegation (Forge *forge, const char *from, const char *name)
{
  json_t *roles = json_object_get (json_object_get (forge_body (forge, from), "delegations"), "roles"), *role;
  size_t i;

  json_array_foreach (roles, i, role)
    if (strcmp (json_string_value (json_object_get (role, "name")), name) == 0)
      return role;
  return NULL;
}

static json_t *
describe (Forge *forge, const char *from, const char *role)
{
  if (strcmp (from, "root") == 0)
    return json_object_get (json_object_get (forge_body (forge, from), "roles"), role);
  return forge_delegation (forge, from, role);
}

void
forge_add_key (Forge *forge, const char *from, const char *role, ForgeKey *key)
{
  json_t *body = forge_body (forge, from);
  json_t *holder = strcmp (from, "root") == 0 ? body : json_object_get (body, "delegations");
  g_autofree char *id = forge_key_id (key);

  json_object_set (json_object_get (holder, "keys"), id, key->json);
  json_array_append_new (json_object_get (describe (forge, from, role), "keyids"), json_string (id));
  g_ptr_array_add (forge_signers (forge, role), forge_key_ref (key));
}

void
forge_set_threshold (Forge *forge, const char *from, const char *role, int threshold)
{
  json_object_set_new (describe (forge, from, role), "threshold", json_integer (threshold));
}

void
forge_rotate (Forge *forge, const char *role)
{
  g_autoptr (ForgeKey) key = forge_key_new ("ed25519");

  g_ptr_array_set_size (forge_signers (forge, role), 0);
  json_array_clear (json_object_get (describe (forge, "root", role), "keyids"));
  forge_add_key (forge, "root", role, key);
}

static void
add_body (Forge *forge, const char *role, const char *type, json_t *extra)
{
  json_t *body = json_pack ("{s:s,s:s,s:i,s:s}", "_type", type, "spec_version", "1.0.31", "version", 1, "expires", FORGE_EXPIRY);

  json_object_update (body, extra);
  json_decref (extra);
  g_hash_table_insert (forge->bodies, g_strdup (role), body);
}

void
forge_delegate (Forge *forge, const char *from, const char *name, gboolean terminating, json_t *match)
{
  g_autoptr (ForgeKey) key = forge_key_new ("ed25519");
  json_t *body = forge_body (forge, from), *role;

  if (json_object_get (body, "delegations") == NULL)
    json_object_set_new (body, "delegations", json_pack ("{s:{},s:[]}", "keys", "roles"));
  role = json_pack ("{s:s,s:[],s:i,s:b}", "name", name, "keyids", "threshold", 1, "terminating", terminating);
  json_object_update (role, match);
  json_decref (match);
  json_array_append_new (json_object_get (json_object_get (body, "delegations"), "roles"), role);
  if (forge_body (forge, name) == NULL)
    add_body (forge, name, "targets", json_pack ("{s:{}}", "targets"));
  forge_add_key (forge, from, name, key);
}

Forge *
forge_new (void)
{
  static const char *const top[] = { "root", "timestamp", "snapshot", "targets" };
  Forge *forge = g_new0 (Forge, 1);

  forge->transport.fetch = forge_fetch;
  forge->transport.free = keep;
  forge->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
  forge->bodies = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) json_decref);
  forge->signers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  forge->requests = g_ptr_array_new_with_free_func (g_free);
  forge->hashes = TRUE;
  add_body (forge, "root", "root", json_pack ("{s:b,s:{},s:{}}", "consistent_snapshot", 1, "keys", "roles"));
  add_body (forge, "timestamp", "timestamp", json_pack ("{s:{}}", "meta"));
  add_body (forge, "snapshot", "snapshot", json_pack ("{s:{}}", "meta"));
  add_body (forge, "targets", "targets", json_pack ("{s:{}}", "targets"));
  for (size_t i = 0; i < G_N_ELEMENTS (top); i++) {
    g_autoptr (ForgeKey) key = forge_key_new ("ed25519");

    json_object_set_new (json_object_get (forge_body (forge, "root"), "roles"), top[i],
                         json_pack ("{s:[],s:i}", "keyids", "threshold", 1));
    forge_add_key (forge, "root", top[i], key);
  }
  forge_delegate (forge, "targets", "policy", TRUE, json_pack ("{s:[s]}", "paths", "policy/*"));
  forge_delegate (forge, "targets", "images", TRUE, json_pack ("{s:[s]}", "paths", "images/*/*"));
  forge_add_target (forge, "policy", "policy/office.json", FORGE_OFFICE);
  forge_publish (forge, "root");
  forge_publish (forge, "images");
  forge_publish (forge, "policy");
  forge_publish (forge, "targets");
  forge_publish (forge, "snapshot");
  forge_publish (forge, "timestamp");
  return forge;
}

void
forge_free (Forge *forge)
{
  if (forge == NULL)
    return;
  g_hash_table_unref (forge->files);
  g_hash_table_unref (forge->bodies);
  g_hash_table_unref (forge->signers);
  g_ptr_array_unref (forge->requests);
  g_free (forge);
}

void
forge_write (Forge *forge, const char *dir)
{
  GHashTableIter iter;
  gpointer path, file;

  g_hash_table_iter_init (&iter, forge->files);
  while (g_hash_table_iter_next (&iter, &path, &file)) {
    g_autofree char *full = g_build_filename (dir, path, NULL), *parent = g_path_get_dirname (full);

    g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
    g_assert_true (g_file_set_contents (full, g_bytes_get_data (file, NULL), (gssize) g_bytes_get_size (file), NULL));
  }
}
