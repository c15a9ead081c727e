/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-countdown.h"

#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>

#define TEXT_CHARS 52 /* a line that is easy to read */

struct _FloeCountdown {
  GtkEventBox parent;
  GtkWidget *heading, *text;
};

G_DEFINE_FINAL_TYPE (FloeCountdown, floe_countdown, GTK_TYPE_EVENT_BOX)

static char *
heading_words (guint seconds)
{
  if (seconds == 1)
    return g_strdup (_ ("This computer restarts for an update in 1 second"));
  /* Translators: %u is a number, 2 at least. */
  return g_strdup_printf (_ ("This computer restarts for an update in %u seconds"), seconds);
}

void
floe_countdown_set (FloeCountdown *countdown, guint seconds)
{
  g_autofree char *heading = heading_words (seconds);

  floe_label_set (countdown->heading, heading);
  floe_label_set (countdown->text, _ ("Press any key, move the pointer or touch the screen to put it off. Open desktops are kept over the restart."));
}

static void
floe_countdown_class_init (FloeCountdownClass *class G_GNUC_UNUSED)
{
}

static void
floe_countdown_init (FloeCountdown *countdown)
{
  countdown->heading = floe_label_new ("confirm-heading", 0);
  countdown->text = floe_label_new ("confirm-text", 0);
  gtk_label_set_max_width_chars (GTK_LABEL (countdown->heading), TEXT_CHARS);
  gtk_label_set_max_width_chars (GTK_LABEL (countdown->text), TEXT_CHARS);
}

GtkWidget *
floe_countdown_new (guint seconds)
{
  FloeCountdown *countdown = g_object_new (FLOE_TYPE_COUNTDOWN, NULL);
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);

  gtk_box_pack_start (GTK_BOX (box), countdown->heading, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), countdown->text, FALSE, FALSE, 0);
  gtk_widget_set_name (GTK_WIDGET (countdown), "restart-countdown");
  floe_countdown_set (countdown, seconds);
  /* Said once, when it appears: a screen reader that says every second is heard out by nobody. */
  floe_dialogue_fill (GTK_WIDGET (countdown), box, 560, gtk_label_get_text (GTK_LABEL (countdown->heading)));
  atk_object_set_description (gtk_widget_get_accessible (GTK_WIDGET (countdown)), gtk_label_get_text (GTK_LABEL (countdown->text)));
  gtk_widget_show_all (GTK_WIDGET (countdown));
  return GTK_WIDGET (countdown);
}
