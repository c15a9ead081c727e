/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#include <netinet/in.h>
#include <string.h>

/* Theory of operation.
 *
 * Many rules that only name addresses, protocols and ports become maps from these to the rule's counter, so that a packet costs the
 * same whether there are ten of them or fifty thousand. First match names the rule; overlaps are resolved here, and a rule that
 * others hide altogether does not appear.
 *
 * 1. Rules whose prefixes are single addresses and whose ports are single ports are "exact": one hash map for each family, looked up
 *    by protocol, address and port.
 * 2. All others are "wide". For each protocol the ports are cut at every end of a range; ports that the same rules cover are one
 *    class. A port map (an interval tree) leads to the class's chain, which has one address map (an interval tree) for each family;
 *    within a class only addresses distinguish rules, and a sweep along them finds the first rule of each stretch.
 * 3. An exact element that an earlier wide rule covers is given to that rule. So whatever the exact map says is the first match, and
 *    where it says nothing, the first match is a wide rule.
 *
 * Concatenated interval sets (pipapo) would take all this as it is, but insert in quadratic time on older kernels and look up in time
 * that grows with the rules (docs/network.md has the figures). */

#define EXACT_MAX 256      /* elements that one rule may make exactly */
#define WORK_MAX 100000000 /* (wide rule, stretch of ports) pairs looked at */

static const struct {
  uint8_t number;
  const char *name;
  gboolean v4, v6;
} protocols[] = {
  { IPPROTO_TCP, "tcp", TRUE, TRUE },
  { IPPROTO_UDP, "udp", TRUE, TRUE },
  { IPPROTO_ICMP, "icmp", TRUE, FALSE },
  { IPPROTO_ICMPV6, "icmpv6", FALSE, TRUE },
};

#define N_PROTOCOLS G_N_ELEMENTS (protocols)
#define N_FAMILIES 2

typedef struct {
  FloeNumber address;
  uint16_t port;
  uint8_t protocol; /* index */
  guint owner;      /* index of the rule */
} Exact;

typedef struct {
  GArray *rules;               /* of guint, ascending */
  GArray *stretches[N_FAMILIES]; /* of Stretch, ascending, apart */
  char *name;
} Class;

typedef struct {
  FloeNumber first, last;
  guint owner;
} Stretch;

typedef struct {
  uint32_t first, last;
  guint class;
} PortRange;

typedef struct {
  const FloeSide *side;
  const FloePolicyNetRule *rules;
  size_t n_rules;
  GPtrArray *addresses[N_FAMILIES]; /* of GArray of FloeElement or NULL, for each rule */
  GArray *exact[N_FAMILIES];        /* of Exact: sorted, each key once */
  GArray *wide;                     /* of guint: rules that are not exact */
  GPtrArray *classes[N_PROTOCOLS];  /* of Class */
  GArray *ranges[N_PROTOCOLS];      /* of PortRange: ascending, apart */
  size_t total;                     /* elements so far */
} Work;

/* -- Taking rules apart ---------------------------------------------------------------------------------------------- */

gboolean
floe_rules_ports (const FloePolicyNetRule *rule, unsigned protocol, GArray *elements)
{
  static const FloePolicyProtocol wanted[]
      = { FLOE_POLICY_PROTOCOL_TCP, FLOE_POLICY_PROTOCOL_UDP, FLOE_POLICY_PROTOCOL_ICMP, FLOE_POLICY_PROTOCOL_ICMP6 };
  gboolean icmp = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6, any = rule->protocol == FLOE_POLICY_PROTOCOL_ANY;
  const uint8_t echo = protocol == IPPROTO_ICMP ? 8 : 128;
  gboolean ours = FALSE;

  g_array_set_size (elements, 0);
  for (size_t i = 0; i < N_PROTOCOLS; i++)
    ours |= protocols[i].number == protocol && (any || rule->protocol == wanted[i]);
  if (!ours)
    return FALSE;
  if (icmp) {
    gboolean named = !any && rule->n_icmp_types > 0;

    for (size_t i = 0; i < (named ? rule->n_icmp_types : 1); i++) {
      FloeNumber type = (FloeNumber)(named ? rule->icmp_types[i] : echo) << 8;

      floe_elements_add (elements, type, type);
    }
  } else if (rule->n_ports == 0) {
    floe_elements_add (elements, 0, UINT16_MAX);
  } else {
    for (size_t i = 0; i < rule->n_ports; i++)
      floe_elements_add (elements, rule->ports[i].first, rule->ports[i].last);
  }
  floe_elements_normalize (elements);
  return TRUE;
}

