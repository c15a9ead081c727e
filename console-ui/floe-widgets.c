/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-widgets.h"

#define PROVIDER_KEY "floe-provider"

double
floe_screen_scale (void)
{
  GdkMonitor *monitor = gdk_display_get_monitor (gdk_display_get_default (), 0);
  GdkRectangle area = { 0 };

  if (monitor != NULL)
    gdk_monitor_get_geometry (monitor, &area);
  return CLAMP (area.height / 800.0, 1.0, 2.0);
}

GtkWidget *
floe_label_new (const char *style_class, float align)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_label_set_xalign (GTK_LABEL (label), align);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_line_wrap_mode (GTK_LABEL (label), PANGO_WRAP_WORD_CHAR);
  gtk_label_set_justify (GTK_LABEL (label), align > 0.4f ? GTK_JUSTIFY_CENTER : GTK_JUSTIFY_LEFT);
  gtk_widget_set_no_show_all (label, TRUE);
  gtk_style_context_add_class (gtk_widget_get_style_context (label), style_class);
  return label;
}

void
floe_label_set (GtkWidget *label, const char *text)
{
  gtk_label_set_text (GTK_LABEL (label), text);
  gtk_widget_set_visible (label, text[0] != '\0');
}

GtkWidget *
floe_button_new (const char *mnemonic, const char *name, const char *style_class)
{
  GtkWidget *button = gtk_button_new_with_mnemonic (mnemonic);

  gtk_widget_set_name (button, name);
  if (style_class != NULL)
    gtk_style_context_add_class (gtk_widget_get_style_context (button), style_class);
  return button;
}

/* Gives WIDGET one provider of its own, replacing the one before. */
static void
widget_style (GtkWidget *widget, const char *css)
{
  GtkStyleContext *context = gtk_widget_get_style_context (widget);
  GtkCssProvider *provider = g_object_get_data (G_OBJECT (widget), PROVIDER_KEY);

  if (provider == NULL) {
    provider = gtk_css_provider_new ();
    gtk_style_context_add_provider (context, GTK_STYLE_PROVIDER (provider), GTK_STYLE_PROVIDER_PRIORITY_APPLICATION + 1);
    g_object_set_data_full (G_OBJECT (widget), PROVIDER_KEY, provider, g_object_unref);
  }
  gtk_css_provider_load_from_data (provider, css, -1, NULL);
}

void
floe_widget_paint (GtkWidget *widget, const char *colour)
{
  FloeColour parsed;
  g_autofree char *css = NULL;

  floe_colour_parse (colour, &parsed);
  css = g_strdup_printf ("* { background-color: rgb(%u,%u,%u); color: %s; }", parsed.red, parsed.green, parsed.blue,
                         floe_colour_wants_black (&parsed) ? "#000000" : "#ffffff");
  widget_style (widget, css);
}

void
floe_widget_frame (GtkWidget *widget, const char *colour, int width)
{
  FloeColour parsed;
  g_autofree char *css = NULL;

  floe_colour_parse (colour, &parsed);
  css = g_strdup_printf ("* { border: %dpx solid rgb(%u,%u,%u); }", width, parsed.red, parsed.green, parsed.blue);
  widget_style (widget, css);
}

GtkWidget *
floe_badge_new (const char *style_class)
{
  GtkWidget *badge = gtk_label_new (NULL);

  gtk_widget_set_valign (badge, GTK_ALIGN_CENTER);
  gtk_widget_set_halign (badge, GTK_ALIGN_CENTER);
  gtk_style_context_add_class (gtk_widget_get_style_context (badge), style_class);
  /* The letter says nothing that the title beside it does not. */
  atk_object_set_role (gtk_widget_get_accessible (badge), ATK_ROLE_ICON);
  return badge;
}

void
floe_badge_set (GtkWidget *badge, const FloeMachineInfo *info)
{
  g_autofree char *letter = g_utf8_substring (info->title, 0, info->title[0] != '\0' ? 1 : 0);
  g_autofree char *upper = g_utf8_strup (letter, -1);

  gtk_label_set_text (GTK_LABEL (badge), upper);
  floe_widget_paint (badge, info->colour);
}

void
floe_widget_set_class (GtkWidget *widget, const char *style_class, gboolean set)
{
  GtkStyleContext *context = gtk_widget_get_style_context (widget);

  if (set)
    gtk_style_context_add_class (context, style_class);
  else
    gtk_style_context_remove_class (context, style_class);
}

void
floe_dialogue_fill (GtkWidget *dialogue, GtkWidget *box, int width, const char *title)
{
  AtkObject *accessible = gtk_widget_get_accessible (dialogue);

  gtk_widget_set_halign (box, GTK_ALIGN_CENTER);
  gtk_widget_set_valign (box, GTK_ALIGN_CENTER);
  gtk_widget_set_size_request (box, width, -1);
  gtk_style_context_add_class (gtk_widget_get_style_context (box), "confirm-box");
  gtk_container_add (GTK_CONTAINER (dialogue), box);
  gtk_style_context_add_class (gtk_widget_get_style_context (dialogue), "confirm");
  atk_object_set_role (accessible, ATK_ROLE_ALERT);
  atk_object_set_name (accessible, title);
}
