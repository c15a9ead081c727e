/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-log.h"
#include "hypervisor/net/floe-rules-netlink.h"
#include "tests/lib/net-cases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Many rules, and traffic to measure them with. `load N` puts a card's tables (floe0) with N rules in force and says how long that took;
 * `remove` takes them away. `sink PORT` counts what comes, `send ADDRESS PORT MS` sends over TCP or, with "udp" as fourth word, small
 * datagrams, for MS milliseconds, and says how much arrived a second and how many ns of processor time
 * a datagram took, or a megabyte. */

#define BLOCK 131072
#define DATAGRAM 64
#define AT_ONCE 64

typedef struct {
  FloePolicyNetRule *rules;
  FloePolicyPrefix *prefixes;
  FloePolicyPorts *ports;
  char (*ids)[16];
  FloePolicyNetwork network;
} Bulk;

/* What a long list is made of: seven of ten rules are one address and port, two a prefix and some ports, one a prefix and a range. The
 * first two open what the measurements need. */
static void
fill_rule (Bulk *bulk, size_t i)
{
  FloePolicyNetRule *rule = &bulk->rules[i];
  FloePolicyPrefix *prefix = &bulk->prefixes[i];
  FloePolicyPorts *ports = &bulk->ports[i];
  unsigned kind = (unsigned) (i % 10);

  g_snprintf (bulk->ids[i], 16, "bulk-%zu", i);
  *rule = (FloePolicyNetRule){ .id = bulk->ids[i], .prefixes = prefix, .n_prefixes = 1, .ports = ports, .n_ports = 1,
                               .protocol = i % 3 == 0 ? FLOE_POLICY_PROTOCOL_UDP : FLOE_POLICY_PROTOCOL_TCP };
  *prefix = (FloePolicyPrefix){ { 4, { (uint8_t) (20 + (i >> 16)), (uint8_t) (i >> 8), (uint8_t) i, 7 } }, 32 };
  *ports = (FloePolicyPorts){ (uint16_t) (1000 + i % 50), (uint16_t) (1000 + i % 50) };
  if (kind >= 7) {
    prefix->length = kind == 7 ? 24 : 28;
    prefix->address.bytes[3] = 0;
    ports->last = kind == 9 ? 1100 : ports->first;
  }
  if (i < 2) {
    *prefix = (FloePolicyPrefix){ { 4, { 198, 51, 100, 0 } }, 24 };
    *ports = (FloePolicyPorts){ 5001, 5010 };
    rule->protocol = i == 0 ? FLOE_POLICY_PROTOCOL_TCP : FLOE_POLICY_PROTOCOL_UDP;
  }
}

static gboolean
card_of (FloeNetIdentity *identity, GError **error)
{
  FloeNetPool pool;

  return floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, error) && floe_net_identity (&pool, 0, identity, error);
}

/* What this process and the kernel on its behalf have worked: on a machine that does other things too, less than what passes. */
static gint64
cpu_us (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static gboolean
load (int argc, char **argv, GError **error)
{
  size_t n = argc > 1 ? strtoul (argv[1], NULL, 10) : 0, times = argc > 2 ? strtoul (argv[2], NULL, 10) : 3;
  g_autoptr (FloeNetlink) netlink = floe_netlink_open (NETLINK_NETFILTER, error);
  g_autofree FloePolicyNetRule *rules = g_new0 (FloePolicyNetRule, n);
  g_autofree FloePolicyPrefix *prefixes = g_new0 (FloePolicyPrefix, n);
  g_autofree FloePolicyPorts *ports = g_new0 (FloePolicyPorts, n);
  g_autofree char (*ids)[16] = g_malloc0 (16 * (n + 1));
  Bulk bulk = { rules, prefixes, ports, ids, { .name = "bulk", .mode = FLOE_POLICY_NETWORK_NAT, .connections = 65536, .isolated = TRUE,
                                               .log_drops = TRUE, .egress = rules, .n_egress = n } };
  FloeNetIdentity identity;

  if (netlink == NULL || !card_of (&identity, error))
    return FALSE;
  for (size_t i = 0; i < n; i++)
    fill_rule (&bulk, i);
  for (unsigned again = 0; again < times; again++) {
    const FloeRuleOptions options = { .generation = (uint16_t) (again + 1) };
    gint64 start = g_get_monotonic_time (), compiled, worked = cpu_us ();
    g_autoptr (FloeRuleset) ruleset = floe_ruleset_new (&identity, &bulk.network, &options);
    g_autoptr (GPtrArray) counters = NULL;
    gint64 loaded;

    compiled = g_get_monotonic_time ();
    if (!floe_rules_load (netlink, ruleset, TRUE, error))
      return FALSE;
    loaded = g_get_monotonic_time ();
    worked = cpu_us () - worked;
    counters = floe_rules_counters (netlink, FALSE, identity.tap, error);
    if (counters == NULL)
      return FALSE;
    printf ("%s compile_us %" G_GINT64_FORMAT " apply_us %" G_GINT64_FORMAT " cpu_us %" G_GINT64_FORMAT " counters_us %" G_GINT64_FORMAT " elements %zu counters %u\n",
            again == 0 ? "first" : "again", compiled - start, loaded - start, worked, g_get_monotonic_time () - loaded,
            ruleset->flow->n_elements, counters->len);
  }
  return TRUE;
}

static gboolean
take_away (int argc, char **argv, GError **error)
{
  g_autoptr (FloeNetlink) netlink = floe_netlink_open (NETLINK_NETFILTER, error);
  FloeNetIdentity identity;

  (void) argc;
  (void) argv;
  return netlink != NULL && card_of (&identity, error) && floe_rules_remove (netlink, identity.tap, error);
}

/* Rule sets of every kind (tests/lib/net-cases.h): their names, or one put in force twice. */
static gboolean
render (int argc, char **argv, GError **error)
{
  g_autoptr (FloeNetlink) netlink = floe_netlink_open (NETLINK_NETFILTER, error);
  const char *name;

  if (netlink == NULL)
    return FALSE;
  for (unsigned i = 0;; i++) {
    g_autoptr (FloeRuleset) ruleset = net_case (i, &name);

    if (ruleset == NULL)
      return argc < 2 || floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no case '%s'", argv[1]);
    if (argc < 2)
      printf ("%s\n", name);
    else if (g_str_equal (argv[1], name))
      return floe_rules_load (netlink, ruleset, TRUE, error) && floe_rules_load (netlink, ruleset, TRUE, error);
  }
}

/* -- Traffic ------------------------------------------------------------------------------------------------------------ */

static gboolean
address_of (const char *text, const char *port, struct sockaddr_in *address, GError **error)
{
  *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons ((uint16_t) strtoul (port, NULL, 10)) };
  return inet_pton (AF_INET, text, &address->sin_addr) == 1 || floe_error_set (error, FLOE_ERROR_INVALID, "address '%s'", text);
}

