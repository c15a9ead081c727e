/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* The policy document (docs/policy.md) as immutable data, and the verdicts that follow from it.
 *
 * FloePolicyDocument is any parsed document: for lint and explain. FloePolicy is one whose bytes the trust client verified; it is
 * what enforcers hold, and there is no other way to make one. Both show the same FloePolicyContent: plain structs, never changed
 * after parsing, so that any thread may read them; every pointer in it lives as long as its owner. Whoever holds content on its own
 * (a running machine, a timer) keeps a reference on the owner.
 *
 * Enforcers get these structs, never JSON. What is in here is whole: names are resolved, defaults filled in, limits checked. */

#define FLOE_POLICY_SIZE_MAX (16 * 1024 * 1024)
#define FLOE_POLICY_MACHINES_MAX 32
#define FLOE_POLICY_NETWORKS_MAX 32
#define FLOE_POLICY_CARDS_MAX 4         /* networks of one machine */
#define FLOE_POLICY_NET_RULES_MAX 65000 /* in one direction of one network */
#define FLOE_POLICY_USB_RULES_MAX 256
#define FLOE_POLICY_PREFIXES_MAX 64 /* in one rule */
#define FLOE_POLICY_NAMES_MAX 32    /* DNS names in one rule */
#define FLOE_POLICY_WINDOWS_MAX 16  /* time windows of one rule */
#define FLOE_POLICY_SERVERS_MAX 8   /* DNS or DHCP servers of one network */
#define FLOE_POLICY_CONNECTIONS_DEFAULT 4096
#define FLOE_POLICY_CONNECTIONS_MAX 65536
#define FLOE_POLICY_DNS_NAME_MAX 253 /* bytes, without final dot (RFC 1035, 2.3.4) */
#define FLOE_POLICY_PORTS_MAX 32    /* in one rule */
#define FLOE_POLICY_PATTERNS_MAX 32 /* in one list of one USB rule */
#define FLOE_POLICY_ANSWERS_MAX 8   /* of one USB rule that asks */
#define FLOE_POLICY_PEOPLE_MAX 64   /* in one USB rule */
#define FLOE_POLICY_PERSON_MAX 256  /* bytes of a person's name */
#define FLOE_POLICY_STRING_MAX 378  /* bytes of a USB string: 126 UTF-16 units, the longest string descriptor, as UTF-8 */
#define FLOE_POLICY_ID_MAX 32       /* bytes of a machine's, network's or rule's name: [A-Za-z0-9][A-Za-z0-9._-]* */
#define FLOE_POLICY_NAME_MAX 64     /* bytes of a group, image or channel name: the same characters */

/* -- Networks ------------------------------------------------------------------------------------------------------- */

typedef struct {
  uint8_t family;    /* 4 or 6 */
  uint8_t bytes[16]; /* network order; the first 4 for family 4, the rest zero */
} FloePolicyAddress;

typedef struct {
  FloePolicyAddress address; /* bits after the prefix are zero */
  uint8_t length;            /* 0 to 32 or 128 */
} FloePolicyPrefix;

typedef struct {
  uint16_t first, last; /* both included, host order, 1 to 65535, first <= last */
} FloePolicyPorts;

typedef enum {
  FLOE_POLICY_PROTOCOL_TCP,
  FLOE_POLICY_PROTOCOL_UDP,
  FLOE_POLICY_PROTOCOL_ICMP,  /* the rule's icmp_types, echo requests (type 8) when it names none; errors belong to their flow */
  FLOE_POLICY_PROTOCOL_ICMP6, /* the same with echo requests of type 128; only where the network has IPv6 */
  FLOE_POLICY_PROTOCOL_ANY,   /* any of the four above, as they are described; no other IP protocol (GRE, 6in4, ...) */
} FloePolicyProtocol;

/* Local time of the endpoint. LAST is a minute after FIRST of the same day: a window over midnight is two. */
typedef struct {
  uint8_t days;         /* bit 0 Sunday to bit 6 Saturday; not 0 */
  uint16_t first, last; /* minutes since midnight, FIRST included, LAST not: 0 to 1440, first < last */
} FloePolicyWindow;

