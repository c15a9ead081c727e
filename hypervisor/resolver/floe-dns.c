/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns.h"

#include <string.h>

#define HEADER_SIZE 12
#define CLASS_IN 1
#define LABEL_MAX 63
#define POINTER_MASK 0xc0

/* Bits of the second header word, RFC 1035 section 4.1.1. */
#define FLAG_QR 0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_TC 0x0200
#define FLAG_RD 0x0100
#define FLAG_RA 0x0080
#define FLAG_CD 0x0010
#define FLAG_RCODE 0x000f

#define OPTION_EDE 15

static uint16_t
get16 (const uint8_t *at)
{
  return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t
get32 (const uint8_t *at)
{
  return (uint32_t)get16 (at) << 16 | get16 (at + 2);
}

static size_t
put16 (uint8_t *out, size_t at, unsigned value)
{
  out[at] = (uint8_t)(value >> 8);
  out[at + 1] = (uint8_t)value;
  return at + 2;
}

static size_t
put32 (uint8_t *out, size_t at, uint32_t value)
{
  return put16 (out, put16 (out, at, value >> 16), value & 0xffff);
}

/* -- Names ------------------------------------------------------------------------------------------------------------ */

static uint8_t
lower (uint8_t byte)
{
  return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

static bool
is_plain (uint8_t byte)
{
  byte = lower (byte);
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

bool
floe_dns_name_read (const uint8_t *message, size_t size, size_t *at, FloeDnsName *name)
{
  FloeDnsName read = { 0 };
  size_t here = *at, run = *at, behind = 0;
  unsigned used = 0;

  for (;;) {
    size_t length;

    if (here >= size)
      return false;
    length = message[here];
    if ((length & POINTER_MASK) == POINTER_MASK) {
      size_t target;

      if (here + 2 > size)
        return false;
      target = get16 (message + here) & 0x3fff;
      /* Each jump ends before the labels it came from began: their number is bounded by the message. */
      if (target >= run || target < HEADER_SIZE)
        return false;
      if (behind == 0)
        behind = here + 2;
      here = run = target;
      continue;
    }
    if (length > LABEL_MAX || here + 1 + length > size || used + 1 + length > FLOE_DNS_NAME_MAX)
      return false;
    memcpy (read.bytes + used, message + here, 1 + length);
    used += 1 + (unsigned)length;
    here += 1 + length;
    if (length == 0)
      break;
  }
  read.size = (uint8_t)used;
  *at = behind != 0 ? behind : here;
  *name = read;
  return true;
}

bool
floe_dns_name_equal (const FloeDnsName *a, const FloeDnsName *b)
{
  if (a->size != b->size)
    return false;
  /* Length octets are at most 63 and so no letters. */
  for (size_t i = 0; i < a->size; i++)
    if (lower (a->bytes[i]) != lower (b->bytes[i]))
      return false;
  return true;
}

bool
floe_dns_name_is_plain (const FloeDnsName *name)
{
  if (name->size < 2)
    return false;
  for (size_t at = 0; name->bytes[at] != 0; at += 1 + name->bytes[at])
    for (size_t i = 1; i <= name->bytes[at]; i++)
      if (!is_plain (name->bytes[at + i]))
        return false;
  return true;
}

bool
floe_dns_name_from_text (const char *text, FloeDnsName *name)
{
  FloeDnsName built = { 0 };
  size_t used = 0;

  while (*text != '\0') {
    size_t length = strcspn (text, ".");

    if (length == 0 || length > LABEL_MAX || used + 2 + length > FLOE_DNS_NAME_MAX)
      return false;
    built.bytes[used] = (uint8_t)length;
    for (size_t i = 0; i < length; i++)
      built.bytes[used + 1 + i] = lower ((uint8_t)text[i]);
    used += 1 + length;
    text += length;
    /* A dot at the end would be followed by an empty label. */
    if (*text == '.' && *++text == '\0')
      return false;
  }
  built.size = (uint8_t)(used + 1);
  if (used == 0 || !floe_dns_name_is_plain (&built))
    return false;
  *name = built;
  return true;
}

static void
print (const FloeDnsName *name, char text[256])
{
  size_t used = 0;

  for (size_t at = 0; at + 1 < name->size; at += 1 + name->bytes[at]) {
    if (at != 0)
      text[used++] = '.';
    for (size_t i = 1; i <= name->bytes[at]; i++)
      text[used++] = is_plain (name->bytes[at + i]) ? (char)lower (name->bytes[at + i]) : '?';
  }
  if (used == 0)
    text[used++] = '.';
  text[used] = '\0';
}

bool
floe_dns_name_to_text (const FloeDnsName *name, char text[256])
{
  if (!floe_dns_name_is_plain (name))
    return false;
  print (name, text);
  return true;
}

void
floe_dns_name_print (const FloeDnsName *name, char text[256])
{
  print (name, text);
}

void
floe_dns_name_mix (FloeDnsName *name, const uint8_t bits[32])
{
  for (size_t i = 0; i < name->size; i++) {
    uint8_t byte = lower (name->bytes[i]);

    if (byte >= 'a' && byte <= 'z')
      name->bytes[i] = (bits[i / 8] >> (i % 8) & 1) != 0 ? byte - ('a' - 'A') : byte;
  }
}

/* -- A guest's question ------------------------------------------------------------------------------------------------ */

/* The OPT record at AT, which must end the message (RFC 6891 section 6.1.2). */
static bool
parse_opt (const uint8_t *message, size_t size, size_t at, FloeDnsQuery *query, unsigned *version)
{
  size_t end;

  if (at + 11 > size || message[at] != 0 || get16 (message + at + 1) != FLOE_DNS_OPT)
    return false;
  end = at + 11 + get16 (message + at + 9);
  if (end != size)
    return false;
  for (size_t option = at + 11; option < end;) {
    if (option + 4 > end || option + 4 + get16 (message + option + 2) > end)
      return false;
    option += 4u + get16 (message + option + 2);
  }
  query->edns = true;
  query->room = get16 (message + at + 3);
  if (query->room < FLOE_DNS_QUERY_MAX)
    query->room = FLOE_DNS_QUERY_MAX;
  if (query->room > FLOE_DNS_UDP_MAX)
    query->room = FLOE_DNS_UDP_MAX;
  *version = message[at + 6];
  return true;
}

FloeDnsQueryKind
floe_dns_query_parse (const uint8_t *message, size_t size, FloeDnsQuery *query, unsigned *rcode)
{
  size_t at = HEADER_SIZE;
  unsigned flags, version = 0;

  memset (query, 0, sizeof *query);
  query->room = FLOE_DNS_QUERY_MAX;
  if (size < HEADER_SIZE || (get16 (message + 2) & FLAG_QR) != 0)
    return FLOE_DNS_QUERY_IGNORE;
  flags = get16 (message + 2);
  query->id = get16 (message);
  query->recursion = (flags & FLAG_RD) != 0;
  query->checking = (flags & FLAG_CD) != 0;
  *rcode = FLOE_DNS_NOTIMP;
  if ((flags & FLAG_OPCODE) != 0)
    return FLOE_DNS_QUERY_ERROR;
  *rcode = FLOE_DNS_FORMERR;
  if (size > FLOE_DNS_QUERY_MAX || get16 (message + 4) != 1 || get16 (message + 6) != 0 || get16 (message + 8) != 0
      || get16 (message + 10) > 1 || !floe_dns_name_read (message, size, &at, &query->name) || at + 4 > size)
    return FLOE_DNS_QUERY_ERROR;
  query->type = get16 (message + at);
  if (get16 (message + at + 2) != CLASS_IN) {
    *rcode = FLOE_DNS_REFUSED;
    return FLOE_DNS_QUERY_ERROR;
  }
  at += 4;
  if (get16 (message + 10) == 1 ? !parse_opt (message, size, at, query, &version) : at != size)
    return FLOE_DNS_QUERY_ERROR;
  query->question = true;
  if (version != 0) {
    *rcode = FLOE_DNS_BADVERS;
    return FLOE_DNS_QUERY_ERROR;
  }
  return FLOE_DNS_QUERY_OK;
}

/* -- A server's answer ------------------------------------------------------------------------------------------------- */

typedef struct {
  FloeDnsName owner;
  uint16_t type, class;
  uint32_t ttl;
  size_t data, end; /* of its rdata */
} Record;

static bool
read_record (const uint8_t *message, size_t size, size_t *at, Record *record)
{
  size_t here = *at;

  if (!floe_dns_name_read (message, size, &here, &record->owner) || here + 10 > size)
    return false;
  record->type = get16 (message + here);
  record->class = get16 (message + here + 2);
  record->ttl = get32 (message + here + 4);
  record->data = here + 10;
  record->end = record->data + get16 (message + here + 8);
  if (record->end > size)
    return false;
  if (record->ttl > INT32_MAX)
    record->ttl = 0;
  *at = record->end;
  return true;
}

/* Every record of every section has its form, nothing is left over, and the extended response code is known. */
static bool
check_sections (const uint8_t *message, size_t size, size_t at, FloeDnsAnswer *answer)
{
  size_t n_before_additional = (size_t)get16 (message + 6) + get16 (message + 8);
  size_t n = n_before_additional + get16 (message + 10);
  bool seen = false;

  for (size_t i = 0; i < n; i++) {
    Record record;

    if (!read_record (message, size, &at, &record))
      return false;
    if (record.type != FLOE_DNS_OPT)
      continue;
    /* Of the extended code's upper eight bits, and of a version that we did not ask for. */
    if (i < n_before_additional || seen || record.owner.size != 1)
      return false;
    seen = true;
    answer->rcode |= message[record.data - 6] << 4;
  }
  return at == size;
}

/* A name inside rdata, which may be compressed (RFC 1035 section 4.1.4; RFC 2782 forbids it for SRV, some send it), must fill it to END. */
static bool
append_name (FloeDnsAnswer *answer, const uint8_t *message, size_t at, size_t end)
{
  FloeDnsName name;

  /* Labels may lie before END only, as those of a pointer do. */
  if (!floe_dns_name_read (message, end, &at, &name) || at != end || answer->data_size + name.size > FLOE_DNS_DATA_MAX)
    return false;
  memcpy (answer->data + answer->data_size, name.bytes, name.size);
  answer->data_size += name.size;
  return true;
}

static bool
append_bytes (FloeDnsAnswer *answer, const uint8_t *bytes, size_t size)
{
  if (answer->data_size + size > FLOE_DNS_DATA_MAX)
    return false;
  memcpy (answer->data + answer->data_size, bytes, size);
  answer->data_size += size;
  return true;
}

/* Strings of a length octet each, at least one, RFC 1035 section 3.3.14. */
static bool
is_text (const uint8_t *bytes, size_t size)
{
  size_t at = 0;

  while (at < size)
    at += 1u + bytes[at];
  return size > 0 && at == size;
}

static bool
append_data (FloeDnsAnswer *answer, const uint8_t *message, const Record *record)
{
  const uint8_t *data = message + record->data;
  size_t size = record->end - record->data;

  switch (record->type) {
  case FLOE_DNS_A:
    return size == 4 && append_bytes (answer, data, size);
  case FLOE_DNS_AAAA:
    return size == 16 && append_bytes (answer, data, size);
  case FLOE_DNS_TXT:
    return is_text (data, size) && append_bytes (answer, data, size);
  case FLOE_DNS_PTR:
    return append_name (answer, message, record->data, record->end);
  case FLOE_DNS_MX:
    return size > 2 && append_bytes (answer, data, 2) && append_name (answer, message, record->data + 2, record->end);
  case FLOE_DNS_SRV:
    return size > 6 && append_bytes (answer, data, 6) && append_name (answer, message, record->data + 6, record->end);
  default:
    return false;
  }
}

/* One look over the answer section for NAME: takes its records of TYPE, or else the name that it is another name for. */
static bool
take_records (const uint8_t *message, size_t size, size_t at, FloeDnsName *name, uint16_t type, FloeDnsAnswer *answer, bool *alias)
{
  size_t n = get16 (message + 6);
  FloeDnsName target = { 0 };
  uint32_t alias_ttl = 0;

  for (size_t i = 0; i < n && i < FLOE_DNS_LOOKED_AT_MAX; i++) {
    Record record;

    if (!read_record (message, size, &at, &record))
      return false;
    if (record.class != CLASS_IN || !floe_dns_name_equal (&record.owner, name))
      continue;
    if (record.type == type) {
      size_t before = answer->data_size;

      if (answer->n_records == FLOE_DNS_RECORDS_MAX) {
        answer->shortened = true;
        continue;
      }
      if (!append_data (answer, message, &record))
        return false;
      answer->records[answer->n_records++] = (FloeDnsRecord){ (uint16_t)before, (uint16_t)(answer->data_size - before) };
      if (record.ttl < answer->ttl)
        answer->ttl = record.ttl;
    } else if (record.type == FLOE_DNS_CNAME) {
      size_t data = record.data;

      /* Two different ones would let each reader see another answer. */
      if (target.size != 0 || !floe_dns_name_read (message, record.end, &data, &target) || data != record.end)
        return false;
      alias_ttl = record.ttl;
    }
  }
  *alias = answer->n_records == 0 && target.size != 0;
  if (*alias) {
    *name = target;
    if (alias_ttl < answer->ttl)
      answer->ttl = alias_ttl;
  }
  return true;
}

FloeDnsAnswerKind
floe_dns_answer_parse (const uint8_t *message, size_t size, uint16_t id, const FloeDnsName *name, uint16_t type, FloeDnsAnswer *answer)
{
  FloeDnsName asked, current = *name;
  size_t at = HEADER_SIZE;
  bool alias = true;
  unsigned flags;

  if (size < HEADER_SIZE)
    return FLOE_DNS_ANSWER_FOREIGN;
  flags = get16 (message + 2);
  if (get16 (message) != id || (flags & FLAG_QR) == 0 || (flags & FLAG_OPCODE) != 0 || get16 (message + 4) != 1
      || !floe_dns_name_read (message, size, &at, &asked) || at + 4 > size || get16 (message + at) != type
      || get16 (message + at + 2) != CLASS_IN || !floe_dns_name_equal (&asked, name))
    return FLOE_DNS_ANSWER_FOREIGN;
  if (memcmp (asked.bytes, name->bytes, name->size) != 0)
    return FLOE_DNS_ANSWER_CASE;
  at += 4;
  memset (answer, 0, offsetof (FloeDnsAnswer, data));
  answer->ttl = INT32_MAX;
  answer->truncated = (flags & FLAG_TC) != 0;
  if (answer->truncated)
    return FLOE_DNS_ANSWER_OK;
  answer->rcode = flags & FLAG_RCODE;
  if (!check_sections (message, size, at, answer))
    return FLOE_DNS_ANSWER_MALFORMED;
  for (unsigned hops = 0; alias; hops++)
    if (hops > FLOE_DNS_CHAIN_MAX || !take_records (message, size, at, &current, type, answer, &alias))
      return FLOE_DNS_ANSWER_MALFORMED;
  return FLOE_DNS_ANSWER_OK;
}

void
floe_dns_answer_keep (FloeDnsAnswer *answer, uint32_t keep)
{
  size_t kept = 0;

  for (size_t i = 0; i < answer->n_records; i++)
    if ((keep >> i & 1) != 0)
      answer->records[kept++] = answer->records[i];
  answer->n_records = kept;
}

FloeDnsAddress
floe_dns_answer_address (const FloeDnsAnswer *answer, size_t i)
{
  FloeDnsAddress address = { .family = answer->records[i].size == 4 ? 4 : 6 };

  memcpy (address.bytes, answer->data + answer->records[i].offset, address.family == 4 ? 4 : 16);
  return address;
}

/* -- Writing ----------------------------------------------------------------------------------------------------------- */

static size_t
put_question (uint8_t *out, size_t at, const FloeDnsName *name, uint16_t type)
{
  memcpy (out + at, name->bytes, name->size);
  return put16 (out, put16 (out, at + name->size, type), CLASS_IN);
}

/* An OPT record: what UDP datagrams we take, the upper bits of the response code, an extended error. */
static size_t
put_opt (uint8_t *out, size_t at, unsigned rcode, unsigned ede)
{
  out[at++] = 0;
  at = put16 (out, at, FLOE_DNS_OPT);
  at = put16 (out, at, FLOE_DNS_UDP_MAX);
  at = put32 (out, at, (uint32_t)(rcode >> 4) << 24);
  at = put16 (out, at, ede == FLOE_DNS_EDE_NONE ? 0 : 6);
  if (ede == FLOE_DNS_EDE_NONE)
    return at;
  return put16 (out, put16 (out, put16 (out, at, OPTION_EDE), 2), ede);
}

size_t
floe_dns_answer_write (uint8_t *out, size_t limit, const FloeDnsQuery *query, unsigned rcode, unsigned ede, const FloeDnsAnswer *answer)
{
  size_t n = answer != NULL ? answer->n_records : 0, at = HEADER_SIZE, wanted;
  unsigned flags = FLAG_QR | FLAG_RA | (query->recursion ? FLAG_RD : 0) | (query->checking ? FLAG_CD : 0) | (rcode & FLAG_RCODE);

  if (limit > FLOE_DNS_ANSWER_MAX)
    limit = FLOE_DNS_ANSWER_MAX;
  if (query->question)
    at = put_question (out, at, &query->name, query->type);
  /* Owner as a pointer, type, class, TTL and length before each record's data; 17 for the largest OPT. */
  wanted = at + (query->edns ? 17 : 0);
  for (size_t i = 0; i < n; i++)
    wanted += 12u + answer->records[i].size;
  if (wanted > limit) {
    flags |= FLAG_TC;
    n = 0;
  }
  put16 (out, 0, query->id);
  put16 (out, 2, flags);
  put16 (out, 4, query->question);
  put16 (out, 6, (unsigned)n);
  put16 (out, 8, 0);
  put16 (out, 10, query->edns);
  for (size_t i = 0; i < n; i++) {
    const FloeDnsRecord *record = &answer->records[i];

    at = put16 (out, at, POINTER_MASK << 8 | HEADER_SIZE);
    at = put16 (out, at, query->type);
    at = put16 (out, at, CLASS_IN);
    at = put32 (out, at, answer->ttl);
    at = put16 (out, at, record->size);
    memcpy (out + at, answer->data + record->offset, record->size);
    at += record->size;
  }
  return query->edns ? put_opt (out, at, rcode, ede) : at;
}

size_t
floe_dns_question_write (uint8_t *out, uint16_t id, const FloeDnsName *name, uint16_t type, bool edns)
{
  size_t at;

  put16 (out, 0, id);
  put16 (out, 2, FLAG_RD);
  put16 (out, 4, 1);
  put16 (out, 6, 0);
  put16 (out, 8, 0);
  put16 (out, 10, edns);
  at = put_question (out, HEADER_SIZE, name, type);
  return edns ? put_opt (out, at, 0, FLOE_DNS_EDE_NONE) : at;
}
