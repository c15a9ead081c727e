/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine-list.h"

#include "console-ui/floe-accelerator.h"
#include "console-ui/floe-language.h"
#include "console-ui/floe-machine-card.h"
#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define CONTENT_WIDTH 860

struct _FloeMachineList {
  GtkBox parent;
  FloeLink *link;
  GtkWidget *banner, *reconnecting, *policy_problem, *marks, *update, *update_words, *list, *empty, *hints, *footer;
  GtkWidget *language, *language_items;
};

G_DEFINE_FINAL_TYPE (FloeMachineList, floe_machine_list, GTK_TYPE_BOX)

enum { ACT, LANGUAGE, SIGNALS };
static guint signals[SIGNALS];

/* -- What the page says --------------------------------------------------------------------------------------------- */

static char *
hints_text (const FloeSettings *settings)
{
  const struct {
    const char *accelerator, *words;
  } keys[] = { { settings->switch_next, _ ("next desktop") },
               { settings->switch_previous, _ ("previous desktop") },
               { settings->switch_list, _ ("this list") } };
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autofree char *label = NULL;
    FloeHotkeyChord chord;

    if (!floe_accelerator_parse (keys[i].accelerator, &chord, NULL) || chord.keyval == 0)
      continue;
    label = floe_accelerator_label (&chord);
    g_string_append_printf (text, "%s%s  %s", text->len > 0 ? "     " : "", label, keys[i].words);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static char *
footer_text (const FloeSettings *settings)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);

  if (settings->version != NULL && settings->version[0] != '\0')
    g_ptr_array_add (parts, g_strdup_printf ("Floe %s", settings->version));
  if (settings->policy_group != NULL && settings->policy_version > 0)
    /* Translators: %1$s is the name of a group of computers, %2$llu the version of its policy. */
    g_ptr_array_add (parts, g_strdup_printf (_ ("Policy “%1$s”, version %2$llu"), settings->policy_group,
                                             (unsigned long long) settings->policy_version));
  if (g_strcmp0 (settings->accelerator, "kvm") == 0)
    g_ptr_array_add (parts, g_strdup (_ ("Hardware acceleration")));
  else if (settings->accelerator != NULL && settings->accelerator[0] != '\0')
    /* Translators: %s says why, in English, as the system reports it. */
    g_ptr_array_add (parts, g_strdup_printf (_ ("No hardware acceleration: %s"), settings->accelerator_reason));
  g_ptr_array_add (parts, NULL);
  return g_strjoinv ("   ·   ", (char **) parts->pdata);
}

static char *
problem_text (const FloeSettings *settings)
{
  if (settings->policy_problem == NULL || settings->policy_problem[0] == '\0')
    return g_strdup ("");
  /* Translators: %s is what the system reports, in English. */
  return g_strdup_printf (_ ("Policy: %s"), settings->policy_problem);
}

/* What nobody at an appliance should overlook: docs/appliance.md. On other endpoints neither file says so. */
static char *
marks_text (void)
{
  g_autoptr (GKeyFile) state = g_key_file_new ();
  g_autofree char *protection = NULL, *variant = g_get_os_info ("VARIANT_ID"), *name = g_get_os_info (G_OS_INFO_KEY_ID);
  gboolean debug = g_strcmp0 (name, "floe") == 0 && g_strcmp0 (variant, "debug") == 0, open;

  if (g_key_file_load_from_file (state, "/run/floe/state.conf", G_KEY_FILE_NONE, NULL))
    protection = g_key_file_get_string (state, "state", "protection", NULL);
  open = g_strcmp0 (protection, "none") == 0;
  return g_strconcat (debug ? _ ("This is a debug image: whoever reaches its serial line controls this computer.") : "", debug && open ? "\n" : "",
                      open ? _ ("This computer has no TPM: whoever takes its disk can read what is on it.") : "", NULL);
}

/* A new version of the appliance is there; when it starts, a person says. */
static void
update_update (FloeMachineList *list, guint64 ready)
{
  /* Translators: %llu is the number of a version. */
  g_autofree char *words = g_strdup_printf (_ ("Update ready (version %llu). Open desktops are kept over the restart."), (unsigned long long) ready);

  floe_label_set (list->update_words, ready != 0 ? words : "");
  gtk_widget_set_visible (list->update, ready != 0);
}

