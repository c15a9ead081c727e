/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/net/floe-net.h"
#include "hypervisor/net/floe-rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A card from a shell: `net-card open SLOT POLICY NETWORK [COMMAND…]` makes it and runs COMMAND with the tap as descriptor
 * 3, which then holds the card as QEMU does; `adopt` finds it again. SLOT is four times the place of a machine in the policy, and the
 * place of NETWORK among its networks: so mode filter finds who else is on it. Reads lines: `also open|adopt SLOT NETWORK [COMMAND…]` (one
 * more card in this process), `card SLOT` (the one that is meant from now on), `replace NETWORK`, `statistics`, `bound`, `dhcp`, `resolver`,
 * `address`, `reset` (the guest begins anew), `audit` (events are printed as they come), `sweep`, `close`; answers each with lines of which the last is `done` or `error …`. */

typedef struct {
  FloeNet *net;
  FloeNetCard *card;
  FloeNetCardSpec spec;
  GHashTable *cards; /* slot -> FloeNetCard; the one that obeys is `card`, and its spec `spec` */
  const FloePolicyContent *content;
  GMainLoop *loop;
} Tool;

static gboolean
network_of (Tool *tool, const char *name, const FloePolicyNetwork **network, GError **error)
{
  *network = floe_policy_find_network (tool->content, name);
  return *network != NULL || floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no network '%s'", name);
}

/* The machine that a slot is of: as if machines had their slots in the order of the policy. */
static const FloePolicyMachine *
machine_of (const FloePolicyContent *content, unsigned slot)
{
  return slot / FLOE_POLICY_CARDS_MAX < content->n_machines ? &content->machines[slot / FLOE_POLICY_CARDS_MAX] : NULL;
}

static gboolean
specify (Tool *tool, const FloePolicyNetwork *network, GError **error)
{
  const FloePolicyMachine *own = machine_of (tool->content, tool->spec.slot);

  tool->spec.network = network;
  tool->spec.machine = own == NULL ? "-" : own->id;
  tool->spec.n_peers = 0;
  if (network->mode != FLOE_POLICY_NETWORK_FILTER)
    return TRUE;
  if (own == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "slot %u is no machine's", tool->spec.slot);
  tool->spec.filters = own == network->through;
  for (size_t i = 0; i < tool->content->n_machines; i++) {
    const FloePolicyMachine *other = &tool->content->machines[i];

    if (other == own || (!tool->spec.filters && other != network->through))
      continue;
    for (size_t j = 0; j < other->n_networks; j++)
      if (other->networks[j] == network)
        tool->spec.peers[tool->spec.n_peers++] = (unsigned)(i * FLOE_POLICY_CARDS_MAX + j);
  }
  return TRUE;
}

/* $FLOE_RESOLVER is floe-resolver, where it is not installed. */
static FloeNet *
open_net (GError **error)
{
  static const char staging[] = "/run/net-card-jail";
  const FloeNetConfig config = { .resolver = g_getenv ("FLOE_RESOLVER"), .staging = staging, .resolver_uid = 700000 };

  g_mkdir_with_parents (staging, 0700);
  return floe_net_new (&config, error);
}

static void
print_event (const FloeNetEvent *event, gpointer data)
{
  (void)data;
  printf ("event %s %s %s %s %s %s %u %s %u %s %" G_GUINT64_FORMAT "\n", event->machine, event->network, event->verdict,
          *event->rule == '\0' ? "-" : event->rule, *event->protocol == '\0' ? "-" : event->protocol,
          *event->source == '\0' ? "-" : event->source, event->source_port, *event->destination == '\0' ? "-" : event->destination,
          event->destination_port, *event->name == '\0' ? "-" : event->name, event->count);
  fflush (stdout);
}

static gboolean
print_statistics (Tool *tool, GError **error)
{
  g_autoptr (FloeNetStatistics) statistics = floe_net_card_statistics (tool->card, error);

  if (statistics == NULL)
    return FALSE;
  for (guint i = 0; i < statistics->rules->len; i++) {
    const FloeNetCounter *counter = g_ptr_array_index (statistics->rules, i);

    printf ("%s %s %" G_GUINT64_FORMAT "\n", counter->allowed ? "allow" : "drop", counter->rule, counter->packets);
  }
  printf ("allowed %" G_GUINT64_FORMAT "\ndropped %" G_GUINT64_FORMAT "\n", statistics->allowed_packets,
          statistics->dropped_packets);
  return TRUE;
}