static gint64
own_cpu_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* What a connection's receiver says at its end. */
typedef struct {
  guint64 total;
  gint64 worked_ns;
} Received;

/* Counts datagrams; one of one byte asks for the number and sets it back. It never waits in the socket, but looks again and again: waking a
 * process for each datagram would be half of the sender's work, and nothing of the path's. */
static void
count_datagrams (int fd)
{
  char bytes[AT_ONCE][DATAGRAM];
  struct iovec vectors[AT_ONCE];
  struct sockaddr_in from[AT_ONCE];
  struct mmsghdr messages[AT_ONCE] = { 0 };

  for (guint64 count = 0;;) {
    int n;

    for (size_t i = 0; i < AT_ONCE; i++) {
      vectors[i] = (struct iovec){ bytes[i], DATAGRAM };
      messages[i].msg_hdr
          = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof from[i] };
    }
    n = recvmmsg (fd, messages, AT_ONCE, MSG_DONTWAIT, NULL);
    if (n <= 0)
      g_usleep (1000);
    for (int i = 0; i < n; i++)
      if (messages[i].msg_len != 1)
        count++;
      else if (sendto (fd, &count, sizeof count, 0, (struct sockaddr *) &from[i], sizeof from[i]) > 0)
        count = 0;
  }
}

/* TCP connections one after the other: each answered, when it has ended, with what came. */
static gboolean
sink (int argc, char **argv, GError **error)
{
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), datagrams = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_autofree char *buffer = g_malloc (BLOCK);
  const int on = 1, room = 8 * 1024 * 1024;
  struct sockaddr_in address;

  if (argc < 2 || !address_of ("0.0.0.0", argv[1], &address, error))
    return FALSE;
  setsockopt (listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt (datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bind (listener, (struct sockaddr *) &address, sizeof address) < 0 || listen (listener, 8) < 0
      || bind (datagrams, (struct sockaddr *) &address, sizeof address) < 0)
    return floe_error_set_errno (error, errno, "port %s", argv[1]);
  printf ("ready\n");
  fflush (stdout);
  if (fork () == 0)
    count_datagrams (datagrams);
  for (;;) {
    int fd = accept (listener, NULL, NULL);
    gint64 worked = own_cpu_ns ();
    Received received = { 0 };
    ssize_t got;

    while ((got = read (fd, buffer, BLOCK)) > 0)
      received.total += (guint64) got;
    received.worked_ns = own_cpu_ns () - worked;
    if (write (fd, &received, sizeof received) < 0)
      perror ("sink");
    close (fd);
  }
}

