/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns-inside.h"
#include "hypervisor/resolver/floe-dns-names.h"
#include "hypervisor/resolver/floe-dns.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

/* Messages are written as hex, with names as 'www.example.org' in quotes: wire form, the final zero included. */
static GByteArray *
message_of (const char *text)
{
  GByteArray *bytes = g_byte_array_new ();

  while (*text != '\0') {
    if (*text == ' ') {
      text++;
    } else if (*text == '\'') {
      for (text++; *text != '\'';) {
        guint8 length = (guint8)strcspn (text, ".'");

        g_byte_array_append (bytes, &length, 1);
        g_byte_array_append (bytes, (const guint8 *)text, length);
        text += length;
        text += *text == '.';
      }
      g_byte_array_append (bytes, (const guint8 *)"", 1);
      text++;
    } else {
      guint8 byte = (guint8)(g_ascii_xdigit_value (text[0]) << 4 | g_ascii_xdigit_value (text[1]));

      g_byte_array_append (bytes, &byte, 1);
      text += 2;
    }
  }
  return bytes;
}

/* -- Questions -------------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *message;
  FloeDnsQueryKind kind;
  unsigned rcode;
} questions[] = {
  { "1234 0100 0001 0000 0000 0000 'www.example.org' 0001 0001", FLOE_DNS_QUERY_OK, 0 },
  { "1234 0120 0001 0000 0000 0000 'www.example.org' 001c 0001", FLOE_DNS_QUERY_OK, 0 },
  { "1234 0100 0001 0000 0000 0000 00 0001 0001", FLOE_DNS_QUERY_OK, 0 },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 0029 04d0 00000000 0000", FLOE_DNS_QUERY_OK, 0 },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 0029 04d0 00000000 000c 000a 0008 0102030405060708", FLOE_DNS_QUERY_OK, 0 },
  /* Not to be answered. */
  { "", FLOE_DNS_QUERY_IGNORE, 0 },
  { "1234 0100 0001 0000 0000 00", FLOE_DNS_QUERY_IGNORE, 0 },
  { "1234 8180 0001 0000 0000 0000 'a' 0001 0001", FLOE_DNS_QUERY_IGNORE, 0 },
  /* Other than one question of class IN. */
  { "1234 2800 0001 0000 0000 0000 'a' 0006 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_NOTIMP },
  { "1234 0100 0000 0000 0000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0002 0000 0000 0000 'a' 0001 0001 'b' 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0001 0000 0000 'a' 0001 0001 c00c 0001 0001 00000000 0004 01020304", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 'a' 0001 0003", FLOE_DNS_QUERY_ERROR, FLOE_DNS_REFUSED },
  { "1234 0100 0001 0000 0000 0000 'a' 0001 00ff", FLOE_DNS_QUERY_ERROR, FLOE_DNS_REFUSED },
  /* Cut, or with more behind it. */
  { "1234 0100 0001 0000 0000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 'a' 0001 00", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 'a' 0001 0001 00", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 07", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  /* Names: a reserved label type, a pointer to itself, forward, into the header, in a ring. */
  { "1234 0100 0001 0000 0000 0000 40 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 c00c 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 c00e 00 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 c000 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0000 0161c00c 0001 0001", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  /* EDNS: a version, another record, options that do not fit, two of it. */
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 0029 04d0 00010000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_BADVERS },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 00fa 00ff 00000000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 'b' 0029 04d0 00000000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 0029 04d0 00000000 0004 000a 0008", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0001 'a' 0001 0001 00 0029 04d0 00000000 0008 000a 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
  { "1234 0100 0001 0000 0000 0002 'a' 0001 0001 00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000", FLOE_DNS_QUERY_ERROR, FLOE_DNS_FORMERR },
};

static void
test_questions (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (questions); i++) {
    g_autoptr (GByteArray) message = message_of (questions[i].message);
    FloeDnsQuery query;
    unsigned rcode = 0;

    g_test_message ("%s", questions[i].message);
    g_assert_cmpint (floe_dns_query_parse (message->data, message->len, &query, &rcode), ==, questions[i].kind);
    if (questions[i].kind == FLOE_DNS_QUERY_ERROR)
      g_assert_cmpuint (rcode, ==, questions[i].rcode);
  }
}

static void
test_long_names (void)
{
  uint8_t message[600] = { 0 };
  FloeDnsName name;
  size_t at = 12;

  /* Three labels of 63 and one of 61 are 255 octets with their lengths and the zero; of 62 one too many. */
  for (unsigned i = 0; i < 3; i++)
    message[12 + 64 * i] = 63;
  message[12 + 192] = 61;
  g_assert_true (floe_dns_name_read (message, sizeof message, &at, &name));
  g_assert_cmpuint (name.size, ==, 255);
  g_assert_cmpuint (at, ==, 12 + 255);
  message[12 + 192] = 62;
  at = 12;
  g_assert_false (floe_dns_name_read (message, sizeof message, &at, &name));
  g_assert_cmpuint (at, ==, 12);
  /* The same made of pointers: each before the labels that use it. */
  message[12 + 192] = 0;
  message[300] = 63;
  message[364] = 0xc0;
  message[365] = 12;
  at = 300;
  g_assert_false (floe_dns_name_read (message, sizeof message, &at, &name));
  message[12] = 0;
  g_assert_true (floe_dns_name_read (message, sizeof message, &at, &name));
  g_assert_cmpuint (at, ==, 366);
}

/* -- Answers ----------------------------------------------------------------------------------------------------------------- */

#define HEAD "1234 8180 0001 "
#define ASKED "'www.example.org' 0001 0001 "
/* www.example.org begins at 12, its record's owner is c00c; records after the question begin at 33. */
#define RECORD "c00c 0001 0001 0000003c 0004 c6336414 "

static const struct {
  const char *what, *message;
  FloeDnsAnswerKind kind;
  unsigned n_records, ttl;
} answers[] = {
  { "an address", HEAD "0001 0000 0000" ASKED RECORD, FLOE_DNS_ANSWER_OK, 1, 60 },
  { "two of them, the lesser TTL", HEAD "0002 0000 0000" ASKED RECORD "c00c 0001 0001 00000005 0004 c6336415", FLOE_DNS_ANSWER_OK, 2, 5 },
  { "a TTL of 2^31 is none", HEAD "0001 0000 0000" ASKED "c00c 0001 0001 80000000 0004 c6336414", FLOE_DNS_ANSWER_OK, 1, 0 },
  { "an alias", HEAD "0002 0000 0000" ASKED "'a.net' 0001 0001 0000003c 0004 c6336414 c00c 0005 0001 00000007 0007 'a.net'",
    FLOE_DNS_ANSWER_OK, 1, 7 },
  { "an alias of nothing", HEAD "0001 0000 0000" ASKED "c00c 0005 0001 00000007 0007 'a.net'", FLOE_DNS_ANSWER_OK, 0, 7 },
  { "records of others, other types, other classes",
    HEAD "0003 0001 0001" ASKED "'b.net' 0001 0001 0000003c 0004 c6336414 c00c 0010 0001 0000003c 0002 0161 c00c 0001 0003 0000003c 0004 c6336414" RECORD
      RECORD,
    FLOE_DNS_ANSWER_OK, 0, INT32_MAX },
  { "truncated", "1234 8380 0001 0001 0000 0000" ASKED, FLOE_DNS_ANSWER_OK, 0, INT32_MAX },
  { "an extended code", HEAD "0000 0000 0001" ASKED "00 0029 04d0 01000000 0000", FLOE_DNS_ANSWER_OK, 0, INT32_MAX },
  /* Not ours. */
  { "another id", "1235 8180 0001 0001 0000 0000" ASKED RECORD, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "a question", "1234 0100 0001 0000 0000 0000" ASKED, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "another opcode", "1234 a980 0001 0001 0000 0000" ASKED RECORD, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "no question", "1234 8180 0000 0001 0000 0000 'www.example.org' 0001 0001 0000003c 0004 c6336414", FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "two questions", "1234 8180 0002 0000 0000 0000" ASKED ASKED, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "another name", HEAD "0001 0000 0000 'www.example.com' 0001 0001" RECORD, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "another type", HEAD "0001 0000 0000 'www.example.org' 001c 0001" RECORD, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "another class", HEAD "0001 0000 0000 'www.example.org' 0001 0003" RECORD, FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  { "another case", HEAD "0001 0000 0000 'Www.example.org' 0001 0001" RECORD, FLOE_DNS_ANSWER_CASE, 0, 0 },
  { "nothing", "", FLOE_DNS_ANSWER_FOREIGN, 0, 0 },
  /* Ours and broken. */
  { "a count too many", HEAD "0002 0000 0000" ASKED RECORD, FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "a count too few", HEAD "0000 0000 0000" ASKED RECORD, FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "65,535 of each", HEAD "ffff ffff ffff" ASKED RECORD, FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an address of three bytes", HEAD "0001 0000 0000" ASKED "c00c 0001 0001 0000003c 0003 c63364", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an address of five", HEAD "0001 0000 0000" ASKED "c00c 0001 0001 0000003c 0005 c633641401", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "data past the end", HEAD "0001 0000 0000" ASKED "c00c 0001 0001 0000003c 0005 c6336414", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an owner that points to itself", HEAD "0001 0000 0000" ASKED "c021 0001 0001 0000003c 0004 c6336414", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an owner that points ahead", HEAD "0001 0000 0000" ASKED "c0ff 0001 0001 0000003c 0004 c6336414", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an alias of itself", HEAD "0001 0000 0000" ASKED "c00c 0005 0001 00000007 0002 c00c", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an alias of two", HEAD "0002 0000 0000" ASKED "c00c 0005 0001 00000007 0003 'a' c00c 0005 0001 00000007 0003 'b'",
    FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an alias with something behind it", HEAD "0001 0000 0000" ASKED "c00c 0005 0001 00000007 0004 'a' 00", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "an alias longer than its data", HEAD "0001 0000 0000" ASKED "c00c 0005 0001 00000007 0002 'a'", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "OPT twice", HEAD "0000 0000 0002" ASKED "00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
  { "OPT as an answer", HEAD "0001 0000 0000" ASKED "00 0029 04d0 00000000 0000", FLOE_DNS_ANSWER_MALFORMED, 0, 0 },
};

static void
test_answers (void)
{
  FloeDnsName name;

  g_assert_true (floe_dns_name_from_text ("www.example.org", &name));
  for (size_t i = 0; i < G_N_ELEMENTS (answers); i++) {
    g_autoptr (GByteArray) message = message_of (answers[i].message);
    FloeDnsAnswer answer;

    g_test_message ("%s", answers[i].what);
    g_assert_cmpint (floe_dns_answer_parse (message->data, message->len, 0x1234, &name, FLOE_DNS_A, &answer), ==, answers[i].kind);
    if (answers[i].kind != FLOE_DNS_ANSWER_OK)
      continue;
    g_assert_cmpuint (answer.n_records, ==, answers[i].n_records);
    g_assert_cmpuint (answer.ttl, ==, answers[i].ttl);
    g_assert_cmpint (answer.rcode == 16, ==, g_str_equal (answers[i].what, "an extended code"));
    g_assert_cmpint (answer.truncated, ==, g_str_equal (answers[i].what, "truncated"));
  }
}

/* What is written for a guest is read by the same parser, for every type and any number of records; what does not fit says so. */
static void
test_round (void)
{
  static const struct {
    uint16_t type;
    const char *data;
  } kinds[] = {
    { FLOE_DNS_A, "0004 c6336414" },
    { FLOE_DNS_AAAA, "0010 20010db8000000000000000000000014" },
    { FLOE_DNS_TXT, "0006 0568656c6c6f" },
    { FLOE_DNS_PTR, "0002 c00c" },
    { FLOE_DNS_MX, "0004 000a c00c" },
    { FLOE_DNS_SRV, "0008 000000000035 c00c" },
  };
  FloeDnsName name;

  g_assert_true (floe_dns_name_from_text ("www.example.org", &name));
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    for (unsigned n = 0; n <= 40; n += 8) {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autoptr (GByteArray) message = NULL;
      uint8_t out[FLOE_DNS_ANSWER_MAX];
      FloeDnsQuery query = { .id = 1, .question = TRUE, .name = name, .type = kinds[k].type, .edns = n % 16 == 0 };
      FloeDnsAnswer answer, again;
      size_t size;

      g_string_printf (text, HEAD "%04x 0000 0000 'www.example.org' %04x 0001", n, kinds[k].type);
      for (unsigned i = 0; i < n; i++)
        g_string_append_printf (text, "c00c %04x 0001 0000003c %s", kinds[k].type, kinds[k].data);
      message = message_of (text->str);
      g_assert_cmpint (floe_dns_answer_parse (message->data, message->len, 0x1234, &name, kinds[k].type, &answer), ==, FLOE_DNS_ANSWER_OK);
      g_assert_cmpuint (answer.n_records, ==, MIN (n, FLOE_DNS_RECORDS_MAX));
      g_assert_cmpint (answer.shortened, ==, n > FLOE_DNS_RECORDS_MAX);
      size = floe_dns_answer_write (out, sizeof out, &query, FLOE_DNS_NOERROR, FLOE_DNS_EDE_NONE, &answer);
      g_assert_cmpint (floe_dns_answer_parse (out, size, 1, &name, kinds[k].type, &again), ==, FLOE_DNS_ANSWER_OK);
      g_assert_false (again.truncated);
      g_assert_cmpmem (answer.data, answer.data_size, again.data, again.data_size);
      size = floe_dns_answer_write (out, 512, &query, FLOE_DNS_NOERROR, FLOE_DNS_EDE_BLOCKED, &answer);
      g_assert_cmpuint (size, <=, 512);
      g_assert_cmpint (floe_dns_answer_parse (out, size, 1, &name, kinds[k].type, &again), ==, FLOE_DNS_ANSWER_OK);
    }
  }
}

/* -- Names ---------------------------------------------------------------------------------------------------------------------- */

static void
test_texts (void)
{
  static const char *const good[] = { "a", "www.example.org", "_dns.a-b.c0", "xn--bcher-kva.example" };
  static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a b", "a/b", "*.a", "b\xc3\xbc" };
  g_autofree char *long_label = g_strnfill (64, 'a');
  char text[256];
  FloeDnsName name, other;

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (floe_dns_name_from_text (good[i], &name));
    g_assert_true (floe_dns_name_to_text (&name, text));
    g_assert_cmpstr (text, ==, good[i]);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (floe_dns_name_from_text (bad[i], &name));
  g_assert_false (floe_dns_name_from_text (long_label, &name));
  g_assert_true (floe_dns_name_from_text ("WWW.Example.ORG", &name));
  g_assert_true (floe_dns_name_from_text ("www.example.org", &other));
  g_assert_cmpmem (name.bytes, name.size, other.bytes, other.size);
  /* Where labels are cut is part of a name. */
  g_assert_true (floe_dns_name_from_text ("ab.c", &name));
  g_assert_true (floe_dns_name_from_text ("a.bc", &other));
  g_assert_false (floe_dns_name_equal (&name, &other));
  name = (FloeDnsName){ 6, { 4, 'a', '.', '\0', 'b' } };
  g_assert_false (floe_dns_name_to_text (&name, text));
  floe_dns_name_print (&name, text);
  g_assert_cmpstr (text, ==, "a??b");
}

static void
test_inside (void)
{
  static const struct {
    const char *address;
    gboolean inside;
  } cases[] = {
    { "0.0.0.0", TRUE },          { "10.0.0.1", TRUE },        { "9.255.255.255", FALSE },   { "11.0.0.0", FALSE },
    { "100.63.255.255", FALSE },  { "100.64.0.0", TRUE },      { "100.127.255.255", TRUE },  { "100.128.0.0", FALSE },
    { "127.255.255.255", TRUE },  { "169.254.169.254", TRUE }, { "172.15.255.255", FALSE },  { "172.16.0.0", TRUE },
    { "172.31.255.255", TRUE },   { "172.32.0.0", FALSE },     { "192.0.0.8", TRUE },        { "192.168.0.1", TRUE },
    { "192.169.0.1", FALSE },     { "198.18.0.1", TRUE },      { "198.20.0.0", FALSE },      { "198.51.100.1", FALSE },
    { "223.255.255.255", FALSE }, { "224.0.0.1", TRUE },       { "255.255.255.255", TRUE },  { "8.8.8.8", FALSE },
    { "::", TRUE },               { "::1", TRUE },             { "::ffff:8.8.8.8", TRUE },   { "::8.8.8.8", TRUE },
    { "fe80::1", TRUE },          { "fec0::1", TRUE },         { "fc00::1", TRUE },          { "fdff::1", TRUE },
    { "ff02::1", TRUE },          { "100::1", TRUE },          { "2001::1", TRUE },          { "2001:1::1", FALSE },
    { "2001:db8::1", FALSE },     { "2606:4700::1", FALSE },   { "2002:a00:1::", TRUE },     { "2002:808:808::", FALSE },
    { "64:ff9b::10.0.0.1", TRUE }, { "64:ff9b::8.8.8.8", FALSE }, { "64:ff9b:1::8.8.8.8", TRUE }, { "4000::1", TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloeDnsAddress address = { .family = 4 };

    if (inet_pton (AF_INET, cases[i].address, address.bytes) != 1) {
      address.family = 6;
      g_assert_cmpint (inet_pton (AF_INET6, cases[i].address, address.bytes), ==, 1);
    }
    g_test_message ("%s", cases[i].address);
    g_assert_cmpint (floe_dns_address_is_inside (&address), ==, cases[i].inside);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dns/questions", test_questions);
  g_test_add_func ("/dns/long-names", test_long_names);
  g_test_add_func ("/dns/answers", test_answers);
  g_test_add_func ("/dns/round", test_round);
  g_test_add_func ("/dns/texts", test_texts);
  g_test_add_func ("/dns/inside", test_inside);
  return g_test_run ();
}
