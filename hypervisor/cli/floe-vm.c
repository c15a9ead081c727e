/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/cli/floe-vm.h"
#include "common/floe-cli.h"

#include <stdio.h>
#include <string.h>

/* The machines of this endpoint from a terminal. Everything goes over the system bus; floe-hypervisord decides what the
 * caller may do. */

#define NAME "org.floe.Hypervisor1"
#define ROOT "/org/floe/Hypervisor1"
/* A suspension writes the machine's memory to disk. */
#define CALL_TIMEOUT_MS (30 * 60 * 1000)

static GDBusObjectManager *
connect_to (GError **error)
{
  GDBusObjectManager *manager = floe_object_manager_client_new_for_bus_sync (
      G_BUS_TYPE_SYSTEM, G_DBUS_OBJECT_MANAGER_CLIENT_FLAGS_DO_NOT_AUTO_START, NAME, ROOT, NULL, error);
  g_autofree char *owner = NULL;

  if (manager == NULL) {
    g_prefix_error (error, "system bus: ");
    return NULL;
  }
  owner = g_dbus_object_manager_client_get_name_owner (G_DBUS_OBJECT_MANAGER_CLIENT (manager));
  if (owner != NULL)
    return manager;
  g_object_unref (manager);
  floe_error_set (error, FLOE_ERROR_NOT_FOUND, "floe-hypervisord is not on the system bus: start it, or look at why it ended");
  return NULL;
}

static FloeHypervisor1 *
open_root (GError **error)
{
  FloeHypervisor1 *root = floe_hypervisor1_proxy_new_for_bus_sync (G_BUS_TYPE_SYSTEM, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START,
                                                                   NAME, ROOT, NULL, error);

  if (root == NULL) {
    g_prefix_error (error, "system bus: ");
    return NULL;
  }
  if (floe_hypervisor1_get_version (root) != NULL)
    return root;
  g_object_unref (root);
  floe_error_set (error, FLOE_ERROR_NOT_FOUND, "floe-hypervisord is not on the system bus: start it, or look at why it ended");
  return NULL;
}

static int
by_id (gconstpointer a, gconstpointer b)
{
  FloeHypervisor1Machine *const *left = a, *const *right = b;

  return g_strcmp0 (floe_hypervisor1_machine_get_id (*left), floe_hypervisor1_machine_get_id (*right));
}

GPtrArray *
floe_vm_list_machines (GError **error)
{
  g_autoptr (GDBusObjectManager) manager = connect_to (error);
  GPtrArray *machines;
  GList *objects;

  if (manager == NULL)
    return NULL;
  machines = g_ptr_array_new_with_free_func (g_object_unref);
  objects = g_dbus_object_manager_get_objects (manager);
  for (GList *at = objects; at != NULL; at = at->next) {
    FloeHypervisor1Machine *machine = floe_object_get_hypervisor1_machine (FLOE_OBJECT (at->data));

    if (machine == NULL)
      continue;
    g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (machine), CALL_TIMEOUT_MS);
    g_ptr_array_add (machines, machine);
  }
  g_list_free_full (objects, g_object_unref);
  g_ptr_array_sort (machines, by_id);
  return machines;
}

static FloeHypervisor1Machine *
find_machine (const char *id, GError **error)
{
  g_autoptr (GPtrArray) machines = floe_vm_list_machines (error);

  for (guint i = 0; machines != NULL && i < machines->len; i++) {
    FloeHypervisor1Machine *machine = g_ptr_array_index (machines, i);

    if (g_strcmp0 (floe_hypervisor1_machine_get_id (machine), id) != 0)
      continue;
    return g_object_ref (machine);
  }
  if (machines != NULL)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no machine '%s'; 'floe-vm list' shows all", id);
  return NULL;
}

/* Answers TRUE, or the error without the bus's decoration. */
static gboolean
outcome (gboolean done, GError **error)
{
  if (!done && error != NULL && *error != NULL)
    g_dbus_error_strip_remote_error (*error);
  return done;
}

/* -- Looking ---------------------------------------------------------------------------------------------------------- */