/* NS_EACH: of both ends, for a megabyte. */
static guint64
send_stream (int fd, gint64 end, gint64 *ended, gint64 *ns_each)
{
  g_autofree char *buffer = g_malloc0 (BLOCK);
  gint64 worked = own_cpu_ns ();
  Received received = { 0 };

  while (g_get_monotonic_time () < end && write (fd, buffer, BLOCK) > 0)
    continue;
  shutdown (fd, SHUT_WR);
  if (recv (fd, &received, sizeof received, MSG_WAITALL) != sizeof received)
    return 0;
  *ended = g_get_monotonic_time ();
  *ns_each = (own_cpu_ns () - worked + received.worked_ns) / (gint64) MAX (received.total / 1000000, 1);
  return received.total;
}

/* Every datagram takes its way up to the sink's socket, through all hooks, on the sender's processor time. */
static guint64
send_datagrams (int fd, gint64 end, gint64 *ended, gint64 *ns_each)
{
  char bytes[DATAGRAM] = { 0 };
  struct iovec vector = { bytes, sizeof bytes };
  struct mmsghdr messages[AT_ONCE] = { 0 };
  const struct timeval patience = { .tv_sec = 2 };
  guint64 total = 0, sent = 0;
  gint64 worked = own_cpu_ns ();

  for (size_t i = 0; i < AT_ONCE; i++)
    messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vector, .msg_iovlen = 1 };
  while (g_get_monotonic_time () < end) {
    int n = sendmmsg (fd, messages, AT_ONCE, 0);

    if (n < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
      break;
    sent += (guint64) MAX (n, 0);
  }
  *ended = g_get_monotonic_time ();
  *ns_each = (own_cpu_ns () - worked) / (gint64) MAX (sent, 1);
  g_usleep (50000);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return send (fd, bytes, 1, 0) == 1 && recv (fd, &total, sizeof total, 0) == sizeof total ? total : 0;
}

static gboolean
send_all (int argc, char **argv, GError **error)
{
  gboolean udp = argc > 4 && g_str_equal (argv[4], "udp");
  int fd = socket (AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  struct sockaddr_in address;
  gint64 start, end, ended = 0, ns_each = 0;
  guint64 total;

  if (argc < 4 || !address_of (argv[1], argv[2], &address, error))
    return FALSE;
  if (connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    return floe_error_set_errno (error, errno, "connecting");
  start = g_get_monotonic_time ();
  end = start + g_ascii_strtoll (argv[3], NULL, 10) * 1000;
  total = (udp ? send_datagrams : send_stream) (fd, end, &ended, &ns_each);
  printf ("%" G_GUINT64_FORMAT " %" G_GINT64_FORMAT "\n", total * 1000000 / (guint64) MAX (ended - start, 1), ns_each);
  return TRUE;
}

/* Connections that last: each says a number and hears it again, round by round, until standard input ends. */
static gboolean
talk (int argc, char **argv, GError **error)
{
  size_t n = argc > 3 ? strtoul (argv[3], NULL, 10) : 0;
  g_autofree int *fds = g_new0 (int, n + 1);
  const struct timeval patience = { .tv_sec = 60 };
  struct sockaddr_in address;
  guint64 rounds = 0, broken = 0, reset = 0;
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

  if (n == 0 || !address_of (argv[1], argv[2], &address, error))
    return floe_error_set (error, FLOE_ERROR_INVALID, "ADDRESS PORT CONNECTIONS wanted");
  for (size_t i = 0; i < n; i++) {
    fds[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect (fds[i], (struct sockaddr *) &address, sizeof address) < 0)
      return floe_error_set_errno (error, errno, "connection %zu", i);
    setsockopt (fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  printf ("talking\n");
  fflush (stdout);
  while (poll (&input, 1, 10) == 0 && broken == 0) {
    rounds++;
    for (size_t i = 0; i < n; i++) {
      guint64 heard = 0;

      errno = 0;
      if (send (fds[i], &rounds, sizeof rounds, MSG_NOSIGNAL) != sizeof rounds
          || recv (fds[i], &heard, sizeof heard, MSG_WAITALL) != sizeof heard || heard != rounds) {
        reset += errno == ECONNRESET || errno == EPIPE;
        broken++;
      }
    }
  }
  printf ("rounds %" G_GUINT64_FORMAT " broken %" G_GUINT64_FORMAT " reset %" G_GUINT64_FORMAT "\n", rounds, broken, reset);
  return TRUE;
}

int
main (int argc, char **argv)
{
  static const FloeCommand commands[]
      = { { "load", "RULES [TIMES]", "put a card's tables in force", load }, { "remove", "", "take them away", take_away }, { "render", "[CASE]", "put a rule set of some kind in force", render },
          { "sink", "PORT", "count what comes", sink }, { "send", "ADDRESS PORT MS [tcp|udp]", "send", send_all }, { "talk", "ADDRESS PORT CONNECTIONS", "keep connections up", talk },
          { NULL, NULL, NULL, NULL } };

  floe_log_init ("net-bulk");
  return floe_cli_run ("net-bulk", "many rules, and traffic to measure them with, for benchmarks", commands, argc, argv);
}
