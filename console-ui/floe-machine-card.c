/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine-card.h"

#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>

struct _FloeMachineCard {
  GtkListBoxRow parent;
  FloeMachine *machine;
  GtkWidget *badge, *title, *number, *sentence, *advice, *emulation, *problem, *progress;
  GtkWidget *primary, *more, *menu;
};

G_DEFINE_FINAL_TYPE (FloeMachineCard, floe_machine_card, GTK_TYPE_LIST_BOX_ROW)

enum { ACT, SIGNALS };
static guint signals[SIGNALS];

static const struct {
  FloeAction action;
  const char *label, *name, *keys;
} menu_items[] = {
  { FLOE_ACTION_SUSPEND, N_ ("S_uspend"), "suspend", N_ ("Ctrl+U") },
  { FLOE_ACTION_SHUT_DOWN, N_ ("Shut _down"), "shut-down", N_ ("Ctrl+D") },
  { FLOE_ACTION_RESET, N_ ("_Restart at once"), "reset", N_ ("Ctrl+R") },
  { FLOE_ACTION_POWER_OFF, N_ ("Turn _off at once"), "power-off", N_ ("Ctrl+K") },
};

static const char *
primary_label (FloeAction action)
{
  switch (action) {
  case FLOE_ACTION_OPEN:
    return _ ("_Open");
  case FLOE_ACTION_START:
    return _ ("_Start");
  case FLOE_ACTION_RESUME:
    return _ ("_Resume");
  default:
    return "";
  }
}

static void
card_update_menu (FloeMachineCard *card, FloeAction actions)
{
  g_autoptr (GList) items = gtk_container_get_children (GTK_CONTAINER (gtk_bin_get_child (GTK_BIN (card->menu))));
  guint shown = 0;

  for (GList *at = items; at != NULL; at = at->next) {
    FloeAction action = (FloeAction) GPOINTER_TO_INT (g_object_get_data (at->data, "action"));

    gtk_widget_set_visible (at->data, (actions & action) != 0);
    shown += (actions & action) != 0;
  }
  gtk_widget_set_visible (card->more, shown > 0);
}

static void
card_update (FloeMachineCard *card)
{
  const FloeMachineInfo *info = floe_machine_get_info (card->machine);
  FloeAction primary = floe_machine_info_primary (info);
  g_autofree char *sentence = floe_machine_info_sentence (info);
  g_autofree char *advice = floe_machine_info_advice (info);
  g_autofree char *spoken = g_strdup_printf ("%s. %s. %s. %s", info->title, sentence, advice, info->problem);
  gboolean live = floe_machine_is_live (card->machine);
  int percent = floe_machine_info_percent (info);

  floe_badge_set (card->badge, info);
  floe_label_set (card->title, info->title);
  floe_label_set (card->sentence, sentence);
  floe_label_set (card->advice, advice);
  floe_widget_set_class (card->advice, "safe", floe_machine_info_complete (info));
  floe_label_set (card->emulation, info->emulated ? _ ("Emulated in software, so it runs slowly") : "");
  floe_label_set (card->problem, info->problem);
  gtk_widget_set_visible (card->progress, percent >= 0 && percent < 100);
  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (card->progress), MAX (percent, 0) / 100.0);
  gtk_button_set_label (GTK_BUTTON (card->primary), primary_label (primary));
  gtk_widget_set_visible (card->primary, primary != 0);
  gtk_widget_set_sensitive (card->primary, live || primary == FLOE_ACTION_OPEN);
  gtk_widget_set_sensitive (card->more, live);
  card_update_menu (card, floe_machine_info_actions (info));
  floe_widget_set_class (GTK_WIDGET (card), "failed", info->state == FLOE_STATE_FAILED);
  floe_widget_set_class (GTK_WIDGET (card), "stale", !live);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (card)), spoken);
}

static void
on_primary (FloeMachineCard *card)
{
  g_signal_emit (card, signals[ACT], 0, (int) floe_machine_info_primary (floe_machine_get_info (card->machine)));
}

static void
on_item (GtkWidget *item, FloeMachineCard *card)
{
  gtk_popover_popdown (GTK_POPOVER (card->menu));
  g_signal_emit (card, signals[ACT], 0, GPOINTER_TO_INT (g_object_get_data (G_OBJECT (item), "action")));
}

static GtkWidget *
card_make_item (FloeMachineCard *card, guint index)
{
  GtkWidget *item = gtk_button_new ();
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 32);
  GtkWidget *label = gtk_label_new_with_mnemonic (_ (menu_items[index].label));
  GtkWidget *keys = gtk_label_new (_ (menu_items[index].keys));

  gtk_style_context_add_class (gtk_widget_get_style_context (item), "menu-item");
  gtk_style_context_add_class (gtk_widget_get_style_context (keys), "keys");
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), item);
  gtk_box_pack_start (GTK_BOX (row), label, FALSE, FALSE, 0);
  gtk_box_pack_end (GTK_BOX (row), keys, FALSE, FALSE, 0);
  gtk_container_add (GTK_CONTAINER (item), row);
  gtk_widget_set_name (item, menu_items[index].name);
  g_object_set_data (G_OBJECT (item), "action", GINT_TO_POINTER (menu_items[index].action));
  g_signal_connect (item, "clicked", G_CALLBACK (on_item), card);
  gtk_widget_show_all (item);
  return item;
}

