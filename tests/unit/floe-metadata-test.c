/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include <stdlib.h>
#include <string.h>

/* Forms alone; who signed is for floe-trust-attacks-test.c. tests/unit/floe-metadata.bad has a bad input a paragraph: a line with the
 * type and what must be said of it, then the "signed" part. */

static FloeMetadata *
read_body (const char *body, FloeRoleType type, GError **error)
{
  g_autofree char *text = g_strdup_printf ("{\"signatures\":[],\"signed\":%s}", body);
  g_autoptr (GBytes) raw = g_bytes_new (text, strlen (text));
  g_autoptr (FloeMetadata) metadata = floe_metadata_open (raw, "x.json", error);

  if (metadata == NULL || !floe_metadata_parse (metadata, type, error))
    return NULL;
  return g_steal_pointer (&metadata);
}

static FloeRoleType
find_type (const char *name)
{
  for (FloeRoleType type = 0; type < FLOE_N_ROLES; type++)
    if (strcmp (floe_role_type_name (type), name) == 0)
      return type;
  g_error ("no role %s", name);
}

static void
check_bad (char *paragraph)
{
  char *body = strchr (paragraph, '\n');
  char *message = strchr (paragraph, ' ');
  g_autoptr (GError) error = NULL;

  g_assert_true (body != NULL && message != NULL && message < body);
  *body++ = '\0';
  *message++ = '\0';
  g_assert_null (read_body (body, find_type (paragraph), &error));
  if (strstr (error->message, message) == NULL)
    g_test_fail_printf ("'%s' does not say '%s'", error->message, message);
  g_assert_true (error->code == FLOE_ERROR_INVALID || error->code == FLOE_ERROR_UNSUPPORTED);
}

static void
test_bad (void)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) paragraphs = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/tests/unit/floe-metadata.bad", &text, NULL, NULL));
  paragraphs = g_strsplit (g_strstrip (text), "\n\n", -1);
  for (; paragraphs[n] != NULL; n++)
    check_bad (paragraphs[n]);
  g_assert_cmpuint (n, >, 30);
}

static const char *const envelopes[] = {
  "[]",
  "{}",
  "{\"signatures\":{},\"signed\":{}}",
  "{\"signatures\":[],\"signed\":[]}",
  "{\"signatures\":[7],\"signed\":{}}",
  "{\"signatures\":[{\"keyid\":7,\"sig\":\"\"}],\"signed\":{}}",
  "{\"signatures\":[{\"keyid\":\"a\"}],\"signed\":{}}",
  "{\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},{\"keyid\":\"a\",\"sig\":\"\"}],\"signed\":{}}",
  "{\"signatures\":[],\"signed\":{\"a\":1e3}}",
  "{\"signatures\":[],\"signed\":{\"a\":99999999999999999999}}",
  "{\"signatures\":[],\"signed\":{\"a\":\"\\u0000\"}}",
};

static void
test_envelopes (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (envelopes); i++) {
    g_autoptr (GBytes) raw = g_bytes_new_static (envelopes[i], strlen (envelopes[i]));
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_metadata_open (raw, "x.json", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_true (g_str_has_prefix (error->message, "x.json"));
  }
}

#define HEAD "\"spec_version\":\"1.0.0\",\"version\":7,\"expires\":\"2030-01-01T00:00:00Z\""

static void
test_good (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeMetadata) root = NULL, snapshot = NULL, targets = NULL;

  root = read_body ("{\"_type\":\"root\"," HEAD ",\"keys\":{},\"roles\":{\"root\":{\"keyids\":[\"a\",\"a\"],\"threshold\":1},\"timestamp\":{\"keyids\":[],\"threshold\":2},"
                    "\"snapshot\":{\"keyids\":[],\"threshold\":3},\"targets\":{\"keyids\":[],\"threshold\":4},\"mirrors\":{}}}",
                    FLOE_ROLE_ROOT, &error);
  g_assert_no_error (error);
  g_assert_cmpint (root->version, ==, 7);
  g_assert_cmpint (root->expires, ==, 1893456000);
  g_assert_false (root->consistent);
  g_assert_cmpint (root->roles[FLOE_ROLE_TARGETS]->threshold, ==, 4);
  snapshot = read_body ("{\"_type\":\"snapshot\"," HEAD ",\"meta\":{\"a.json\":{\"version\":3,\"length\":9},\"b.txt\":7}}",
                        FLOE_ROLE_SNAPSHOT, &error);
  g_assert_no_error (error);
  g_assert_cmpint (floe_metadata_file (snapshot, "a")->version, ==, 3);
  g_assert_cmpint (floe_metadata_file (snapshot, "a")->expected.length, ==, 9);
  g_assert_null (floe_metadata_file (snapshot, "b"));
  targets = read_body ("{\"_type\":\"targets\"," HEAD ",\"targets\":{\"t\":{\"length\":0,\"hashes\":{\"sha1\":\"x\"},\"custom\":{\"a\":1}}},"
                       "\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"n\",\"keyids\":[],\"threshold\":1,\"terminating\":false}]}}",
                       FLOE_ROLE_TARGETS, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (targets->delegations->len, ==, 1);
  g_assert_false (floe_role_covers (targets->delegations->pdata[0], "t"));
}

/* -- Every allocation of jansson's and of the canonical form failing in turn ------------------------------------------- */

static unsigned countdown;

static void *
failing_malloc (size_t size)
{
  return countdown > 0 && --countdown == 0 ? NULL : malloc (size);
}

static void
test_oom (void)
{
  static const char text[] = "{\"_type\":\"targets\"," HEAD ",\"targets\":{\"t\":{\"length\":0,\"hashes\":{\"sha1\":\"x\"}}},"
                             "\"delegations\":{\"keys\":{\"k\":{\"keytype\":\"a\",\"scheme\":\"b\",\"keyval\":{\"public\":\"c\"}}},\"roles\":["
                             "{\"name\":\"n\",\"keyids\":[\"k\"],\"threshold\":1,\"terminating\":false,\"paths\":[\"*\"]}]}}";
  gboolean done = FALSE;
  unsigned points = 0;

  json_set_alloc_funcs (failing_malloc, free);
  while (!done) {
    g_autoptr (GError) error = NULL;
    g_autoptr (FloeMetadata) metadata = NULL;

    countdown = ++points;
    metadata = read_body (text, FLOE_ROLE_TARGETS, &error);
    done = countdown > 0;
    countdown = 0;
    g_assert_true ((metadata != NULL) == done && (error == NULL) == done);
  }
  json_set_alloc_funcs (malloc, free);
  g_assert_cmpuint (points, >, 50);
  g_print ("figure: trust_oom_metadata = %u\n", points - 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metadata/bad", test_bad);
  g_test_add_func ("/metadata/envelopes", test_envelopes);
  g_test_add_func ("/metadata/good", test_good);
  g_test_add_func ("/metadata/oom", test_oom);
  return g_test_run ();
}
