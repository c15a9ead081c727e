/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-bridge.h"
#include "hypervisor/net/floe-dhcp.h"
#include "hypervisor/net/floe-net-log.h"
#include "hypervisor/net/floe-route.h"

#include <string.h>

static void
check_golden (const char *name, const char *text)
{
  g_autofree char *path = g_strdup_printf ("%s/tests/golden/net/%s", FLOE_SOURCE_DIR, name);
  g_autofree char *golden = NULL;
  g_autoptr (GError) error = NULL;

  if (g_getenv ("FLOE_UPDATE_GOLDEN") != NULL)
    g_assert_true (g_file_set_contents (path, text, -1, &error));
  g_assert_true (g_file_get_contents (path, &golden, NULL, &error));
  g_assert_cmpstr (text, ==, golden);
}

static void
test_dhcp (void)
{
  const struct {
    const char *golden;
    FloeDhcpOptions options;
  } cases[] = {
    { "dhcp.argv", { "/usr/sbin/dnsmasq", "nobody" } },
    { "dhcp-resolver.argv", { "/usr/sbin/dnsmasq", "nobody", .resolver = TRUE } },
    { "dhcp-ipv6.argv", { "/usr/sbin/dnsmasq", "nobody", .resolver = TRUE, .ipv6 = TRUE } },
    { "dhcp-inner.argv", { "/usr/sbin/dnsmasq", "nobody", .ipv6 = TRUE, .inner = TRUE, .pool = FLOE_NET_POOL_DEFAULT } },
  };
  FloeNetIdentity identity;
  FloeNetPool pool;

  g_assert_true (floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL));
  g_assert_true (floe_net_identity (&pool, 7, &identity, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (GStrv) arguments = floe_dhcp_arguments (&identity, &cases[i].options);
    g_autofree char *joined = g_strjoinv ("\n", arguments);
    g_autofree char *text = g_strconcat (joined, "\n", NULL);

    check_golden (cases[i].golden, text);
  }
}

/* Names fit, are told apart, and are no tap's. */
static void
test_bridge_names (void)
{
  static const struct {
    const char *interface;
    unsigned vlan;
    const char *bridge, *device;
  } cases[] = {
    { "eth0", 0, "floeb0-eth0", "floev0-eth0" },
    { "eth0", 4094, "floeb4094-eth0", "floev4094-eth0" },
    { "enp0s31f6", 4094, NULL, NULL },
    { "enp0s31f7", 4094, NULL, NULL },
  };
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    char bridge[IF_NAMESIZE], device[IF_NAMESIZE];

    floe_bridge_name ('b', cases[i].interface, cases[i].vlan, bridge);
    floe_bridge_name ('v', cases[i].interface, cases[i].vlan, device);
    if (cases[i].bridge != NULL) {
      g_assert_cmpstr (bridge, ==, cases[i].bridge);
      g_assert_cmpstr (device, ==, cases[i].device);
    }
    g_assert_cmpint (floe_net_slot_of_name (bridge), ==, -1);
    g_assert_cmpint (floe_net_slot_of_name (device), ==, -1);
    g_assert_true (g_hash_table_add (seen, g_strdup (bridge)));
    g_assert_true (g_hash_table_add (seen, g_strdup (device)));
  }
}

static void
test_tables (void)
{
  g_assert_cmpuint (floe_route_table (0), ==, 4044226560u);
  g_assert_cmpuint (floe_route_table (FLOE_NET_SLOTS - 1), ==, 4044242943u);
}

/* -- Logged packets --------------------------------------------------------------------------------------------------- */

static gboolean
decode_file (const char *name, FloeNetLogEntry *entry)
{
  g_autofree char *path = g_strdup_printf ("%s/tests/fuzz/net-log.corpus/%s", FLOE_SOURCE_DIR, name), *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  return floe_net_log_decode ((const uint8_t *)bytes, size, entry);
}

