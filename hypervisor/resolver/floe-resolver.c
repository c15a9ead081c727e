/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-process.h"
#include "hypervisor/resolver/floe-bindings.h"
#include "hypervisor/resolver/floe-dns-names.h"
#include "hypervisor/resolver/floe-resolver-events.h"
#include "hypervisor/resolver/floe-resolver-message.h"
#include "hypervisor/resolver/floe-resolver-servers.h"
#include "hypervisor/resolver/floe-resolver-sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* As for nbdkit: the waits between deaths double up to the longest, and a while of life makes it well again. */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_LONGEST_MS 5000
#define WELL_AFTER_US (30 * G_USEC_PER_SEC)
/* The process itself lets a guest ask 500 questions a second and reports 50 events: whoever says more is not what we started. */
#define MESSAGES_PER_SECOND 2000
#define MESSAGES_AT_ONCE 16
/* How often it is looked whether the host's servers or addresses are others. */
#define HOUSEKEEPING_S 5
#define OWN_ADDRESSES_MAX 256

struct _FloeResolver {
  FloeResolverOptions options; /* its pointers are ours, but for network, which is NULL */
  FloeNetIdentity identity;
  FloePolicyPrefix *inside;
  FloeResolverConfig config; /* without what the next message brings */
  gboolean names_network;    /* DNS; FALSE: leases */
  gboolean host_servers;     /* of resolv_conf, not of the network */
  struct stat conf_seen;
  FloePolicyAddress *dhcp;
  size_t n_dhcp;
  FloeBindings *bindings;
  FloeResolverEvents *events;
  int names;         /* sealed memfd */
  GArray *listeners; /* kept, so that questions wait in them while the process is started again */
  FloeProcess *process;
  int control;
  guint control_watch, timer, housekeeping;
  unsigned deaths, backoff_ms;
  gint64 born, second;
  unsigned messages;
};

const char *
floe_resolver_event_name (FloeResolverEventKind kind)
{
  static const char *const names[] = { "refused", "inside", "upstream", "limit", "dhcp" };

  return names[kind];
}

gboolean
floe_resolver_wanted (const FloePolicyNetwork *network)
{
  switch (network->mode) {
  case FLOE_POLICY_NETWORK_NAT:
  case FLOE_POLICY_NETWORK_FILTER:
    return network->resolver != FLOE_POLICY_RESOLVER_NONE;
  case FLOE_POLICY_NETWORK_BRIDGE:
  case FLOE_POLICY_NETWORK_VLAN:
    return TRUE;
  case FLOE_POLICY_NETWORK_NONE:
    break;
  }
  return FALSE;
}

/* -- What the process is told ---------------------------------------------------------------------------------------------- */

static void
set_address (FloeDnsAddress *to, const FloePolicyAddress *from)
{
  to->family = from->family;
  memcpy (to->bytes, from->bytes, sizeof to->bytes);
}

static FloePolicyAddress
get_address (const FloeDnsAddress *from)
{
  FloePolicyAddress to = { .family = from->family };

  memcpy (to.bytes, from->bytes, sizeof to.bytes);
  return to;
}

static size_t
set_prefixes (FloeDnsPrefix to[FLOE_RESOLVER_PREFIXES], const FloePolicyPrefix *from, size_t n)
{
  n = MIN (n, FLOE_RESOLVER_PREFIXES);
  for (size_t i = 0; i < n; i++) {
    set_address (&to[i].address, &from[i].address);
    to[i].length = from[i].length;
  }
  return n;
}

/* TRUE when they are others than before. */
static gboolean
set_servers (FloeResolver *resolver, const FloePolicyAddress *servers, size_t n)
{
  FloeDnsAddress set[FLOE_RESOLVER_SERVERS] = { 0 };
  gboolean changed;

  n = MIN (n, FLOE_RESOLVER_SERVERS);
  for (size_t i = 0; i < n; i++)
    set_address (&set[i], &servers[i]);
  changed = n != resolver->config.n_servers || memcmp (set, resolver->config.servers, sizeof set) != 0;
  memcpy (resolver->config.servers, set, sizeof set);
  resolver->config.n_servers = (uint8_t)n;
  return changed;
}