/* How many single values the intervals are; SIZE_MAX when one of them is not single. */
static size_t
singles (const GArray *elements)
{
  if (elements == NULL)
    return 0;
  for (guint i = 0; i < elements->len; i++) {
    const FloeElement *element = &g_array_index (elements, FloeElement, i);

    if (element->first != element->last)
      return SIZE_MAX;
  }
  return elements->len;
}

static gboolean
is_exact (const Work *work, guint index, GArray *ports)
{
  size_t v4 = singles (g_ptr_array_index (work->addresses[0], index)), v6 = singles (g_ptr_array_index (work->addresses[1], index));
  size_t most = 0;

  if (v4 == SIZE_MAX || v6 == SIZE_MAX)
    return FALSE;
  for (size_t i = 0; i < N_PROTOCOLS; i++)
    if (floe_rules_ports (&work->rules[index], protocols[i].number, ports)) {
      size_t n = singles (ports);

      if (n == SIZE_MAX)
        return FALSE;
      most += n;
    }
  return (v4 + v6) * most <= EXACT_MAX;
}

static void
add_exact (Work *work, guint index, GArray *ports)
{
  for (size_t p = 0; p < N_PROTOCOLS; p++) {
    if (!floe_rules_ports (&work->rules[index], protocols[p].number, ports))
      continue;
    for (unsigned family = 0; family < N_FAMILIES; family++) {
      const GArray *addresses = g_ptr_array_index (work->addresses[family], index);

      if (addresses == NULL || !(family == 0 ? protocols[p].v4 : protocols[p].v6))
        continue;
      for (guint i = 0; i < addresses->len; i++)
        for (guint j = 0; j < ports->len; j++) {
          Exact made = { g_array_index (addresses, FloeElement, i).first,
                         (uint16_t)g_array_index (ports, FloeElement, j).first, (uint8_t)p, index };

          g_array_append_val (work->exact[family], made);
        }
    }
  }
}

static gint
compare_exact (gconstpointer a, gconstpointer b)
{
  const Exact *left = a, *right = b;

  if (left->protocol != right->protocol)
    return left->protocol < right->protocol ? -1 : 1;
  if (left->address != right->address)
    return left->address < right->address ? -1 : 1;
  if (left->port != right->port)
    return left->port < right->port ? -1 : 1;
  return left->owner < right->owner ? -1 : left->owner > right->owner;
}

/* Of equal keys the first rule's is the only one that is ever reached. */
static void
sort_exact (GArray *exact)
{
  guint kept = 0;

  g_array_sort (exact, compare_exact);
  for (guint i = 0; i < exact->len; i++) {
    Exact next = g_array_index (exact, Exact, i);
    const Exact *last = kept == 0 ? NULL : &g_array_index (exact, Exact, kept - 1);

    if (last == NULL || last->protocol != next.protocol || last->address != next.address || last->port != next.port)
      g_array_index (exact, Exact, kept++) = next;
  }
  g_array_set_size (exact, kept);
}

/* -- The sweep along addresses ----------------------------------------------------------------------------------------- */

typedef struct {
  FloeNumber last;
  guint owner;
} Active;

/* A heap of what covers the place where the sweep is; the first rule on top. */
static void
heap_push (GArray *heap, Active active)
{
  guint at = heap->len;

  g_array_append_val (heap, active);
  while (at > 0 && g_array_index (heap, Active, (at - 1) / 2).owner > active.owner) {
    g_array_index (heap, Active, at) = g_array_index (heap, Active, (at - 1) / 2);
    at = (at - 1) / 2;
  }
  g_array_index (heap, Active, at) = active;
}

