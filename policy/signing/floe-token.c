/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OpenSSL 3 prefers providers; Debian 12 ships only the engine for PKCS#11, so both are tried. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "policy/signing/floe-token.h"

#include "policy/signing/floe-signer.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>
#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

typedef struct {
  FloePassphrase *passphrase;
  gboolean answered;
  GError *error;
} Asked;

/* UI (OpenSSL's questions) answered with the passphrase as the token's PIN. Once: a second question means that the PIN was wrong,
 * and a token locks itself after a few. */
static int
answer (UI *ui, UI_STRING *question)
{
  Asked *asked = UI_get0_user_data (ui);
  const char *text;

  if (UI_get_string_type (question) != UIT_PROMPT && UI_get_string_type (question) != UIT_VERIFY)
    return 1;
  if (asked->error != NULL)
    return 0;
  if (asked->answered)
    return floe_error_set (&asked->error, FLOE_ERROR_UNVERIFIED, "the token refused the PIN; it was not tried again");
  asked->answered = TRUE;
  text = floe_passphrase_get (asked->passphrase, "the token (PIN)", FALSE, &asked->error);
  return text != NULL && UI_set_result (ui, question, text) == 0;
}

static EVP_PKEY *
open_with_store (const char *uri, UI_METHOD *method, Asked *asked)
{
  OSSL_STORE_CTX *store = OSSL_STORE_open (uri, method, asked, NULL, NULL);
  EVP_PKEY *key = NULL;

  if (store == NULL)
    return NULL;
  OSSL_STORE_expect (store, OSSL_STORE_INFO_PKEY);
  while (key == NULL && !OSSL_STORE_eof (store)) {
    OSSL_STORE_INFO *info = OSSL_STORE_load (store);

    if (info == NULL && OSSL_STORE_error (store))
      break;
    if (info != NULL && OSSL_STORE_INFO_get_type (info) == OSSL_STORE_INFO_PKEY)
      key = OSSL_STORE_INFO_get1_PKEY (info);
    OSSL_STORE_INFO_free (info);
  }
  OSSL_STORE_close (store);
  return key;
}

#ifndef OPENSSL_NO_ENGINE
static EVP_PKEY *
open_with_engine (const char *uri, UI_METHOD *method, Asked *asked)
{
  ENGINE *engine;
  EVP_PKEY *key = NULL;

  ENGINE_load_dynamic ();
  engine = ENGINE_by_id ("pkcs11");
  if (engine == NULL)
    return NULL;
  if (ENGINE_init (engine)) {
    key = ENGINE_load_private_key (engine, uri, method, asked);
    ENGINE_finish (engine);
  }
  ENGINE_free (engine);
  return key;
}
#endif

EVP_PKEY *
floe_token_open (const char *uri, FloePassphrase *passphrase, GError **error)
{
  Asked asked = { passphrase, FALSE, NULL };
  UI_METHOD *method = NULL;
  EVP_PKEY *key = NULL;

  if (!g_str_has_prefix (uri, "pkcs11:")) {
    floe_error_set (error, FLOE_ERROR_INVALID, "'%s': a PKCS#11 URI (pkcs11:...) wanted", uri);
    return NULL;
  }
  method = UI_create_method ("floe");
  if (method != NULL && UI_method_set_reader (method, answer) == 0) {
    /* Loading fails where no such provider is installed; the store then simply has no reader for pkcs11:. */
    if (!OSSL_PROVIDER_available (NULL, "pkcs11") && OSSL_PROVIDER_try_load (NULL, "pkcs11", 1) == NULL)
      ERR_clear_error ();
    key = open_with_store (uri, method, &asked);
#ifndef OPENSSL_NO_ENGINE
    if (key == NULL && asked.error == NULL && !asked.answered)
      key = open_with_engine (uri, method, &asked);
#endif
  }
  UI_destroy_method (method);
  ERR_clear_error ();
  if (key == NULL && asked.error != NULL)
    g_propagate_error (error, g_steal_pointer (&asked.error));
  else if (key == NULL)
    floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                    "%s: OpenSSL opens no such key: is pkcs11-provider or libengine-pkcs11-openssl installed, the token in, "
                    "the PIN right? (docs/keys.md)",
                    uri);
  g_clear_error (&asked.error);
  return key;
}