/* Per second; 0: no limit. What is over is dropped. */
typedef struct {
  uint32_t packets; /* 0 to 10000000 */
  uint64_t bytes;   /* 0 to 100000000000 */
} FloePolicyRate;

/* Allows packets that begin a flow to (egress) or from (ingress) one of the prefixes, or to one of the names. Replies and ICMP errors follow
 * from connection tracking and are no rule's matter. */
typedef struct {
  const char *id; /* unique among all rules of the document; never "default", "never-routed", "no-network" or "floe-..." */
  FloePolicyProtocol protocol;
  const FloePolicyPrefix *prefixes; /* either family; any order, may overlap. At least one of these and names together */
  size_t n_prefixes;
  /* Egress only. Lower case without final dot: "www.example.org", or "*.example.org" for any name below it (not itself). The rule
   * matches addresses that the endpoint's resolver has answered for such a name, as long as the answer lives. */
  const char *const *names;
  size_t n_names;
  const FloePolicyPorts *ports; /* destination ports of tcp and udp; none: all of them */
  size_t n_ports;
  const uint8_t *icmp_types; /* of icmp or icmp6: only those that connection tracking follows (docs/policy.md); none: echo */
  size_t n_icmp_types;
  FloePolicyRate rate; /* of all packets of all flows that the rule allows, both directions together */
  uint32_t log;        /* 0: not logged; N: one flow of N is, when it begins */
  const FloePolicyWindow *windows; /* outside all of these the rule is not there, and what it allowed is cut; none: always */
  size_t n_windows;
} FloePolicyNetRule;

typedef enum {
  FLOE_POLICY_NETWORK_NONE,   /* no network card */
  FLOE_POLICY_NETWORK_NAT,    /* a link of its own, behind the endpoint's address */
  FLOE_POLICY_NETWORK_BRIDGE, /* the LAN of a host interface, untagged */
  FLOE_POLICY_NETWORK_VLAN,   /* the same, tagged by the host */
  FLOE_POLICY_NETWORK_FILTER, /* a link of its own whose only way out is through another machine */
} FloePolicyNetworkMode;

typedef enum {
  FLOE_POLICY_RESOLVER_NONE,  /* the endpoint offers no DNS */
  FLOE_POLICY_RESOLVER_RULES, /* answers names that a rule of this network names, and no others */
  FLOE_POLICY_RESOLVER_ANY,   /* answers any name; only those that rules name open anything */
} FloePolicyResolver;

typedef struct _FloePolicyMachine FloePolicyMachine;

typedef struct {
  const char *name;
  FloePolicyNetworkMode mode;
  const char *interface;             /* bridge and vlan: the host's; a bridge, or a card that carries no address of the host's */
  unsigned vlan;                     /* vlan: 1 to 4094; else 0 */
  const FloePolicyMachine *through;  /* filter: the machine that routes; it has this network too, as its inner side; else NULL */
  gboolean ipv6;                     /* FALSE: no IPv6 passes at all */
  FloePolicyResolver resolver;       /* nat and filter; NONE otherwise */
  const FloePolicyAddress *dns;      /* nat, filter: servers that the endpoint's resolver asks, none: the host's own.
                                        bridge, vlan: servers that the machine may ask itself (udp and tcp 53) */
  size_t n_dns;
  const FloePolicyPrefix *rebind; /* never-answered addresses (private, link-local, ...) in these prefixes are answered after all */
  size_t n_rebind;
  const FloePolicyAddress *dhcp; /* bridge, vlan: IPv4 servers whose leases count; at least one */
  size_t n_dhcp;
  unsigned connections; /* most tracked connections of the card at one time, 1 to 65536 */
  gboolean isolated;    /* TRUE: no other machine of this endpoint is reached over it, whatever rules say */
  gboolean vhost;       /* QEMU may use the kernel's vhost-net where the host has it */
  gboolean log_drops;   /* dropped packets become audit events, aggregated */
  FloePolicyRate rate;  /* of the whole card, each direction */
  const FloePolicyNetRule *egress; /* guest to world, first match names the rule */
  size_t n_egress;
  const FloePolicyNetRule *ingress; /* world to guest */
  size_t n_ingress;
} FloePolicyNetwork;

