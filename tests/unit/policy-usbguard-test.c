/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"
#include "policy/document/floe-usbguard.h"

#include "common/floe-fd.h"

#include <string.h>

/* USBGuard's rule files: the language by files that are in it and files that are not, and the translation by a matcher that follows
 * usbguard-rules.conf(5) and is held against the verdict over random rules and devices: what the translation opens, the file opens. */

#define CORPUS FLOE_SOURCE_DIR "/tests/unit/usbguard-corpus/"

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static GPtrArray *
list_files (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  return names;
}

static GBytes *
read_file (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;
  GBytes *bytes = floe_file_read (path, FLOE_USBGUARD_SIZE_MAX, &error);

  g_assert_no_error (error);
  return bytes;
}

/* A document with LIST as its usb rules, which must be taken. */
static FloePolicyDocument *
document_of (const char *list)
{
  g_autofree char *whole =
    g_strconcat ("{\"floe\":1,\"group\":\"g\",\"machines\":[{\"id\":\"desk\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,"
                 "\"memory_mib\":512,\"disk\":\"reset\"}],\"assignment\":[{\"who\":\"*\",\"machines\":[\"desk\"]}],\"usb\":",
                 list, "}", NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (whole, strlen (whole));
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document = floe_policy_parse (bytes, "imported.json", &error);

  g_assert_no_error (error);
  return document;
}

/* -- The corpora --------------------------------------------------------------------------------------------------------- */

static void
test_good (void)
{
  g_autoptr (GPtrArray) names = list_files (CORPUS "good");
  static const char *const machines[] = { NULL, "desk", "front" };

  g_assert_cmpuint (names->len, >=, 3);
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (GBytes) text = read_file (CORPUS "good", g_ptr_array_index (names, i));

    for (size_t j = 0; j < G_N_ELEMENTS (machines); j++) {
      g_autoptr (GError) error = NULL;
      g_autoptr (FloeUsbguardImport) import = floe_usbguard_import (text, "rules", machines[j], &error);
      g_autoptr (FloePolicyDocument) document = NULL;

      g_assert_no_error (error);
      document = document_of (import->json);
      g_assert_cmpuint (floe_policy_document_content (document)->n_usb, ==, import->n_rules);
    }
  }
}

/* bad/EXPECTED: what each file in bad/ is told, in the order of their names. */
static void
test_bad (void)
{
  g_autoptr (GPtrArray) names = list_files (CORPUS "bad");
  g_autofree char *expected = NULL;
  g_auto (GStrv) messages = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (CORPUS "bad/EXPECTED", &expected, NULL, NULL));
  messages = g_strsplit (g_strchomp (expected), "\n", -1);
  g_assert_cmpuint (names->len, ==, g_strv_length (messages) + 1);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autoptr (GBytes) text = NULL;
    g_autoptr (GError) error = NULL;

    if (strcmp (name, "EXPECTED") == 0)
      continue;
    text = read_file (CORPUS "bad", name);
    g_assert_null (floe_usbguard_import (text, name, NULL, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpstr (error->message, ==, messages[n++]);
  }
}

