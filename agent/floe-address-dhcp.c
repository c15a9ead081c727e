/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-address.h"

#include "common/floe-json.h"

#include <net/if.h>
#include <string.h>

/* Theory of operation: a private option has a meaning only where both sides agree on it, and the DHCP client is not ours but systemd-networkd.
 * Its configuration asks for the option (RequestOptions=); what came, it tells whoever asks on the bus, for all cards at once, as JSON
 * (systemd 256 and later; before that there is nothing, as if no server had sent it). Its lease files say the same, and of themselves that nobody
 * should parse them. So the agent needs no file, no right and no packet for this, only the bus that it is on already.
 *
 * The JSON is networkd's own and well-formed; the option's bytes in it are anybody's who answers DHCP on the cable. */

#define NETWORK "org.freedesktop.network1"
#define DESCRIPTION_MAX (1U << 20)
#define CARDS_MAX 1024
#define OPTIONS_MAX 64
#define SHOWN_MAX 64 /* bytes of a refused option in a message */
#define ASK_MILLISECONDS 3000

/* For a log: nothing in it that a terminal obeys, and nothing that the log would have to escape. */
static char *
shown (const guint8 *data, gsize size)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (gsize i = 0; i < MIN (size, SHOWN_MAX); i++)
    if (g_ascii_isprint ((char) data[i]) && data[i] != '\\' && data[i] != '"')
      g_string_append_c (text, (char) data[i]);
    else
      g_string_append_printf (text, "<%02x>", data[i]);
  if (size > SHOWN_MAX)
    g_string_append (text, "...");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* The bytes that HEX stands for, or NULL; SIZE is set either way. */
static guint8 *
from_hex (const char *hex, gsize *size)
{
  gsize length = strlen (hex);
  g_autofree guint8 *data = g_malloc (length / 2 + 1);

  *size = length / 2;
  for (gsize i = 0; i < length; i++) {
    int digit = g_ascii_xdigit_value (hex[i]);

    if (digit < 0 || length % 2 != 0)
      return NULL;
    data[i / 2] = (guint8) (i % 2 == 0 ? digit << 4 : data[i / 2] | digit);
  }
  return g_steal_pointer (&data);
}

static char *
parse_option (const char *hex, GError **error)
{
  g_autofree char *text = NULL, *quoted = NULL, *url = NULL;
  g_autoptr (GError) reason = NULL;
  gsize size;
  g_autofree guint8 *data = from_hex (hex, &size);

  if (data == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "not told in hexadecimal digits");
    return NULL;
  }
  /* RFC 2132, 2: servers may end a text with NULs, and clients take them off. */
  while (size > 0 && data[size - 1] == 0)
    size--;
  if (size == 0 || size > FLOE_ADDRESS_MAX) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%zu bytes, 1 to %d wanted", (size_t) size, FLOE_ADDRESS_MAX);
    return NULL;
  }
  quoted = shown (data, size);
  for (gsize i = 0; i < size; i++)
    if (!g_ascii_isprint ((char) data[i])) {
      floe_error_set (error, FLOE_ERROR_INVALID, "\"%s\" has bytes that no address has", quoted);
      return NULL;
    }
  text = g_strndup ((const char *) data, size);
  url = floe_address_parse (text, &reason);
  if (url == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "\"%s\": %s", quoted, reason->message);
    return NULL;
  }
  return floe_address_show (url);
}

/* The address that CARD's lease has. What its option has instead goes to REFUSED. */
static char *
address_of_card (FloeJson *card, GPtrArray *refused)
{
  FloeJson *client = floe_json_optional (card, "DHCPv4Client"), *options = floe_json_optional (client, "PrivateOptions");
  const char *name = floe_json_string (floe_json_member (card, "Name"), IF_NAMESIZE - 1), *hex = NULL;
  size_t count = options != NULL ? floe_json_length (options, OPTIONS_MAX) : 0;
  g_autoptr (GError) error = NULL;
  unsigned seen = 0;
  char *address;

  floe_json_ignore_rest (card);
  floe_json_ignore_rest (client);
  for (size_t i = 0; i < count; i++) {
    FloeJson *option = floe_json_at (options, i);

    floe_json_ignore_rest (option);
    if (floe_json_int (floe_json_member (option, "Option"), 0, 255) == FLOE_ADDRESS_DHCP_OPTION) {
      hex = floe_json_string (floe_json_member (option, "PrivateOptionData"), DESCRIPTION_MAX);
      seen++;
    }
  }
  if (seen == 0)
    return NULL;
  address = seen == 1 ? parse_option (hex, &error) : NULL;
  if (address == NULL)
    g_ptr_array_add (refused, g_strdup_printf ("%s: DHCP option %d: %s", name, FLOE_ADDRESS_DHCP_OPTION, seen == 1 ? error->message : "there twice"));
  return address;
}

char *
floe_address_parse_dhcp (GBytes *description, GPtrArray *refused, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (description, "systemd-networkd's description", DESCRIPTION_MAX, error);
  g_autofree char *address = NULL;
  FloeJson *root, *cards;
  size_t count;

  if (document == NULL)
    return NULL;
  root = floe_json_root (document);
  cards = floe_json_optional (root, "Interfaces");
  count = cards != NULL ? floe_json_length (cards, CARDS_MAX) : 0;
  floe_json_ignore_rest (root);
  for (size_t i = 0; i < count && address == NULL && !floe_json_failed (document); i++)
    address = address_of_card (floe_json_at (cards, i), refused);
  if (!floe_json_finish (document, error))
    return NULL;
  if (address == NULL)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no lease has an address in option %d", FLOE_ADDRESS_DHCP_OPTION);
  return g_steal_pointer (&address);
}

char *
floe_address_ask_dhcp (GPtrArray *refused, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, cancellable, &local);
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GBytes) text = NULL;
  const char *description;

  if (bus == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no bus, and so no systemd-networkd: %s", local->message);
    return NULL;
  }
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  reply = g_dbus_connection_call_sync (bus, NETWORK, "/org/freedesktop/network1", NETWORK ".Manager", "Describe", NULL, G_VARIANT_TYPE ("(s)"),
                                       G_DBUS_CALL_FLAGS_NO_AUTO_START, ASK_MILLISECONDS, cancellable, &local);
  if (reply == NULL) {
    gboolean absent = g_error_matches (local, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
                      g_error_matches (local, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
                      g_error_matches (local, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD);

    g_dbus_error_strip_remote_error (local);
    floe_error_set (error, absent ? FLOE_ERROR_NOT_FOUND : FLOE_ERROR_IO, "asking systemd-networkd for its leases: %s", local->message);
    return NULL;
  }
  g_variant_get (reply, "(&s)", &description);
  text = g_bytes_new_static (description, strlen (description));
  return floe_address_parse_dhcp (text, refused, error);
}