static void
on_restart (FloeMachineList *list)
{
  floe_link_restart_for_update (list->link);
}

static GtkWidget *
list_make_update (FloeMachineList *list)
{
  GtkWidget *button = floe_button_new (_ ("Restart _now"), "update-restart", NULL);

  list->update = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  list->update_words = floe_label_new ("update-words", 0);
  gtk_widget_set_valign (button, GTK_ALIGN_CENTER);
  g_signal_connect_swapped (button, "clicked", G_CALLBACK (on_restart), list);
  gtk_box_pack_start (GTK_BOX (list->update), list->update_words, TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (list->update), button, FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (list->update), "update-strip");
  gtk_widget_show_all (list->update);
  gtk_widget_set_no_show_all (list->update, TRUE);
  return list->update;
}

static void
list_update (FloeMachineList *list)
{
  const FloeSettings *settings = floe_link_settings (list->link);
  gboolean up = floe_link_is_up (list->link), was_up = floe_link_was_up (list->link);
  g_autofree char *hints = hints_text (settings);
  g_autofree char *footer = footer_text (settings);
  g_autofree char *problem = problem_text (settings), *marks = marks_text ();
  g_auto (GStrv) languages = floe_language_choices ((const char *const *) settings->languages);

  floe_label_set (list->banner, settings->banner != NULL && settings->banner[0] != '\0' ? settings->banner : "Floe");
  floe_label_set (list->reconnecting,
                  was_up && !up ? _ ("Reconnecting to the desktop service… Open desktops keep running.") : "");
  floe_label_set (list->policy_problem, problem);
  floe_label_set (list->marks, marks);
  update_update (list, settings->update_ready);
  floe_label_set (list->hints, hints);
  floe_label_set (list->footer, footer);
  if (!was_up)
    floe_label_set (list->empty, _ ("Waiting for the desktop service…"));
  else if (floe_link_machines (list->link)->len == 0 && (settings->policy_group == NULL || settings->policy_group[0] == '\0'))
    floe_label_set (list->empty, _ ("This computer is not set up yet."));
  else if (floe_link_machines (list->link)->len == 0 && settings->policy_version == 0)
    floe_label_set (list->empty, _ ("Fetching what this computer may run…"));
  else if (floe_link_machines (list->link)->len == 0)
    floe_label_set (list->empty, _ ("No desktop is assigned to this computer. Your IT department can assign one."));
  else
    floe_label_set (list->empty, "");
  gtk_widget_set_visible (list->language, g_strv_length (languages) > 1);
}

/* -- Rows ----------------------------------------------------------------------------------------------------------- */

static void
on_card_act (FloeMachineCard *card, int action, FloeMachineList *list)
{
  g_signal_emit (list, signals[ACT], 0, floe_machine_card_get_machine (card), action);
}

static void
on_row_activated (GtkListBox *box G_GNUC_UNUSED, GtkListBoxRow *row, FloeMachineList *list)
{
  FloeMachine *machine = floe_machine_card_get_machine (FLOE_MACHINE_CARD (row));
  FloeAction action = floe_machine_info_primary (floe_machine_get_info (machine));

  if (action != 0)
    g_signal_emit (list, signals[ACT], 0, machine, (int) action);
}

static GtkListBoxRow *
find_row (FloeMachineList *list, FloeMachine *machine)
{
  GtkListBoxRow *row;

  for (int i = 0; (row = gtk_list_box_get_row_at_index (GTK_LIST_BOX (list->list), i)) != NULL; i++)
    if (floe_machine_card_get_machine (FLOE_MACHINE_CARD (row)) == machine)
      return row;
  return NULL;
}

