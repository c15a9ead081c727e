/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

/* What is allowed in networks and still deserves a second look. Rules may be 65,000 in a direction, so that each is compared with the few
 * that can hold it, found by hash: those with one of the prefixes (or names) that contain its own. */

#define RULES_A_KEY 64 /* of the rules with one and the same prefix or name, only the first so many are compared */
#define NOTES_A_KIND 20
#define DNS_PORT 53

/* The first of some number of notes of one kind about one network; the rest are counted. */
typedef struct {
  GPtrArray *notes;
  const char *network;
  size_t said, left;
} Kind;

static void G_GNUC_PRINTF (2, 3)
note (Kind *kind, const char *format, ...)
{
  va_list arguments;

  if (kind->said == NOTES_A_KIND) {
    kind->left++;
    return;
  }
  va_start (arguments, format);
  g_ptr_array_add (kind->notes, g_strdup_vprintf (format, arguments));
  va_end (arguments);
  kind->said++;
}

static void
note_left (Kind *kind, const char *what)
{
  if (kind->left > 0)
    g_ptr_array_add (kind->notes, g_strdup_printf ("network '%s': and %zu more rules %s", kind->network, kind->left, what));
}

/* -- What one rule allows of another ---------------------------------------------------------------------------------- */

static gboolean
ports_cover (const FloePolicyNetRule *outer, const FloePolicyPorts *ports)
{
  for (size_t i = 0; i < outer->n_ports; i++)
    if (outer->ports[i].first <= ports->first && ports->last <= outer->ports[i].last)
      return TRUE;
  return outer->n_ports == 0;
}

static gboolean
types_cover (const FloePolicyNetRule *outer, const FloePolicyNetRule *inner)
{
  const uint8_t echo = inner->protocol == FLOE_POLICY_PROTOCOL_ICMP ? 8 : 128;
  const uint8_t *types = inner->n_icmp_types > 0 ? inner->icmp_types : &echo;
  size_t n = inner->n_icmp_types > 0 ? inner->n_icmp_types : 1;

  for (size_t i = 0; i < n; i++)
    if (outer->n_icmp_types > 0 ? memchr (outer->icmp_types, types[i], outer->n_icmp_types) == NULL : types[i] != echo)
      return FALSE;
  return TRUE;
}

/* Whether OUTER allows INNER's protocol with all of its ports or types. */
static gboolean
numbers_cover (const FloePolicyNetRule *outer, const FloePolicyNetRule *inner)
{
  static const FloePolicyPorts all = { 1, 65535 };

  if (outer->protocol != FLOE_POLICY_PROTOCOL_ANY && outer->protocol != inner->protocol)
    return FALSE;
  if (inner->protocol == FLOE_POLICY_PROTOCOL_ANY)
    return TRUE;
  if (inner->protocol == FLOE_POLICY_PROTOCOL_ICMP || inner->protocol == FLOE_POLICY_PROTOCOL_ICMP6)
    return types_cover (outer, inner);
  for (size_t i = 0; i < inner->n_ports; i++)
    if (!ports_cover (outer, &inner->ports[i]))
      return FALSE;
  return inner->n_ports > 0 || ports_cover (outer, &all);
}

/* -- Rules that are never reached ------------------------------------------------------------------------------------- */

/* Rules seen so far that always hold, by each of their prefixes and names. */
typedef struct {
  GHashTable *prefixes; /* FloePolicyPrefix to GPtrArray of rules */
  GHashTable *names;    /* text to GPtrArray of rules */
  gboolean lengths[2][129]; /* of family 4 and 6, whether any prefix of that length is there */
} Index;

static guint
prefix_hash (gconstpointer key)
{
  const FloePolicyPrefix *prefix = key;
  guint hash = 2166136261u ^ prefix->length;

  for (unsigned i = 0; i < 16; i++)
    hash = (hash ^ prefix->address.bytes[i]) * 16777619u;
  return hash ^ prefix->address.family;
}

static gboolean
prefix_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (FloePolicyPrefix)) == 0;
}

static void
index_init (Index *index)
{
  memset (index, 0, sizeof *index);
  index->prefixes = g_hash_table_new_full (prefix_hash, prefix_equal, NULL, (GDestroyNotify) g_ptr_array_unref);
  index->names = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) g_ptr_array_unref);
}

static void
index_clear (Index *index)
{
  g_hash_table_unref (index->prefixes);
  g_hash_table_unref (index->names);
}

static void
index_add (GHashTable *table, gconstpointer key, const FloePolicyNetRule *rule)
{
  GPtrArray *rules = g_hash_table_lookup (table, key);

  if (rules == NULL) {
    rules = g_ptr_array_new ();
    g_hash_table_insert (table, (gpointer) key, rules);
  }
  if (rules->len < RULES_A_KEY)
    g_ptr_array_add (rules, (gpointer) rule);
}

