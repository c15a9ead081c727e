/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-status.h"

#include "policy/signing/floe-repository-private.h"

#include <string.h>

#define DAY 86400
#define SHORT_ID 8

/* -- Words ---------------------------------------------------------------------------------------------------------- */

/* "alice (1234abcd)" of a key of ENTRY, or its id's beginning alone. */
static char *
key_label (json_t *entry, const char *keyid)
{
  const char *name = json_string_value (json_object_get (json_object_get (entry, "x-floe-names"), keyid));

  return name != NULL ? g_strdup_printf ("%s (%.*s)", name, SHORT_ID, keyid) : g_strdup_printf ("%.*s", SHORT_ID, keyid);
}

static gboolean
has_id (const GPtrArray *ids, const char *keyid)
{
  for (guint i = 0; i < ids->len; i++)
    if (strcmp (g_ptr_array_index (ids, i), keyid) == 0)
      return TRUE;
  return FALSE;
}

/* The keys of ENTRY that are, or are not, among SIGNED: "alice (12…), bob (ab…)"; "nobody" for none. */
static char *
key_list (json_t *entry, const GPtrArray *ids, gboolean signed_wanted)
{
  g_autoptr (GString) list = g_string_new (NULL);
  json_t *id;
  size_t i;

  json_array_foreach (json_object_get (entry, "keyids"), i, id) {
    g_autofree char *label = key_label (entry, json_string_value (id));

    if (has_id (ids, json_string_value (id)) == signed_wanted)
      g_string_append_printf (list, "%s%s", list->len > 0 ? ", " : "", label);
  }
  return list->len > 0 ? g_string_free (g_steal_pointer (&list), FALSE) : g_strdup ("nobody");
}

/* Every online and offline role of root, then targets' delegated ones. */
static GPtrArray *
all_roles (FloeRepository *repository)
{
  g_auto (GStrv) delegated = floe_repository_roles (repository);
  GPtrArray *roles = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (roles, g_strdup ("root"));
  g_ptr_array_add (roles, g_strdup ("timestamp"));
  g_ptr_array_add (roles, g_strdup ("snapshot"));
  for (size_t i = 0; delegated[i] != NULL; i++)
    g_ptr_array_add (roles, g_strdup (delegated[i]));
  return roles;
}

