/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine-view.h"

#include "console-ui/floe-accelerator.h"
#include "console-ui/floe-widgets.h"

#include <glib/gi18n-lib.h>

#define FRAME_WIDTH 4

struct _FloeMachineView {
  GtkBox parent;
  FloeMachine *machine;
  FloeLink *link;
  FloeDisplay *display;
  GtkWidget *strip, *strip_title, *strip_state, *strip_hint, *strip_list;
  GtkWidget *stack, *holder;
  GtkWidget *badge, *title, *state, *progress, *advice, *message, *problem, *start, *list;
  gboolean active;
};

G_DEFINE_FINAL_TYPE (FloeMachineView, floe_machine_view, GTK_TYPE_BOX)

enum { ACT, LIST, SIGNALS };
static guint signals[SIGNALS];

/* -- What it says --------------------------------------------------------------------------------------------------- */

/* Why there is no picture, beyond what the state says. */
static const char *
message_for (FloeMachineView *view, const FloeMachineInfo *info)
{
  if (floe_display_get_status (view->display) == FLOE_DISPLAY_LOST)
    return _ ("The picture of this desktop was interrupted; reconnecting.");
  if (!floe_machine_is_live (view->machine))
    return _ ("The desktop service is not answering. This screen reconnects by itself.");
  switch (info->state) {
  case FLOE_STATE_RUNNING:
    return _ ("Connecting to its screen…");
  case FLOE_STATE_STARTING:
    return _ ("The screen appears as soon as this desktop draws something.");
  case FLOE_STATE_SUSPENDING:
    return _ ("Its memory is being written to disk.");
  case FLOE_STATE_SUSPENDED:
    return _ ("Its programs are as you left them.");
  default:
    return "";
  }
}

static const char *
start_label (const FloeMachineInfo *info)
{
  switch (info->state) {
  case FLOE_STATE_STOPPED:
    return _ ("_Start");
  case FLOE_STATE_FAILED:
    return _ ("_Try again");
  case FLOE_STATE_SUSPENDED:
    return _ ("_Resume");
  default:
    return "";
  }
}

static void
update_strip (FloeMachineView *view, const FloeMachineInfo *info)
{
  const FloeSettings *settings = floe_link_settings (view->link);
  g_autofree char *hint = NULL, *sentence = floe_machine_info_sentence (info);
  FloeHotkeyChord chord = { 0 };
  gboolean quiet = info->state == FLOE_STATE_RUNNING && (info->total_bytes == 0 || floe_machine_info_complete (info));
  guint machines = floe_link_machines (view->link)->len;

  if (floe_accelerator_parse (settings->switch_list, &chord, NULL))
    hint = floe_accelerator_label (&chord);
  floe_label_set (view->strip_title, info->title);
  floe_label_set (view->strip_state, info->emulated && quiet ? _ ("Emulated") : quiet ? "" : sentence);
  floe_label_set (view->strip_hint, hint != NULL ? hint : "");
  gtk_button_set_label (GTK_BUTTON (view->strip_list), _ ("All desktops"));
  floe_widget_paint (view->strip, info->colour);
  gtk_widget_set_visible (view->strip, !settings->kiosk);
  /* A kiosk of one desktop has nothing to be told apart from. */
  floe_widget_frame (GTK_WIDGET (view), info->colour, settings->kiosk && machines < 2 ? 0 : FRAME_WIDTH);
}

