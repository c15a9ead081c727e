/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-bindings.h"

#include "hypervisor/resolver/floe-dns-names.h"

#include <string.h>

typedef struct {
  char name[256]; /* first: its hash is the pair's */
  FloePolicyAddress address;
  gint64 until;
} Pair;

struct _FloeBindings {
  unsigned ttl_floor;
  gboolean any;
  GHashTable *rules; /* pattern ("www.example.org", "*.example.org") to GPtrArray of rule ids in `ids` */
  GStringChunk *ids;
  GArray *rebind, *inside; /* of FloePolicyPrefix */
  GHashTable *pairs;       /* set of Pair */
};

static guint
pair_hash (gconstpointer data)
{
  const Pair *pair = data;
  guint hash = g_str_hash (pair->name);

  for (size_t i = 0; i < sizeof pair->address.bytes; i++)
    hash = hash * 33 + pair->address.bytes[i];
  return hash;
}

static gboolean
pair_equal (gconstpointer left, gconstpointer right)
{
  const Pair *a = left, *b = right;

  return a->address.family == b->address.family && memcmp (a->address.bytes, b->address.bytes, sizeof a->address.bytes) == 0
         && strcmp (a->name, b->name) == 0;
}

/* -- Patterns ------------------------------------------------------------------------------------------------------------ */

static void
rules_free (gpointer data)
{
  g_ptr_array_unref (data);
}

static GHashTable *
patterns_new (const FloePolicyNetwork *network, GStringChunk *ids)
{
  GHashTable *rules = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, rules_free);

  for (size_t i = 0; i < network->n_egress; i++) {
    const FloePolicyNetRule *rule = &network->egress[i];
    const char *id = rule->n_names == 0 ? NULL : ids == NULL ? rule->id : g_string_chunk_insert_const (ids, rule->id);

    for (size_t k = 0; k < rule->n_names; k++) {
      const char *pattern = ids == NULL ? rule->names[k] : g_string_chunk_insert_const (ids, rule->names[k]);
      GPtrArray *list = g_hash_table_lookup (rules, pattern);

      if (list == NULL) {
        list = g_ptr_array_new ();
        g_hash_table_insert (rules, (gpointer)pattern, list);
      }
      g_ptr_array_add (list, (gpointer)id);
    }
  }
  return rules;
}

/* Calls EACH with the id of every rule that names NAME; an id may come twice when a rule names it twice. */
static guint
each_rule (GHashTable *rules, const char *name, void (*each) (const char *rule, gpointer data), gpointer data)
{
  char wildcard[2 + 256] = "*";
  guint n = 0;

  for (const char *at = name; at != NULL; at = strchr (at + 1, '.')) {
    GPtrArray *list;

    /* The name itself first, then "*.example.org" for every ".example.org" in it. */
    if (at != name)
      g_strlcpy (wildcard + 1, at, sizeof wildcard - 1);
    list = g_hash_table_lookup (rules, at == name ? name : wildcard);
    for (guint i = 0; list != NULL && i < list->len; i++, n++)
      if (each != NULL)
        each (g_ptr_array_index (list, i), data);
  }
  return n;
}

FloeBindings *
floe_bindings_new (unsigned ttl_floor)
{
  FloeBindings *bindings = g_new0 (FloeBindings, 1);

  bindings->ttl_floor = MIN (ttl_floor, FLOE_RESOLVER_TTL_CEILING);
  bindings->rebind = g_array_new (FALSE, FALSE, sizeof (FloePolicyPrefix));
  bindings->inside = g_array_new (FALSE, FALSE, sizeof (FloePolicyPrefix));
  bindings->pairs = g_hash_table_new_full (pair_hash, pair_equal, g_free, NULL);
  bindings->ids = g_string_chunk_new (1024);
  bindings->rules = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, rules_free);
  return bindings;
}

void
floe_bindings_free (FloeBindings *bindings)
{
  if (bindings == NULL)
    return;
  g_hash_table_unref (bindings->rules);
  g_hash_table_unref (bindings->pairs);
  g_string_chunk_free (bindings->ids);
  g_array_unref (bindings->rebind);
  g_array_unref (bindings->inside);
  g_free (bindings);
}

static gboolean
is_nameless (gpointer key, gpointer value G_GNUC_UNUSED, gpointer data)
{
  FloeBindings *bindings = data;

  return each_rule (bindings->rules, ((Pair *)key)->name, NULL, NULL) == 0;
}

