/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/net/floe-rules-netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Whether the kernel does with a packet what floe_policy_packet_verdict() says. `net-explain run SEED RULESETS PACKETS`: holds two taps,
 * the card's (floe0) and the world's (world0), that a script has given addresses and neighbours; makes random rule sets, loads each, and
 * writes packets that begin flows into one tap. What comes out at the other was allowed; which rule did it, the counters say. A packet is
 * known again by the number that it carries. Forwarding is done when the write returns, so that nothing waits. */

#define RULES_MAX 40
#define PARTS 3
#define NAMES 12
#define FRAME_MAX 256
#define MAGIC 0x464c4f45u

typedef struct {
  FloePolicyNetRule rules[2][RULES_MAX];
  char ids[2][RULES_MAX][8];
  FloePolicyPrefix prefixes[2][RULES_MAX][PARTS];
  FloePolicyPorts ports[2][RULES_MAX][PARTS];
  FloePolicyWindow windows[2][RULES_MAX][2];
  const char *names[2][RULES_MAX][PARTS];
  uint8_t types[2][RULES_MAX][2];
  FloePolicyNetwork network;
  int zone; /* seconds east */
  uint8_t day;
  uint16_t minute;
} Made;

typedef struct {
  GRand *rand;
  FloeNetlink *netlink;
  FloeNetIdentity identity;
  int card, world;
  uint16_t generation;
  unsigned long cases, disagreements, allowed, port;
} Run;

static const char *const name_list[NAMES] = { "n0.example.org", "n1.example.org", "n2.example.org", "a.n3.example.org", "n4.example.org",
                                              "b.n5.example.org", "n6.example.net", "n7.example.net", "n8.example.net", "n9.example.net",
                                              "n10.example.net", "n11.example.net" };
static const char *const patterns[] = { "n0.example.org", "n1.example.org", "*.n3.example.org", "*.example.org", "*.n5.example.org",
                                        "n6.example.net", "*.example.net", "n8.example.net", "n11.example.net", "n2.example.org" };

static int
range (Run *run, int first, int after)
{
  return g_rand_int_range (run->rand, first, after);
}

/* -- Rule sets --------------------------------------------------------------------------------------------------------- */

static FloePolicyAddress
address_of (gboolean v6, unsigned last)
{
  FloePolicyAddress address = { .family = v6 ? 6 : 4 };
  const uint8_t base4[4] = { 198, 51, (uint8_t) (last >> 8), (uint8_t) last };
  const uint8_t base6[16] = { 0x20, 1, 0x0d, 0xb8, [14] = (uint8_t) (last >> 8), (uint8_t) last };

  memcpy (address.bytes, v6 ? base6 : base4, v6 ? 16 : 4);
  return address;
}

/* Addresses 0 to NAMES - 1 have names; prefixes lie close together, so that they touch, nest and overlap. */
static void
make_prefix (Run *run, FloePolicyPrefix *prefix)
{
  gboolean v6 = range (run, 0, 3) == 0;
  unsigned bits = v6 ? 128 : 32, keep = range (run, 0, 6) == 0 ? (unsigned) range (run, 0, 16) : bits - (unsigned) range (run, 0, 6);
  FloePolicyAddress address = address_of (v6, (unsigned) range (run, 0, 96));

  for (unsigned bit = keep; bit < bits; bit++)
    address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
  *prefix = (FloePolicyPrefix){ address, (uint8_t) keep };
}

/* Far enough from now that it does not change its mind meanwhile. */
static void
make_windows (Run *run, Made *made, FloePolicyNetRule *rule, FloePolicyWindow *windows)
{
  rule->windows = windows;
  rule->n_windows = (size_t) range (run, 1, 3);
  for (size_t i = 0; i < rule->n_windows; i++) {
    unsigned from = (unsigned) range (run, 0, 1380), to = from + (unsigned) range (run, 1, 1441 - (int) from);

    if (ABS ((int) from - made->minute) < 12)
      from = from > 24 ? from - 24 : 0;
    if (ABS ((int) to - made->minute) < 12)
      to = MIN (to + 24, 1440);
    windows[i] = (FloePolicyWindow){ (uint8_t) range (run, 1, 128), (uint16_t) from, (uint16_t) to };
  }
}

