/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-commands.h"

#include "common/floe-fd.h"
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_LINT, COMMAND_COMPILE, COMMAND_EXPLAIN, COMMAND_SCHEMA };

static const GOptionEntry no_options[] = { { NULL } };

/* WHAT was given instead; NULL when something is missing or too much. */
static gboolean
usage (GError **error, const char *message, const char *what)
{
  g_autofree char *instead = what != NULL ? g_strdup_printf (", not '%s'", what) : g_strdup ("");

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s%s", message, instead);
  return FALSE;
}

/* Past g_print(), which would turn what the locale lacks into question marks, and hide a full disk. */
static gboolean
print (const char *text, GError **error)
{
  return floe_write_all (STDOUT_FILENO, text, strlen (text), error);
}

static FloePolicyDocument *
load (const char *path, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read (path, FLOE_POLICY_SIZE_MAX, error);

  return text != NULL ? floe_policy_parse (text, path, error) : NULL;
}

/* -- lint, compile, schema ---------------------------------------------------------------------------------------------- */

static gboolean
lint_one (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePolicyDocument) document = load (path, &error);
  g_auto (GStrv) notes = NULL;

  if (document == NULL) {
    g_print ("%s\n", error->message);
    return FALSE;
  }
  notes = floe_policy_notes (floe_policy_document_content (document));
  for (char **note = notes; *note != NULL; note++)
    g_print ("%s: note: %s\n", path, *note);
  g_print ("%s: ok\n", path);
  return TRUE;
}

static gboolean
run_lint (int argc, char **argv, GError **error)
{
  int refused = 0;

  if (!floe_cli_parse (&floe_document_commands[COMMAND_LINT], no_options, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 2)
    return usage (error, "lint FILE... wanted", NULL);
  for (int i = 1; i < argc; i++)
    refused += !lint_one (argv[i]);
  if (refused > 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%d of %d documents refused", refused, argc - 1);
  return TRUE;
}

static gboolean
run_compile (int argc, char **argv, GError **error)
{
  g_autoptr (FloePolicyDocument) document = NULL;
  g_autofree char *text = NULL;

  if (!floe_cli_parse (&floe_document_commands[COMMAND_COMPILE], no_options, 1, &argc, &argv, error))
    return FALSE;
  document = load (argv[1], error);
  if (document == NULL)
    return FALSE;
  text = floe_policy_dump (floe_policy_document_content (document));
  return print (text, error);
}

static gboolean
run_schema (int argc, char **argv, GError **error)
{
  if (!floe_cli_parse (&floe_document_commands[COMMAND_SCHEMA], no_options, 0, &argc, &argv, error))
    return FALSE;
  return print (floe_policy_schema, error);
}

/* -- explain packet ----------------------------------------------------------------------------------------------------- */

static gboolean
parse_number (const char *text, guint64 max, guint64 *number)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, number, NULL);
}

static gboolean
parse_protocol (const char *text, FloePolicyPacket *packet, GError **error)
{
  static const struct {
    const char *name;
    uint8_t number, type;
  } known[] = { { "tcp", IPPROTO_TCP, 0 }, { "udp", IPPROTO_UDP, 0 }, { "icmp", IPPROTO_ICMP, 8 }, { "icmp6", IPPROTO_ICMPV6, 128 } };
  guint64 number;

  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].name, text) == 0) {
      packet->protocol = known[i].number;
      packet->icmp_type = known[i].type;
      return TRUE;
    }
  if (!parse_number (text, 255, &number))
    return usage (error, "tcp, udp, icmp, icmp6 (both: an echo request) or the number of an IP protocol wanted", text);
  packet->protocol = (uint8_t) number;
  return TRUE;
}

