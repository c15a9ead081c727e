/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include "common/floe-fd.h"

#include <string.h>

struct _FloePolicyDocument {
  gatomicrefcount references;
  GPtrArray *memory;
  FloePolicyContent content;
};

static const char *const disk_names[] = { "reset", "persist", NULL };
static const char *const firmware_names[] = { "uefi", "bios", NULL };
static const char *const share_names[] = { "none", "to-guest", "from-guest", "both", NULL };
static const char *const emulation_names[] = { "refuse", "allow", NULL };
static const char *const restart_names[] = { "ask", "idle", NULL };

static const FloePolicyNotYet machine_not_yet[] = {
  { "tpm", "no machine has a TPM" },
  { "secure_boot", "firmware starts unsigned systems too" },
  { "usb", "the rules in the document's usb list apply to all machines" },
  { "data_disk", "no machine has a disk beside its image" },
  { NULL },
};

const char *
floe_policy_share_name (FloePolicyShare share)
{
  return share_names[share & FLOE_POLICY_SHARE_BOTH];
}

/* -- What all parts of the parser use --------------------------------------------------------------------------------- */

void *
floe_policy_parser_array (FloePolicyParser *parser, size_t n, size_t size)
{
  void *block = n > 0 ? g_malloc0_n (n, size) : NULL;

  if (block != NULL)
    g_ptr_array_add (parser->memory, block);
  return block;
}

const char *
floe_policy_parser_keep (FloePolicyParser *parser, const char *string)
{
  char *copy = g_strdup (string);

  g_ptr_array_add (parser->memory, copy);
  return copy;
}

const char *
floe_policy_parse_name (FloePolicyParser *parser, FloeJson *value, size_t max)
{
  const char *name = floe_json_string (value, max);

  /* A leading '-' would be an option to a program that is given the name. */
  if (!floe_name_is_safe (name) || !g_ascii_isalnum (*name)) {
    floe_json_refuse (value, "1 to %zu of A-Z a-z 0-9 . _ - wanted, beginning with a letter or digit", max);
    return "";
  }
  return floe_policy_parser_keep (parser, name);
}

const char *
floe_policy_parse_rule_id (FloePolicyParser *parser, FloeJson *value)
{
  static const char *const reserved[] = { "default", "never-routed", "no-network", NULL };
  const char *id = floe_policy_parse_name (parser, value, FLOE_POLICY_ID_MAX);

  if (g_strv_contains (reserved, id) || g_str_has_prefix (id, "floe-"))
    floe_json_refuse (value, "'%s' is kept for what reports say when no rule of the document decided: choose another", id);
  else if (g_tree_lookup (parser->rule_ids, id) != NULL)
    floe_json_refuse (value, "another rule of this document is called '%s'", id);
  else
    g_tree_insert (parser->rule_ids, (gpointer) id, (gpointer) id);
  return id;
}

void
floe_policy_refuse_not_yet (FloeJson *object, const FloePolicyNotYet *keys)
{
  for (; keys->key != NULL; keys++)
    floe_json_refuse (floe_json_optional (object, keys->key), "not in this version: %s", keys->why);
}

/* Characters that reorder or hide what stands beside them could make one machine's title pass for another's. */
const char *
floe_policy_parse_shown (FloePolicyParser *parser, FloeJson *value, size_t max)
{
  const char *text = floe_json_string (value, max);

  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar character = g_utf8_get_char (at);
    GUnicodeType type = g_unichar_type (character);

    if (type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR
        || type == G_UNICODE_PARAGRAPH_SEPARATOR) {
      floe_json_refuse (value, "U+%04X is not a character that can be seen", character);
      return "";
    }
  }
  return floe_policy_parser_keep (parser, text);
}

gboolean
floe_policy_parse_flag (FloeJson *object, const char *key, gboolean otherwise)
{
  FloeJson *value = floe_json_optional (object, key);

  return value != NULL ? floe_json_bool (value) : otherwise;
}

static unsigned
parse_choice (FloeJson *object, const char *key, const char *const *names, unsigned otherwise)
{
  FloeJson *value = floe_json_optional (object, key);

  return value != NULL ? floe_json_enum (value, names) : otherwise;
}

/* -- Machines --------------------------------------------------------------------------------------------------------- */

static const char *
parse_colour (FloePolicyParser *parser, FloeJson *value)
{
  const char *text = floe_json_string (value, 7);
  g_autofree char *lower = g_ascii_strdown (text, -1);

  if (strlen (lower) != 7 || lower[0] != '#' || strspn (lower + 1, "0123456789abcdef") != 6) {
    floe_json_refuse (value, "#rrggbb wanted, in hexadecimal digits");
    return "";
  }
  return floe_policy_parser_keep (parser, lower);
}

