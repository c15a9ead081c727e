/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-registry.h"

#include "server-sync/enrol/floe-enrol-proof.h"
#include "server-sync/server/floe-server-enrol.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define NOW 1800000000
#define THREADS 8

typedef struct {
  char *data;
  FloeRegistry *registry;
  FloeDigest key, server;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  (void) unused;
  fixture->data = g_dir_make_tmp ("floe-registry-XXXXXX", NULL);
  fixture->registry = floe_registry_open (fixture->data, (uid_t) -1, (gid_t) -1, &error);
  g_assert_no_error (error);
  memset (&fixture->key, 1, sizeof fixture->key);
  memset (&fixture->server, 2, sizeof fixture->server);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  static const char *const names[] = { "enrol/floe.db", "enrol/floe.db-wal", "enrol/floe.db-shm", "enrol", "" };

  (void) unused;
  floe_registry_free (fixture->registry);
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (fixture->data, names[i], NULL);

    g_remove (path);
  }
  g_free (fixture->data);
}

static void
add_code (Fixture *fixture, const char *id, int uses)
{
  FloeRegistryCode code = { .group = (char *) "office", .created = NOW, .expires = NOW + 100, .uses = uses };
  g_autoptr (GError) error = NULL;

  g_strlcpy (code.id, id, sizeof code.id);
  g_assert_true (floe_registry_add_code (fixture->registry, &code, &fixture->key, &error));
  g_assert_no_error (error);
}

static FloeEnrolRequest
request_of (const char *code, uint8_t endpoint)
{
  FloeEnrolRequest request = { .name = (char *) "pc" };

  g_strlcpy (request.code, code, sizeof request.code);
  memset (request.key, endpoint, sizeof request.key);
  return request;
}

static FloeEnrolRefusal
enrol (Fixture *fixture, const char *code, uint8_t endpoint, gint64 now)
{
  const FloeEnrolRequest request = request_of (code, endpoint);
  FloeEnrolAnswer answer = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_registry_enrol (fixture->registry, &request, NULL, now, &answer, &error));
  g_assert_no_error (error);
  if (answer.refused == FLOE_ENROL_REFUSED_NOT)
    g_assert_cmpstr (answer.group, ==, "office");
  return answer.refused;
}

static guint
count_endpoints (Fixture *fixture)
{
  g_autoptr (GPtrArray) endpoints = floe_registry_list_endpoints (fixture->registry, NULL);

  return endpoints->len;
}

