/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-setup-page.h"

#include "common/floe-code.h"
#include "console-ui/floe-language.h"
#include "console-ui/floe-setup-words.h"
#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define CONTENT_WIDTH 860
#define CODE_WIDTH_CHARS 24

struct _FloeSetupPage {
  GtkBox parent;
  FloeSetupLink *setup;
  FloeLink *link;
  GtkWidget *address, *code, *connect, *cancel, *spinner, *progress, *problem, *hardware;
  gboolean touched; /* the person has typed an address: one that is found does not replace it */
  gboolean setting; /* the text is being set by us */
  guint regroup;    /* source */
};

G_DEFINE_FINAL_TYPE (FloeSetupPage, floe_setup_page, GTK_TYPE_BOX)

enum { LANGUAGE, SIGNALS };
static guint signals[SIGNALS];

/* -- The form ------------------------------------------------------------------------------------------------------- */

static const char *
typed (GtkWidget *entry)
{
  return gtk_entry_get_text (GTK_ENTRY (entry));
}

static void
update_form (FloeSetupPage *page)
{
  gboolean busy = floe_setup_link_is_enrolling (page->setup);
  g_autofree char *problem = floe_setup_problem_words (busy ? "" : floe_setup_link_problem (page->setup), floe_setup_link_detail (page->setup));
  const char *found = floe_setup_link_address (page->setup);

  if (!page->touched && found[0] != '\0' && strcmp (typed (page->address), found) != 0) {
    page->setting = TRUE;
    gtk_entry_set_text (GTK_ENTRY (page->address), found);
    page->setting = FALSE;
    /* There is but the code to type. */
    if (gtk_widget_has_focus (page->address))
      gtk_widget_grab_focus (page->code);
  }
  floe_label_set (page->problem, problem);
  floe_label_set (page->progress, busy ? _ ("Connecting…") : "");
  gtk_widget_set_sensitive (page->address, !busy);
  gtk_widget_set_sensitive (page->code, !busy);
  gtk_widget_set_visible (page->connect, !busy);
  gtk_widget_set_visible (page->cancel, busy);
  gtk_widget_set_visible (page->spinner, busy);
  g_object_set (page->spinner, "active", busy, NULL);
}

static void
on_changed (FloeSetupPage *page)
{
  gboolean was_busy = !gtk_widget_get_sensitive (page->code);

  update_form (page);
  if (was_busy && gtk_widget_get_sensitive (page->code))
    gtk_widget_grab_focus (strcmp (floe_setup_link_problem (page->setup), "address") == 0
                                   || strcmp (floe_setup_link_problem (page->setup), "unreachable") == 0
                                   || strcmp (floe_setup_link_problem (page->setup), "not-floe") == 0
                               ? page->address
                               : page->code);
}

static void
on_connect (FloeSetupPage *page)
{
  if (floe_setup_link_is_enrolling (page->setup))
    return;
  floe_setup_link_enrol (page->setup, typed (page->address), typed (page->code));
  /* It is there when there is something to cancel: not when the agent went away in this moment. */
  if (floe_setup_link_is_enrolling (page->setup))
    gtk_widget_grab_focus (page->cancel);
}

/* What was wrong before is being mended. */
static void
forget_problem (FloeSetupPage *page)
{
  floe_setup_link_forget (page->setup);
  floe_label_set (page->problem, "");
}

static void
on_address_typed (FloeSetupPage *page)
{
  if (page->setting)
    return;
  page->touched = typed (page->address)[0] != '\0';
  forget_problem (page);
}

static void
on_address_done (FloeSetupPage *page)
{
  gtk_widget_grab_focus (page->code);
}

