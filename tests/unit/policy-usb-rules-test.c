/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include "common/floe-fd.h"

#include <string.h>

/* What a rule can say beyond numbers and interfaces: patterns, speed, the situation, parts of a device, disks read-only, answers. */

static const char head[] =
  "{\"floe\":1,\"group\":\"g\",\"machines\":["
  "{\"id\":\"desk\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,\"memory_mib\":512,\"disk\":\"reset\"},"
  "{\"id\":\"lab\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,\"memory_mib\":512,\"disk\":\"reset\"}],\"usb\":[";
static const char tail[] = "],\"assignment\":[{\"who\":\"*\",\"machines\":[\"desk\",\"lab\"]}]}";

static FloePolicyDocument *
parse (const char *rules)
{
  g_autofree char *whole = g_strconcat (head, rules, tail, NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (whole, strlen (whole));
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document = floe_policy_parse (bytes, "rules.json", &error);

  g_assert_no_error (error);
  return document;
}

static FloePolicyUsbString
said (const char *text)
{
  return (FloePolicyUsbString){ text, text != NULL ? strlen (text) : 0 };
}

/* "ACTION RULE" of the verdict on DEVICE under RULES. */
static void
check (const char *rules, const FloePolicyUsbDevice *device, const FloePolicyUsbSituation *situation, const char *wanted)
{
  g_autoptr (FloePolicyDocument) document = parse (rules);
  FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (floe_policy_document_content (document), device, situation);
  g_autofree char *got = g_strdup_printf ("%s %s", floe_policy_usb_action_name (verdict.action), verdict.rule);

  if (strcmp (got, wanted) != 0)
    g_error ("%s: %s, %s wanted", rules, got, wanted);
}

/* -- Text and patterns --------------------------------------------------------------------------------------------------- */

static const struct {
  const char *like, *string;
  gboolean matches;
} patterns[] = {
  { "*", "", TRUE },
  { "*", "anything", TRUE },
  { "?", "", FALSE },
  { "?", "a", TRUE },
  { "?", "ab", FALSE },
  { "?", "é", TRUE },
  { "??", "é", FALSE },
  { "a*", "a", TRUE },
  { "a*", "ab", TRUE },
  { "a*", "ba", FALSE },
  { "*a", "ba", TRUE },
  { "*a", "ab", FALSE },
  { "*a*", "bab", TRUE },
  { "*a*", "bbb", FALSE },
  { "a*b*c", "abc", TRUE },
  { "a*b*c", "axxbxxbxxc", TRUE },
  { "a*b*c", "axxbxxbxxcx", FALSE },
  { "a*bc", "abcbc", TRUE },
  { "a*bc", "abcb", FALSE },
  { "*aab", "aaaab", TRUE },
  { "*a?b", "aaab", TRUE },
  { "A*", "ab", FALSE },
  { "\\*?", "*x", TRUE },
  { "\\*?", "yx", FALSE },
  { "\\?*", "?", TRUE },
  { "\\?*", "x", FALSE },
  { "*\\\\", "x\\", TRUE },
  { "*\\\\", "x*", FALSE },
  { "*\\*", "x*", TRUE },
  { "*\\*", "x\\", FALSE },
  { "[a-z]*", "b", FALSE },
  { "[a-z]*", "[a-z]x", TRUE },
  { "*?", "é", TRUE },
  { "é*", "éa", TRUE },
  { "?*?", "é", FALSE },
  { "a*", "a\xff\xfe", TRUE },
  { "a?", "a\xff", TRUE },
};

static void
test_patterns (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (patterns); i++) {
    const FloePolicyUsbText text = { patterns[i].like, TRUE };
    const FloePolicyUsbString string = said (patterns[i].string);

    g_assert_null (floe_policy_usb_like_problem (patterns[i].like));
    if (floe_policy_usb_text_matches (&text, &string) != patterns[i].matches)
      g_error ("'%s' %s '%s'", patterns[i].like, patterns[i].matches ? "should match" : "matches", patterns[i].string);
  }
}