static void
heap_pop (GArray *heap)
{
  Active moved = g_array_index (heap, Active, heap->len - 1);
  guint at = 0;

  g_array_set_size (heap, heap->len - 1);
  while (2 * at + 1 < heap->len) {
    guint child = 2 * at + 1;

    if (child + 1 < heap->len && g_array_index (heap, Active, child + 1).owner < g_array_index (heap, Active, child).owner)
      child++;
    if (g_array_index (heap, Active, child).owner >= moved.owner)
      break;
    g_array_index (heap, Active, at) = g_array_index (heap, Active, child);
    at = child;
  }
  if (heap->len > 0)
    g_array_index (heap, Active, at) = moved;
}

static gint
compare_stretches (gconstpointer a, gconstpointer b)
{
  const Stretch *left = a, *right = b;

  if (left->first != right->first)
    return left->first < right->first ? -1 : 1;
  return left->owner < right->owner ? -1 : left->owner > right->owner;
}

static gint
compare_numbers (gconstpointer a, gconstpointer b)
{
  const FloeNumber *left = a, *right = b;

  return *left < *right ? -1 : *left > *right;
}

static void
emit (GArray *out, FloeNumber first, FloeNumber last, guint owner)
{
  Stretch made = { first, last, owner };
  Stretch *before = out->len == 0 ? NULL : &g_array_index (out, Stretch, out->len - 1);

  if (before != NULL && before->owner == owner && before->last == first - 1)
    before->last = last;
  else
    g_array_append_val (out, made);
}

/* INPUT, of Stretch in any order and overlapping, as disjoint ones that each say the first rule that covers them. */
static GArray *
sweep (GArray *input)
{
  g_autoptr (GArray) points = g_array_new (FALSE, FALSE, sizeof (FloeNumber));
  g_autoptr (GArray) heap = g_array_new (FALSE, FALSE, sizeof (Active));
  GArray *out = g_array_new (FALSE, FALSE, sizeof (Stretch));
  guint next = 0;

  g_array_sort (input, compare_stretches);
  for (guint i = 0; i < input->len; i++) {
    const Stretch *stretch = &g_array_index (input, Stretch, i);
    FloeNumber after = stretch->last + 1;

    g_array_append_val (points, stretch->first);
    /* Zero: it reaches the end of all addresses. */
    if (after != 0)
      g_array_append_val (points, after);
  }
  g_array_sort (points, compare_numbers);
  for (guint i = 0; i < points->len; i++) {
    FloeNumber from = g_array_index (points, FloeNumber, i);
    FloeNumber to = i + 1 < points->len ? g_array_index (points, FloeNumber, i + 1) - 1 : ~(FloeNumber)0;

    if (i + 1 < points->len && g_array_index (points, FloeNumber, i + 1) == from)
      continue;
    for (; next < input->len && g_array_index (input, Stretch, next).first == from; next++)
      heap_push (heap, (Active){ g_array_index (input, Stretch, next).last, g_array_index (input, Stretch, next).owner });
    while (heap->len > 0 && g_array_index (heap, Active, 0).last < from)
      heap_pop (heap);
    if (heap->len > 0)
      emit (out, from, MIN (to, g_array_index (heap, Active, 0).last), g_array_index (heap, Active, 0).owner);
  }
  return out;
}

/* -- Classes of ports -------------------------------------------------------------------------------------------------- */

static void
class_free (gpointer data)
{
  Class *class = data;

  g_clear_pointer (&class->rules, g_array_unref);
  for (unsigned family = 0; family < N_FAMILIES; family++)
    g_clear_pointer (&class->stretches[family], g_array_unref);
  g_free (class->name);
  g_free (class);
}