/* Addresses that no rule opens, whatever prefix contains them: unspecified, loopback, link-local (169.254.169.254 is in there),
 * multicast, reserved and broadcast, IPv4-mapped. The packet filter drops them before it looks at a rule, in both directions.
 * The host's own addresses belong to this too, but only the host knows them: its filter adds them. */
extern const FloePolicyPrefix floe_policy_never_routed[];
extern const size_t floe_policy_n_never_routed;

/* -- Machines ------------------------------------------------------------------------------------------------------- */

typedef enum {
  FLOE_POLICY_DISK_RESET,   /* what the guest wrote is thrown away at each start */
  FLOE_POLICY_DISK_PERSIST, /* and kept here */
} FloePolicyDisk;

typedef enum {
  FLOE_POLICY_FIRMWARE_UEFI,
  FLOE_POLICY_FIRMWARE_BIOS,
} FloePolicyFirmware;

typedef enum {
  FLOE_POLICY_SHARE_NONE = 0,
  FLOE_POLICY_SHARE_TO_GUEST = 1,
  FLOE_POLICY_SHARE_FROM_GUEST = 2,
  FLOE_POLICY_SHARE_BOTH = 3,
} FloePolicyShare;

/* "none", "to-guest", "from-guest", "both": as in the document and over D-Bus. */
const char *floe_policy_share_name (FloePolicyShare share);

struct _FloePolicyMachine {
  const char *id;     /* unique; see FLOE_POLICY_ID_MAX */
  const char *title;  /* UTF-8, no control or invisible formatting characters */
  const char *colour; /* "#rrggbb", lower case */
  const char *image_name, *image_channel;
  unsigned vcpus;      /* 1 to 64 */
  unsigned memory_mib; /* 128 to 1048576 */
  FloePolicyDisk disk;
  FloePolicyFirmware firmware;
  const FloePolicyNetwork *const *networks; /* its cards in order, each network once; those of mode none are left out */
  size_t n_networks;
  FloePolicyShare clipboard, file_transfer;
  gboolean audio;
  unsigned screens; /* 1 to 4 */
  gboolean emulation; /* may run without KVM, with a visible warning */
  gboolean autostart;
};

/* An image and channel that some machine needs: target images/NAME/CHANNEL.json. */
typedef struct {
  const char *name, *channel;
} FloePolicyImage;

/* -- USB ------------------------------------------------------------------------------------------------------------ */

typedef enum {
  FLOE_POLICY_USB_BLOCK,   /* stays unauthorised */
  FLOE_POLICY_USB_HOST,    /* authorised for the host's own drivers */
  FLOE_POLICY_USB_MACHINE, /* handed to one machine */
  FLOE_POLICY_USB_ASK,     /* stays unauthorised until the person at the screen has chosen one of the answers */
} FloePolicyUsbAction;

/* "block", "host", "machine", "ask": as over D-Bus. */
const char *floe_policy_usb_action_name (FloePolicyUsbAction action);

/* A pattern "CC:SS:PP"; -1 stands for *. */
typedef struct {
  int16_t class_code, subclass, protocol;
} FloePolicyUsbPattern;

#define FLOE_POLICY_USB_ANY (-1)

/* What a device may get: never ASK. */
typedef struct {
  FloePolicyUsbAction action;
  const FloePolicyMachine *machine; /* with MACHINE: which; NULL: the machine in front when the device is decided */
  gboolean read_only;               /* with MACHINE: the host keeps the device and shows its disk as a read-only block device */
  /* Only interfaces that match one of these are given (interface authorisation, USBDEVFS_DROP_PRIVILEGES; floe_policy_usb_grant_gives()
   * says which); none: all of them. With READ_ONLY never none: the host's own drivers get the storage interfaces and no other. */
  const FloePolicyUsbPattern *interfaces;
  size_t n_interfaces;
} FloePolicyUsbGrant;

typedef enum {
  FLOE_POLICY_USB_REMEMBER_NOT,    /* asked again at each connection */
  FLOE_POLICY_USB_REMEMBER_DEVICE, /* the person may have it remembered for this very device: numbers, serial, descriptors, port */
} FloePolicyUsbRemember;