/* By recursion, which is slow and plainly right: the loop in the verdict must agree with it. */
static gboolean
plainly_matches (const char *pattern, const char *string)
{
  if (*pattern == '\0')
    return *string == '\0';
  if (*pattern == '*')
    return plainly_matches (pattern + 1, string) || (*string != '\0' && plainly_matches (pattern, string + 1));
  if (*pattern == '?')
    return *string != '\0' && plainly_matches (pattern + 1, string + 1);
  if (*pattern == '\\' && pattern[1] != '\0')
    pattern++;
  return *pattern == *string && plainly_matches (pattern + 1, string + 1);
}

static void
test_patterns_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  static const char pattern_alphabet[] = "ab*?\\", string_alphabet[] = "ab*\\";
  unsigned matched = 0, tried = 0;

  for (unsigned i = 0; i < 200000; i++) {
    char pattern[9] = "", string[9] = "";
    gint32 n = g_rand_int_range (rand, 1, 8);

    for (gint32 j = 0; j < n; j++)
      pattern[j] = pattern_alphabet[g_rand_int_range (rand, 0, 5)];
    n = g_rand_int_range (rand, 0, 8);
    for (gint32 j = 0; j < n; j++)
      string[j] = string_alphabet[g_rand_int_range (rand, 0, 4)];
    if (floe_policy_usb_like_problem (pattern) != NULL)
      continue;
    const FloePolicyUsbText text = { pattern, TRUE };
    const FloePolicyUsbString bytes = said (string);
    gboolean matches = floe_policy_usb_text_matches (&text, &bytes);

    if (matches != plainly_matches (pattern, string))
      g_error ("'%s' on '%s': %d", pattern, string, matches);
    matched += matches;
    tried++;
  }
  g_assert_cmpuint (tried, >, 20000);
  g_assert_cmpuint (matched, >, 1000);
}

static void
test_strings (void)
{
  static const FloePolicyUsbInterface vendor_specific = { 0xff, 0, 0, 1, 0, 0 };
  FloePolicyUsbDevice device = { .vendor = 1, .product = 2, .interfaces = &vendor_specific, .n_interfaces = 1, .complete = TRUE };
  static const char exact[] = "{\"id\":\"r\",\"vendor\":\"0001\",\"name\":\"Disk*\",\"verdict\":\"host\"}";
  static const char like[] = "{\"id\":\"r\",\"vendor\":\"0001\",\"product\":\"0002\",\"name\":{\"like\":\"Disk*\"},"
                             "\"manufacturer\":\"Good\",\"serial\":{\"like\":\"0?9*\"},\"verdict\":\"host\"}";
  static const char any[] = "{\"id\":\"r\",\"manufacturer\":{\"like\":\"*\"},\"verdict\":\"block\"}";

  /* In plain text a star is a star. */
  device.name = said ("Disk*");
  check (exact, &device, NULL, "host r");
  device.name = said ("Disks");
  check (exact, &device, NULL, "block default");
  device.manufacturer = said ("Good");
  device.serial = said ("049");
  check (like, &device, NULL, "host r");
  device.serial = said ("049123");
  check (like, &device, NULL, "host r");
  device.serial = said ("0491\n");
  check (like, &device, NULL, "host r");
  device.serial = said ("0 491");
  check (like, &device, NULL, "block default");
  device.serial = (FloePolicyUsbString){ "\0009", 2 };
  check (like, &device, NULL, "block default");
  device.serial = said ("049");
  device.manufacturer = said ("Goodness");
  check (like, &device, NULL, "block default");
  /* What is not there is matched by nothing, not even by a pattern for anything. */
  check (any, &device, NULL, "block r");
  device.manufacturer = said ("");
  check (any, &device, NULL, "block r");
  device.manufacturer = said (NULL);
  check (any, &device, NULL, "block default");
}