static const FloeCommand commands[];

static gboolean
parse_plain (const char *name, int positional, int *argc, char ***argv, GError **error)
{
  static const GOptionEntry none[] = { { NULL } };

  for (const FloeCommand *command = commands; command->name != NULL; command++)
    if (strcmp (command->name, name) == 0)
      return floe_cli_parse (command, none, positional, argc, argv, error);
  g_assert_not_reached ();
}

static gboolean
run_list (int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) machines = NULL;

  if (!parse_plain ("list", 0, &argc, &argv, error))
    return FALSE;
  machines = floe_vm_list_machines (error);
  if (machines == NULL)
    return FALSE;
  g_print ("%-16s %-11s %-5s %8s  %-34s %s\n", "ID", "STATE", "ACCEL", "DESKTOP", "IMAGE", "HERE");
  for (guint i = 0; i < machines->len; i++) {
    FloeHypervisor1Machine *machine = g_ptr_array_index (machines, i);
    guint64 have = floe_hypervisor1_machine_get_image_have_bytes (machine), total = floe_hypervisor1_machine_get_image_total_bytes (machine);
    double seconds = floe_hypervisor1_machine_get_desktop_seconds (machine);
    const char *state = floe_hypervisor1_machine_get_state (machine);
    gboolean off = strcmp (state, "stopped") == 0 || strcmp (state, "failed") == 0 || strcmp (state, "suspended") == 0;
    g_autofree char *desktop = seconds > 0 ? g_strdup_printf ("%.1f s", seconds) : g_strdup ("-");
    /* Not known before the agent has said. */
    g_autofree char *here = total == 0 ? g_strdup ("-") : g_strdup_printf ("%3.0f %%", 100.0 * (double)have / (double)total);

    g_print ("%-16s %-11s %-5s %8s  %-34s %s\n", floe_hypervisor1_machine_get_id (machine), state,
             off                                               ? "-"
             : floe_hypervisor1_machine_get_emulated (machine) ? "tcg"
                                                               : "kvm",
             desktop, floe_hypervisor1_machine_get_image (machine), here);
  }
  return TRUE;
}

static void
print_dict (GVariant *dict, const char *indent)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    g_autoptr (GVariant) held G_GNUC_UNUSED = value;

    if (g_variant_is_of_type (value, G_VARIANT_TYPE ("aa{sv}")))
      continue;
    g_autofree char *text = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (value, NULL)
                                                                                : g_variant_print (value, FALSE);

    g_print ("%s%-18s %s\n", indent, key, text);
  }
}