/* The class whose rules are RULES, a new one if need be. */
static guint
class_of (Work *work, size_t p, GHashTable *known, GArray *rules)
{
  g_autoptr (GBytes) key = g_bytes_new (rules->data, rules->len * sizeof (guint));
  gpointer found;
  Class *class;

  if (g_hash_table_lookup_extended (known, key, NULL, &found))
    return GPOINTER_TO_UINT (found);
  class = g_new0 (Class, 1);
  class->rules = g_array_new (FALSE, FALSE, sizeof (guint));
  g_array_append_vals (class->rules, rules->data, rules->len);
  g_ptr_array_add (work->classes[p], class);
  g_hash_table_insert (known, g_steal_pointer (&key), GUINT_TO_POINTER (work->classes[p]->len - 1));
  work->total += rules->len;
  return work->classes[p]->len - 1;
}

static void
add_range (GArray *ranges, uint32_t first, uint32_t last, guint class)
{
  PortRange made = { first, last, class };
  PortRange *before = ranges->len == 0 ? NULL : &g_array_index (ranges, PortRange, ranges->len - 1);

  if (before != NULL && before->class == class && before->last + 1 == first)
    before->last = last;
  else
    g_array_append_val (ranges, made);
}

/* Whether rule INDEX has an address of a family that protocol P has. */
static gboolean
has_address (const Work *work, guint index, size_t p)
{
  return (protocols[p].v4 && g_ptr_array_index (work->addresses[0], index) != NULL)
         || (protocols[p].v6 && g_ptr_array_index (work->addresses[1], index) != NULL);
}

/* The wide rules' ports as stretches, and where they begin and have ended. */
static GArray *
collect_ports (const Work *work, size_t p, GArray *points)
{
  g_autoptr (GArray) ports = floe_elements_new ();
  GArray *stretches = g_array_new (FALSE, FALSE, sizeof (Stretch));

  for (guint i = 0; i < work->wide->len; i++) {
    guint index = g_array_index (work->wide, guint, i);

    if (!has_address (work, index, p) || !floe_rules_ports (&work->rules[index], protocols[p].number, ports))
      continue;
    for (guint j = 0; j < ports->len; j++) {
      const FloeElement *range = &g_array_index (ports, FloeElement, j);
      Stretch made = { range->first, range->last, index };
      FloeNumber after = range->last + 1;

      g_array_append_val (stretches, made);
      g_array_append_val (points, made.first);
      g_array_append_val (points, after);
    }
  }
  g_array_sort (points, compare_numbers);
  return stretches;
}

static gboolean
find_classes (Work *work, size_t p)
{
  g_autoptr (GArray) points = g_array_new (FALSE, FALSE, sizeof (FloeNumber));
  g_autoptr (GArray) stretches = collect_ports (work, p, points);
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
  g_autoptr (GArray) covering = g_array_new (FALSE, FALSE, sizeof (guint));
  size_t looked = 0;

  for (guint i = 0; i + 1 < points->len; i++) {
    FloeNumber from = g_array_index (points, FloeNumber, i), to = g_array_index (points, FloeNumber, i + 1) - 1;

    if (to + 1 == from)
      continue;
    looked += stretches->len;
    if (looked > WORK_MAX || work->total > FLOE_RULES_ELEMENTS_MAX)
      return FALSE;
    g_array_set_size (covering, 0);
    /* In the order of rules, for so they were collected; a rule's own ranges are apart, so it comes once. */
    for (guint j = 0; j < stretches->len; j++) {
      const Stretch *stretch = &g_array_index (stretches, Stretch, j);

      if (stretch->first <= from && from <= stretch->last)
        g_array_append_val (covering, stretch->owner);
    }
    if (covering->len > 0)
      add_range (work->ranges[p], (uint32_t)from, (uint32_t)to, class_of (work, p, known, covering));
  }
  return TRUE;
}