static void
test_ports (void)
{
  static const FloePolicyUsbInterface keyboard = { 3, 1, 1, 1, 0, 0 };
  static const char behind[] = "{\"id\":\"r\",\"port\":{\"like\":\"1-2.*\"},\"verdict\":\"host\"}";
  static const char digit[] = "{\"id\":\"r\",\"port\":{\"like\":\"1-?\"},\"vendor\":\"0000\",\"verdict\":\"host\"}";
  static const struct {
    const char *rules, *port, *wanted;
  } rows[] = {
    { behind, "1-2.1", "host r" },     { behind, "1-2.4.3", "host r" },     { behind, "1-2", "block default" },
    { behind, "1-21.1", "block default" }, { behind, "11-2.1", "block default" }, { behind, NULL, "block default" },
    { digit, "1-3", "host r" },        { digit, "1-13", "block default" },  { digit, "1-3.1", "block default" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    FloePolicyUsbDevice device = { .port = rows[i].port, .interfaces = &keyboard, .n_interfaces = 1, .complete = TRUE };

    check (rows[i].rules, &device, NULL, rows[i].wanted);
  }
}

/* -- Interfaces and speed ------------------------------------------------------------------------------------------------ */

static void
test_exactly (void)
{
  static const FloePolicyUsbInterface interfaces[] = { { 8, 6, 0x50, 1, 0, 0 }, { 8, 6, 0x62, 1, 0, 1 }, { 8, 6, 0x50, 2, 0, 0 } };
  static const char two[] = "{\"id\":\"r\",\"interfaces_exactly\":[\"08:06:62\",\"08:06:50\"],\"verdict\":\"host\"}";
  static const char wide[] = "{\"id\":\"r\",\"interfaces_exactly\":[\"08:*:*\",\"08:06:62\"],\"verdict\":\"host\"}";
  static const char twice[] = "{\"id\":\"r\",\"interfaces_exactly\":[\"08:06:50\",\"08:06:50\"],\"verdict\":\"host\"}";
  FloePolicyUsbDevice device = { .interfaces = interfaces, .n_interfaces = 2, .complete = TRUE };

  check (two, &device, NULL, "host r");
  check (wide, &device, NULL, "host r");
  check (twice, &device, NULL, "block default");
  device.n_interfaces = 3;
  check (two, &device, NULL, "block default");
  device.n_interfaces = 1;
  check (two, &device, NULL, "block default");
  device.interfaces = interfaces + 2;
  check (wide, &device, NULL, "block default");
  device = (FloePolicyUsbDevice){ .interfaces = interfaces, .n_interfaces = 2, .complete = TRUE, .device_class = { 0xe0, 1, 1 } };
  check (two, &device, NULL, "block default");
}

static void
test_speed (void)
{
  static const FloePolicyUsbInterface keyboard = { 3, 1, 1, 1, 0, 0 };
  static const char rules[] = "{\"id\":\"r\",\"interfaces_all\":[\"03:01:01\"],\"speed\":[\"low\",\"super\"],\"verdict\":\"host\"}";
  FloePolicyUsbDevice device = { .interfaces = &keyboard, .n_interfaces = 1, .complete = TRUE };

  check (rules, &device, NULL, "block default");
  device.speed = FLOE_POLICY_USB_LOW;
  check (rules, &device, NULL, "host r");
  device.speed = FLOE_POLICY_USB_SUPER;
  check (rules, &device, NULL, "host r");
  device.speed = FLOE_POLICY_USB_HIGH;
  check (rules, &device, NULL, "block default");
}

/* -- The situation ------------------------------------------------------------------------------------------------------- */

static void
test_situation (void)
{
  static const FloePolicyUsbInterface disk = { 8, 6, 0x50, 1, 0, 0 };
  const FloePolicyUsbDevice device = { .interfaces = &disk, .n_interfaces = 1, .complete = TRUE };
  g_autoptr (FloePolicyDocument) document =
    parse ("{\"id\":\"night\",\"locked\":true,\"verdict\":\"block\"},"
           "{\"id\":\"alice\",\"interfaces_all\":[\"08:06:50\"],\"people\":[\"alice\",\"bob\"],\"front\":[\"lab\"],"
           "\"verdict\":{\"machine\":\"front\",\"read_only\":true}},"
           "{\"id\":\"open\",\"interfaces_all\":[\"08:06:50\"],\"locked\":false,\"verdict\":{\"machine\":\"front\"}}");
  const FloePolicyContent *content = floe_policy_document_content (document);
  const FloePolicyMachine *desk = &content->machines[0], *lab = &content->machines[1];
  const struct {
    FloePolicyUsbSituation situation;
    FloePolicyUsbAction action;
    const char *rule;
    const FloePolicyMachine *machine;
    gboolean read_only;
  } rows[] = {
    { { NULL, lab, "alice", TRUE }, FLOE_POLICY_USB_BLOCK, "night", NULL, FALSE },
    { { NULL, lab, "alice", FALSE }, FLOE_POLICY_USB_MACHINE, "alice", lab, TRUE },
    { { NULL, lab, "bob", FALSE }, FLOE_POLICY_USB_MACHINE, "alice", lab, TRUE },
    { { NULL, lab, "Alice", FALSE }, FLOE_POLICY_USB_MACHINE, "open", lab, FALSE },
    { { NULL, lab, NULL, FALSE }, FLOE_POLICY_USB_MACHINE, "open", lab, FALSE },
    { { NULL, desk, "alice", FALSE }, FLOE_POLICY_USB_MACHINE, "open", desk, FALSE },
    { { NULL, NULL, "alice", FALSE }, FLOE_POLICY_USB_BLOCK, "open", NULL, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &device, &rows[i].situation);

    g_assert_cmpstr (verdict.rule, ==, rows[i].rule);
    g_assert_cmpint (verdict.action, ==, rows[i].action);
    g_assert_cmpint (verdict.grant.action, ==, rows[i].action);
    g_assert_true (verdict.grant.machine == rows[i].machine);
    g_assert_cmpint (verdict.grant.read_only, ==, rows[i].read_only);
    /* A disk shown read-only gives the host's drivers the disk and nothing else. */
    g_assert_true (!verdict.grant.read_only || verdict.grant.n_interfaces == 2);
    g_assert_true (verdict.decided == &content->usb[verdict.index]);
  }
  /* Nobody, nothing in front, not locked. */
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "open");
}

