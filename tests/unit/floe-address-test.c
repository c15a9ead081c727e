/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-address.h"

#include <glib/gstdio.h>
#include <string.h>

static void
test_typed (void)
{
  static const struct {
    const char *typed, *url, *shown;
  } good[] = {
    { "floe.example.org", "https://floe.example.org:8443", "floe.example.org" },
    { " floe ", "https://floe:8443", "floe" },
    { "https://floe.example.org/", "https://floe.example.org:8443", "floe.example.org" },
    { "HTTPS://Floe:443", "https://Floe:443", "Floe:443" },
    { "192.0.2.1:8444", "https://192.0.2.1:8444", "192.0.2.1:8444" },
    { "[2001:db8::1]", "https://[2001:db8::1]:8443", "[2001:db8::1]" },
    { "[2001:db8::1]:1", "https://[2001:db8::1]:1", "[2001:db8::1]:1" },
  };
  static const char *const bad[] = {
    "", " ", "/", "https://", "http://floe", "ftp://floe", "floe:", "floe:0", "floe:65536", "floe:x", "floe:8443:1", "floe/path", "floe?x", "floe#x",
    "user@floe", "fl oe", "-floe", "floe-", ".floe", "floe..example", ("fl\xc3\xb6" "e"), "fl\noe", "2001:db8::1", "[2001:db8::1", "[2001:db8::1]x",
    "[2001:db8::1]:", "[floe]", "[192.0.2.1]", "[fe80::1%eth0]", "floe_", "floe%00",
  };
  g_autofree char *longest = g_strnfill (FLOE_ADDRESS_MAX, 'a'), *longer = g_strnfill (FLOE_ADDRESS_MAX + 1, 'a'), *of_longest = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *url = floe_address_parse (good[i].typed, &error), *shown = NULL;

    g_assert_no_error (error);
    g_assert_cmpstr (url, ==, good[i].url);
    shown = floe_address_show (url);
    g_assert_cmpstr (shown, ==, good[i].shown);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", bad[i]);
    g_assert_null (floe_address_parse (bad[i], &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  of_longest = floe_address_parse (longest, NULL);
  g_assert_nonnull (of_longest);
  g_assert_null (floe_address_parse (longer, NULL));
}

static void
test_file (void)
{
  static const struct {
    const char *text, *address;
  } cases[] = {
    { "[server]\naddress=floe.example.org\n", "floe.example.org" },
    { "[server]\nurl=https://floe.example.org:8443\n[endpoint]\ngroup=x\n", "floe.example.org" },
    { "", NULL },
    { "nonsense", NULL },
    { "[server]\n", NULL },
    { "[server]\naddress=a\nurl=https://b\n", NULL },
    { "[server]\naddress=a\npin=x\n", "a" },
    { "[server]\naddress=a\nport=1\n", NULL },
    { "[server]\naddress=a b\n", NULL },
    { "[server]\naddress=a\n\xff", NULL },
  };
  g_autofree char *dir = g_dir_make_tmp ("floe-address-XXXXXX", NULL), *path = g_build_filename (dir, "floe.conf", NULL);
  g_autoptr (GError) missing = NULL;

  g_assert_null (floe_address_read_file (path, &missing));
  g_assert_error (missing, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *address = NULL;

    g_assert_true (g_file_set_contents (path, cases[i].text, -1, NULL));
    address = floe_address_read_file (path, &error);
    g_assert_cmpstr (address, ==, cases[i].address);
    g_assert_true ((address == NULL) == (error != NULL));
  }
  g_remove (path);
  g_rmdir (dir);
}

/* -- DNS ------------------------------------------------------------------------------------------------------------ */

#define QUESTION "\x05_floe\x04_tcp\x07" "example\x03org\x00\x00\x21\x00\x01"

typedef struct {
  unsigned priority, weight, port;
  const char *target; /* as it stands in the message, its end's zero is the literal's own */
} Record;

static GByteArray *
message (const Record *records, unsigned count, unsigned claimed)
{
  GByteArray *out = g_byte_array_new ();
  const guint8 head[] = { 0, 1, 0x81, 0x80, 0, 1, (guint8) (claimed >> 8), (guint8) claimed, 0, 0, 0, 0 };

  g_byte_array_append (out, head, sizeof head);
  g_byte_array_append (out, (const guint8 *) QUESTION, sizeof QUESTION - 1);
  for (unsigned i = 0; i < count; i++) {
    guint length = (guint) strlen (records[i].target) + 1;
    const guint8 fixed[] = { 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, (guint8) ((length + 6) >> 8), (guint8) (length + 6),
                             (guint8) (records[i].priority >> 8), (guint8) records[i].priority, (guint8) (records[i].weight >> 8),
                             (guint8) records[i].weight, (guint8) (records[i].port >> 8), (guint8) records[i].port };

    g_byte_array_append (out, fixed, sizeof fixed);
    g_byte_array_append (out, (const guint8 *) records[i].target, length);
  }
  return out;
}

static char *
best_of (const Record *records, unsigned count, GError **error)
{
  g_autoptr (GByteArray) bytes = message (records, count, count);

  return floe_address_parse_srv (bytes->data, bytes->len, error);
}

static void
test_srv (void)
{
  static const Record records[] = {
    { 20, 0, 8443, "\x05" "later\x07" "example\x03org" },
    { 10, 1, 8443, "\x05" "light\x07" "example\x03org" },
    { 10, 5, 443, "\x05" "heavy\x07" "example\x03org" },
    { 5, 0, 0, "\x04" "port\x07" "example\x03org" },
    { 5, 0, 8443, "" },
    { 5, 0, 8443, "\x08" "evil.com" "\x03" "a b" },
    { 10, 5, 1, "\x04" "same\x07" "example\x03org" },
  };
  g_autofree char *best = best_of (records, G_N_ELEMENTS (records), NULL);
  g_autofree char *usual = best_of (records, 1, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (best, ==, "heavy.example.org:443");
  g_assert_cmpstr (usual, ==, "later.example.org");
  g_assert_null (best_of (records + 3, 3, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

/* Cut anywhere, with more or other records than it says, with pointers that go forward or round: refused or empty, and never read past. */
static void
test_srv_bad (void)
{
  static const Record one[] = { { 1, 1, 8443, "\x05" "later\x07" "example\x03org" } };
  g_autoptr (GByteArray) whole = message (one, 1, 1), more = message (one, 1, 2), many = message (one, 1, 65535);

  for (guint size = 0; size < whole->len; size++) {
    g_autofree guint8 *cut = g_memdup2 (whole->data, MAX (size, 1));
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_address_parse_srv (cut, size, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  g_assert_null (floe_address_parse_srv (more->data, more->len, NULL));
  g_assert_null (floe_address_parse_srv (many->data, many->len, NULL));
  for (guint at = 12; at < whole->len; at++)
    for (unsigned to = 0; to < whole->len; to += 3) {
      g_autofree guint8 *changed = g_memdup2 (whole->data, whole->len);
      g_autofree char *answer = NULL;

      changed[at] = 0xc0;
      if (at + 1 < whole->len)
        changed[at + 1] = (guint8) to;
      answer = floe_address_parse_srv (changed, whole->len, NULL);
      g_test_message ("%u to %u: %s", at, to, answer != NULL ? answer : "-");
    }
}

/* -- DHCP ----------------------------------------------------------------------------------------------------------- */

/* What systemd-networkd says of a card whose lease has OPTIONS (JSON). */
#define CARD(name, options) "{\"Index\":2,\"Name\":\"" name "\",\"DHCPv4Client\":{\"Lease\":{\"Timeout1USec\":1},\"PrivateOptions\":[" options "]}}"
#define OPTION(number, hex) "{\"Option\":" number ",\"PrivateOptionData\":\"" hex "\"}"
#define CARDS(cards) "{\"Interfaces\":[{\"Index\":1,\"Name\":\"lo\",\"Type\":\"loopback\"}," cards "],\"Routes\":[]}"
#define FLOE "666c6f65" /* floe */

static char *
address_in (const char *text, GPtrArray *refused, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

  return floe_address_parse_dhcp (bytes, refused, error);
}

/* As a DHCP server sent it, by one card. */
static char *
address_of (const guint8 *option, gsize size, char **refused)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) text = g_string_new ("{\"Interfaces\":[{\"Name\":\"eth0\",\"DHCPv4Client\":{\"PrivateOptions\":[{\"Option\":236,\"PrivateOptionData\":\"");
  g_autoptr (GError) error = NULL;
  char *address;

  for (gsize i = 0; i < size; i++)
    g_string_append_printf (text, "%02x", option[i]);
  g_string_append (text, "\"}]}}]}");
  address = address_in (text->str, lines, &error);
  g_assert_true ((address == NULL) == g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND));
  g_assert_cmpuint (lines->len, ==, address == NULL ? 1 : 0);
  *refused = address == NULL ? g_strdup (g_ptr_array_index (lines, 0)) : NULL;
  return address;
}

/* systemd 257's own words, of two cards. The golden file was written by it: two leases of dnsmasq's. */
static void
test_dhcp (void)
{
  g_autoptr (GPtrArray) refused = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = NULL, *address = NULL, *other = NULL;
  g_autoptr (GError) error = NULL;
  char *second;

  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/tests/golden/address/networkd-257-two-cards.json", &text, NULL, &error));
  address = address_in (text, refused, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (address, ==, "floe.example.org");
  /* The first one's option spoilt: the second's is taken, and the first's is told. */
  second = strstr (text, "666c6f652e");
  g_assert_nonnull (second);
  second[3] = '0';
  other = address_in (text, refused, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (other, ==, "[2001:db8::1]:8444");
  g_assert_cmpuint (refused->len, ==, 1);
  g_assert_cmpstr (g_ptr_array_index (refused, 0), ==, "up0: DHCP option 236: \"f`oe.example.org\": an address is a server's name, such as floe.example.org, and perhaps a colon and a port");
}

static void
test_dhcp_none (void)
{
  static const char *const none[] = {
    "{}",
    "{\"Interfaces\":[]}",
    CARDS ("{\"Name\":\"eth0\"}"),
    CARDS ("{\"Name\":\"eth0\",\"DHCPv4Client\":{}}"),
    CARDS (CARD ("eth0", "")),
    CARDS (CARD ("eth0", OPTION ("224", FLOE) "," OPTION ("235", FLOE) "," OPTION ("237", FLOE))),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (none); i++) {
    g_autoptr (GPtrArray) refused = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GError) error = NULL;

    g_assert_null (address_in (none[i], refused, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
    g_assert_cmpuint (refused->len, ==, 0);
  }
}

/* Nothing that networkd says, and an option that it does not tell as it should. */
static void
test_dhcp_bad_description (void)
{
  static const char *const bad[] = {
    "", "[]", "{", "nonsense", "{\"Interfaces\":{}}", "{\"Interfaces\":[1]}", "{\"Interfaces\":[{}]}", "{\"Interfaces\":[],\"Interfaces\":[]}",
    CARDS ("{\"Name\":\"longer than any card\"}"),
    CARDS ("{\"Name\":\"eth\\u001b0\"}"),
    CARDS ("{\"Name\":\"eth0\",\"DHCPv4Client\":[]}"),
    CARDS ("{\"Name\":\"eth0\",\"DHCPv4Client\":{\"PrivateOptions\":{}}}"),
    CARDS (CARD ("eth0", "236")),
    CARDS (CARD ("eth0", "{\"PrivateOptionData\":\"" FLOE "\"}")),
    CARDS (CARD ("eth0", "{\"Option\":236}")),
    CARDS (CARD ("eth0", "{\"Option\":236,\"PrivateOptionData\":[102]}")),
    CARDS (CARD ("eth0", OPTION ("256", FLOE))),
    CARDS (CARD ("eth0", OPTION ("-1", FLOE))),
  };
  static const char *const refusals[][2] = {
    { OPTION ("236", FLOE "2"), "eth0: DHCP option 236: not told in hexadecimal digits" },
    { OPTION ("236", "66zz"), "eth0: DHCP option 236: not told in hexadecimal digits" },
    { OPTION ("236", FLOE) "," OPTION ("236", FLOE), "eth0: DHCP option 236: there twice" },
    { OPTION ("236", ""), "eth0: DHCP option 236: 0 bytes, 1 to 255 wanted" },
  };
  g_autofree char *spaces = g_strnfill ((1 << 20) + 1, ' ');
  g_autoptr (GPtrArray) none = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) large = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GPtrArray) refused = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", bad[i]);
    g_assert_null (address_in (bad[i], refused, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (refusals); i++) {
    g_autoptr (GPtrArray) refused = g_ptr_array_new_with_free_func (g_free);
    g_autofree char *text = g_strdup_printf ("{\"Interfaces\":[{\"Name\":\"eth0\",\"DHCPv4Client\":{\"PrivateOptions\":[%s]}}]}", refusals[i][0]);
    g_autoptr (GError) error = NULL;

    g_assert_null (address_in (text, refused, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
    g_assert_cmpuint (refused->len, ==, 1);
    g_assert_cmpstr (g_ptr_array_index (refused, 0), ==, refusals[i][1]);
  }
  g_assert_null (address_in (spaces, none, &large));
  g_assert_error (large, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

/* What a server sends, byte for byte. */
static void
test_dhcp_option (void)
{
  static const struct {
    const char *sent;
    gsize size; /* 0: up to its NUL */
    const char *address;
  } cases[] = {
    { "floe.example.org", 0, "floe.example.org" },
    { "floe.example.org:8443", 0, "floe.example.org" },
    { "192.0.2.1:444", 0, "192.0.2.1:444" },
    { "[2001:db8::1]", 0, "[2001:db8::1]" },
    { "https://floe/", 0, "floe" },
    { " floe ", 0, "floe" },
    { "floe\0", 5, "floe" },
    { "floe\0\0\0", 7, "floe" },
    { "\0", 1, NULL },
    { "floe\0evil", 9, NULL },
    { "\0floe", 5, NULL },
    { "floe\n", 0, NULL },
    { "floe\t", 0, NULL },
    { "\033[2Jfloe", 0, NULL },
    { ("fl\xc3\xb6" "e"), 0, NULL },
    { "\xff\xfe", 0, NULL },
    { "\xc0\x00\x02\x01", 4, NULL }, /* an address in four bytes, as options often have it */
    { "a,b", 0, NULL },
    { "a b", 0, NULL },
    { "http://floe", 0, NULL },
    { "floe:0", 0, NULL },
    { "floe:65536", 0, NULL },
    { "floe/path", 0, NULL },
    { "user@floe", 0, NULL },
    { "[fe80::1%eth0]", 0, NULL },
    { "$(reboot)", 0, NULL },
    { "..", 0, NULL },
  };
  guint8 longest[FLOE_ADDRESS_MAX + 1];
  g_autofree char *of_longest = NULL, *of_longer = NULL, *why = NULL, *why_longer = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    gsize size = cases[i].size != 0 ? cases[i].size : strlen (cases[i].sent);
    g_autofree char *refused = NULL, *address = address_of ((const guint8 *) cases[i].sent, size, &refused);

    g_assert_cmpstr (address, ==, cases[i].address);
    if (refused == NULL)
      continue;
    g_test_message ("%s", refused);
    g_assert_true (g_str_has_prefix (refused, "eth0: DHCP option 236: "));
    for (const char *c = refused; *c != '\0'; c++)
      g_assert_true (g_ascii_isprint (*c));
  }
  memset (longest, 'a', sizeof longest);
  of_longest = address_of (longest, FLOE_ADDRESS_MAX, &why);
  g_assert_nonnull (of_longest);
  of_longer = address_of (longest, FLOE_ADDRESS_MAX + 1, &why_longer);
  g_assert_null (of_longer);
  g_assert_cmpstr (why_longer, ==, "eth0: DHCP option 236: 256 bytes, 1 to 255 wanted");
}

/* Every byte that there is, alone and within a name. */
static void
test_dhcp_bytes (void)
{
  for (unsigned byte = 0; byte < 256; byte++)
    for (gsize at = 0; at < 3; at++) {
      guint8 sent[3] = { 'a', 'a', 'a' };
      g_autofree char *refused = NULL, *address = NULL, *url = NULL;

      sent[at] = (guint8) byte;
      address = address_of (sent, sizeof sent, &refused);
      if (address == NULL)
        continue;
      url = floe_address_parse (address, NULL);
      g_assert_nonnull (url);
      g_assert_true (g_ascii_isalnum ((char) byte) || (at == 1 && (byte == '.' || byte == '-')) || (at != 1 && byte == ' ') || (at == 2 && (byte == 0 || byte == '/')));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/address/typed", test_typed);
  g_test_add_func ("/address/file", test_file);
  g_test_add_func ("/address/dhcp", test_dhcp);
  g_test_add_func ("/address/dhcp-none", test_dhcp_none);
  g_test_add_func ("/address/dhcp-bad-description", test_dhcp_bad_description);
  g_test_add_func ("/address/dhcp-option", test_dhcp_option);
  g_test_add_func ("/address/dhcp-bytes", test_dhcp_bytes);
  g_test_add_func ("/address/srv", test_srv);
  g_test_add_func ("/address/srv-bad", test_srv_bad);
  return g_test_run ();
}