static void
parse_display (FloeJson *display, FloePolicyMachine *machine)
{
  FloeJson *transfer = floe_json_optional (display, "file_transfer"), *screens = floe_json_optional (display, "screens");

  machine->clipboard = (FloePolicyShare) parse_choice (display, "clipboard", share_names, FLOE_POLICY_SHARE_NONE);
  machine->file_transfer = transfer != NULL ? (FloePolicyShare) floe_json_enum (transfer, share_names) : FLOE_POLICY_SHARE_NONE;
  if (machine->file_transfer & FLOE_POLICY_SHARE_FROM_GUEST)
    floe_json_refuse (transfer, "not in this version: files go to the guest only (none, to-guest)");
  machine->audio = floe_policy_parse_flag (display, "audio", FALSE);
  machine->screens = screens != NULL ? (unsigned) floe_json_int (screens, 1, 4) : 1;
}

static void
parse_machine (FloePolicyParser *parser, FloeJson *object, FloePolicyMachine *machine)
{
  FloeJson *id = floe_json_member (object, "id"), *title = floe_json_optional (object, "title");
  FloeJson *colour = floe_json_optional (object, "colour"), *image;

  machine->id = floe_policy_parse_name (parser, id, FLOE_POLICY_ID_MAX);
  for (const FloePolicyMachine *other = parser->content->machines; other < machine; other++)
    if (strcmp (other->id, machine->id) == 0)
      floe_json_refuse (id, "another machine is called '%s'", machine->id);
  machine->title = title != NULL ? floe_policy_parse_shown (parser, title, 64) : machine->id;
  if (title != NULL && *machine->title == '\0')
    floe_json_refuse (title, "empty: leave the key out to show the id");
  machine->colour = colour != NULL ? parse_colour (parser, colour) : "#607d8b";
  image = floe_json_member (object, "image");
  machine->image_name = floe_policy_parse_name (parser, floe_json_member (image, "name"), FLOE_POLICY_NAME_MAX);
  machine->image_channel = floe_policy_parse_name (parser, floe_json_member (image, "channel"), FLOE_POLICY_NAME_MAX);
  machine->vcpus = (unsigned) floe_json_int (floe_json_member (object, "vcpus"), 1, 64);
  machine->memory_mib = (unsigned) floe_json_int (floe_json_member (object, "memory_mib"), 128, 1048576);
  machine->disk = (FloePolicyDisk) floe_json_enum (floe_json_member (object, "disk"), disk_names);
  machine->firmware = (FloePolicyFirmware) parse_choice (object, "firmware", firmware_names, FLOE_POLICY_FIRMWARE_UEFI);
  floe_policy_parse_cards (parser, floe_json_optional (object, "networks"), machine);
  machine->screens = 1;
  parse_display (floe_json_optional (object, "display"), machine);
  machine->emulation = parse_choice (object, "emulation", emulation_names, 0) == 1;
  machine->autostart = floe_policy_parse_flag (object, "autostart", FALSE);
  floe_policy_refuse_not_yet (object, machine_not_yet);
}

static void
parse_machines (FloePolicyParser *parser, FloeJson *list)
{
  size_t n = floe_json_length (list, FLOE_POLICY_MACHINES_MAX);
  FloePolicyMachine *machines = floe_policy_parser_array (parser, n, sizeof *machines);

  if (n == 0)
    floe_json_refuse (list, "at least one machine wanted");
  parser->content->machines = machines;
  for (size_t i = 0; i < n; i++) {
    parse_machine (parser, floe_json_at (list, i), &machines[i]);
    parser->content->n_machines = i + 1;
  }
}

/* -- Assignment ------------------------------------------------------------------------------------------------------- */

/* Without a directory of people, everybody has every machine. A machine that nobody has is more likely forgotten than meant. */
static void
parse_assigned (FloePolicyParser *parser, FloeJson *list)
{
  const FloePolicyContent *content = parser->content;
  size_t n = floe_json_length (list, FLOE_POLICY_MACHINES_MAX);
  gboolean assigned[FLOE_POLICY_MACHINES_MAX] = { FALSE };

  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *id = floe_json_string (value, FLOE_POLICY_ID_MAX);
    const FloePolicyMachine *machine = floe_policy_find_machine (content, id);

    if (machine == NULL) {
      floe_json_refuse (value, "'%s' is none of this document's machines", id);
    } else {
      if (assigned[machine - content->machines])
        floe_json_refuse (value, "'%s' is in this list twice", id);
      assigned[machine - content->machines] = TRUE;
    }
  }
  for (size_t i = 0; i < content->n_machines; i++)
    if (!assigned[i])
      floe_json_refuse (list, "machine '%s' is assigned to nobody: add it here, or take it out of machines",
                        content->machines[i].id);
}

static void
parse_assignment (FloePolicyParser *parser, FloeJson *list)
{
  size_t n = floe_json_length (list, 256);

  if (n == 0) {
    floe_json_refuse (list, "one entry wanted: who \"*\" and the machines");
    return;
  }
  for (size_t i = 0; i < n; i++) {
    FloeJson *entry = floe_json_at (list, i), *who = floe_json_member (entry, "who");
    const char *name = floe_json_string (who, 256);

    if (strcmp (name, "*") != 0)
      floe_json_refuse (who, "not in this version: there is no directory of people yet, only \"*\" (everybody) can be assigned to");
    else if (i > 0)
      floe_json_refuse (who, "\"*\" stands in another entry already");
    parse_assigned (parser, floe_json_member (entry, "machines"));
  }
}