static void
make_rule (Run *run, Made *made, unsigned direction, unsigned index, gboolean plain)
{
  static const FloePolicyProtocol protocols[] = { FLOE_POLICY_PROTOCOL_TCP, FLOE_POLICY_PROTOCOL_TCP, FLOE_POLICY_PROTOCOL_UDP,
                                                  FLOE_POLICY_PROTOCOL_ICMP, FLOE_POLICY_PROTOCOL_ICMP6, FLOE_POLICY_PROTOCOL_ANY };
  static const uint8_t icmp_types[] = { 8, 13 };
  FloePolicyNetRule *rule = &made->rules[direction][index];

  g_snprintf (made->ids[direction][index], 8, "%c%u", direction == 0 ? 'e' : 'i', index);
  rule->id = made->ids[direction][index];
  rule->protocol = protocols[range (run, 0, G_N_ELEMENTS (protocols))];
  rule->prefixes = made->prefixes[direction][index];
  rule->n_prefixes = (size_t) range (run, 1, PARTS + 1);
  for (size_t i = 0; i < rule->n_prefixes; i++)
    make_prefix (run, &made->prefixes[direction][index][i]);
  rule->ports = made->ports[direction][index];
  rule->n_ports = rule->protocol <= FLOE_POLICY_PROTOCOL_UDP ? (size_t) range (run, 0, PARTS + 1) : 0;
  for (size_t i = 0; i < rule->n_ports; i++) {
    unsigned first = (unsigned) range (run, 1, 40);

    made->ports[direction][index][i] = (FloePolicyPorts){ (uint16_t) first, (uint16_t) (first + (range (run, 0, 2) ? 0u : (unsigned) range (run, 0, 6))) };
  }
  if (rule->protocol == FLOE_POLICY_PROTOCOL_ICMP && range (run, 0, 2)) {
    rule->icmp_types = icmp_types + range (run, 0, 2);
    rule->n_icmp_types = 1;
  }
  if (plain)
    return;
  if (direction == 0 && range (run, 0, 3) == 0) {
    rule->names = made->names[direction][index];
    rule->n_names = (size_t) range (run, 1, PARTS + 1);
    for (size_t i = 0; i < rule->n_names; i++)
      made->names[direction][index][i] = patterns[range (run, 0, G_N_ELEMENTS (patterns))];
    rule->n_prefixes = range (run, 0, 2) ? 0 : rule->n_prefixes;
  }
  if (range (run, 0, 4) == 0)
    make_windows (run, made, rule, made->windows[direction][index]);
  if (range (run, 0, 8) == 0)
    rule->rate = (FloePolicyRate){ 10000000, 0 };
  if (range (run, 0, 8) == 0)
    rule->log = (uint32_t) range (run, 1, 4);
}

static void
make_network (Run *run, Made *made)
{
  time_t now;
  struct tm local;

  memset (made, 0, sizeof *made);
  made->zone = range (run, -12, 15) * 3600 + (range (run, 0, 3) == 0 ? 1800 : 0);
  now = time (NULL) + made->zone;
  gmtime_r (&now, &local);
  made->day = (uint8_t) local.tm_wday;
  made->minute = (uint16_t) (local.tm_hour * 60 + local.tm_min);
  made->network = (FloePolicyNetwork){ .name = "made", .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = range (run, 0, 4) != 0,
                                       .connections = 65536, .isolated = TRUE, .log_drops = range (run, 0, 2) };
  for (unsigned direction = 0; direction < 2; direction++) {
    unsigned n = (unsigned) range (run, 0, RULES_MAX + 1), plain = (unsigned) range (run, 0, 3);

    for (unsigned i = 0; i < n; i++)
      make_rule (run, made, direction, i, plain == 0 || (plain == 1 && range (run, 0, 8)));
    *(direction == 0 ? &made->network.egress : &made->network.ingress) = made->rules[direction];
    *(direction == 0 ? &made->network.n_egress : &made->network.n_ingress) = n;
  }
}

/* Binds the addresses to their names, as the resolver would. */
static gboolean
bind_names (Run *run, const Made *made, const FloeRuleset *ruleset, GError **error)
{
  g_autoptr (GArray) bindings = g_array_new (FALSE, TRUE, sizeof (FloeRulesBinding));

  for (size_t i = 0; i < made->network.n_egress; i++)
    for (unsigned name = 0; name < NAMES; name++) {
      const FloePolicyNetRule *rule = &made->network.egress[i];
      gboolean matches = FALSE;

      for (size_t j = 0; j < rule->n_names; j++)
        matches |= floe_policy_name_matches (rule->names[j], name_list[name]);
      for (unsigned v6 = 0; matches && v6 <= (unsigned) made->network.ipv6; v6++) {
        FloeRulesBinding binding = { rule->id, address_of (v6, name), 600 };

        g_array_append_val (bindings, binding);
      }
    }
  return floe_rules_bind_all (run->netlink, &run->identity, ruleset, (const FloeRulesBinding *) (void *) bindings->data, bindings->len,
                              error);
}

