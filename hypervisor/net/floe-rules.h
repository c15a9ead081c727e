/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "policy/document/floe-policy.h"

/* Before any of linux/: the two define the same structures, and only this order is provided for. */
#include <netinet/in.h>

/* A card's packet filter as data: made by one pure function, rendered as nft's language (golden files, people) and as
 * netlink messages (the kernel). Both renderings say the same: tests/host/net-render.sh loads each and compares what `nft list`
 * shows. */

/* What a match looks at. The order is that of the table in floe-rules-build.c. FLOW: of the flow as connection tracking knows it, the
 * same for every packet of it in both directions. */
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
  FLOE_FIELD_IP6_NEXT, /* the first next-header byte: no extension header has been skipped */
  FLOE_FIELD_IP6_HOPS,
  FLOE_FIELD_IP6_SOURCE,
  FLOE_FIELD_IP6_DESTINATION,
  FLOE_FIELD_UDP_SOURCE,
  FLOE_FIELD_UDP_DESTINATION,
  FLOE_FIELD_TCP_DESTINATION,
  FLOE_FIELD_TCP_FLAGS,
  FLOE_FIELD_ICMP6_TYPE,
  FLOE_FIELD_ICMP6_CODE,
  FLOE_FIELD_ND_TARGET,   /* of neighbour solicitations and advertisements (RFC 4861, 4.3 and 4.4) */
  FLOE_FIELD_DHCP_CLIENT, /* chaddr behind a UDP header (RFC 2131, 2) */
  FLOE_FIELD_FAMILY,      /* of the packet in an inet chain: NFPROTO_IPV4, NFPROTO_IPV6 */
  FLOE_FIELD_PROTOCOL,    /* IP protocol number */
  FLOE_FIELD_IN_NAME,     /* interfaces */
  FLOE_FIELD_OUT_NAME,
  FLOE_FIELD_DAY,       /* UTC, 0 Sunday to 6 Saturday */
  FLOE_FIELD_HOUR,      /* UTC, seconds since midnight */
  FLOE_FIELD_STATE,     /* connection tracking: any of these bits */
  FLOE_FIELD_DIRECTION, /* 0: as the flow began, 1: the other way */
  FLOE_FIELD_MARK,
  FLOE_FIELD_FLOW_SOURCE4, /* who began it */
  FLOE_FIELD_FLOW_SOURCE6,
  FLOE_FIELD_FLOW_TARGET4, /* who answers: behind address translation */
  FLOE_FIELD_FLOW_TARGET6,
  FLOE_FIELD_FLOW_PORT, /* the port that answers, tcp and udp */
  FLOE_FIELD_FLOW_FROM, /* the port it began from */
  FLOE_FIELD_FLOW_TYPE, /* icmp: type in the high byte, code in the low one */
} FloeField;

typedef enum {
  FLOE_BASE_LINK,
  FLOE_BASE_NETWORK,
  FLOE_BASE_TRANSPORT,
  FLOE_BASE_META,
  FLOE_BASE_CONNTRACK,
  FLOE_BASE_ORIGINAL, /* connection tracking, original direction */
  FLOE_BASE_REPLY,
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
  FLOE_OP_NOT_SET,
  FLOE_OP_RANGE,   /* FLOE_FIELD_HOUR: two numbers in host order, both included */
  FLOE_OP_BUT_TOP, /* FLOE_FIELD_MARK: equal but for the highest bit */
} FloeOp;

typedef struct {
  FloeField field;
  FloeOp op;
  uint8_t bytes;              /* compare only so many leading bytes; 0: all */
  uint8_t value[IF_NAMESIZE]; /* as on the wire; names padded with zeros; meta and ct in host order, but for addresses and ports */
  const char *set;            /* borrowed from the table's */
} FloeMatch;

typedef enum {
  FLOE_VERDICT_CONTINUE,
  FLOE_VERDICT_ACCEPT,
  FLOE_VERDICT_DROP,
  FLOE_VERDICT_REJECT, /* TCP reset */
  FLOE_VERDICT_GOTO,
  FLOE_VERDICT_JUMP,
  FLOE_VERDICT_MASQUERADE,
} FloeVerdict;

/* What a rule does with the key made of KEY's fields, one after the other, and SET. */
typedef enum {
  FLOE_USE_NONE,
  FLOE_USE_LOOKUP,      /* holds if it is in there */
  FLOE_USE_COUNT,       /* holds if it is in there, and counts with the counter that stands there */
  FLOE_USE_CHAIN,       /* jumps to the chain that stands there */
  FLOE_USE_UPDATE,      /* puts it in there, for NUMBER seconds from now */
  FLOE_USE_CONNECTIONS, /* holds if more than NUMBER connections have this key */
} FloeUse;

#define FLOE_MATCHES_MAX 12
#define FLOE_KEY_MAX 4

