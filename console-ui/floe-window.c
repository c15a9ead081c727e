/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-window.h"

#include "common/floe-log.h"
#include "console-ui/floe-accelerator.h"
#include "console-ui/floe-confirm.h"
#include "console-ui/floe-idle-restart.h"
#include "console-ui/floe-install-page.h"
#include "console-ui/floe-language.h"
#include "console-ui/floe-machine-list.h"
#include "console-ui/floe-machine-view.h"
#include "console-ui/floe-notice-bar.h"
#include "console-ui/floe-notices.h"
#include "console-ui/floe-setup-page.h"
#include "console-ui/floe-usb-dialogue.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define LIST_PAGE "list"
#define SETUP_PAGE "setup"
#define INSTALL_PAGE "install"

struct _FloeWindow {
  GtkWindow parent;
  FloeLink *link;
  FloeSetupLink *setup;
  FloeInstallLink *install;
  GtkWidget *install_page; /* before all others, while it runs from a USB key and nobody has chosen to; NULL otherwise */
  gboolean tried;
  GtkWidget *setup_page; /* instead of the list, while this computer has no server; NULL otherwise */
  GPtrArray *machines; /* FloeMachine in the order shown */
  GHashTable *views;   /* FloeMachine to FloeMachineView, made when first opened */
  FloeMachine *current; /* on screen; NULL: the list (borrowed from machines) */
  FloeMachine *last;    /* was on screen before the list */
  FloeHotkeyState keys;
  FloeNotices *notices;
  GtkWidget *overlay, *stack, *list, *bar;
  FloeConfirm *confirm; /* the question on screen, or NULL */
  FloeMachine *confirm_machine;
  FloeAction confirm_action;
  FloeUsbDialogue *dialogue; /* what a USB device asks, or NULL */
  FloeUsbQuestion *question; /* that it shows */
  char *languages; /* policy's list that the language was last chosen by */
  gboolean entered; /* the first page was chosen */
  FloeIdleRestart *idle_restart;
};

G_DEFINE_FINAL_TYPE (FloeWindow, floe_window, GTK_TYPE_WINDOW)

static void window_act (FloeWindow *window, FloeMachine *machine, FloeAction action);
static void window_make_list (FloeWindow *window);
static void window_make_setup (FloeWindow *window);
static void window_make_install (FloeWindow *window);
static void window_update_question (FloeWindow *window);
static void window_close_dialogue (FloeWindow *window);

/* -- Pages ---------------------------------------------------------------------------------------------------------- */

static FloeMachineView *
window_view (FloeWindow *window, FloeMachine *machine)
{
  return machine != NULL ? g_hash_table_lookup (window->views, machine) : NULL;
}

/* Display that has the keyboard now, or NULL. */
static FloeDisplay *
window_display (FloeWindow *window)
{
  FloeMachineView *view = window->confirm == NULL && window->dialogue == NULL ? window_view (window, window->current) : NULL;

  return view != NULL ? floe_machine_view_get_display (view) : NULL;
}

/* What USB rules and answers mean by "in front": a question that stands is put anew, with what can be chosen now. */
static void
window_tell_front (FloeWindow *window)
{
  floe_link_set_front (window->link, window->current != NULL ? floe_machine_get_info (window->current)->id : "");
  if (window->dialogue == NULL)
    return;
  window_close_dialogue (window);
  window_update_question (window);
}

/* What the guest on screen has down is let go there before anything else gets the keyboard. */
static void
window_leave (FloeWindow *window)
{
  FloeHotkeyVerdict verdict = floe_hotkey_take (&window->keys);
  FloeMachineView *view = window_view (window, window->current);

  if (view == NULL)
    return;
  floe_display_release (floe_machine_view_get_display (view), verdict.releases);
  floe_machine_view_set_active (view, FALSE);
}

