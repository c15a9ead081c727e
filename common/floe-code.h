/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* The one-time code that an administrator hands to whoever sets up an endpoint: 20 characters of Crockford's base 32, typed by hand.
 *
 *   5 public ones (which code it is), 14 secret ones (70 bits), 1 that checks the others
 *
 * The secret never travels: both sides make a key of it, by PBKDF2 (RFC 8018), so that who records a proof and guesses pays for each guess.
 * The check is a sum over GF(32) with another weight for each place: one wrong character, or two that changed places, is found
 * where it is typed. */

#define FLOE_CODE_CHARS 20
#define FLOE_CODE_ID_CHARS 5
#define FLOE_CODE_GROUP 5 /* characters between hyphens */
#define FLOE_CODE_ITERATIONS 100000

typedef struct {
  char text[FLOE_CODE_CHARS + 1]; /* 0-9 A-Z without I, L, O, U */
} FloeCode;

/* A new one, of OpenSSL's random bytes. */
gboolean floe_code_make (FloeCode *code, GError **error) FLOE_WARN_UNUSED;
/* As people type it: either case, hyphens and blanks anywhere, I and L for 1, O for 0. INVALID, saying what is wrong. */
gboolean floe_code_parse (const char *text, FloeCode *code, GError **error) FLOE_WARN_UNUSED;
/* "ABCDE-FGHJK-MNPQR-STVWX", to be freed. */
char *floe_code_show (const FloeCode *code);
/* The public part, with a terminating NUL. */
void floe_code_id (const FloeCode *code, char id[FLOE_CODE_ID_CHARS + 1]);
/* Whether ID is of that form. */
gboolean floe_code_id_is_valid (const char *id);
/* What both sides hold: takes some hundredths of a second, on purpose. */
gboolean floe_code_key (const FloeCode *code, FloeDigest *key, GError **error) FLOE_WARN_UNUSED;

/* What is shown while TEXT is being typed: the characters that a code may have, upper case, in groups; at most a whole code. To be
 * freed. Pure; any bytes are taken. */
char *floe_code_group (const char *text);
