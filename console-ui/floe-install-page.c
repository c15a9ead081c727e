/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-install-page.h"

#include "console-ui/floe-console-text.h"
#include "console-ui/floe-install-words.h"
#include "console-ui/floe-setup-page.h"
#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define CONTENT_WIDTH 860

typedef enum { CHOICE, DISKS, CONFIRM, WORK, STEPS } Step;

struct _FloeInstallPage {
  GtkBox parent;
  FloeInstallLink *link;
  GtkWidget *stack, *first; /* first: what has the keyboard on the first step */
  GtkWidget *list, *list_note, *disks_back;
  GtkWidget *confirm_heading, *confirm_detail, *confirm_note, *losses, *ask, *typed, *install, *confirm_back;
  GtkWidget *heading, *words, *bar, *restart, *again;
  GPtrArray *disks; /* of FloeInstallDiskWords, as in the list */
  FloeInstallDiskWords *chosen; /* borrowed from disks, or NULL */
  Step step;
};

G_DEFINE_FINAL_TYPE (FloeInstallPage, floe_install_page, GTK_TYPE_BOX)

enum { TRY, LANGUAGE, SIGNALS };
static guint signals[SIGNALS];

static const char *const step_names[STEPS] = { "choice", "disks", "confirm", "work" };

static void
go (FloeInstallPage *page, Step step)
{
  page->step = step;
  gtk_stack_set_visible_child_name (GTK_STACK (page->stack), step_names[step]);
  floe_install_page_focus (page);
}

/* -- The disks -------------------------------------------------------------------------------------------------------- */

static GtkWidget *
make_row (const FloeInstallDiskWords *disk)
{
  GtkWidget *row = gtk_list_box_row_new (), *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18), *words = gtk_box_new (GTK_ORIENTATION_VERTICAL, 3);
  GtkWidget *name = floe_label_new ("disk-name", 0), *title = floe_label_new ("check-title", 0), *detail = floe_label_new ("check-words", 0);
  GtkWidget *problem = floe_label_new ("card-problem", 0), *note = floe_label_new ("card-warning", 0);

  floe_label_set (name, disk->name);
  floe_label_set (title, disk->title);
  floe_label_set (detail, disk->detail);
  floe_label_set (problem, disk->problem);
  floe_label_set (note, disk->note);
  gtk_label_set_line_wrap (GTK_LABEL (name), FALSE);
  gtk_box_pack_start (GTK_BOX (words), title, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), detail, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), note, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), problem, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), name, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), words, TRUE, TRUE, 0);
  gtk_container_add (GTK_CONTAINER (row), box);
  gtk_style_context_add_class (gtk_widget_get_style_context (row), "card");
  gtk_widget_set_sensitive (row, disk->problem[0] == '\0');
  gtk_widget_set_name (row, disk->name);
  gtk_widget_show_all (row);
  return row;
}

static void
on_disks (FloeInstallPage *page)
{
  g_autoptr (GList) before = gtk_container_get_children (GTK_CONTAINER (page->list));

  /* What is being confirmed stays as it was shown; the next look is at the list. */
  if (page->step == CONFIRM)
    return;
  for (GList *at = before; at != NULL; at = at->next)
    gtk_widget_destroy (at->data);
  page->chosen = NULL;
  g_clear_pointer (&page->disks, g_ptr_array_unref);
  page->disks = floe_install_disk_words (floe_install_link_disks (page->link), floe_install_link_needed (page->link));
  for (guint i = 0; i < page->disks->len; i++)
    gtk_container_add (GTK_CONTAINER (page->list), make_row (page->disks->pdata[i]));
  floe_label_set (page->list_note, page->disks->len == 0 ? _ ("This computer has no disk besides the USB key.") : "");
  if (page->step == DISKS)
    floe_install_page_focus (page);
}

