/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-json.h"
#include "policy/document/floe-policy.h"

/* Between the files of this directory. The parser goes over the document once; whatever it allocates for the content goes into
 * MEMORY, which the finished document keeps, so that half a document is freed like a whole one. */

typedef struct {
  GPtrArray *memory;    /* blocks freed with the document */
  GTree *rule_ids;      /* of every rule so far, borrowed from the content; no hash, for which a document could be made to be slow */
  FloePolicyContent *content;
  FloePolicyNetwork *networks; /* content->networks, which machines complete */
  FloeJson *network_objects[FLOE_POLICY_NETWORKS_MAX];
} FloePolicyParser;

/* A zeroed array of N elements of SIZE bytes that lives as long as the document; NULL for N 0. */
void *floe_policy_parser_array (FloePolicyParser *parser, size_t n, size_t size);
const char *floe_policy_parser_keep (FloePolicyParser *parser, const char *string);

/* A name of at most MAX bytes, [A-Za-z0-9][A-Za-z0-9._-]*; "" after a mistake. */
const char *floe_policy_parse_name (FloePolicyParser *parser, FloeJson *value, size_t max);
/* The id of a rule: a name that no other rule of the document has, nor a verdict without a rule ("default", ..., and "floe-..." for those that
 * enforcers add). */
const char *floe_policy_parse_rule_id (FloePolicyParser *parser, FloeJson *value);

/* Text to be shown on the screen: without characters that cannot be seen; "" after a mistake. */
const char *floe_policy_parse_shown (FloePolicyParser *parser, FloeJson *value, size_t max);

/* A key that is planned and that nothing enforces yet. Accepting it silently would promise what does not happen. */
typedef struct {
  const char *key, *why;
} FloePolicyNotYet;
/* Refuses each of KEYS (ended by NULL) that OBJECT has. */
void floe_policy_refuse_not_yet (FloeJson *object, const FloePolicyNotYet *keys);

gboolean floe_policy_parse_flag (FloeJson *object, const char *key, gboolean otherwise);

/* One rule of NETWORK, whose mode, ipv6 and resolver are known. */
void floe_policy_parse_net_rule (FloePolicyParser *parser, FloeJson *object, const FloePolicyNetwork *network, gboolean egress,
                                 FloePolicyNetRule *rule);
/* A prefix that may be opened on NETWORK. */
void floe_policy_parse_prefix (FloeJson *value, const FloePolicyNetwork *network, FloePolicyPrefix *prefix);
void floe_policy_parse_rate (FloeJson *object, FloePolicyRate *rate);
/* A machine's list of networks; after networks. */
void floe_policy_parse_cards (FloePolicyParser *parser, FloeJson *list, FloePolicyMachine *machine);
/* What networks and machines must be to each other; after both. */
void floe_policy_check_networks (FloePolicyParser *parser);

/* Fill in content->networks, ->usb (after machines) and ->console from their JSON values. */
void floe_policy_parse_networks (FloePolicyParser *parser, FloeJson *value);
void floe_policy_parse_usb (FloePolicyParser *parser, FloeJson *value);
void floe_policy_parse_console (FloePolicyParser *parser, FloeJson *value);

/* "ADDRESS" without anything after it. */
gboolean floe_policy_address_parse (const char *text, FloePolicyAddress *address);
/* "ADDRESS/LENGTH"; the reason why not, or NULL. */
const char *floe_policy_prefix_parse (const char *text, FloePolicyPrefix *prefix);
/* The usual text of either; free with g_free. */
char *floe_policy_address_text (const FloePolicyAddress *address);
char *floe_policy_prefix_text (const FloePolicyPrefix *prefix);
gboolean floe_policy_prefix_contains (const FloePolicyPrefix *prefix, const FloePolicyAddress *address);
/* Whether all of ADDRESS/LENGTH is never routed. */
gboolean floe_policy_is_never_routed (const FloePolicyAddress *address, unsigned length);
/* A decimal number without sign, blank or leading zero, at most MAX; -1 otherwise. */
int floe_policy_decimal_parse (const char *text, size_t size, int max);
/* A DNS name in its one form (lower case, no final dot, A-labels), with WILDCARD perhaps "*." before it; the reason why not, or NULL. Free
 * *NAME with g_free(). */