static void
fill_class (const Work *work, size_t p, Class *class)
{
  for (unsigned family = 0; family < N_FAMILIES; family++) {
    g_autoptr (GArray) input = g_array_new (FALSE, FALSE, sizeof (Stretch));

    for (guint i = 0; i < class->rules->len && (family == 0 ? protocols[p].v4 : protocols[p].v6); i++) {
      guint index = g_array_index (class->rules, guint, i);
      const GArray *addresses = g_ptr_array_index (work->addresses[family], index);

      for (guint j = 0; addresses != NULL && j < addresses->len; j++) {
        Stretch made = { g_array_index (addresses, FloeElement, j).first, g_array_index (addresses, FloeElement, j).last, index };

        g_array_append_val (input, made);
      }
    }
    class->stretches[family] = sweep (input);
  }
}

/* -- Where both meet --------------------------------------------------------------------------------------------------- */

/* The first wide rule that covers this; G_MAXUINT when none does. */
static guint
wide_owner (const Work *work, unsigned family, const Exact *exact)
{
  const GArray *ranges = work->ranges[exact->protocol], *stretches = NULL;
  guint low = 0, high = ranges->len;

  while (low < high) {
    guint middle = (low + high) / 2;
    const PortRange *range = &g_array_index (ranges, PortRange, middle);

    if (exact->port > range->last)
      low = middle + 1;
    else if (exact->port < range->first)
      high = middle;
    else {
      stretches = ((Class *)g_ptr_array_index (work->classes[exact->protocol], range->class))->stretches[family];
      break;
    }
  }
  for (low = 0, high = stretches == NULL ? 0 : stretches->len; low < high;) {
    guint middle = (low + high) / 2;
    const Stretch *stretch = &g_array_index (stretches, Stretch, middle);

    if (exact->address > stretch->last)
      low = middle + 1;
    else if (exact->address < stretch->first)
      high = middle;
    else
      return stretch->owner;
  }
  return G_MAXUINT;
}

/* -- Emission ------------------------------------------------------------------------------------------------------------ */

static const char *
counter_of (const Work *work, guint index)
{
  g_autofree char *name = g_strconcat ("rule-", work->rules[index].id, NULL);

  return floe_rules_table_count (work->side->table, name, work->rules[index].id, TRUE, TRUE);
}

/* Counters first, in the order of the policy, whatever order elements come in. */
static void
emit_counters (const Work *work)
{
  g_autofree gboolean *reached = g_new0 (gboolean, work->n_rules);

  for (unsigned family = 0; family < N_FAMILIES; family++) {
    for (guint i = 0; i < work->exact[family]->len; i++)
      reached[g_array_index (work->exact[family], Exact, i).owner] = TRUE;
    for (size_t p = 0; p < N_PROTOCOLS; p++)
      for (guint i = 0; i < work->classes[p]->len; i++) {
        const GArray *stretches = ((Class *)g_ptr_array_index (work->classes[p], i))->stretches[family];

        for (guint j = 0; j < stretches->len; j++)
          reached[g_array_index (stretches, Stretch, j).owner] = TRUE;
      }
  }
  for (guint i = 0; i < work->n_rules; i++)
    if (reached[i])
      counter_of (work, i);
}

static void
add_accept (const Work *work, FloeChain *chain, const char *set, const FloeField *key, size_t n_key, int protocol)
{
  FloeRule *rule = floe_chain_add (chain, FLOE_VERDICT_ACCEPT);

  if (protocol >= 0)
    floe_rule_number (rule, FLOE_FIELD_PROTOCOL, (unsigned)protocol);
  floe_rule_key (rule, FLOE_USE_COUNT, set, key, n_key);
  rule->marks = TRUE;
  rule->mark = work->side->mark;
}

