/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-enrol-proof.h"

#include <string.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define HEAD "{\"floe\":1,\"code\":\"7K3QM\",\"key\":\"" ZEROS "\",\"nonce\":\"" ZEROS "\""
#define WHOLE HEAD ",\"name\":\"pc\",\"facts\":{}"

static GBytes *
bytes (const char *text)
{
  return g_bytes_new (text, strlen (text));
}

static void
get_key (FloeDigest *key, FloeDigest *server)
{
  g_assert_true (floe_digest_from_hex ("ded318163ae63fdebbd1e6824ab62db9eab37942307ce602d39aa842f6d4b913", key, NULL));
  for (size_t i = 0; i < FLOE_DIGEST_SIZE; i++)
    server->bytes[i] = (uint8_t) i;
}

/* -- Messages ------------------------------------------------------------------------------------------------------- */

static void
test_request (void)
{
  static const char *const facts[] = { "kvm", "good: yes", "memory", "note: 4 GB", NULL };
  FloeEnrolRequest request = { .code = "7K3QM", .name = (char *) "Büro 12", .facts = (GStrv) facts };
  g_autoptr (GBytes) recovery = bytes ("sealed");
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = NULL;
  g_autoptr (FloeEnrolRequest) again = NULL;

  memset (request.key, 7, sizeof request.key);
  memset (request.nonce, 9, sizeof request.nonce);
  request.recovery = recovery;
  body = floe_enrol_request_write (&request, &error);
  g_assert_no_error (error);
  again = floe_enrol_request_parse (body, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->code, ==, "7K3QM");
  g_assert_cmpmem (again->key, sizeof again->key, request.key, sizeof request.key);
  g_assert_cmpmem (again->nonce, sizeof again->nonce, request.nonce, sizeof request.nonce);
  g_assert_cmpstr (again->name, ==, "Büro 12");
  g_assert_true (g_strv_equal (facts, (const char *const *) again->facts));
  g_assert_true (g_bytes_equal (recovery, again->recovery));
  request.name = (char *) "";
  g_assert_null (floe_enrol_request_write (&request, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
}

static void
test_bad_requests (void)
{
  static const char *const bad[] = {
    "", "x", "[]", "null", "{}", HEAD "}", WHOLE, WHOLE ",\"more\":1}", WHOLE ",\"recovery\":\"\"}", WHOLE ",\"recovery\":\"0\"}",
    WHOLE ",\"recovery\":\"FF\"}", WHOLE ",\"recovery\":null}", WHOLE "}x", HEAD ",\"name\":\"\",\"facts\":{}}", HEAD ",\"name\":7,\"facts\":{}}",
    HEAD ",\"name\":\"a\\u0007\",\"facts\":{}}", HEAD ",\"name\":\"pc\",\"facts\":[]}", HEAD ",\"name\":\"pc\",\"facts\":{\"a b\":\"\"}}",
    HEAD ",\"name\":\"pc\",\"facts\":{\"a\":{}}}", HEAD ",\"name\":\"pc\",\"facts\":{\"a\":\"\",\"a\":\"\"}}",
    "{\"floe\":2,\"code\":\"7K3QM\",\"key\":\"" ZEROS "\",\"nonce\":\"" ZEROS "\",\"name\":\"pc\",\"facts\":{}}",
    "{\"floe\":1,\"code\":\"7K3Q\",\"key\":\"" ZEROS "\",\"nonce\":\"" ZEROS "\",\"name\":\"pc\",\"facts\":{}}",
    "{\"floe\":1,\"code\":\"7K3QM\",\"key\":\"00\",\"nonce\":\"" ZEROS "\",\"name\":\"pc\",\"facts\":{}}",
    "{\"floe\":1,\"code\":\"7K3QM\",\"key\":\"" ZEROS "\",\"nonce\":\"" ZEROS "0\",\"name\":\"pc\",\"facts\":{}}",
  };
  g_autofree char *large = g_strnfill (FLOE_ENROL_REQUEST_MAX + 1, ' ');
  g_autoptr (GBytes) over = bytes (large), whole = bytes (WHOLE "}");
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeEnrolRequest) good = floe_enrol_request_parse (whole, &error);

  g_assert_no_error (error);
  g_assert_nonnull (good);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) body = bytes (bad[i]);
    g_autoptr (GError) problem = NULL;

    g_test_message ("%s", bad[i]);
    g_assert_null (floe_enrol_request_parse (body, &problem));
    g_assert_error (problem, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  g_assert_null (floe_enrol_request_parse (over, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

static void
test_answers (void)
{
  static const char *const bad[] = {
    "", "{}", "{\"floe\":1}", "{\"floe\":1,\"refused\":\"\"}", "{\"floe\":1,\"refused\":\"other\"}", "{\"floe\":1,\"refused\":\"code\",\"group\":\"x\"}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdeg\",\"group\":\"office\",\"time\":1}", "{\"floe\":1,\"endpoint\":\"0123456789abcdef0\",\"group\":\"office\",\"time\":1}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"group\":\"../x\",\"time\":1}", "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"group\":\"office\",\"time\":-1}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"group\":\"office\",\"time\":1,\"pin\":\"x\"}", "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"group\":\"\",\"time\":1}",
  };
  FloeEnrolAnswer answer = { .id = "0123456789abcdef", .group = "office", .time = 1800000000 }, again;
  g_autoptr (GBytes) body = floe_enrol_answer_write (&answer), hello = floe_enrol_hello_write (1800000000);
  gint64 now = 0;

  g_assert_true (floe_enrol_answer_parse (body, &again, NULL));
  g_assert_cmpmem (&again, sizeof again, &answer, sizeof answer);
  for (FloeEnrolRefusal refusal = FLOE_ENROL_REFUSED_CODE; refusal <= FLOE_ENROL_REFUSED_BUSY; refusal++) {
    const FloeEnrolAnswer refused = { .refused = refusal };
    g_autoptr (GBytes) written = floe_enrol_answer_write (&refused);

    g_assert_true (floe_enrol_answer_parse (written, &again, NULL));
    g_assert_cmpint (again.refused, ==, refusal);
  }
  g_assert_true (floe_enrol_hello_parse (hello, &now, NULL));
  g_assert_cmpint (now, ==, 1800000000);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) text = bytes (bad[i]);

    g_test_message ("%s", bad[i]);
    g_assert_false (floe_enrol_answer_parse (text, &again, NULL));
    g_assert_false (floe_enrol_hello_parse (text, &now, NULL));
  }
}

/* -- Proofs --------------------------------------------------------------------------------------------------------- */

/* By another implementation: Python's hmac and hashlib, and the cryptography library. */
static void
test_vectors (void)
{
  static const char signature[] = "cad937be8615ab121aab269319c96d6ad3a4f639919e28a55e0bded3c570b1da86ab9009f368ca91db00cf13f4475c6943f856d9f88230b2fca31e8ab061970e";
  g_autoptr (GBytes) request = bytes ("{\"floe\":1}"), answer = bytes ("{\"floe\":1,\"time\":2}");
  g_autofree char *signed_by_us = NULL;
  uint8_t private_half[FLOE_ENROL_KEY_SIZE], public_half[FLOE_ENROL_KEY_SIZE];
  char id[FLOE_ENROL_ID_SIZE];
  FloeDigest key, server, proof;

  get_key (&key, &server);
  floe_enrol_request_proof (&key, &server, request, &proof);
  g_assert_true (floe_enrol_proof_is (&proof, "dce9a15329ecf005f506023898e49e6b25368621c43615158735deda52235667"));
  g_assert_false (floe_enrol_proof_is (&proof, "dce9a15329ecf005f506023898e49e6b25368621c43615158735deda52235666"));
  g_assert_false (floe_enrol_proof_is (&proof, "DCE9A15329ecf005f506023898e49e6b25368621c43615158735deda52235667"));
  g_assert_false (floe_enrol_proof_is (&proof, "dce9a153"));
  g_assert_false (floe_enrol_proof_is (&proof, ""));
  g_assert_false (floe_enrol_proof_is (&proof, NULL));
  floe_enrol_answer_proof (&key, &server, request, answer, &proof);
  g_assert_true (floe_enrol_proof_is (&proof, "17aa145caa47bcb0ae9e1acac268871b244869e965e11888f5e8f47a4ef807cb"));
  memcpy (private_half, server.bytes, sizeof private_half);
  g_assert_true (floe_hex_decode ("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", public_half, sizeof public_half));
  signed_by_us = floe_enrol_sign (private_half, &server, request, NULL);
  g_assert_cmpstr (signed_by_us, ==, signature);
  g_assert_true (floe_enrol_signature_is (public_half, &server, request, signature));
  g_assert_false (floe_enrol_signature_is (private_half, &server, request, signature));
  g_assert_false (floe_enrol_signature_is (public_half, &key, request, signature));
  g_assert_false (floe_enrol_signature_is (public_half, &server, answer, signature));
  g_assert_false (floe_enrol_signature_is (public_half, &server, request, NULL));
  g_assert_false (floe_enrol_signature_is (public_half, &server, request, "00"));
  floe_enrol_endpoint_id (public_half, id);
  g_assert_cmpstr (id, ==, "56475aa75463474c");
}

/* Each input of a proof, changed by a bit, gives another one; the two kinds are never each other. */
static void
test_binding (void)
{
  g_autoptr (GBytes) request = bytes ("request"), other = bytes ("requesT"), answer = bytes ("answer");
  FloeDigest key, server, changed, proof, with;

  get_key (&key, &server);
  floe_enrol_answer_proof (&key, &server, request, answer, &proof);
  for (size_t bit = 0; bit < 8 * FLOE_DIGEST_SIZE; bit++) {
    changed = server;
    changed.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    floe_enrol_answer_proof (&key, &changed, request, answer, &with);
    g_assert_false (floe_digest_equal (&proof, &with));
    changed = key;
    changed.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    floe_enrol_answer_proof (&changed, &server, request, answer, &with);
    g_assert_false (floe_digest_equal (&proof, &with));
  }
  floe_enrol_answer_proof (&key, &server, other, answer, &with);
  g_assert_false (floe_digest_equal (&proof, &with));
  floe_enrol_answer_proof (&key, &server, answer, request, &with);
  g_assert_false (floe_digest_equal (&proof, &with));
  floe_enrol_request_proof (&key, &server, request, &with);
  g_assert_false (floe_digest_equal (&proof, &with));
}

static void
test_seal (void)
{
  g_autofree char *large = g_strnfill (FLOE_ENROL_SEALED_MAX, 'x');
  g_autoptr (GBytes) sealed = NULL, again = NULL, opened = NULL;
  FloeDigest key, server;
  gsize size;
  const uint8_t *data;

  get_key (&key, &server);
  sealed = floe_enrol_seal (&key, "secret", 6, NULL);
  again = floe_enrol_seal (&key, "secret", 6, NULL);
  g_assert_false (g_bytes_equal (sealed, again));
  opened = floe_enrol_unseal (&key, sealed, NULL);
  g_assert_cmpmem (g_bytes_get_data (opened, NULL), g_bytes_get_size (opened), "secret", 6);
  g_assert_null (floe_enrol_unseal (&server, sealed, NULL));
  g_assert_null (floe_enrol_seal (&key, large, FLOE_ENROL_SEALED_MAX, NULL));
  data = g_bytes_get_data (sealed, &size);
  for (gsize i = 0; i < size; i++) {
    g_autofree uint8_t *copy = g_memdup2 (data, size);
    g_autoptr (GBytes) flipped = NULL, cut = g_bytes_new (data, i);
    g_autoptr (GError) error = NULL;

    copy[i] ^= 1;
    flipped = g_bytes_new (copy, size);
    g_assert_null (floe_enrol_unseal (&key, flipped, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
    g_assert_null (floe_enrol_unseal (&key, cut, NULL));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/enrol/request", test_request);
  g_test_add_func ("/enrol/bad-requests", test_bad_requests);
  g_test_add_func ("/enrol/answers", test_answers);
  g_test_add_func ("/enrol/vectors", test_vectors);
  g_test_add_func ("/enrol/binding", test_binding);
  g_test_add_func ("/enrol/seal", test_seal);
  return g_test_run ();
}
