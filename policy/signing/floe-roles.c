/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-roles.h"

#include "common/floe-fd.h"
#include "policy/signing/floe-repository-private.h"
#include "policy/trust/floe-key.h"

#include <string.h>

#define KEYID_PREFIX_MIN 8

/* -- Keys of a role ------------------------------------------------------------------------------------------------- */

static gboolean
is_used (json_t *entry, const char *keyid)
{
  json_t *id;
  size_t i;

  json_array_foreach (json_object_get (entry, "keyids"), i, id)
    if (strcmp (json_string_value (id), keyid) == 0)
      return TRUE;
  return FALSE;
}

/* Drops keys that no role of DELEGATOR lists any more. */
static void
drop_unused_keys (json_t *delegator)
{
  json_t *roles = json_object_get (json_object_get (delegator, "delegations"), "roles");
  json_t *keys = floe_signed_keys (delegator), *key, *entry;
  const char *id, *name;
  void *next;

  json_object_foreach_safe (keys, next, id, key) {
    gboolean used = FALSE;
    size_t i;

    json_array_foreach (roles, i, entry)
      used = used || is_used (entry, id);
    if (roles == NULL)
      json_object_foreach (json_object_get (delegator, "roles"), name, entry)
        used = used || is_used (entry, id);
    if (!used)
      json_object_del (keys, id);
  }
}

/* ROLE's entry as it is in force: a change that a draft has made already, and this has not, is one that was interrupted, and is
 * carried on rather than refused. */
static json_t *
entry_in_force (FloeRepository *repository, const char *role)
{
  FloeEnvelope *delegator = floe_repository_force (repository, floe_role_delegator (role));

  return delegator == NULL ? NULL : floe_envelope_role (delegator, role);
}

/* x-floe-names tells people whose key it is; clients ignore it, as TUF wants for what they do not know. */
static gboolean
put_key (FloeRepository *repository, json_t *delegator, const char *role, json_t *key, const char *name, GError **error)
{
  g_autofree char *id = floe_key_make_id (key, error);
  json_t *entry = floe_signed_role (delegator, role);
  json_t *names = json_object_get (entry, "x-floe-names");

  if (id == NULL)
    return FALSE;
  if (is_used (entry, id))
    return !is_used (entry_in_force (repository, role), id) || floe_error_set (error, FLOE_ERROR_BUSY, "role %s has this key already", role);
  if (names == NULL) {
    names = json_object ();
    json_object_set_new (entry, "x-floe-names", names);
  }
  json_object_set_new (names, id, json_string (name));
  json_object_set (floe_signed_keys (delegator), id, key);
  json_array_append_new (json_object_get (entry, "keyids"), json_string (id));
  return TRUE;
}

/* Index of the one key of ENTRY that KEY means; -1 with *error set for none or several. */
static gssize
find_key (json_t *entry, const char *role, const char *key, GError **error)
{
  gssize found = -1;
  json_t *id;
  size_t i;

  json_array_foreach (json_object_get (entry, "keyids"), i, id) {
    const char *keyid = json_string_value (id);
    const char *name = json_string_value (json_object_get (json_object_get (entry, "x-floe-names"), keyid));

    if (g_strcmp0 (name, key) != 0 && !(strlen (key) >= KEYID_PREFIX_MIN && g_str_has_prefix (keyid, key)))
      continue;
    if (found >= 0) {
      floe_error_set (error, FLOE_ERROR_INVALID, "'%s' means more than one key of role %s: give its id", key, role);
      return -1;
    }
    found = (gssize) i;
  }
  if (found < 0)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "role %s has no key '%s'", role, key);
  return found;
}

static gboolean
take_key (FloeRepository *repository, json_t *delegator, const char *role, const char *key, GError **error)
{
  json_t *entry = floe_signed_role (delegator, role);
  json_t *ids = json_object_get (entry, "keyids");
  g_autoptr (GError) missing = NULL;
  gssize index = find_key (entry, role, key, &missing);

  if (index < 0 && find_key (entry_in_force (repository, role), role, key, NULL) >= 0)
    return TRUE;
  if (index < 0) {
    g_propagate_error (error, g_steal_pointer (&missing));
    return FALSE;
  }
  json_object_del (json_object_get (entry, "x-floe-names"), json_string_value (json_array_get (ids, (size_t) index)));
  json_array_remove (ids, (size_t) index);
  drop_unused_keys (delegator);
  return TRUE;
}

static gboolean
check_threshold (json_t *entry, const char *role, GError **error)
{
  json_int_t threshold = json_integer_value (json_object_get (entry, "threshold"));
  size_t keys = json_array_size (json_object_get (entry, "keyids"));

  return (threshold >= 1 && (size_t) threshold <= keys) ||
         floe_error_set (error, FLOE_ERROR_INVALID, "role %s would need %d signatures and have %zu keys", role, (int) threshold,
                         keys);
}

/* -- Changes -------------------------------------------------------------------------------------------------------- */