static void
index_add_rule (Index *index, const FloePolicyNetRule *rule)
{
  for (size_t i = 0; i < rule->n_prefixes; i++) {
    index_add (index->prefixes, &rule->prefixes[i], rule);
    index->lengths[rule->prefixes[i].address.family == 6][rule->prefixes[i].length] = TRUE;
  }
  for (size_t i = 0; i < rule->n_names; i++)
    index_add (index->names, rule->names[i], rule);
}

static const FloePolicyNetRule *
find_in (GHashTable *table, gconstpointer key, const FloePolicyNetRule *rule)
{
  GPtrArray *rules = g_hash_table_lookup (table, key);

  for (guint i = 0; rules != NULL && i < rules->len; i++)
    if (numbers_cover (g_ptr_array_index (rules, i), rule))
      return g_ptr_array_index (rules, i);
  return NULL;
}

static void
mask_bits (FloePolicyPrefix *prefix, unsigned length)
{
  for (unsigned i = 0; i < 16; i++) {
    unsigned kept = length >= 8 * (i + 1) ? 8 : length > 8 * i ? length - 8 * i : 0;

    prefix->address.bytes[i] &= (uint8_t) (0xff00 >> kept);
  }
  prefix->length = (uint8_t) length;
}

static const FloePolicyNetRule *
holder_of_prefix (const Index *index, const FloePolicyPrefix *prefix, const FloePolicyNetRule *rule)
{
  for (unsigned length = prefix->length + 1; length > 0; length--) {
    FloePolicyPrefix wider = *prefix;
    const FloePolicyNetRule *found;

    if (!index->lengths[prefix->address.family == 6][length - 1])
      continue;
    mask_bits (&wider, length - 1);
    found = find_in (index->prefixes, &wider, rule);
    if (found != NULL)
      return found;
  }
  return NULL;
}

static const FloePolicyNetRule *
holder_of_everywhere (const Index *index, const FloePolicyNetwork *network, const FloePolicyNetRule *rule)
{
  static const FloePolicyPrefix everywhere4 = { { 4, { 0 } }, 0 }, everywhere6 = { { 6, { 0 } }, 0 };
  const FloePolicyNetRule *four = find_in (index->prefixes, &everywhere4, rule), *six = find_in (index->prefixes, &everywhere6, rule);

  if (rule->protocol == FLOE_POLICY_PROTOCOL_ICMP6)
    return six;
  return !network->ipv6 || rule->protocol == FLOE_POLICY_PROTOCOL_ICMP || six != NULL ? four : NULL;
}

/* The rule that allows NAME: by name, by a wildcard above it, or by allowing every address. */
static const FloePolicyNetRule *
holder_of_name (const Index *index, const FloePolicyNetwork *network, const char *name, const FloePolicyNetRule *rule)
{
  const FloePolicyNetRule *found = find_in (index->names, name, rule);
  const char *dot = strchr (name, '.');

  if (dot != NULL && name[0] == '*')
    dot = strchr (dot + 1, '.');
  for (; dot != NULL && found == NULL; dot = strchr (dot + 1, '.')) {
    g_autofree char *wildcard = g_strconcat ("*", dot, NULL);

    found = find_in (index->names, wildcard, rule);
  }
  return found != NULL ? found : holder_of_everywhere (index, network, rule);
}

static void
note_unreached (const Index *index, const FloePolicyNetwork *network, const FloePolicyNetRule *rule, Kind *kind)
{
  const FloePolicyNetRule *first = NULL, *holder = NULL;

  for (size_t i = 0; i < rule->n_prefixes + rule->n_names; i++) {
    holder = i < rule->n_prefixes ? holder_of_prefix (index, &rule->prefixes[i], rule)
                                  : holder_of_name (index, network, rule->names[i - rule->n_prefixes], rule);
    if (holder == NULL)
      return;
    if (first == NULL)
      first = holder;
  }
  note (kind, "network '%s': rule '%s' is never reached: '%s'%s before it allows all that it allows", network->name, rule->id, first->id,
        holder == first ? "" : " and others");
}

static void
note_order (const FloePolicyNetwork *network, const FloePolicyNetRule *rules, size_t n, GPtrArray *notes)
{
  Kind unreached = { notes, network->name, 0, 0 }, wide = { notes, network->name, 0, 0 };
  Index index;

  index_init (&index);
  for (size_t i = 0; i < n; i++) {
    note_unreached (&index, network, &rules[i], &unreached);
    /* A rule with hours is not always there for those after it. */
    if (rules[i].n_windows == 0)
      index_add_rule (&index, &rules[i]);
  }
  note_left (&unreached, "are never reached");
  for (size_t i = 0; i < n; i++) {
    const FloePolicyNetRule *everywhere = rules[i].n_names > 0 ? holder_of_everywhere (&index, network, &rules[i]) : NULL;

    if (everywhere > &rules[i])
      note (&wide, "network '%s': the names of rule '%s' limit nothing: '%s' allows the same to every address", network->name, rules[i].id,
            everywhere->id);
  }
  note_left (&wide, "name what every address may be asked");
  index_clear (&index);
}

