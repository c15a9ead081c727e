/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>
#include <string.h>

/* -- A machine -------------------------------------------------------------------------------------------------------- */

static void
explain_rules (GString *text, const char *heading, const FloePolicyNetRule *rules, size_t n)
{
  g_string_append_printf (text, "  %s:\n", heading);
  for (size_t i = 0; i < n; i++) {
    g_string_append_printf (text, "    %-20s allow ", rules[i].id);
    floe_policy_rule_text (&rules[i], text);
    g_string_append_c (text, '\n');
  }
  g_string_append_printf (text, "    %-20s drop everything else\n", "default");
}

static void
explain_network (GString *text, const FloePolicyNetwork *network)
{
  if (network == NULL) {
    g_string_append (text, "network: none, it has no network card\n");
    return;
  }
  g_string_append_printf (text, "network: %s (nat)\n", network->name);
  explain_rules (text, "new flows to the world", network->egress, network->n_egress);
  explain_rules (text, "new flows from the world", network->ingress, network->n_ingress);
}

static void
explain_sharing (GString *text, const FloePolicyMachine *machine)
{
  g_string_append_printf (text, "screen: clipboard %s, file transfer %s, sound %s, %u screen%s\n",
                          floe_policy_share_name (machine->clipboard), floe_policy_share_name (machine->file_transfer),
                          machine->audio ? "on" : "off", machine->screens, machine->screens == 1 ? "" : "s");
}

char *
floe_policy_explain_machine (const FloePolicyContent *content, const FloePolicyMachine *machine)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *title = floe_policy_quoted (machine->title);

  g_string_append_printf (text, "machine %s: %s, bordered %s\n", machine->id, title, machine->colour);
  g_string_append_printf (text, "image: %s, channel %s\n", machine->image_name, machine->image_channel);
  g_string_append_printf (text, "hardware: %u vCPU%s, %u MiB, %s firmware\n", machine->vcpus, machine->vcpus == 1 ? "" : "s",
                          machine->memory_mib, machine->firmware == FLOE_POLICY_FIRMWARE_UEFI ? "UEFI" : "BIOS");
  g_string_append_printf (text, "disk: what it writes is %s\n",
                          machine->disk == FLOE_POLICY_DISK_RESET ? "thrown away at each start" : "kept on the endpoint");
  g_string_append_printf (text, "without KVM: %s\n", machine->emulation ? "runs emulated, with a warning" : "does not start");
  g_string_append_printf (text, "starts: %s\n", machine->autostart ? "with the endpoint" : "when asked");
  g_string_append_printf (text, "lease: does not start after %u day%s without a refreshed policy\n", content->lease_days,
                          content->lease_days == 1 ? "" : "s");
  explain_sharing (text, machine);
  explain_network (text, machine->n_networks > 0 ? machine->networks[0] : NULL);
  floe_policy_explain_usb_rules (content, machine, text);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* -- A packet --------------------------------------------------------------------------------------------------------- */

static void
append_packet (GString *text, const FloePolicyPacket *packet)
{
  g_autofree char *address = floe_policy_address_text (&packet->remote);
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS;
  const char *direction = egress ? "to" : "from";

  if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
    g_string_append_printf (text, "%s %s %s%s port %u", packet->protocol == IPPROTO_TCP ? "tcp" : "udp", direction, address,
                            egress ? "" : " to its", packet->port);
  else if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6)
    g_string_append_printf (text, "%s type %u %s %s", packet->protocol == IPPROTO_ICMP ? "icmp" : "icmp6", packet->icmp_type,
                            direction, address);
  else
    g_string_append_printf (text, "IP protocol %u %s %s", packet->protocol, direction, address);
}

/* The reason behind a verdict that names no rule of the document. */
static const char *
packet_reason (const char *rule)
{
  if (strcmp (rule, "no-network") == 0)
    return "the machine has no network card";
  if (strcmp (rule, "never-routed") == 0)
    return "such addresses are opened by no rule (loopback, link-local, multicast, reserved)";
  return "no rule allows it";
}

char *
floe_policy_explain_packet (const FloePolicyMachine *machine, const FloePolicyPacket *packet)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const FloePolicyNetwork *network = machine->n_networks > 0 ? machine->networks[0] : NULL;
  FloePolicyPacketVerdict verdict = floe_policy_packet_verdict (network, packet);
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS;
  size_t n = network == NULL ? 0 : egress ? network->n_egress : network->n_ingress;

  g_string_append_printf (text, "%s: machine %s, ", verdict.allow ? "allow" : "drop", machine->id);
  append_packet (text, packet);
  if (!verdict.allow) {
    g_string_append_printf (text, ", by %s: %s\n", verdict.rule, packet_reason (verdict.rule));
    return g_string_free (g_steal_pointer (&text), FALSE);
  }
  g_string_append_printf (text, ", by rule %s of network %s\n", verdict.rule, network->name);
  for (size_t i = 0; i < n; i++) {
    const FloePolicyNetRule *rule = egress ? &network->egress[i] : &network->ingress[i];

    if (strcmp (rule->id, verdict.rule) != 0)
      continue;
    g_string_append_printf (text, "  %s: ", rule->id);
    floe_policy_rule_text (rule, text);
    g_string_append (text, "\n  replies to it, and errors about it, pass as part of the same flow\n");
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* -- Notes ------------------------------------------------------------------------------------------------------------ */

static void
note_networks (const FloePolicyContent *content, GPtrArray *notes)
{
  for (size_t i = 0; i < content->n_networks; i++) {
    const FloePolicyNetwork *network = &content->networks[i];
    gboolean used = network->mode == FLOE_POLICY_NETWORK_NONE;

    for (size_t j = 0; j < content->n_machines; j++)
      used |= (content->machines[j].n_networks > 0 && content->machines[j].networks[0] == network);
    if (!used)
      g_ptr_array_add (notes, g_strdup_printf ("network '%s' is used by no machine", network->name));
  }
}

char **
floe_policy_notes (const FloePolicyContent *content)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new ();

  floe_policy_usb_notes (content, notes);
  note_networks (content, notes);
  g_ptr_array_add (notes, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&notes), FALSE);
}
