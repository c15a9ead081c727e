/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-code.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The value of a character as people type it, or -1. */
static int
value_of (char c)
{
  const char *at;

  c = g_ascii_toupper (c);
  if (c == 'O')
    c = '0';
  if (c == 'I' || c == 'L')
    c = '1';
  at = c == '\0' ? NULL : strchr (alphabet, c);
  return at != NULL ? (int) (at - alphabet) : -1;
}

/* Times x in GF(32) = GF(2)[x] / (x^5 + x^2 + 1), where x has order 31: the weights of twenty places all differ. */
static unsigned
times_x (unsigned value)
{
  value <<= 1;
  return (value & 32) != 0 ? value ^ 37 : value;
}

/* The sum of VALUES, the last of them weighing one. Zero for a whole code that is right. */
static unsigned
weigh (const uint8_t *values, size_t count)
{
  unsigned sum = 0;

  for (size_t i = 0; i < count; i++)
    sum = times_x (sum) ^ values[i];
  return sum;
}

gboolean
floe_code_make (FloeCode *code, GError **error)
{
  uint8_t values[FLOE_CODE_CHARS];

  if (RAND_bytes (values, FLOE_CODE_CHARS - 1) != 1)
    return floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL has no random bytes");
  for (size_t i = 0; i < FLOE_CODE_CHARS - 1; i++)
    values[i] &= 31;
  values[FLOE_CODE_CHARS - 1] = (uint8_t) times_x (weigh (values, FLOE_CODE_CHARS - 1));
  for (size_t i = 0; i < FLOE_CODE_CHARS; i++)
    code->text[i] = alphabet[values[i]];
  code->text[FLOE_CODE_CHARS] = '\0';
  OPENSSL_cleanse (values, sizeof values);
  return TRUE;
}

gboolean
floe_code_parse (const char *text, FloeCode *code, GError **error)
{
  uint8_t values[FLOE_CODE_CHARS];
  size_t count = 0;

  for (const char *at = text; *at != '\0'; at++) {
    int value = value_of (*at);

    if (*at == '-' || *at == ' ')
      continue;
    if (value < 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "the code has a character that no code has: only letters (no U) and digits are used");
    if (count < FLOE_CODE_CHARS)
      values[count] = (uint8_t) value;
    count++;
  }
  if (count != FLOE_CODE_CHARS)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a code has %d letters and digits, %zu were typed", FLOE_CODE_CHARS, count);
  if (weigh (values, FLOE_CODE_CHARS) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a character of the code is mistyped: look at it again");
  for (size_t i = 0; i < FLOE_CODE_CHARS; i++)
    code->text[i] = alphabet[values[i]];
  code->text[FLOE_CODE_CHARS] = '\0';
  return TRUE;
}

static char *
group (const char *characters)
{
  GString *shown = g_string_new (NULL);

  for (size_t i = 0; characters[i] != '\0'; i++) {
    if (i > 0 && i % FLOE_CODE_GROUP == 0)
      g_string_append_c (shown, '-');
    g_string_append_c (shown, characters[i]);
  }
  return g_string_free (shown, FALSE);
}

char *
floe_code_show (const FloeCode *code)
{
  return group (code->text);
}

char *
floe_code_group (const char *text)
{
  char taken[FLOE_CODE_CHARS + 1];
  size_t count = 0;

  for (const char *at = text; *at != '\0' && count < FLOE_CODE_CHARS; at++)
    if (value_of (*at) >= 0)
      taken[count++] = alphabet[value_of (*at)];
  taken[count] = '\0';
  return group (taken);
}

void
floe_code_id (const FloeCode *code, char id[FLOE_CODE_ID_CHARS + 1])
{
  memcpy (id, code->text, FLOE_CODE_ID_CHARS);
  id[FLOE_CODE_ID_CHARS] = '\0';
}

gboolean
floe_code_id_is_valid (const char *id)
{
  return strspn (id, alphabet) == FLOE_CODE_ID_CHARS && id[FLOE_CODE_ID_CHARS] == '\0';
}

gboolean
floe_code_key (const FloeCode *code, FloeDigest *key, GError **error)
{
  static const char label[] = "floe enrol 1 ";
  char salt[sizeof label - 1 + FLOE_CODE_ID_CHARS];

  memcpy (salt, label, sizeof label - 1);
  memcpy (salt + sizeof label - 1, code->text, FLOE_CODE_ID_CHARS);
  return PKCS5_PBKDF2_HMAC (code->text + FLOE_CODE_ID_CHARS, FLOE_CODE_CHARS - FLOE_CODE_ID_CHARS, (const unsigned char *) salt,
                            sizeof salt, FLOE_CODE_ITERATIONS, EVP_sha256 (), FLOE_DIGEST_SIZE, key->bytes) == 1 ||
         floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL has no working PBKDF2");
}
