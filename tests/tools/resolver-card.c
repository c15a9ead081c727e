/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"
#include "hypervisor/resolver/floe-resolver.h"

#include <arpa/inet.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* hypervisord's part of a card's resolver, from a shell: `resolver-card SLOT PROGRAM STAGING UID FILE` starts one for the network that FILE
 * describes, on an interface that is there already (floeSLOT). Names' addresses go into sets RULE4 and RULE6 of table `inet names`, which
 * is there too. Prints a line for what happens; reads `replace FILE`, `pid`, `live`, `quit`.
 *
 * FILE: [network] mode, resolver, ipv6, dns, rebind, dhcp, inside, resolv_conf, floor, delay (of binding, in ms); [rules] ID=NAME;NAME. */

typedef struct {
  FloePolicyNetwork network;
  FloePolicyNetRule rules[64];
  FloePolicyAddress dns[8], dhcp[8];
  FloePolicyPrefix rebind[8], inside[8];
  size_t n_inside;
  unsigned floor, delay_ms;
  char *resolv_conf;
  GKeyFile *file;
} Network;

typedef struct {
  FloeResolver *resolver;
  Network *network;
  GMainLoop *loop;
} Tool;

static size_t
addresses (GKeyFile *file, const char *key, FloePolicyAddress *out)
{
  g_auto (GStrv) words = g_key_file_get_string_list (file, "network", key, NULL, NULL);
  size_t n = 0;

  for (; words != NULL && words[n] != NULL && n < 8; n++) {
    out[n].family = inet_pton (AF_INET, words[n], out[n].bytes) == 1 ? 4 : 6;
    if (out[n].family == 6 && inet_pton (AF_INET6, words[n], out[n].bytes) != 1)
      g_error ("%s: %s", key, words[n]);
  }
  return n;
}

static size_t
prefixes (GKeyFile *file, const char *key, FloePolicyPrefix *out)
{
  g_auto (GStrv) words = g_key_file_get_string_list (file, "network", key, NULL, NULL);
  size_t n = 0;

  for (; words != NULL && words[n] != NULL && n < 8; n++) {
    g_auto (GStrv) halves = g_strsplit (words[n], "/", 2);

    out[n].address.family = inet_pton (AF_INET, halves[0], out[n].address.bytes) == 1 ? 4 : 6;
    if (out[n].address.family == 6 && inet_pton (AF_INET6, halves[0], out[n].address.bytes) != 1)
      g_error ("%s: %s", key, words[n]);
    out[n].length = (uint8_t)atoi (halves[1]);
  }
  return n;
}

static Network *
network_load (const char *path, GError **error)
{
  Network *network = g_new0 (Network, 1);
  GKeyFile *file = network->file = g_key_file_new ();
  g_autofree char *mode = NULL, *resolver = NULL;
  g_auto (GStrv) ids = NULL;

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error))
    return NULL;
  mode = g_key_file_get_string (file, "network", "mode", NULL);
  resolver = g_key_file_get_string (file, "network", "resolver", NULL);
  network->network.name = "test";
  network->network.mode = g_strcmp0 (mode, "bridge") == 0 ? FLOE_POLICY_NETWORK_BRIDGE : FLOE_POLICY_NETWORK_NAT;
  network->network.resolver = g_strcmp0 (resolver, "any") == 0 ? FLOE_POLICY_RESOLVER_ANY : FLOE_POLICY_RESOLVER_RULES;
  network->network.ipv6 = g_key_file_get_boolean (file, "network", "ipv6", NULL);
  network->network.dns = network->dns;
  network->network.n_dns = addresses (file, "dns", network->dns);
  network->network.dhcp = network->dhcp;
  network->network.n_dhcp = addresses (file, "dhcp", network->dhcp);
  network->network.rebind = network->rebind;
  network->network.n_rebind = prefixes (file, "rebind", network->rebind);
  network->n_inside = prefixes (file, "inside", network->inside);
  network->floor = (unsigned)g_key_file_get_integer (file, "network", "floor", NULL);
  network->delay_ms = (unsigned)g_key_file_get_integer (file, "network", "delay", NULL);
  network->resolv_conf = g_key_file_get_string (file, "network", "resolv_conf", NULL);
  network->network.egress = network->rules;
  ids = g_key_file_get_keys (file, "rules", NULL, NULL);
  for (size_t i = 0; ids != NULL && ids[i] != NULL && i < G_N_ELEMENTS (network->rules); i++) {
    network->rules[i].id = g_intern_string (ids[i]);
    network->rules[i].names = (const char *const *)g_key_file_get_string_list (file, "rules", ids[i], &network->rules[i].n_names, NULL);
    network->network.n_egress++;
  }
  return network;
}

/* -- What hypervisord does ------------------------------------------------------------------------------------------------- */