static void
test_ask (void)
{
  static const FloePolicyUsbInterface disk = { 8, 6, 0x50, 1, 0, 0 }, modem = { 2, 2, 1, 1, 0, 0 };
  FloePolicyUsbDevice device = { .vendor = 0x12d1, .interfaces = &disk, .n_interfaces = 1, .complete = TRUE };
  g_autoptr (FloePolicyDocument) document =
    parse ("{\"id\":\"disk\",\"interfaces_all\":[\"08:06:50\"],\"verdict\":{\"ask\":[{\"machine\":\"front\",\"read_only\":true},"
           "{\"machine\":\"lab\"}],\"remember\":\"device\"}},{\"id\":\"rest\",\"verdict\":\"ask\"}");
  const FloePolicyContent *content = floe_policy_document_content (document);
  const FloePolicyUsbSituation situation = { .front = &content->machines[0] };
  FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &device, &situation);
  FloePolicyUsbGrant grant;

  g_assert_cmpstr (verdict.rule, ==, "disk");
  g_assert_cmpint (verdict.action, ==, FLOE_POLICY_USB_ASK);
  g_assert_cmpint (verdict.grant.action, ==, FLOE_POLICY_USB_BLOCK);
  g_assert_cmpuint (verdict.decided->n_answers, ==, 2);
  g_assert_cmpint (verdict.decided->remember, ==, FLOE_POLICY_USB_REMEMBER_DEVICE);
  grant = floe_policy_usb_grant_resolve (&verdict.decided->answers[0], &situation);
  g_assert_true (grant.machine == &content->machines[0] && grant.read_only && grant.n_interfaces == 2);
  grant = floe_policy_usb_grant_resolve (&verdict.decided->answers[0], NULL);
  g_assert_cmpint (grant.action, ==, FLOE_POLICY_USB_BLOCK);
  grant = floe_policy_usb_grant_resolve (&verdict.decided->answers[1], NULL);
  g_assert_true (grant.machine == &content->machines[1] && !grant.read_only);
  /* "ask" alone: the machine in front, not remembered. */
  device.interfaces = &modem;
  verdict = floe_policy_usb_verdict (content, &device, &situation);
  g_assert_cmpstr (verdict.rule, ==, "rest");
  g_assert_cmpint (verdict.decided->remember, ==, FLOE_POLICY_USB_REMEMBER_NOT);
  g_assert_cmpuint (verdict.decided->n_answers, ==, 1);
  g_assert_true (floe_policy_usb_grant_resolve (&verdict.decided->answers[0], &situation).machine == &content->machines[0]);
}