static void
window_show_list (FloeWindow *window)
{
  const FloeSettings *settings = floe_link_settings (window->link);

  if ((settings->kiosk && window->machines->len > 0) || window->setup_page != NULL
      || window->install_page != NULL)
    return;
  window_leave (window);
  if (window->current != NULL)
    window->last = window->current;
  window->current = NULL;
  gtk_stack_set_visible_child_name (GTK_STACK (window->stack), LIST_PAGE);
  floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), window->last);
  window_tell_front (window);
}

static void
on_view_act (FloeMachineView *view, int action, FloeWindow *window)
{
  GHashTableIter iter;
  gpointer machine, value;

  g_hash_table_iter_init (&iter, window->views);
  while (g_hash_table_iter_next (&iter, &machine, &value))
    if (value == view) {
      window_act (window, machine, (FloeAction) action);
      return;
    }
}

static void
window_show_machine (FloeWindow *window, FloeMachine *machine)
{
  FloeMachineView *view;

  if (machine == window->current)
    return;
  window_leave (window);
  view = window_view (window, machine);
  if (view == NULL) {
    view = FLOE_MACHINE_VIEW (floe_machine_view_new (machine, window->link));
    g_signal_connect (view, "act", G_CALLBACK (on_view_act), window);
    g_signal_connect_swapped (view, "list", G_CALLBACK (window_show_list), window);
    g_hash_table_insert (window->views, machine, view);
    gtk_container_add (GTK_CONTAINER (window->stack), GTK_WIDGET (view));
  }
  window->current = machine;
  gtk_stack_set_visible_child (GTK_STACK (window->stack), GTK_WIDGET (view));
  floe_machine_view_set_active (view, window->dialogue == NULL);
  window_tell_front (window);
}

/* DELTA is 1 or -1; from the list, the next is the first and the previous the last. */
static void
window_step (FloeWindow *window, int delta)
{
  guint count = window->machines->len, index;

  if (count == 0)
    return;
  if (window->current == NULL || !g_ptr_array_find (window->machines, window->current, &index))
    index = delta > 0 ? count - 1 : 0;
  window_show_machine (window, g_ptr_array_index (window->machines, (index + count + (guint) delta) % count));
}

/* -- Actions -------------------------------------------------------------------------------------------------------- */

static void
window_close_confirm (FloeWindow *window)
{
  GtkWidget *confirm = GTK_WIDGET (g_steal_pointer (&window->confirm));

  if (confirm == NULL)
    return;
  gtk_widget_destroy (confirm);
  gtk_widget_set_sensitive (window->stack, TRUE);
  if (window->current == NULL)
    floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), window->confirm_machine);
  window_update_question (window);
}

static void
on_confirm_answer (FloeConfirm *confirm G_GNUC_UNUSED, gboolean yes, FloeWindow *window)
{
  g_autoptr (FloeMachine) machine = g_steal_pointer (&window->confirm_machine);
  FloeAction action = window->confirm_action;

  window->confirm_machine = machine;
  window_close_confirm (window);
  window->confirm_machine = NULL;
  /* The state may have changed while the question stood. */
  if (yes && (floe_machine_info_actions (floe_machine_get_info (machine)) & action) != 0)
    floe_machine_act (machine, action);
}

static void
window_ask (FloeWindow *window, FloeMachine *machine, FloeAction action)
{
  window_close_confirm (window);
  g_set_object (&window->confirm_machine, machine);
  window->confirm_action = action;
  window->confirm = FLOE_CONFIRM (floe_confirm_new (floe_machine_get_info (machine), action));
  g_signal_connect (window->confirm, "answer", G_CALLBACK (on_confirm_answer), window);
  gtk_overlay_add_overlay (GTK_OVERLAY (window->overlay), GTK_WIDGET (window->confirm));
  /* Tab must not wander behind the question. */
  gtk_widget_set_sensitive (window->stack, FALSE);
  floe_confirm_focus (window->confirm);
}

/* -- What USB devices ask ------------------------------------------------------------------------------------------- */

static const char *
machine_title (const char *id, gpointer data)
{
  FloeWindow *window = data;

  for (guint i = 0; i < window->machines->len; i++) {
    const FloeMachineInfo *info = floe_machine_get_info (g_ptr_array_index (window->machines, i));

    if (strcmp (info->id, id) == 0)
      return info->title;
  }
  return NULL;
}

