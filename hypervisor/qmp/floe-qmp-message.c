/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-message.h"

#include "hypervisor/qmp/floe-qmp-lines.h"

#define NAME_MAX_BYTES 128
#define DESCRIPTION_MAX_BYTES 4096

struct _FloeQmpMessage {
  FloeJsonDocument *document;
  FloeJson *payload;
  FloeQmpKind kind;
  guint64 id;
  char *text;
};

void
floe_qmp_message_free (FloeQmpMessage *message)
{
  if (message == NULL)
    return;
  floe_json_free (message->document);
  g_free (message->text);
  g_free (message);
}

/* Every command of ours carries a positive integer, which QEMU echoes. */
static guint64
read_id (FloeJson *root)
{
  FloeJson *value = floe_json_optional (root, "id");

  return value == NULL ? 0 : (guint64)floe_json_int (value, 1, G_MAXINT64);
}

static void
read_greeting (FloeQmpMessage *message, FloeJson *greeting)
{
  FloeJson *version = floe_json_member (greeting, "version");

  message->kind = FLOE_QMP_GREETING;
  floe_json_ignore_rest (greeting);
  floe_json_ignore_rest (version);
  if (!floe_json_is_object (version))
    floe_json_refuse (greeting, "a QMP greeting has a version");
}

/* Descriptions are prose, sometimes of several lines: made one line, since they end in logs and on the screen. */
static char *
read_description (FloeJson *value)
{
  json_t *raw = value == NULL ? NULL : floe_json_raw (value);
  char *text;

  if (!json_is_string (raw) || json_string_length (raw) > DESCRIPTION_MAX_BYTES) {
    floe_json_refuse (value, "a string of at most %d bytes wanted", DESCRIPTION_MAX_BYTES);
    return NULL;
  }
  text = g_strdup (json_string_value (raw));
  for (char *at = text; *at != '\0'; at++)
    if (g_ascii_iscntrl (*at))
      *at = ' ';
  return g_strstrip (text);
}

static void
read_failure (FloeQmpMessage *message, FloeJson *root, FloeJson *failure)
{
  message->kind = FLOE_QMP_FAILURE;
  message->id = read_id (root);
  message->text = read_description (floe_json_member (failure, "desc"));
  floe_json_ignore_rest (failure);
}

static void
read_event (FloeQmpMessage *message, FloeJson *root, FloeJson *event)
{
  message->kind = FLOE_QMP_EVENT;
  message->text = g_strdup (floe_json_string (event, NAME_MAX_BYTES));
  message->payload = floe_json_optional (root, "data");
}

static void
read_message (FloeQmpMessage *message, FloeJson *root)
{
  FloeJson *greeting = floe_json_optional (root, "QMP");
  FloeJson *payload = floe_json_optional (root, "return");
  FloeJson *failure = floe_json_optional (root, "error");
  FloeJson *event = floe_json_optional (root, "event");

  floe_json_ignore_rest (root);
  if ((greeting != NULL) + (payload != NULL) + (failure != NULL) + (event != NULL) != 1) {
    floe_json_refuse (root, "exactly one of QMP, return, error and event wanted");
  } else if (greeting != NULL) {
    read_greeting (message, greeting);
  } else if (failure != NULL) {
    read_failure (message, root, failure);
  } else if (event != NULL) {
    read_event (message, root, event);
  } else {
    message->kind = FLOE_QMP_REPLY;
    message->id = read_id (root);
    message->payload = payload;
  }
}

FloeQmpMessage *
floe_qmp_message_parse (GBytes *line, GError **error)
{
  g_autoptr (FloeQmpMessage) message = g_new0 (FloeQmpMessage, 1);
  FloeJson *root;

  message->document = floe_json_parse (line, "QMP", FLOE_QMP_LINE_MAX, error);
  if (message->document == NULL)
    return NULL;
  root = floe_json_root (message->document);
  read_message (message, root);
  /* The payload is for the reader of this kind of message to look at; it finishes again. */
  if (message->payload != NULL && floe_json_is_object (message->payload))
    floe_json_ignore_rest (message->payload);
  if (!floe_json_finish (message->document, error))
    return NULL;
  return g_steal_pointer (&message);
}

FloeQmpKind
floe_qmp_message_kind (const FloeQmpMessage *message)
{
  return message->kind;
}

guint64
floe_qmp_message_id (const FloeQmpMessage *message)
{
  return message->id;
}

const char *
floe_qmp_message_text (const FloeQmpMessage *message)
{
  return message->text;
}

FloeJson *
floe_qmp_message_payload (const FloeQmpMessage *message)
{
  return message->payload;
}

gboolean
floe_qmp_message_finish (FloeQmpMessage *message, GError **error)
{
  return floe_json_finish (message->document, error);
}
