/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <string.h>

/* Input: a policy document, and after the first NUL byte a USB device and a packet to judge under it. What must hold, whatever they are:
 * see the assertions. */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct {
  const uint8_t *at;
  size_t left;
} Bytes;

/* The next SIZE bytes into TO; zeroes when they have run out. */
static void
take (Bytes *bytes, void *to, size_t size)
{
  size_t n = MIN (size, bytes->left);

  memset (to, 0, size);
  if (n > 0)
    memcpy (to, bytes->at, n);
  bytes->at += n;
  bytes->left -= n;
}

/* On one card of MACHINE (NULL: it has none). */
static void
judge_on_card (const FloePolicyMachine *machine, const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  FloePolicyPacketVerdict verdict = floe_policy_packet_verdict (network, packet);
  g_autofree char *text = floe_policy_explain_packet (machine, network, packet);

  if (network != NULL && network->through == machine)
    g_assert_true (g_str_has_prefix (text, "network "));
  else
    g_assert_true (g_str_has_prefix (text, verdict.allow ? "allow: " : "drop: "));
  g_assert_true (!verdict.allow || network != NULL);
  g_assert_true (!verdict.allow || packet->remote.family == 4 || network->ipv6);
  for (size_t i = 0; verdict.allow && i < floe_policy_n_never_routed; i++)
    g_assert_false (floe_policy_prefix_contains (&floe_policy_never_routed[i], &packet->remote));
}

static void
judge_packet (const FloePolicyContent *content, Bytes *bytes)
{
  static const char *const names[] = { NULL, "www.example.org", "a.b.example.org", "x" };
  FloePolicyPacket packet = { 0 };
  uint8_t family;

  take (bytes, &family, 1);
  packet.direction = family & 2 ? FLOE_POLICY_INGRESS : FLOE_POLICY_EGRESS;
  packet.remote.family = family & 1 ? 4 : 6;
  packet.name = names[family >> 2 & 3];
  packet.day = (family >> 4) % 7;
  take (bytes, packet.remote.bytes, packet.remote.family == 4 ? 4 : 16);
  take (bytes, &packet.protocol, sizeof packet.protocol);
  take (bytes, &packet.port, sizeof packet.port);
  take (bytes, &packet.icmp_type, sizeof packet.icmp_type);
  packet.minute = packet.port % 1440;
  for (size_t i = 0; i < content->n_machines; i++) {
    const FloePolicyMachine *machine = &content->machines[i];

    if (machine->n_networks == 0)
      judge_on_card (machine, NULL, &packet);
    for (size_t j = 0; j < machine->n_networks; j++)
      judge_on_card (machine, machine->networks[j], &packet);
  }
}

/* What enforcers are promised of every network. */
static void
check_network (const FloePolicyNetwork *network)
{
  gboolean lan = network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN;

  g_assert_true (lan == (network->interface != NULL) && lan == (network->n_dhcp > 0));
  g_assert_true ((network->mode == FLOE_POLICY_NETWORK_VLAN) == (network->vlan > 0));
  g_assert_true ((network->mode == FLOE_POLICY_NETWORK_FILTER) == (network->through != NULL));
  g_assert_true (!lan || network->resolver == FLOE_POLICY_RESOLVER_NONE);
  g_assert_true (network->mode == FLOE_POLICY_NETWORK_NONE || (network->connections >= 1 && network->connections <= 65536));
  for (size_t i = 0; i < network->n_egress; i++) {
    const FloePolicyNetRule *rule = &network->egress[i];

    g_assert_true (rule->n_prefixes + rule->n_names > 0);
    g_assert_true (rule->n_names == 0 || network->resolver != FLOE_POLICY_RESOLVER_NONE);
    g_assert_true (rule->n_windows <= FLOE_POLICY_WINDOWS_MAX);
    for (size_t j = 0; j < rule->n_prefixes; j++)
      g_assert_true (rule->prefixes[j].address.family == 4 || network->ipv6);
    for (size_t j = 0; j < rule->n_windows; j++)
      g_assert_true (rule->windows[j].days != 0 && rule->windows[j].days <= 0x7f && rule->windows[j].first < rule->windows[j].last
                     && rule->windows[j].last <= 1440);
  }
}