static void
show_losses (FloeInstallPage *page)
{
  g_autoptr (GList) before = gtk_container_get_children (GTK_CONTAINER (page->losses));

  for (GList *at = before; at != NULL; at = at->next)
    gtk_widget_destroy (at->data);
  for (char **loss = page->chosen->losses; *loss != NULL; loss++) {
    GtkWidget *line = floe_label_new ("check-words", 0);

    floe_label_set (line, *loss);
    gtk_box_pack_start (GTK_BOX (page->losses), line, FALSE, FALSE, 0);
  }
}

static void
on_row (GtkListBox *list G_GNUC_UNUSED, GtkListBoxRow *row, FloeInstallPage *page)
{
  g_autofree char *heading = NULL, *detail = NULL, *ask = NULL;
  int index = gtk_list_box_row_get_index (row);

  if (index < 0 || page->disks == NULL || (guint) index >= page->disks->len)
    return;
  page->chosen = page->disks->pdata[index];
  if (page->chosen->problem[0] != '\0')
    return;
  /* Translators: %s is a disk's name. */
  heading = g_strdup_printf (_ ("Everything on %s will be lost"), page->chosen->name);
  detail = g_strdup_printf ("%s%s%s", page->chosen->title, page->chosen->detail[0] != '\0' ? ", " : "", page->chosen->detail);
  ask = g_strdup_printf (_ ("To go on, type the _name of the disk: %s"), page->chosen->name);
  floe_label_set (page->confirm_heading, heading);
  floe_label_set (page->confirm_detail, detail);
  floe_label_set (page->confirm_note, page->chosen->note);
  gtk_label_set_text_with_mnemonic (GTK_LABEL (page->ask), ask);
  gtk_entry_set_text (GTK_ENTRY (page->typed), "");
  show_losses (page);
  go (page, CONFIRM);
}

/* -- Its name ----------------------------------------------------------------------------------------------------------- */

static gboolean
is_confirmed (FloeInstallPage *page)
{
  return page->chosen != NULL && strcmp (gtk_entry_get_text (GTK_ENTRY (page->typed)), page->chosen->name) == 0;
}

static void
on_typed (FloeInstallPage *page)
{
  gtk_widget_set_sensitive (page->install, is_confirmed (page));
}

/* floe-install compares too: nothing here is what keeps a disk. */
static void
on_install (FloeInstallPage *page)
{
  if (page->step == CONFIRM && is_confirmed (page))
    floe_install_link_install (page->link, page->chosen->name, page->chosen->sequence, gtk_entry_get_text (GTK_ENTRY (page->typed)));
}

/* -- How far it is ------------------------------------------------------------------------------------------------------ */

static void
show_work (FloeInstallPage *page, FloeInstallState state)
{
  const char *disk = floe_install_link_disk (page->link);
  /* Translators: %s is a disk's name. */
  g_autofree char *heading = g_strdup_printf (state == FLOE_INSTALL_DONE      ? _ ("Floe is installed on %s")
                                              : state == FLOE_INSTALL_WORKING ? _ ("Installing Floe on %s")
                                                                              : _ ("Floe was not installed on %s"),
                                              disk[0] != '\0' || page->chosen == NULL ? disk : page->chosen->name);
  g_autofree char *problem = state == FLOE_INSTALL_FAILED
                                 ? floe_install_problem_words (floe_install_link_problem (page->link), floe_install_link_detail (page->link))
                                 : NULL;
  g_autofree char *trouble = floe_text_plain (floe_install_link_detail (page->link), 300);
  g_autofree char *done = g_strconcat (_ ("Restart the computer and take the USB key out. It then starts from its own disk."), trouble[0] != '\0' ? "\n" : "",
                                       trouble, NULL);

  floe_label_set (page->heading, heading);
  floe_label_set (page->words, state == FLOE_INSTALL_DONE     ? done
                               : state == FLOE_INSTALL_FAILED ? problem
                                                              : floe_install_step_words (floe_install_link_step (page->link)));
  floe_widget_set_class (page->words, "card-problem", state == FLOE_INSTALL_FAILED);
  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (page->bar), CLAMP (floe_install_link_progress (page->link), 0, 1));
  gtk_widget_set_visible (page->bar, state == FLOE_INSTALL_WORKING);
  gtk_widget_set_visible (page->restart, state == FLOE_INSTALL_DONE);
  gtk_widget_set_visible (page->again, state == FLOE_INSTALL_FAILED);
}