/* What was typed, as a code is written. The cursor stays behind the character that it was behind. */
static gboolean
on_regroup (gpointer data)
{
  FloeSetupPage *page = data;
  const char *text = typed (page->code);
  int position = gtk_editable_get_position (GTK_EDITABLE (page->code));
  g_autofree char *before = g_utf8_substring (text, 0, position);
  g_autofree char *grouped = floe_code_group (text), *grouped_before = floe_code_group (before);

  page->regroup = 0;
  if (strcmp (text, grouped) == 0)
    return G_SOURCE_REMOVE;
  page->setting = TRUE;
  gtk_entry_set_text (GTK_ENTRY (page->code), grouped);
  gtk_editable_set_position (GTK_EDITABLE (page->code), (int) strlen (grouped_before));
  page->setting = FALSE;
  return G_SOURCE_REMOVE;
}

/* Later: while it is being changed, the entry does not know where its cursor will be. */
static void
on_code_typed (FloeSetupPage *page)
{
  if (page->setting)
    return;
  forget_problem (page);
  if (page->regroup == 0)
    page->regroup = g_idle_add_full (G_PRIORITY_HIGH_IDLE, on_regroup, page, NULL);
}

void
floe_setup_page_escape (FloeSetupPage *page)
{
  if (floe_setup_link_is_enrolling (page->setup))
    floe_setup_link_cancel (page->setup);
}

void
floe_setup_page_focus (FloeSetupPage *page)
{
  gtk_widget_grab_focus (typed (page->address)[0] != '\0' ? page->code : page->address);
}

void
floe_setup_page_take (FloeSetupPage *page, FloeSetupPage *before)
{
  page->touched = before->touched;
  page->setting = TRUE;
  gtk_entry_set_text (GTK_ENTRY (page->address), typed (before->address));
  gtk_entry_set_text (GTK_ENTRY (page->code), typed (before->code));
  page->setting = FALSE;
}

/* -- Hardware ------------------------------------------------------------------------------------------------------- */

static void
add_item (FloeSetupPage *page, int row, const FloeHardwareWords *item)
{
  GtkWidget *mark = floe_label_new ("check-mark", 0.5f), *title = floe_label_new ("check-title", 0), *words = floe_label_new ("check-words", 0);

  gtk_style_context_add_class (gtk_widget_get_style_context (mark), item->level);
  floe_label_set (mark, item->mark);
  floe_label_set (title, item->title);
  floe_label_set (words, item->words);
  gtk_widget_set_valign (mark, GTK_ALIGN_START);
  gtk_widget_set_valign (title, GTK_ALIGN_START);
  gtk_widget_set_hexpand (words, TRUE);
  gtk_grid_attach (GTK_GRID (page->hardware), mark, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (page->hardware), title, 1, row, 1, 1);
  gtk_grid_attach (GTK_GRID (page->hardware), words, 2, row, 1, 1);
}

static void
update_hardware (FloeSetupPage *page)
{
  g_autoptr (GPtrArray) items = floe_hardware_words (floe_link_hardware (page->link));
  g_autoptr (GList) before = gtk_container_get_children (GTK_CONTAINER (page->hardware));

  for (GList *at = before; at != NULL; at = at->next)
    gtk_widget_destroy (at->data);
  for (guint i = 0; i < items->len; i++)
    add_item (page, (int) i, g_ptr_array_index (items, i));
  if (items->len == 0) {
    GtkWidget *waiting = floe_label_new ("check-words", 0);

    floe_label_set (waiting, _ ("Waiting for the desktop service…"));
    gtk_grid_attach (GTK_GRID (page->hardware), waiting, 0, 0, 3, 1);
  }
}

/* -- Building ------------------------------------------------------------------------------------------------------- */

static void
on_language (GtkWidget *button, GtkWidget *page)
{
  const char *code = g_object_get_data (G_OBJECT (button), "language");

  g_signal_emit_by_name (page, "language", code);
}