/* -- Parts of a device --------------------------------------------------------------------------------------------------- */

static void
test_parts (void)
{
  /* A disk, a keyboard, and an interface whose second setting types. */
  static const FloePolicyUsbInterface interfaces[] = {
    { 8, 6, 0x50, 1, 0, 0 }, { 8, 6, 0x62, 1, 0, 1 }, { 3, 1, 1, 1, 1, 0 }, { 8, 6, 0x50, 1, 2, 0 }, { 3, 1, 1, 1, 2, 1 }, { 3, 1, 1, 2, 0, 0 },
  };
  static const char rules[] = "{\"id\":\"part\",\"interface_any\":[\"08:06:50\"],"
                              "\"verdict\":{\"machine\":\"desk\",\"interfaces\":[\"08:06:50\",\"08:06:62\"]}}";
  g_autoptr (FloePolicyDocument) document = parse (rules);
  const FloePolicyContent *content = floe_policy_document_content (document);
  FloePolicyUsbDevice device = { .interfaces = interfaces, .n_interfaces = G_N_ELEMENTS (interfaces), .complete = TRUE };
  FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &device, NULL);

  g_assert_cmpstr (verdict.rule, ==, "part");
  g_assert_true (floe_policy_usb_grant_gives (&verdict.grant, &device, 1, 0));
  g_assert_false (floe_policy_usb_grant_gives (&verdict.grant, &device, 1, 1));
  g_assert_false (floe_policy_usb_grant_gives (&verdict.grant, &device, 1, 2));
  g_assert_false (floe_policy_usb_grant_gives (&verdict.grant, &device, 2, 0));
  g_assert_false (floe_policy_usb_grant_gives (&verdict.grant, &device, 1, 3));
  g_assert_false (floe_policy_usb_grant_gives (&(FloePolicyUsbGrant){ .action = FLOE_POLICY_USB_BLOCK }, &device, 1, 0));
  g_assert_true (floe_policy_usb_grant_gives (&(FloePolicyUsbGrant){ .action = FLOE_POLICY_USB_HOST }, &device, 2, 0));
  /* Nothing to give: only the interface with two faces is left. */
  device.interfaces = interfaces + 3;
  device.n_interfaces = 3;
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "default");
  /* A driver that binds to the class of the device would have all of it. */
  device.interfaces = interfaces;
  device.n_interfaces = 3;
  device.device_class = (FloePolicyUsbInterface){ 0xe0, 1, 1 };
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "default");
  g_assert_nonnull (floe_policy_usb_grant_problem (&verdict.grant, &device));
  device.device_class = (FloePolicyUsbInterface){ 8, 6, 0x50 };
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "part");
  device.device_class = (FloePolicyUsbInterface){ 0xef, 2, 1 };
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "part");
  device.complete = FALSE;
  g_assert_cmpstr (floe_policy_usb_verdict (content, &device, NULL).rule, ==, "default");
}