void
floe_machine_list_set (FloeMachineList *list, GPtrArray *machines)
{
  g_autoptr (GList) rows = gtk_container_get_children (GTK_CONTAINER (list->list));
  FloeMachine *selected = floe_machine_list_selected (list);
  GtkListBoxRow *row;

  for (GList *at = rows; at != NULL; at = at->next)
    if (!g_ptr_array_find (machines, floe_machine_card_get_machine (at->data), NULL))
      gtk_widget_destroy (at->data);
  for (guint i = 0; i < machines->len; i++) {
    FloeMachine *machine = g_ptr_array_index (machines, i);

    row = find_row (list, machine);
    if (row == NULL) {
      row = GTK_LIST_BOX_ROW (floe_machine_card_new (machine));
      g_signal_connect (row, "act", G_CALLBACK (on_card_act), list);
      gtk_list_box_insert (GTK_LIST_BOX (list->list), GTK_WIDGET (row), (int) i);
    } else if (gtk_list_box_row_get_index (row) != (int) i) {
      g_object_ref (row);
      gtk_container_remove (GTK_CONTAINER (list->list), GTK_WIDGET (row));
      gtk_list_box_insert (GTK_LIST_BOX (list->list), GTK_WIDGET (row), (int) i);
      g_object_unref (row);
    }
    floe_machine_card_set_number (FLOE_MACHINE_CARD (row), i + 1);
  }
  row = selected != NULL ? find_row (list, selected) : NULL;
  if (row == NULL)
    row = gtk_list_box_get_row_at_index (GTK_LIST_BOX (list->list), 0);
  gtk_list_box_select_row (GTK_LIST_BOX (list->list), row);
  list_update (list);
}

FloeMachine *
floe_machine_list_selected (FloeMachineList *list)
{
  GtkListBoxRow *row = gtk_list_box_get_selected_row (GTK_LIST_BOX (list->list));

  return row != NULL ? floe_machine_card_get_machine (FLOE_MACHINE_CARD (row)) : NULL;
}

void
floe_machine_list_focus (FloeMachineList *list, FloeMachine *machine)
{
  GtkListBoxRow *row = machine != NULL ? find_row (list, machine) : NULL;

  if (row == NULL)
    row = gtk_list_box_get_row_at_index (GTK_LIST_BOX (list->list), 0);
  if (row == NULL)
    return;
  gtk_list_box_select_row (GTK_LIST_BOX (list->list), row);
  gtk_widget_grab_focus (GTK_WIDGET (row));
}

/* -- Building ------------------------------------------------------------------------------------------------------- */

static void
on_language (GtkWidget *item, FloeMachineList *list)
{
  const char *code = g_object_get_data (G_OBJECT (item), "language");

  g_signal_emit (list, signals[LANGUAGE], 0, code);
}

/* Filled anew each time it opens: policy may have changed. */
static void
on_language_opened (FloeMachineList *list)
{
  const FloeSettings *settings = floe_link_settings (list->link);
  g_auto (GStrv) choices = floe_language_choices ((const char *const *) settings->languages);

  g_autoptr (GList) before = gtk_container_get_children (GTK_CONTAINER (list->language_items));

  for (GList *at = before; at != NULL; at = at->next)
    gtk_widget_destroy (at->data);
  for (char **code = choices; *code != NULL; code++) {
    GtkWidget *item = gtk_button_new_with_label (floe_language_name (*code));
    g_autofree char *name = g_strdup_printf ("language-%s", *code);

    gtk_widget_set_name (item, name);
    gtk_style_context_add_class (gtk_widget_get_style_context (item), "menu-item");
    g_object_set_data_full (G_OBJECT (item), "language", g_strdup (*code), g_free);
    g_signal_connect (item, "clicked", G_CALLBACK (on_language), list);
    gtk_box_pack_start (GTK_BOX (list->language_items), item, FALSE, FALSE, 0);
  }
  gtk_widget_show_all (list->language_items);
}