/* Parts come in the order in which they stand here; each may be absent. */
typedef struct {
  FloeMatch matches[FLOE_MATCHES_MAX];
  size_t n_matches;
  unsigned sample; /* holds for one in so many, by chance; 0: always */
  struct {
    uint64_t rate; /* a second; 0: no limit */
    uint32_t burst;
    gboolean bytes, over; /* OVER: holds beyond it, otherwise up to it */
  } limit;
  FloeUse use;
  FloeField key[FLOE_KEY_MAX];
  size_t n_key;
  const char *set; /* borrowed */
  unsigned number;
  char *log;     /* prefix */
  char *counter; /* name in the table; rules of one policy rule share one */
  gboolean marks;
  uint32_t mark;
  FloeVerdict verdict;
  const char *target; /* of goto and jump; borrowed from the chain */
  char *comment;      /* the id that people know it by */
} FloeRule;

typedef enum {
  FLOE_HOOK_NONE, /* reached from other chains only */
  FLOE_HOOK_INGRESS,
  FLOE_HOOK_EGRESS,
  FLOE_HOOK_FORWARD,
  FLOE_HOOK_INPUT,
  FLOE_HOOK_OUTPUT,
  FLOE_HOOK_POSTROUTING, /* of type nat */
} FloeHook;

typedef struct {
  char *name;
  FloeHook hook;
  gboolean policy_drop;
  GPtrArray *rules; /* of FloeRule */
} FloeChain;

typedef enum {
  FLOE_TYPE_IPV4,
  FLOE_TYPE_IPV6,
  FLOE_TYPE_PORT,
  FLOE_TYPE_ICMP6, /* icmpv6 types */
  FLOE_TYPE_CARD,  /* names of interfaces */
  FLOE_TYPE_FLOW4, /* protocol, address, port */
  FLOE_TYPE_FLOW6,
  FLOE_TYPE_HELD4, /* protocol, address, port, port it began from */
  FLOE_TYPE_HELD6,
} FloeSetType;

typedef enum {
  FLOE_SET_EXACT,
  FLOE_SET_INTERVALS,
  FLOE_SET_BOUND,       /* elements with timeouts, put in by floe_rules_bind() and floe_rules_pin() */
  FLOE_SET_HELD,        /* elements with timeouts, put in by packets */
  FLOE_SET_CONNECTIONS, /* elements that count connections, put in by packets */
} FloeSetKind;

typedef enum {
  FLOE_DATA_NONE,
  FLOE_DATA_COUNTER,
  FLOE_DATA_CHAIN,
} FloeSetData;

typedef unsigned __int128 FloeNumber; /* an address, port or type */

typedef struct {
  FloeNumber first, last; /* both included; the same but for intervals */
  uint16_t port;          /* flow types */
  uint8_t protocol;
  const char *name; /* the counter or chain; the interface. Borrowed, or interned */
} FloeElement;

typedef struct {
  char *name;
  char *comment; /* BOUND and HELD: a set of the same name and comment stays as it is when rules are loaded */
  FloeSetType type;
  FloeSetKind kind;
  FloeSetData data;
  unsigned size;    /* of those that fill while in force */
  GArray *elements; /* of FloeElement: sorted, apart from each other */
} FloeSet;

typedef struct {
  char *name;
  char *id;          /* the policy rule's, "default", "never-routed", or one of ours, "floe-..." */
  gboolean allowed;  /* what becomes of a packet counted here */
  gboolean final;    /* this settles the packet: what totals count */
  gboolean internal; /* nothing that people count */
} FloeCounter;

#define FLOE_RULES_ELEMENTS_MAX 1000000 /* of sets, for consecutive rules that are put in maps together */

typedef struct {
  gboolean netdev; /* family netdev; otherwise inet */
  char name[IF_NAMESIZE];
  char device[IF_NAMESIZE]; /* of netdev chains */
  GPtrArray *counters;      /* of FloeCounter, in the order of evaluation */
  GHashTable *counter_names; /* to the same */
  GPtrArray *sets;          /* of FloeSet */
  GPtrArray *chains;        /* of FloeChain */
  size_t n_elements;        /* in all sets */
} FloeTable;

/* Two tables of one name: what a frame may be (netdev, stateless, on the tap itself), and what a flow may do (inet). */
typedef struct {
  FloeTable *link, *flow;
} FloeRuleset;

/* A flow's connection tracking mark says who has judged it and when: OURS, slot, generation; with WATCHED besides, each packet of it is
 * judged again (rates, time windows); with WATCHED and without OURS it has been refused after it had been allowed, so many times as the last two bits say. */
#define FLOE_MARK_WATCHED 0x80000000u
#define FLOE_MARK_OURS 0x40000000u
#define FLOE_MARK_CUT(slot) (FLOE_MARK_WATCHED | (uint32_t)(slot) << 16)
#define FLOE_MARK_CARD_MASK 0xffff0000u

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
