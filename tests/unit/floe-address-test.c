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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/address/typed", test_typed);
  g_test_add_func ("/address/file", test_file);
  g_test_add_func ("/address/srv", test_srv);
  g_test_add_func ("/address/srv-bad", test_srv_bad);
  return g_test_run ();
}
