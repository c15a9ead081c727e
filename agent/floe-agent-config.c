/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent-config.h"

#include "common/floe-fd.h"

#include <string.h>

#define CONFIG_MAX_BYTES 65536
#define VALUE_MAX_BYTES 1024
#define GROUP_MAX_BYTES 64
#define PIN_PREFIX "sha256//"
#define PIN_BYTES 32
#define UID_BASE_DEFAULT 630000
/* Below are people and system users, above are uids that a 32-bit signed field somewhere would spoil. */
#define UID_BASE_MIN 1000
#define UID_BASE_MAX (G_MAXINT32 - 2 * (gint64) FLOE_AGENT_SLOTS)

typedef struct {
  GKeyFile *file;
  const char *source;
  GError **error; /* set by the first mistake */
  gboolean failed;
} Reader;

static void refuse (Reader *reader, const char *group, const char *key, const char *format, ...) G_GNUC_PRINTF (4, 5);

static void
refuse (Reader *reader, const char *group, const char *key, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list arguments;

  if (reader->failed)
    return;
  va_start (arguments, format);
  what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  floe_error_set (reader->error, FLOE_ERROR_INVALID, "%s: [%s] %s: %s", reader->source, group, key, what);
  reader->failed = TRUE;
}

/* The value of KEY, or a copy of FALLBACK; a mistake when both are missing. */
static char *
take (Reader *reader, const char *group, const char *key, const char *fallback)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *value = NULL;

  if (!g_key_file_has_key (reader->file, group, key, NULL)) {
    if (fallback == NULL)
      refuse (reader, group, key, "is missing");
    return g_strdup (fallback);
  }
  value = g_key_file_get_string (reader->file, group, key, &problem);
  if (value == NULL)
    refuse (reader, group, key, "%s", problem->message);
  else if (*value == '\0' || strlen (value) > VALUE_MAX_BYTES)
    refuse (reader, group, key, "1 to %d bytes wanted", VALUE_MAX_BYTES);
  return g_steal_pointer (&value);
}

static void
refuse_unknown (Reader *reader, const char *group, const char *const *known)
{
  g_auto (GStrv) keys = g_key_file_get_keys (reader->file, group, NULL, NULL);

  for (char **key = keys; key != NULL && *key != NULL; key++)
    if (!g_strv_contains (known, *key))
      refuse (reader, group, *key, "unknown key");
}

static void
check_url (Reader *reader, char *url)
{
  g_autoptr (GUri) uri = NULL;

  if (reader->failed)
    return;
  uri = g_uri_parse (url, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL || strcmp (g_uri_get_scheme (uri), "https") != 0 || g_uri_get_host (uri) == NULL ||
      *g_uri_get_host (uri) == '\0' || g_uri_get_userinfo (uri) != NULL || g_uri_get_query (uri) != NULL ||
      g_uri_get_fragment (uri) != NULL ||
      (strcmp (g_uri_get_path (uri), "") != 0 && strcmp (g_uri_get_path (uri), "/") != 0)) {
    refuse (reader, "server", "url", "https://HOST:PORT wanted, not '%s'", url);
    return;
  }
  if (g_str_has_suffix (url, "/"))
    url[strlen (url) - 1] = '\0';
}

static void
check_pin (Reader *reader, const char *pin)
{
  g_autofree guchar *raw = NULL;
  g_autofree char *again = NULL;
  gsize size = 0;

  if (reader->failed)
    return;
  if (g_str_has_prefix (pin, PIN_PREFIX)) {
    raw = g_base64_decode (pin + strlen (PIN_PREFIX), &size);
    again = g_base64_encode (raw, size);
  }
  /* GLib's decoder passes over what it does not know: only the round trip proves that nothing was. */
  if (size != PIN_BYTES || strcmp (again, pin + strlen (PIN_PREFIX)) != 0)
    refuse (reader, "server", "pin", "sha256//BASE64 of 32 bytes wanted (floe-server --print-pin), not '%s'", pin);
}

static void
check_path (Reader *reader, const char *group, const char *key, const char *path)
{
  if (!reader->failed && *path != '/')
    refuse (reader, group, key, "an absolute path wanted, not '%s'", path);
}

/* Whose endpoint this is. */
static void
read_server (Reader *reader, FloeAgentConfig *config)
{
  config->url = take (reader, "server", "url", NULL);
  check_url (reader, config->url);
  config->pin = take (reader, "server", "pin", NULL);
  check_pin (reader, config->pin);
  config->group = take (reader, "endpoint", "group", NULL);
  if (!reader->failed && (!floe_name_is_safe (config->group) || strlen (config->group) > GROUP_MAX_BYTES))
    refuse (reader, "endpoint", "group", "1 to %d of A-Z a-z 0-9 . _ - wanted, not starting with a dot", GROUP_MAX_BYTES);
}

static gboolean
says_server (Reader *reader)
{
  return g_key_file_has_key (reader->file, "server", "url", NULL) || g_key_file_has_key (reader->file, "server", "pin", NULL) ||
         g_key_file_has_key (reader->file, "endpoint", "group", NULL);
}

