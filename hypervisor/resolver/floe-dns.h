/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DNS messages, decoded and written: RFC 1035 with RFC 2181 (TTL), RFC 6891 (EDNS), RFC 8914 (extended errors). Pure functions without an
 * allocation, a lock or GLib: they run in the process that hostile guests and servers talk to.
 *
 * Only what a stub resolver needs: one question of class IN in, records of the type asked for out, chains of CNAME followed inside one
 * message. Names are kept in wire form (length octets, the root's zero at the end), never compressed. */

#define FLOE_DNS_NAME_MAX 255    /* octets in wire form, RFC 1035 section 2.3.4 */
#define FLOE_DNS_QUERY_MAX 512   /* a larger question from a guest is none that a resolver library writes */
#define FLOE_DNS_UDP_MAX 1232    /* what we take and give over UDP: no fragments on any path of IPv6's least MTU */
#define FLOE_DNS_ANSWER_MAX 4800 /* header, question, 32 records of all that data, OPT */
#define FLOE_DNS_RECORDS_MAX 32  /* in one answer to a guest; more are left out */
#define FLOE_DNS_LOOKED_AT_MAX 512 /* records of an answer section that are looked at */
#define FLOE_DNS_CHAIN_MAX 12    /* CNAMEs that lead to an answer */
#define FLOE_DNS_DATA_MAX 4096   /* all rdata of one answer together */

enum { /* RFC 1035, RFC 3596, RFC 2782 */
  FLOE_DNS_A = 1,
  FLOE_DNS_CNAME = 5,
  FLOE_DNS_PTR = 12,
  FLOE_DNS_MX = 15,
  FLOE_DNS_TXT = 16,
  FLOE_DNS_AAAA = 28,
  FLOE_DNS_SRV = 33,
  FLOE_DNS_OPT = 41,
};

enum { /* response codes */
  FLOE_DNS_NOERROR = 0,
  FLOE_DNS_FORMERR = 1,
  FLOE_DNS_SERVFAIL = 2,
  FLOE_DNS_NXDOMAIN = 3,
  FLOE_DNS_NOTIMP = 4,
  FLOE_DNS_REFUSED = 5,
  FLOE_DNS_BADVERS = 16,
};

enum { /* extended errors, RFC 8914; 0 is "other", which we never send: it stands for none here */
  FLOE_DNS_EDE_NONE = 0,
  FLOE_DNS_EDE_BLOCKED = 15,
};

typedef struct {
  uint8_t size; /* 1 to 255, the final zero included; 0: no name */
  uint8_t bytes[FLOE_DNS_NAME_MAX];
} FloeDnsName;

typedef struct {
  uint8_t family; /* 4 or 6 */
  uint8_t bytes[16]; /* the first 4 for family 4, the rest zero */
} FloeDnsAddress;

/* -- Names ------------------------------------------------------------------------------------------------------------ */

/* Reads the name at *AT of MESSAGE and moves *AT behind it. A compression pointer must point before the labels that it ends: backwards each
 * time, so that no loop can be written. FALSE, and nothing changed, when it is malformed or too long. */
bool floe_dns_name_read (const uint8_t *message, size_t size, size_t *at, FloeDnsName *name);
/* Not regarding the case of ASCII letters (RFC 4343). */
bool floe_dns_name_equal (const FloeDnsName *a, const FloeDnsName *b);
/* Letters, digits, hyphens and underscores in every label, at least one label: what we ask for on anybody's behalf. */
bool floe_dns_name_is_plain (const FloeDnsName *name);
/* From and to "www.example.org", lower case, without a final dot; TEXT has room for 256. Only plain names. */
bool floe_dns_name_from_text (const char *text, FloeDnsName *name);
bool floe_dns_name_to_text (const FloeDnsName *name, char text[256]);
/* Any name, what is not plain as '?': for the log. The root is ".". */
void floe_dns_name_print (const FloeDnsName *name, char text[256]);

/* -- A guest's question ------------------------------------------------------------------------------------------------ */

typedef struct {
  uint16_t id;
  bool recursion, checking; /* RD and CD, sent back as they came */
  bool question;            /* NAME and TYPE were there: they are repeated in the answer */
  FloeDnsName name;         /* as asked, case and all */
  uint16_t type;
  bool edns;
  uint16_t room; /* what the guest takes over UDP: 512 without EDNS, 512 to FLOE_DNS_UDP_MAX with it */
} FloeDnsQuery;

typedef enum {
  FLOE_DNS_QUERY_OK,
  FLOE_DNS_QUERY_IGNORE, /* shorter than a header, or no question at all but an answer: nothing must come back */
  FLOE_DNS_QUERY_ERROR,  /* to be answered with *rcode */
} FloeDnsQueryKind;

/* One question, class IN, opcode QUERY, nothing but one OPT record (version 0) behind it, no byte left over. */
FloeDnsQueryKind floe_dns_query_parse (const uint8_t *message, size_t size, FloeDnsQuery *query, unsigned *rcode);

/* -- A server's answer ------------------------------------------------------------------------------------------------- */

typedef struct {
  uint16_t offset, size; /* in data */
} FloeDnsRecord;

typedef struct {
  unsigned rcode;   /* NOERROR without records: the name has none of that type. Extended ones (RFC 6891) included */
  bool truncated;   /* ask again over TCP; nothing else is set then */
  uint32_t ttl;     /* the least of all records that led here and are here (RFC 2181 section 5.2); 0 for one of 2^31 and more (section 8) */
  bool shortened;   /* there were more records than FLOE_DNS_RECORDS_MAX */
  size_t n_records;
  FloeDnsRecord records[FLOE_DNS_RECORDS_MAX];
  size_t data_size;
  uint8_t data[FLOE_DNS_DATA_MAX]; /* rdata, names in it not compressed */
} FloeDnsAnswer;

typedef enum {
  FLOE_DNS_ANSWER_OK,
  FLOE_DNS_ANSWER_FOREIGN,   /* another id or question, or no answer at all: go on waiting, someone may be guessing */
  FLOE_DNS_ANSWER_CASE,      /* ours but for the case of letters: ask over TCP, where nobody can guess */
  FLOE_DNS_ANSWER_MALFORMED, /* to our question, and broken: as if none had come */
} FloeDnsAnswerKind;

/* To be called with what was asked: id, name (as written, case and all) and type (A, AAAA, PTR, SRV, TXT or MX). Records count that belong
 * to the name, or to what CNAMEs in the same answer section make of it; other sections are checked for their form and not used. */
FloeDnsAnswerKind floe_dns_answer_parse (const uint8_t *message, size_t size, uint16_t id, const FloeDnsName *name, uint16_t type,
                                         FloeDnsAnswer *answer);
/* Keeps those records of A or AAAA whose bit is set in KEEP. */
void floe_dns_answer_keep (FloeDnsAnswer *answer, uint32_t keep);
/* Record I of an answer of type A or AAAA. */
FloeDnsAddress floe_dns_answer_address (const FloeDnsAnswer *answer, size_t i);

/* -- Writing ----------------------------------------------------------------------------------------------------------- */

/* The answer to QUERY, records (if ANSWER is not NULL) owned by the name that was asked; their number of bytes, at most MIN(LIMIT,
 * FLOE_DNS_ANSWER_MAX) and OUT must have room for that. What does not fit in LIMIT becomes an empty one with TC set. LIMIT is 512 or more. */
size_t floe_dns_answer_write (uint8_t *out, size_t limit, const FloeDnsQuery *query, unsigned rcode, unsigned ede, const FloeDnsAnswer *answer);
/* A question for a server; OUT has room for FLOE_DNS_QUERY_MAX. */
size_t floe_dns_question_write (uint8_t *out, uint16_t id, const FloeDnsName *name, uint16_t type, bool edns);
/* Sets the case of NAME's letters as BITS say (0x20: an answer that was guessed has to guess these too). */
void floe_dns_name_mix (FloeDnsName *name, const uint8_t bits[32]);
