/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

static const char *const disk_names[] = { "reset", "persist" };
static const char *const firmware_names[] = { "uefi", "bios" };

/* Only quote and backslash are escaped, for nothing else that needs it passes the parser. */
char *
floe_policy_quoted (const char *text)
{
  char high[129];
  g_autofree char *escaped = NULL;

  for (unsigned i = 0; i < 128; i++)
    high[i] = (char) (0x80 + i);
  high[128] = '\0';
  escaped = g_strescape (text, high);
  return g_strdup_printf ("\"%s\"", escaped);
}

static void
append_rate (GString *text, const FloePolicyRate *rate)
{
  if (rate->packets > 0)
    g_string_append_printf (text, "%upackets/s", rate->packets);
  if (rate->bytes > 0)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT "bytes/s", rate->packets > 0 ? "," : "", (guint64) rate->bytes);
}

static void
append_numbers (GString *text, const FloePolicyNetRule *rule)
{
  for (size_t i = 0; i < rule->n_ports; i++) {
    g_string_append_printf (text, "%s%u", i == 0 ? " " : ",", rule->ports[i].first);
    if (rule->ports[i].last != rule->ports[i].first)
      g_string_append_printf (text, "-%u", rule->ports[i].last);
  }
  for (size_t i = 0; i < rule->n_icmp_types; i++)
    g_string_append_printf (text, "%s%u", i == 0 ? " types=" : ",", rule->icmp_types[i]);
}

void
floe_policy_window_text (const FloePolicyWindow *window, GString *text)
{
  const char *between = "";

  for (unsigned day = 0; window->days != 0x7f && day < 7; day++)
    if (window->days & 1u << day) {
      g_string_append_printf (text, "%s%s", between, floe_policy_day_name (day));
      between = "+";
    }
  g_string_append_printf (text, "%s%02u:%02u-%02u:%02u", window->days != 0x7f ? "/" : "", window->first / 60, window->first % 60,
                          window->last / 60, window->last % 60);
}

void
floe_policy_rule_text (const FloePolicyNetRule *rule, GString *text)
{
  const char *between = " ";

  g_string_append (text, floe_policy_protocol_name (rule->protocol));
  for (size_t i = 0; i < rule->n_prefixes; i++, between = ",") {
    g_autofree char *prefix = floe_policy_prefix_text (&rule->prefixes[i]);

    g_string_append_printf (text, "%s%s", between, prefix);
  }
  for (size_t i = 0; i < rule->n_names; i++, between = ",")
    g_string_append_printf (text, "%s%s", between, rule->names[i]);
  append_numbers (text, rule);
  if (rule->rate.packets > 0 || rule->rate.bytes > 0) {
    g_string_append (text, " rate=");
    append_rate (text, &rule->rate);
  }
  if (rule->log > 0)
    g_string_append_printf (text, " log=1/%u", rule->log);
  for (size_t i = 0; i < rule->n_windows; i++) {
    g_string_append (text, i == 0 ? " when=" : ",");
    floe_policy_window_text (&rule->windows[i], text);
  }
}

static void
dump_machine (const FloePolicyMachine *machine, GString *text)
{
  g_autofree char *title = floe_policy_quoted (machine->title);
  const char *id = machine->id;

  g_string_append_printf (text, "machine %s title=%s\n", id, title);
  g_string_append_printf (text, "machine %s colour=%s\n", id, machine->colour);
  g_string_append_printf (text, "machine %s image=%s/%s\n", id, machine->image_name, machine->image_channel);
  g_string_append_printf (text, "machine %s vcpus=%u\n", id, machine->vcpus);
  g_string_append_printf (text, "machine %s memory-mib=%u\n", id, machine->memory_mib);
  g_string_append_printf (text, "machine %s disk=%s\n", id, disk_names[machine->disk]);
  g_string_append_printf (text, "machine %s firmware=%s\n", id, firmware_names[machine->firmware]);
  g_string_append_printf (text, "machine %s networks=", id);
  for (size_t i = 0; i < machine->n_networks; i++)
    g_string_append_printf (text, "%s%s", i == 0 ? "" : ",", machine->networks[i]->name);
  g_string_append_c (text, '\n');
  g_string_append_printf (text, "machine %s clipboard=%s\n", id, floe_policy_share_name (machine->clipboard));
  g_string_append_printf (text, "machine %s file-transfer=%s\n", id, floe_policy_share_name (machine->file_transfer));
  g_string_append_printf (text, "machine %s audio=%s\n", id, machine->audio ? "yes" : "no");
  g_string_append_printf (text, "machine %s screens=%u\n", id, machine->screens);
  g_string_append_printf (text, "machine %s emulation=%s\n", id, machine->emulation ? "allow" : "refuse");
  g_string_append_printf (text, "machine %s autostart=%s\n", id, machine->autostart ? "yes" : "no");
}