/* Every interface that GRANT gives of DEVICE is one that it names, in each of its settings. */
static void
check_grant (const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device)
{
  gboolean gives = FALSE;

  for (size_t i = 0; i < device->n_interfaces; i++) {
    const FloePolicyUsbInterface *interface = &device->interfaces[i];
    gboolean named = grant->n_interfaces == 0;

    if (!floe_policy_usb_grant_gives (grant, device, interface->configuration, interface->number))
      continue;
    for (size_t j = 0; j < grant->n_interfaces; j++)
      named |= grant->interfaces[j].class_code == interface->class_code;
    g_assert_true (named);
    gives = TRUE;
  }
  g_assert_true (gives == (grant->action == FLOE_POLICY_USB_HOST || grant->action == FLOE_POLICY_USB_MACHINE));
}

static void
judge_device (const FloePolicyContent *content, Bytes *bytes)
{
  FloePolicyUsbDevice device = { .port = "1-2.4" };
  FloePolicyUsbInterface interfaces[32];
  char strings[3][8];
  uint8_t flags, situation_flags;
  g_autofree char *text = NULL;

  take (bytes, &device.vendor, sizeof device.vendor);
  take (bytes, &device.product, sizeof device.product);
  take (bytes, &flags, 1);
  take (bytes, &situation_flags, 1);
  take (bytes, strings, sizeof strings);
  take (bytes, &device.device_class, sizeof device.device_class);
  device.n_interfaces = MIN (bytes->left / sizeof *interfaces, G_N_ELEMENTS (interfaces));
  take (bytes, interfaces, device.n_interfaces * sizeof *interfaces);
  device.interfaces = interfaces;
  device.complete = (flags & 1) != 0;
  device.speed = (FloePolicyUsbSpeed) ((flags >> 2) & 8);
  if (flags & 2)
    device.serial = (FloePolicyUsbString){ strings[0], (size_t) (flags >> 5) };
  if (flags & 4)
    device.name = (FloePolicyUsbString){ strings[1], (size_t) (flags >> 5) };
  if (flags & 8)
    device.manufacturer = (FloePolicyUsbString){ strings[2], (size_t) (flags >> 5) };
  const FloePolicyUsbSituation situation = {
    .locked = (situation_flags & 1) != 0,
    .person = situation_flags & 2 ? "alice" : NULL,
    .front = situation_flags & 4 ? &content->machines[(situation_flags >> 3) % content->n_machines] : NULL,
  };
  FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &device, &situation);

  g_assert_true (verdict.action == FLOE_POLICY_USB_BLOCK || (device.complete && device.n_interfaces > 0));
  g_assert_true ((verdict.grant.machine != NULL) == (verdict.action == FLOE_POLICY_USB_MACHINE));
  g_assert_true (verdict.index == SIZE_MAX || verdict.index < content->n_usb);
  g_assert_true (verdict.grant.action == (verdict.action == FLOE_POLICY_USB_ASK ? FLOE_POLICY_USB_BLOCK : verdict.action));
  check_grant (&verdict.grant, &device);
  text = floe_policy_explain_usb (content, &device, &situation);
  g_assert_true (g_str_has_prefix (text, floe_policy_usb_action_name (verdict.action)));
}

static void
show (const FloePolicyContent *content)
{
  g_autofree char *dump = floe_policy_dump (content);
  g_auto (GStrv) notes G_GNUC_UNUSED = floe_policy_notes (content);

  /* Names in the dump are data, never structure: a fact a line, whatever the document holds. */
  g_assert_true (g_utf8_validate (dump, -1, NULL));
  for (const char *at = dump; *at != '\0'; at++)
    g_assert_true ((unsigned char) *at >= 0x20 || *at == '\n');
  g_assert_true (g_str_has_prefix (dump, "floe policy 1\ngroup "));
  for (size_t i = 0; i < content->n_networks; i++)
    check_network (&content->networks[i]);
  for (size_t i = 0; i < content->n_machines; i++)
    g_free (floe_policy_explain_machine (content, &content->machines[i]));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const uint8_t *nul = size > 0 ? memchr (data, '\0', size) : NULL;
  size_t text_size = nul != NULL ? (size_t) (nul - data) : size;
  g_autoptr (GBytes) text = g_bytes_new (data, text_size);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePolicyDocument) document = floe_policy_parse (text, "fuzz.json", &error);
  Bytes rest = { nul != NULL ? nul + 1 : data + size, nul != NULL ? size - text_size - 1 : 0 };

  g_assert_true ((document == NULL) == (error != NULL));
  if (document == NULL)
    return 0;
  show (floe_policy_document_content (document));
  judge_packet (floe_policy_document_content (document), &rest);
  judge_device (floe_policy_document_content (document), &rest);
  return 0;
}