static void
test_log_packets (void)
{
  const struct {
    const char *file, *rule;
    int slot;
    gboolean allowed;
    unsigned ether_type, protocol, source_family, source_port, destination_port;
  } cases[] = {
    { "tcp", "default", 0, FALSE, 0x800, 6, 4, 40000, 443 },
    { "udp6", "dns-out", 4, TRUE, 0x86dd, 17, 6, 5000, 53 },
    { "icmp", "never-routed", 0, FALSE, 0x800, 1, 4, 0, 8 },
    { "arp", "floe-arp-spoof", 0, FALSE, 0x806, 0, 0, 0, 0 },
    { "egress", "floe-to-guest-other", 0, FALSE, 0x800, 17, 4, 7, 9 },
    { "fragment", "default", 16383, FALSE, 0x800, 6, 4, 0, 0 },
    { "cut", "default", 0, FALSE, 0x800, 0, 0, 0, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloeNetLogEntry entry;

    g_assert_true (decode_file (cases[i].file, &entry));
    g_assert_cmpstr (entry.rule, ==, cases[i].rule);
    g_assert_cmpint (entry.slot, ==, cases[i].slot);
    g_assert_cmpint (entry.allowed, ==, cases[i].allowed);
    g_assert_cmpuint (entry.ether_type, ==, cases[i].ether_type);
    g_assert_cmpuint (entry.protocol, ==, cases[i].protocol);
    g_assert_cmpuint (entry.source.family, ==, cases[i].source_family);
    g_assert_cmpuint (entry.source_port, ==, cases[i].source_port);
    g_assert_cmpuint (entry.destination_port, ==, cases[i].destination_port);
  }
}

/* Every length of a good message but its own, and every byte of it changed: refused, or an entry; never more than was there is read (the
 * sanitizers would say). Prefixes that are not ours are refused. */
static void
test_log_bad (void)
{
  static const char *const prefixes[] = { "", "floe0", "floe0 drop", "floe0 drop ", "floe00 drop x", "eth0 drop x", "floe0 pass x", "floe0 drop x y",
                                          "floe0 drop x\n", "floe16384 drop x", "floe0 drop 12345678901234567890123456789012345678901" };
  g_autofree char *path = g_strdup_printf ("%s/tests/fuzz/net-log.corpus/tcp", FLOE_SOURCE_DIR), *bytes = NULL;
  FloeNetLogEntry entry;
  gsize size;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  for (gsize length = 0; length < size; length++) {
    g_autofree uint8_t *cut = g_memdup2 (bytes, length);

    (void)floe_net_log_decode (cut, length, &entry);
  }
  for (gsize i = 0; i < size; i++) {
    g_autofree uint8_t *changed = g_memdup2 (bytes, size);

    changed[i] ^= 0xff;
    (void)floe_net_log_decode (changed, size, &entry);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (prefixes); i++) {
    uint8_t message[128] = { 2 };
    uint16_t length = (uint16_t)(4 + strlen (prefixes[i])), type = 10;

    memcpy (message + 4, &length, 2);
    memcpy (message + 6, &type, 2);
    memcpy (message + 8, prefixes[i], strlen (prefixes[i]));
    g_assert_false (floe_net_log_decode (message, 4 + length, &entry));
  }
}

typedef struct {
  guint64 packets, left_out;
  guint told, cards;
} Told;

static void
count_told (int slot, const FloeNetLogEntry *entry, guint64 count, gpointer data)
{
  Told *told = data;

  g_assert_cmpint (slot, <, 2);
  if (entry == NULL) {
    told->left_out += count;
    return;
  }
  told->packets += count;
  told->told++;
  told->cards |= 1u << slot;
}

/* A card that floods has its own limits filled, and nobody else's; no packet is lost in the count. */
static void
test_log_sum (void)
{
  g_autoptr (FloeNetLogSum) sum = floe_net_log_sum_new ();
  FloeNetLogEntry entry;
  Told told = { 0 };

  g_assert_true (decode_file ("tcp", &entry));
  g_assert_false (floe_net_log_sum_add (sum, &entry));
  for (unsigned i = 0; i < 99; i++)
    g_assert_true (floe_net_log_sum_add (sum, &entry));
  entry.slot = 1;
  for (unsigned i = 0; i < 100000; i++) {
    entry.destination_port = (uint16_t)i;
    floe_net_log_sum_add (sum, &entry);
  }
  floe_net_log_sum_take (sum, count_told, &told);
  g_assert_cmpuint (told.cards, ==, 3);
  g_assert_cmpuint (told.told, ==, 1 + FLOE_NET_LOG_TOLD_MAX);
  g_assert_cmpuint (told.packets + told.left_out, ==, 100100);
  told = (Told){ 0 };
  floe_net_log_sum_take (sum, count_told, &told);
  g_assert_cmpuint (told.told + told.left_out, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net-cards/dhcp", test_dhcp);
  g_test_add_func ("/net-cards/bridge-names", test_bridge_names);
  g_test_add_func ("/net-cards/tables", test_tables);
  g_test_add_func ("/net-cards/log/packets", test_log_packets);
  g_test_add_func ("/net-cards/log/bad", test_log_bad);
  g_test_add_func ("/net-cards/log/sum", test_log_sum);
  return g_test_run ();
}