static void
dump_rules (const char *network, const char *direction, const FloePolicyNetRule *rules, size_t n, GString *text)
{
  for (size_t i = 0; i < n; i++) {
    g_string_append_printf (text, "network %s %s %s ", network, direction, rules[i].id);
    floe_policy_rule_text (&rules[i], text);
    g_string_append (text, " -> allow\n");
  }
  g_string_append_printf (text, "network %s %s default -> drop\n", network, direction);
}

static void
dump_servers (const char *network, const char *key, const FloePolicyAddress *servers, size_t n, GString *text)
{
  for (size_t i = 0; i < n; i++) {
    g_autofree char *address = floe_policy_address_text (&servers[i]);

    g_string_append_printf (text, "network %s %s=%s\n", network, key, address);
  }
}

static void
dump_place (const FloePolicyNetwork *network, GString *text)
{
  if (network->interface != NULL)
    g_string_append_printf (text, "network %s interface=%s\n", network->name, network->interface);
  if (network->vlan > 0)
    g_string_append_printf (text, "network %s vlan=%u\n", network->name, network->vlan);
  if (network->through != NULL)
    g_string_append_printf (text, "network %s through=%s\n", network->name, network->through->id);
}

static void
dump_network (const FloePolicyNetwork *network, GString *text)
{
  const char *name = network->name;

  g_string_append_printf (text, "network %s mode=%s\n", name, floe_policy_network_mode_name (network->mode));
  if (network->mode == FLOE_POLICY_NETWORK_NONE)
    return;
  dump_place (network, text);
  g_string_append_printf (text, "network %s ipv6=%s\n", name, network->ipv6 ? "yes" : "no");
  g_string_append_printf (text, "network %s resolver=%s\n", name, floe_policy_resolver_name (network->resolver));
  dump_servers (name, "dns", network->dns, network->n_dns, text);
  for (size_t i = 0; i < network->n_rebind; i++) {
    g_autofree char *prefix = floe_policy_prefix_text (&network->rebind[i]);

    g_string_append_printf (text, "network %s rebind=%s\n", name, prefix);
  }
  dump_servers (name, "dhcp", network->dhcp, network->n_dhcp, text);
  g_string_append_printf (text, "network %s connections=%u\n", name, network->connections);
  g_string_append_printf (text, "network %s isolated=%s\n", name, network->isolated ? "yes" : "no");
  g_string_append_printf (text, "network %s vhost=%s\n", name, network->vhost ? "yes" : "no");
  g_string_append_printf (text, "network %s log-drops=%s\n", name, network->log_drops ? "yes" : "no");
  if (network->rate.packets > 0 || network->rate.bytes > 0) {
    g_string_append_printf (text, "network %s rate=", name);
    append_rate (text, &network->rate);
    g_string_append_c (text, '\n');
  }
  dump_rules (name, "egress", network->egress, network->n_egress, text);
  dump_rules (name, "ingress", network->ingress, network->n_ingress, text);
}

static void
dump_console (const FloePolicyConsole *console, GString *text)
{
  g_autofree char *banner = floe_policy_quoted (console->banner);
  g_autofree char *languages = g_strjoinv (",", (char **) console->languages);

  g_string_append_printf (text, "console switch-next=%s\n", console->switch_next);
  g_string_append_printf (text, "console switch-previous=%s\n", console->switch_previous);
  g_string_append_printf (text, "console switch-list=%s\n", console->switch_list);
  g_string_append_printf (text, "console kiosk=%s\n", console->kiosk ? "yes" : "no");
  g_string_append_printf (text, "console banner=%s\n", banner);
  g_string_append_printf (text, "console languages=%s\n", languages);
}

static void
dump_update (const FloePolicyUpdate *update, GString *text)
{
  g_string_append_printf (text, "update restart=%s\n", update->idle_minutes > 0 ? "idle" : "ask");
  if (update->idle_minutes > 0)
    g_string_append_printf (text, "update idle-minutes=%u\n", update->idle_minutes);
}

char *
floe_policy_dump (const FloePolicyContent *content)
{
  g_autoptr (GString) text = g_string_new ("floe policy 1\n");

  g_string_append_printf (text, "group %s\n", content->group);
  g_string_append_printf (text, "lease-days %u\n", content->lease_days);
  for (size_t i = 0; i < content->n_machines; i++)
    dump_machine (&content->machines[i], text);
  for (size_t i = 0; i < content->n_networks; i++)
    dump_network (&content->networks[i], text);
  for (size_t i = 0; i < content->n_usb; i++) {
    g_string_append_printf (text, "usb %s", content->usb[i].id);
    floe_policy_usb_rule_text (&content->usb[i], text);
    g_string_append_c (text, '\n');
  }
  g_string_append (text, "usb default -> block\n");
  dump_console (&content->console, text);
  dump_update (&content->update, text);
  for (size_t i = 0; i < content->n_images; i++)
    g_string_append_printf (text, "image %s/%s\n", content->images[i].name, content->images[i].channel);
  return g_string_free (g_steal_pointer (&text), FALSE);
}
