/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-log.h"

#include <string.h>

/* A machine's network cards: which network each is of, with whom it shares it, and what becomes of it when the policy changes.
 *
 * A card is its network's by name for as long as the machine runs. Its place on the machine (net slot, tap, addresses) is where the
 * network stood in the machine's list at the start; a later policy may list it elsewhere, which changes nothing here. */

_Static_assert (FLOE_MACHINE_SLOTS * FLOE_POLICY_CARDS_MAX == FLOE_NET_SLOTS, "each machine has its network slots");

/* Whatever the card's network was: nothing passes. */
static const FloePolicyNetwork no_network = { .name = "none", .mode = FLOE_POLICY_NETWORK_NONE };

/* The place of NETWORK among SPEC's, or SIZE_MAX. */
static size_t
place_of (const FloePolicyMachine *spec, const char *network)
{
  for (size_t i = 0; i < spec->n_networks; i++)
    if (strcmp (spec->networks[i]->name, network) == 0)
      return i;
  return SIZE_MAX;
}

/* FALSE for a machine that is not known here, or not on the network. */
static gboolean
net_slot_of (const FloeHost *host, const FloePolicyMachine *spec, const char *network, unsigned *slot)
{
  size_t place = place_of (spec, network);
  gpointer known;

  if (place == SIZE_MAX || !g_hash_table_lookup_extended (host->slots, spec->id, NULL, &known))
    return FALSE;
  *slot = GPOINTER_TO_UINT (known) * FLOE_POLICY_CARDS_MAX + (unsigned)place;
  return TRUE;
}

/* Who else is on a network that leads through a machine: on a client's card that machine's, on its card all the clients'. */
static void
add_peers (const FloeHost *host, const FloePolicyContent *content, FloeNetCardSpec *spec, const char *machine)
{
  const FloePolicyNetwork *network = spec->network;

  spec->filters = strcmp (network->through->id, machine) == 0;
  for (size_t i = 0; i < content->n_machines; i++) {
    const FloePolicyMachine *other = &content->machines[i];

    if ((other == network->through) != spec->filters && (spec->filters || other == network->through)
        && net_slot_of (host, other, network->name, &spec->peers[spec->n_peers]))
      spec->n_peers++;
  }
}

static FloeNetCardSpec
describe_card (FloeMachine *machine, const FloePolicyContent *content, const FloePolicyNetwork *network, size_t index)
{
  FloeNetCardSpec spec = {
    .slot = machine->disk->slot * FLOE_POLICY_CARDS_MAX + (unsigned)index,
    .machine = machine->id,
    .network = network,
  };

  if (network->mode == FLOE_POLICY_NETWORK_FILTER)
    add_peers (machine->host, content, &spec, machine->id);
  return spec;
}

gboolean
floe_machine_open_cards (FloeMachine *machine, FloeRun *run, GError **error)
{
  const FloePolicyContent *content = floe_policy_content (run->policy);

  for (size_t i = 0; i < run->spec->n_networks; i++) {
    FloeNetCardSpec spec = describe_card (machine, content, run->spec->networks[i], i);

    run->cards[i] = floe_net_card_open (machine->host->net, &spec, error);
    if (run->cards[i] == NULL) {
      g_prefix_error (error, "network %s: ", spec.network->name);
      return FALSE;
    }
    run->record->cards[i] = g_strdup (spec.network->name);
    run->n_cards = i + 1;
  }
  /* It may have changed between the start of the machine and this: who changed it found no cards. */
  if (machine->policy != run->policy)
    floe_machine_replace_cards (machine, run);
  return TRUE;
}

/* What the policy says now of the network that card INDEX was made for. */
static FloeNetCardSpec
describe_now (FloeMachine *machine, const FloeRun *run, size_t index)
{
  const char *name = run->record->cards[index];
  size_t place = machine->spec == NULL ? SIZE_MAX : place_of (machine->spec, name);

  if (place == SIZE_MAX)
    return describe_card (machine, NULL, &no_network, index);
  return describe_card (machine, floe_policy_content (machine->policy), machine->spec->networks[place], index);
}

