/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "policy/document/floe-policy.h"

/* Logged packets as the kernel hands them over (nflog), decoded and added up. What a packet says is a guest's word: decoding allocates
 * nothing and believes nothing, adding up takes a bounded amount of memory however many there are, and of what is counted a bounded
 * number is told. */

#define FLOE_NET_LOG_RULE_MAX 40

/* All bytes of it are compared when packets are added up: to be zeroed before it is filled. */
typedef struct {
  int slot;                         /* of the tap */
  gboolean allowed;
  char rule[FLOE_NET_LOG_RULE_MAX]; /* id */
  uint16_t ether_type;              /* host order; 0x0800 and 0x86dd have addresses */
  uint8_t protocol;                 /* IP's; 0 where there is none or it is not at its place */
  FloePolicyAddress source, destination;   /* family 0: none */
  uint16_t source_port, destination_port;  /* tcp and udp; of icmp the type is destination_port */
} FloeNetLogEntry;

/* Decodes what follows the netlink header of one NFULNL_MSG_PACKET: FALSE for what is not one of ours, whole and well-formed. A
 * packet that is cut or strange is an entry without what could not be read. Never reads beyond SIZE. */
gboolean floe_net_log_decode (const uint8_t *bytes, size_t size, FloeNetLogEntry *entry);

#define FLOE_NET_LOG_KINDS_MAX 128 /* different entries that one card is remembered with at a time */
#define FLOE_NET_LOG_TOLD_MAX 16   /* of these told at a time, the most frequent first */

typedef struct _FloeNetLogSum FloeNetLogSum;

FloeNetLogSum *floe_net_log_sum_new (void);
void floe_net_log_sum_free (FloeNetLogSum *sum);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNetLogSum, floe_net_log_sum_free)
/* FALSE when nothing had been counted before: whoever tells later should begin to wait. */
gboolean floe_net_log_sum_add (FloeNetLogSum *sum, const FloeNetLogEntry *entry);
/* Calls TELL for the most frequent entries of each card, then once with ENTRY NULL and the number of packets left out, if any; and forgets
 * all of them. */
typedef void (*FloeNetLogTell) (int slot, const FloeNetLogEntry *entry, guint64 count, gpointer data);
void floe_net_log_sum_take (FloeNetLogSum *sum, FloeNetLogTell tell, gpointer data);

/* The kernel's side: GROUP's packets, up to BYTES of each, called back on the default main context. BUSY when another process listens to
 * the group; UNSUPPORTED without CONFIG_NETFILTER_NETLINK_LOG. */
typedef struct _FloeNetListener FloeNetListener;
typedef void (*FloeNetLogged) (const FloeNetLogEntry *entry, gpointer data);

FloeNetListener *floe_net_listen (uint16_t group, uint32_t bytes, FloeNetLogged logged, gpointer data, GError **error) FLOE_WARN_UNUSED;
void floe_net_listener_free (FloeNetListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNetListener, floe_net_listener_free)
/* How often the kernel had to throw packets' reports away since this was asked last. */
unsigned floe_net_listener_take_overruns (FloeNetListener *listener);