static void
update_status (FloeMachineView *view, const FloeMachineInfo *info)
{
  g_autofree char *sentence = floe_machine_info_sentence (info);
  g_autofree char *advice = floe_machine_info_advice (info);
  int percent = floe_machine_info_percent (info);
  const char *start = start_label (info);
  gboolean had_focus = gtk_widget_has_focus (view->start);

  floe_badge_set (view->badge, info);
  floe_label_set (view->title, info->title);
  floe_label_set (view->state, sentence);
  floe_label_set (view->advice, advice);
  floe_widget_set_class (view->advice, "safe", floe_machine_info_complete (info));
  gtk_widget_set_visible (view->progress, percent >= 0 && percent < 100);
  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (view->progress), MAX (percent, 0) / 100.0);
  floe_label_set (view->message, message_for (view, info));
  floe_label_set (view->problem, info->problem);
  gtk_button_set_label (GTK_BUTTON (view->start), start);
  gtk_widget_set_visible (view->start, start[0] != '\0');
  gtk_widget_set_sensitive (view->start, floe_machine_is_live (view->machine));
  gtk_button_set_label (GTK_BUTTON (view->list), _ ("_All desktops"));
  gtk_widget_set_visible (view->list, !floe_link_settings (view->link)->kiosk);
  if (view->active && !had_focus && start[0] != '\0')
    gtk_widget_grab_focus (view->start);
}

void
floe_machine_view_update (FloeMachineView *view)
{
  const FloeMachineInfo *info = floe_machine_get_info (view->machine);
  gboolean ready = floe_display_get_status (view->display) == FLOE_DISPLAY_READY;

  update_strip (view, info);
  gtk_stack_set_visible_child_name (GTK_STACK (view->stack), ready ? "display" : "status");
  if (!ready)
    update_status (view, info);
  else if (view->active)
    floe_display_set_active (view->display, TRUE);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (view)), info->title);
}

/* -- The seam ------------------------------------------------------------------------------------------------------- */

FloeDisplay *
floe_machine_view_get_display (FloeMachineView *view)
{
  return view->display;
}

void
floe_machine_view_set_active (FloeMachineView *view, gboolean active)
{
  view->active = active;
  if (active)
    floe_display_set_wanted (view->display);
  floe_display_set_active (view->display, active);
  floe_machine_view_update (view);
}

/* -- Building ------------------------------------------------------------------------------------------------------- */

static void
on_start (FloeMachineView *view)
{
  FloeAction action = floe_machine_info_primary (floe_machine_get_info (view->machine));

  g_signal_emit (view, signals[ACT], 0, (int) action);
}

static void
on_list (FloeMachineView *view)
{
  g_signal_emit (view, signals[LIST], 0);
}

static void
view_make_strip (FloeMachineView *view)
{
  view->strip = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 14);
  view->strip_title = floe_label_new ("strip-title", 0);
  view->strip_state = floe_label_new ("strip-state", 0);
  view->strip_hint = floe_label_new ("strip-hint", 1);
  view->strip_list = floe_button_new ("", "strip-list", "strip-button");
  /* The guest keeps the keyboard, whatever is clicked here. */
  gtk_widget_set_can_focus (view->strip_list, FALSE);
  gtk_widget_set_focus_on_click (view->strip_list, FALSE);
  g_signal_connect_swapped (view->strip_list, "clicked", G_CALLBACK (on_list), view);
  gtk_style_context_add_class (gtk_widget_get_style_context (view->strip), "strip");
  gtk_widget_set_no_show_all (view->strip, TRUE);
  gtk_box_pack_start (GTK_BOX (view->strip), view->strip_title, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (view->strip), view->strip_state, FALSE, FALSE, 0);
  gtk_box_pack_end (GTK_BOX (view->strip), view->strip_list, FALSE, FALSE, 0);
  gtk_box_pack_end (GTK_BOX (view->strip), view->strip_hint, FALSE, FALSE, 0);
  gtk_widget_show (view->strip_list);
}