/* The keyboard goes back to where it was. */
static void
window_close_dialogue (FloeWindow *window)
{
  GtkWidget *dialogue = GTK_WIDGET (g_steal_pointer (&window->dialogue));
  FloeMachineView *view = window_view (window, window->current);

  g_clear_pointer (&window->question, floe_usb_question_free);
  if (dialogue == NULL)
    return;
  gtk_widget_destroy (dialogue);
  gtk_widget_set_sensitive (window->stack, TRUE);
  if (view != NULL)
    floe_machine_view_set_active (view, TRUE);
  else
    floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), floe_machine_list_selected (FLOE_MACHINE_LIST (window->list)));
}

static void
on_usb_answer (FloeUsbDialogue *dialogue G_GNUC_UNUSED, const char *choice, gboolean remember, FloeWindow *window)
{
  floe_link_answer_usb (window->link, window->question->path, window->question->connection, choice, remember);
  /* The device asks no more when hypervisord says so; should it not, the question comes again with its next change. */
  window_close_dialogue (window);
}

static void
window_open_dialogue (FloeWindow *window, FloeUsbQuestion *question)
{
  const char *front = window->current != NULL ? floe_machine_get_info (window->current)->title : NULL;

  window_leave (window);
  window->question = question;
  window->dialogue = FLOE_USB_DIALOGUE (floe_usb_dialogue_new (question, front, machine_title, window));
  g_signal_connect (window->dialogue, "answer", G_CALLBACK (on_usb_answer), window);
  gtk_overlay_add_overlay (GTK_OVERLAY (window->overlay), GTK_WIDGET (window->dialogue));
  gtk_widget_set_sensitive (window->stack, FALSE);
}

/* One question at a time, the oldest first, and none on top of the console's own. */
static void
window_update_question (FloeWindow *window)
{
  g_autoptr (FloeUsbQuestion) question
      = floe_link_is_up (window->link) ? floe_usb_question_first (floe_link_usb_devices (window->link)) : NULL;

  if (window->confirm != NULL || (window->dialogue != NULL && floe_usb_question_equal (question, window->question)))
    return;
  window_close_dialogue (window);
  if (question != NULL)
    window_open_dialogue (window, g_steal_pointer (&question));
}

static void
window_act (FloeWindow *window, FloeMachine *machine, FloeAction action)
{
  if ((floe_machine_info_actions (floe_machine_get_info (machine)) & action) == 0)
    return;
  if (floe_action_loses_data (action)) {
    window_ask (window, machine, action);
    return;
  }
  floe_machine_act (machine, action);
  if (action == FLOE_ACTION_OPEN || action == FLOE_ACTION_START || action == FLOE_ACTION_RESUME)
    window_show_machine (window, machine);
}

static void
on_list_act (FloeMachineList *list G_GNUC_UNUSED, FloeMachine *machine, int action, FloeWindow *window)
{
  window_act (window, machine, (FloeAction) action);
}

/* -- Keys ----------------------------------------------------------------------------------------------------------- */

/* The key as it is without Shift and locks, in the layout in use. */
static guint
plain_keyval (const GdkEventKey *event)
{
  GdkKeymap *keymap = gdk_keymap_get_for_display (gdk_display_get_default ());
  guint keyval = 0;

  if (!gdk_keymap_translate_keyboard_state (keymap, event->hardware_keycode, 0, event->group, &keyval, NULL, NULL, NULL))
    keyval = event->keyval;
  return gdk_keyval_to_lower (keyval);
}