/* -- Packets ------------------------------------------------------------------------------------------------------------- */

static uint16_t
sum (const void *data, size_t size, uint32_t start)
{
  const uint8_t *bytes = data;

  for (size_t i = 0; i < size; i++)
    start += (uint32_t) bytes[i] << (i % 2 == 0 ? 8 : 0);
  while (start >> 16)
    start = (start & 0xffff) + (start >> 16);
  return (uint16_t) start;
}

static void
make_packet (Run *run, const Made *made, FloePolicyPacket *packet)
{
  static const uint8_t types4[] = { 8, 13, 8, 15, 17 }, types6[] = { 128, 128, 139 };
  unsigned last = (unsigned) range (run, 0, 100);
  gboolean v6 = range (run, 0, 3) == 0;
  static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, 1 };

  *packet = (FloePolicyPacket){ .direction = range (run, 0, 2) ? FLOE_POLICY_EGRESS : FLOE_POLICY_INGRESS,
                                .remote = address_of (v6, last),
                                .protocol = protocols[range (run, 0, 3)],
                                .day = made->day,
                                .minute = made->minute };
  /* Never routed, but by the filter alone: the kernel's own routing would forward these. */
  if (range (run, 0, 30) == 0) {
    memset (packet->remote.bytes, 0, v6 ? 12 : 0);
    packet->remote.bytes[v6 ? 12 : 0] = v6 ? 1 : 169;
    packet->remote.bytes[v6 ? 13 : 1] = v6 ? 2 : 254;
  } else if (last < NAMES)
    packet->name = name_list[last];
  if (packet->protocol == 1) {
    packet->protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    packet->icmp_type = v6 ? types6[range (run, 0, G_N_ELEMENTS (types6))] : types4[range (run, 0, G_N_ELEMENTS (types4))];
  } else
    packet->port = (uint16_t) range (run, 1, 48);
}

/* The transport part; its size. */
static size_t
put_transport (Run *run, const FloePolicyPacket *packet, uint8_t *at, uint32_t number)
{
  const uint32_t marks[2] = { htonl (MAGIC), htonl (number) };
  uint16_t from = (uint16_t) (1024 + run->port++ % 60000);
  size_t size;

  if (packet->protocol == IPPROTO_TCP) {
    struct tcphdr tcp = { .source = htons (from), .dest = htons (packet->port), .seq = htonl (number), .doff = 5, .syn = 1, .window = 1000 };

    memcpy (at, &tcp, size = sizeof tcp);
  } else if (packet->protocol == IPPROTO_UDP) {
    struct udphdr udp = { .source = htons (from), .dest = htons (packet->port), .len = htons (sizeof udp + sizeof marks) };

    memcpy (at, &udp, size = sizeof udp);
  } else {
    uint8_t icmp[8] = { packet->icmp_type, 0, 0, 0, (uint8_t) (from >> 8), (uint8_t) from, 0, 1 };

    memcpy (at, icmp, size = sizeof icmp);
  }
  memcpy (at + size, marks, sizeof marks);
  return size + sizeof marks;
}