void
floe_bindings_set_network (FloeBindings *bindings, const FloePolicyNetwork *network)
{
  g_hash_table_unref (bindings->rules);
  g_string_chunk_free (bindings->ids);
  bindings->ids = g_string_chunk_new (1024);
  bindings->rules = patterns_new (network, bindings->ids);
  bindings->any = network->resolver == FLOE_POLICY_RESOLVER_ANY;
  g_array_set_size (bindings->rebind, 0);
  if (network->n_rebind > 0)
    g_array_append_vals (bindings->rebind, network->rebind, (guint)network->n_rebind);
  g_hash_table_foreach_remove (bindings->pairs, is_nameless, bindings);
}

void
floe_bindings_set_inside (FloeBindings *bindings, const FloePolicyPrefix *inside, size_t n_inside)
{
  g_array_set_size (bindings->inside, 0);
  if (n_inside > 0)
    g_array_append_vals (bindings->inside, inside, (guint)n_inside);
}

/* -- The table for the process ------------------------------------------------------------------------------------------- */

static guint
name_hash (gconstpointer data)
{
  const FloeDnsName *name = data;

  return floe_dns_names_hash (name->bytes, name->size);
}

static gboolean
name_equal (gconstpointer a, gconstpointer b)
{
  return floe_dns_name_equal (a, b);
}

static void
add_flags (GHashTable *entries, const uint8_t *bytes, size_t size, unsigned flags)
{
  FloeDnsName name = { .size = (uint8_t)size };
  gpointer known = NULL;

  memcpy (name.bytes, bytes, size);
  known = g_hash_table_lookup (entries, &name);
  g_hash_table_insert (entries, g_memdup2 (&name, sizeof name), GUINT_TO_POINTER (GPOINTER_TO_UINT (known) | flags));
}