static void
emit_exact (const Work *work, const char *prefix, unsigned family)
{
  const FloeSide *side = work->side;
  GArray *elements = floe_elements_new ();
  gboolean used[N_PROTOCOLS] = { FALSE };
  const char *set;

  for (guint i = 0; i < work->exact[family]->len; i++) {
    const Exact *exact = &g_array_index (work->exact[family], Exact, i);
    FloeElement *made;

    floe_elements_add (elements, exact->address, exact->address);
    made = &g_array_index (elements, FloeElement, elements->len - 1);
    made->port = exact->port;
    made->protocol = protocols[exact->protocol].number;
    made->name = counter_of (work, exact->owner);
    used[exact->protocol] = TRUE;
  }
  if (elements->len == 0) {
    g_array_unref (elements);
    return;
  }
  set = floe_rules_table_add_set (side->table, g_strdup_printf ("%s-v%u", prefix, family == 0 ? 4 : 6),
                            family == 0 ? FLOE_TYPE_FLOW4 : FLOE_TYPE_FLOW6, FLOE_SET_EXACT, FLOE_DATA_COUNTER, elements);
  for (size_t p = 0; p < N_PROTOCOLS; p++) {
    const FloeField key[] = { FLOE_FIELD_PROTOCOL, family == 0 ? side->remote4 : side->remote6,
                              p < 2 ? FLOE_FIELD_FLOW_PORT : FLOE_FIELD_FLOW_TYPE };

    if (used[p])
      add_accept (work, side->chain, set, key, G_N_ELEMENTS (key), protocols[p].number);
  }
}

static void
emit_class (const Work *work, FloeChain *chain, const char *name, const Class *class, int protocol)
{
  for (unsigned family = 0; family < N_FAMILIES; family++) {
    const GArray *stretches = class->stretches[family];
    const FloeField key[] = { family == 0 ? work->side->remote4 : work->side->remote6 };
    GArray *elements;

    if (stretches->len == 0)
      continue;
    elements = floe_elements_new ();
    for (guint i = 0; i < stretches->len; i++) {
      const Stretch *stretch = &g_array_index (stretches, Stretch, i);

      floe_elements_add (elements, stretch->first, stretch->last);
      g_array_index (elements, FloeElement, i).name = counter_of (work, stretch->owner);
    }
    add_accept (work, chain,
                floe_rules_table_add_set (work->side->table, g_strdup_printf ("%s-v%u", name, family == 0 ? 4 : 6),
                                    family == 0 ? FLOE_TYPE_IPV4 : FLOE_TYPE_IPV6, FLOE_SET_INTERVALS, FLOE_DATA_COUNTER,
                                    elements),
                key, 1, protocol);
  }
}

static void
emit_wide (const Work *work, const char *prefix, size_t p)
{
  const FloeSide *side = work->side;
  const GArray *ranges = work->ranges[p];
  const FloeField key[] = { p < 2 ? FLOE_FIELD_FLOW_PORT : FLOE_FIELD_FLOW_TYPE };
  g_autofree char *all = g_strdup_printf ("%s-%s", prefix, protocols[p].name);
  GArray *elements;
  FloeRule *rule;
  const char *set;

  if (ranges->len == 0)
    return;
  if (ranges->len == 1 && g_array_index (ranges, PortRange, 0).first == 0
      && g_array_index (ranges, PortRange, 0).last == UINT16_MAX) {
    emit_class (work, side->chain, all, g_ptr_array_index (work->classes[p], 0), protocols[p].number);
    return;
  }
  for (guint i = 0; i < work->classes[p]->len; i++) {
    Class *class = g_ptr_array_index (work->classes[p], i);

    class->name = g_strdup_printf ("%s-%u", all, i + 1);
    emit_class (work, floe_rules_table_add_chain (side->table, class->name, FLOE_HOOK_NONE, FALSE), class->name, class, -1);
  }
  elements = floe_elements_new ();
  for (guint i = 0; i < ranges->len; i++) {
    const PortRange *range = &g_array_index (ranges, PortRange, i);

    floe_elements_add (elements, range->first, range->last);
    g_array_index (elements, FloeElement, i).name
        = g_intern_string (((Class *)g_ptr_array_index (work->classes[p], range->class))->name);
  }
  set = floe_rules_table_add_set (side->table, g_strconcat (all, "-ports", NULL), FLOE_TYPE_PORT, FLOE_SET_INTERVALS, FLOE_DATA_CHAIN,
                            elements);
  rule = floe_chain_add (side->chain, FLOE_VERDICT_CONTINUE);
  floe_rule_number (rule, FLOE_FIELD_PROTOCOL, protocols[p].number);
  floe_rule_key (rule, FLOE_USE_CHAIN, set, key, 1);
}

