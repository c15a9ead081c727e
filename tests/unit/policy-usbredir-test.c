/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"

#include <string.h>
#include <usbredirfilter.h>

/* floe_policy_usbredir_filter() against libusbredirparser, which is what a SPICE client asks: over random rules, devices and situations the
 * filter never lets through what the verdict does not give whole to that machine. The client shows the filter the interfaces of one
 * configuration and of alternate setting 0 only, so the filter here sees a part of the device, and the verdict all of it. */

#define POLICIES 3000
#define DEVICES 60
#define RULES_MAX 6

static const char head[] =
  "{\"floe\":1,\"group\":\"g\",\"machines\":["
  "{\"id\":\"a\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,\"memory_mib\":512,\"disk\":\"reset\"},"
  "{\"id\":\"b\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,\"memory_mib\":512,\"disk\":\"reset\"}],\"usb\":[";
static const char tail[] = "],\"assignment\":[{\"who\":\"*\",\"machines\":[\"a\",\"b\"]}]}";

static const char *
pick (GRand *rand, const char *const *from, size_t n)
{
  return from[g_rand_int_range (rand, 0, (gint32) n)];
}

static void
maybe (GRand *rand, GString *text, unsigned of_ten, const char *const *from, size_t n)
{
  if (g_rand_int_range (rand, 0, 10) < (gint32) of_ten)
    g_string_append (text, pick (rand, from, n));
}

/* One rule, which the parser may refuse. Small ranges, so that rules, devices and each other meet. */
static char *
random_rule (GRand *rand, unsigned number)
{
  static const char *const numbers[] = { "", ",\"vendor\":\"1111\"", ",\"vendor\":\"1111\",\"product\":\"0001\"",
                                         ",\"vendor\":\"1111\",\"product\":\"0002\"", ",\"vendor\":\"2222\"",
                                         ",\"vendor\":\"2222\",\"product\":\"0001\"" };
  static const char *const strings[] = { ",\"serial\":\"S1\"", ",\"name\":{\"like\":\"S*\"}", ",\"manufacturer\":\"S1\"" };
  static const char *const ports[] = { ",\"port\":\"1-1\"", ",\"port\":{\"like\":\"1-1.*\"}" };
  static const char *const interfaces[] = { ",\"interface_any\":[\"08:*:*\"]", ",\"interface_any\":[\"03:01:01\"]",
                                            ",\"interfaces_all\":[\"08:06:50\"]", ",\"interfaces_all\":[\"08:*:*\",\"03:*:*\"]",
                                            ",\"interfaces_exactly\":[\"03:01:01\"]" };
  static const char *const rest[] = { ",\"speed\":[\"high\"]", ",\"locked\":true", ",\"locked\":false", ",\"front\":[\"a\"]",
                                      ",\"people\":[\"alice\"]" };
  static const char *const verdicts[] = { "\"block\"", "\"host\"", "{\"machine\":\"a\"}", "{\"machine\":\"a\"}", "{\"machine\":\"a\"}",
                                          "{\"machine\":\"b\"}", "{\"machine\":\"front\"}", "{\"machine\":\"a\",\"read_only\":true}",
                                          "{\"machine\":\"a\",\"interfaces\":[\"08:*:*\"]}", "\"ask\"" };
  GString *text = g_string_new (NULL);

  g_string_printf (text, "{\"id\":\"r%u\"", number);
  g_string_append (text, pick (rand, numbers, G_N_ELEMENTS (numbers)));
  maybe (rand, text, 2, strings, G_N_ELEMENTS (strings));
  maybe (rand, text, 2, ports, G_N_ELEMENTS (ports));
  maybe (rand, text, 3, interfaces, G_N_ELEMENTS (interfaces));
  maybe (rand, text, 2, rest, G_N_ELEMENTS (rest));
  if (g_rand_int_range (rand, 0, 10) == 0)
    g_string_append (text, ",\"count\":1");
  g_string_append_printf (text, ",\"verdict\":%s}", pick (rand, verdicts, G_N_ELEMENTS (verdicts)));
  return g_string_free (text, FALSE);
}