static void
test_keyboards (void)
{
  static const struct {
    FloePolicyUsbInterface device_class, interfaces[3];
    size_t n;
    gboolean keyboard;
  } rows[] = {
    { { 0 }, { { 3, 1, 1 } }, 1, TRUE },
    { { 0 }, { { 3, 1, 1 }, { 3, 0, 0 } }, 2, TRUE },
    { { 0 }, { { 3, 1, 1 }, { 3, 1, 2 }, { 3, 0, 0 } }, 3, TRUE },
    { { 0xef, 2, 1 }, { { 3, 1, 1 } }, 1, TRUE },
    { { 0 }, { { 3, 1, 2 } }, 1, FALSE },
    { { 0 }, { { 3, 0, 0 } }, 1, FALSE },
    { { 0 }, { { 3, 1, 1 }, { 8, 6, 0x50 } }, 2, FALSE },
    { { 0 }, { { 3, 1, 1 }, { 0xff, 0, 0 } }, 2, FALSE },
    { { 0xe0, 1, 1 }, { { 3, 1, 1 } }, 1, FALSE },
    { { 0 }, { { 3, 1, 1 }, { 3, 2, 1 } }, 2, FALSE },
    { { 0 }, { { 0 } }, 0, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    FloePolicyUsbDevice device = { .device_class = rows[i].device_class, .interfaces = rows[i].interfaces, .n_interfaces = rows[i].n,
                                   .complete = TRUE };

    g_assert_cmpint (floe_policy_usb_is_keyboard (&device), ==, rows[i].keyboard);
    device.complete = FALSE;
    g_assert_false (floe_policy_usb_is_keyboard (&device));
  }
}

/* -- The examples of the documentation ------------------------------------------------------------------------------------ */

/* What each policy in docs/examples/usb-*.json is for, by what it does to devices that such a place has. */
static const struct {
  const char *file;
  uint16_t vendor, product;
  const char *serial, *name, *port, *person, *front;
  gboolean locked;
  unsigned holding; /* of the rule `keyboard` */
  FloePolicyUsbSpeed speed;
  FloePolicyUsbInterface interfaces[2];
  size_t n;
  const char *wanted;
} examples[] = {
  { "kiosk", .port = "1-1", .interfaces = { { 3, 1, 1 } }, .n = 1, .wanted = "host keyboard" },
  { "kiosk", .port = "1-3", .interfaces = { { 3, 1, 1 } }, .n = 1, .wanted = "block default" },
  { "kiosk", .port = "1-1.1", .interfaces = { { 3, 1, 1 } }, .n = 1, .wanted = "block default" },
  { "kiosk", .port = "1-1", .interfaces = { { 3, 1, 1 }, { 8, 6, 0x50 } }, .n = 2, .wanted = "block default" },
  { "kiosk", 0x04b8, 0x0202, .port = "1-4", .interfaces = { { 7, 1, 2 } }, .n = 1, .wanted = "machine counter ticket-printer" },
  { "kiosk", 0x076b, 0x3031, "KIOSK-17", .interfaces = { { 0xb, 0, 0 } }, .n = 1, .wanted = "machine counter card-reader" },
  { "kiosk", 0x076b, 0x3031, "17-KIOSK-", .interfaces = { { 0xb, 0, 0 } }, .n = 1, .wanted = "block default" },
  { "kiosk", 0x0951, 0x1666, .interfaces = { { 8, 6, 0x50 } }, .n = 1, .wanted = "block default" },

  { "office", .speed = FLOE_POLICY_USB_LOW, .interfaces = { { 3, 1, 1 }, { 3, 0, 0 } }, .n = 2, .wanted = "host keyboard" },
  { "office", .speed = FLOE_POLICY_USB_LOW, .holding = 1, .interfaces = { { 3, 1, 1 } }, .n = 1, .wanted = "ask second-keyboard" },
  { "office", .speed = FLOE_POLICY_USB_HIGH, .interfaces = { { 3, 1, 1 } }, .n = 1, .wanted = "block default" },
  { "office", 0x0951, 0x1666, "ACME0001", .interfaces = { { 8, 6, 0x50 } }, .n = 1, .wanted = "machine office company-stick" },
  { "office", 0x0951, 0x1666, "ACME0001", .locked = TRUE, .interfaces = { { 8, 6, 0x50 } }, .n = 1, .wanted = "block no-storage" },
  { "office", 0x0951, 0x1666, "ACME0001", .interfaces = { { 8, 6, 0x50 }, { 3, 1, 1 } }, .n = 2, .wanted = "block no-storage" },
  { "office", 0x0781, 0x5567, "ACME0001", .interfaces = { { 8, 6, 0x62 } }, .n = 1, .wanted = "ask other-stick" },
  { "office", .interfaces = { { 1, 1, 0 }, { 3, 0, 0 } }, .n = 2, .wanted = "ask headset" },
  { "office", .interfaces = { { 0xe, 1, 0 }, { 0xe, 2, 0 } }, .front = "internet", .n = 2, .wanted = "machine internet camera" },
  { "office", .interfaces = { { 0xe, 1, 0 }, { 0xe, 2, 0 } }, .front = "office", .n = 2, .wanted = "block default" },
  { "office", .interfaces = { { 0xe0, 1, 1 } }, .n = 1, .wanted = "block default" },

  { "lab", 0x1d50, 0x6018, .port = "2-1.3", .interfaces = { { 0xff, 0, 0 } }, .n = 1, .wanted = "machine bench behind-bench-hub" },
  { "lab", 0x0a12, 0x0001, .port = "2-1.3", .interfaces = { { 0xe0, 1, 1 } }, .n = 1, .wanted = "block no-bluetooth" },
  { "lab", .port = "2-1", .interfaces = { { 9, 0, 0 } }, .n = 1, .wanted = "host bench-hub" },
  { "lab", 0x1366, 0x0101, .person = "bob", .interfaces = { { 0xff, 0xff, 0xff } }, .n = 1, .wanted = "machine bench debug-probe" },
  { "lab", 0x1366, 0x0101, .person = "eve", .interfaces = { { 0xff, 0xff, 0xff } }, .n = 1, .wanted = "ask rest" },
  { "lab", 0x0403, 0x6001, .name = "Logger A7", .interfaces = { { 0xff, 0xff, 0xff } }, .n = 1, .wanted = "machine bench logger" },
  { "lab", 0x0403, 0x6001, .name = "Logger 7", .interfaces = { { 0xff, 0xff, 0xff } }, .n = 1, .wanted = "ask rest" },
  { "lab", 0x0bda, 0x0177, .interfaces = { { 8, 6, 0x50 }, { 3, 1, 1 } }, .n = 2, .wanted = "machine office read-only card-writer" },
  { "lab", 0x0bda, 0x0178, .interfaces = { { 8, 6, 0x50 } }, .n = 1, .wanted = "block no-storage" },
  { "lab", 0x1234, 0x5678, .locked = TRUE, .interfaces = { { 0xff, 0, 0 } }, .n = 1, .wanted = "block default" },
};

static FloePolicyDocument *
parse_example (const char *name)
{
  g_autofree char *path = g_strdup_printf ("%s/docs/examples/usb-%s.json", FLOE_SOURCE_DIR, name);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) text = floe_file_read (path, FLOE_POLICY_SIZE_MAX, &error);
  FloePolicyDocument *document = text != NULL ? floe_policy_parse (text, path, &error) : NULL;

  g_assert_no_error (error);
  return document;
}