const char *floe_policy_dns_name_parse (const char *text, gboolean wildcard, char **name);
/* "HH:MM", 00:00 to 24:00. */
gboolean floe_policy_time_parse (const char *text, unsigned *minute);

/* "CC:SS:PP" of lower or upper case hexadecimal digits, each pair also "*". */
gboolean floe_policy_pattern_parse (const char *text, FloePolicyUsbPattern *pattern);
/* Four hexadecimal digits. */
gboolean floe_policy_usb_id_parse (const char *text, int32_t *id);
gboolean floe_policy_usb_port_valid (const char *text);
/* Why TEXT is no {"like": ...} of a string, or NULL. */
const char *floe_policy_usb_like_problem (const char *text);
gboolean floe_policy_usb_text_matches (const FloePolicyUsbText *text, const FloePolicyUsbString *string);
/* "low", "full", "high", "super", NULL: in the order of FloePolicyUsbSpeed's bits. */
extern const char *const floe_policy_usb_speed_names[];
/* Why RULE is not in question in SITUATION (NULL: as for the verdict), its count aside; or NULL when it is. */
const char *floe_policy_usb_situation_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbSituation *situation);
/* Why RULE, number INDEX, does not match DEVICE in SITUATION ("another vendor", ...), or NULL when it does. */
const char *floe_policy_usb_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbDevice *device,
                                      const FloePolicyUsbSituation *situation, size_t index);

/* The accelerator in its one form (see FloePolicyConsole), or NULL with the reason in WHY. */
char *floe_policy_accelerator_parse (const char *text, const char **why);

/* Bits: what of RULE does not match PACKET; 0 when it does. */
enum {
  FLOE_POLICY_MISMATCH_PROTOCOL = 1,
  FLOE_POLICY_MISMATCH_REMOTE = 2, /* neither its prefixes nor its names */
  FLOE_POLICY_MISMATCH_NUMBER = 4, /* port or ICMP type */
  FLOE_POLICY_MISMATCH_TIME = 8,
};
unsigned floe_policy_packet_mismatch (const FloePolicyNetRule *rule, const FloePolicyPacket *packet);

const char *floe_policy_protocol_name (FloePolicyProtocol protocol);
const char *floe_policy_network_mode_name (FloePolicyNetworkMode mode);
const char *floe_policy_resolver_name (FloePolicyResolver resolver);
/* "sun" to "sat". */
const char *floe_policy_day_name (unsigned day);
/* Adds "tcp 198.51.100.10/32,*.example.org 80,8000-8010" and the like to TEXT: what a rule allows, its id aside. */
void floe_policy_window_text (const FloePolicyWindow *window, GString *text);
void floe_policy_rule_text (const FloePolicyNetRule *rule, GString *text);
/* TEXT of the document in double quotes, for dumps and reports; free with g_free(). */
char *floe_policy_quoted (const char *text);
/* Adds a USB rule's conditions and verdict to TEXT: " vendor=04a9 product=220d -> machine office". */
void floe_policy_usb_rule_text (const FloePolicyUsbRule *rule, GString *text);
/* Adds "machine office read-only" and the like to TEXT. */
void floe_policy_usb_grant_text (const FloePolicyUsbGrant *grant, GString *text);
/* Adds to TEXT the lines of floe_policy_explain_machine() on USB rules. */
void floe_policy_explain_usb_rules (const FloePolicyContent *content, const FloePolicyMachine *machine, GString *text);
/* Adds MACHINE's network cards to TEXT. */
void floe_policy_explain_cards (const FloePolicyMachine *machine, GString *text);
/* Adds to NOTES (see floe_policy_notes()) what is to be said about networks. */
void floe_policy_network_notes (const FloePolicyContent *content, GPtrArray *notes);
/* Adds to NOTES what is to be said about USB rules. */
void floe_policy_usb_notes (const FloePolicyContent *content, GPtrArray *notes);

/* floe-policy.schema.json, NUL-terminated. */
extern const char floe_policy_schema[];
