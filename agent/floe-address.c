/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-address.h"

#include "common/floe-fd.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#define SCHEME "https://"
#define FILE_MAX_BYTES 4096
#define SERVICE "_floe._tcp"
#define ANSWER_MAX 4096
#define RECORDS_MAX 64
#define LABELS_MAX 128
#define HEADER_SIZE 12
#define DNS_SECONDS 2
#define DNS_TRIES 2

/* -- What is typed -------------------------------------------------------------------------------------------------- */

static gboolean
is_host_name (const char *host)
{
  size_t length = strspn (host, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS ".-");

  return length > 0 && host[length] == '\0' && g_ascii_isalnum (host[0]) && g_ascii_isalnum (host[length - 1]) && strstr (host, "..") == NULL;
}

/* Cuts HOST and the port's digits ("" for none) out of TEXT. */
static gboolean
split (char *text, char **host, const char **port)
{
  char *end = *text == '[' ? strchr (text, ']') : NULL;

  *port = "";
  if (*text == '[') {
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return FALSE;
    *port = end[1] == ':' ? end + 2 : "";
    *host = text + 1;
    *end = '\0';
    return (end[1] != ':' || **port != '\0') && strchr (*host, ':') != NULL && strchr (*host, '%') == NULL && g_hostname_is_ip_address (*host);
  }
  end = strchr (text, ':');
  if (end != NULL) {
    *end = '\0';
    *port = end + 1;
    if (**port == '\0')
      return FALSE;
  }
  *host = text;
  return is_host_name (*host);
}

char *
floe_address_parse (const char *text, GError **error)
{
  g_autofree char *copy = strnlen (text, FLOE_ADDRESS_MAX + 1) > FLOE_ADDRESS_MAX ? g_strdup ("") : g_strstrip (g_strdup (text));
  char *start = g_ascii_strncasecmp (copy, SCHEME, strlen (SCHEME)) == 0 ? copy + strlen (SCHEME) : copy;
  const char *digits = "";
  char *host = NULL;
  guint64 port = FLOE_ADDRESS_PORT;
  gboolean six;

  if (g_str_has_suffix (start, "/"))
    start[strlen (start) - 1] = '\0';
  if (!split (start, &host, &digits) || (*digits != '\0' && !g_ascii_string_to_unsigned (digits, 10, 1, 65535, &port, NULL))) {
    floe_error_set (error, FLOE_ERROR_INVALID, "an address is a server's name, such as floe.example.org, and perhaps a colon and a port");
    return NULL;
  }
  six = strchr (host, ':') != NULL;
  return g_strdup_printf (SCHEME "%s%s%s:%u", six ? "[" : "", host, six ? "]" : "", (unsigned) port);
}

char *
floe_address_show (const char *url)
{
  static const char usual[] = ":" G_STRINGIFY (FLOE_ADDRESS_PORT);
  const char *start = g_str_has_prefix (url, SCHEME) ? url + strlen (SCHEME) : url;

  return g_strndup (start, strlen (start) - (g_str_has_suffix (start, usual) ? strlen (usual) : 0));
}

/* -- A file --------------------------------------------------------------------------------------------------------- */

static char *
address_of (GKeyFile *file)
{
  static const char *const known[] = { "url", "address", NULL };
  g_auto (GStrv) keys = g_key_file_get_keys (file, "server", NULL, NULL);
  char *address = NULL;

  for (char **key = keys; key != NULL && *key != NULL; key++) {
    /* A pin from where anybody can write says nothing: the code proves the server. */
    if (strcmp (*key, "pin") == 0)
      continue;
    if (!g_strv_contains (known, *key) || address != NULL) {
      g_free (address);
      return NULL;
    }
    address = g_key_file_get_string (file, "server", *key, NULL);
  }
  return address;
}

char *
floe_address_read_file (const char *path, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read (path, FILE_MAX_BYTES, error);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *address = NULL, *url = NULL;
  gsize size;
  const char *data;

  if (text == NULL)
    return NULL;
  data = g_bytes_get_data (text, &size);
  if (size > 0 && g_utf8_validate (data, (gssize) size, NULL) && memchr (data, '\0', size) == NULL &&
      g_key_file_load_from_data (file, data, size, G_KEY_FILE_NONE, NULL))
    address = address_of (file);
  if (address == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: [server] address=NAME or url=URL wanted, and no other key than pin", path);
    return NULL;
  }
  url = floe_address_parse (address, error);
  return url != NULL ? floe_address_show (url) : NULL;
}

/* -- The DNS -------------------------------------------------------------------------------------------------------- */

typedef struct {
  const uint8_t *data;
  size_t size;
  size_t at;
  gboolean bad; /* sticky: what follows reads as zero */
} Message;

