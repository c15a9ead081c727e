/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-envelope.h"

#include <string.h>

#define SIG "\"signatures\": []"
#define HEAD(type) "\"_type\": \"" type "\", \"spec_version\": \"1.0.31\", \"expires\": \"2030-01-01T00:00:00Z\", \"version\": 1"
#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FILE(extra) "{\"length\": 1, \"hashes\": {\"sha256\": \"" ID "\"}" extra "}"
#define DELEGATION(name, extra)                                                                                            \
  "{\"name\": \"" name "\", \"terminating\": true, \"paths\": [\"x/*\"], \"keyids\": [\"" ID "\"], \"threshold\": 1" extra "}"
#define DELEGATED(roles)                                                                                                   \
  "{\"signed\": {" HEAD ("targets") ", \"targets\": {}, \"delegations\": {\"keys\": {}, \"roles\": [" roles "]}}, " SIG "}"

static FloeEnvelope *
parse (const char *text, const char *role, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

  return floe_envelope_parse (bytes, "draft.json", role, error);
}

static void
test_accepts (void)
{
  static const struct {
    const char *role, *text;
  } cases[] = {
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}}, " SIG "}" },
    { "policy", "{\"signed\": {" HEAD ("targets") ", \"targets\": {\"policy/a.json\": " FILE (", \"custom\": {\"x\": [1]}") "}}, " SIG "}" },
    { "targets", DELEGATED (DELEGATION ("policy", ", \"x-floe-days\": 180, \"x-floe-names\": {}")) },
    { "snapshot", "{\"signed\": {" HEAD ("snapshot") ", \"meta\": {\"targets.json\": {\"version\": 1}}}, " SIG "}" },
    { "timestamp", "{\"signed\": {" HEAD ("timestamp") ", \"meta\": {\"snapshot.json\": {\"version\": 1}}}, \"signatures\": "
                   "[{\"keyid\": \"" ID "\", \"sig\": \"00\"}]}" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (FloeEnvelope) envelope = parse (cases[i].text, cases[i].role, &error);
    g_autoptr (FloeEnvelope) again = NULL;
    g_autoptr (GBytes) text = NULL;

    g_assert_no_error (error);
    g_assert_cmpint (floe_envelope_version (envelope), ==, 1);
    g_assert_cmpint (floe_envelope_expires (envelope), ==, 1893456000);
    text = floe_envelope_bytes (envelope);
    again = floe_envelope_parse (text, "again", cases[i].role, &error);
    g_assert_no_error (error);
    g_assert_true (json_equal (floe_envelope_signed (again), floe_envelope_signed (envelope)));
  }
}

static void
test_refuses (void)
{
  static const struct {
    const char *role, *text, *words;
  } cases[] = {
    { "targets", "", "draft.json" },
    { "targets", "[]", "an object wanted" },
    { "targets", "{\"signed\": {}, " SIG "}", "is missing" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}}}", "'signatures' is missing" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}}, " SIG ", \"more\": 1}", "more: unknown key" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}, \"more\": 1}, " SIG "}", "more: unknown key" },
    { "targets", "{\"signed\": {" HEAD ("root") ", \"targets\": {}}, " SIG "}", "not of role targets" },
    { "root", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}}, " SIG "}", "not of role root" },
    { "root", "{\"signed\": {" HEAD ("root") ", \"consistent_snapshot\": false, \"keys\": {}, \"roles\": {}}, " SIG "}", "consistent_snapshot" },
    { "root", "{\"signed\": {" HEAD ("root") ", \"consistent_snapshot\": true, \"keys\": {\"xx\": {\"keytype\": \"a\", \"scheme\": "
              "\"a\", \"keyval\": {\"public\": \"a\"}}}, \"roles\": {}}, " SIG "}", "64 hexadecimal digits" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {\"a\": {\"length\": -1, \"hashes\": {\"sha256\": \"" ID "\"}}}}, " SIG "}", "length" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {\"a\": {\"length\": 1, \"hashes\": {}}}}, " SIG "}", "'sha256' is missing" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {\"a\": {\"length\": 1, \"hashes\": {\"sha256\": \"AA\"}}}}, " SIG "}", "hexadecimal" },
    { "targets", "{\"signed\": {" HEAD ("targets") ", \"targets\": {}, \"targets\": {}}, " SIG "}", "duplicate" },
    { "targets", DELEGATED (DELEGATION ("../../etc", "")), "no name for a delegated role" },
    { "targets", DELEGATED (DELEGATION ("root", "")), "no name for a delegated role" },
    { "targets", DELEGATED (DELEGATION ("a", "") ", " DELEGATION ("a", "")), "delegated twice" },
    { "targets", DELEGATED (DELEGATION ("a", ", \"path_hash_prefixes\": []")), "" },
    { "targets", DELEGATED ("{\"name\": \"a\", \"terminating\": true, \"paths\": [], \"keyids\": [\"" ID "\", \"" ID "\"], \"threshold\": 2}"), "listed twice" },
    { "targets", DELEGATED ("{\"name\": \"a\", \"terminating\": true, \"paths\": [], \"keyids\": [], \"threshold\": 0}"), "threshold" },
    { "snapshot", "{\"signed\": {" HEAD ("snapshot") ", \"meta\": {\"targets.json\": {\"version\": 0}}}, " SIG "}", "version" },
    { "snapshot", "{\"signed\": {" HEAD ("snapshot") ", \"meta\": {\"targets.json\": {\"version\": 99999999999999999999}}}, " SIG "}", "integer" },
    { "timestamp", "{\"signed\": {" HEAD ("timestamp") ", \"meta\": {}}, \"signatures\": [{\"keyid\": \"a\", \"sig\": \"0\"}, "
                   "{\"keyid\": \"a\", \"sig\": \"1\"}]}", "second signature by the same key" },
    { "timestamp", "{\"signed\": {\"_type\": \"timestamp\", \"spec_version\": \"2.0\", \"expires\": \"2030-01-01T00:00:00Z\", "
                   "\"version\": 1, \"meta\": {}}, " SIG "}", "1.0.x" },
    { "timestamp", "{\"signed\": {\"_type\": \"timestamp\", \"spec_version\": \"1.0\", \"expires\": \"2030-01-01\", \"version\": 1, "
                   "\"meta\": {}}, " SIG "}", "YYYY-MM-DD" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    if (*cases[i].words == '\0') {
      g_autoptr (FloeEnvelope) envelope = parse (cases[i].text, cases[i].role, &error);

      g_assert_no_error (error); /* members that we do not know stay in a delegation, as the specification wants */
      g_assert_nonnull (envelope);
      continue;
    }
    g_assert_null (parse (cases[i].text, cases[i].role, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    if (strstr (error->message, cases[i].words) == NULL)
      g_error ("case %zu: '%s' is not in '%s'", i, cases[i].words, error->message);
  }
}

static void
test_time (void)
{
  static const char *const bad[] = { "", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z", "2030-13-01T00:00:00Z",
                                     "2030-01-01T00:00:00+00:00", "20300101T000000Z", "2030-01-01T25:00:00Z" };
  g_autofree char *text = floe_time_format (1893456000);
  gint64 seconds = 0;

  g_assert_cmpstr (text, ==, "2030-01-01T00:00:00Z");
  g_assert_true (floe_time_parse (text, &seconds, NULL));
  g_assert_cmpint (seconds, ==, 1893456000);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (floe_time_parse (bad[i], &seconds, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/envelope/accepts", test_accepts);
  g_test_add_func ("/envelope/refuses", test_refuses);
  g_test_add_func ("/envelope/time", test_time);
  return g_test_run ();
}