/* Keys of the list itself, for the selected machine. */
static gboolean
list_key (FloeWindow *window, guint keyval, guint modifiers)
{
  FloeMachine *machine = floe_machine_list_selected (FLOE_MACHINE_LIST (window->list));
  FloeAction action = 0;

  /* From a row only: elsewhere Escape closes a menu. */
  if (modifiers == 0 && keyval == GDK_KEY_Escape && GTK_IS_LIST_BOX_ROW (gtk_window_get_focus (GTK_WINDOW (window)))
      && window_view (window, window->last) != NULL) {
    window_show_machine (window, window->last);
    return TRUE;
  }
  if (modifiers == GDK_MOD1_MASK && keyval >= GDK_KEY_1 && keyval <= GDK_KEY_9) {
    guint index = keyval - GDK_KEY_1;

    if (index < window->machines->len) {
      machine = g_ptr_array_index (window->machines, index);
      window_act (window, machine, floe_machine_info_primary (floe_machine_get_info (machine)));
    }
    return TRUE;
  }
  if (modifiers != GDK_CONTROL_MASK || machine == NULL)
    return FALSE;
  if (keyval == GDK_KEY_u)
    action = FLOE_ACTION_SUSPEND;
  else if (keyval == GDK_KEY_d)
    action = FLOE_ACTION_SHUT_DOWN;
  else if (keyval == GDK_KEY_r)
    action = FLOE_ACTION_RESET;
  else if (keyval == GDK_KEY_k)
    action = FLOE_ACTION_POWER_OFF;
  if (action == 0)
    return FALSE;
  window_act (window, machine, action);
  return TRUE;
}

static void
window_hotkey (FloeWindow *window, FloeHotkeyAction action)
{
  g_clear_object (&window->confirm_machine);
  window_close_confirm (window);
  if (action == FLOE_HOTKEY_NEXT)
    window_step (window, 1);
  else if (action == FLOE_HOTKEY_PREVIOUS)
    window_step (window, -1);
  else if (action == FLOE_HOTKEY_LIST)
    window_show_list (window);
}

/* First to see every key, before GTK's own accelerators and mnemonics. */
static gboolean
on_key (FloeWindow *window, GdkEventKey *event)
{
  FloeHotkeyEvent key = { .press = event->type == GDK_KEY_PRESS,
                          .code = event->hardware_keycode,
                          .keyval = plain_keyval (event),
                          .modifiers = event->state & FLOE_ACCELERATOR_MODIFIERS };
  FloeHotkeyVerdict verdict = floe_hotkey_filter (&window->keys, &key);
  FloeDisplay *display = window_display (window);

  if (window->dialogue != NULL)
    floe_usb_dialogue_defer (window->dialogue);
  if (verdict.action != FLOE_HOTKEY_NONE) {
    if (display != NULL)
      floe_display_release (display, verdict.releases);
    window_hotkey (window, verdict.action);
  }
  if (verdict.consumed)
    return TRUE;
  if (display != NULL && floe_display_key (display, event))
    return TRUE;
  if (window->confirm != NULL && key.press && key.keyval == GDK_KEY_Escape) {
    on_confirm_answer (window->confirm, FALSE, window);
    return TRUE;
  }
  if (window->install_page != NULL) {
    if (key.press && key.keyval == GDK_KEY_Escape)
      floe_install_page_escape (FLOE_INSTALL_PAGE (window->install_page));
    return FALSE;
  }
  if (window->setup_page != NULL) {
    if (key.press && key.keyval == GDK_KEY_Escape)
      floe_setup_page_escape (FLOE_SETUP_PAGE (window->setup_page));
    return FALSE;
  }
  return window->current == NULL && window->confirm == NULL && window->dialogue == NULL && key.press && list_key (window, key.keyval, key.modifiers);
}

static gboolean
on_focus (FloeWindow *window, GdkEventFocus *event)
{
  GdkKeymap *keymap = gdk_keymap_get_for_display (gdk_display_get_default ());
  FloeDisplay *display = window_display (window);

  if (!event->in) {
    FloeHotkeyVerdict verdict = floe_hotkey_take (&window->keys);

    if (display != NULL)
      floe_display_release (display, verdict.releases);
  } else if ((gdk_keymap_get_modifier_state (keymap) & FLOE_ACCELERATOR_MODIFIERS) == 0) {
    /* Whatever was down when the focus went may have come up unseen. With modifiers down, a chord may still be held. */
    floe_hotkey_reset (&window->keys);
  }
  return FALSE;
}

