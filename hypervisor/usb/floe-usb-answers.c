/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-answers.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "hypervisor/usb/floe-usb.h"

#include <string.h>

#define FORM 1
#define PORT_MAX 32
/* "machine:ID:read-only" and 32 patterns of nine bytes with their commas. */
#define CHOICE_MAX 400

typedef struct {
  char *rule, *device, *port, *choice;
} Answer;

struct _FloeUsbAnswers {
  GPtrArray *list; /* of Answer, the oldest first */
};

static void
answer_free (gpointer data)
{
  Answer *answer = data;

  g_free (answer->rule);
  g_free (answer->device);
  g_free (answer->port);
  g_free (answer->choice);
  g_free (answer);
}

FloeUsbAnswers *
floe_usb_answers_new (void)
{
  FloeUsbAnswers *answers = g_new0 (FloeUsbAnswers, 1);

  answers->list = g_ptr_array_new_with_free_func (answer_free);
  return answers;
}

void
floe_usb_answers_free (FloeUsbAnswers *answers)
{
  if (answers == NULL)
    return;
  g_ptr_array_unref (answers->list);
  g_free (answers);
}

size_t
floe_usb_answers_count (const FloeUsbAnswers *answers)
{
  return answers->list->len;
}

/* -- Text ------------------------------------------------------------------------------------------------------------- */

static char *
read_device (FloeJson *value)
{
  const char *hex = floe_json_string (value, FLOE_DIGEST_HEX_SIZE);
  FloeDigest digest;

  if (!floe_digest_from_hex (hex, &digest, NULL))
    floe_json_refuse (value, "64 hexadecimal digits wanted");
  return g_strdup (hex);
}

static char *
read_filled (FloeJson *value, size_t max)
{
  const char *text = floe_json_string (value, max);

  if (value != NULL && *text == '\0')
    floe_json_refuse (value, "empty");
  return g_strdup (text);
}

static void
read_answer (FloeUsbAnswers *answers, FloeJson *object)
{
  Answer *answer = g_new0 (Answer, 1);

  answer->rule = read_filled (floe_json_member (object, "rule"), FLOE_POLICY_ID_MAX);
  answer->device = read_device (floe_json_member (object, "device"));
  answer->port = read_filled (floe_json_member (object, "port"), PORT_MAX);
  answer->choice = read_filled (floe_json_member (object, "choice"), CHOICE_MAX);
  if (floe_usb_answers_find (answers, answer->rule, answer->device, answer->port) != NULL)
    floe_json_refuse (object, "the second answer to one question");
  g_ptr_array_add (answers->list, answer);
}

FloeUsbAnswers *
floe_usb_answers_parse (GBytes *text, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (text, source, FLOE_USB_ANSWERS_MAX_BYTES, error);
  g_autoptr (FloeUsbAnswers) answers = NULL;
  FloeJson *root, *list;

  if (document == NULL)
    return NULL;
  answers = floe_usb_answers_new ();
  root = floe_json_root (document);
  (void)floe_json_int (floe_json_member (root, "floe"), FORM, FORM);
  list = floe_json_member (root, "answers");
  for (size_t i = 0, n = floe_json_length (list, FLOE_USB_ANSWERS_MAX); i < n; i++)
    read_answer (answers, floe_json_at (list, i));
  if (!floe_json_finish (document, error))
    return NULL;
  return g_steal_pointer (&answers);
}

GBytes *
floe_usb_answers_build (const FloeUsbAnswers *answers)
{
  json_t *list = json_array (), *root = json_pack ("{s:i,s:o}", "floe", FORM, "answers", list);
  GBytes *bytes;
  char *text;

  for (guint i = 0; i < answers->list->len; i++) {
    const Answer *answer = g_ptr_array_index (answers->list, i);

    json_array_append_new (list, json_pack ("{s:s,s:s,s:s,s:s}", "rule", answer->rule, "device", answer->device, "port",
                                            answer->port, "choice", answer->choice));
  }
  text = json_dumps (root, JSON_INDENT (1));
  bytes = g_bytes_new (text, strlen (text));
  free (text);
  json_decref (root);
  return bytes;
}

/* -- File ------------------------------------------------------------------------------------------------------------- */

FloeUsbAnswers *
floe_usb_answers_load (int dir, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) text = floe_file_read_at (dir, FLOE_USB_ANSWERS_FILE, FLOE_USB_ANSWERS_MAX_BYTES, &local);

  if (text != NULL)
    return floe_usb_answers_parse (text, FLOE_USB_ANSWERS_FILE, error);
  if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return floe_usb_answers_new ();
  g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

gboolean
floe_usb_answers_save (const FloeUsbAnswers *answers, int dir, GError **error)
{
  g_autoptr (GBytes) text = floe_usb_answers_build (answers);
  gsize size;
  const void *data = g_bytes_get_data (text, &size);

  return floe_file_replace_at (dir, FLOE_USB_ANSWERS_FILE, data, size, 0600, error);
}

/* -- Answers ---------------------------------------------------------------------------------------------------------- */

static Answer *
find (const FloeUsbAnswers *answers, const char *rule, const char *device, const char *port, guint *index)
{
  for (guint i = 0; i < answers->list->len; i++) {
    Answer *answer = g_ptr_array_index (answers->list, i);

    if (strcmp (answer->rule, rule) == 0 && strcmp (answer->device, device) == 0 && strcmp (answer->port, port) == 0) {
      *index = i;
      return answer;
    }
  }
  return NULL;
}

const char *
floe_usb_answers_find (const FloeUsbAnswers *answers, const char *rule, const char *device, const char *port)
{
  guint index;
  const Answer *answer = find (answers, rule, device, port, &index);

  return answer == NULL ? NULL : answer->choice;
}

void
floe_usb_answers_put (FloeUsbAnswers *answers, const char *rule, const char *device, const char *port, const char *choice)
{
  Answer *answer = g_new0 (Answer, 1);
  guint index;

  if (find (answers, rule, device, port, &index) != NULL)
    g_ptr_array_remove_index (answers->list, index);
  if (answers->list->len >= FLOE_USB_ANSWERS_MAX)
    g_ptr_array_remove_index (answers->list, 0);
  answer->rule = g_strdup (rule);
  answer->device = g_strdup (device);
  answer->port = g_strdup (port);
  answer->choice = g_strdup (choice);
  g_ptr_array_add (answers->list, answer);
}

static gboolean
still_asked (const Answer *answer, const FloePolicyContent *content)
{
  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];

    if (strcmp (rule->id, answer->rule) != 0)
      continue;
    if (rule->action != FLOE_POLICY_USB_ASK || rule->remember != FLOE_POLICY_USB_REMEMBER_DEVICE)
      return FALSE;
    if (strcmp (answer->choice, "block") == 0)
      return TRUE;
    for (size_t k = 0; k < rule->n_answers; k++) {
      g_autofree char *label = floe_usb_grant_label (&rule->answers[k]);

      if (strcmp (label, answer->choice) == 0)
        return TRUE;
    }
  }
  return FALSE;
}

gboolean
floe_usb_answers_prune (FloeUsbAnswers *answers, const FloePolicyContent *content)
{
  guint before = answers->list->len;

  for (guint i = before; i-- > 0;)
    if (!still_asked (g_ptr_array_index (answers->list, i), content))
      g_ptr_array_remove_index (answers->list, i);
  return answers->list->len != before;
}
