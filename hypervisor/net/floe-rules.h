/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "policy/document/floe-policy.h"

/* Before any of linux/: the two define the same structures, and only this order is provided for. */
#include <netinet/in.h>

/* A card's packet filter as data: made by one pure function, rendered as nft's language (golden files, people) and as
 * netlink messages (the kernel). Both renderings say the same: tests/host/net.sh loads each and compares what `nft list`
 * shows. */

/* What a match looks at. The order is that of the table in floe-rules.c. */
typedef enum {
  FLOE_FIELD_ETHER_DESTINATION,
  FLOE_FIELD_ETHER_SOURCE,
  FLOE_FIELD_ETHER_TYPE,
  FLOE_FIELD_ARP_HARDWARE,
  FLOE_FIELD_ARP_PROTOCOL,
  FLOE_FIELD_ARP_HARDWARE_LENGTH,
  FLOE_FIELD_ARP_PROTOCOL_LENGTH,
  FLOE_FIELD_ARP_OPERATION,
  FLOE_FIELD_ARP_SENDER_ETHER,
  FLOE_FIELD_ARP_SENDER_IP,
  FLOE_FIELD_ARP_TARGET_IP,
  FLOE_FIELD_IP_FRAGMENT, /* flags and offset */
  FLOE_FIELD_IP_SOURCE,
  FLOE_FIELD_IP_DESTINATION,
  FLOE_FIELD_UDP_SOURCE,
  FLOE_FIELD_UDP_DESTINATION,
  FLOE_FIELD_TCP_DESTINATION,
  FLOE_FIELD_ICMP_TYPE,
  FLOE_FIELD_FAMILY,   /* of the packet in an inet chain: value is NFPROTO_IPV4 */
  FLOE_FIELD_PROTOCOL, /* IP protocol number */
  FLOE_FIELD_IN_NAME,  /* interfaces */
  FLOE_FIELD_OUT_NAME,
  FLOE_FIELD_STATE,       /* connection tracking: any of these bits */
  FLOE_FIELD_CONNECTIONS, /* more connections than this come from here */
} FloeField;

typedef enum {
  FLOE_BASE_LINK,
  FLOE_BASE_NETWORK,
  FLOE_BASE_TRANSPORT,
  FLOE_BASE_META,
  FLOE_BASE_CONNTRACK,
} FloeBase;

typedef struct {
  const char *text; /* as nft writes it */
  FloeBase base;
  uint8_t offset; /* in the header, or the kernel's key */
  uint8_t size;   /* bytes */
} FloeFieldInfo;

const FloeFieldInfo *floe_field_info (FloeField field);

typedef enum {
  FLOE_OP_EQUAL,
  FLOE_OP_DIFFERENT,
  FLOE_OP_NO_BITS, /* none of value's bits is set */
  FLOE_OP_SET,
} FloeOp;

typedef struct {
  FloeField field;
  FloeOp op;
  uint8_t value[IF_NAMESIZE]; /* as on the wire; names padded with zeros; meta, ct and counts in host order */
  const char *set;            /* borrowed from the table's */
} FloeMatch;

typedef enum {
  FLOE_VERDICT_ACCEPT,
  FLOE_VERDICT_DROP,
  FLOE_VERDICT_GOTO,
  FLOE_VERDICT_MASQUERADE,
} FloeVerdict;

#define FLOE_MATCHES_MAX 12

typedef struct {
  FloeMatch matches[FLOE_MATCHES_MAX];
  size_t n_matches;
  FloeVerdict verdict;
  const char *target; /* of goto */
  char *counter;      /* name in the table, or NULL; rules of one policy rule share one */
  char *comment;      /* the id that people know it by, or NULL */
  gboolean final;     /* this verdict settles the packet: what totals count */
} FloeRule;

typedef enum {
  FLOE_HOOK_NONE, /* reached by goto only */
  FLOE_HOOK_INGRESS,
  FLOE_HOOK_EGRESS,
  FLOE_HOOK_FORWARD,
  FLOE_HOOK_INPUT,
  FLOE_HOOK_OUTPUT,
  FLOE_HOOK_POSTROUTING, /* of type nat */
} FloeHook;