GtkWidget *
floe_setup_languages_new (GtkWidget *page)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  g_auto (GStrv) choices = floe_language_choices (NULL);

  for (char **code = choices; *code != NULL; code++) {
    GtkWidget *button = gtk_button_new_with_label (floe_language_name (*code));
    g_autofree char *name = g_strdup_printf ("language-%s", *code);

    if (strcmp (*code, floe_language_current ()) == 0) {
      gtk_widget_destroy (g_object_ref_sink (button));
      g_object_unref (button);
      continue;
    }
    gtk_widget_set_name (button, name);
    g_object_set_data_full (G_OBJECT (button), "language", g_strdup (*code), g_free);
    g_signal_connect (button, "clicked", G_CALLBACK (on_language), page);
    gtk_box_pack_start (GTK_BOX (box), button, FALSE, FALSE, 0);
  }
  gtk_widget_set_valign (box, GTK_ALIGN_START);
  return box;
}

static GtkWidget *
make_header (FloeSetupPage *page)
{
  GtkWidget *header = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12), *words = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  GtkWidget *banner = floe_label_new ("banner", 0), *subtitle = floe_label_new ("subtitle", 0);

  floe_label_set (banner, _ ("Set up this computer"));
  floe_label_set (subtitle, _ ("Your IT department gives you an address and a one-time code."));
  gtk_box_pack_start (GTK_BOX (words), banner, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), subtitle, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (header), words, TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (header), floe_setup_languages_new (GTK_WIDGET (page)), FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (header), "header");
  return header;
}

static GtkWidget *
make_entry (GtkWidget *grid, int row, const char *mnemonic, const char *name, int max)
{
  GtkWidget *label = gtk_label_new_with_mnemonic (mnemonic), *entry = gtk_entry_new ();

  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), entry);
  gtk_style_context_add_class (gtk_widget_get_style_context (label), "field");
  gtk_widget_set_name (entry, name);
  gtk_entry_set_max_length (GTK_ENTRY (entry), max);
  gtk_entry_set_input_hints (GTK_ENTRY (entry), GTK_INPUT_HINT_NO_SPELLCHECK | GTK_INPUT_HINT_NO_EMOJI);
  gtk_widget_set_hexpand (entry, TRUE);
  gtk_grid_attach (GTK_GRID (grid), label, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (grid), entry, 1, row, 1, 1);
  return entry;
}

static GtkWidget *
make_buttons (FloeSetupPage *page)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);

  page->connect = floe_button_new (_ ("C_onnect"), "setup-connect", "primary");
  page->cancel = floe_button_new (_ ("_Cancel"), "setup-cancel", NULL);
  page->spinner = gtk_spinner_new ();
  page->progress = floe_label_new ("card-state", 0);
  gtk_widget_set_no_show_all (page->connect, TRUE);
  gtk_widget_set_no_show_all (page->cancel, TRUE);
  gtk_widget_set_no_show_all (page->spinner, TRUE);
  g_signal_connect_swapped (page->connect, "clicked", G_CALLBACK (on_connect), page);
  g_signal_connect_swapped (page->cancel, "clicked", G_CALLBACK (floe_setup_page_escape), page);
  gtk_box_pack_start (GTK_BOX (row), page->connect, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), page->cancel, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), page->spinner, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), page->progress, FALSE, FALSE, 0);
  return row;
}

static GtkWidget *
make_form (FloeSetupPage *page)
{
  GtkWidget *grid = gtk_grid_new ();

  gtk_grid_set_row_spacing (GTK_GRID (grid), 12);
  gtk_grid_set_column_spacing (GTK_GRID (grid), 18);
  page->address = make_entry (grid, 0, _ ("_Address"), "setup-address", 255);
  page->code = make_entry (grid, 1, _ ("O_ne-time code"), "setup-code", 64);
  page->problem = floe_label_new ("card-problem", 0);
  gtk_widget_set_name (page->problem, "setup-problem");
  gtk_entry_set_width_chars (GTK_ENTRY (page->code), CODE_WIDTH_CHARS);
  gtk_style_context_add_class (gtk_widget_get_style_context (page->code), "code");
  gtk_entry_set_placeholder_text (GTK_ENTRY (page->address), "floe.example.org");
  gtk_entry_set_placeholder_text (GTK_ENTRY (page->code), "XXXXX-XXXXX-XXXXX-XXXXX");
  g_signal_connect_swapped (page->address, "changed", G_CALLBACK (on_address_typed), page);
  g_signal_connect_swapped (page->address, "activate", G_CALLBACK (on_address_done), page);
  g_signal_connect_swapped (page->code, "changed", G_CALLBACK (on_code_typed), page);
  g_signal_connect_swapped (page->code, "activate", G_CALLBACK (on_connect), page);
  gtk_grid_attach (GTK_GRID (grid), make_buttons (page), 1, 2, 1, 1);
  gtk_grid_attach (GTK_GRID (grid), page->problem, 1, 3, 1, 1);
  gtk_style_context_add_class (gtk_widget_get_style_context (grid), "setup-form");
  return grid;
}