/* -- The whole ------------------------------------------------------------------------------------------------------------ */

static void
array_unref (gpointer data)
{
  if (data != NULL)
    g_array_unref (data);
}

static void
work_init (Work *work, const FloeSide *side, const FloePolicyNetRule *rules, size_t n_rules)
{
  memset (work, 0, sizeof *work);
  work->side = side;
  work->rules = rules;
  work->n_rules = n_rules;
  work->wide = g_array_new (FALSE, FALSE, sizeof (guint));
  for (unsigned family = 0; family < N_FAMILIES; family++) {
    work->addresses[family] = g_ptr_array_new_with_free_func (array_unref);
    work->exact[family] = g_array_new (FALSE, TRUE, sizeof (Exact));
    for (size_t i = 0; i < n_rules; i++)
      g_ptr_array_add (work->addresses[family],
                       family == 1 && !side->input->network->ipv6
                           ? NULL
                           : floe_elements_of_prefixes (rules[i].prefixes, rules[i].n_prefixes, family == 0 ? 4 : 6));
  }
  for (size_t p = 0; p < N_PROTOCOLS; p++) {
    work->classes[p] = g_ptr_array_new_with_free_func (class_free);
    work->ranges[p] = g_array_new (FALSE, FALSE, sizeof (PortRange));
  }
}

static void
work_clear (Work *work)
{
  g_array_unref (work->wide);
  for (unsigned family = 0; family < N_FAMILIES; family++) {
    g_ptr_array_unref (work->addresses[family]);
    g_array_unref (work->exact[family]);
  }
  for (size_t p = 0; p < N_PROTOCOLS; p++) {
    g_ptr_array_unref (work->classes[p]);
    g_array_unref (work->ranges[p]);
  }
}

static gboolean
solve (Work *work)
{
  g_autoptr (GArray) ports = floe_elements_new ();

  for (guint i = 0; i < work->n_rules; i++) {
    if (is_exact (work, i, ports))
      add_exact (work, i, ports);
    else
      g_array_append_val (work->wide, i);
    if (work->exact[0]->len + work->exact[1]->len > FLOE_RULES_ELEMENTS_MAX)
      return FALSE;
  }
  for (size_t p = 0; p < N_PROTOCOLS; p++) {
    if (!find_classes (work, p))
      return FALSE;
    for (guint i = 0; i < work->classes[p]->len; i++) {
      Class *class = g_ptr_array_index (work->classes[p], i);

      fill_class (work, p, class);
      work->total += class->stretches[0]->len + class->stretches[1]->len;
      if (work->total > 2 * FLOE_RULES_ELEMENTS_MAX)
        return FALSE;
    }
  }
  for (unsigned family = 0; family < N_FAMILIES; family++) {
    sort_exact (work->exact[family]);
    for (guint i = 0; i < work->exact[family]->len; i++) {
      Exact *exact = &g_array_index (work->exact[family], Exact, i);

      exact->owner = MIN (exact->owner, wide_owner (work, family, exact));
    }
  }
  return TRUE;
}

gboolean
floe_rules_compile (const FloeSide *side, const FloePolicyNetRule *rules, size_t n_rules, unsigned number)
{
  g_autofree char *prefix = g_strdup_printf ("%s-%u", side->name, number);
  gboolean solved;
  Work work;

  work_init (&work, side, rules, n_rules);
  solved = solve (&work);
  if (solved) {
    emit_counters (&work);
    for (unsigned family = 0; family < N_FAMILIES; family++)
      emit_exact (&work, prefix, family);
    for (size_t p = 0; p < N_PROTOCOLS; p++)
      emit_wide (&work, prefix, p);
  }
  work_clear (&work);
  return solved;
}
