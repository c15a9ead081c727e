/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-commands-private.h"
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>

typedef struct {
  char *network, *name, *at, *type;
} PacketOptions;

static void
packet_options_clear (PacketOptions *options)
{
  g_free (options->network);
  g_free (options->name);
  g_free (options->at);
  g_free (options->type);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PacketOptions, packet_options_clear)

static gboolean
parse_protocol (const char *text, FloePolicyPacket *packet, GError **error)
{
  static const struct {
    const char *name;
    uint8_t number, type;
  } known[] = { { "tcp", IPPROTO_TCP, 0 }, { "udp", IPPROTO_UDP, 0 }, { "icmp", IPPROTO_ICMP, 8 }, { "icmp6", IPPROTO_ICMPV6, 128 } };
  guint64 number;

  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].name, text) == 0) {
      packet->protocol = known[i].number;
      packet->icmp_type = known[i].type;
      return TRUE;
    }
  if (!parse_number (text, 255, &number))
    return usage (error, "tcp, udp, icmp, icmp6 (both: an echo request) or the number of an IP protocol wanted", text);
  packet->protocol = (uint8_t) number;
  return TRUE;
}

/* "10.0.0.1:443", "[2001:db8::1]:443", or an address alone where there are no ports. */
static gboolean
parse_endpoint (const char *text, FloePolicyPacket *packet, GError **error)
{
  gboolean ports = packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;
  const char *colon = ports ? strrchr (text, ':') : NULL;
  size_t size = colon != NULL ? (size_t) (colon - text) : strlen (text);
  gboolean brackets = size >= 2 && text[0] == '[' && text[size - 1] == ']';
  g_autofree char *address = brackets ? g_strndup (text + 1, size - 2) : g_strndup (text, size);
  const char *wanted = ports ? "ADDRESS:PORT or [ADDRESS]:PORT wanted" : "an ADDRESS wanted";
  guint64 port = 0;

  if ((ports && (colon == NULL || !parse_number (colon + 1, 65535, &port))) || !floe_policy_address_parse (address, &packet->remote))
    return usage (error, wanted, text);
  /* "2001:db8::1:443" is an address without a port as well as one with it. */
  if (ports && packet->remote.family == 6 && !brackets)
    return usage (error, wanted, text);
  packet->port = (uint16_t) port;
  return TRUE;
}

/* "mon 08:15" in local time; NULL: now. */
static gboolean
parse_at (const char *text, FloePolicyPacket *packet, GError **error)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  unsigned minute;

  packet->day = (uint8_t) (g_date_time_get_day_of_week (now) % 7);
  packet->minute = (uint16_t) (g_date_time_get_hour (now) * 60 + g_date_time_get_minute (now));
  if (text == NULL)
    return TRUE;
  if (strlen (text) != 9 || text[3] != ' ' || !floe_policy_time_parse (text + 4, &minute) || minute == 24 * 60)
    return usage (error, "--at \"DAY HH:MM\" wanted, such as \"mon 08:15\"", text);
  for (unsigned day = 0; day < 7; day++)
    if (strncmp (text, floe_policy_day_name (day), 3) == 0) {
      packet->day = (uint8_t) day;
      packet->minute = (uint16_t) minute;
      return TRUE;
    }
  return usage (error, "--at \"DAY HH:MM\" wanted, DAY one of sun, mon, tue, wed, thu, fri, sat", text);
}

static gboolean
parse_options (const PacketOptions *options, FloePolicyPacket *packet, char **name, GError **error)
{
  guint64 type;

  if (!parse_at (options->at, packet, error))
    return FALSE;
  if (options->type != NULL) {
    if (packet->protocol != IPPROTO_ICMP && packet->protocol != IPPROTO_ICMPV6)
      return usage (error, "--type is for icmp and icmp6", NULL);
    if (!parse_number (options->type, 255, &type))
      return usage (error, "--type 0 to 255 wanted", options->type);
    packet->icmp_type = (uint8_t) type;
  }
  if (options->name != NULL) {
    const char *why = floe_policy_dns_name_parse (options->name, FALSE, name);

    if (why != NULL)
      return usage (error, why, options->name);
    packet->name = *name;
  }
  return TRUE;
}

static gboolean
explain (const FloePolicyContent *content, const PacketOptions *options, char **words, int n, GError **error)
{
  FloePolicyPacket packet = { 0 };
  const FloePolicyMachine *machine;
  const FloePolicyNetwork *network = NULL;
  g_autofree char *text = NULL, *name = NULL;

  if (n != 4)
    return usage (error, "packet MACHINE egress|ingress PROTOCOL ADDRESS[:PORT] wanted", NULL);
  machine = floe_policy_find_machine (content, words[0]);
  if (machine == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no machine '%s'", words[0]);
  if (strcmp (words[1], "egress") != 0 && strcmp (words[1], "ingress") != 0)
    return usage (error, "egress (from the machine) or ingress (to it) wanted", words[1]);
  packet.direction = strcmp (words[1], "egress") == 0 ? FLOE_POLICY_EGRESS : FLOE_POLICY_INGRESS;
  if (!parse_protocol (words[2], &packet, error) || !parse_endpoint (words[3], &packet, error)
      || !parse_options (options, &packet, &name, error))
    return FALSE;
  for (size_t i = 0; options->network != NULL && i < machine->n_networks; i++)
    if (strcmp (machine->networks[i]->name, options->network) == 0)
      network = machine->networks[i];
  if (options->network != NULL && network == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "machine '%s' has no card on a network '%s'", words[0], options->network);
  text = floe_policy_explain_packet (machine, network, &packet);
  return print (text, error);
}

gboolean
floe_policy_explain_packet_command (const FloeCommand *command, int argc, char **argv, GError **error)
{
  g_auto (PacketOptions) options = { 0 };
  const GOptionEntry entries[] = {
    { "network", 0, 0, G_OPTION_ARG_STRING, &options.network, "on this card only (on each of the machine's)", "ID" },
    { "name", 0, 0, G_OPTION_ARG_STRING, &options.name, "the DNS name that was answered with the address", "NAME" },
    { "at", 0, 0, G_OPTION_ARG_STRING, &options.at, "local time (now)", "\"DAY HH:MM\"" },
    { "type", 0, 0, G_OPTION_ARG_STRING, &options.type, "icmp, icmp6: another type than an echo request", "N" },
    { NULL },
  };
  g_autoptr (FloePolicyDocument) document = NULL;

  if (!floe_cli_parse (command, entries, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 3)
    return usage (error, "explain FILE packet MACHINE egress|ingress PROTOCOL ADDRESS[:PORT] wanted", NULL);
  document = floe_policy_load (argv[1], error);
  return document != NULL && explain (floe_policy_document_content (document), &options, argv + 3, argc - 3, error);
}