static void
window_set_chord (FloeWindow *window, FloeHotkeyAction action, const char *accelerator)
{
  g_autoptr (GError) error = NULL;

  if (floe_accelerator_parse (accelerator, &window->keys.chords[action], &error))
    return;
  window->keys.chords[action] = (FloeHotkeyChord){ 0 };
  floe_warning ("switch key refused", "REASON", error->message);
}

/* -- What the hypervisor says --------------------------------------------------------------------------------------- */

static gboolean
on_rebuild (gpointer data)
{
  g_autoptr (FloeWindow) window = data;

  if (window->stack == NULL)
    return G_SOURCE_REMOVE;
  window_make_list (window);
  if (window->setup_page != NULL)
    window_make_setup (window);
  if (window->install_page != NULL)
    window_make_install (window);
  return G_SOURCE_REMOVE;
}

static void
on_language (FloeMachineList *list G_GNUC_UNUSED, const char *code, FloeWindow *window)
{
  GHashTableIter iter;
  gpointer view;

  floe_language_use (code);
  /* Later: the button that says so is part of the list. */
  g_idle_add (on_rebuild, g_object_ref (window));
  g_hash_table_iter_init (&iter, window->views);
  while (g_hash_table_iter_next (&iter, NULL, &view))
    floe_machine_view_update (view);
}

static void
on_setup_language (FloeSetupPage *page G_GNUC_UNUSED, const char *code, FloeWindow *window)
{
  floe_language_use (code);
  g_idle_add (on_rebuild, g_object_ref (window));
}

/* The setup page in the language of now. */
static void
window_make_setup (FloeWindow *window)
{
  GtkWidget *before = window->setup_page;

  window->setup_page = floe_setup_page_new (window->setup, window->link);
  g_signal_connect (window->setup_page, "language", G_CALLBACK (on_setup_language), window);
  if (before != NULL) {
    floe_setup_page_take (FLOE_SETUP_PAGE (window->setup_page), FLOE_SETUP_PAGE (before));
    gtk_widget_destroy (before);
  }
  gtk_stack_add_named (GTK_STACK (window->stack), window->setup_page, SETUP_PAGE);
  gtk_stack_set_visible_child (GTK_STACK (window->stack), window->setup_page);
  floe_setup_page_focus (FLOE_SETUP_PAGE (window->setup_page));
}

static void
on_install_language (FloeInstallPage *page G_GNUC_UNUSED, const char *code, FloeWindow *window)
{
  floe_language_use (code);
  g_idle_add (on_rebuild, g_object_ref (window));
}

/* What was behind it. */
static void
window_close_install (FloeWindow *window)
{
  GtkWidget *page = g_steal_pointer (&window->install_page);

  gtk_widget_destroy (page);
  if (window->setup_page != NULL) {
    gtk_stack_set_visible_child (GTK_STACK (window->stack), window->setup_page);
    floe_setup_page_focus (FLOE_SETUP_PAGE (window->setup_page));
  } else if (window->current == NULL) {
    gtk_stack_set_visible_child_name (GTK_STACK (window->stack), LIST_PAGE);
    floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), NULL);
  }
}

static void
on_try (FloeWindow *window)
{
  window->tried = TRUE;
  window_close_install (window);
}

/* The page of 'Try' and 'Install' in the language of now. */
static void
window_make_install (FloeWindow *window)
{
  GtkWidget *before = window->install_page;

  window->install_page = floe_install_page_new (window->install);
  g_signal_connect (window->install_page, "language", G_CALLBACK (on_install_language), window);
  g_signal_connect_swapped (window->install_page, "try", G_CALLBACK (on_try), window);
  if (before != NULL)
    gtk_widget_destroy (before);
  gtk_stack_add_named (GTK_STACK (window->stack), window->install_page, INSTALL_PAGE);
  gtk_stack_set_visible_child (GTK_STACK (window->stack), window->install_page);
  floe_install_page_focus (FLOE_INSTALL_PAGE (window->install_page));
}