static GtkWidget *
card_make_buttons (FloeMachineCard *card)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 8);
  GtkWidget *items = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);

  card->primary = floe_button_new ("", "primary", "primary");
  gtk_button_set_use_underline (GTK_BUTTON (card->primary), TRUE);
  g_signal_connect_swapped (card->primary, "clicked", G_CALLBACK (on_primary), card);
  card->more = gtk_menu_button_new ();
  gtk_widget_set_name (card->more, "more");
  /* One of the icons that GTK has in itself: the appliance reads no SVG. */
  gtk_container_add (GTK_CONTAINER (card->more), gtk_image_new_from_icon_name ("open-menu-symbolic", GTK_ICON_SIZE_BUTTON));
  gtk_widget_set_tooltip_text (card->more, _ ("More actions"));
  atk_object_set_name (gtk_widget_get_accessible (card->more), _ ("More actions"));
  card->menu = gtk_popover_new (card->more);
  gtk_container_add (GTK_CONTAINER (card->menu), items);
  for (guint i = 0; i < G_N_ELEMENTS (menu_items); i++)
    gtk_box_pack_start (GTK_BOX (items), card_make_item (card, i), FALSE, FALSE, 0);
  gtk_widget_show (items);
  gtk_menu_button_set_popover (GTK_MENU_BUTTON (card->more), card->menu);
  gtk_box_pack_start (GTK_BOX (box), card->primary, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card->more, FALSE, FALSE, 0);
  gtk_widget_set_valign (box, GTK_ALIGN_CENTER);
  return box;
}

static GtkWidget *
card_make_text (FloeMachineCard *card)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 3);
  GtkWidget *head = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);

  card->title = floe_label_new ("card-title", 0);
  card->number = floe_label_new ("keys", 0);
  card->sentence = floe_label_new ("card-state", 0);
  card->advice = floe_label_new ("card-advice", 0);
  card->emulation = floe_label_new ("card-warning", 0);
  card->problem = floe_label_new ("card-problem", 0);
  card->progress = gtk_progress_bar_new ();
  gtk_widget_set_no_show_all (card->progress, TRUE);
  atk_object_set_name (gtk_widget_get_accessible (card->progress), _ ("Image on this computer"));
  gtk_widget_set_valign (card->number, GTK_ALIGN_CENTER);
  gtk_box_pack_start (GTK_BOX (head), card->title, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (head), card->number, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), head, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card->sentence, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card->progress, FALSE, FALSE, 4);
  gtk_box_pack_start (GTK_BOX (box), card->advice, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card->emulation, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card->problem, FALSE, FALSE, 0);
  gtk_widget_set_valign (box, GTK_ALIGN_CENTER);
  return box;
}

FloeMachine *
floe_machine_card_get_machine (FloeMachineCard *card)
{
  return card->machine;
}

void
floe_machine_card_set_number (FloeMachineCard *card, guint number)
{
  /* Translators: a key and a digit, as printed on keyboards. */
  g_autofree char *keys = number >= 1 && number <= 9 ? g_strdup_printf (_ ("Alt+%u"), number) : g_strdup ("");

  floe_label_set (card->number, keys);
}

static void
floe_machine_card_dispose (GObject *object)
{
  FloeMachineCard *card = FLOE_MACHINE_CARD (object);

  if (card->machine != NULL)
    g_signal_handlers_disconnect_by_data (card->machine, card);
  g_clear_object (&card->machine);
  G_OBJECT_CLASS (floe_machine_card_parent_class)->dispose (object);
}

static void
floe_machine_card_class_init (FloeMachineCardClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_machine_card_dispose;
  signals[ACT] = g_signal_new ("act", FLOE_TYPE_MACHINE_CARD, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
}

static void
floe_machine_card_init (FloeMachineCard *card G_GNUC_UNUSED)
{
}

GtkWidget *
floe_machine_card_new (FloeMachine *machine)
{
  FloeMachineCard *card = g_object_new (FLOE_TYPE_MACHINE_CARD, NULL);
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 20);
  g_autofree char *name = g_strdup_printf ("card-%s", floe_machine_get_info (machine)->id);

  card->machine = g_object_ref (machine);
  card->badge = floe_badge_new ("badge");
  gtk_box_pack_start (GTK_BOX (box), card->badge, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), card_make_text (card), TRUE, TRUE, 0);
  gtk_box_pack_end (GTK_BOX (box), card_make_buttons (card), FALSE, FALSE, 0);
  gtk_container_add (GTK_CONTAINER (card), box);
  gtk_widget_set_name (GTK_WIDGET (card), name);
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (card)), "card");
  gtk_widget_show_all (GTK_WIDGET (card));
  g_signal_connect_swapped (machine, "changed", G_CALLBACK (card_update), card);
  card_update (card);
  return GTK_WIDGET (card);
}