static gboolean
run_show (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;

  if (!parse_plain ("show", 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  if (machine == NULL)
    return FALSE;
  g_print ("%-18s %s\n", "id", floe_hypervisor1_machine_get_id (machine));
  g_print ("%-18s %s\n", "title", floe_hypervisor1_machine_get_title (machine));
  g_print ("%-18s %s\n", "colour", floe_hypervisor1_machine_get_colour (machine));
  g_print ("%-18s %s\n", "state", floe_hypervisor1_machine_get_state (machine));
  g_print ("%-18s %s\n", "problem", floe_hypervisor1_machine_get_problem (machine));
  g_print ("%-18s %s\n", "image", floe_hypervisor1_machine_get_image (machine));
  g_print ("%-18s %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes\n", "here",
           floe_hypervisor1_machine_get_image_have_bytes (machine),
           floe_hypervisor1_machine_get_image_total_bytes (machine));
  g_print ("%-18s %" G_GUINT64_FORMAT " bytes\n", "fetched", floe_hypervisor1_machine_get_image_fetched_bytes (machine));
  g_print ("%-18s %s\n", "emulated", floe_hypervisor1_machine_get_emulated (machine) ? "yes" : "no");
  g_print ("%-18s %.1f s\n", "desktop", floe_hypervisor1_machine_get_desktop_seconds (machine));
  print_dict (floe_hypervisor1_machine_get_sharing (machine), "sharing ");
  return TRUE;
}

static void
print_rules (GVariant *rules)
{
  GVariantIter iter;
  GVariant *rule;

  g_print ("\n%-24s %-6s %12s %14s\n", "RULE", "", "PACKETS", "BYTES");
  g_variant_iter_init (&iter, rules);
  while ((rule = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) held G_GNUC_UNUSED = rule;
    const char *name = "";
    guint64 packets = 0, bytes = 0;
    gboolean allowed = FALSE;

    g_variant_lookup (rule, "rule", "&s", &name);
    g_variant_lookup (rule, "allowed", "b", &allowed);
    g_variant_lookup (rule, "packets", "t", &packets);
    g_variant_lookup (rule, "bytes", "t", &bytes);
    g_print ("%-24s %-6s %12" G_GUINT64_FORMAT " %14" G_GUINT64_FORMAT "\n", name, allowed ? "allow" : "drop", packets,
             bytes);
  }
}

static gboolean
run_stats (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;
  g_autoptr (GVariant) counters = NULL, rules = NULL;

  if (!parse_plain ("stats", 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  if (machine == NULL || !outcome (floe_hypervisor1_machine_call_statistics_sync (machine, &counters, NULL, error), error))
    return FALSE;
  print_dict (counters, "");
  rules = g_variant_lookup_value (counters, "rules", G_VARIANT_TYPE ("aa{sv}"));
  if (rules != NULL)
    print_rules (rules);
  return TRUE;
}

static const char *
text_in (GVariant *dict, const char *key)
{
  const char *text = "";

  g_variant_lookup (dict, key, "&s", &text);
  return *text == '\0' ? "-" : text;
}

static void
print_bound (GVariant *bound)
{
  GVariantIter iter;
  GVariant *entry;

  if (g_variant_n_children (bound) == 0)
    return;
  g_print ("\n%-24s %-40s %s\n", "RULE BY NAME", "ADDRESS NOW", "SECONDS");
  g_variant_iter_init (&iter, bound);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) held G_GNUC_UNUSED = entry;
    guint32 seconds = 0;

    g_variant_lookup (entry, "seconds", "u", &seconds);
    g_print ("%-24s %-40s %7u\n", text_in (entry, "rule"), text_in (entry, "address"), seconds);
  }
}

static void
print_card (GVariant *card)
{
  g_autoptr (GVariant) rules = g_variant_lookup_value (card, "rules", G_VARIANT_TYPE ("aa{sv}"));
  g_autoptr (GVariant) bound = g_variant_lookup_value (card, "bound", G_VARIANT_TYPE ("aa{sv}"));
  guint64 allowed = 0, dropped = 0;

  g_variant_lookup (card, "allowed_packets", "t", &allowed);
  g_variant_lookup (card, "dropped_packets", "t", &dropped);
  g_print ("network  %s (%s), tap %s\n", text_in (card, "network"), text_in (card, "mode"), text_in (card, "tap"));
  g_print ("guest    %s  %s  %s\n", text_in (card, "mac"), text_in (card, "address"), text_in (card, "address6"));
  g_print ("packets  %" G_GUINT64_FORMAT " allowed, %" G_GUINT64_FORMAT " dropped\n", allowed, dropped);
  if (rules != NULL)
    print_rules (rules);
  if (bound != NULL)
    print_bound (bound);
}

static gboolean
run_net (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;
  g_autoptr (GVariant) counters = NULL, cards = NULL;

  if (!parse_plain ("net", 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  if (machine == NULL || !outcome (floe_hypervisor1_machine_call_statistics_sync (machine, &counters, NULL, error), error))
    return FALSE;
  cards = g_variant_lookup_value (counters, "cards", G_VARIANT_TYPE ("aa{sv}"));
  if (cards == NULL || g_variant_n_children (cards) == 0) {
    g_print ("%s has no network card now\n", argv[1]);
    return TRUE;
  }
  for (gsize i = 0; i < g_variant_n_children (cards); i++) {
    g_autoptr (GVariant) card = g_variant_get_child_value (cards, i);

    if (i > 0)
      g_print ("\n");
    print_card (card);
  }
  return TRUE;
}

static gboolean
run_status (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL;
  const char *problem, *group;

  if (!parse_plain ("status", 0, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL)
    return FALSE;
  problem = floe_hypervisor1_get_policy_problem (root);
  g_print ("version:     %s\n", floe_hypervisor1_get_version (root));
  g_print ("accelerator: %s: %s\n", floe_hypervisor1_get_accelerator (root),
           floe_hypervisor1_get_accelerator_reason (root));
  group = floe_hypervisor1_get_policy_group (root);
  if (group == NULL || *group == '\0')
    g_print ("policy:      none: this endpoint has not enrolled with a server yet\n");
  else if (floe_hypervisor1_get_policy_version (root) == 0)
    g_print ("policy:      %s, none in force yet\n", group);
  else
    g_print ("policy:      %s, version %" G_GUINT64_FORMAT "\n", group, floe_hypervisor1_get_policy_version (root));
  if (problem != NULL && *problem != '\0')
    g_print ("problem:     %s\n", problem);
  g_print ("background:  %s\n",
           floe_hypervisor1_get_background_allowed (root) ? "allowed" : "waits for a machine to start");
  return TRUE;
}

/* What there is to say of a device beside its line. */
static void
print_usb_details (GVariant *device)
{
  const char *reason = "", *problem = "";
  g_autofree const char **choices = NULL;
  g_autofree char *joined = NULL;
  gboolean may_remember = FALSE;

  g_variant_lookup (device, "reason", "&s", &reason);
  g_variant_lookup (device, "problem", "&s", &problem);
  g_variant_lookup (device, "choices", "^a&s", &choices);
  g_variant_lookup (device, "may_remember", "b", &may_remember);
  if (*reason != '\0')
    g_print ("           because: %s\n", reason);
  if (*problem != '\0')
    g_print ("           problem: %s\n", problem);
  if (choices == NULL || choices[0] == NULL)
    return;
  joined = g_strjoinv (" ", (char **)choices);
  g_print ("           choices: %s%s\n", joined, may_remember ? " (may be remembered)" : "");
}

static void
print_usb (GVariant *device)
{
  const char *path = "", *name = "", *verdict = "", *machine = "", *rule = "", *holder = "";
  g_autofree char *target = NULL;
  guint16 vendor = 0, product = 0;
  gboolean enforced = FALSE, read_only = FALSE;

  g_variant_lookup (device, "path", "&s", &path);
  g_variant_lookup (device, "vendor", "q", &vendor);
  g_variant_lookup (device, "product", "q", &product);
  g_variant_lookup (device, "name", "&s", &name);
  g_variant_lookup (device, "verdict", "&s", &verdict);
  g_variant_lookup (device, "machine", "&s", &machine);
  g_variant_lookup (device, "read_only", "b", &read_only);
  g_variant_lookup (device, "rule", "&s", &rule);
  g_variant_lookup (device, "holder", "&s", &holder);
  g_variant_lookup (device, "enforced", "b", &enforced);
  target = g_strconcat (*machine != '\0' ? machine : "-", read_only ? ":ro" : "", NULL);
  g_print ("%-10s %04x:%04x %-8s %-14s %-18s %-8s %-12s %s\n", path, vendor, product, verdict, target, rule,
           enforced ? "yes" : "no", *holder != '\0' ? holder : "-", name);
  print_usb_details (device);
}

static gboolean
run_usb (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL;
  GVariantIter iter;
  GVariant *device;

  if (!parse_plain ("usb", 0, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL)
    return FALSE;
  g_print ("%-10s %-9s %-8s %-14s %-18s %-8s %-12s %s\n", "PORT", "DEVICE", "VERDICT", "MACHINE", "RULE", "ENFORCED", "HOLDER",
           "NAME");
  g_variant_iter_init (&iter, floe_hypervisor1_get_usb_devices (root));
  while ((device = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) held G_GNUC_UNUSED = device;

    print_usb (device);
  }
  return TRUE;
}

/* The connection of the device on PATH, as it is now; 0: none there. */
static guint64
find_connection (FloeHypervisor1 *root, const char *path)
{
  GVariantIter iter;
  GVariant *device;
  guint64 connection = 0;

  g_variant_iter_init (&iter, floe_hypervisor1_get_usb_devices (root));
  while ((device = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) held G_GNUC_UNUSED = device;
    const char *is = "";

    g_variant_lookup (device, "path", "&s", &is);
    if (strcmp (is, path) == 0)
      g_variant_lookup (device, "connection", "t", &connection);
  }
  return connection;
}

static gboolean
run_usb_answer (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL;
  gboolean remember = FALSE;
  const GOptionEntry entries[] = {
    { "remember", 'r', 0, G_OPTION_ARG_NONE, &remember, "answer the same for this device on this port from now on", NULL },
    { NULL },
  };
  const FloeCommand self = { "usb-answer", "[--remember] PORT CHOICE", "", NULL };

  if (!floe_cli_parse (&self, entries, 2, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL)
    return FALSE;
  return outcome (floe_hypervisor1_call_answer_usb_sync (root, argv[1], find_connection (root, argv[1]), argv[2], remember, NULL,
                                                         error),
                  error);
}

static gboolean
run_situation (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL;
  gboolean locked = FALSE;
  g_autofree char *front = NULL, *person = NULL;
  g_autoptr (GMainLoop) loop = NULL;
  const GOptionEntry entries[] = {
    { "front", 0, 0, G_OPTION_ARG_STRING, &front, "the machine on the screen", "ID" },
    { "person", 0, 0, G_OPTION_ARG_STRING, &person, "who is logged in", "NAME" },
    { "locked", 0, 0, G_OPTION_ARG_NONE, &locked, "the screen is locked", NULL },
    { NULL },
  };
  const FloeCommand self = { "usb-situation", "[--front ID] [--person NAME] [--locked]", "", NULL };

  if (!floe_cli_parse (&self, entries, 0, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL
      || !outcome (floe_hypervisor1_call_set_situation_sync (root, front != NULL ? front : "", person != NULL ? person : "", locked,
                                                             NULL, error),
                   error))
    return FALSE;
  g_print ("said; it holds until this program ends\n");
  fflush (stdout);
  loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  return TRUE;
}

static void
on_audit (FloeHypervisor1 *root G_GNUC_UNUSED, const char *kind, GVariant *fields, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *time = g_date_time_format (now, "%FT%TZ");
  g_autofree char *text = g_variant_print (fields, FALSE);

  g_print ("%s %s %s\n", time, kind, text);
  fflush (stdout);
}

static gboolean
run_events (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  if (!parse_plain ("events", 0, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL)
    return FALSE;
  g_signal_connect (root, "audit", G_CALLBACK (on_audit), NULL);
  g_main_loop_run (loop);
  return TRUE;
}

static gboolean
run_check (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1) root = NULL, fresh = NULL;
  g_autoptr (GVariant) items = NULL;
  gboolean bad = FALSE;
  GVariantIter iter;
  GVariant *item;

  if (!parse_plain ("check", 0, &argc, &argv, error))
    return FALSE;
  root = open_root (error);
  if (root == NULL || !outcome (floe_hypervisor1_call_check_hardware_sync (root, NULL, error), error))
    return FALSE;
  /* A proxy of before the check would still have what was known then. */
  fresh = open_root (error);
  if (fresh == NULL)
    return FALSE;
  items = floe_hypervisor1_dup_hardware (fresh);
  g_variant_iter_init (&iter, items);
  for (; (item = g_variant_iter_next_value (&iter)) != NULL; g_variant_unref (item)) {
    const char *id = "", *level = "", *text = "";

    g_variant_lookup (item, "id", "&s", &id);
    g_variant_lookup (item, "level", "&s", &level);
    g_variant_lookup (item, "text", "&s", &text);
    g_print ("%-12s %-5s %s\n", id, level, text);
    bad = bad || strcmp (level, "bad") == 0;
  }
  return !bad || floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "something will not work: see the lines marked bad");
}

/* -- Doing ------------------------------------------------------------------------------------------------------------ */

typedef gboolean (*MachineCall) (FloeHypervisor1Machine *machine, GCancellable *cancellable, GError **error);

static gboolean
run_call (const char *name, MachineCall call, int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;

  if (!parse_plain (name, 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  return machine != NULL && outcome (call (machine, NULL, error), error);
}

static gboolean
run_start (int argc, char **argv, GError **error)
{
  return run_call ("start", floe_hypervisor1_machine_call_start_sync, argc, argv, error);
}

static gboolean
run_reset (int argc, char **argv, GError **error)
{
  return run_call ("reset", floe_hypervisor1_machine_call_reset_sync, argc, argv, error);
}

static gboolean
run_suspend (int argc, char **argv, GError **error)
{
  return run_call ("suspend", floe_hypervisor1_machine_call_suspend_sync, argc, argv, error);
}

static gboolean
run_resume (int argc, char **argv, GError **error)
{
  return run_call ("resume", floe_hypervisor1_machine_call_resume_sync, argc, argv, error);
}

static gboolean
run_stop (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;
  gboolean force = FALSE;
  const GOptionEntry entries[] = {
    { "force", 'f', 0, G_OPTION_ARG_NONE, &force, "end it at once, and throw a suspended machine's memory away", NULL },
    { NULL },
  };
  const FloeCommand self = { "stop", "[--force] ID", "", NULL };

  if (!floe_cli_parse (&self, entries, 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  return machine != NULL
         && outcome (floe_hypervisor1_machine_call_stop_sync (machine, force ? "force" : "shutdown", NULL, error), error);
}

static gboolean
run_display (int argc, char **argv, GError **error)
{
  g_autoptr (FloeHypervisor1Machine) machine = NULL;

  if (!parse_plain ("display", 1, &argc, &argv, error))
    return FALSE;
  machine = find_machine (argv[1], error);
  if (machine == NULL)
    return FALSE;
  g_print ("The display of %s has no address. floe-console shows it: each SPICE channel is a socket that OpenDisplay() "
           "of\n%s hands over.\n",
           argv[1], g_dbus_proxy_get_object_path (G_DBUS_PROXY (machine)));
  return TRUE;
}

static const FloeCommand commands[] = {
  { "list", "", "all machines, with state and image", run_list },
  { "show", "ID", "everything about one machine", run_show },
  { "start", "ID", "start a machine that is stopped", run_start },
  { "stop", "[--force] ID", "ask the guest to shut down, or end it at once", run_stop },
  { "reset", "ID", "press the machine's reset button", run_reset },
  { "suspend", "ID", "save the machine to disk and end it", run_suspend },
  { "resume", "ID", "go on where suspend ended", run_resume },
  { "leave", "FILE", "suspend all that run, and write to FILE which: before the endpoint ends", floe_vm_run_leave },
  { "return", "FILE", "resume those of FILE, and remove it: when the endpoint is back", floe_vm_run_return },
  { "net", "ID", "its network cards: packets by rule, names, addresses", run_net },
  { "stats", "ID", "packets by rule, address, processes", run_stats },
  { "display", "ID", "how the machine's display is reached", run_display },
  { "usb", "", "USB devices, their verdicts, and who has them", run_usb },
  { "usb-answer", "[--remember] PORT CHOICE", "answer for the person whom a device's rule asks", run_usb_answer },
  { "usb-situation", "[--front ID] [--person NAME] [--locked]", "say what the console would of the screen", run_situation },
  { "check", "", "what this computer has of what Floe wants, and what will not work", run_check },
  { "status", "", "accelerator and policy of this endpoint", run_status },
  { "events", "", "what policy decides, as it happens", run_events },
  { NULL },
};

int
main (int argc, char **argv)
{
  /* As every program of Floe; machines are found over the bus, so nothing in the file matters here. */
  if (argc > 2 && strcmp (argv[1], "--config") == 0) {
    memmove (argv + 1, argv + 3, sizeof *argv * (size_t)(argc - 2));
    argc -= 2;
  }
  return floe_cli_run ("floe-vm", "the machines of this endpoint", commands, argc, argv);
}