typedef struct {
  const char *name;
  FloeHook hook;
  gboolean policy_drop;
  GPtrArray *rules; /* of FloeRule */
} FloeChain;

typedef struct {
  uint32_t first, last; /* host order, both included */
} FloeInterval;

typedef struct {
  char *name;
  gboolean ports;    /* inet_service; otherwise ipv4_addr */
  GArray *intervals; /* of FloeInterval: sorted, apart from each other by at least one */
} FloeSet;

typedef struct {
  gboolean netdev; /* family netdev; otherwise inet */
  char name[IF_NAMESIZE];
  char device[IF_NAMESIZE]; /* of netdev chains */
  GPtrArray *sets;          /* of FloeSet */
  GPtrArray *chains;        /* of FloeChain */
} FloeTable;

/* Two tables of one name: what a frame may be (netdev, stateless, on the tap itself), and what a flow may do (inet). */
typedef struct {
  FloeTable *link, *flow;
} FloeRuleset;

/* What a kernel may lack and cards can do without, as floe_net_probe() finds it. */
typedef enum { /* bits */
  FLOE_RULES_LACK_REJECT = 1, /* flows that are cut get no TCP reset: their packets are dropped */
  FLOE_RULES_LACK_LOG = 2,    /* nothing is logged; networks whose rules ask for it are refused */
  FLOE_RULES_LACK_SAMPLE = 4, /* every flow is logged instead of one in so many */
  FLOE_RULES_LACK_TIME = 8,   /* networks with time windows are refused */
  FLOE_RULES_LACK_RATE = 16,  /* networks with rates are refused, and nothing is logged */
} FloeRulesLack;

/* All zeros is usable: generation 0 is one like others, connections 0 stands for the network's own number. */
typedef struct {
  uint16_t generation;      /* of this load: another than that of the rules in force, and not one of long ago (docs/network.md) */
  gboolean resolver;        /* guests may ask the host's resolver */
  unsigned connections;     /* most at one time from this card; 0: network->connections */
  const char *bridge;       /* bridge and vlan: the bridge whose port the tap is; else NULL */
  const char *const *peers; /* filter: the only taps that this card's packets may go to and come from: of a client the filter machine's
                               inner one; of the filter machine's inner card its clients'. Names that are no interface yet are fine */
  size_t n_peers;
  gboolean inner;           /* filter: this is the filter machine's inner card */
  const FloePolicyPrefix *prefixes6; /* bridge and vlan with ipv6: /64 prefixes of that LAN, for the guest's EUI-64 addresses */
  size_t n_prefixes6;
  int zone_offset; /* seconds east of UTC now: the kernel's clock for time windows is UTC; load again when it changes */
  unsigned lacks;  /* of FloeRulesLack */
} FloeRuleOptions;

#define FLOE_CONNECTIONS_DEFAULT 4096

/* Logged packets go to this nflog group, at most some in a second for each rule, 128 bytes of each. Their prefix is "TAP VERDICT ID":
 * "floe0 drop default", "floe0 allow web"; with allow the packet begins a flow. */
#define FLOE_RULES_LOG_GROUP 61710
#define FLOE_RULES_LOG_BYTES 128

/* Whether a kernel that lacks LACKS can enforce NETWORK; UNSUPPORTED, naming what is missing and for which rule. */
gboolean floe_rules_supported (const FloePolicyNetwork *network, unsigned lacks, GError **error) FLOE_WARN_UNUSED;

/* Pure: the same arguments give the same rules. Mode none: rules that drop all. */
FloeRuleset *floe_ruleset_new (const FloeNetIdentity *identity, const FloePolicyNetwork *network,
                               const FloeRuleOptions *options);
void floe_ruleset_free (FloeRuleset *ruleset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRuleset, floe_ruleset_free)

/* In nft's language: `nft -f` takes it. Caller frees. */
char *floe_ruleset_to_text (const FloeRuleset *ruleset);

/* One small rule set for each kernel feature that the rules above need, INDEX counted from 0, and in *feature its name for
 * people, in *lack the bit of what cards can do without (0: they cannot); NULL after the last. For transactions that are checked and
 * not committed. */
FloeRuleset *floe_ruleset_probe (size_t index, const char **feature, unsigned *lack);