static FloePolicyDocument *
parse (const char *rules)
{
  g_autofree char *whole = g_strconcat (head, rules, tail, NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (whole, strlen (whole));

  return floe_policy_parse (bytes, "random.json", NULL);
}

/* A policy of rules that the parser takes one by one. */
static FloePolicyDocument *
random_policy (GRand *rand)
{
  g_autoptr (GString) rules = g_string_new (NULL);
  unsigned n = (unsigned) g_rand_int_range (rand, 0, RULES_MAX + 1);
  FloePolicyDocument *document;

  for (unsigned i = 0; i < n; i++) {
    g_autofree char *rule = random_rule (rand, i);
    g_autoptr (FloePolicyDocument) alone = parse (rule);

    if (alone != NULL)
      g_string_append_printf (rules, "%s%s", rules->len > 0 ? "," : "", rule);
  }
  document = parse (rules->str);
  g_assert_nonnull (document);
  return document;
}

typedef struct {
  FloePolicyUsbInterface interfaces[4];
  uint8_t classes[4], subclasses[4], protocols[4]; /* what the filter sees: N_SEEN of them */
  int n_seen;
  FloePolicyUsbDevice device;
} Sample;

static void
random_device (GRand *rand, Sample *sample)
{
  static const FloePolicyUsbInterface kinds[] = { { 8, 6, 0x50 }, { 8, 6, 0x62 }, { 3, 1, 1 }, { 3, 0, 0 }, { 0xff, 0, 0 }, { 9, 0, 0 } };
  static const uint8_t classes[] = { 0, 0, 0, 0xef, 8, 3, 0xff };
  static const char *const ports[] = { "1-1", "1-1.2", "2-1", NULL };
  const FloePolicyUsbString said = { "S1", 2 };

  memset (sample, 0, sizeof *sample);
  sample->device = (FloePolicyUsbDevice){
    .vendor = g_rand_boolean (rand) ? 0x1111 : 0x2222,
    .product = (uint16_t) g_rand_int_range (rand, 1, 4),
    .port = ports[g_rand_int_range (rand, 0, 4)],
    .speed = g_rand_boolean (rand) ? FLOE_POLICY_USB_HIGH : FLOE_POLICY_USB_LOW,
    .device_class = { .class_code = classes[g_rand_int_range (rand, 0, G_N_ELEMENTS (classes))] },
    .interfaces = sample->interfaces,
    .n_interfaces = (size_t) g_rand_int_range (rand, 1, 5),
    .complete = TRUE,
  };
  if (g_rand_boolean (rand))
    sample->device.serial = said;
  if (g_rand_boolean (rand))
    sample->device.name = sample->device.manufacturer = said;
  for (size_t i = 0; i < sample->device.n_interfaces; i++) {
    FloePolicyUsbInterface *interface = &sample->interfaces[i];

    *interface = kinds[g_rand_int_range (rand, 0, G_N_ELEMENTS (kinds))];
    interface->configuration = 1;
    interface->alternate = i > 0 && g_rand_boolean (rand);
    interface->number = (uint8_t) (i - interface->alternate);
    if (interface->alternate)
      continue;
    sample->classes[sample->n_seen] = interface->class_code;
    sample->subclasses[sample->n_seen] = interface->subclass;
    sample->protocols[sample->n_seen++] = interface->protocol;
  }
}

static gboolean
filter_allows (const struct usbredirfilter_rule *rules, int n, Sample *sample, int flags)
{
  const FloePolicyUsbDevice *device = &sample->device;

  return usbredirfilter_check (rules, n, device->device_class.class_code, 0, 0, sample->classes, sample->subclasses, sample->protocols,
                               sample->n_seen, device->vendor, device->product, 0x0100, flags)
         == 0;
}

static void
judge (GRand *rand, const FloePolicyContent *content, unsigned *allowed, unsigned *given)
{
  const FloePolicyMachine *machine = &content->machines[0];
  unsigned holders[RULES_MAX] = { 0 };
  const FloePolicyUsbSituation situation = {
    .holders = holders,
    .front = g_rand_boolean (rand) ? NULL : &content->machines[g_rand_int_range (rand, 0, 2)],
    .person = g_rand_boolean (rand) ? "alice" : NULL,
    .locked = g_rand_boolean (rand),
  };
  g_autofree char *filter = floe_policy_usbredir_filter (content, machine, &situation);
  struct usbredirfilter_rule *rules;
  int n;

  g_assert_cmpint (usbredirfilter_string_to_rules (filter, ",", "|", &rules, &n), ==, 0);
  for (unsigned i = 0; i < DEVICES; i++) {
    Sample sample;
    FloePolicyUsbVerdict verdict;
    gboolean mine;

    for (size_t j = 0; j < RULES_MAX; j++)
      holders[j] = (unsigned) g_rand_int_range (rand, 0, 2);
    random_device (rand, &sample);
    verdict = floe_policy_usb_verdict (content, &sample.device, &situation);
    mine = verdict.action == FLOE_POLICY_USB_MACHINE && verdict.grant.machine == machine && verdict.grant.n_interfaces == 0
           && !verdict.grant.read_only;
    *given += mine;
    for (int flags = 0; flags <= usbredirfilter_fl_dont_skip_non_boot_hid; flags += usbredirfilter_fl_dont_skip_non_boot_hid) {
      gboolean passes = filter_allows (rules, n, &sample, flags);

      if (passes && !mine)
        g_error ("filter %s lets through %04x:%04x, whose verdict is %s by %s", filter, sample.device.vendor, sample.device.product,
                 floe_policy_usb_action_name (verdict.action), verdict.rule);
      *allowed += passes;
    }
  }
  usbredirfilter_free (rules);
}

static void
test_never_wider (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20260405);
  unsigned allowed = 0, given = 0;

  for (unsigned i = 0; i < POLICIES; i++) {
    g_autoptr (FloePolicyDocument) document = random_policy (rand);

    judge (rand, floe_policy_document_content (document), &allowed, &given);
  }
  g_test_message ("%u devices judged, %u given whole to the machine, the filter let %u through (each asked twice)", POLICIES * DEVICES, given,
                  allowed);
  /* A filter that denies everything would pass as well. */
  g_assert_cmpuint (allowed, >, 2000);
  g_assert_cmpuint (given * 2, >, allowed);
}

