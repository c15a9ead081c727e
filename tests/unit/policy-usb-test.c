/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"

#include <string.h>

/* What a USB device may try that can be seen in its descriptors (HOSTILE.md's list, "USB"): each row is a device and the
 * verdict that it must get under one policy. What a verdict function cannot see (a device that changes after the verdict, bus numbers
 * used again) is the gate's to test. */

static const char policy_text[] =
  "{ \"floe\": 1, \"group\": \"g\","
  "  \"machines\": ["
  "    { \"id\": \"desk\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\" },"
  "    { \"id\": \"lab\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\" } ],"
  "  \"usb\": ["
  "    { \"id\": \"stolen\", \"vendor\": \"0951\", \"product\": \"1666\", \"serial\": \"AA11\", \"verdict\": \"block\" },"
  "    { \"id\": \"keyboard\", \"interfaces_all\": [\"03:01:01\", \"03:00:00\"], \"count\": 1, \"verdict\": \"host\" },"
  "    { \"id\": \"mouse\", \"interfaces_all\": [\"03:01:02\"], \"verdict\": \"host\" },"
  "    { \"id\": \"key-by-serial\", \"vendor\": \"0951\", \"product\": \"1666\", \"serial\": \"0019E06B9C85\","
  "      \"interfaces_all\": [\"08:06:50\", \"08:06:62\"], \"verdict\": { \"machine\": \"desk\" } },"
  "    { \"id\": \"no-storage\", \"interface_any\": [\"08:*:*\"], \"verdict\": \"block\" },"
  "    { \"id\": \"scanner\", \"vendor\": \"04a9\", \"product\": \"220d\", \"verdict\": { \"machine\": \"lab\" } },"
  "    { \"id\": \"token\", \"vendor\": \"1050\", \"product\": \"0407\", \"port\": \"1-2.4\", \"verdict\": { \"machine\": \"desk\" } },"
  "    { \"id\": \"hub\", \"interfaces_all\": [\"09:*:*\"], \"verdict\": \"host\" },"
  "    { \"id\": \"modem\", \"vendor\": \"12d1\", \"verdict\": \"ask\" } ],"
  "  \"assignment\": [ { \"who\": \"*\", \"machines\": [\"desk\", \"lab\"] } ] }";

#define IF(c, s, p) { 0x##c, 0x##s, 0x##p }

typedef struct {
  const char *what;
  uint16_t vendor, product;
  const char *serial;
  size_t serial_size; /* 0: strlen */
  const char *port;
  FloePolicyUsbInterface device_class;
  FloePolicyUsbInterface interfaces[4];
  size_t n_interfaces;
  gboolean incomplete;
  unsigned keyboards; /* that hold rule keyboard already */
  const char *wanted; /* "ACTION RULE" */
} Case;