/* Days left, rounded down, negative once expired. */
static gint64
days_left (const FloeEnvelope *envelope, gint64 now)
{
  gint64 left = floe_envelope_expires (envelope) - now;

  return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

/* -- What a draft changes ------------------------------------------------------------------------------------------- */

static void
compare_targets (GString *out, json_t *old, json_t *new)
{
  const char *name;
  json_t *value;

  json_object_foreach (new, name, value) {
    json_t *before = json_object_get (old, name);

    if (before == NULL)
      g_string_append_printf (out, "  + %s\n", name);
    else if (!json_equal (before, value))
      g_string_append_printf (out, "  ~ %s\n", name);
  }
  json_object_foreach (old, name, value)
    if (json_object_get (new, name) == NULL)
      g_string_append_printf (out, "  - %s\n", name);
}

static void
compare_keys (GString *out, const char *role, json_t *from, json_t *to, const char *sign)
{
  json_t *id, *other;
  size_t i, j;

  json_array_foreach (json_object_get (to, "keyids"), i, id) {
    g_autofree char *label = key_label (to, json_string_value (id));
    gboolean found = FALSE;

    json_array_foreach (json_object_get (from, "keyids"), j, other)
      found = found || json_equal (id, other);
    if (!found)
      g_string_append_printf (out, "  %s key of %s: %s\n", sign, role, label);
  }
}

static void
compare_role (GString *out, const char *role, json_t *old, json_t *new)
{
  json_t *before = json_object_get (old, "threshold"), *after = json_object_get (new, "threshold");

  compare_keys (out, role, old, new, "+");
  compare_keys (out, role, new, old, "-");
  if (old != NULL && new != NULL && !json_equal (before, after))
    g_string_append_printf (out, "  ~ threshold of %s: %d, was %d\n", role, (int) json_integer_value (after),
                            (int) json_integer_value (before));
  if (old != NULL && new != NULL && !json_equal (json_object_get (old, "paths"), json_object_get (new, "paths")))
    g_string_append_printf (out, "  ~ paths of %s\n", role);
  if (old != NULL && new != NULL && !json_equal (json_object_get (old, "terminating"), json_object_get (new, "terminating")))
    g_string_append_printf (out, "  ~ terminating of %s\n", role);
}

static void
compare_delegations (GString *out, json_t *old, json_t *new)
{
  json_t *role;
  size_t i;

  json_array_foreach (json_object_get (json_object_get (new, "delegations"), "roles"), i, role) {
    const char *name = json_string_value (json_object_get (role, "name"));

    compare_role (out, name, floe_signed_role (old, name), role);
  }
  json_array_foreach (json_object_get (json_object_get (old, "delegations"), "roles"), i, role) {
    const char *name = json_string_value (json_object_get (role, "name"));

    if (floe_signed_role (new, name) == NULL)
      g_string_append_printf (out, "  - role %s\n", name);
  }
}

char *
floe_repository_changes (FloeRepository *repository, const char *role)
{
  static const char *const top[] = { "root", "timestamp", "snapshot", "targets" };
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role), *force = floe_repository_force (repository, role);
  json_t *new = draft == NULL ? NULL : floe_envelope_signed (draft), *old = force == NULL ? NULL : floe_envelope_signed (force);
  g_autoptr (GString) out = g_string_new (NULL);

  if (new == NULL)
    return g_string_free (g_steal_pointer (&out), FALSE);
  if (strcmp (role, "root") == 0) {
    for (size_t i = 0; i < G_N_ELEMENTS (top); i++)
      compare_role (out, top[i], floe_signed_role (old, top[i]), floe_signed_role (new, top[i]));
  } else {
    compare_targets (out, json_object_get (old, "targets"), json_object_get (new, "targets"));
    compare_delegations (out, old, new);
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* Missing signatures by the keys of AUTHORITY_IN, as one line. */
static void
append_waiting (GString *out, FloeEnvelope *delegator, const char *role, const FloeEnvelope *draft, const char *whose)
{
  g_autoptr (FloeAuthority) authority = floe_authority_new (delegator, role, NULL);
  g_autoptr (GPtrArray) ids = authority == NULL ? NULL : floe_authority_signers (authority, draft, NULL);
  json_t *entry = floe_envelope_role (delegator, role);

  if (ids == NULL)
    return;
  g_autofree char *have = key_list (entry, ids, TRUE), *may = key_list (entry, ids, FALSE);
  guint threshold = floe_authority_threshold (authority);

  g_string_append_printf (out, "  signed by %s, %u of %u needed%s", have, ids->len, threshold, whose);
  if (ids->len < threshold)
    g_string_append_printf (out, "; may sign: %s", may);
  g_string_append_c (out, '\n');
}

char *
floe_repository_waiting (FloeRepository *repository, const char *role)
{
  const char *delegator = floe_role_delegator (role);
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role);
  FloeEnvelope *newest = floe_repository_newest (repository, delegator), *force = floe_repository_force (repository, delegator);
  g_autoptr (GString) out = g_string_new (NULL);

  if (draft != NULL) {
    append_waiting (out, newest, role, draft, newest != force ? " by the keys to come" : "");
    /* A new root needs the old one's word too. */
    if (strcmp (role, "root") == 0 && newest != force)
      append_waiting (out, force, role, draft, " by the keys in force");
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* -- Status --------------------------------------------------------------------------------------------------------- */

static void
append_role (GString *out, FloeRepository *repository, const char *role, gint64 now)
{
  FloeEnvelope *force = floe_repository_force (repository, role);
  FloeEnvelope *delegator = floe_repository_force (repository, floe_role_delegator (role));
  json_t *entry = delegator == NULL ? NULL : floe_envelope_role (delegator, role);
  g_autoptr (FloeAuthority) authority = entry == NULL ? NULL : floe_authority_new (delegator, role, NULL);
  g_autoptr (GPtrArray) ids = NULL;
  g_autofree char *expires = NULL, *who = NULL;

  if (authority == NULL)
    return;
  if (force == NULL) {
    g_string_append_printf (out, "%-10s %7s  nothing published\n", role, "-");
    return;
  }
  ids = floe_authority_signers (authority, force, NULL);
  if (ids == NULL)
    return;
  expires = floe_time_format (floe_envelope_expires (force));
  who = key_list (entry, ids, TRUE);
  g_string_append_printf (out, "%-10s %7" G_GINT64_FORMAT "  %s %5" G_GINT64_FORMAT " days  %u of %zu keys  signed by %s%s\n", role,
                          floe_envelope_version (force), expires, days_left (force, now), floe_authority_threshold (authority),
                          json_array_size (json_object_get (entry, "keyids")), who,
                          ids->len < floe_authority_threshold (authority) ? "  NOT VERIFIED" : "");
}

static void
append_keys (GString *out, FloeRepository *repository, const char *role)
{
  FloeEnvelope *delegator = floe_repository_force (repository, floe_role_delegator (role));
  json_t *entry = delegator == NULL ? NULL : floe_envelope_role (delegator, role);
  json_t *id;
  size_t i;

  json_array_foreach (json_object_get (entry, "keyids"), i, id) {
    const char *keyid = json_string_value (id);
    json_t *key = json_object_get (floe_signed_keys (floe_envelope_signed (delegator)), keyid);
    const char *name = json_string_value (json_object_get (json_object_get (entry, "x-floe-names"), keyid));
    const char *scheme = json_string_value (json_object_get (key, "scheme"));
    const char *here = "";

    for (guint j = 0; j < repository->signers->len; j++) {
      FloeSigner *signer = g_ptr_array_index (repository->signers, j);

      if (strcmp (floe_signer_keyid (signer), keyid) == 0 && floe_signer_can_sign (signer))
        here = "  private key here";
    }
    g_string_append_printf (out, "%-10s %s  %-20s %s%s\n", role, keyid, scheme != NULL ? scheme : "?", name != NULL ? name : "-",
                            here);
  }
}

/* The draft's head, what it changes and who is missing. */
static void
append_draft (GString *out, FloeRepository *repository, const char *role)
{
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role);
  g_autofree char *changes = floe_repository_changes (repository, role);
  g_autofree char *waiting = floe_repository_waiting (repository, role);

  if (draft == NULL)
    return;
  g_string_append_printf (out, "\ndraft of %s, version %" G_GINT64_FORMAT "\n%s%s", role, floe_envelope_version (draft),
                          *changes != '\0' ? changes : "  the same for a further term\n", waiting);
}

char *
floe_repository_warnings (FloeRepository *repository, gint64 now, gboolean *expired)
{
  g_autoptr (GPtrArray) roles = all_roles (repository);
  g_autoptr (GString) out = g_string_new (NULL);
  gboolean any = FALSE;

  for (guint i = 0; i < roles->len; i++) {
    const char *role = g_ptr_array_index (roles, i);
    FloeEnvelope *force = floe_repository_force (repository, role);
    FloeEnvelope *delegator = floe_repository_force (repository, floe_role_delegator (role));
    json_t *entry = delegator == NULL ? NULL : floe_envelope_role (delegator, role);
    gint64 days = json_integer_value (json_object_get (entry, "x-floe-days"));
    gint64 left = force == NULL ? G_MAXINT64 : floe_envelope_expires (force) - now;
    g_autofree char *expires = force == NULL ? NULL : floe_time_format (floe_envelope_expires (force));
    const char *verb = floe_role_is_online (role) ? "refresh" : "extend ";

    if (force == NULL || left > MAX (days, 1) * DAY / 4)
      continue;
    any = any || left <= 0;
    g_string_append_printf (out, "warning: %s %s on %s: run `floe-policy %s%s`\n", role,
                            left <= 0 ? "EXPIRED, endpoints refuse it since it did," : "expires", expires, verb,
                            floe_role_is_online (role) ? "" : role);
  }
  if (expired != NULL)
    *expired = any;
  return g_string_free (g_steal_pointer (&out), FALSE);
}

char *
floe_repository_status (FloeRepository *repository, gint64 now)
{
  g_autoptr (GPtrArray) roles = all_roles (repository);
  g_autoptr (GString) out = g_string_new ("role       version  expires                  left       needed     signatures\n");
  g_autofree char *warnings = floe_repository_warnings (repository, now, NULL);

  for (guint i = 0; i < roles->len; i++)
    append_role (out, repository, g_ptr_array_index (roles, i), now);
  g_string_append (out, "\nkeys\n");
  for (guint i = 0; i < roles->len; i++)
    append_keys (out, repository, g_ptr_array_index (roles, i));
  for (guint i = 0; i < roles->len; i++)
    append_draft (out, repository, g_ptr_array_index (roles, i));
  if (*warnings != '\0')
    g_string_append_printf (out, "\n%s", warnings);
  return g_string_free (g_steal_pointer (&out), FALSE);
}