static void
judge_example (size_t row)
{
  g_autoptr (FloePolicyDocument) document = parse_example (examples[row].file);
  const FloePolicyContent *content = floe_policy_document_content (document);
  FloePolicyUsbInterface interfaces[2];
  FloePolicyUsbDevice device = {
    .vendor = examples[row].vendor,
    .product = examples[row].product,
    .serial = said (examples[row].serial),
    .name = said (examples[row].name),
    .port = examples[row].port,
    .speed = examples[row].speed,
    .interfaces = interfaces,
    .n_interfaces = examples[row].n,
    .complete = TRUE,
  };
  unsigned holders[16] = { 0 };
  FloePolicyUsbSituation situation = {
    .holders = holders,
    .front = examples[row].front != NULL ? floe_policy_find_machine (content, examples[row].front) : NULL,
    .person = examples[row].person,
    .locked = examples[row].locked,
  };
  FloePolicyUsbVerdict verdict;
  g_autoptr (GString) got = g_string_new (NULL);

  memcpy (interfaces, examples[row].interfaces, sizeof interfaces);
  for (uint8_t i = 0; i < 2; i++) {
    interfaces[i].configuration = 1;
    interfaces[i].number = i;
  }
  for (size_t i = 0; i < content->n_usb; i++)
    if (strcmp (content->usb[i].id, "keyboard") == 0)
      holders[i] = examples[row].holding;
  verdict = floe_policy_usb_verdict (content, &device, &situation);
  g_string_append_printf (got, "%s", floe_policy_usb_action_name (verdict.action));
  if (verdict.grant.machine != NULL)
    g_string_append_printf (got, " %s", verdict.grant.machine->id);
  g_string_append_printf (got, "%s %s", verdict.grant.read_only ? " read-only" : "", verdict.rule);
  if (strcmp (got->str, examples[row].wanted) != 0)
    g_error ("%s, row %zu: %s, %s wanted", examples[row].file, row, got->str, examples[row].wanted);
}