static void
test_limits (void)
{
  g_autofree char *blanks = g_strnfill (FLOE_USBGUARD_SIZE_MAX + 1, ' ');
  g_autoptr (GString) many = g_string_new (NULL);
  g_autoptr (GBytes) big = g_bytes_new_static (blanks, FLOE_USBGUARD_SIZE_MAX + 1);
  g_autoptr (GBytes) blank = g_bytes_new_static (blanks, FLOE_USBGUARD_SIZE_MAX);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (FloeUsbguardImport) import = NULL;
  g_autoptr (FloeUsbguardImport) empty = floe_usbguard_import (none, "rules", NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (empty->json, ==, "[]\n");
  import = floe_usbguard_import (blank, "rules", NULL, NULL);
  g_assert_cmpstr (import->json, ==, "[]\n");
  g_assert_null (floe_usbguard_import (big, "rules", NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  for (unsigned i = 0; i <= FLOE_USBGUARD_RULES_MAX; i++) {
    g_autoptr (GBytes) text = NULL;

    g_string_append_printf (many, "allow %04x:0001\n", i);
    if (i + 1 != FLOE_POLICY_USB_RULES_MAX && i != FLOE_POLICY_USB_RULES_MAX && i != FLOE_USBGUARD_RULES_MAX)
      continue;
    text = g_bytes_new (many->str, many->len);
    g_clear_pointer (&import, floe_usbguard_import_free);
    import = floe_usbguard_import (text, "rules", NULL, &error);
    if (i + 1 == FLOE_POLICY_USB_RULES_MAX)
      g_assert_cmpuint (import->n_rules, ==, FLOE_POLICY_USB_RULES_MAX);
    else
      g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
    g_clear_error (&error);
  }
}

/* -- A matcher by the manual --------------------------------------------------------------------------------------------- */

typedef struct {
  uint16_t vendor, product;
  const char *serial, *name, *port;
  FloePolicyUsbInterface interfaces[3];
  size_t n;
  uint8_t device_class;
} Device;

/* Whether VALUE of a rule is, as a pattern of colon-separated hexadecimal parts, TEXT. */
static gboolean
part_for_part (const char *value, const char *text)
{
  g_auto (GStrv) wanted = g_strsplit (value, ":", -1), parts = g_strsplit (text, ":", -1);

  for (size_t i = 0; wanted[i] != NULL; i++)
    if (strcmp (wanted[i], "*") != 0 && g_ascii_strcasecmp (wanted[i], parts[i]) != 0)
      return FALSE;
  return TRUE;
}

/* The set operators of the manual; HAS are the device's values. */
static gboolean
operator_holds (const FloeUsbguardValues *wanted, char **has)
{
  size_t n_has = g_strv_length (has), n_wanted = wanted->values->len, met = 0;
  gboolean in_order = n_has == n_wanted, within = TRUE;

  for (size_t i = 0; i < n_wanted; i++) {
    const char *value = ((GString *) g_ptr_array_index (wanted->values, i))->str;
    gboolean meets = FALSE;

    for (size_t j = 0; j < n_has; j++)
      meets |= part_for_part (value, has[j]);
    met += meets;
    in_order = in_order && part_for_part (value, has[i]);
  }
  for (size_t j = 0; j < n_has; j++) {
    gboolean named = FALSE;

    for (size_t i = 0; i < n_wanted; i++)
      named |= part_for_part (((GString *) g_ptr_array_index (wanted->values, i))->str, has[j]);
    within &= named;
  }
  switch (wanted->operator) {
  case FLOE_USBGUARD_ALL_OF:
    return met == n_wanted;
  case FLOE_USBGUARD_ONE_OF:
    return met > 0;
  case FLOE_USBGUARD_NONE_OF:
    return met == 0;
  case FLOE_USBGUARD_EQUALS:
    return met == n_wanted && n_has == n_wanted;
  case FLOE_USBGUARD_EQUALS_ORDERED:
    return in_order;
  case FLOE_USBGUARD_MATCH_ALL:
    return within;
  }
  return FALSE;
}

static gboolean
attribute_holds (const FloeUsbguardRule *rule, FloeUsbguardAttribute attribute, const char *one)
{
  char *has[] = { (char *) one, NULL };

  return rule->attributes[attribute].values == NULL || operator_holds (&rule->attributes[attribute], has);
}

/* Conditions other than true and false hold or not as if by chance: CHANCE. */
static gboolean
conditions_hold (const FloeUsbguardRule *rule, gboolean chance)
{
  const FloeUsbguardValues *conditions = &rule->attributes[FLOE_USBGUARD_IF];
  guint held = 0;

  if (conditions->values == NULL)
    return TRUE;
  for (guint i = 0; i < conditions->values->len; i++) {
    const char *text = ((GString *) g_ptr_array_index (conditions->values, i))->str;
    const char *word = text + (*text == '!');
    gboolean holds = strcmp (word, "true") == 0 || (strcmp (word, "false") != 0 && chance);

    held += holds != (*text == '!');
  }
  switch (conditions->operator) {
  case FLOE_USBGUARD_ONE_OF:
    return held > 0;
  case FLOE_USBGUARD_NONE_OF:
    return held == 0;
  case FLOE_USBGUARD_MATCH_ALL: /* the manual does not say */
    return chance;
  default:
    return held == conditions->values->len;
  }
}

static gboolean
rule_matches (const FloeUsbguardRule *rule, const Device *device, gboolean chance)
{
  g_autofree char *id = g_strdup_printf ("%04x:%04x", device->vendor, device->product);
  char *interfaces[4] = { NULL };
  gboolean matches;

  for (size_t i = 0; i < device->n; i++)
    interfaces[i] = g_strdup_printf ("%02x:%02x:%02x", device->interfaces[i].class_code, device->interfaces[i].subclass,
                                     device->interfaces[i].protocol);
  matches = attribute_holds (rule, FLOE_USBGUARD_ID, id) && attribute_holds (rule, FLOE_USBGUARD_SERIAL, device->serial)
            && attribute_holds (rule, FLOE_USBGUARD_NAME, device->name) && attribute_holds (rule, FLOE_USBGUARD_VIA_PORT, device->port)
            && (rule->attributes[FLOE_USBGUARD_WITH_INTERFACE].values == NULL
                || operator_holds (&rule->attributes[FLOE_USBGUARD_WITH_INTERFACE], interfaces));
  matches = matches && conditions_hold (rule, chance) && (rule->attributes[FLOE_USBGUARD_HASH].values == NULL || chance);
  for (size_t i = 0; i < device->n; i++)
    g_free (interfaces[i]);
  return matches;
}

/* Whether the file lets DEVICE in; what no rule matches, it blocks. */
static gboolean
file_allows (const GPtrArray *rules, const Device *device, GRand *chance)
{
  for (guint i = 0; i < rules->len; i++) {
    const FloeUsbguardRule *rule = g_ptr_array_index (rules, i);

    if (rule->target <= FLOE_USBGUARD_REJECT && rule_matches (rule, device, g_rand_boolean (chance)))
      return rule->target == FLOE_USBGUARD_ALLOW;
  }
  return FALSE;
}

/* -- Random files -------------------------------------------------------------------------------------------------------- */

static const char *
pick (GRand *rand, const char *const *from)
{
  return from[g_rand_int_range (rand, 0, (gint32) g_strv_length ((char **) from))];
}

static void
append_attribute (GRand *rand, GString *text, const char *word, const char *const *values, gboolean any_operator)
{
  static const char *const operators[] = { "equals", "equals-ordered", "all-of", "one-of", "none-of", "match-all", NULL };
  static const char *const usual[] = { "one-of", "match-all", "equals", NULL };

  if (g_rand_int_range (rand, 0, 3) == 0) {
    g_string_append_printf (text, " %s %s", word, pick (rand, values));
    return;
  }
  g_string_append_printf (text, " %s %s {", word, pick (rand, any_operator ? operators : usual));
  for (gint32 n = g_rand_int_range (rand, 1, 4); n > 0; n--)
    g_string_append_printf (text, " %s", pick (rand, values));
  g_string_append (text, " }");
}

static void
append_rule (GRand *rand, GString *text)
{
  static const char *const targets[] = { "allow", "allow", "allow", "block", "reject", "match", NULL };
  static const char *const ids[] = { "1111:0001", "1111:0002", "2222:0001", "1111:*", "*:*", NULL };
  static const char *const strings[] = { "\"s1\"", "\"s\\x32\"", NULL };
  static const char *const ports[] = { "\"1-1\"", "\"1-1.2\"", "\"usb1\"", NULL };
  static const char *const interfaces[] = { "08:06:50", "08:06:62", "08:*:*", "03:01:01", "03:01:02", "03:*:*", "03:00:00", NULL };
  static const char *const conditions[] = { "true", "false", "!true", "random", "localtime(10:00)", NULL };

  g_string_append (text, pick (rand, targets));
  if (g_rand_int_range (rand, 0, 3) > 0)
    append_attribute (rand, text, "id", ids, FALSE);
  if (g_rand_int_range (rand, 0, 4) == 0)
    append_attribute (rand, text, "serial", strings, FALSE);
  if (g_rand_int_range (rand, 0, 6) == 0)
    append_attribute (rand, text, "name", strings, TRUE);
  if (g_rand_int_range (rand, 0, 5) == 0)
    append_attribute (rand, text, "via-port", ports, FALSE);
  if (g_rand_int_range (rand, 0, 2) == 0)
    append_attribute (rand, text, "with-interface", interfaces, TRUE);
  if (g_rand_int_range (rand, 0, 12) == 0)
    append_attribute (rand, text, "if", conditions, FALSE);
  if (g_rand_int_range (rand, 0, 20) == 0)
    g_string_append (text, " hash \"abc\"");
  g_string_append_c (text, '\n');
}

static Device
random_device (GRand *rand)
{
  static const FloePolicyUsbInterface kinds[] = { { 8, 6, 0x50 }, { 8, 6, 0x62 }, { 3, 1, 1 }, { 3, 1, 2 }, { 3, 0, 0 }, { 0xff, 0, 0 } };
  static const char *const strings[] = { "s1", "s2", "s3", NULL };
  static const char *const ports[] = { "1-1", "1-1.2", "2-1", NULL };
  static const uint8_t classes[] = { 0, 0, 0, 0xef, 8, 3 };
  Device device = {
    .vendor = g_rand_boolean (rand) ? 0x1111 : 0x2222,
    .product = (uint16_t) g_rand_int_range (rand, 1, 3),
    .serial = pick (rand, strings),
    .name = pick (rand, strings),
    .port = pick (rand, ports),
    .n = (size_t) g_rand_int_range (rand, 1, 4),
    .device_class = classes[g_rand_int_range (rand, 0, G_N_ELEMENTS (classes))],
  };

  for (size_t i = 0; i < device.n; i++) {
    device.interfaces[i] = kinds[g_rand_int_range (rand, 0, G_N_ELEMENTS (kinds))];
    device.interfaces[i].configuration = 1;
    device.interfaces[i].number = (uint8_t) i;
  }
  return device;
}

static void
judge (GRand *rand, const char *file, const GPtrArray *rules, const FloePolicyContent *content, unsigned *opened, unsigned *allowed)
{
  for (unsigned i = 0; i < 40; i++) {
    Device device = random_device (rand);
    const FloePolicyUsbDevice asked = {
      .vendor = device.vendor,
      .product = device.product,
      .serial = { device.serial, strlen (device.serial) },
      .name = { device.name, strlen (device.name) },
      .port = device.port,
      .device_class = { .class_code = device.device_class },
      .interfaces = device.interfaces,
      .n_interfaces = device.n,
      .complete = TRUE,
    };
    FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, &asked, NULL);
    gboolean opens = verdict.action != FLOE_POLICY_USB_BLOCK;

    *opened += opens;
    /* Whatever chance says of conditions and hashes, several times over. */
    for (unsigned j = 0; j < 6; j++) {
      gboolean allows = file_allows (rules, &device, rand);

      if (opens && !allows)
        g_error ("opened by %s and not by\n%s", verdict.rule, file);
      *allowed += allows;
    }
  }
}

static void
test_never_wider (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (31);
  unsigned opened = 0, allowed = 0;

  for (unsigned i = 0; i < 500; i++) {
    g_autoptr (GString) file = g_string_new (NULL);
    g_autoptr (GBytes) text = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (FloeUsbguardImport) import = NULL;
    g_autoptr (GPtrArray) rules = NULL;
    g_autoptr (FloePolicyDocument) document = NULL;

    for (gint32 n = g_rand_int_range (rand, 1, 6); n > 0; n--)
      append_rule (rand, file);
    text = g_bytes_new (file->str, file->len);
    import = floe_usbguard_import (text, "random", NULL, &error);
    g_assert_no_error (error);
    rules = floe_usbguard_parse (text, "random", &error);
    g_assert_no_error (error);
    g_assert_cmpuint (import->reports->len, ==, rules->len);
    document = document_of (import->json);
    judge (rand, file->str, rules, floe_policy_document_content (document), &opened, &allowed);
  }
  g_test_message ("20000 devices: %u opened by the translation, %u by the files", opened, allowed / 6);
  /* A translation that opens nothing would pass as well. */
  g_assert_cmpuint (opened, >, 900);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/usbguard/good", test_good);
  g_test_add_func ("/policy/usbguard/bad", test_bad);
  g_test_add_func ("/policy/usbguard/limits", test_limits);
  g_test_add_func ("/policy/usbguard/never-wider", test_never_wider);
  return g_test_run ();
}