static unsigned
take16 (Message *message)
{
  if (message->bad || message->size - message->at < 2) {
    message->bad = TRUE;
    return 0;
  }
  message->at += 2;
  return (unsigned) message->data[message->at - 2] << 8 | message->data[message->at - 1];
}

static void
skip (Message *message, size_t count)
{
  if (message->bad || message->size - message->at < count)
    message->bad = TRUE;
  else
    message->at += count;
}

/* Takes a name (RFC 1035, 4.1.4), in text into NAME if it is not NULL. A pointer must point before where the name began, so there are no circles. */
static void
take_name (Message *message, GString *name)
{
  size_t at = message->at, before = message->at, end = 0;

  for (unsigned labels = 0; !message->bad; labels++) {
    unsigned length = at < message->size ? message->data[at] : 0xff;

    if (at >= message->size || labels > LABELS_MAX) {
      message->bad = TRUE;
    } else if (length == 0) {
      message->at = end != 0 ? end : at + 1;
      return;
    } else if (length < 64 && message->size - at - 1 >= length) {
      if (name != NULL && name->len > 0)
        g_string_append_c (name, '.');
      if (name != NULL)
        g_string_append_len (name, (const char *) message->data + at + 1, length);
      at += 1 + length;
    } else if (length >= 192 && message->size - at >= 2) {
      size_t to = (size_t) (length & 63) << 8 | message->data[at + 1];

      end = end != 0 ? end : at + 2;
      message->bad = to >= before;
      at = before = to;
    } else {
      message->bad = TRUE;
    }
  }
}

typedef struct {
  unsigned priority, weight, port;
  char *host;
} Target;

/* The rest of a record of type SRV, up to END. */
static void
take_target (Message *message, size_t end, Target *best)
{
  g_autoptr (GString) host = g_string_new (NULL);
  Target target = { .priority = take16 (message) };

  target.weight = take16 (message);
  target.port = take16 (message);
  take_name (message, host);
  message->bad |= message->at != end;
  /* A NUL would hide what follows it. */
  if (message->bad || target.port == 0 || strlen (host->str) != host->len || host->len > 253 || !is_host_name (host->str))
    return;
  if (best->host != NULL &&
      (target.priority > best->priority || (target.priority == best->priority && target.weight <= best->weight)))
    return;
  g_free (best->host);
  *best = target;
  best->host = g_string_free (g_steal_pointer (&host), FALSE);
}

static void
take_record (Message *message, Target *best)
{
  unsigned type, class, length;

  take_name (message, NULL);
  type = take16 (message);
  class = take16 (message);
  skip (message, 4);
  length = take16 (message);
  if (message->bad || message->size - message->at < length)
    message->bad = TRUE;
  else if (type == ns_t_srv && class == ns_c_in)
    take_target (message, message->at + length, best);
  else
    skip (message, length);
}

char *
floe_address_parse_srv (const void *data, size_t size, GError **error)
{
  Message message = { .data = data, .size = size };
  Target best = { 0 };
  unsigned flags, questions, answers;
  g_autofree char *host = NULL, *url = NULL;

  skip (&message, 2);
  flags = take16 (&message);
  questions = take16 (&message);
  answers = take16 (&message);
  skip (&message, 4);
  if (message.bad || (flags & 0x8000) == 0 || questions > 1 || answers > RECORDS_MAX) {
    floe_error_set (error, FLOE_ERROR_INVALID, "no DNS answer");
    return NULL;
  }
  if (questions == 1) {
    take_name (&message, NULL);
    skip (&message, 4);
  }
  for (unsigned i = 0; i < answers && !message.bad; i++)
    take_record (&message, &best);
  host = best.host;
  if (message.bad) {
    floe_error_set (error, FLOE_ERROR_INVALID, "a DNS answer that is malformed");
    return NULL;
  }
  if (host == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the DNS names no server");
    return NULL;
  }
  url = g_strdup_printf (SCHEME "%s:%u", host, best.port);
  return floe_address_show (url);
}

char *
floe_address_ask_dns (GError **error)
{
  struct __res_state state = { 0 };
  uint8_t answer[ANSWER_MAX];
  int size;

  if (res_ninit (&state) < 0) {
    floe_error_set (error, FLOE_ERROR_IO, "no resolver");
    return NULL;
  }
  state.retrans = DNS_SECONDS;
  state.retry = DNS_TRIES;
  size = res_nsearch (&state, SERVICE, ns_c_in, ns_t_srv, answer, sizeof answer);
  res_nclose (&state);
  if (size < HEADER_SIZE) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the DNS names no server (" SERVICE " in the search domains)");
    return NULL;
  }
  /* The length of what was sent, which may be more than there was room for. */
  return floe_address_parse_srv (answer, MIN ((size_t) size, sizeof answer), error);
}