/* As long as there is no desktop to go to: whoever has set the key up works with it. An installation that is at work stays on the screen. */
static void
window_update_install (FloeWindow *window)
{
  FloeInstallState state = floe_install_link_state (window->install);
  gboolean busy = state == FLOE_INSTALL_WORKING || state == FLOE_INSTALL_DONE;
  gboolean needed = busy || (state != FLOE_INSTALL_ABSENT && !window->tried && window->machines->len == 0 && window->current == NULL);

  if (needed == (window->install_page != NULL))
    return;
  if (needed)
    window_make_install (window);
  else
    window_close_install (window);
}

/* A computer without a server is set up; one that has desktops all the same is not kept from them. */
static void
window_update_setup (FloeWindow *window)
{
  gboolean needed = floe_setup_link_is_needed (window->setup) && window->machines->len == 0 && window->current == NULL;
  GtkWidget *page = window->setup_page;

  if (needed == (page != NULL))
    return;
  if (needed) {
    window_make_setup (window);
    if (window->install_page != NULL) {
      gtk_stack_set_visible_child (GTK_STACK (window->stack), window->install_page);
      floe_install_page_focus (FLOE_INSTALL_PAGE (window->install_page));
    }
    return;
  }
  window->setup_page = NULL;
  gtk_widget_destroy (page);
  if (window->current == NULL && window->install_page == NULL)
    gtk_stack_set_visible_child_name (GTK_STACK (window->stack), LIST_PAGE);
}

/* The list in the language of now. */
static void
window_make_list (FloeWindow *window)
{
  GtkWidget *before = window->list;

  window->list = floe_machine_list_new (window->link);
  g_signal_connect (window->list, "act", G_CALLBACK (on_list_act), window);
  g_signal_connect (window->list, "language", G_CALLBACK (on_language), window);
  floe_machine_list_set (FLOE_MACHINE_LIST (window->list), window->machines);
  if (before != NULL)
    gtk_widget_destroy (before);
  gtk_stack_add_named (GTK_STACK (window->stack), window->list, LIST_PAGE);
  if (window->current == NULL) {
    gtk_stack_set_visible_child (GTK_STACK (window->stack), window->list);
    floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), window->last);
  }
}

/* Policy's languages end one that it does not name. */
static void
window_limit_language (FloeWindow *window, const FloeSettings *settings)
{
  g_autofree char *joined = g_strjoinv (" ", settings->languages);
  g_auto (GStrv) choices = floe_language_choices ((const char *const *) settings->languages);

  if (g_strcmp0 (joined, window->languages) == 0)
    return;
  g_free (window->languages);
  window->languages = g_steal_pointer (&joined);
  if (g_strv_contains ((const char *const *) choices, floe_language_current ()))
    return;
  floe_language_use (choices[0]);
  g_idle_add (on_rebuild, g_object_ref (window));
}

/* Straight into the only desktop; a kiosk has no other place to be. */
static void
window_enter (FloeWindow *window)
{
  const FloeSettings *settings = floe_link_settings (window->link);

  if (!floe_link_is_up (window->link) || !floe_link_is_settled (window->link) || window->current != NULL || window->machines->len == 0
      || window->install_page != NULL)
    return;
  if ((!window->entered && window->machines->len == 1) || settings->kiosk)
    window_show_machine (window, g_ptr_array_index (window->machines, 0));
  window->entered = TRUE;
}

static void
on_link_changed (FloeWindow *window)
{
  const FloeSettings *settings = floe_link_settings (window->link);

  if (!floe_link_was_up (window->link))
    return;
  window_set_chord (window, FLOE_HOTKEY_NEXT, settings->switch_next);
  window_set_chord (window, FLOE_HOTKEY_PREVIOUS, settings->switch_previous);
  window_set_chord (window, FLOE_HOTKEY_LIST, settings->switch_list);
  window_limit_language (window, settings);
  window_enter (window);
  window_update_question (window);
}

static void
on_link_trouble (FloeWindow *window, const char *text)
{
  floe_notice_bar_say (FLOE_NOTICE_BAR (window->bar), text);
}