static size_t
checksum_at (uint8_t protocol)
{
  return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

/* A whole frame into the tap that it begins at; its size. */
static size_t
put_frame (Run *run, const FloePolicyPacket *packet, uint8_t *frame, uint32_t number)
{
  static const uint8_t world_mac[6] = { 0x02, 0, 0, 0, 0, 0x77 }, world0_mac[6] = { 0x02, 0, 0, 0, 0, 0x78 };
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS, v6 = packet->remote.family == 6;
  const uint8_t *guest = v6 ? run->identity.guest6 : run->identity.guest, *remote = packet->remote.bytes;
  size_t width = v6 ? 16 : 4, head = v6 ? sizeof (struct ip6_hdr) : sizeof (struct ip), size;
  uint8_t *ip = frame + 14, *transport = ip + head;
  uint16_t check;

  memset (frame, 0, FRAME_MAX);
  memcpy (frame, egress ? run->identity.host_mac : world0_mac, 6);
  memcpy (frame + 6, egress ? run->identity.guest_mac : world_mac, 6);
  frame[12] = v6 ? 0x86 : 0x08;
  frame[13] = v6 ? 0xdd : 0;
  size = put_transport (run, packet, transport, number);
  if (v6) {
    struct ip6_hdr header = { .ip6_ctlun.ip6_un1 = { htonl (6u << 28), htons ((uint16_t) size), packet->protocol, 64 } };

    memcpy (ip, &header, sizeof header);
  } else {
    struct ip header = { .ip_v = 4, .ip_hl = 5, .ip_len = htons ((uint16_t) (head + size)), .ip_ttl = 64, .ip_p = packet->protocol };

    memcpy (ip, &header, sizeof header);
  }
  memcpy (ip + (v6 ? 8 : 12), egress ? guest : remote, width);
  memcpy (ip + (v6 ? 24 : 16), egress ? remote : guest, width);
  if (!v6) {
    check = (uint16_t) ~sum (ip, head, 0);
    ip[10] = (uint8_t) (check >> 8);
    ip[11] = (uint8_t) check;
  }
  check = (uint16_t) ~sum (transport, size,
                           packet->protocol == IPPROTO_ICMP ? 0 : sum (ip + (v6 ? 8 : 12), 2 * width, packet->protocol + (uint32_t) size));
  if (packet->protocol == IPPROTO_UDP && check == 0)
    check = 0xffff;
  transport[checksum_at (packet->protocol)] = (uint8_t) (check >> 8);
  transport[checksum_at (packet->protocol) + 1] = (uint8_t) check;
  return 14 + head + size;
}

/* Marks in ARRIVED what came out of FD. */
static void
collect (int fd, gboolean *arrived, size_t n)
{
  uint8_t frame[2048];
  ssize_t got;

  while ((got = read (fd, frame, sizeof frame)) > 0)
    for (ssize_t at = 14; at + 8 <= got; at++) {
      uint32_t words[2];

      memcpy (words, frame + at, sizeof words);
      if (ntohl (words[0]) == MAGIC && ntohl (words[1]) < n)
        arrived[ntohl (words[1])] = TRUE;
    }
}

/* -- Comparing ------------------------------------------------------------------------------------------------------------ */

static GHashTable *
read_counters (Run *run, GError **error)
{
  g_autoptr (GPtrArray) counters = floe_rules_counters (run->netlink, FALSE, run->identity.tap, error);
  GHashTable *counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; counters != NULL && i < counters->len; i++) {
    const FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    g_hash_table_insert (counts, g_strdup (counter->name), GUINT_TO_POINTER ((guint) counter->packets));
  }
  return counts;
}

static const char *
counter_name (const FloePolicyPacket *packet, const FloePolicyPacketVerdict *verdict, char *buffer, size_t size)
{
  const char *suffix = packet->direction == FLOE_POLICY_EGRESS ? "-to" : "-from";

  g_snprintf (buffer, size, verdict->allow ? "rule-%s" : "%s%s", verdict->rule, suffix);
  return buffer;
}

static void
say_case (const FloePolicyPacket *packet, const FloePolicyPacketVerdict *verdict, gboolean arrived)
{
  char text[INET6_ADDRSTRLEN] = "?";

  inet_ntop (packet->remote.family == 4 ? AF_INET : AF_INET6, packet->remote.bytes, text, sizeof text);
  printf ("disagree: %s %s protocol %u port %u type %u name %s: policy %s by %s, the kernel %s\n",
          packet->direction == FLOE_POLICY_EGRESS ? "egress" : "ingress", text, packet->protocol, packet->port, packet->icmp_type,
          packet->name != NULL ? packet->name : "-", verdict->allow ? "allows" : "drops", verdict->rule, arrived ? "allows" : "drops");
}

/* Each packet's fate, then each counter: as many packets more as the policy's verdict says. */
static void
compare (Run *run, const FloePolicyPacket *packets, const FloePolicyPacketVerdict *verdicts, const gboolean *arrived, size_t n,
         GHashTable *before, GHashTable *after)
{
  g_autoptr (GHashTable) wanted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer name, value;
  char buffer[64];

  for (size_t i = 0; i < n; i++) {
    const char *counter = counter_name (&packets[i], &verdicts[i], buffer, sizeof buffer);

    g_hash_table_insert (wanted, g_strdup (counter), GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (wanted, counter)) + 1));
    run->allowed += verdicts[i].allow;
    if (arrived[i] != verdicts[i].allow) {
      run->disagreements++;
      say_case (&packets[i], &verdicts[i], arrived[i]);
    }
  }
  g_hash_table_iter_init (&iter, after);
  while (g_hash_table_iter_next (&iter, &name, &value)) {
    guint counted = GPOINTER_TO_UINT (value) - GPOINTER_TO_UINT (g_hash_table_lookup (before, name));
    guint should = GPOINTER_TO_UINT (g_hash_table_lookup (wanted, name));

    if ((g_str_has_prefix (name, "rule-") || g_str_has_prefix (name, "default-") || g_str_has_prefix (name, "never-routed-"))
        && counted != should) {
      run->disagreements += (unsigned) ABS ((int) counted - (int) should);
      printf ("disagree: counter %s: %u packets, %u by the policy\n", (const char *) name, counted, should);
    }
  }
  run->cases += n;
}

