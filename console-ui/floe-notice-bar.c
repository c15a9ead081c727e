/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-notice-bar.h"

#include "console-ui/floe-widgets.h"

#define SHOWN_SECONDS 8
#define WAITING_MAX 4

struct _FloeNoticeBar {
  GtkRevealer parent;
  GtkWidget *label;
  GQueue waiting; /* of char * */
  guint timer;
};

G_DEFINE_FINAL_TYPE (FloeNoticeBar, floe_notice_bar, GTK_TYPE_REVEALER)

static gboolean
on_next (gpointer data)
{
  FloeNoticeBar *bar = data;
  g_autofree char *text = g_queue_pop_head (&bar->waiting);

  bar->timer = 0;
  gtk_revealer_set_reveal_child (GTK_REVEALER (bar), text != NULL);
  if (text != NULL) {
    floe_label_set (bar->label, text);
    bar->timer = g_timeout_add_seconds (SHOWN_SECONDS, on_next, bar);
  }
  return G_SOURCE_REMOVE;
}

void
floe_notice_bar_say (FloeNoticeBar *bar, const char *text)
{
  g_queue_push_tail (&bar->waiting, g_strdup (text));
  if (g_queue_get_length (&bar->waiting) > WAITING_MAX)
    g_free (g_queue_pop_head (&bar->waiting));
  if (bar->timer == 0)
    on_next (bar);
}

static void
floe_notice_bar_dispose (GObject *object)
{
  FloeNoticeBar *bar = FLOE_NOTICE_BAR (object);

  g_clear_handle_id (&bar->timer, g_source_remove);
  g_queue_clear_full (&bar->waiting, g_free);
  G_OBJECT_CLASS (floe_notice_bar_parent_class)->dispose (object);
}

static void
floe_notice_bar_class_init (FloeNoticeBarClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_notice_bar_dispose;
}

static void
floe_notice_bar_init (FloeNoticeBar *bar)
{
  g_queue_init (&bar->waiting);
  bar->label = floe_label_new ("notice", 0.5f);
  gtk_container_add (GTK_CONTAINER (bar), bar->label);
  gtk_revealer_set_transition_type (GTK_REVEALER (bar), GTK_REVEALER_TRANSITION_TYPE_CROSSFADE);
  gtk_widget_set_halign (GTK_WIDGET (bar), GTK_ALIGN_CENTER);
  gtk_widget_set_valign (GTK_WIDGET (bar), GTK_ALIGN_END);
  gtk_widget_set_name (GTK_WIDGET (bar), "notice");
  atk_object_set_role (gtk_widget_get_accessible (bar->label), ATK_ROLE_NOTIFICATION);
  gtk_widget_show (GTK_WIDGET (bar));
}

GtkWidget *
floe_notice_bar_new (void)
{
  return g_object_new (FLOE_TYPE_NOTICE_BAR, NULL);
}