/* -- DNS -------------------------------------------------------------------------------------------------------------- */

static gboolean
is_everywhere (const FloePolicyNetRule *rule)
{
  for (size_t i = 0; i < rule->n_prefixes; i++)
    if (rule->prefixes[i].length == 0)
      return TRUE;
  return FALSE;
}

static void
note_names (const FloePolicyNetwork *network, GPtrArray *notes)
{
  Kind kind = { notes, network->name, 0, 0 };

  for (size_t i = 0; i < network->n_egress; i++)
    for (size_t j = 0; j < network->egress[i].n_names; j++) {
      const char *name = network->egress[i].names[j];

      if (g_str_has_prefix (name, "*.") && strchr (name + 2, '.') == NULL)
        note (&kind, "network '%s': rule '%s' names '%s': anybody can register a name in there", network->name, network->egress[i].id, name);
    }
  note_left (&kind, "name a whole top-level domain");
}

static void
note_dns (const FloePolicyNetwork *network, GPtrArray *notes)
{
  static const FloePolicyPorts dns = { DNS_PORT, DNS_PORT };
  gboolean asks = network->resolver != FLOE_POLICY_RESOLVER_NONE || network->n_dns > 0;
  const FloePolicyNetRule *around = NULL;
  size_t named = 0;

  for (size_t i = 0; i < network->n_egress; i++) {
    const FloePolicyNetRule *rule = &network->egress[i];
    gboolean ports = rule->protocol == FLOE_POLICY_PROTOCOL_TCP || rule->protocol == FLOE_POLICY_PROTOCOL_UDP
                     || rule->protocol == FLOE_POLICY_PROTOCOL_ANY;

    named += rule->n_names;
    if (asks && around == NULL && ports && is_everywhere (rule) && ports_cover (rule, &dns))
      around = rule;
  }
  if (network->resolver == FLOE_POLICY_RESOLVER_ANY)
    g_ptr_array_add (notes, g_strdup_printf ("network '%s': its resolver answers any name: data can leave in the questions (DNS tunnelling)",
                                             network->name));
  if (network->resolver == FLOE_POLICY_RESOLVER_RULES && named == 0)
    g_ptr_array_add (notes, g_strdup_printf ("network '%s': its resolver answers the names of rules, and no rule names any", network->name));
  if (around != NULL)
    g_ptr_array_add (notes, g_strdup_printf ("network '%s': rule '%s' allows port 53 of every address: other servers can be asked", network->name,
                                             around->id));
}

/* -- Networks --------------------------------------------------------------------------------------------------------- */

static size_t
count_users (const FloePolicyContent *content, const FloePolicyNetwork *network)
{
  size_t users = 0;

  for (size_t i = 0; i < content->n_machines; i++)
    for (size_t j = 0; j < content->machines[i].n_networks; j++)
      users += content->machines[i].networks[j] == network && network->through != &content->machines[i];
  return users;
}

static void
note_filter (const FloePolicyNetwork *network, GPtrArray *notes)
{
  if (!network->through->autostart)
    g_ptr_array_add (notes, g_strdup_printf ("network '%s' goes through machine '%s', which does not start with the endpoint (autostart): "
                                             "nothing passes until somebody starts it", network->name, network->through->id));
  if (network->through->networks[0]->through == network->through)
    g_ptr_array_add (notes, g_strdup_printf ("network '%s' goes through machine '%s', whose first network is an inner side: images of floe-image "
                                             "build-filter take the first one for the way out", network->name, network->through->id));
}

void
floe_policy_network_notes (const FloePolicyContent *content, GPtrArray *notes)
{
  for (size_t i = 0; i < content->n_networks; i++) {
    const FloePolicyNetwork *network = &content->networks[i];

    if (network->mode == FLOE_POLICY_NETWORK_NONE)
      continue;
    if (count_users (content, network) == 0)
      g_ptr_array_add (notes, g_strdup_printf ("network '%s' is used by no machine", network->name));
    if (network->through != NULL)
      note_filter (network, notes);
    if (network->mode == FLOE_POLICY_NETWORK_NAT && network->n_ingress > 0)
      g_ptr_array_add (notes, g_strdup_printf ("network '%s' is behind the endpoint's address: its ingress rules are for hosts that somebody "
                                               "has given a route to the machine", network->name));
    note_dns (network, notes);
    note_names (network, notes);
    note_order (network, network->egress, network->n_egress, notes);
    note_order (network, network->ingress, network->n_ingress, notes);
  }
}