gboolean
floe_machine_adopt_cards (FloeMachine *machine, FloeRun *run, GError **error)
{
  if (run->record->cards[0] != NULL && machine->host->net == NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s", machine->host->net_problem);
  for (size_t i = 0; run->record->cards[i] != NULL; i++) {
    FloeNetCardSpec spec = describe_now (machine, run, i);

    run->cards[i] = floe_net_card_adopt (machine->host->net, &spec, error);
    if (run->cards[i] == NULL)
      return FALSE;
    run->n_cards = i + 1;
  }
  return TRUE;
}

void
floe_machine_replace_cards (FloeMachine *machine, FloeRun *run)
{
  for (size_t i = 0; i < run->n_cards; i++) {
    FloeNetCardSpec spec = describe_now (machine, run, i);
    g_autoptr (GError) error = NULL;

    if (!floe_net_card_replace (run->cards[i], &spec, &error))
      floe_log (G_LOG_LEVEL_WARNING, "new network rules refused, the old ones stay", "VM", machine->id, "NETWORK",
                run->record->cards[i], "REASON", error->message, NULL);
  }
}

void
floe_machine_close_cards (FloeMachine *machine, FloeRun *run)
{
  for (size_t i = 0; i < run->n_cards; i++) {
    g_autoptr (GError) error = NULL;

    if (!floe_net_card_close (run->cards[i], &error))
      floe_log (G_LOG_LEVEL_WARNING, "network card not wholly removed", "VM", machine->id, "REASON", error->message, NULL);
  }
}

void
floe_machine_stop_servers (FloeRun *run)
{
  for (size_t i = 0; i < run->n_cards; i++)
    floe_net_card_stop_servers (run->cards[i]);
}

/* -- Counters --------------------------------------------------------------------------------------------------------- */

static GVariant *
rules_variant (GPtrArray *rules)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; rules != NULL && i < rules->len; i++) {
    const FloeNetCounter *counter = g_ptr_array_index (rules, i);
    GVariantDict rule;

    g_variant_dict_init (&rule, NULL);
    g_variant_dict_insert (&rule, "rule", "s", counter->rule);
    g_variant_dict_insert (&rule, "allowed", "b", counter->allowed);
    g_variant_dict_insert (&rule, "packets", "t", counter->packets);
    g_variant_dict_insert (&rule, "bytes", "t", counter->bytes);
    g_variant_builder_add_value (&list, g_variant_dict_end (&rule));
  }
  return g_variant_builder_end (&list);
}

static const char *const mode_names[] = {
  [FLOE_POLICY_NETWORK_NONE] = "none", [FLOE_POLICY_NETWORK_NAT] = "nat",       [FLOE_POLICY_NETWORK_BRIDGE] = "bridge",
  [FLOE_POLICY_NETWORK_VLAN] = "vlan", [FLOE_POLICY_NETWORK_FILTER] = "filter",
};

/* Addresses that names are bound to now. */
static GVariant *
bound_variant (const GArray *bound)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < bound->len; i++) {
    const FloeNetBound *binding = &g_array_index (bound, FloeNetBound, i);
    GVariantDict entry;

    g_variant_dict_init (&entry, NULL);
    g_variant_dict_insert (&entry, "rule", "s", binding->rule);
    g_variant_dict_insert (&entry, "address", "s", binding->address);
    g_variant_dict_insert (&entry, "seconds", "u", (guint32)binding->seconds);
    g_variant_builder_add_value (&list, g_variant_dict_end (&entry));
  }
  return g_variant_builder_end (&list);
}

static void
insert_card (GVariantDict *dict, FloeNetCard *card, const FloeNetStatistics *statistics)
{
  g_variant_dict_insert (dict, "allowed_packets", "t", statistics->allowed_packets);
  g_variant_dict_insert (dict, "dropped_packets", "t", statistics->dropped_packets);
  g_variant_dict_insert_value (dict, "rules", rules_variant (statistics->rules));
  g_variant_dict_insert (dict, "address", "s", floe_net_card_address (card));
  g_variant_dict_insert (dict, "address6", "s", floe_net_card_address6 (card));
  g_variant_dict_insert (dict, "mac", "s", floe_net_card_mac (card));
  g_variant_dict_insert (dict, "tap", "s", floe_net_card_tap (card));
}

gboolean
floe_machine_count_cards (FloeMachine *machine, FloeRun *run, GVariantDict *counters, GError **error)
{
  GVariantBuilder cards;

  g_variant_builder_init (&cards, G_VARIANT_TYPE ("aa{sv}"));
  for (size_t i = 0; i < run->n_cards; i++) {
    g_autoptr (FloeNetStatistics) statistics = floe_net_card_statistics (run->cards[i], error);
    FloeNetCardSpec spec = describe_now (machine, run, i);
    g_autoptr (GArray) bound = statistics == NULL ? NULL : floe_net_card_bound (run->cards[i], spec.network, error);
    GVariantDict card;

    if (bound == NULL) {
      g_variant_builder_clear (&cards);
      return FALSE;
    }
    g_variant_dict_init (&card, NULL);
    g_variant_dict_insert (&card, "network", "s", run->record->cards[i]);
    g_variant_dict_insert (&card, "mode", "s", mode_names[spec.network->mode]);
    g_variant_dict_insert_value (&card, "bound", bound_variant (bound));
    insert_card (&card, run->cards[i], statistics);
    g_variant_builder_add_value (&cards, g_variant_dict_end (&card));
    if (i == 0)
      insert_card (counters, run->cards[i], statistics);
  }
  g_variant_dict_insert_value (counters, "cards", g_variant_builder_end (&cards));
  return TRUE;
}