/* A string of the device's: compared whole, byte by byte. With WILDCARDS it is a pattern, anchored at both ends: '*' stands for any run of
 * characters, none among them, '?' for one character of UTF-8, and a backslash takes its meaning from '*', '?' or a backslash after it. */
typedef struct {
  const char *text;
  gboolean wildcards;
} FloePolicyUsbText;

typedef enum { /* bits */
  FLOE_POLICY_USB_LOW = 1,
  FLOE_POLICY_USB_FULL = 2,
  FLOE_POLICY_USB_HIGH = 4,
  FLOE_POLICY_USB_SUPER = 8, /* 5 Gbit/s and more */
} FloePolicyUsbSpeed;

typedef enum {
  FLOE_POLICY_USB_LOCKED_ANY, /* not asked */
  FLOE_POLICY_USB_LOCKED,
  FLOE_POLICY_USB_UNLOCKED,
} FloePolicyUsbLocked;

/* Every condition that is there must hold. */
typedef struct {
  const char *id;
  int32_t vendor, product;                    /* FLOE_POLICY_USB_ANY or 0 to 0xffff */
  FloePolicyUsbText serial, manufacturer, name; /* text NULL: any. NAME is the product string */
  FloePolicyUsbText port;                     /* "BUS-PORT[.PORT...]" as sysfs writes it; text NULL: any */
  const FloePolicyUsbPattern *interface_any;  /* some interface matches one of them; none: not asked */
  size_t n_interface_any;
  const FloePolicyUsbPattern *interfaces_all; /* every interface matches one of them; none: not asked */
  size_t n_interfaces_all;
  const FloePolicyUsbPattern *interfaces_exactly; /* as many interfaces as these, each of either matches one of the other; none: not asked */
  size_t n_interfaces_exactly;
  unsigned speeds;                            /* of FloePolicyUsbSpeed; 0: not asked */
  unsigned count;                             /* holds while fewer devices than this hold the rule; 0: not asked */
  const FloePolicyMachine *const *front;      /* one of these machines is in front; none: not asked */
  size_t n_front;
  const char *const *people; /* one of these is logged in; none: not asked */
  size_t n_people;
  FloePolicyUsbLocked locked;
  FloePolicyUsbAction action;
  FloePolicyUsbGrant grant;          /* unless ASK */
  const FloePolicyUsbGrant *answers; /* with ASK: what the person may choose besides to block; at least one */
  size_t n_answers;
  FloePolicyUsbRemember remember; /* with ASK */
} FloePolicyUsbRule;

typedef struct {
  uint8_t class_code, subclass, protocol;
  uint8_t configuration, number, alternate; /* bConfigurationValue, bInterfaceNumber, bAlternateSetting */
} FloePolicyUsbInterface;

/* Bytes as decoded from a string descriptor to UTF-8; may hold anything, NUL included. NULL when the device has none or when it
 * could not be read. */
typedef struct {
  const char *bytes;
  size_t size;
} FloePolicyUsbString;

/* A device as decoded from its descriptors. All zeroes is a device that nothing allows. */
typedef struct {
  uint16_t vendor, product;
  FloePolicyUsbString serial, manufacturer, name;
  const char *port;                    /* NULL: unknown, matches no rule that asks for a port */
  FloePolicyUsbSpeed speed;            /* 0: unknown, matches no rule that asks for one */
  FloePolicyUsbInterface device_class; /* of the device descriptor; its last three members are 0 */
  /* Of every configuration and every alternate setting; duplicates do no harm. */
  const FloePolicyUsbInterface *interfaces;
  size_t n_interfaces;
  /* Descriptors of all configurations were there, whole and consistent. FALSE: only block rules match. */
  gboolean complete;
} FloePolicyUsbDevice;

/* What is so at the moment of the verdict. */
typedef struct {
  const unsigned *holders; /* for each of content->usb, the devices that hold it now, this one not counted; NULL: none do */
  const FloePolicyMachine *front; /* NULL: none, the list is shown */
  const char *person;             /* NULL: nobody is logged in */
  gboolean locked;
} FloePolicyUsbSituation;