/* "10.0.0.1:443", "[2001:db8::1]:443", or an address alone where there are no ports. */
static gboolean
parse_endpoint (const char *text, FloePolicyPacket *packet, GError **error)
{
  gboolean ports = packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;
  const char *colon = ports ? strrchr (text, ':') : NULL;
  size_t size = colon != NULL ? (size_t) (colon - text) : strlen (text);
  g_autofree char *address = NULL;
  guint64 port = 0;

  if (size >= 2 && text[0] == '[' && text[size - 1] == ']')
    address = g_strndup (text + 1, size - 2);
  else
    address = g_strndup (text, size);
  if (ports && (colon == NULL || !parse_number (colon + 1, 65535, &port)))
    return usage (error, "ADDRESS:PORT or [ADDRESS]:PORT wanted", text);
  if (!floe_policy_address_parse (address, &packet->remote))
    return usage (error, ports ? "ADDRESS:PORT or [ADDRESS]:PORT wanted" : "an ADDRESS wanted", text);
  packet->port = (uint16_t) port;
  return TRUE;
}

static gboolean
explain_packet (const FloePolicyContent *content, char **words, int n, GError **error)
{
  FloePolicyPacket packet = { 0 };
  const FloePolicyMachine *machine;
  g_autofree char *text = NULL;

  if (n != 4)
    return usage (error, "packet MACHINE egress|ingress PROTOCOL ADDRESS[:PORT] wanted", NULL);
  machine = floe_policy_find_machine (content, words[0]);
  if (machine == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no machine '%s'", words[0]);
  if (strcmp (words[1], "egress") != 0 && strcmp (words[1], "ingress") != 0)
    return usage (error, "egress (from the machine) or ingress (to it) wanted", words[1]);
  packet.direction = strcmp (words[1], "egress") == 0 ? FLOE_POLICY_EGRESS : FLOE_POLICY_INGRESS;
  if (!parse_protocol (words[2], &packet, error) || !parse_endpoint (words[3], &packet, error))
    return FALSE;
  text = floe_policy_explain_packet (machine, &packet);
  return print (text, error);
}

/* -- explain usb -------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *port, *device_class;
  char **holding;
  gboolean incomplete;
} UsbOptions;

static void
usb_options_clear (UsbOptions *options)
{
  g_free (options->port);
  g_free (options->device_class);
  g_strfreev (options->holding);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UsbOptions, usb_options_clear)

static gboolean
parse_interface (const char *text, FloePolicyUsbInterface *interface, GError **error)
{
  FloePolicyUsbPattern pattern;

  if (!floe_policy_pattern_parse (text, &pattern) || strchr (text, '*') != NULL)
    return usage (error, "an interface CC:SS:PP wanted, two hexadecimal digits each", text);
  interface->class_code = (uint8_t) pattern.class_code;
  interface->subclass = (uint8_t) pattern.subclass;
  interface->protocol = (uint8_t) pattern.protocol;
  return TRUE;
}

/* "VENDOR:PRODUCT" or "VENDOR:PRODUCT:SERIAL"; the serial may hold colons. */
static gboolean
parse_device_name (const char *text, FloePolicyUsbDevice *device, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", 3);
  int32_t vendor, product;

  if (g_strv_length (parts) < 2 || !floe_policy_usb_id_parse (parts[0], &vendor) || !floe_policy_usb_id_parse (parts[1], &product))
    return usage (error, "VENDOR:PRODUCT or VENDOR:PRODUCT:SERIAL wanted, four hexadecimal digits each", text);
  device->vendor = (uint16_t) vendor;
  device->product = (uint16_t) product;
  if (parts[2] != NULL) {
    device->serial = (FloePolicyUsbString){ text + 10, strlen (text + 10) };
  }
  return TRUE;
}

/* Each "RULE=N" of HOLDING into the counts that the verdict function takes. */
static gboolean
parse_holding (const FloePolicyContent *content, char **holding, unsigned *holders, GError **error)
{
  for (; holding != NULL && *holding != NULL; holding++) {
    const char *equals = strchr (*holding, '=');
    guint64 number;
    size_t i = 0;

    if (equals == NULL || !parse_number (equals + 1, 127, &number))
      return usage (error, "--holding RULE=N wanted, 0 to 127", *holding);
    while (i < content->n_usb && (strncmp (content->usb[i].id, *holding, (size_t) (equals - *holding)) != 0
                                  || content->usb[i].id[equals - *holding] != '\0'))
      i++;
    if (i == content->n_usb)
      return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no usb rule for --holding %s", *holding);
    holders[i] = (unsigned) number;
  }
  return TRUE;
}

static gboolean
explain_usb (const FloePolicyContent *content, const UsbOptions *options, char **words, int n, GError **error)
{
  FloePolicyUsbDevice device = { .port = options->port, .complete = !options->incomplete };
  g_autofree FloePolicyUsbInterface *interfaces = g_new0 (FloePolicyUsbInterface, n);
  g_autofree unsigned *holders = g_new0 (unsigned, content->n_usb + 1);
  g_autofree char *text = NULL;

  if (n < 1)
    return usage (error, "usb VENDOR:PRODUCT[:SERIAL] INTERFACE... wanted", NULL);
  if (!parse_device_name (words[0], &device, error))
    return FALSE;
  if (options->port != NULL && !floe_policy_usb_port_valid (options->port))
    return usage (error, "--port BUS-PORT[.PORT...] wanted", options->port);
  if (options->device_class != NULL && !parse_interface (options->device_class, &device.device_class, error))
    return FALSE;
  for (int i = 1; i < n; i++)
    if (!parse_interface (words[i], &interfaces[i - 1], error))
      return FALSE;
  device.interfaces = interfaces;
  device.n_interfaces = (size_t) (n - 1);
  if (!parse_holding (content, options->holding, holders, error))
    return FALSE;
  text = floe_policy_explain_usb (content, &device, holders);
  return print (text, error);
}

/* -- explain ------------------------------------------------------------------------------------------------------------ */

static gboolean
explain_machine (const FloePolicyContent *content, char **words, int n, GError **error)
{
  const FloePolicyMachine *machine = n == 1 ? floe_policy_find_machine (content, words[0]) : NULL;
  g_autofree char *text = NULL;

  if (n != 1)
    return usage (error, "machine ID wanted", NULL);
  if (machine == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no machine '%s'", words[0]);
  text = floe_policy_explain_machine (content, machine);
  return print (text, error);
}

static gboolean
run_explain (int argc, char **argv, GError **error)
{
  g_auto (UsbOptions) options = { 0 };
  const GOptionEntry entries[] = {
    { "port", 0, 0, G_OPTION_ARG_STRING, &options.port, "usb: where the device is plugged in", "BUS-PORT[.PORT...]" },
    { "class", 0, 0, G_OPTION_ARG_STRING, &options.device_class, "usb: class of the device itself (00:00:00)", "CC:SS:PP" },
    { "holding", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.holding, "usb: devices that hold a rule already", "RULE=N" },
    { "incomplete", 0, 0, G_OPTION_ARG_NONE, &options.incomplete, "usb: its descriptors are truncated or inconsistent", NULL },
    { NULL },
  };
  g_autoptr (FloePolicyDocument) document = NULL;
  const FloePolicyContent *content;

  if (!floe_cli_parse (&floe_document_commands[COMMAND_EXPLAIN], entries, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 3)
    return usage (error, "explain FILE machine|packet|usb ... wanted", NULL);
  document = load (argv[1], error);
  if (document == NULL)
    return FALSE;
  content = floe_policy_document_content (document);
  if (strcmp (argv[2], "machine") == 0)
    return explain_machine (content, argv + 3, argc - 3, error);
  if (strcmp (argv[2], "packet") == 0)
    return explain_packet (content, argv + 3, argc - 3, error);
  if (strcmp (argv[2], "usb") == 0)
    return explain_usb (content, &options, argv + 3, argc - 3, error);
  return usage (error, "machine, packet or usb wanted", argv[2]);
}

const FloeCommand floe_document_commands[] = {
  [COMMAND_LINT] = { "lint", "FILE...", "check policy documents, and note what deserves a second look", run_lint },
  [COMMAND_COMPILE] = { "compile", "FILE", "print what the document comes to, defaults filled in", run_compile },
  [COMMAND_EXPLAIN] = { "explain",
                        "FILE machine ID | FILE packet MACHINE egress|ingress PROTOCOL ADDRESS[:PORT] | "
                        "FILE usb VENDOR:PRODUCT[:SERIAL] [--port P] [--class CC:SS:PP] [--holding RULE=N] INTERFACE...",
                        "say what would happen to this machine, packet or device, and by which rule", run_explain },
  [COMMAND_SCHEMA] = { "schema", "", "print the JSON Schema of policy documents", run_schema },
  { NULL },
};