static void
on_changed (FloeInstallPage *page)
{
  FloeInstallState state = floe_install_link_state (page->link);
  gboolean ended = gtk_widget_get_visible (page->bar) && state != FLOE_INSTALL_WORKING;

  if (state == FLOE_INSTALL_WORKING || state == FLOE_INSTALL_DONE || (state == FLOE_INSTALL_FAILED && (page->step == WORK || page->step == CONFIRM))) {
    show_work (page, state);
    if (page->step != WORK || ended)
      go (page, WORK);
  }
}

/* -- Ways ------------------------------------------------------------------------------------------------------------------ */

static void
on_try (FloeInstallPage *page)
{
  g_signal_emit (page, signals[TRY], 0);
}

static void
to_disks (FloeInstallPage *page)
{
  go (page, DISKS);
  floe_install_link_look (page->link);
}

void
floe_install_page_escape (FloeInstallPage *page)
{
  if (page->step == CONFIRM || (page->step == WORK && gtk_widget_get_visible (page->again)))
    to_disks (page);
  else if (page->step == DISKS)
    go (page, CHOICE);
}

/* The first disk that can be chosen, or the way back. */
static GtkWidget *
first_row (FloeInstallPage *page)
{
  GtkListBoxRow *row;

  for (int i = 0; (row = gtk_list_box_get_row_at_index (GTK_LIST_BOX (page->list), i)) != NULL; i++)
    if (gtk_widget_get_sensitive (GTK_WIDGET (row)))
      return GTK_WIDGET (row);
  return page->disks_back;
}

/* What can be done while it works, or has ended: nothing, or one thing. */
static GtkWidget *
work_button (FloeInstallPage *page)
{
  if (gtk_widget_get_visible (page->restart))
    return page->restart;
  return gtk_widget_get_visible (page->again) ? page->again : NULL;
}

void
floe_install_page_focus (FloeInstallPage *page)
{
  GtkWidget *places[STEPS] = { page->first, first_row (page), page->typed, work_button (page) };
  GtkWidget *top = gtk_widget_get_toplevel (GTK_WIDGET (page));

  /* A button that was never shown would get keys all the same, and GTK complains of each. */
  if (places[page->step] != NULL)
    gtk_widget_grab_focus (places[page->step]);
  else if (GTK_IS_WINDOW (top))
    gtk_window_set_focus (GTK_WINDOW (top), NULL);
}

/* -- Building -------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
make_header (FloeInstallPage *page, const char *title, const char *subtitle, gboolean languages)
{
  GtkWidget *header = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12), *words = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  GtkWidget *banner = floe_label_new ("banner", 0), *below = floe_label_new ("subtitle", 0);

  floe_label_set (banner, title);
  floe_label_set (below, subtitle);
  gtk_box_pack_start (GTK_BOX (words), banner, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (words), below, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (header), words, TRUE, TRUE, 0);
  if (languages)
    gtk_box_pack_end (GTK_BOX (header), floe_setup_languages_new (GTK_WIDGET (page)), FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (header), "header");
  return header;
}

static GtkWidget *
make_way (const char *label, const char *name, const char *style, const char *text, GtkWidget **button)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 14), *words = floe_label_new ("check-words", 0);

  *button = floe_button_new (label, name, style);
  floe_label_set (words, text);
  gtk_widget_set_halign (*button, GTK_ALIGN_START);
  gtk_box_pack_start (GTK_BOX (box), words, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), *button, FALSE, FALSE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (box), "setup-form");
  return box;
}

static GtkWidget *
make_choice (FloeInstallPage *page)
{
  GtkWidget *step = gtk_box_new (GTK_ORIENTATION_VERTICAL, 22), *install, *header, *try, *other;

  header = make_header (page, _ ("Try Floe, or install it"), _ ("This computer runs from a USB key."), TRUE);
  try = make_way (_ ("_Try Floe"), "install-try", "primary",
                  _ ("Floe goes on from the USB key. No disk of this computer is touched; what is set up here stays on the key."), &page->first);
  other = make_way (_ ("_Install Floe…"), "install-begin", NULL,
                    _ ("Floe is written to a disk of this computer, which you choose next. Everything on that disk is lost."), &install);
  gtk_box_pack_start (GTK_BOX (step), try, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), other, FALSE, FALSE, 0);
  /* Behind the others for the keyboard, above them on the screen. */
  gtk_box_pack_start (GTK_BOX (step), header, FALSE, FALSE, 0);
  gtk_box_reorder_child (GTK_BOX (step), header, 0);
  g_signal_connect_swapped (page->first, "clicked", G_CALLBACK (on_try), page);
  g_signal_connect_swapped (install, "clicked", G_CALLBACK (to_disks), page);
  return step;
}