typedef struct {
  FloePolicyUsbAction action;
  /* What it gets, the machine in front resolved. Its action is that of the verdict, save BLOCK with ASK. Where the rule gives to the machine
   * in front and none is, both are BLOCK, and DECIDED->action says what the rule would do. */
  FloePolicyUsbGrant grant;
  const FloePolicyUsbRule *decided; /* NULL: none matched */
  const char *rule;                 /* the rule's id, "default" when none matched */
  size_t index;                     /* of the rule in usb[]; SIZE_MAX for "default" */
} FloePolicyUsbVerdict;

/* -- The whole ------------------------------------------------------------------------------------------------------ */

typedef struct {
  /* Accelerators in one form: modifiers in the order <Control><Alt><Shift><Super>, then a key name that GDK knows. */
  const char *switch_next, *switch_previous, *switch_list;
  gboolean kiosk;
  const char *banner;           /* "" for none */
  const char *const *languages; /* NULL-terminated, at least one; the first is the one to begin with */
} FloePolicyConsole;

/* When an appliance restarts into a version that is installed. */
typedef struct {
  unsigned idle_minutes; /* by itself, once nobody has used the screen for so long: 5 to 1440; 0: when a person says so */
} FloePolicyUpdate;

typedef struct {
  const char *group;
  const FloePolicyMachine *machines; /* in the order written */
  size_t n_machines;
  const FloePolicyNetwork *networks; /* in the order written */
  size_t n_networks;
  const FloePolicyUsbRule *usb; /* in the order written, first match wins */
  size_t n_usb;
  FloePolicyConsole console;
  FloePolicyUpdate update;
  /* Without a successful refresh of the policy for this many days, no machine starts (those running go on). */
  unsigned lease_days;
  const FloePolicyImage *images; /* distinct, sorted by name and channel */
  size_t n_images;
} FloePolicyContent;

/* Parses and checks a document; SOURCE names it in errors: `office.json:12: machines[0].vcpus: 1 to 64 wanted, not 900`.
 * INVALID (LIMIT when over FLOE_POLICY_SIZE_MAX) with the first mistake. */
typedef struct _FloePolicyDocument FloePolicyDocument;
FloePolicyDocument *floe_policy_parse (GBytes *text, const char *source, GError **error) FLOE_WARN_UNUSED;
const FloePolicyContent *floe_policy_document_content (const FloePolicyDocument *document);
FloePolicyDocument *floe_policy_document_ref (FloePolicyDocument *document);
void floe_policy_document_unref (FloePolicyDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloePolicyDocument, floe_policy_document_unref)

/* The policy that may be enforced: VERIFIED must be target policy/GROUP.json, its document of that same GROUP (INVALID otherwise).
 * Keeps what it needs of VERIFIED. */
typedef struct _FloeVerified FloeVerified;
typedef struct _FloePolicy FloePolicy;
FloePolicy *floe_policy_new (FloeVerified *verified, GError **error) FLOE_WARN_UNUSED;
const FloePolicyContent *floe_policy_content (const FloePolicy *policy);
/* Version of the TUF role that signed it. */
uint64_t floe_policy_version (const FloePolicy *policy);
FloePolicy *floe_policy_ref (FloePolicy *policy);
void floe_policy_unref (FloePolicy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloePolicy, floe_policy_unref)

/* NULL when there is none of that id or name. */
const FloePolicyMachine *floe_policy_find_machine (const FloePolicyContent *content, const char *id);
const FloePolicyNetwork *floe_policy_find_network (const FloePolicyContent *content, const char *name);

/* The distinct images that the policy needs (content->images). */
const FloePolicyImage *floe_policy_images (const FloePolicyContent *content, size_t *n_images);

/* The whole compiled policy as text, one fact a line, defaults filled in: for golden files, review and comparison. */
char *floe_policy_dump (const FloePolicyContent *content);

/* -- Verdicts: pure functions ---------------------------------------------------------------------------------------- */

/* What happens to DEVICE in SITUATION (NULL: nobody, nothing in front, not locked). A device class other than 00 and ef counts as one
 * more interface: drivers bind to it too. A device without interfaces, or not complete, is matched by block rules only. A rule that gives
 * only some interfaces matches only a device that can be given so: see floe_policy_usb_grant_problem(). */