static gboolean
print_bound (Tool *tool, GError **error)
{
  g_autoptr (GArray) bound = floe_net_card_bound (tool->card, tool->spec.network, error);

  for (guint i = 0; bound != NULL && i < bound->len; i++) {
    const FloeNetBound *entry = &g_array_index (bound, FloeNetBound, i);

    printf ("bound %s %s %u\n", entry->rule, entry->address, entry->seconds);
  }
  return bound != NULL;
}

static gboolean
hand_over (Tool *tool, char **command, GError **error)
{
  floe_autofd fd = floe_net_card_dup_fd (tool->card, error);
  const int target = 3;
  g_autoptr (GError) failure = NULL;

  if (fd < 0)
    return FALSE;
  if (command[0] == NULL)
    return TRUE; /* the card holds it until we end */
  return g_spawn_async_with_pipes_and_fds (NULL, (const char *const *)command, NULL,
                                           G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, -1, -1, -1, &fd,
                                           &target, 1, NULL, NULL, NULL, NULL, &failure)
         || floe_error_set (error, FLOE_ERROR_FAILED, "%s", failure->message);
}

/* Makes or finds the card of SLOT, and has it obey from now on. */
static gboolean
add_card (Tool *tool, gboolean adopt, const char *slot, const char *name, char **command, GError **error)
{
  const FloePolicyNetwork *network;
  FloeNetCard *card;

  tool->spec.slot = (unsigned)atoi (slot);
  if (!network_of (tool, name, &network, error) || !specify (tool, network, error))
    return FALSE;
  card = (adopt ? floe_net_card_adopt : floe_net_card_open) (tool->net, &tool->spec, error);
  if (card == NULL)
    return FALSE;
  tool->card = card;
  g_hash_table_insert (tool->cards, GUINT_TO_POINTER (tool->spec.slot), card);
  if (!adopt && !hand_over (tool, command, error))
    return FALSE;
  printf ("ready %s %s %s\n", floe_net_card_tap (card), floe_net_card_mac (card), floe_net_card_address (card));
  return TRUE;
}

static gboolean
close_card (Tool *tool, GError **error)
{
  gboolean done = floe_net_card_close (tool->card, error);

  g_hash_table_remove (tool->cards, GUINT_TO_POINTER (tool->spec.slot));
  tool->card = NULL;
  if (g_hash_table_size (tool->cards) == 0)
    g_main_loop_quit (tool->loop);
  return done;
}

static gboolean
obey (Tool *tool, char **words, GError **error)
{
  const FloePolicyNetwork *network;
  guint n_words = g_strv_length (words);

  if (g_str_equal (words[0], "also") && n_words >= 4)
    return add_card (tool, g_str_equal (words[1], "adopt"), words[2], words[3], words + 4, error);
  if (g_str_equal (words[0], "sweep"))
    return floe_net_sweep (tool->net, error);
  if (g_str_equal (words[0], "card") && n_words == 2) {
    tool->spec.slot = (unsigned)atoi (words[1]);
    tool->card = g_hash_table_lookup (tool->cards, GUINT_TO_POINTER (tool->spec.slot));
  }
  if (tool->card == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "which card?");
  if (g_str_equal (words[0], "card"))
    return TRUE;
  if (g_str_equal (words[0], "replace") && words[1] != NULL)
    return network_of (tool, words[1], &network, error) && specify (tool, network, error)
           && floe_net_card_replace (tool->card, &tool->spec, error);
  if (g_str_equal (words[0], "statistics"))
    return print_statistics (tool, error);
  if (g_str_equal (words[0], "bound"))
    return print_bound (tool, error);
  if (g_str_equal (words[0], "dhcp")) {
    printf ("dhcp %d\n", floe_net_card_dhcp_pid (tool->card));
    return TRUE;
  }
  if (g_str_equal (words[0], "resolver")) {
    printf ("resolver %d\n", floe_net_card_resolver_pid (tool->card));
    return TRUE;
  }
  if (g_str_equal (words[0], "address")) {
    printf ("address %s %s\n", floe_net_card_address (tool->card), floe_net_card_address6 (tool->card));
    return TRUE;
  }
  if (g_str_equal (words[0], "reset")) {
    floe_net_card_guest_reset (tool->card);
    return TRUE;
  }
  if (g_str_equal (words[0], "audit")) {
    floe_net_set_audit (tool->net, print_event, NULL);
    return TRUE;
  }
  if (g_str_equal (words[0], "close"))
    return close_card (tool, error);
  return floe_error_set (error, FLOE_ERROR_INVALID, "what is '%s'?", words[0]);
}

