/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-code.h"

#include <string.h>

#define CODE "7K3QMABCDEFGHJKMNPQF"
#define SHOWN "7K3QM-ABCDE-FGHJK-MNPQF"

static void
test_typed (void)
{
  static const char *const typed[] = {
    CODE, SHOWN, "7k3qm-abcde-fghjk-mnpqf", "  7K3QM ABCDE FGHJK MNPQF ", "7-K-3-Q-M-A-B-C-D-E-F-G-H-J-K-M-N-P-Q-F",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (typed); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *shown = NULL;
    FloeCode code;

    g_assert_true (floe_code_parse (typed[i], &code, &error));
    g_assert_no_error (error);
    g_assert_cmpstr (code.text, ==, CODE);
    shown = floe_code_show (&code);
    g_assert_cmpstr (shown, ==, SHOWN);
  }
}

static void
test_refused (void)
{
  static const struct {
    const char *text, *says;
  } bad[] = {
    { "", "0 were typed" },
    { "7K3QM-ABCDE-FGHJK-MNPQ", "19 were typed" },
    { SHOWN "0", "21 were typed" },
    { "7K3QM-ABCDE-FGHJK-MNPQU", "no code has" },
    { "7K3QM_ABCDE-FGHJK-MNPQF", "no code has" },
    { "7K3QM-ABCDE-FGHJK-MNPQ\xc3\xa9", "no code has" },
    { "7K3QM-ABCDE-FGHJK-MNPQ0", "mistyped" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    FloeCode code = { "untouched" };

    g_assert_false (floe_code_parse (bad[i].text, &code, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpstr (code.text, ==, "untouched");
    if (strstr (error->message, bad[i].says) == NULL)
      g_error ("'%s' does not say '%s'", error->message, bad[i].says);
  }
}

/* Every single wrong character, and every two that changed places, are found; what looks alike is the same. */
static void
test_check (void)
{
  static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  char text[] = CODE;
  FloeCode code;

  for (size_t place = 0; place < FLOE_CODE_CHARS; place++) {
    char right = text[place];

    for (const char *other = alphabet; *other != '\0'; other++) {
      text[place] = *other;
      g_assert_true (floe_code_parse (text, &code, NULL) == (*other == right));
    }
    text[place] = right;
  }
  for (size_t a = 0; a < FLOE_CODE_CHARS; a++)
    for (size_t b = a + 1; b < FLOE_CODE_CHARS; b++) {
      char swapped[] = CODE;

      swapped[a] = text[b];
      swapped[b] = text[a];
      g_assert_true (floe_code_parse (swapped, &code, NULL) == (text[a] == text[b]));
    }
}

static void
test_made (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (unsigned i = 0; i < 1000; i++) {
    g_autofree char *mistaken = NULL;
    FloeCode code, again;
    char id[FLOE_CODE_ID_CHARS + 1];

    g_assert_true (floe_code_make (&code, NULL));
    g_assert_true (floe_code_parse (code.text, &again, NULL));
    g_assert_cmpstr (code.text, ==, again.text);
    g_assert_true (g_hash_table_add (seen, g_strdup (code.text)));
    floe_code_id (&code, id);
    g_assert_true (floe_code_id_is_valid (id));
    mistaken = g_strdup (code.text);
    for (char *at = mistaken; *at != '\0'; at++)
      *at = *at == '0' ? 'o' : *at == '1' ? (i % 2 == 0 ? 'l' : 'I') : *at;
    g_assert_true (floe_code_parse (mistaken, &again, NULL));
    g_assert_cmpstr (code.text, ==, again.text);
  }
}

static void
test_ids (void)
{
  g_assert_true (floe_code_id_is_valid ("7K3QM"));
  g_assert_false (floe_code_id_is_valid (""));
  g_assert_false (floe_code_id_is_valid ("7K3Q"));
  g_assert_false (floe_code_id_is_valid ("7K3QMA"));
  g_assert_false (floe_code_id_is_valid ("7k3qm"));
  g_assert_false (floe_code_id_is_valid ("7K3QU"));
}

/* By another implementation: Python's hashlib. */
static void
test_key (void)
{
  FloeDigest key;
  FloeCode code;
  char hex[FLOE_DIGEST_HEX_SIZE];

  g_assert_true (floe_code_parse (CODE, &code, NULL));
  g_assert_true (floe_code_key (&code, &key, NULL));
  floe_digest_to_hex (&key, hex);
  g_assert_cmpstr (hex, ==, "ded318163ae63fdebbd1e6824ab62db9eab37942307ce602d39aa842f6d4b913");
}

static void
test_typing (void)
{
  static const struct {
    const char *typed, *shown;
  } cases[] = {
    { "", "" },
    { "7k3q", "7K3Q" },
    { "7k3qm", "7K3QM" },
    { "7k3qma", "7K3QM-A" },
    { "7K3QM-", "7K3QM" },
    { " 7k3 qm-ab!?\xff\xc3\xa9u", "7K3QM-AB" },
    { "oOiIlL", "00111-1" },
    { SHOWN "more", SHOWN },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *shown = floe_code_group (cases[i].typed);

    g_assert_cmpstr (shown, ==, cases[i].shown);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/code/typed", test_typed);
  g_test_add_func ("/code/refused", test_refused);
  g_test_add_func ("/code/check", test_check);
  g_test_add_func ("/code/made", test_made);
  g_test_add_func ("/code/ids", test_ids);
  g_test_add_func ("/code/key", test_key);
  g_test_add_func ("/code/typing", test_typing);
  return g_test_run ();
}