static void
read_config (Reader *reader, FloeAgentConfig *config)
{
  g_autofree char *uid_base = take (reader, "host", "uid_base", G_STRINGIFY (UID_BASE_DEFAULT));
  gint64 number;

  if (says_server (reader))
    read_server (reader, config);
  config->state = take (reader, "paths", "state", "/var/lib/floe");
  config->run = take (reader, "paths", "run", "/run/floe");
  config->root = take (reader, "paths", "root", "/usr/share/floe/root.json");
  config->address_file = take (reader, "setup", "address_file", "/boot/floe.conf");
  check_path (reader, "paths", "state", config->state);
  check_path (reader, "paths", "run", config->run);
  check_path (reader, "paths", "root", config->root);
  check_path (reader, "setup", "address_file", config->address_file);
  if (reader->failed)
    return;
  config->channel = g_key_file_get_string (reader->file, "appliance", "channel", NULL);
  if (config->channel != NULL && !floe_name_is_safe (config->channel))
    refuse (reader, "appliance", "channel", "1 to 128 of A-Z a-z 0-9 . _ - wanted, not starting with a dot");
  if (!g_ascii_string_to_signed (uid_base, 10, UID_BASE_MIN, UID_BASE_MAX, &number, NULL))
    refuse (reader, "host", "uid_base", "%d to %" G_GINT64_FORMAT " wanted, not '%s'", UID_BASE_MIN, UID_BASE_MAX, uid_base);
  else
    config->uid_base = (uid_t) number;
}

static gboolean
load (GKeyFile *file, const char *text, size_t size, const char *source, GError **error)
{
  g_autoptr (GError) problem = NULL;

  if (size > CONFIG_MAX_BYTES)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: %zu bytes, %d at most", source, size, CONFIG_MAX_BYTES);
  if (!g_utf8_validate (text, (gssize) size, NULL) || memchr (text, '\0', size) != NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: not UTF-8 text", source);
  return size == 0 || g_key_file_load_from_data (file, text, size, G_KEY_FILE_NONE, &problem) ||
         floe_error_set (error, FLOE_ERROR_INVALID, "%s: %s", source, problem->message);
}

FloeAgentConfig *
floe_agent_config_parse (const char *text, size_t size, const char *source, GError **error)
{
  static const char *const server[] = { "url", "pin", NULL };
  static const char *const endpoint[] = { "group", NULL };
  static const char *const paths[] = { "state", "run", "root", NULL };
  static const char *const setup[] = { "address_file", NULL };
  static const char *const appliance[] = { "channel", "boot", NULL };
  g_autoptr (FloeAgentConfig) config = g_new0 (FloeAgentConfig, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  Reader reader = { file, source, error, FALSE };

  if (!load (file, text, size, source, error))
    return NULL;
  refuse_unknown (&reader, "server", server);
  refuse_unknown (&reader, "endpoint", endpoint);
  refuse_unknown (&reader, "paths", paths);
  refuse_unknown (&reader, "setup", setup);
  refuse_unknown (&reader, "appliance", appliance);
  read_config (&reader, config);
  return reader.failed ? NULL : g_steal_pointer (&config);
}

gboolean
floe_agent_config_adopt (FloeAgentConfig *config, const char *text, size_t size, const char *source, GError **error)
{
  static const char *const server[] = { "url", "pin", NULL };
  static const char *const endpoint[] = { "group", "id", NULL };
  g_autoptr (FloeAgentConfig) read = g_new0 (FloeAgentConfig, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  Reader reader = { file, source, error, FALSE };

  if (!load (file, text, size, source, error))
    return FALSE;
  refuse_unknown (&reader, "server", server);
  refuse_unknown (&reader, "endpoint", endpoint);
  read_server (&reader, read);
  read->id = take (&reader, "endpoint", "id", NULL);
  if (!reader.failed && !floe_name_is_safe (read->id))
    refuse (&reader, "endpoint", "id", "the id that the server gave wanted");
  if (reader.failed)
    return FALSE;
  config->url = g_steal_pointer (&read->url);
  config->pin = g_steal_pointer (&read->pin);
  config->group = g_steal_pointer (&read->group);
  config->id = g_steal_pointer (&read->id);
  return TRUE;
}

char *
floe_agent_config_enrolment (const char *url, const char *pin, const char *group, const char *id)
{
  return g_strdup_printf ("# Written when this endpoint enrolled.\n[server]\nurl=%s\npin=%s\n[endpoint]\ngroup=%s\nid=%s\n", url, pin, group, id);
}

void
floe_agent_config_free (FloeAgentConfig *config)
{
  if (config == NULL)
    return;
  g_free (config->url);
  g_free (config->pin);
  g_free (config->group);
  g_free (config->id);
  g_free (config->address_file);
  g_free (config->state);
  g_free (config->run);
  g_free (config->root);
  g_free (config->channel);
  g_free (config);
}

gboolean
floe_agent_config_is_plugin (const FloeAgentConfig *config, uid_t uid)
{
  return uid >= config->uid_base && uid - config->uid_base < 2 * FLOE_AGENT_SLOTS && (uid - config->uid_base) % 2 == 1;
}