static GtkWidget *
list_make_header (FloeMachineList *list)
{
  GtkWidget *header = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *words = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  GtkWidget *subtitle = floe_label_new ("subtitle", 0);
  GtkWidget *popover;

  list->banner = floe_label_new ("banner", 0);
  floe_label_set (subtitle, _ ("Your desktops"));
  gtk_box_pack_start (GTK_BOX (words), list->banner, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), subtitle, FALSE, FALSE, 0);
  list->language = gtk_menu_button_new ();
  gtk_widget_set_name (list->language, "language");
  gtk_button_set_use_underline (GTK_BUTTON (list->language), TRUE);
  gtk_button_set_label (GTK_BUTTON (list->language), _ ("_Language"));
  gtk_widget_set_no_show_all (list->language, TRUE);
  gtk_widget_set_valign (list->language, GTK_ALIGN_START);
  popover = gtk_popover_new (list->language);
  list->language_items = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  gtk_container_add (GTK_CONTAINER (popover), list->language_items);
  gtk_menu_button_set_popover (GTK_MENU_BUTTON (list->language), popover);
  g_signal_connect_swapped (popover, "map", G_CALLBACK (on_language_opened), list);
  gtk_box_pack_start (GTK_BOX (header), words, TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (header), list->language, FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (header), "header");
  return header;
}

static GtkWidget *
list_make_footer (FloeMachineList *list)
{
  GtkWidget *footer = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);

  list->hints = floe_label_new ("hints", 0.5f);
  list->footer = floe_label_new ("footer", 0.5f);
  gtk_widget_set_name (list->footer, "footer");
  gtk_box_pack_start (GTK_BOX (footer), list->hints, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (footer), list->footer, FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (footer), "footer-area");
  return footer;
}

static void
list_build (FloeMachineList *list)
{
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);
  GtkWidget *column = gtk_box_new (GTK_ORIENTATION_VERTICAL, 18);

  list->reconnecting = floe_label_new ("warning-strip", 0);
  list->policy_problem = floe_label_new ("warning-strip", 0);
  list->marks = floe_label_new ("warning-strip", 0);
  list->empty = floe_label_new ("empty", 0.5f);
  list->list = gtk_list_box_new ();
  gtk_widget_set_name (list->list, "machines");
  gtk_list_box_set_selection_mode (GTK_LIST_BOX (list->list), GTK_SELECTION_BROWSE);
  gtk_list_box_set_activate_on_single_click (GTK_LIST_BOX (list->list), FALSE);
  atk_object_set_name (gtk_widget_get_accessible (list->list), _ ("Your desktops"));
  g_signal_connect (list->list, "row-activated", G_CALLBACK (on_row_activated), list);
  gtk_box_pack_start (GTK_BOX (column), list_make_header (list), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list->reconnecting, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list->policy_problem, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list->marks, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list_make_update (list), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list->list, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), list->empty, FALSE, FALSE, 24);
  gtk_widget_set_halign (column, GTK_ALIGN_CENTER);
  gtk_widget_set_size_request (column, (int) (CONTENT_WIDTH * floe_screen_scale ()), -1);
  gtk_style_context_add_class (gtk_widget_get_style_context (column), "column");
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (scroll), column);
  gtk_box_pack_start (GTK_BOX (list), scroll, TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (list), list_make_footer (list), FALSE, FALSE, 0);
}

static void
floe_machine_list_dispose (GObject *object)
{
  FloeMachineList *list = FLOE_MACHINE_LIST (object);

  if (list->link != NULL)
    g_signal_handlers_disconnect_by_data (list->link, list);
  g_clear_object (&list->link);
  G_OBJECT_CLASS (floe_machine_list_parent_class)->dispose (object);
}

static void
floe_machine_list_class_init (FloeMachineListClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_machine_list_dispose;
  signals[ACT] = g_signal_new ("act", FLOE_TYPE_MACHINE_LIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                               FLOE_TYPE_MACHINE, G_TYPE_INT);
  signals[LANGUAGE] = g_signal_new ("language", FLOE_TYPE_MACHINE_LIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                                    G_TYPE_STRING);
}

static void
floe_machine_list_init (FloeMachineList *list)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (list), GTK_ORIENTATION_VERTICAL);
}

GtkWidget *
floe_machine_list_new (FloeLink *link)
{
  FloeMachineList *list = g_object_new (FLOE_TYPE_MACHINE_LIST, NULL);

  list->link = g_object_ref (link);
  list_build (list);
  gtk_widget_show_all (GTK_WIDGET (list));
  g_signal_connect_swapped (link, "changed", G_CALLBACK (list_update), list);
  list_update (list);
  return GTK_WIDGET (list);
}
