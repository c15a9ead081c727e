/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"

#include "common/floe-fd.h"
#include "policy/document/floe-policy-explain.h"

#include <string.h>

/* The corpora are tests/unit/policy-corpus/good and bad. What each bad document is told stands in bad/EXPECTED; what each good
 * one comes to, in tests/golden/policy/NAME.txt (`floe-policy compile` prints it). tests/unit/policy-schema.sh holds the published
 * schema against the same documents. */

#define CORPUS FLOE_SOURCE_DIR "/tests/unit/policy-corpus/"
#define GOLDEN FLOE_SOURCE_DIR "/tests/golden/policy/"
#define EXAMPLES FLOE_SOURCE_DIR "/docs/examples/"
#define EXAMPLE EXAMPLES "office.json"

static GBytes *
read_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  GBytes *bytes = floe_file_read (path, 8 * FLOE_POLICY_SIZE_MAX, &error);

  g_assert_no_error (error);
  return bytes;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Names in DIRECTORY that end in .json, sorted. */
static GPtrArray *
list_documents (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".json"))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  return names;
}

static FloePolicyDocument *
parse_good (const char *path)
{
  g_autoptr (GBytes) text = read_file (path);
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document = floe_policy_parse (text, path, &error);

  g_assert_no_error (error);
  g_assert_nonnull (document);
  return document;
}

static void
check_golden (const char *path, const char *name)
{
  g_autoptr (FloePolicyDocument) document = parse_good (path);
  g_autofree char *golden = g_strconcat (GOLDEN, name, ".txt", NULL);
  g_autoptr (GBytes) wanted = read_file (golden);
  g_autofree char *wanted_text = g_strndup (g_bytes_get_data (wanted, NULL), g_bytes_get_size (wanted));
  g_autofree char *text = floe_policy_dump (floe_policy_document_content (document));

  g_assert_cmpstr (text, ==, wanted_text);
}

static void
test_good (void)
{
  g_autoptr (GPtrArray) names = list_documents (CORPUS "good");

  g_assert_cmpuint (names->len, >=, 5);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *path = g_strconcat (CORPUS "good/", name, NULL);
    g_autofree char *stem = g_strndup (name, strlen (name) - strlen (".json"));

    check_golden (path, stem);
  }
}

static void
test_example (void)
{
  check_golden (EXAMPLE, "office");
  check_golden (EXAMPLES "fleet.json", "fleet");
}

static void
test_bad (void)
{
  g_autoptr (GPtrArray) names = list_documents (CORPUS "bad");
  g_autofree char *expected = NULL;
  g_auto (GStrv) messages = NULL;

  g_assert_true (g_file_get_contents (CORPUS "bad/EXPECTED", &expected, NULL, NULL));
  messages = g_strsplit (g_strchomp (expected), "\n", -1);
  g_assert_cmpuint (names->len, >=, 250);
  g_assert_cmpuint (g_strv_length (messages), ==, names->len);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *path = g_strconcat (CORPUS "bad/", name, NULL);
    g_autoptr (GBytes) text = read_file (path);
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_policy_parse (text, name, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpstr (error->message, ==, messages[i]);
  }
}

