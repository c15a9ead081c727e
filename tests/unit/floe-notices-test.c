/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-notices.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC

static char *
notice (FloeNotices *notices, const char *kind, const char *printed, gint64 now)
{
  g_autoptr (GVariant) fields = g_variant_parse (NULL, printed, NULL, NULL, NULL);

  return floe_notices_usb (notices, kind, fields, now);
}

#define BLOCK(NAME) \
  "{'path': <'1-2'>, 'vendor': <uint16 0x0951>, 'product': <uint16 0x1666>, 'kind': <'storage'>, 'name': <'" NAME \
  "'>, 'verdict': <'block'>, 'rule': <'no-storage'>, 'enforced': <true>}"

static void
test_words (void)
{
  g_autoptr (FloeNotices) notices = floe_notices_new ();
  g_autofree char *text = notice (notices, "usb", BLOCK ("DataTraveler"), 0);
  g_autofree char *nameless = notice (notices, "usb",
                                      "{'vendor': <uint16 0x951>, 'product': <uint16 1>, 'verdict': <'block'>, 'rule': <'r'>}", 0);
  g_autofree char *observed = notice (notices, "usb", "{'name': <'X'>, 'verdict': <'block'>, 'rule': <'r'>, 'enforced': <false>}", 0);
  g_autofree char *undelivered = notice (notices, "usb",
                                          "{'kind': <'scanner'>, 'name': <'LiDE'>, 'verdict': <'machine'>, 'rule': <'r'>, "
                                          "'problem': <'machine office does not run'>}",
                                          0);

  g_assert_cmpstr (undelivered, ==, "USB scanner or camera “LiDE” is not connected: machine office does not run");
  g_assert_cmpstr (text, ==, "Blocked by your organisation: USB storage “DataTraveler”, rule no-storage");
  g_assert_cmpstr (nameless, ==, "Blocked by your organisation: USB device 0951:0001, rule r");
  g_assert_cmpstr (observed, ==, "Your organisation's rules would block: USB device “X”, rule r");
}

static void
test_silence (void)
{
  static const char *const others[] = { "{'verdict': <'host'>}", "{'verdict': <'machine'>}", "@a{sv} {}", "{'verdict': <1>}", "'text'" };
  g_autoptr (FloeNotices) notices = floe_notices_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_null (notice (notices, "usb", others[i], 0));
  g_assert_null (notice (notices, "net", BLOCK ("A"), 0));
}

/* Repeated within the quiet span: once. Each repetition starts the span anew, so that a flapping device stays silent. */
static void
test_repeated (void)
{
  g_autoptr (FloeNotices) notices = floe_notices_new ();
  g_autofree char *first = notice (notices, "usb", BLOCK ("A"), 0);
  g_autofree char *later = NULL;
  gint64 now = 0;

  g_assert_nonnull (first);
  for (; now < 2 * FLOE_NOTICES_QUIET_USEC; now += SECOND)
    g_assert_null (notice (notices, "usb", BLOCK ("A"), now));
  later = notice (notices, "usb", BLOCK ("A"), now + FLOE_NOTICES_QUIET_USEC);
  g_assert_nonnull (later);
}

/* A device that takes a new name at each turn is bounded all the same. */
static void
test_flood (void)
{
  g_autoptr (FloeNotices) notices = floe_notices_new ();
  unsigned shown = 0;

  for (int i = 0; i < 5000; i++) {
    g_autoptr (GVariant) fields = NULL;
    g_autofree char *name = g_strdup_printf ("name %d", i);
    g_autofree char *text = NULL;
    GVariantDict dict;

    g_variant_dict_init (&dict, NULL);
    g_variant_dict_insert (&dict, "name", "s", name);
    g_variant_dict_insert (&dict, "verdict", "s", "block");
    fields = g_variant_ref_sink (g_variant_dict_end (&dict));
    text = floe_notices_usb (notices, "usb", fields, i * 1000);
    shown += text != NULL;
  }
  g_assert_cmpuint (shown, ==, FLOE_NOTICES_LIMIT);
}

/* Device strings are shown as they are, but plain and short. */
static void
test_hostile_strings (void)
{
  g_autoptr (FloeNotices) notices = floe_notices_new ();
  g_autofree char *text = notice (notices, "usb", BLOCK ("<b>x</b>\\n\\u001b[0m\\u202e%s%n"), 0);
  g_autofree char *name = g_strnfill (10000, 'A');
  g_autofree char *format = g_strdup_printf ("{'name': <'%s'>, 'verdict': <'block'>, 'rule': <'r'>}", name);
  g_autofree char *longer = NULL;
  g_autoptr (GVariant) fields = g_variant_parse (G_VARIANT_TYPE_VARDICT, format, NULL, NULL, NULL);

  g_assert_cmpstr (text, ==, "Blocked by your organisation: USB storage “<b>x</b>\357\277\275\357\277\275[0m\357\277\275%s%n”, rule no-storage");
  longer = floe_notices_usb (notices, "usb", fields, 0);
  g_assert_cmpint (g_utf8_strlen (longer, -1), <, 120);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/notices/words", test_words);
  g_test_add_func ("/notices/silence", test_silence);
  g_test_add_func ("/notices/repeated", test_repeated);
  g_test_add_func ("/notices/flood", test_flood);
  g_test_add_func ("/notices/hostile-strings", test_hostile_strings);
  return g_test_run ();
}