static void
print_address (GString *to, const FloePolicyAddress *address)
{
  char text[INET6_ADDRSTRLEN] = "-";

  if (address->family != 0)
    inet_ntop (address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof text);
  g_string_append (to, text);
}

static gboolean
bind_all (const FloeResolverBinding *bindings, size_t n_bindings, gpointer data, GError **error)
{
  Tool *tool = data;
  g_autoptr (GString) script = g_string_new (NULL);
  g_autofree char *said = NULL;
  char *argv[] = { (char *)"nft", NULL, NULL };
  int status;

  /* A kernel that takes its time: an answer that did not wait for it would show. */
  g_usleep (tool->network->delay_ms * 1000);
  for (size_t i = 0; i < n_bindings; i++) {
    g_autoptr (GString) address = g_string_new (NULL);
    g_autofree char *set = g_strdup_printf ("inet names %s%d", bindings[i].rule, bindings[i].address.family);

    print_address (address, &bindings[i].address);
    printf ("bind %s %s %u\n", bindings[i].rule, address->str, bindings[i].timeout_s);
    /* What is there already gets its new timeout: taken out and put back, in one transaction. */
    g_string_append_printf (script, "add element %s { %s }\ndelete element %s { %s }\nadd element %s { %s timeout %us }\n", set, address->str,
                            set, address->str, set, address->str, bindings[i].timeout_s);
  }
  fflush (stdout);
  argv[1] = script->str;
  return g_spawn_sync (NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said, &status, error)
         && (g_spawn_check_wait_status (status, NULL) || floe_error_set (error, FLOE_ERROR_IO, "nft: %s", said));
}

static void
on_lease (const FloePolicyAddress *address, uint32_t lease_s, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new (NULL);

  print_address (text, address);
  printf ("lease %s %u\n", text->str, lease_s);
  fflush (stdout);
}

static void
on_event (const FloeResolverEvent *event, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new (NULL);

  print_address (text, &event->address);
  printf ("event %s %s %s %u %u\n", floe_resolver_event_name (event->kind), event->name[0] != '\0' ? event->name : "-", text->str,
          event->count, event->left_out);
  fflush (stdout);
}

static gboolean
obey (Tool *tool, char **words, GError **error)
{
  if (g_str_equal (words[0], "replace") && words[1] != NULL) {
    Network *network = network_load (words[1], error);

    if (network == NULL || !floe_resolver_replace (tool->resolver, &network->network, error))
      return FALSE;
    tool->network = network;
  } else if (g_str_equal (words[0], "pid")) {
    printf ("pid %d deaths %u\n", floe_resolver_pid (tool->resolver), floe_resolver_deaths (tool->resolver));
  } else if (g_str_equal (words[0], "live")) {
    g_autoptr (GArray) live = floe_resolver_bindings (tool->resolver, &tool->network->network);

    printf ("live %u\n", live->len);
  } else if (g_str_equal (words[0], "quit")) {
    g_main_loop_quit (tool->loop);
  } else {
    return floe_error_set (error, FLOE_ERROR_INVALID, "what is '%s'?", words[0]);
  }
  return TRUE;
}

static gboolean
line_came (GIOChannel *channel, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  Tool *tool = data;
  g_autofree char *line = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;

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

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (STDIN_FILENO);
  FloeNetIdentity identity;
  FloeNetPool pool;
  Tool tool = { .loop = g_main_loop_new (NULL, FALSE) };
  FloeResolverOptions options = { .callbacks = { bind_all, on_lease, on_event } };

  if (argc != 6)
    return 2;
  floe_log_init ("resolver-card");
  tool.network = network_load (argv[5], &error);
  if (tool.network == NULL || !floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, &error)
      || !floe_net_identity (&pool, (unsigned)atoi (argv[1]), &identity, &error)) {
    fprintf (stderr, "resolver-card: %s\n", error->message);
    return 1;
  }
  options.data = &tool;
  options.identity = &identity;
  options.program = argv[2];
  options.staging = argv[3];
  options.uid = (uid_t)atoi (argv[4]);
  options.network = &tool.network->network;
  options.inside = tool.network->inside;
  options.n_inside = tool.network->n_inside;
  options.ttl_floor = tool.network->floor;
  options.resolv_conf = tool.network->resolv_conf;
  options.lease_interface = identity.tap;
  tool.resolver = floe_resolver_start (&options, &error);
  if (tool.resolver == NULL) {
    fprintf (stderr, "resolver-card: %s\n", error->message);
    return 1;
  }
  printf ("ready\n");
  fflush (stdout);
  g_io_add_watch (input, G_IO_IN | G_IO_HUP, line_came, &tool);
  g_main_loop_run (tool.loop);
  floe_resolver_stop (tool.resolver);
  g_main_loop_unref (tool.loop);
  return 0;
}