static gboolean
line_came (GIOChannel *channel, GIOCondition condition, gpointer data)
{
  Tool *tool = data;
  g_autofree char *line = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;

  (void)condition;
  if (g_io_channel_read_line (channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_main_loop_quit (tool->loop);
    return G_SOURCE_REMOVE;
  }
  words = g_strsplit (g_strstrip (line), " ", 0);
  if (words[0] == NULL || obey (tool, words, &error))
    printf ("done\n");
  else
    printf ("error %s\n", error->message);
  fflush (stdout);
  return G_SOURCE_CONTINUE;
}

static gboolean
run (int argc, char **argv, GError **error)
{
  g_autoptr (FloeNet) net = open_net (error);
  g_autoptr (GHashTable) cards = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)floe_net_card_free);
  g_autoptr (GBytes) text = NULL;
  g_autoptr (FloePolicyDocument) document = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GIOChannel) channel = g_io_channel_unix_new (STDIN_FILENO);
  Tool tool = { .loop = loop, .cards = cards };

  if (net == NULL)
    return FALSE;
  if (argc < 4)
    return floe_error_set (error, FLOE_ERROR_INVALID, "SLOT POLICY NETWORK wanted");
  text = floe_file_read (argv[2], FLOE_POLICY_SIZE_MAX, error);
  document = text == NULL ? NULL : floe_policy_parse (text, argv[2], error);
  if (document == NULL)
    return FALSE;
  tool.net = net;
  tool.content = floe_policy_document_content (document);
  if (!add_card (&tool, g_str_equal (argv[0], "adopt"), argv[1], argv[3], argv + 4, error))
    return FALSE;
  fflush (stdout);
  g_io_add_watch (channel, G_IO_IN | G_IO_HUP, line_came, &tool);
  g_main_loop_run (loop);
  return TRUE;
}

/* The rules as nft would read them. */
static gboolean
print_text (int argc, char **argv, GError **error)
{
  const FloeRuleOptions options = { .generation = 1, .connections = FLOE_CONNECTIONS_DEFAULT };
  g_autoptr (GBytes) text = argc == 4 ? floe_file_read (argv[2], FLOE_POLICY_SIZE_MAX, error) : NULL;
  g_autoptr (FloePolicyDocument) document = text == NULL ? NULL : floe_policy_parse (text, argv[2], error);
  g_autoptr (FloeRuleset) ruleset = NULL;
  g_autofree char *rules = NULL;
  const FloePolicyNetwork *network;
  FloeNetIdentity identity;
  FloeNetPool pool;
  Tool tool = { 0 };

  if (document == NULL)
    return FALSE;
  tool.content = floe_policy_document_content (document);
  if (!network_of (&tool, argv[3], &network, error) || !floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, error)
      || !floe_net_identity (&pool, (unsigned)atoi (argv[1]), &identity, error))
    return FALSE;
  ruleset = floe_ruleset_new (&identity, network, &options);
  rules = floe_ruleset_to_text (ruleset);
  fputs (rules, stdout);
  return TRUE;
}

static gboolean
sweep (int argc, char **argv, GError **error)
{
  g_autoptr (FloeNet) net = open_net (error);

  (void)argc;
  (void)argv;
  return net != NULL && floe_net_sweep (net, error);
}

int
main (int argc, char **argv)
{
  static const FloeCommand commands[] = { { "open", "SLOT POLICY NETWORK [COMMAND…]", "make a card", run },
                                          { "adopt", "SLOT POLICY NETWORK", "find it again", run },
                                          { "text", "SLOT POLICY NETWORK", "print its rules", print_text },
                                          { "sweep", "", "remove rules of taps that are gone", sweep },
                                          { NULL, NULL, NULL, NULL } };

  floe_log_init ("net-card");
  return floe_cli_run ("net-card", "drives a network card of a machine, for tests", commands, argc, argv);
}