static GtkWidget *
make_disks (FloeInstallPage *page)
{
  GtkWidget *step = gtk_box_new (GTK_ORIENTATION_VERTICAL, 16), *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *look = floe_button_new (_ ("_Look again"), "install-look", NULL);

  page->list = gtk_list_box_new ();
  page->list_note = floe_label_new ("empty", 0);
  page->disks_back = floe_button_new (_ ("_Back"), "install-disks-back", NULL);
  gtk_widget_set_name (page->list, "install-disks");
  gtk_list_box_set_selection_mode (GTK_LIST_BOX (page->list), GTK_SELECTION_NONE);
  g_signal_connect (page->list, "row-activated", G_CALLBACK (on_row), page);
  g_signal_connect_swapped (page->disks_back, "clicked", G_CALLBACK (floe_install_page_escape), page);
  g_signal_connect_swapped (look, "clicked", G_CALLBACK (floe_install_link_look), page->link);
  gtk_box_pack_start (GTK_BOX (row), page->disks_back, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), look, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), make_header (page, _ ("On which disk?"), _ ("Nothing is written before you have typed the disk’s name."), FALSE), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->list, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->list_note, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), row, FALSE, FALSE, 0);
  return step;
}

static GtkWidget *
make_confirm (FloeInstallPage *page)
{
  GtkWidget *step = gtk_box_new (GTK_ORIENTATION_VERTICAL, 16), *form = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);

  page->confirm_heading = floe_label_new ("banner", 0);
  page->confirm_detail = floe_label_new ("subtitle", 0);
  page->confirm_note = floe_label_new ("card-warning", 0);
  page->losses = gtk_box_new (GTK_ORIENTATION_VERTICAL, 4);
  page->ask = gtk_label_new_with_mnemonic ("");
  page->typed = gtk_entry_new ();
  page->install = floe_button_new (_ ("_Erase the disk and install"), "install-go", "destructive");
  page->confirm_back = floe_button_new (_ ("_Back"), "install-confirm-back", NULL);
  gtk_label_set_xalign (GTK_LABEL (page->ask), 0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (page->ask), page->typed);
  gtk_style_context_add_class (gtk_widget_get_style_context (page->ask), "field");
  gtk_style_context_add_class (gtk_widget_get_style_context (page->typed), "code");
  gtk_style_context_add_class (gtk_widget_get_style_context (form), "setup-form");
  gtk_widget_set_name (page->typed, "install-name");
  gtk_entry_set_max_length (GTK_ENTRY (page->typed), 32);
  gtk_entry_set_input_hints (GTK_ENTRY (page->typed), GTK_INPUT_HINT_NO_SPELLCHECK | GTK_INPUT_HINT_NO_EMOJI);
  gtk_widget_set_sensitive (page->install, FALSE);
  g_signal_connect_swapped (page->typed, "changed", G_CALLBACK (on_typed), page);
  g_signal_connect_swapped (page->typed, "activate", G_CALLBACK (on_install), page);
  g_signal_connect_swapped (page->install, "clicked", G_CALLBACK (on_install), page);
  g_signal_connect_swapped (page->confirm_back, "clicked", G_CALLBACK (floe_install_page_escape), page);
  gtk_box_pack_start (GTK_BOX (row), page->install, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), page->confirm_back, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (form), page->ask, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (form), page->typed, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (form), row, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->confirm_heading, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->confirm_detail, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->confirm_note, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->losses, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), form, FALSE, FALSE, 0);
  return step;
}

