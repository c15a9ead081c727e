/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-confirm.h"

#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>

struct _FloeConfirm {
  GtkEventBox parent;
  GtkWidget *cancel;
};

G_DEFINE_FINAL_TYPE (FloeConfirm, floe_confirm, GTK_TYPE_EVENT_BOX)

enum { ANSWER, SIGNALS };
static guint signals[SIGNALS];

typedef struct {
  const char *heading, *text, *button;
} Words;

static Words
words_for (FloeAction action)
{
  switch (action) {
  case FLOE_ACTION_SHUT_DOWN:
    /* Translators: %s is a desktop's title. */
    return (Words){ _ ("Shut down %s?"), _ ("Its programs are closed. Save your work there first."), _ ("Shut _down") };
  case FLOE_ACTION_RESET:
    return (Words){ _ ("Restart %s at once?"), _ ("What is not saved there is lost."), _ ("_Restart at once") };
  default:
    return (Words){ _ ("Turn off %s at once?"), _ ("It is not asked to close anything. What is not saved there is lost."),
                    _ ("Turn _off at once") };
  }
}

static void
on_confirmed (FloeConfirm *confirm)
{
  g_signal_emit (confirm, signals[ANSWER], 0, TRUE);
}

static void
on_cancelled (FloeConfirm *confirm)
{
  g_signal_emit (confirm, signals[ANSWER], 0, FALSE);
}

void
floe_confirm_focus (FloeConfirm *confirm)
{
  gtk_widget_grab_focus (confirm->cancel);
}

static void
floe_confirm_class_init (FloeConfirmClass *class)
{
  signals[ANSWER] = g_signal_new ("answer", G_TYPE_FROM_CLASS (class), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                                  G_TYPE_BOOLEAN);
}

static void
floe_confirm_init (FloeConfirm *confirm G_GNUC_UNUSED)
{
}

GtkWidget *
floe_confirm_new (const FloeMachineInfo *info, FloeAction action)
{
  FloeConfirm *confirm = g_object_new (FLOE_TYPE_CONFIRM, NULL);
  Words words = words_for (action);
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);
  GtkWidget *buttons = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *heading = floe_label_new ("confirm-heading", 0), *text = floe_label_new ("confirm-text", 0);
  GtkWidget *go = floe_button_new (words.button, "confirm", "destructive");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  g_autofree char *title = g_strdup_printf (words.heading, info->title);
#pragma GCC diagnostic pop

  floe_label_set (heading, title);
  floe_label_set (text, words.text);
  confirm->cancel = floe_button_new (_ ("_Cancel"), "cancel", NULL);
  gtk_widget_set_halign (buttons, GTK_ALIGN_END);
  gtk_box_pack_start (GTK_BOX (buttons), confirm->cancel, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (buttons), go, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), heading, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), text, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), buttons, FALSE, FALSE, 12);
  floe_dialogue_fill (GTK_WIDGET (confirm), box, 520, title);
  g_signal_connect_swapped (go, "clicked", G_CALLBACK (on_confirmed), confirm);
  g_signal_connect_swapped (confirm->cancel, "clicked", G_CALLBACK (on_cancelled), confirm);
  gtk_widget_show_all (GTK_WIDGET (confirm));
  return GTK_WIDGET (confirm);
}