static void
on_trouble (FloeMachine *machine, const char *text, FloeWindow *window)
{
  g_autofree char *line = g_strdup_printf ("%s: %s", floe_machine_get_info (machine)->title, text);

  floe_notice_bar_say (FLOE_NOTICE_BAR (window->bar), line);
}

static int
compare_machines (gconstpointer a, gconstpointer b)
{
  return floe_machine_info_compare (floe_machine_get_info (*(FloeMachine *const *) a),
                                    floe_machine_get_info (*(FloeMachine *const *) b));
}

/* Machines that are no more lose their pages. */
static void
window_drop_views (FloeWindow *window)
{
  GHashTableIter iter;
  gpointer machine, view;

  if (window->current != NULL && !g_ptr_array_find (window->machines, window->current, NULL)) {
    window_leave (window);
    window->current = NULL;
    gtk_stack_set_visible_child_name (GTK_STACK (window->stack), LIST_PAGE);
    window_tell_front (window);
  }
  if (window->last != NULL && !g_ptr_array_find (window->machines, window->last, NULL))
    window->last = NULL;
  g_hash_table_iter_init (&iter, window->views);
  while (g_hash_table_iter_next (&iter, &machine, &view))
    if (!g_ptr_array_find (window->machines, machine, NULL)) {
      g_hash_table_iter_remove (&iter);
      gtk_widget_destroy (view);
    }
}

static void
on_machines_changed (FloeWindow *window)
{
  GPtrArray *machines = floe_link_machines (window->link);
  g_autoptr (GPtrArray) before = window->machines;

  window->machines = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < machines->len; i++) {
    FloeMachine *machine = g_ptr_array_index (machines, i);

    if (!g_ptr_array_find (before, machine, NULL))
      g_signal_connect_object (machine, "trouble", G_CALLBACK (on_trouble), window, 0);
    g_ptr_array_add (window->machines, g_object_ref (machine));
  }
  g_ptr_array_sort (window->machines, compare_machines);
  window_drop_views (window);
  floe_machine_list_set (FLOE_MACHINE_LIST (window->list), window->machines);
  window_update_setup (window);
  window_update_install (window);
  if (window->current == NULL && window->confirm == NULL && window->dialogue == NULL && window->install_page == NULL)
    floe_machine_list_focus (FLOE_MACHINE_LIST (window->list), floe_machine_list_selected (FLOE_MACHINE_LIST (window->list)));
  window_enter (window);
}

static void
on_audit (FloeWindow *window, const char *kind, GVariant *fields)
{
  g_autofree char *text = floe_notices_usb (window->notices, kind, fields, g_get_monotonic_time ());

  if (text != NULL)
    floe_notice_bar_say (FLOE_NOTICE_BAR (window->bar), text);
}

/* -- Building ------------------------------------------------------------------------------------------------------- */

/* Fills its monitor, also where no window manager would see to that. */
static void
window_fill_monitor (FloeWindow *window)
{
  GdkDisplay *display = gdk_display_get_default ();
  GdkMonitor *monitor = gdk_display_get_primary_monitor (display);
  GdkRectangle area = { 0, 0, 1024, 768 };

  if (monitor == NULL)
    monitor = gdk_display_get_monitor (display, 0);
  if (monitor != NULL)
    gdk_monitor_get_geometry (monitor, &area);
  gtk_window_set_default_size (GTK_WINDOW (window), area.width, area.height);
  gtk_window_move (GTK_WINDOW (window), area.x, area.y);
  gtk_window_set_decorated (GTK_WINDOW (window), FALSE);
  gtk_window_fullscreen (GTK_WINDOW (window));
}

static gboolean
on_map (GtkWidget *window)
{
  gdk_window_focus (gtk_widget_get_window (window), GDK_CURRENT_TIME);
  /* There may be no mouse: where the keyboard is shows from the start. */
  gtk_window_set_focus_visible (GTK_WINDOW (window), TRUE);
  return FALSE;
}

