/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-bridge.h"
#include "hypervisor/net/floe-dhcp.h"
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net-cards/dhcp", test_dhcp);
  g_test_add_func ("/net-cards/bridge-names", test_bridge_names);
  g_test_add_func ("/net-cards/tables", test_tables);
  return g_test_run ();
}