static GHashTable *
name_entries (GHashTable *rules)
{
  GHashTable *entries = g_hash_table_new_full (name_hash, name_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer pattern;

  g_hash_table_iter_init (&iter, rules);
  while (g_hash_table_iter_next (&iter, &pattern, NULL)) {
    gboolean wildcard = g_str_has_prefix (pattern, "*.");
    FloeDnsName name;

    /* The policy's parser has checked it. */
    if (!floe_dns_name_from_text ((const char *)pattern + (wildcard ? 2 : 0), &name))
      continue;
    add_flags (entries, name.bytes, name.size, wildcard ? FLOE_DNS_NAMES_BELOW : FLOE_DNS_NAMES_SELF);
    for (size_t at = 1u + name.bytes[0]; at + 1u < name.size; at += 1u + name.bytes[at])
      add_flags (entries, name.bytes + at, name.size - at, FLOE_DNS_NAMES_ABOVE);
  }
  return entries;
}

GByteArray *
floe_bindings_names (FloeBindings *bindings)
{
  g_autoptr (GHashTable) entries = name_entries (bindings->rules);
  FloeDnsNamesHeader header = { .magic = FLOE_DNS_NAMES_MAGIC, .n_buckets = 16 };
  g_autofree uint32_t *buckets = NULL;
  GByteArray *block = g_byte_array_new ();
  GHashTableIter iter;
  gpointer key, flags;

  while (header.n_buckets < 2 * g_hash_table_size (entries))
    header.n_buckets *= 2;
  buckets = g_new0 (uint32_t, header.n_buckets);
  g_byte_array_append (block, (const guint8 *)&header, sizeof header);
  g_byte_array_append (block, (const guint8 *)buckets, header.n_buckets * (guint)sizeof *buckets);
  g_hash_table_iter_init (&iter, entries);
  while (g_hash_table_iter_next (&iter, &key, &flags)) {
    const FloeDnsName *name = key;
    const guint8 head[2] = { (guint8)GPOINTER_TO_UINT (flags), name->size };
    uint32_t bucket = floe_dns_names_hash (name->bytes, name->size) & (header.n_buckets - 1);

    while (buckets[bucket] != 0)
      bucket = (bucket + 1) & (header.n_buckets - 1);
    buckets[bucket] = block->len;
    g_byte_array_append (block, head, sizeof head);
    g_byte_array_append (block, name->bytes, name->size);
  }
  header.size = block->len;
  memcpy (block->data, &header, sizeof header);
  memcpy (block->data + sizeof header, buckets, header.n_buckets * sizeof *buckets);
  return block;
}

/* -- Judging ------------------------------------------------------------------------------------------------------------- */

static FloePolicyAddress
to_policy (const FloeDnsAddress *address)
{
  FloePolicyAddress copy = { .family = address->family };

  memcpy (copy.bytes, address->bytes, sizeof copy.bytes);
  return copy;
}

static gboolean
is_in (const GArray *prefixes, const FloeDnsAddress *address)
{
  for (guint i = 0; i < prefixes->len; i++) {
    const FloePolicyPrefix *prefix = &g_array_index (prefixes, FloePolicyPrefix, i);
    FloeDnsPrefix copy = { .address.family = prefix->address.family, .length = prefix->length };

    memcpy (copy.address.bytes, prefix->address.bytes, sizeof copy.address.bytes);
    if (floe_dns_prefix_contains (&copy, address))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_inside (const FloeBindings *bindings, const FloeDnsAddress *address)
{
  return is_in (bindings->inside, address) || (floe_dns_address_is_inside (address) && !is_in (bindings->rebind, address));
}

static gboolean
is_over (gpointer key, gpointer value G_GNUC_UNUSED, gpointer data)
{
  return ((Pair *)key)->until <= *(gint64 *)data;
}

static gboolean
has_room (FloeBindings *bindings, guint n, gint64 now)
{
  if (g_hash_table_size (bindings->pairs) + n <= FLOE_RESOLVER_BINDINGS_MAX)
    return TRUE;
  g_hash_table_foreach_remove (bindings->pairs, is_over, &now);
  return g_hash_table_size (bindings->pairs) + n <= FLOE_RESOLVER_BINDINGS_MAX;
}

static unsigned
timeout_of (const FloeBindings *bindings, uint32_t ttl)
{
  return CLAMP (ttl, bindings->ttl_floor, FLOE_RESOLVER_TTL_CEILING) + FLOE_RESOLVER_TTL_GRACE;
}

typedef struct {
  GArray *bound;
  FloeResolverBinding binding;
} Binder;

static void
bind_rule (const char *rule, gpointer data)
{
  Binder *binder = data;

  binder->binding.rule = rule;
  g_array_append_val (binder->bound, binder->binding);
}

FloeBindingsVerdict
floe_bindings_judge (FloeBindings *bindings, const FloeResolverBind *wanted, gint64 now, GArray *bound, uint32_t *keep)
{
  guint n_rules = each_rule (bindings->rules, wanted->name, NULL, NULL);

  *keep = 0;
  if (n_rules == 0 && !bindings->any)
    return FLOE_BINDINGS_REFUSED;
  if (n_rules > 0 && !has_room (bindings, wanted->n_addresses, now))
    return FLOE_BINDINGS_FULL;
  for (uint32_t i = 0; i < wanted->n_addresses; i++) {
    Binder binder = { bound, { NULL, to_policy (&wanted->addresses[i]), timeout_of (bindings, wanted->ttl) } };

    if (is_inside (bindings, &wanted->addresses[i]) || bound->len + n_rules > FLOE_RESOLVER_BATCH_MAX)
      continue;
    *keep |= UINT32_C (1) << i;
    each_rule (bindings->rules, wanted->name, bind_rule, &binder);
  }
  return FLOE_BINDINGS_OK;
}

void
floe_bindings_remember (FloeBindings *bindings, const FloeResolverBind *wanted, gint64 now, uint32_t keep)
{
  if (each_rule (bindings->rules, wanted->name, NULL, NULL) == 0)
    return;
  for (uint32_t i = 0; i < wanted->n_addresses; i++) {
    g_autofree Pair *pair = NULL;
    Pair *known;

    if ((keep >> i & 1) == 0)
      continue;
    pair = g_new0 (Pair, 1);
    g_strlcpy (pair->name, wanted->name, sizeof pair->name);
    pair->address = to_policy (&wanted->addresses[i]);
    pair->until = now + timeout_of (bindings, wanted->ttl) * G_USEC_PER_SEC;
    known = g_hash_table_lookup (bindings->pairs, pair);
    if (known != NULL)
      known->until = MAX (known->until, pair->until);
    else
      g_hash_table_add (bindings->pairs, g_steal_pointer (&pair));
  }
}

GArray *
floe_bindings_live (FloeBindings *bindings, const FloePolicyNetwork *network, gint64 now)
{
  GArray *live = g_array_new (FALSE, FALSE, sizeof (FloeResolverBinding));
  g_autoptr (GHashTable) rules = patterns_new (network, NULL);
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, bindings->pairs);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const Pair *pair = key;
    /* A whole second at least: less is none to the kernel. */
    Binder binder = { live, { NULL, pair->address, (unsigned)MAX (1, (pair->until - now) / G_USEC_PER_SEC) } };

    if (pair->until > now)
      each_rule (rules, pair->name, bind_rule, &binder);
  }
  return live;
}

guint
floe_bindings_count (FloeBindings *bindings)
{
  return g_hash_table_size (bindings->pairs);
}