/* The delegator of ROLE, to be edited; its entry for ROLE is there. */
static json_t *
edit_delegator (FloeRepository *repository, const char *role, GError **error)
{
  json_t *view = floe_repository_view (repository, floe_role_delegator (role));

  if (floe_signed_role (view, role) == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "this repository has no role '%s'", role);
    return NULL;
  }
  return floe_repository_edit (repository, floe_role_delegator (role), error);
}

/* Whether ROLE's newest metadata is content with the keys that its delegator is about to name. */
static gboolean
is_content (FloeRepository *repository, const char *role)
{
  FloeEnvelope *newest = floe_repository_newest (repository, role);
  FloeEnvelope *delegator = floe_repository_newest (repository, floe_role_delegator (role));
  g_autoptr (FloeAuthority) authority = floe_authority_new (delegator, role, NULL);

  return newest == NULL || (authority != NULL && floe_authority_check (authority, newest, role, NULL));
}

/* The edit of ROLE's delegator is whole: drafts, signatures, force. */
static gboolean
apply (FloeRepository *repository, const char *role, gint64 now, GError **error)
{
  const char *delegator = floe_role_delegator (role);
  json_t *entry = floe_signed_role (floe_repository_view (repository, delegator), role);

  if (!check_threshold (entry, role, error) || !floe_repository_stage (repository, delegator, now, error))
    return FALSE;
  if (strcmp (role, "root") != 0 && !floe_role_is_online (role) && !is_content (repository, role)) {
    if (floe_repository_edit (repository, role, error) == NULL || !floe_repository_stage (repository, role, now, error))
      return FALSE;
  }
  return floe_repository_commit (repository, FALSE, now, error);
}

/* A change that failed is not left in memory for the next one to carry along. */
static gboolean
finish (FloeRepository *repository, const char *role, gboolean ok)
{
  if (!ok) {
    g_hash_table_remove (repository->edit, floe_role_delegator (role));
    g_hash_table_remove (repository->edit, role);
  }
  floe_repository_forget_keys (repository);
  return ok;
}

static gboolean
put_pem (FloeRepository *repository, json_t *delegator, const char *role, GBytes *pem, const char *name, GError **error)
{
  json_t *key = floe_signer_public_from_pem (pem, name, error);
  gboolean ok = key != NULL && put_key (repository, delegator, role, key, name, error);

  json_decref (key);
  return ok;
}

gboolean
floe_repository_add_key (FloeRepository *repository, const char *role, GBytes *pem, const char *name, gint64 now,
                         GError **error)
{
  json_t *delegator = edit_delegator (repository, role, error);

  return finish (repository, role, delegator != NULL && put_pem (repository, delegator, role, pem, name, error) &&
                                     apply (repository, role, now, error));
}

gboolean
floe_repository_remove_key (FloeRepository *repository, const char *role, const char *key, gint64 now, GError **error)
{
  json_t *delegator = edit_delegator (repository, role, error);

  return finish (repository, role, delegator != NULL && take_key (repository, delegator, role, key, error) &&
                                     apply (repository, role, now, error));
}

gboolean
floe_repository_rotate (FloeRepository *repository, const char *role, const char *old_key, GBytes *pem, const char *name,
                        gint64 now, GError **error)
{
  json_t *delegator = edit_delegator (repository, role, error);

  return finish (repository, role, delegator != NULL && take_key (repository, delegator, role, old_key, error) &&
                                     put_pem (repository, delegator, role, pem, name, error) && apply (repository, role, now, error));
}

gboolean
floe_repository_set_threshold (FloeRepository *repository, const char *role, guint threshold, gint64 now, GError **error)
{
  json_t *delegator = edit_delegator (repository, role, error);

  if (delegator == NULL)
    return FALSE;
  json_object_set_new (floe_signed_role (delegator, role), "threshold", json_integer ((json_int_t) threshold));
  return finish (repository, role, apply (repository, role, now, error));
}

gboolean
floe_repository_extend (FloeRepository *repository, const char *role, gint64 now, GError **error)
{
  return floe_repository_edit (repository, role, error) != NULL &&
         floe_repository_publish (repository, role, now, NULL, error);
}

gboolean
floe_repository_has_draft (FloeRepository *repository, const char *role)
{
  return g_hash_table_contains (repository->draft, role);
}

gboolean
floe_repository_sign_draft (FloeRepository *repository, const char *role, gint64 now, GError **error)
{
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role);
  guint added = 0;

  if (draft == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no draft of %s to sign", role);
  if (!floe_repository_add_signatures (repository, role, draft, &added, error))
    return finish (repository, role, FALSE);
  if (added == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no private key here may sign %s", role);
  return finish (repository, role, floe_repository_write_draft (repository, role, error) &&
                                     floe_repository_commit (repository, FALSE, now, error));
}

gboolean
floe_repository_discard_draft (FloeRepository *repository, const char *role, GError **error)
{
  return floe_repository_discard (repository, role, error);
}

gboolean
floe_repository_refresh (FloeRepository *repository, gint64 now, GError **error)
{
  return finish (repository, "timestamp", floe_repository_commit (repository, TRUE, now, error));
}