static const Case cases[] = {
  /* What is allowed is allowed. */
  { "keyboard", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01) }, .n_interfaces = 1, .wanted = "host keyboard" },
  { "keyboard with media keys", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01), IF (03, 00, 00) }, .n_interfaces = 2,
    .wanted = "host keyboard" },
  { "mouse", 0x046d, 0xc077, .interfaces = { IF (03, 01, 02) }, .n_interfaces = 1, .wanted = "host mouse" },
  { "known storage", 0x0951, 0x1666, "0019E06B9C85", .interfaces = { IF (08, 06, 50), IF (08, 06, 62) }, .n_interfaces = 2,
    .wanted = "machine key-by-serial" },
  { "scanner", 0x04a9, 0x220d, .interfaces = { IF (ff, ff, ff) }, .n_interfaces = 1, .wanted = "machine scanner" },
  { "token at its port", 0x1050, 0x0407, .port = "1-2.4", .interfaces = { IF (03, 00, 00), IF (0b, 00, 00) }, .n_interfaces = 2,
    .wanted = "machine token" },
  { "hub", 0x05e3, 0x0608, .device_class = IF (09, 00, 01), .interfaces = { IF (09, 00, 01), IF (09, 00, 02) }, .n_interfaces = 2,
    .wanted = "host hub" },
  { "composite device (IAD) judged by its interfaces", 0x046d, 0xc31c, .device_class = IF (ef, 02, 01), .interfaces = { IF (03, 01, 01) },
    .n_interfaces = 1, .wanted = "host keyboard" },
  { "a vendor that asks", 0x12d1, 0x1001, .interfaces = { IF (ff, 01, 01) }, .n_interfaces = 1, .wanted = "ask modem" },

  /* Interfaces hidden behind allowed ones; the decoder lists those of every configuration and alternate setting. */
  { "storage with a hidden keyboard", 0x0781, 0x5567, .interfaces = { IF (08, 06, 50), IF (03, 01, 01) }, .n_interfaces = 2,
    .wanted = "block no-storage" },
  { "keyboard with hidden storage", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01), IF (08, 06, 50) }, .n_interfaces = 2,
    .wanted = "block no-storage" },
  { "keyboard, network card in its second configuration", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01), IF (02, 06, 00) },
    .n_interfaces = 2, .wanted = "block default" },
  { "HID only in the second configuration of a camera", 0x1234, 0x0001,
    .interfaces = { IF (0e, 01, 00), IF (0e, 02, 00), IF (03, 01, 01) }, .n_interfaces = 3, .wanted = "block default" },
  { "storage in an alternate setting of a mouse", 0x046d, 0xc077, .interfaces = { IF (03, 01, 02), IF (03, 01, 02), IF (08, 06, 50) },
    .n_interfaces = 3, .wanted = "block no-storage" },
  { "known storage that types", 0x0951, 0x1666, "0019E06B9C85", .interfaces = { IF (08, 06, 50), IF (03, 01, 01) },
    .n_interfaces = 2, .wanted = "block no-storage" },
  { "keyboard that is also a mouse: each rule wants all its interfaces", 0x046d, 0xc31c,
    .interfaces = { IF (03, 01, 01), IF (03, 01, 02) }, .n_interfaces = 2, .wanted = "block default" },
  { "the same interface many times changes nothing", 0x046d, 0xc31c,
    .interfaces = { IF (03, 01, 01), IF (03, 01, 01), IF (03, 01, 01), IF (e0, 01, 01) }, .n_interfaces = 4, .wanted = "block default" },

  /* Classes. */
  { "vendor class with an ID that no rule has", 0x0bda, 0x8152, .device_class = IF (ff, 00, 00), .interfaces = { IF (ff, ff, 00) },
    .n_interfaces = 1, .wanted = "block default" },
  { "keyboard whose device class is Bluetooth", 0x0a12, 0x0001, .device_class = IF (e0, 01, 01), .interfaces = { IF (03, 01, 01) },
    .n_interfaces = 1, .wanted = "block default" },
  { "keyboard whose device class is storage", 0x046d, 0xc31c, .device_class = IF (08, 06, 50), .interfaces = { IF (03, 01, 01) },
    .n_interfaces = 1, .wanted = "block no-storage" },
  { "storage under another subclass and protocol", 0x0781, 0x5567, .interfaces = { IF (08, 01, 00) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "HID that is no boot keyboard", 0x046d, 0xc52b, .interfaces = { IF (03, 01, 00) }, .n_interfaces = 1, .wanted = "block default" },
  { "network card", 0x0b95, 0x1790, .interfaces = { IF (ff, ff, 00) }, .n_interfaces = 1, .wanted = "block default" },
  { "Bluetooth dongle", 0x0a12, 0x0001, .device_class = IF (e0, 01, 01), .interfaces = { IF (e0, 01, 01) }, .n_interfaces = 1,
    .wanted = "block default" },
  { "hub with another interface", 0x05e3, 0x0608, .device_class = IF (09, 00, 01), .interfaces = { IF (09, 00, 01), IF (03, 01, 01) },
    .n_interfaces = 2, .wanted = "block default" },

  /* Serials. */
  { "no serial", 0x0951, 0x1666, .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1, .wanted = "block no-storage" },
  { "empty serial", 0x0951, 0x1666, "", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1, .wanted = "block no-storage" },
  { "serial is a prefix", 0x0951, 0x1666, "0019E06B9C8", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial has the right one as prefix", 0x0951, 0x1666, "0019E06B9C850", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial in another case", 0x0951, 0x1666, "0019e06b9c85", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial with a blank after it", 0x0951, 0x1666, "0019E06B9C85 ", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial, NUL, more", 0x0951, 0x1666, "0019E06B9C85\0x", 14, .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial and a NUL", 0x0951, 0x1666, "0019E06B9C85\0", 13, .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial, newline, a rule", 0x0951, 0x1666, "0019E06B9C85\nallow", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial that is a quoted rule", 0x0951, 0x1666, "\", \"verdict\": \"host", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial of another product", 0x0951, 0x1667, "0019E06B9C85", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "serial of control characters", 0x0951, 0x1666, "\x01\x02", .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1,
    .wanted = "block no-storage" },
  { "right serial, no storage at all", 0x0951, 0x1666, "0019E06B9C85", .interfaces = { IF (03, 00, 00) }, .n_interfaces = 1,
    .wanted = "host keyboard" },
  { "stolen key", 0x0951, 0x1666, "AA11", .interfaces = { IF (03, 01, 01) }, .n_interfaces = 1, .wanted = "block stolen" },
  { "stolen key whose descriptors end early", 0x0951, 0x1666, "AA11", .incomplete = TRUE, .wanted = "block stolen" },

  /* Clones, told apart by port or by how many there may be. */
  { "clone of the token at another port", 0x1050, 0x0407, .port = "1-2.3", .interfaces = { IF (03, 00, 00), IF (0b, 00, 00) },
    .n_interfaces = 2, .wanted = "block default" },
  { "clone one hub deeper", 0x1050, 0x0407, .port = "1-2.4.1", .interfaces = { IF (0b, 00, 00) }, .n_interfaces = 1,
    .wanted = "block default" },
  { "clone one hub higher", 0x1050, 0x0407, .port = "1-2", .interfaces = { IF (0b, 00, 00) }, .n_interfaces = 1,
    .wanted = "block default" },
  { "clone on another bus", 0x1050, 0x0407, .port = "11-2.4", .interfaces = { IF (0b, 00, 00) }, .n_interfaces = 1,
    .wanted = "block default" },
  { "port unknown", 0x1050, 0x0407, .interfaces = { IF (0b, 00, 00) }, .n_interfaces = 1, .wanted = "block default" },
  { "second keyboard", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01) }, .n_interfaces = 1, .keyboards = 1, .wanted = "block default" },
  { "many keyboards", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01) }, .n_interfaces = 1, .keyboards = 1000,
    .wanted = "block default" },

  /* Descriptors that do not add up never open anything. */
  { "all zeroes", .wanted = "block default" },
  { "no interfaces", 0x04a9, 0x220d, .wanted = "block default" },
  { "no interfaces, every interface would match", 0x05e3, 0x0608, .device_class = IF (09, 00, 01), .wanted = "block default" },
  { "truncated scanner", 0x04a9, 0x220d, .interfaces = { IF (ff, ff, ff) }, .n_interfaces = 1, .incomplete = TRUE,
    .wanted = "block default" },
  { "truncated keyboard", 0x046d, 0xc31c, .interfaces = { IF (03, 01, 01) }, .n_interfaces = 1, .incomplete = TRUE,
    .wanted = "block default" },
  { "truncated storage", 0x0781, 0x5567, .interfaces = { IF (08, 06, 50) }, .n_interfaces = 1, .incomplete = TRUE,
    .wanted = "block no-storage" },
  { "truncated, vendor that asks", 0x12d1, 0x1001, .interfaces = { IF (ff, 01, 01) }, .n_interfaces = 1, .incomplete = TRUE,
    .wanted = "block default" },
};