static GtkWidget *
view_make_status (FloeMachineView *view)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 10);
  GtkWidget *buttons = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);

  view->badge = floe_badge_new ("badge-large");
  view->title = floe_label_new ("status-title", 0.5f);
  view->state = floe_label_new ("status-state", 0.5f);
  view->progress = gtk_progress_bar_new ();
  gtk_widget_set_no_show_all (view->progress, TRUE);
  atk_object_set_name (gtk_widget_get_accessible (view->progress), _ ("Image on this computer"));
  view->advice = floe_label_new ("card-advice", 0.5f);
  view->message = floe_label_new ("status-message", 0.5f);
  view->problem = floe_label_new ("card-problem", 0.5f);
  view->start = floe_button_new ("", "start", "primary");
  view->list = floe_button_new ("", "list", NULL);
  gtk_widget_set_no_show_all (view->start, TRUE);
  gtk_widget_set_no_show_all (view->list, TRUE);
  g_signal_connect_swapped (view->start, "clicked", G_CALLBACK (on_start), view);
  g_signal_connect_swapped (view->list, "clicked", G_CALLBACK (on_list), view);
  gtk_box_pack_start (GTK_BOX (buttons), view->start, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (buttons), view->list, FALSE, FALSE, 0);
  gtk_widget_set_halign (buttons, GTK_ALIGN_CENTER);
  gtk_box_pack_start (GTK_BOX (box), view->badge, FALSE, FALSE, 8);
  gtk_box_pack_start (GTK_BOX (box), view->title, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), view->state, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), view->progress, FALSE, FALSE, 8);
  gtk_box_pack_start (GTK_BOX (box), view->advice, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), view->message, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), view->problem, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), buttons, FALSE, FALSE, 16);
  gtk_widget_set_halign (box, GTK_ALIGN_CENTER);
  gtk_widget_set_valign (box, GTK_ALIGN_CENTER);
  gtk_widget_set_size_request (box, 560, -1);
  gtk_style_context_add_class (gtk_widget_get_style_context (box), "status");
  return box;
}

static void
floe_machine_view_dispose (GObject *object)
{
  FloeMachineView *view = FLOE_MACHINE_VIEW (object);

  if (view->machine != NULL) {
    g_signal_handlers_disconnect_by_data (view->machine, view);
    g_signal_handlers_disconnect_by_data (view->link, view);
    g_signal_handlers_disconnect_by_data (view->display, view);
    /* Before the container that holds its widget. */
    g_object_run_dispose (G_OBJECT (view->display));
  }
  g_clear_object (&view->display);
  g_clear_object (&view->machine);
  g_clear_object (&view->link);
  G_OBJECT_CLASS (floe_machine_view_parent_class)->dispose (object);
}

static void
floe_machine_view_class_init (FloeMachineViewClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_machine_view_dispose;
  signals[ACT] = g_signal_new ("act", FLOE_TYPE_MACHINE_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
  signals[LIST] = g_signal_new ("list", FLOE_TYPE_MACHINE_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
floe_machine_view_init (FloeMachineView *view)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (view), GTK_ORIENTATION_VERTICAL);
}

GtkWidget *
floe_machine_view_new (FloeMachine *machine, FloeLink *link)
{
  FloeMachineView *view = g_object_new (FLOE_TYPE_MACHINE_VIEW, NULL);
  g_autofree char *name = g_strdup_printf ("view-%s", floe_machine_get_info (machine)->id);

  view->machine = g_object_ref (machine);
  view->link = g_object_ref (link);
  view_make_strip (view);
  view->stack = gtk_stack_new ();
  view->holder = gtk_box_new (GTK_ORIENTATION_VERTICAL, 0);
  gtk_box_set_homogeneous (GTK_BOX (view->holder), TRUE);
  gtk_stack_add_named (GTK_STACK (view->stack), view_make_status (view), "status");
  gtk_stack_add_named (GTK_STACK (view->stack), view->holder, "display");
  gtk_box_pack_start (GTK_BOX (view), view->strip, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (view), view->stack, TRUE, TRUE, 0);
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (view)), "view");
  gtk_widget_set_name (GTK_WIDGET (view), name);
  gtk_widget_show_all (GTK_WIDGET (view));
  view->display = floe_display_new (machine, GTK_CONTAINER (view->holder));
  g_signal_connect_swapped (view->display, "changed", G_CALLBACK (floe_machine_view_update), view);
  g_signal_connect_swapped (machine, "changed", G_CALLBACK (floe_machine_view_update), view);
  g_signal_connect_swapped (link, "changed", G_CALLBACK (floe_machine_view_update), view);
  floe_machine_view_update (view);
  return GTK_WIDGET (view);
}