static void
test_uses (Fixture *fixture, gconstpointer unused)
{
  FloeRegistryCode twice = { .id = "AAAAA", .group = (char *) "x", .created = NOW, .expires = NOW + 1, .uses = 1 };
  g_autoptr (GError) error = NULL;

  (void) unused;
  add_code (fixture, "AAAAA", 2);
  g_assert_false (floe_registry_add_code (fixture->registry, &twice, &fixture->key, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
  g_assert_cmpint (enrol (fixture, "BBBBB", 1, NOW), ==, FLOE_ENROL_REFUSED_CODE);
  g_assert_cmpint (enrol (fixture, "AAAAA", 1, NOW), ==, FLOE_ENROL_REFUSED_NOT);
  g_assert_cmpint (enrol (fixture, "AAAAA", 1, NOW), ==, FLOE_ENROL_REFUSED_NOT);
  g_assert_cmpint (enrol (fixture, "AAAAA", 2, NOW + 99), ==, FLOE_ENROL_REFUSED_NOT);
  g_assert_cmpint (enrol (fixture, "AAAAA", 3, NOW), ==, FLOE_ENROL_REFUSED_USED);
  /* Its own answer again, whenever. */
  g_assert_cmpint (enrol (fixture, "AAAAA", 1, NOW + 1000000), ==, FLOE_ENROL_REFUSED_NOT);
  g_assert_cmpuint (count_endpoints (fixture), ==, 2);
  add_code (fixture, "CCCCC", 1);
  g_assert_cmpint (enrol (fixture, "CCCCC", 3, NOW + 100), ==, FLOE_ENROL_REFUSED_EXPIRED);
  /* An endpoint that enrols anew stays one. */
  g_assert_cmpint (enrol (fixture, "CCCCC", 1, NOW), ==, FLOE_ENROL_REFUSED_NOT);
  g_assert_cmpuint (count_endpoints (fixture), ==, 2);
}

static void
test_withdrawn (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  (void) unused;
  add_code (fixture, "AAAAA", 1);
  g_assert_true (floe_registry_withdraw_code (fixture->registry, "AAAAA", NULL));
  g_assert_cmpint (enrol (fixture, "AAAAA", 1, NOW), ==, FLOE_ENROL_REFUSED_CODE);
  g_assert_false (floe_registry_withdraw_code (fixture->registry, "AAAAA", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

/* What is written is there for whoever opens it next, failures included; a locked code looks like none. */
static void
test_failures (Fixture *fixture, gconstpointer unused)
{
  FloeDigest key, nobody;
  gboolean usable = FALSE;

  (void) unused;
  add_code (fixture, "AAAAA", 1);
  g_assert_true (floe_registry_find_key (fixture->registry, "BBBBB", &nobody, &usable, NULL));
  g_assert_false (usable);
  g_assert_false (floe_digest_equal (&nobody, &fixture->key));
  for (unsigned i = 0; i < FLOE_REGISTRY_FAILURES_MAX; i++) {
    g_assert_true (floe_registry_find_key (fixture->registry, "AAAAA", &key, &usable, NULL));
    g_assert_true (usable);
    g_assert_true (floe_digest_equal (&key, &fixture->key));
    floe_registry_count_failure (fixture->registry, "AAAAA");
    if (i % 3 == 0)
      g_assert_true (floe_registry_flush (fixture->registry, NULL));
  }
  g_assert_true (floe_registry_find_key (fixture->registry, "AAAAA", &key, &usable, NULL));
  g_assert_false (usable);
  floe_registry_free (fixture->registry);
  fixture->registry = floe_registry_open (fixture->data, (uid_t) -1, (gid_t) -1, NULL);
  g_assert_true (floe_registry_find_key (fixture->registry, "AAAAA", &key, &usable, NULL));
  g_assert_false (usable);
}

static void
test_recovery (Fixture *fixture, gconstpointer unused)
{
  const FloeEnrolRequest request = request_of ("AAAAA", 1);
  g_autoptr (GBytes) secret = g_bytes_new_static ("secret", 6), kept = NULL;
  g_autoptr (GError) error = NULL;
  FloeEnrolAnswer answer = { 0 };
  gboolean sealed = TRUE;

  (void) unused;
  add_code (fixture, "AAAAA", 1);
  g_assert_true (floe_registry_enrol (fixture->registry, &request, secret, NOW, &answer, NULL));
  kept = floe_registry_recovery_key (fixture->registry, answer.id, &sealed, NULL);
  g_assert_true (g_bytes_equal (kept, secret));
  g_assert_false (sealed);
  /* A second enrolment that brings none keeps the one that is there. */
  g_assert_cmpint (enrol (fixture, "AAAAA", 1, NOW), ==, FLOE_ENROL_REFUSED_NOT);
  g_clear_pointer (&kept, g_bytes_unref);
  kept = floe_registry_recovery_key (fixture->registry, answer.id, &sealed, NULL);
  g_assert_nonnull (kept);
  g_assert_null (floe_registry_recovery_key (fixture->registry, "0000000000000000", &sealed, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

typedef struct {
  Fixture *fixture;
  uint8_t endpoint;
  FloeEnrolRefusal refused;
} Racer;

static gpointer
race (gpointer data)
{
  Racer *racer = data;

  racer->refused = enrol (racer->fixture, "AAAAA", racer->endpoint, NOW);
  return NULL;
}

static void
test_race (Fixture *fixture, gconstpointer unused)
{
  (void) unused;
  for (unsigned round = 0; round < 20; round++) {
    Racer racers[THREADS];
    GThread *threads[THREADS];
    unsigned won = 0;

    add_code (fixture, "AAAAA", 1);
    for (unsigned i = 0; i < THREADS; i++) {
      racers[i] = (Racer){ fixture, (uint8_t) (round * THREADS + i), FLOE_ENROL_REFUSED_NOT };
      threads[i] = g_thread_new ("racer", race, &racers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
      g_thread_join (threads[i]);
      won += racers[i].refused == FLOE_ENROL_REFUSED_NOT;
    }
    g_assert_cmpuint (won, ==, 1);
    g_assert_true (floe_registry_withdraw_code (fixture->registry, "AAAAA", NULL));
  }
}

/* The whole judgement: who has the code is told the truth, with a proof; nobody else learns a thing. */
static void
test_judged (Fixture *fixture, gconstpointer unused)
{
  FloeEnrolRequest request = request_of ("AAAAA", 0);
  uint8_t private_half[FLOE_ENROL_KEY_SIZE] = { 5 };
  g_autoptr (GBytes) body = NULL;
  g_autofree char *signature = NULL, *proof = NULL;
  FloeServerEnrolled enrolled;
  FloeDigest mac;

  (void) unused;
  add_code (fixture, "AAAAA", 1);
  g_assert_true (floe_hex_decode ("2c2ab0ef69e16e2eb86d8e5ef4b44b1bd6b9ea9b8a5e24a1f3de1d0d9e6a3b0c", request.key, sizeof request.key));
  body = floe_enrol_request_write (&request, NULL);
  signature = floe_enrol_sign (private_half, &fixture->server, body, NULL);
  floe_enrol_request_proof (&fixture->key, &fixture->server, body, &mac);
  proof = floe_hex_encode (mac.bytes, sizeof mac.bytes);
  /* The key is another's: its owner did not sign. */
  floe_server_enrol (fixture->registry, &fixture->server, body, proof, signature, NOW, &enrolled);
  g_assert_cmpuint (enrolled.status, ==, 400);
  g_assert_nonnull (enrolled.proof);
  g_bytes_unref (enrolled.body);
  g_free (enrolled.proof);
  floe_server_enrol (fixture->registry, &fixture->key, body, proof, signature, NOW, &enrolled);
  g_assert_cmpuint (enrolled.status, ==, 403);
  g_assert_null (enrolled.proof);
  g_bytes_unref (enrolled.body);
  g_assert_cmpuint (count_endpoints (fixture), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/registry/uses", Fixture, NULL, set_up, test_uses, tear_down);
  g_test_add ("/registry/withdrawn", Fixture, NULL, set_up, test_withdrawn, tear_down);
  g_test_add ("/registry/failures", Fixture, NULL, set_up, test_failures, tear_down);
  g_test_add ("/registry/recovery", Fixture, NULL, set_up, test_recovery, tear_down);
  g_test_add ("/registry/race", Fixture, NULL, set_up, test_race, tear_down);
  g_test_add ("/registry/judged", Fixture, NULL, set_up, test_judged, tear_down);
  return g_test_run ();
}
