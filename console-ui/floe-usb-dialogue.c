/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-usb-dialogue.h"

#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define TEXT_CHARS 52 /* a line that is easy to read */
#define CHOICE_KEY "floe-choice"

struct _FloeUsbDialogue {
  GtkEventBox parent;
  GtkWidget *buttons, *remember, *block;
  guint deaf; /* timer */
};

G_DEFINE_FINAL_TYPE (FloeUsbDialogue, floe_usb_dialogue, GTK_TYPE_EVENT_BOX)

enum { ANSWER, SIGNALS };
static guint signals[SIGNALS];

static void
on_clicked (FloeUsbDialogue *dialogue, GtkWidget *button)
{
  gboolean remember = gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (dialogue->remember));

  g_signal_emit (dialogue, signals[ANSWER], 0, g_object_get_data (G_OBJECT (button), CHOICE_KEY), remember);
}

static gboolean
on_listens (gpointer data)
{
  FloeUsbDialogue *dialogue = data;

  dialogue->deaf = 0;
  gtk_widget_set_sensitive (dialogue->buttons, TRUE);
  gtk_widget_set_sensitive (dialogue->remember, TRUE);
  gtk_widget_grab_focus (dialogue->block);
  return G_SOURCE_REMOVE;
}

void
floe_usb_dialogue_defer (FloeUsbDialogue *dialogue)
{
  if (dialogue->deaf == 0)
    return;
  g_source_remove (dialogue->deaf);
  dialogue->deaf = g_timeout_add (FLOE_USB_DIALOGUE_DEAF_MS, on_listens, dialogue);
}

static void
add_button (FloeUsbDialogue *dialogue, const char *choice, const char *words)
{
  gboolean block = strcmp (choice, "block") == 0;
  GtkWidget *button = gtk_button_new_with_label (words);

  /* Not a mnemonic: the words may be a machine's title. */
  gtk_widget_set_name (button, block ? "usb-block" : "usb-choice");
  g_object_set_data_full (G_OBJECT (button), CHOICE_KEY, g_strdup (choice), g_free);
  g_signal_connect_swapped (button, "clicked", G_CALLBACK (on_clicked), dialogue);
  gtk_box_pack_start (GTK_BOX (dialogue->buttons), button, FALSE, FALSE, 0);
  if (block)
    dialogue->block = button;
}

static void
add_buttons (FloeUsbDialogue *dialogue, const FloeUsbQuestion *question, const char *front, FloeUsbTitle title, gpointer data)
{
  for (char **choice = question->choices; *choice != NULL; choice++) {
    g_autofree char *words = floe_usb_choice_words (*choice, front, title, data);

    if (words != NULL)
      add_button (dialogue, *choice, words);
  }
}

static void
floe_usb_dialogue_dispose (GObject *object)
{
  g_clear_handle_id (&FLOE_USB_DIALOGUE (object)->deaf, g_source_remove);
  G_OBJECT_CLASS (floe_usb_dialogue_parent_class)->dispose (object);
}

static void
floe_usb_dialogue_class_init (FloeUsbDialogueClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_usb_dialogue_dispose;
  signals[ANSWER] = g_signal_new ("answer", G_TYPE_FROM_CLASS (class), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                                  G_TYPE_STRING, G_TYPE_BOOLEAN);
}

static void
floe_usb_dialogue_init (FloeUsbDialogue *dialogue)
{
  dialogue->buttons = gtk_box_new (GTK_ORIENTATION_VERTICAL, 10);
  dialogue->remember = gtk_check_button_new_with_mnemonic (_ ("_Remember this for the same device at the same socket"));
  gtk_widget_set_name (dialogue->remember, "usb-remember");
  gtk_widget_set_no_show_all (dialogue->remember, TRUE);
}

GtkWidget *
floe_usb_dialogue_new (const FloeUsbQuestion *question, const char *front, FloeUsbTitle title, gpointer data)
{
  FloeUsbDialogue *dialogue = g_object_new (FLOE_TYPE_USB_DIALOGUE, NULL);
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);
  GtkWidget *heading = floe_label_new ("confirm-heading", 0), *text = floe_label_new ("confirm-text", 0);
  /* Translators: %s is a device, such as: USB storage “DataTraveler”. */
  g_autofree char *asked = g_strdup_printf (_ ("What may %s be used for?"), question->what);
  /* Translators: %s is the name of a rule. */
  g_autofree char *why = g_strdup_printf (_ ("Your organisation asks you (rule %s). Until you choose, it is not used for anything. "
                                             "A device can call itself anything: go by what you have just plugged in."),
                                          question->rule);

  gtk_label_set_max_width_chars (GTK_LABEL (heading), TEXT_CHARS);
  gtk_label_set_max_width_chars (GTK_LABEL (text), TEXT_CHARS);
  floe_label_set (heading, asked);
  floe_label_set (text, why);
  add_buttons (dialogue, question, front, title, data);
  gtk_widget_set_visible (dialogue->remember, question->may_remember);
  gtk_box_pack_start (GTK_BOX (box), heading, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), text, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), dialogue->buttons, FALSE, FALSE, 12);
  gtk_box_pack_start (GTK_BOX (box), dialogue->remember, FALSE, FALSE, 0);
  floe_dialogue_fill (GTK_WIDGET (dialogue), box, 560, asked);
  gtk_widget_set_sensitive (dialogue->buttons, FALSE);
  gtk_widget_set_sensitive (dialogue->remember, FALSE);
  dialogue->deaf = g_timeout_add (FLOE_USB_DIALOGUE_DEAF_MS, on_listens, dialogue);
  gtk_widget_show_all (GTK_WIDGET (dialogue));
  return GTK_WIDGET (dialogue);
}