/* Who sets up or installs is not to be cut short, however long it takes without a key. */
static gboolean
window_holds_restart (gpointer data)
{
  FloeWindow *window = data;

  return window->setup_page != NULL || window->install_page != NULL;
}

static void
floe_window_dispose (GObject *object)
{
  FloeWindow *window = FLOE_WINDOW (object);

  if (window->link != NULL)
    g_signal_handlers_disconnect_by_data (window->link, window);
  if (window->setup != NULL)
    g_signal_handlers_disconnect_by_data (window->setup, window);
  if (window->install != NULL)
    g_signal_handlers_disconnect_by_data (window->install, window);
  g_clear_pointer (&window->idle_restart, floe_idle_restart_free);
  /* While there are still GDK windows: a grab can be given up only from one. */
  if (window->current != NULL)
    window_leave (window);
  window->stack = NULL;
  window->current = window->last = NULL;
  g_clear_object (&window->confirm_machine);
  g_clear_pointer (&window->views, g_hash_table_unref);
  g_clear_pointer (&window->machines, g_ptr_array_unref);
  g_clear_pointer (&window->notices, floe_notices_free);
  g_clear_pointer (&window->languages, g_free);
  g_clear_pointer (&window->question, floe_usb_question_free);
  g_clear_object (&window->link);
  g_clear_object (&window->setup);
  g_clear_object (&window->install);
  G_OBJECT_CLASS (floe_window_parent_class)->dispose (object);
}

static void
floe_window_class_init (FloeWindowClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_window_dispose;
}

static void
floe_window_init (FloeWindow *window)
{
  window->machines = g_ptr_array_new_with_free_func (g_object_unref);
  window->views = g_hash_table_new (NULL, NULL);
  window->notices = floe_notices_new ();
  window->overlay = gtk_overlay_new ();
  window->stack = gtk_stack_new ();
  window->bar = floe_notice_bar_new ();
  gtk_container_add (GTK_CONTAINER (window->overlay), window->stack);
  gtk_overlay_add_overlay (GTK_OVERLAY (window->overlay), window->bar);
  gtk_overlay_set_overlay_pass_through (GTK_OVERLAY (window->overlay), window->bar, TRUE);
  gtk_container_add (GTK_CONTAINER (window), window->overlay);
  gtk_widget_show_all (window->overlay);
  gtk_widget_set_name (GTK_WIDGET (window), "floe-console");
  gtk_window_set_title (GTK_WINDOW (window), "Floe");
}

GtkWidget *
floe_window_new (FloeSetupLink *setup, FloeInstallLink *install, FloeLink *link)
{
  FloeWindow *window = g_object_new (FLOE_TYPE_WINDOW, "type", GTK_WINDOW_TOPLEVEL, NULL);

  window->link = g_object_ref (link);
  window->setup = g_object_ref (setup);
  window->install = g_object_ref (install);
  window_make_list (window);
  window_fill_monitor (window);
  window->idle_restart = floe_idle_restart_new (link, GTK_OVERLAY (window->overlay), window_holds_restart, window);
  g_signal_connect (window, "key-press-event", G_CALLBACK (on_key), NULL);
  g_signal_connect (window, "key-release-event", G_CALLBACK (on_key), NULL);
  g_signal_connect (window, "focus-in-event", G_CALLBACK (on_focus), NULL);
  g_signal_connect (window, "focus-out-event", G_CALLBACK (on_focus), NULL);
  g_signal_connect (window, "map-event", G_CALLBACK (on_map), NULL);
  g_signal_connect_swapped (link, "changed", G_CALLBACK (on_link_changed), window);
  g_signal_connect_swapped (link, "machines-changed", G_CALLBACK (on_machines_changed), window);
  g_signal_connect_swapped (link, "audit", G_CALLBACK (on_audit), window);
  g_signal_connect_swapped (link, "trouble", G_CALLBACK (on_link_trouble), window);
  g_signal_connect_swapped (setup, "changed", G_CALLBACK (window_update_setup), window);
  g_signal_connect_swapped (install, "changed", G_CALLBACK (window_update_install), window);
  return GTK_WIDGET (window);
}