static gboolean
read_host_servers (FloeResolver *resolver)
{
  FloePolicyAddress servers[3];
  size_t n = floe_resolver_servers_read (resolver->options.resolv_conf, servers);

  if (n == 0)
    floe_warning ("names cannot be resolved: no server named", "TAP", resolver->identity.tap, "FILE", resolver->options.resolv_conf);
  return set_servers (resolver, servers, n);
}

/* Changed since it was looked at last; what the path's links lead to counts. */
static gboolean
conf_changed (FloeResolver *resolver)
{
  struct stat now = { 0 };
  gboolean changed;

  (void)stat (resolver->options.resolv_conf, &now);
  changed = now.st_dev != resolver->conf_seen.st_dev || now.st_ino != resolver->conf_seen.st_ino
            || now.st_size != resolver->conf_seen.st_size || now.st_mtim.tv_sec != resolver->conf_seen.st_mtim.tv_sec
            || now.st_mtim.tv_nsec != resolver->conf_seen.st_mtim.tv_nsec;
  resolver->conf_seen = now;
  return changed;
}

static gboolean
make_names (FloeResolver *resolver, GError **error)
{
  g_autoptr (GByteArray) block = floe_bindings_names (resolver->bindings);
  floe_autofd fd = memfd_create ("floe-names", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  if (fd < 0)
    return floe_error_set_errno (error, errno, "memory for names");
  if (block->len > FLOE_DNS_NAMES_SIZE_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "names of all rules: more than %u bytes", FLOE_DNS_NAMES_SIZE_MAX);
  if (!floe_write_all (fd, block->data, block->len, error))
    return FALSE;
  if (fcntl (fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    return floe_error_set_errno (error, errno, "seal names");
  floe_fd_clear (&resolver->names);
  resolver->names = floe_fd_steal (&fd);
  return TRUE;
}

/* What follows from NETWORK. *servers_changed if the process needs other sockets. */
static gboolean
set_network (FloeResolver *resolver, const FloePolicyNetwork *network, gboolean *servers_changed, GError **error)
{
  resolver->config.any = network->resolver == FLOE_POLICY_RESOLVER_ANY;
  resolver->config.ipv6 = network->ipv6 != FALSE;
  resolver->config.ttl_ceiling = FLOE_RESOLVER_TTL_CEILING;
  resolver->config.n_rebind = (uint8_t)set_prefixes (resolver->config.rebind, network->rebind, network->n_rebind);
  resolver->config.n_dhcp = (uint8_t)MIN (network->n_dhcp, FLOE_RESOLVER_SERVERS);
  for (size_t i = 0; i < resolver->config.n_dhcp; i++)
    set_address (&resolver->config.dhcp[i], &network->dhcp[i]);
  floe_bindings_set_network (resolver->bindings, network);
  *servers_changed = FALSE;
  if (!resolver->names_network)
    return TRUE;
  resolver->host_servers = network->n_dns == 0;
  if (resolver->host_servers) {
    (void)conf_changed (resolver);
    *servers_changed = read_host_servers (resolver);
  } else {
    *servers_changed = set_servers (resolver, network->dns, network->n_dns);
  }
  return make_names (resolver, error);
}

/* -- Addresses of the host's own ------------------------------------------------------------------------------------------- */

static void
add_own (GArray *inside, const struct sockaddr *address)
{
  FloePolicyPrefix own = { 0 };

  if (address == NULL || inside->len >= OWN_ADDRESSES_MAX)
    return;
  if (address->sa_family == AF_INET) {
    own = (FloePolicyPrefix){ { .family = 4 }, 32 };
    memcpy (own.address.bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    own = (FloePolicyPrefix){ { .family = 6 }, 128 };
    memcpy (own.address.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
  }
  if (own.length != 0)
    g_array_append_val (inside, own);
}

/* The pools and the host's own addresses, as they are now. The process knows the pools; the rest is checked here, where it is current. */
static void
refresh_inside (FloeResolver *resolver)
{
  g_autoptr (GArray) inside = g_array_new (FALSE, FALSE, sizeof (FloePolicyPrefix));
  struct ifaddrs *addresses = NULL;

  if (resolver->options.n_inside > 0)
    g_array_append_vals (inside, resolver->inside, (guint)resolver->options.n_inside);
  if (getifaddrs (&addresses) == 0) {
    for (struct ifaddrs *at = addresses; at != NULL; at = at->ifa_next)
      add_own (inside, at->ifa_addr);
    freeifaddrs (addresses);
  }
  floe_bindings_set_inside (resolver->bindings, (const FloePolicyPrefix *)(void *)inside->data, inside->len);
}

/* -- Sending --------------------------------------------------------------------------------------------------------------- */

static gboolean
send_message (FloeResolver *resolver, const void *message, size_t size, const int *fds, size_t n_fds, GError **error)
{
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE (sizeof (int) * FLOE_RESOLVER_FDS_MAX)];
  } control = { 0 };
  struct iovec part = { (void *)(uintptr_t)message, size };
  struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

  g_assert (n_fds <= FLOE_RESOLVER_FDS_MAX);
  if (n_fds > 0) {
    struct cmsghdr *rights;

    header.msg_control = &control;
    header.msg_controllen = CMSG_SPACE (n_fds * sizeof (int));
    rights = CMSG_FIRSTHDR (&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
    memcpy (CMSG_DATA (rights), fds, n_fds * sizeof (int));
  }
  return sendmsg (resolver->control, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size
         || floe_error_set_errno (error, errno, "resolver of %s", resolver->identity.tap);
}

static void
append_fd (GArray *fds, int fd)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);

  /* -1 is refused by the kernel when it is sent. */
  g_array_append_val (fds, copy);
}

static gboolean
send_config (FloeResolver *resolver, unsigned has, GError **error)
{
  g_autoptr (GArray) fds = floe_sockets_new ();
  FloeResolverConfig config = resolver->config;

  config.kind = FLOE_RESOLVER_MESSAGE_CONFIG;
  config.has = has;
  if ((has & FLOE_RESOLVER_HAS_NAMES) != 0)
    append_fd (fds, resolver->names);
  for (guint i = 0; (has & FLOE_RESOLVER_HAS_LISTEN) != 0 && i < (config.ipv6 ? 4 : 2); i++)
    append_fd (fds, g_array_index (resolver->listeners, int, i));
  if ((has & FLOE_RESOLVER_HAS_LEASE) != 0 && !floe_sockets_add_lease (fds, resolver->options.lease_interface, error))
    return FALSE;
  if ((has & FLOE_RESOLVER_HAS_UPSTREAM) != 0) {
    FloePolicyAddress servers[FLOE_RESOLVER_SERVERS];

    for (size_t i = 0; i < config.n_servers; i++)
      servers[i] = get_address (&config.servers[i]);
    if (!floe_sockets_add_upstream (fds, servers, config.n_servers, error))
      return FALSE;
  }
  return send_message (resolver, &config, sizeof config, (const int *)(void *)fds->data, fds->len, error);
}

/* -- What the process says ------------------------------------------------------------------------------------------------- */

static void tell_event (const FloeResolverEvent *event, gpointer data);

static void
add_event (FloeResolver *resolver, FloeResolverEventKind kind, const char *name, const FloePolicyAddress *address, unsigned left_out)
{
  FloeResolverEvent event = { .kind = kind, .name = name, .count = 1, .left_out = left_out };

  if (address != NULL)
    event.address = *address;
  floe_resolver_events_add (resolver->events, &event, g_get_monotonic_time ());
}

static void
on_bind (FloeResolver *resolver, const FloeResolverBind *wanted)
{
  FloeResolverVerdict answer = { FLOE_RESOLVER_MESSAGE_VERDICT, wanted->id, FLOE_RESOLVER_VERDICT_FAILED, 0 };
  g_autoptr (GArray) bound = g_array_new (FALSE, FALSE, sizeof (FloeResolverBinding));
  g_autoptr (GError) error = NULL;
  gint64 now = g_get_monotonic_time ();

  switch (floe_bindings_judge (resolver->bindings, wanted, now, bound, &answer.keep)) {
  case FLOE_BINDINGS_REFUSED:
    add_event (resolver, FLOE_RESOLVER_REFUSED, wanted->name, NULL, 0);
    break;
  case FLOE_BINDINGS_FULL:
    add_event (resolver, FLOE_RESOLVER_LIMIT, wanted->name, NULL, 0);
    break;
  case FLOE_BINDINGS_OK:
    if (bound->len == 0
        || resolver->options.callbacks.bind ((const FloeResolverBinding *)(void *)bound->data, bound->len, resolver->options.data, &error)) {
      answer.verdict = FLOE_RESOLVER_VERDICT_BOUND;
      floe_bindings_remember (resolver->bindings, wanted, now, answer.keep);
    } else {
      floe_warning ("addresses of a name are not bound", "TAP", resolver->identity.tap, "NAME", wanted->name, "REASON", error->message);
    }
    break;
  }
  for (uint32_t i = 0; answer.verdict == FLOE_RESOLVER_VERDICT_BOUND && i < wanted->n_addresses; i++)
    if ((answer.keep >> i & 1) == 0) {
      FloePolicyAddress address = get_address (&wanted->addresses[i]);

      add_event (resolver, FLOE_RESOLVER_INSIDE, wanted->name, &address, 0);
      break;
    }
  /* Lost when the process does not read: its guest gets SERVFAIL there. */
  if (!send_message (resolver, &answer, sizeof answer, NULL, 0, NULL))
    floe_debug ("verdict not taken", "TAP", resolver->identity.tap);
}

static void
on_lease (FloeResolver *resolver, const FloeResolverLease *lease)
{
  FloePolicyAddress address = get_address (&lease->address);
  gboolean named = FALSE;

  for (size_t i = 0; i < resolver->config.n_dhcp; i++)
    named = named || memcmp (&resolver->config.dhcp[i], &lease->server, sizeof lease->server) == 0;
  for (size_t i = 0; i < floe_policy_n_never_routed; i++) {
    FloeDnsPrefix prefix = { .length = floe_policy_never_routed[i].length };

    set_address (&prefix.address, &floe_policy_never_routed[i].address);
    named = named && !floe_dns_prefix_contains (&prefix, &lease->address);
  }
  if (named && !resolver->names_network && resolver->options.callbacks.lease != NULL)
    resolver->options.callbacks.lease (&address, lease->lease_s, resolver->options.data);
}

static void
on_report (FloeResolver *resolver, const FloeResolverReport *report)
{
  FloePolicyAddress address = get_address (&report->address);

  add_event (resolver, (FloeResolverEventKind)report->event, report->name, &address, report->left_out);
}

/* Ends what behaves as our program never does; it is started again like after any other death. */
static void
distrust (FloeResolver *resolver, const char *why)
{
  floe_warning ("resolver is ended", "TAP", resolver->identity.tap, "REASON", why);
  floe_process_kill (resolver->process);
}

/* FALSE: nothing more will be read from it. */
static gboolean
read_control (FloeResolver *resolver, int fd)
{
  uint8_t bytes[sizeof (FloeResolverMessage) + 1];
  FloeResolverMessage message;

  for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++) {
    gint64 second = g_get_monotonic_time () / G_USEC_PER_SEC;
    /* Descriptors that come with it are none that we want: without room for them the kernel closes them. */
    ssize_t got = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return TRUE;
    if (got <= 0)
      return FALSE; /* it has ended; its end is seen elsewhere */
    if (second != resolver->second) {
      resolver->second = second;
      resolver->messages = 0;
    }
    if (++resolver->messages > MESSAGES_PER_SECOND || !floe_resolver_message_parse (bytes, (size_t)got, &message)) {
      distrust (resolver, resolver->messages > MESSAGES_PER_SECOND ? "too many messages" : "a message that is none");
      return FALSE;
    }
    if (message.kind == FLOE_RESOLVER_MESSAGE_BIND)
      on_bind (resolver, &message.bind);
    else if (message.kind == FLOE_RESOLVER_MESSAGE_EVENT)
      on_report (resolver, &message.report);
    else
      on_lease (resolver, &message.lease);
  }
  return TRUE;
}

static gboolean
control_ready (int fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  FloeResolver *resolver = data;

  if (read_control (resolver, fd))
    return G_SOURCE_CONTINUE;
  resolver->control_watch = 0;
  return G_SOURCE_REMOVE;
}

static void
tell_event (const FloeResolverEvent *event, gpointer data)
{
  FloeResolver *resolver = data;

  if (resolver->options.callbacks.event != NULL)
    resolver->options.callbacks.event (event, resolver->options.data);
}

/* -- The process ------------------------------------------------------------------------------------------------------------ */

static void on_ended (FloeProcess *process, gpointer data);

static gboolean
launch (FloeResolver *resolver, GError **error)
{
  char *argv[] = { (char *)(uintptr_t)resolver->options.program, NULL };
  g_autoptr (FloeJail) jail = floe_jail_new (resolver->options.staging, resolver->options.uid, resolver->options.uid);
  floe_autofd theirs = -1;
  int ends[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
    return floe_error_set_errno (error, errno, "resolver: socket pair");
  floe_fd_clear (&resolver->control);
  resolver->control = ends[0];
  theirs = ends[1];
  if (!floe_jail_bind_program (jail, argv[0], error))
    return FALSE;
  floe_jail_pass (jail, theirs, FLOE_RESOLVER_CONTROL_FD);
  floe_jail_set_limit (jail, RLIMIT_NPROC, 1);
  /* Sockets of old and new servers at one time, the guest's connections, some more. */
  floe_jail_set_limit (jail, RLIMIT_NOFILE, 256);
  floe_jail_set_limit (jail, RLIMIT_FSIZE, 0);
  floe_jail_set_limit (jail, RLIMIT_DATA, 32 * 1024 * 1024);
  resolver->process = floe_process_spawn (jail, argv, error);
  if (resolver->process == NULL)
    return FALSE;
  resolver->born = g_get_monotonic_time ();
  if (!send_config (resolver,
                    resolver->names_network ? FLOE_RESOLVER_HAS_NAMES | FLOE_RESOLVER_HAS_LISTEN | FLOE_RESOLVER_HAS_UPSTREAM
                                            : FLOE_RESOLVER_HAS_LEASE,
                    error)) {
    floe_process_kill (resolver->process);
    g_clear_pointer (&resolver->process, floe_process_free);
    return FALSE;
  }
  floe_process_watch (resolver->process, on_ended, resolver);
  resolver->control_watch = g_unix_fd_add (resolver->control, G_IO_IN | G_IO_HUP, control_ready, resolver);
  return TRUE;
}

static void schedule (FloeResolver *resolver);

static gboolean
launch_again (gpointer data)
{
  FloeResolver *resolver = data;
  g_autoptr (GError) error = NULL;

  resolver->timer = 0;
  if (!launch (resolver, &error)) {
    floe_warning ("resolver cannot be started, trying again", "TAP", resolver->identity.tap, "REASON", error->message);
    schedule (resolver);
  }
  return G_SOURCE_REMOVE;
}

static void
schedule (FloeResolver *resolver)
{
  resolver->backoff_ms = CLAMP (resolver->backoff_ms * 2, BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS);
  resolver->timer = g_timeout_add (resolver->backoff_ms, launch_again, resolver);
}

static void
on_ended (FloeProcess *process, gpointer data)
{
  FloeResolver *resolver = data;
  g_autofree char *words = floe_process_last_words (process);

  g_clear_pointer (&resolver->process, floe_process_free);
  g_clear_handle_id (&resolver->control_watch, g_source_remove);
  resolver->deaths++;
  if (g_get_monotonic_time () - resolver->born > WELL_AFTER_US)
    resolver->backoff_ms = 0;
  floe_warning ("resolver ended; starting it again", "TAP", resolver->identity.tap, "WORDS", words);
  schedule (resolver);
}

static gboolean
keep_house (gpointer data)
{
  FloeResolver *resolver = data;
  g_autoptr (GError) error = NULL;

  floe_resolver_events_tick (resolver->events, g_get_monotonic_time ());
  if (!resolver->names_network)
    return G_SOURCE_CONTINUE;
  refresh_inside (resolver);
  if (resolver->host_servers && conf_changed (resolver) && read_host_servers (resolver) && resolver->process != NULL
      && !send_config (resolver, FLOE_RESOLVER_HAS_UPSTREAM, &error))
    distrust (resolver, error->message);
  return G_SOURCE_CONTINUE;
}

/* -- Outside ---------------------------------------------------------------------------------------------------------------- */

static FloeResolver *
resolver_new (const FloeResolverOptions *options)
{
  FloeResolver *resolver = g_new0 (FloeResolver, 1);

  resolver->options = *options;
  resolver->options.identity = NULL;
  resolver->options.network = NULL;
  resolver->options.program = g_strdup (options->program != NULL ? options->program : FLOE_RESOLVER_PATH);
  resolver->options.staging = g_strdup (options->staging);
  resolver->options.resolv_conf = g_strdup (options->resolv_conf != NULL ? options->resolv_conf : "/etc/resolv.conf");
  resolver->options.lease_interface = g_strdup (options->lease_interface);
  resolver->inside = g_memdup2 (options->inside, options->n_inside * sizeof *options->inside);
  resolver->identity = *options->identity;
  resolver->names_network
      = options->network->mode == FLOE_POLICY_NETWORK_NAT || options->network->mode == FLOE_POLICY_NETWORK_FILTER;
  resolver->bindings = floe_bindings_new (options->ttl_floor != 0 ? options->ttl_floor : FLOE_RESOLVER_TTL_FLOOR);
  resolver->events = floe_resolver_events_new (tell_event, resolver);
  resolver->names = resolver->control = -1;
  resolver->listeners = floe_sockets_new ();
  memcpy (resolver->config.mac, resolver->identity.guest_mac, 6);
  resolver->config.guest4.family = 4;
  memcpy (resolver->config.guest4.bytes, resolver->identity.guest, 4);
  resolver->config.guest6.family = 6;
  memcpy (resolver->config.guest6.bytes, resolver->identity.guest6, 16);
  resolver->config.n_inside = (uint8_t)set_prefixes (resolver->config.inside, options->inside, options->n_inside);
  return resolver;
}

FloeResolver *
floe_resolver_start (const FloeResolverOptions *options, GError **error)
{
  g_autoptr (FloeResolver) resolver = NULL;
  gboolean changed;

  g_assert (floe_resolver_wanted (options->network));
  resolver = resolver_new (options);
  refresh_inside (resolver);
  if (!set_network (resolver, options->network, &changed, error)
      || (resolver->names_network && !floe_sockets_add_listeners (resolver->listeners, &resolver->identity, resolver->config.ipv6, error))
      || !launch (resolver, error))
    return NULL;
  resolver->housekeeping = g_timeout_add_seconds (HOUSEKEEPING_S, keep_house, resolver);
  return g_steal_pointer (&resolver);
}

gboolean
floe_resolver_replace (FloeResolver *resolver, const FloePolicyNetwork *network, GError **error)
{
  gboolean ipv6 = resolver->config.ipv6, servers_changed;
  unsigned has = 0;

  g_assert (floe_resolver_wanted (network));
  if (!set_network (resolver, network, &servers_changed, error))
    return FALSE;
  if (resolver->names_network && ipv6 != resolver->config.ipv6) {
    g_autoptr (GArray) listeners = floe_sockets_new ();

    if (!floe_sockets_add_listeners (listeners, &resolver->identity, resolver->config.ipv6, error))
      return FALSE;
    g_array_unref (resolver->listeners);
    resolver->listeners = g_steal_pointer (&listeners);
    has |= FLOE_RESOLVER_HAS_LISTEN;
  }
  if (resolver->names_network)
    has |= FLOE_RESOLVER_HAS_NAMES | (servers_changed ? FLOE_RESOLVER_HAS_UPSTREAM : 0);
  /* One that is being started again gets it all then. */
  return resolver->process == NULL || send_config (resolver, has, error);
}

GArray *
floe_resolver_bindings (FloeResolver *resolver, const FloePolicyNetwork *network)
{
  return floe_bindings_live (resolver->bindings, network, g_get_monotonic_time ());
}

void
floe_resolver_stop (FloeResolver *resolver)
{
  if (resolver == NULL)
    return;
  g_clear_handle_id (&resolver->control_watch, g_source_remove);
  g_clear_handle_id (&resolver->timer, g_source_remove);
  g_clear_handle_id (&resolver->housekeeping, g_source_remove);
  if (resolver->process != NULL) {
    floe_process_unwatch (resolver->process);
    floe_process_kill (resolver->process);
  }
  floe_process_free (resolver->process);
  floe_fd_clear (&resolver->control);
  floe_fd_clear (&resolver->names);
  g_array_unref (resolver->listeners);
  floe_bindings_free (resolver->bindings);
  floe_resolver_events_free (resolver->events);
  g_free (resolver->inside);
  g_free ((char *)(uintptr_t)resolver->options.program);
  g_free ((char *)(uintptr_t)resolver->options.staging);
  g_free ((char *)(uintptr_t)resolver->options.resolv_conf);
  g_free ((char *)(uintptr_t)resolver->options.lease_interface);
  g_free (resolver);
}

pid_t
floe_resolver_pid (const FloeResolver *resolver)
{
  return resolver->process != NULL ? floe_process_pid (resolver->process) : 0;
}

unsigned
floe_resolver_deaths (const FloeResolver *resolver)
{
  return resolver->deaths;
}