/* -- Updates of the appliance ----------------------------------------------------------------------------------------- */

static void
parse_update (FloeJson *object, FloePolicyUpdate *update)
{
  gboolean idle = parse_choice (object, "restart", restart_names, 0) == 1;
  FloeJson *minutes = floe_json_optional (object, "idle_minutes");
  unsigned value = minutes != NULL ? (unsigned) floe_json_int (minutes, 5, 1440) : 30;

  if (minutes != NULL && !idle)
    floe_json_refuse (minutes, "only with restart \"idle\"");
  update->idle_minutes = idle ? value : 0;
}

/* -- The whole -------------------------------------------------------------------------------------------------------- */

static int
compare_images (const void *a, const void *b)
{
  const FloePolicyImage *left = a, *right = b;
  int order = strcmp (left->name, right->name);

  return order != 0 ? order : strcmp (left->channel, right->channel);
}

static void
collect_images (FloePolicyParser *parser)
{
  FloePolicyContent *content = parser->content;
  FloePolicyImage *images = floe_policy_parser_array (parser, content->n_machines, sizeof *images);
  size_t n = 0;

  for (size_t i = 0; i < content->n_machines; i++) {
    images[i].name = content->machines[i].image_name;
    images[i].channel = content->machines[i].image_channel;
  }
  if (images != NULL)
    qsort (images, content->n_machines, sizeof *images, compare_images);
  for (size_t i = 0; i < content->n_machines; i++)
    if (n == 0 || compare_images (&images[n - 1], &images[i]) != 0)
      images[n++] = images[i];
  content->images = images;
  content->n_images = n;
}

static void
parse_root (FloePolicyParser *parser, FloeJson *root)
{
  FloePolicyContent *content = parser->content;
  FloeJson *lease = floe_json_optional (root, "lease_days");

  floe_json_string (floe_json_optional (root, "$schema"), 256); /* for the administrator's editor */
  floe_json_int (floe_json_member (root, "floe"), 1, 1);
  content->group = floe_policy_parse_name (parser, floe_json_member (root, "group"), FLOE_POLICY_NAME_MAX);
  floe_policy_parse_networks (parser, floe_json_optional (root, "networks"));
  parse_machines (parser, floe_json_member (root, "machines"));
  floe_policy_check_networks (parser);
  floe_policy_parse_usb (parser, floe_json_optional (root, "usb"));
  floe_policy_parse_console (parser, floe_json_optional (root, "console"));
  parse_update (floe_json_optional (root, "update"), &content->update);
  content->lease_days = lease != NULL ? (unsigned) floe_json_int (lease, 1, 3650) : 30;
  parse_assignment (parser, floe_json_member (root, "assignment"));
  collect_images (parser);
}

FloePolicyDocument *
floe_policy_parse (GBytes *text, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) json = floe_json_parse (text, source, FLOE_POLICY_SIZE_MAX, error);
  g_autoptr (FloePolicyDocument) document = NULL;
  g_autoptr (GTree) rule_ids = g_tree_new ((GCompareFunc) strcmp);
  FloePolicyParser parser = { .rule_ids = rule_ids };

  if (json == NULL)
    return NULL;
  document = g_new0 (FloePolicyDocument, 1);
  g_atomic_ref_count_init (&document->references);
  document->memory = g_ptr_array_new_with_free_func (g_free);
  parser.memory = document->memory;
  parser.content = &document->content;
  parse_root (&parser, floe_json_root (json));
  if (!floe_json_finish (json, error))
    return NULL;
  return g_steal_pointer (&document);
}

FloePolicyDocument *
floe_policy_document_ref (FloePolicyDocument *document)
{
  g_atomic_ref_count_inc (&document->references);
  return document;
}

void
floe_policy_document_unref (FloePolicyDocument *document)
{
  if (document == NULL || !g_atomic_ref_count_dec (&document->references))
    return;
  g_ptr_array_unref (document->memory);
  g_free (document);
}

const FloePolicyContent *
floe_policy_document_content (const FloePolicyDocument *document)
{
  return &document->content;
}

const FloePolicyMachine *
floe_policy_find_machine (const FloePolicyContent *content, const char *id)
{
  for (size_t i = 0; i < content->n_machines; i++)
    if (strcmp (content->machines[i].id, id) == 0)
      return &content->machines[i];
  return NULL;
}

const FloePolicyNetwork *
floe_policy_find_network (const FloePolicyContent *content, const char *name)
{
  for (size_t i = 0; i < content->n_networks; i++)
    if (strcmp (content->networks[i].name, name) == 0)
      return &content->networks[i];
  return NULL;
}

const FloePolicyImage *
floe_policy_images (const FloePolicyContent *content, size_t *n_images)
{
  *n_images = content->n_images;
  return content->images;
}