FloePolicyUsbVerdict floe_policy_usb_verdict (const FloePolicyContent *content, const FloePolicyUsbDevice *device,
                                              const FloePolicyUsbSituation *situation);

/* GRANT of the document (a verdict's or an answer's) as it is in SITUATION: the machine in front resolved, BLOCK where none is. */
FloePolicyUsbGrant floe_policy_usb_grant_resolve (const FloePolicyUsbGrant *grant, const FloePolicyUsbSituation *situation);

/* Whether GRANT gives interface NUMBER of CONFIGURATION of DEVICE: there is one, and every alternate setting of it matches, since whoever
 * has an interface chooses its setting. Of a grant without a list: whether there is one. */
gboolean floe_policy_usb_grant_gives (const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device, uint8_t configuration,
                                      uint8_t number);
/* Why GRANT cannot be carried out on DEVICE ("nothing of it is in interfaces", ...), or NULL. An answer is to be asked this before it is
 * carried out; the grant of a verdict has been. */
const char *floe_policy_usb_grant_problem (const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device);

/* Whether DEVICE is a keyboard that somebody could type on at the console: whole, a boot keyboard (03:01:01) among its interfaces, and
 * nothing else than what keyboards have beside it: pointers, media keys (HID without a boot protocol). */
gboolean floe_policy_usb_is_keyboard (const FloePolicyUsbDevice *device);

/* The rules for one hosted machine as a filter of usbredir (usbredirfilter_string_to_rules(): "class,vendor,product,version,allow|..."),
 * for SITUATION as it is now, its holders left aside. The filter sees the numbers of a device and the classes of the interfaces of its
 * present setting; it sees neither strings nor ports, subclasses nor other settings. So it allows only numbers (vendor and product) whose
 * devices the rules give to MACHINE whole whatever else they are, and denies everything else: stricter than the verdict, never wider. A
 * device that shows no interface at all passes any filter, and one whose descriptors contradict themselves may: whoever asks it refuses
 * these. Free with g_free(). */
char *floe_policy_usbredir_filter (const FloePolicyContent *content, const FloePolicyMachine *machine,
                                   const FloePolicyUsbSituation *situation);

typedef enum {
  FLOE_POLICY_EGRESS,  /* guest to world */
  FLOE_POLICY_INGRESS, /* world to guest */
} FloePolicyDirection;

/* A packet that begins a flow. The guest's own address and MAC are the filter's to check, not a rule's. */
typedef struct {
  FloePolicyDirection direction;
  FloePolicyAddress remote; /* destination on egress, source on ingress */
  uint8_t protocol;         /* IP protocol number: 6, 17, 1, 58 are the ones that rules can allow */
  uint16_t port;            /* destination port of tcp and udp, host order */
  uint8_t icmp_type;        /* of icmp and icmp6 */
  const char *name;         /* the DNS name that REMOTE is bound to now, as the resolver was asked for it; NULL: none */
  uint8_t day;              /* local time: 0 Sunday to 6 Saturday */
  uint16_t minute;          /* since midnight */
} FloePolicyPacket;

typedef struct {
  gboolean allow;
  const char *rule; /* the rule's id; "default" when none matched (or no IPv6 passes), "never-routed", "no-network",
                       or "floe-dns" (allowed: bridge and vlan, port 53 of one of the network's dns) */
} FloePolicyPacketVerdict;

/* What happens to PACKET on the card of NETWORK (NULL: the machine has none: "no-network"): what the host's packet filter is compiled
 * from the same rules to do. Not in here, since they are state or the host's own: replies to flows allowed before, rates and limits of
 * connections, DHCP, ARP, neighbour discovery and DNS that the host itself answers, the check of the guest's source addresses, and
 * the host's own addresses. */
FloePolicyPacketVerdict floe_policy_packet_verdict (const FloePolicyNetwork *network, const FloePolicyPacket *packet);

/* Whether NAME (lower case, no final dot) is what PATTERN ("www.example.org" or "*.example.org") says. */
gboolean floe_policy_name_matches (const char *pattern, const char *name);