static gboolean
try_network (Run *run, const Made *made, size_t n, GError **error)
{
  const FloeRuleOptions options = { .generation = ++run->generation, .zone_offset = made->zone };
  g_autoptr (FloeRuleset) ruleset = floe_ruleset_new (&run->identity, &made->network, &options);
  g_autofree FloePolicyPacket *packets = g_new0 (FloePolicyPacket, n);
  g_autofree FloePolicyPacketVerdict *verdicts = g_new0 (FloePolicyPacketVerdict, n);
  g_autofree gboolean *arrived = g_new0 (gboolean, n), *ignored = g_new0 (gboolean, n);
  g_autoptr (GHashTable) before = NULL, after = NULL;
  uint8_t frame[FRAME_MAX];

  if (!floe_rules_load (run->netlink, ruleset, TRUE, error) || !bind_names (run, made, ruleset, error))
    return FALSE;
  collect (run->card, ignored, 0);
  collect (run->world, ignored, 0);
  before = read_counters (run, error);
  for (size_t i = 0; i < n; i++) {
    size_t size;
    int in;

    do
      make_packet (run, made, &packets[i]);
    while (packets[i].remote.family == 6 && !made->network.ipv6);
    in = packets[i].direction == FLOE_POLICY_EGRESS ? run->card : run->world;
    verdicts[i] = floe_policy_packet_verdict (&made->network, &packets[i]);
    size = put_frame (run, &packets[i], frame, (uint32_t) i);
    if (write (in, frame, size) != (ssize_t) size)
      return floe_error_set_errno (error, errno, "writing a frame");
    collect (packets[i].direction == FLOE_POLICY_EGRESS ? run->world : run->card, arrived, n);
  }
  after = read_counters (run, error);
  compare (run, packets, verdicts, arrived, n, before, after);
  return TRUE;
}

/* -- The command ------------------------------------------------------------------------------------------------------------ */

static int
open_tap (const char *name, GError **error)
{
  struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

  g_strlcpy (request.ifr_name, name, sizeof request.ifr_name);
  if (fd < 0 || ioctl (fd, TUNSETIFF, &request) < 0)
    floe_error_set_errno (error, errno, "tap %s", name);
  return fd;
}

static gboolean
run_all (int argc, char **argv, GError **error)
{
  g_autoptr (FloeNetlink) netlink = floe_netlink_open (NETLINK_NETFILTER, error);
  g_autoptr (GRand) rand = NULL;
  g_autofree Made *made = g_new0 (Made, 1);
  Run run = { .netlink = netlink };
  FloeNetPool pool;
  char go;

  if (netlink == NULL || !floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, error)
      || !floe_net_identity (&pool, 0, &run.identity, error))
    return FALSE;
  if (argc < 4)
    return floe_error_set (error, FLOE_ERROR_INVALID, "SEED RULESETS PACKETS wanted");
  run.rand = rand = g_rand_new_with_seed ((guint32) strtoul (argv[1], NULL, 10));
  run.card = open_tap (run.identity.tap, error);
  if (run.card < 0)
    return FALSE;
  run.world = open_tap ("world0", error);
  if (run.world < 0)
    return FALSE;
  /* The script gives the taps their addresses and then says a line. */
  printf ("ready\n");
  fflush (stdout);
  if (read (STDIN_FILENO, &go, 1) < 0)
    return floe_error_set_errno (error, errno, "standard input");
  for (unsigned long i = 0; i < strtoul (argv[2], NULL, 10); i++) {
    make_network (&run, made);
    if (!try_network (&run, made, strtoul (argv[3], NULL, 10), error))
      return FALSE;
  }
  printf ("cases %lu disagreements %lu allowed %lu\n", run.cases, run.disagreements, run.allowed);
  return TRUE;
}

int
main (int argc, char **argv)
{
  static const FloeCommand commands[] = { { "run", "SEED RULESETS PACKETS", "compare", run_all }, { NULL, NULL, NULL, NULL } };

  floe_log_init ("net-explain");
  return floe_cli_run ("net-explain", "compares the kernel with the policy's own verdict, for tests", commands, argc, argv);
}
