/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-commands-private.h"
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"
#include "policy/document/floe-usbguard.h"

/* `explain FILE usb`: a device and a situation from words on the command line; and `import-usbguard`. */

typedef struct {
  char *port, *device_class, *manufacturer, *name, *speed, *front, *person;
  char **holding;
  gboolean incomplete, locked;
} UsbOptions;

static void
usb_options_clear (UsbOptions *options)
{
  g_free (options->port);
  g_free (options->device_class);
  g_free (options->manufacturer);
  g_free (options->name);
  g_free (options->speed);
  g_free (options->front);
  g_free (options->person);
  g_strfreev (options->holding);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UsbOptions, usb_options_clear)

/* -- The device --------------------------------------------------------------------------------------------------------- */

/* "CONFIGURATION.NUMBER.ALTERNATE". */
static gboolean
parse_place (const char *text, FloePolicyUsbInterface *interface)
{
  g_auto (GStrv) parts = g_strsplit (text, ".", 4);
  guint64 numbers[3];

  if (g_strv_length (parts) != 3)
    return FALSE;
  for (size_t i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (!parse_number (parts[i], 255, &numbers[i]))
      return FALSE;
  interface->configuration = (uint8_t) numbers[0];
  interface->number = (uint8_t) numbers[1];
  interface->alternate = (uint8_t) numbers[2];
  return TRUE;
}

static gboolean
parse_kind (const char *text, FloePolicyUsbInterface *interface, GError **error)
{
  FloePolicyUsbPattern pattern;

  if (!floe_policy_pattern_parse (text, &pattern) || strchr (text, '*') != NULL)
    return usage (error, "an interface CC:SS:PP wanted, two hexadecimal digits each", text);
  interface->class_code = (uint8_t) pattern.class_code;
  interface->subclass = (uint8_t) pattern.subclass;
  interface->protocol = (uint8_t) pattern.protocol;
  return TRUE;
}

/* "CC:SS:PP" or "CC:SS:PP@CONFIGURATION.NUMBER.ALTERNATE"; without a place it is interface INDEX of configuration 1. */
static gboolean
parse_interface (const char *text, int index, FloePolicyUsbInterface *interface, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, "@", 2);

  interface->configuration = 1;
  interface->number = (uint8_t) index;
  if (parts[0] != NULL && parts[1] != NULL && !parse_place (parts[1], interface))
    return usage (error, "CC:SS:PP@CONFIGURATION.INTERFACE.ALTERNATE wanted, 0 to 255 each", text);
  return parse_kind (parts[0] != NULL ? parts[0] : "", interface, error);
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
  if (parts[2] != NULL)
    device->serial = (FloePolicyUsbString){ text + 10, strlen (text + 10) };
  return TRUE;
}

static FloePolicyUsbString
string_of (const char *text)
{
  return (FloePolicyUsbString){ text, text != NULL ? strlen (text) : 0 };
}

static gboolean
parse_speed (const char *text, FloePolicyUsbDevice *device, GError **error)
{
  for (unsigned i = 0; text != NULL && floe_policy_usb_speed_names[i] != NULL; i++)
    if (strcmp (floe_policy_usb_speed_names[i], text) == 0)
      device->speed = (FloePolicyUsbSpeed) (1u << i);
  if (text != NULL && device->speed == 0)
    return usage (error, "--speed low, full, high or super wanted", text);
  return TRUE;
}

static gboolean
parse_device (const UsbOptions *options, char **words, int n, FloePolicyUsbInterface *interfaces, FloePolicyUsbDevice *device, GError **error)
{
  if (n < 1 || n > 257)
    return usage (error, "usb VENDOR:PRODUCT[:SERIAL] INTERFACE... wanted", NULL);
  device->port = options->port;
  device->manufacturer = string_of (options->manufacturer);
  device->name = string_of (options->name);
  device->complete = !options->incomplete;
  if (!parse_device_name (words[0], device, error) || !parse_speed (options->speed, device, error))
    return FALSE;
  if (options->port != NULL && !floe_policy_usb_port_valid (options->port))
    return usage (error, "--port BUS-PORT[.PORT...] wanted", options->port);
  if (options->device_class != NULL && !parse_kind (options->device_class, &device->device_class, error))
    return FALSE;
  for (int i = 1; i < n; i++)
    if (!parse_interface (words[i], i - 1, &interfaces[i - 1], error))
      return FALSE;
  device->interfaces = interfaces;
  device->n_interfaces = (size_t) (n - 1);
  return TRUE;
}