static GtkWidget *
make_work (FloeInstallPage *page)
{
  GtkWidget *step = gtk_box_new (GTK_ORIENTATION_VERTICAL, 22), *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);

  page->heading = floe_label_new ("banner", 0);
  page->words = floe_label_new ("card-state", 0);
  page->bar = gtk_progress_bar_new ();
  page->restart = floe_button_new (_ ("_Restart now"), "install-restart", "primary");
  page->again = floe_button_new (_ ("_Back to the disks"), "install-again", NULL);
  gtk_widget_set_no_show_all (page->bar, TRUE);
  gtk_widget_set_no_show_all (page->restart, TRUE);
  gtk_widget_set_no_show_all (page->again, TRUE);
  g_signal_connect_swapped (page->restart, "clicked", G_CALLBACK (floe_install_link_restart), page->link);
  g_signal_connect_swapped (page->again, "clicked", G_CALLBACK (to_disks), page);
  gtk_box_pack_start (GTK_BOX (row), page->restart, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), page->again, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->heading, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->bar, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), page->words, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (step), row, FALSE, FALSE, 0);
  return step;
}

static void
floe_install_page_dispose (GObject *object)
{
  FloeInstallPage *page = FLOE_INSTALL_PAGE (object);

  if (page->link != NULL)
    g_signal_handlers_disconnect_by_data (page->link, page);
  page->chosen = NULL;
  g_clear_pointer (&page->disks, g_ptr_array_unref);
  g_clear_object (&page->link);
  G_OBJECT_CLASS (floe_install_page_parent_class)->dispose (object);
}

static void
floe_install_page_class_init (FloeInstallPageClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_install_page_dispose;
  signals[TRY] = g_signal_new ("try", FLOE_TYPE_INSTALL_PAGE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[LANGUAGE] = g_signal_new ("language", FLOE_TYPE_INSTALL_PAGE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
floe_install_page_init (FloeInstallPage *page)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (page), GTK_ORIENTATION_VERTICAL);
}

/* A step in the middle of the screen, which scrolls when it is longer. */
static void
add_step (FloeInstallPage *page, Step step, GtkWidget *content)
{
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);

  gtk_widget_set_halign (content, GTK_ALIGN_CENTER);
  gtk_widget_set_size_request (content, (int) (CONTENT_WIDTH * floe_screen_scale ()), -1);
  gtk_style_context_add_class (gtk_widget_get_style_context (content), "column");
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (scroll), content);
  gtk_stack_add_named (GTK_STACK (page->stack), scroll, step_names[step]);
}

GtkWidget *
floe_install_page_new (FloeInstallLink *link)
{
  FloeInstallPage *page = g_object_new (FLOE_TYPE_INSTALL_PAGE, NULL);

  page->link = g_object_ref (link);
  page->stack = gtk_stack_new ();
  add_step (page, CHOICE, make_choice (page));
  add_step (page, DISKS, make_disks (page));
  add_step (page, CONFIRM, make_confirm (page));
  add_step (page, WORK, make_work (page));
  gtk_box_pack_start (GTK_BOX (page), page->stack, TRUE, TRUE, 0);
  gtk_widget_show_all (GTK_WIDGET (page));
  g_signal_connect_swapped (link, "changed", G_CALLBACK (on_changed), page);
  g_signal_connect_swapped (link, "disks", G_CALLBACK (on_disks), page);
  on_changed (page);
  return GTK_WIDGET (page);
}