static void
test_examples (void)
{
  static const char *const names[] = { "kiosk", "office", "lab" };

  for (size_t i = 0; i < G_N_ELEMENTS (examples); i++)
    judge_example (i);
  /* lint has nothing to say about them. */
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (FloePolicyDocument) document = parse_example (names[i]);
    g_auto (GStrv) notes = floe_policy_notes (floe_policy_document_content (document));

    if (notes[0] != NULL)
      g_error ("usb-%s.json: %s", names[i], notes[0]);
  }
}

static void
test_notes (void)
{
  static const struct {
    const char *rules, *note; /* NULL: none at all */
  } rows[] = {
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"verdict\":\"host\"}", NULL },
    { "", "a plain USB keyboard (03:01:01) gets 'block' by default: who has no other cannot type" },
    { "{\"id\":\"k\",\"vendor\":\"046d\",\"product\":\"c31c\",\"port\":\"1-1\",\"verdict\":\"host\"}", NULL },
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"locked\":false,\"verdict\":\"host\"}",
      "a plain USB keyboard (03:01:01) gets 'block' by default while the screen is locked: who has no other cannot type" },
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"verdict\":\"host\"},"
      "{\"id\":\"f\",\"vendor\":\"0001\",\"verdict\":{\"machine\":\"front\"}}",
      "usb rule 'f' gives to whichever machine is in front, without asking: it blocks while none is" },
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"verdict\":\"host\"},"
      "{\"id\":\"l\",\"interfaces_exactly\":[\"03:01:01\"],\"port\":\"1-1\",\"verdict\":{\"machine\":\"desk\"}}",
      "usb rule 'l' is never reached: 'k' before it takes every device that it could match" },
    /* A count may be used up, and what is broken only block rules match: these are reached. */
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"count\":1,\"verdict\":\"host\"},"
      "{\"id\":\"l\",\"interfaces_all\":[\"03:01:01\"],\"verdict\":{\"machine\":\"desk\"}}", NULL },
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"verdict\":\"host\"},"
      "{\"id\":\"l\",\"interfaces_all\":[\"03:01:01\"],\"verdict\":\"block\"}", NULL },
    { "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\",\"ff:*:*\"],\"verdict\":\"host\"}",
      "usb rule 'k' lets the endpoint's drivers for vendor-specific interfaces (ff) have a device of any vendor" },
    { "{\"id\":\"b\",\"name\":{\"like\":\"*Evil*\"},\"verdict\":\"block\"},"
      "{\"id\":\"k\",\"interfaces_all\":[\"03:*:*\"],\"verdict\":\"host\"}",
      "usb rule 'b' blocks by what a device says of itself: one that says something else passes it" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (FloePolicyDocument) document = parse (rows[i].rules);
    g_auto (GStrv) notes = floe_policy_notes (floe_policy_document_content (document));

    g_assert_cmpstr (notes[0], ==, rows[i].note);
    g_assert_true (notes[0] == NULL || notes[1] == NULL);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/usb-rules/patterns", test_patterns);
  g_test_add_func ("/policy/usb-rules/patterns-random", test_patterns_random);
  g_test_add_func ("/policy/usb-rules/strings", test_strings);
  g_test_add_func ("/policy/usb-rules/ports", test_ports);
  g_test_add_func ("/policy/usb-rules/exactly", test_exactly);
  g_test_add_func ("/policy/usb-rules/speed", test_speed);
  g_test_add_func ("/policy/usb-rules/situation", test_situation);
  g_test_add_func ("/policy/usb-rules/ask", test_ask);
  g_test_add_func ("/policy/usb-rules/parts", test_parts);
  g_test_add_func ("/policy/usb-rules/keyboards", test_keyboards);
  g_test_add_func ("/policy/usb-rules/examples", test_examples);
  g_test_add_func ("/policy/usb-rules/notes", test_notes);
  return g_test_run ();
}