/* -- The situation ------------------------------------------------------------------------------------------------------ */

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
parse_situation (const FloePolicyContent *content, const UsbOptions *options, FloePolicyUsbSituation *situation, GError **error)
{
  situation->person = options->person;
  situation->locked = options->locked;
  if (options->front == NULL)
    return TRUE;
  situation->front = floe_policy_find_machine (content, options->front);
  if (situation->front == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no machine '%s' that could be in front", options->front);
  return TRUE;
}

static gboolean
explain (const FloePolicyContent *content, const UsbOptions *options, char **words, int n, GError **error)
{
  FloePolicyUsbDevice device = { 0 };
  g_autofree FloePolicyUsbInterface *interfaces = g_new0 (FloePolicyUsbInterface, n + 1);
  g_autofree unsigned *holders = g_new0 (unsigned, content->n_usb + 1);
  FloePolicyUsbSituation situation = { .holders = holders };
  g_autofree char *text = NULL;

  if (!parse_device (options, words, n, interfaces, &device, error) || !parse_holding (content, options->holding, holders, error)
      || !parse_situation (content, options, &situation, error))
    return FALSE;
  text = floe_policy_explain_usb (content, &device, &situation);
  return print (text, error);
}

gboolean
floe_policy_explain_usb_command (const FloeCommand *command, int argc, char **argv, GError **error)
{
  g_auto (UsbOptions) options = { 0 };
  const GOptionEntry entries[] = {
    { "port", 0, 0, G_OPTION_ARG_STRING, &options.port, "where the device is plugged in", "BUS-PORT[.PORT...]" },
    { "class", 0, 0, G_OPTION_ARG_STRING, &options.device_class, "class of the device itself (00:00:00)", "CC:SS:PP" },
    { "manufacturer", 0, 0, G_OPTION_ARG_STRING, &options.manufacturer, "what it says who made it", "TEXT" },
    { "name", 0, 0, G_OPTION_ARG_STRING, &options.name, "what it says it is (its product string)", "TEXT" },
    { "speed", 0, 0, G_OPTION_ARG_STRING, &options.speed, "at which it runs", "low|full|high|super" },
    { "incomplete", 0, 0, G_OPTION_ARG_NONE, &options.incomplete, "its descriptors are truncated or inconsistent", NULL },
    { "holding", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.holding, "devices that hold a rule already", "RULE=N" },
    { "front", 0, 0, G_OPTION_ARG_STRING, &options.front, "the machine in front (none)", "ID" },
    { "person", 0, 0, G_OPTION_ARG_STRING, &options.person, "who is logged in (nobody)", "NAME" },
    { "locked", 0, 0, G_OPTION_ARG_NONE, &options.locked, "the screen is locked", NULL },
    { NULL },
  };
  g_autoptr (FloePolicyDocument) document = NULL;

  if (!floe_cli_parse (command, entries, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 3)
    return usage (error, "explain FILE usb VENDOR:PRODUCT[:SERIAL] INTERFACE... wanted", NULL);
  document = floe_policy_load (argv[1], error);
  return document != NULL && explain (floe_policy_document_content (document), &options, argv + 3, argc - 3, error);
}

/* -- import-usbguard ---------------------------------------------------------------------------------------------------- */

/* One line for each rule that is not in the list as it was; the number of those that are not in it at all. */
static unsigned
print_reports (const GPtrArray *reports, const char *source)
{
  static const char *const outcomes[] = { NULL, "translated, opens less", "left out", "not translated" };
  unsigned missing = 0;

  for (guint i = 0; i < reports->len; i++) {
    const FloeUsbguardReport *report = g_ptr_array_index (reports, i);

    if (report->outcome == FLOE_USBGUARD_TRANSLATED)
      continue;
    g_printerr ("%s:%u: %s: %s\n", source, report->line, outcomes[report->outcome], report->reason);
    missing += report->outcome == FLOE_USBGUARD_NOT_TRANSLATED;
  }
  return missing;
}

gboolean
floe_policy_import_usbguard_command (const FloeCommand *command, int argc, char **argv, GError **error)
{
  g_autofree char *machine = NULL;
  const GOptionEntry entries[] = {
    { "machine", 0, 0, G_OPTION_ARG_STRING, &machine, "what is allowed goes to this machine, or to the one in front (\"front\"), not to the host",
      "ID" },
    { NULL },
  };
  g_autoptr (GBytes) text = NULL;
  g_autoptr (FloeUsbguardImport) import = NULL;
  unsigned missing;

  if (!floe_cli_parse (command, entries, 1, &argc, &argv, error))
    return FALSE;
  if (machine != NULL && (!floe_name_is_safe (machine) || !g_ascii_isalnum (*machine) || strlen (machine) > FLOE_POLICY_ID_MAX))
    return usage (error, "--machine and the id of a machine wanted", machine);
  text = floe_file_read (argv[1], FLOE_USBGUARD_SIZE_MAX, error);
  import = text != NULL ? floe_usbguard_import (text, argv[1], machine, error) : NULL;
  if (import == NULL || !print (import->json, error))
    return FALSE;
  missing = print_reports (import->reports, argv[1]);
  if (missing > 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%u of %u rules not translated", missing, import->reports->len);
  return TRUE;
}