static void
test_size (void)
{
  g_autofree char *blanks = g_strnfill (FLOE_POLICY_SIZE_MAX + 1, ' ');
  g_autoptr (GBytes) text = g_bytes_new_static (blanks, FLOE_POLICY_SIZE_MAX + 1);
  g_autoptr (GError) error = NULL;

  g_assert_null (floe_policy_parse (text, "big.json", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

/* A good document cut off at every byte, and with each byte changed, is refused or parsed; never anything else. */
static void
test_damaged (void)
{
  g_autoptr (GBytes) text = read_file (EXAMPLE);
  gsize size;
  const char *data = g_bytes_get_data (text, &size);

  for (gsize i = 0; i + 2 < size; i++) {
    g_autoptr (GBytes) cut = g_bytes_new (data, i);
    g_autofree char *copy = g_memdup2 (data, size);
    g_autoptr (GBytes) changed = NULL;
    g_autoptr (FloePolicyDocument) document = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_policy_parse (cut, "cut.json", NULL));
    copy[i] ^= 0x01;
    changed = g_bytes_new (copy, size);
    document = floe_policy_parse (changed, "changed.json", &error);
    g_assert_true ((document == NULL) == (error != NULL));
  }
}

static void
test_content (void)
{
  g_autoptr (FloePolicyDocument) document = parse_good (EXAMPLE);
  const FloePolicyContent *content = floe_policy_document_content (document);
  const FloePolicyMachine *office = floe_policy_find_machine (content, "office");
  g_autoptr (FloePolicyDocument) second = floe_policy_document_ref (document);
  size_t n_images = 0;
  const FloePolicyImage *images = floe_policy_images (content, &n_images);

  /* One reference is enough to keep what was handed out. */
  g_clear_pointer (&document, floe_policy_document_unref);
  g_assert_true (floe_policy_document_content (second) == content);
  g_assert_true (office == &content->machines[0]);
  g_assert_true (office->networks[0] == floe_policy_find_network (content, "intranet"));
  g_assert_null (floe_policy_find_machine (content, "offic"));
  g_assert_null (floe_policy_find_network (content, ""));
  g_assert_true (content->usb[3].grant.machine == office);
  g_assert_cmpuint (n_images, ==, 1);
  g_assert_cmpstr (images[0].name, ==, "desktop");
  g_assert_cmpuint (content->lease_days, ==, 30);
  g_assert_cmpint (office->clipboard, ==, FLOE_POLICY_SHARE_BOTH);
  g_assert_null (content->console.languages[2]);
}

/* As many rules as one direction may have, and one more; what goes by pairs of them would show in the test's time. */
static GBytes *
many_rules (size_t n)
{
  g_autoptr (GString) text = g_string_new ("{\"floe\":1,\"group\":\"g\",\"machines\":[{\"id\":\"a\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},"
                                           "\"vcpus\":1,\"memory_mib\":512,\"disk\":\"reset\",\"networks\":[\"n\"]}],"
                                           "\"networks\":{\"n\":{\"mode\":\"nat\",\"ipv6\":true,\"egress\":[");

  for (size_t i = 0; i < n; i++)
    g_string_append_printf (text, "%s{\"id\":\"r%zu\",\"protocol\":\"%s\",\"to\":[\"10.%zu.%zu.0/24\",\"2001:db8:%zx:%zx::/64\"],\"ports\":[\"443\"]}",
                            i == 0 ? "" : ",\n", i, i % 2 == 0 ? "tcp" : "udp", i / 256 % 256, i % 256, i / 65536, i % 65536);
  g_string_append (text, "]}},\"assignment\":[{\"who\":\"*\",\"machines\":[\"a\"]}]}");
  return g_string_free_to_bytes (g_steal_pointer (&text));
}

static void
test_many_rules (void)
{
  g_autoptr (GBytes) most = many_rules (FLOE_POLICY_NET_RULES_MAX), more = many_rules (FLOE_POLICY_NET_RULES_MAX + 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePolicyDocument) document = floe_policy_parse (most, "most.json", &error);
  const FloePolicyNetwork *network;
  g_auto (GStrv) notes = NULL;

  g_assert_no_error (error);
  network = &floe_policy_document_content (document)->networks[0];
  g_assert_cmpuint (network->n_egress, ==, FLOE_POLICY_NET_RULES_MAX);
  g_assert_cmpstr (network->egress[FLOE_POLICY_NET_RULES_MAX - 1].id, ==, "r64999");
  g_assert_cmpuint (network->egress[64999].prefixes[0].address.bytes[1], ==, 64999 / 256);
  notes = floe_policy_notes (floe_policy_document_content (document));
  g_assert_cmpuint (g_strv_length (notes), ==, 1); /* of the keyboard */
  g_assert_null (floe_policy_parse (more, "more.json", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_assert_cmpstr (error->message, ==, "more.json:1: networks.n.egress: 65001 elements, 65000 at most");
}

/* The numbers in the header are those that the dump of the corpus was read with: names of enumerations have one order only. */
static void
test_names (void)
{
  g_assert_cmpstr (floe_policy_share_name (FLOE_POLICY_SHARE_NONE), ==, "none");
  g_assert_cmpstr (floe_policy_share_name (FLOE_POLICY_SHARE_TO_GUEST), ==, "to-guest");
  g_assert_cmpstr (floe_policy_share_name (FLOE_POLICY_SHARE_FROM_GUEST), ==, "from-guest");
  g_assert_cmpstr (floe_policy_share_name (FLOE_POLICY_SHARE_BOTH), ==, "both");
  g_assert_cmpstr (floe_policy_usb_action_name (FLOE_POLICY_USB_BLOCK), ==, "block");
  g_assert_cmpstr (floe_policy_usb_action_name (FLOE_POLICY_USB_HOST), ==, "host");
  g_assert_cmpstr (floe_policy_usb_action_name (FLOE_POLICY_USB_MACHINE), ==, "machine");
  g_assert_cmpstr (floe_policy_usb_action_name (FLOE_POLICY_USB_ASK), ==, "ask");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/document/good", test_good);
  g_test_add_func ("/policy/document/example", test_example);
  g_test_add_func ("/policy/document/bad", test_bad);
  g_test_add_func ("/policy/document/size", test_size);
  g_test_add_func ("/policy/document/damaged", test_damaged);
  g_test_add_func ("/policy/document/content", test_content);
  g_test_add_func ("/policy/document/names", test_names);
  g_test_add_func ("/policy/document/many-rules", test_many_rules);
  return g_test_run ();
}