static FloePolicyDocument *
parse (const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, strlen (text));
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document = floe_policy_parse (bytes, "usb.json", &error);

  g_assert_no_error (error);
  return document;
}

static FloePolicyUsbDevice
device_of (const Case *row)
{
  return (FloePolicyUsbDevice){
    .vendor = row->vendor,
    .product = row->product,
    .serial = { row->serial, row->serial_size > 0 ? row->serial_size : row->serial != NULL ? strlen (row->serial) : 0 },
    .port = row->port,
    .device_class = row->device_class,
    .interfaces = row->interfaces,
    .n_interfaces = row->n_interfaces,
    .complete = !row->incomplete,
  };
}

static void
test_verdicts (void)
{
  g_autoptr (FloePolicyDocument) document = parse (policy_text);
  const FloePolicyContent *content = floe_policy_document_content (document);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloePolicyUsbDevice device = device_of (&cases[i]);
    unsigned holders[16] = { 0, cases[i].keyboards };
    FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &device, &(FloePolicyUsbSituation){ .holders = holders });
    g_autofree char *got = g_strdup_printf ("%s %s", floe_policy_usb_action_name (verdict.action), verdict.rule);

    if (g_strcmp0 (got, cases[i].wanted) != 0)
      g_error ("%s: %s, %s wanted", cases[i].what, got, cases[i].wanted);
    g_assert_true ((verdict.grant.machine != NULL) == (verdict.action == FLOE_POLICY_USB_MACHINE));
    if (verdict.index != SIZE_MAX)
      g_assert_cmpstr (content->usb[verdict.index].id, ==, verdict.rule);
    else
      g_assert_cmpstr (verdict.rule, ==, "default");
  }
}

/* Without a usb list nothing is let in, whatever it is. */
static void
test_default (void)
{
  g_autoptr (FloePolicyDocument) document =
    parse ("{\"floe\":1,\"group\":\"g\",\"machines\":[{\"id\":\"m\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,"
           "\"memory_mib\":512,\"disk\":\"reset\"}],\"assignment\":[{\"who\":\"*\",\"machines\":[\"m\"]}]}");

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloePolicyUsbDevice device = device_of (&cases[i]);
    FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (floe_policy_document_content (document), &device, NULL);

    g_assert_cmpint (verdict.action, ==, FLOE_POLICY_USB_BLOCK);
    g_assert_cmpstr (verdict.rule, ==, "default");
    g_assert_null (verdict.grant.machine);
  }
}

/* 255 interfaces, one of them wrong: its place does not matter. */
static void
test_many_interfaces (void)
{
  g_autoptr (FloePolicyDocument) document = parse (policy_text);
  FloePolicyUsbInterface interfaces[255];
  FloePolicyUsbDevice device = { .interfaces = interfaces, .n_interfaces = 255, .complete = TRUE };

  for (size_t wrong = 0; wrong <= 255; wrong++) {
    for (size_t i = 0; i < 255; i++)
      interfaces[i] = (FloePolicyUsbInterface){ 3, 1, i == wrong ? 2 : 1 };
    FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (floe_policy_document_content (document), &device, NULL);

    g_assert_cmpint (verdict.action, ==, wrong == 255 ? FLOE_POLICY_USB_HOST : FLOE_POLICY_USB_BLOCK);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/usb/verdicts", test_verdicts);
  g_test_add_func ("/policy/usb/default", test_default);
  g_test_add_func ("/policy/usb/many-interfaces", test_many_interfaces);
  return g_test_run ();
}