static void
check (const char *rules, const char *wanted)
{
  g_autoptr (FloePolicyDocument) document = parse (rules);
  g_autofree char *filter = NULL;

  g_assert_nonnull (document);
  filter = floe_policy_usbredir_filter (floe_policy_document_content (document),
                                        &floe_policy_document_content (document)->machines[0], NULL);
  g_assert_cmpstr (filter, ==, wanted);
}

static void
test_filters (void)
{
  check ("", "-1,-1,-1,-1,0");
  check ("{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"verdict\":{\"machine\":\"a\"}}", "-1,0x04a9,0x220d,-1,1|-1,-1,-1,-1,0");
  check ("{\"id\":\"r\",\"vendor\":\"04a9\",\"verdict\":{\"machine\":\"a\"}}", "-1,0x04a9,-1,-1,1|-1,-1,-1,-1,0");
  /* Of another machine; with a serial; of a kind: no filter can say that. */
  check ("{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"verdict\":{\"machine\":\"b\"}}", "-1,-1,-1,-1,0");
  check ("{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"serial\":\"1\",\"verdict\":{\"machine\":\"a\"}}", "-1,-1,-1,-1,0");
  check ("{\"id\":\"r\",\"interfaces_all\":[\"08:*:*\"],\"verdict\":{\"machine\":\"a\"}}", "-1,-1,-1,-1,0");
  /* One product of a vendor is not the machine's. */
  check ("{\"id\":\"no\",\"vendor\":\"04a9\",\"product\":\"0001\",\"verdict\":\"block\"},"
         "{\"id\":\"r\",\"vendor\":\"04a9\",\"verdict\":{\"machine\":\"a\"}}",
         "-1,0x04a9,0x0001,-1,0|-1,0x04a9,-1,-1,1|-1,-1,-1,-1,0");
  /* A rule before it that might match, and would not give. */
  check ("{\"id\":\"no\",\"interface_any\":[\"08:*:*\"],\"verdict\":\"block\"},"
         "{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"verdict\":{\"machine\":\"a\"}}",
         "-1,-1,-1,-1,0");
  /* One that might match and would give all the same. */
  check ("{\"id\":\"s\",\"vendor\":\"04a9\",\"product\":\"220d\",\"serial\":\"1\",\"verdict\":{\"machine\":\"a\"}},"
         "{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"verdict\":{\"machine\":\"a\"}}",
         "-1,0x04a9,0x220d,-1,1|-1,-1,-1,-1,0");
  /* Rules that are not in question now. */
  check ("{\"id\":\"no\",\"locked\":true,\"verdict\":\"block\"},"
         "{\"id\":\"r\",\"vendor\":\"04a9\",\"product\":\"220d\",\"locked\":false,\"verdict\":{\"machine\":\"a\"}}",
         "-1,0x04a9,0x220d,-1,1|-1,-1,-1,-1,0");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/usbredir/filters", test_filters);
  g_test_add_func ("/policy/usbredir/never-wider", test_never_wider);
  return g_test_run ();
}