static GtkWidget *
make_check (FloeSetupPage *page)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 10), *top = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *heading = floe_label_new ("card-title", 0), *again = floe_button_new (_ ("Check a_gain"), "setup-check", NULL);

  floe_label_set (heading, _ ("This computer"));
  g_signal_connect_swapped (again, "clicked", G_CALLBACK (floe_link_check_hardware), page->link);
  gtk_box_pack_start (GTK_BOX (top), heading, TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (top), again, FALSE, FALSE, 0);
  page->hardware = gtk_grid_new ();
  gtk_widget_set_name (page->hardware, "setup-hardware");
  gtk_grid_set_row_spacing (GTK_GRID (page->hardware), 8);
  gtk_grid_set_column_spacing (GTK_GRID (page->hardware), 14);
  gtk_box_pack_start (GTK_BOX (box), top, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), page->hardware, FALSE, FALSE, 0);
  return box;
}

static void
floe_setup_page_dispose (GObject *object)
{
  FloeSetupPage *page = FLOE_SETUP_PAGE (object);

  g_clear_handle_id (&page->regroup, g_source_remove);
  if (page->setup != NULL)
    g_signal_handlers_disconnect_by_data (page->setup, page);
  if (page->link != NULL)
    g_signal_handlers_disconnect_by_data (page->link, page);
  g_clear_object (&page->setup);
  g_clear_object (&page->link);
  G_OBJECT_CLASS (floe_setup_page_parent_class)->dispose (object);
}

static void
floe_setup_page_class_init (FloeSetupPageClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_setup_page_dispose;
  signals[LANGUAGE] = g_signal_new ("language", FLOE_TYPE_SETUP_PAGE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
floe_setup_page_init (FloeSetupPage *page)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (page), GTK_ORIENTATION_VERTICAL);
}

GtkWidget *
floe_setup_page_new (FloeSetupLink *setup, FloeLink *link)
{
  FloeSetupPage *page = g_object_new (FLOE_TYPE_SETUP_PAGE, NULL);
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL), *column = gtk_box_new (GTK_ORIENTATION_VERTICAL, 22);

  page->setup = g_object_ref (setup);
  page->link = g_object_ref (link);
  gtk_box_pack_start (GTK_BOX (column), make_header (page), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), make_form (page), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (column), make_check (page), FALSE, FALSE, 0);
  gtk_widget_set_halign (column, GTK_ALIGN_CENTER);
  gtk_widget_set_size_request (column, (int) (CONTENT_WIDTH * floe_screen_scale ()), -1);
  gtk_style_context_add_class (gtk_widget_get_style_context (column), "column");
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (scroll), column);
  gtk_box_pack_start (GTK_BOX (page), scroll, TRUE, TRUE, 0);
  gtk_widget_show_all (GTK_WIDGET (page));
  g_signal_connect_swapped (setup, "changed", G_CALLBACK (on_changed), page);
  g_signal_connect_swapped (link, "changed", G_CALLBACK (update_hardware), page);
  update_form (page);
  update_hardware (page);
  return GTK_WIDGET (page);
}
