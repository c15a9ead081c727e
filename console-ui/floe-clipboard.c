/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-clipboard.h"

#include <spice/vd_agent.h>
#include <string.h>

#define SELECTION VD_AGENT_CLIPBOARD_SELECTION_CLIPBOARD
/* Larger contents stay where they are: no guest may fill this process's memory. */
#define MAX_BYTES (16 * 1024 * 1024)
#define PNG_TARGET "image/png"

struct _FloeClipboard { /* reference counted: answers from other programs come when they come */
  GtkClipboard *screen;
  SpiceMainChannel *main; /* NULL when detached */
  FloeShare share;
  gboolean active;
  gboolean offered; /* the guest knows of our contents, and may ask for them */
  guint32 wanted;   /* type asked of the guest, 0 when none is on its way */
};

/* On the GtkClipboard: the FloeClipboard whose guest the present contents came from. */
#define SOURCE_KEY "floe-clipboard-source"

static gboolean
may (FloeClipboard *clipboard, FloeShare direction)
{
  return clipboard->active && clipboard->main != NULL && (clipboard->share & direction) != 0;
}

/* -- To the guest --------------------------------------------------------------------------------------------------- */

static void
withdraw (FloeClipboard *clipboard)
{
  if (clipboard->offered && clipboard->main != NULL)
    spice_main_channel_clipboard_selection_release (clipboard->main, SELECTION);
  clipboard->offered = FALSE;
}

static void
on_targets (GtkClipboard *screen G_GNUC_UNUSED, GdkAtom *atoms, int count, gpointer data)
{
  FloeClipboard *clipboard = data;
  guint32 types[2];
  int offered = 0;

  if (atoms != NULL && gtk_targets_include_text (atoms, count))
    types[offered++] = VD_AGENT_CLIPBOARD_UTF8_TEXT;
  for (int i = 0; atoms != NULL && i < count; i++)
    if (atoms[i] == gdk_atom_intern_static_string (PNG_TARGET) && offered < 2)
      types[offered++] = VD_AGENT_CLIPBOARD_IMAGE_PNG;
  if (offered > 0 && may (clipboard, FLOE_SHARE_TO_GUEST)) {
    spice_main_channel_clipboard_selection_grab (clipboard->main, SELECTION, types, offered);
    clipboard->offered = TRUE;
  }
  g_rc_box_release (clipboard);
}

static void
offer (FloeClipboard *clipboard)
{
  if (may (clipboard, FLOE_SHARE_TO_GUEST) && g_object_get_data (G_OBJECT (clipboard->screen), SOURCE_KEY) != clipboard
      && spice_main_channel_agent_test_capability (clipboard->main, VD_AGENT_CAP_CLIPBOARD_BY_DEMAND))
    gtk_clipboard_request_targets (clipboard->screen, on_targets, g_rc_box_acquire (clipboard));
}

/* Answers the guest's agent, with nothing where the right to ask has ended meanwhile. Ends the reference. */
static void
answer (FloeClipboard *clipboard, guint32 type, gconstpointer data, gssize size)
{
  gboolean fits = data != NULL && size > 0 && size <= MAX_BYTES && may (clipboard, FLOE_SHARE_TO_GUEST);

  if (clipboard->main != NULL)
    spice_main_channel_clipboard_selection_notify (clipboard->main, SELECTION, fits ? type : VD_AGENT_CLIPBOARD_NONE,
                                                   fits ? data : NULL, fits ? (size_t) size : 0);
  g_rc_box_release (clipboard);
}

static void
on_text (GtkClipboard *screen G_GNUC_UNUSED, const char *text, gpointer data)
{
  answer (data, VD_AGENT_CLIPBOARD_UTF8_TEXT, text, text != NULL ? (gssize) strlen (text) : 0);
}

static void
on_image (GtkClipboard *screen G_GNUC_UNUSED, GtkSelectionData *image, gpointer data)
{
  answer (data, VD_AGENT_CLIPBOARD_IMAGE_PNG, gtk_selection_data_get_data (image), gtk_selection_data_get_length (image));
}

static gboolean
on_request (SpiceMainChannel *main, guint selection, guint type, FloeClipboard *clipboard)
{
  g_signal_stop_emission_by_name (main, "main-clipboard-selection-request");
  if (!may (clipboard, FLOE_SHARE_TO_GUEST) || !clipboard->offered || selection != SELECTION)
    spice_main_channel_clipboard_selection_notify (main, selection, VD_AGENT_CLIPBOARD_NONE, NULL, 0);
  else if (type == VD_AGENT_CLIPBOARD_UTF8_TEXT)
    gtk_clipboard_request_text (clipboard->screen, on_text, g_rc_box_acquire (clipboard));
  else if (type == VD_AGENT_CLIPBOARD_IMAGE_PNG)
    gtk_clipboard_request_contents (clipboard->screen, gdk_atom_intern_static_string (PNG_TARGET), on_image,
                                    g_rc_box_acquire (clipboard));
  else
    spice_main_channel_clipboard_selection_notify (main, selection, VD_AGENT_CLIPBOARD_NONE, NULL, 0);
  return TRUE;
}

static void
on_owner_change (FloeClipboard *clipboard)
{
  withdraw (clipboard);
  offer (clipboard);
}

/* -- From the guest ------------------------------------------------------------------------------------------------- */

static gboolean
on_grab (SpiceMainChannel *main, guint selection, const guint32 *types, guint count, FloeClipboard *clipboard)
{
  g_signal_stop_emission_by_name (main, "main-clipboard-selection-grab");
  if (selection != SELECTION)
    return TRUE;
  /* A grab by the guest's agent ends ours. */
  clipboard->offered = FALSE;
  if (!may (clipboard, FLOE_SHARE_FROM_GUEST))
    return TRUE;
  clipboard->wanted = 0;
  for (guint i = 0; i < count; i++) {
    if (types[i] == VD_AGENT_CLIPBOARD_UTF8_TEXT)
      clipboard->wanted = types[i];
    else if (types[i] == VD_AGENT_CLIPBOARD_IMAGE_PNG && clipboard->wanted == 0)
      clipboard->wanted = types[i];
  }
  if (clipboard->wanted != 0)
    spice_main_channel_clipboard_selection_request (main, SELECTION, clipboard->wanted);
  return TRUE;
}

/* What a guest copied, kept as bytes: nothing that a guest drew is decoded here. */
typedef struct {
  GBytes *bytes;
  guint32 type;
} Contents;

static void
contents_give (GtkClipboard *screen G_GNUC_UNUSED, GtkSelectionData *selection, guint info G_GNUC_UNUSED, gpointer data)
{
  Contents *contents = data;
  gsize size;
  const char *bytes = g_bytes_get_data (contents->bytes, &size);

  if (contents->type == VD_AGENT_CLIPBOARD_UTF8_TEXT)
    gtk_selection_data_set_text (selection, bytes, (int) size);
  else
    gtk_selection_data_set (selection, gdk_atom_intern_static_string (PNG_TARGET), 8, (const guchar *) bytes, (int) size);
}

static void
contents_drop (GtkClipboard *screen, gpointer data)
{
  Contents *contents = data;

  g_object_set_data (G_OBJECT (screen), SOURCE_KEY, NULL);
  g_bytes_unref (contents->bytes);
  g_free (contents);
}

/* Puts CONTENTS (taken) on the screen's clipboard. */
static void
contents_publish (FloeClipboard *clipboard, Contents *contents)
{
  g_autoptr (GtkTargetList) list = gtk_target_list_new (NULL, 0);
  GtkTargetEntry *table;
  int count;

  if (contents->type == VD_AGENT_CLIPBOARD_UTF8_TEXT)
    gtk_target_list_add_text_targets (list, 0);
  else
    gtk_target_list_add (list, gdk_atom_intern_static_string (PNG_TARGET), 0, 0);
  table = gtk_target_table_new_from_list (list, &count);
  if (gtk_clipboard_set_with_data (clipboard->screen, table, (guint) count, contents_give, contents_drop, contents))
    g_object_set_data (G_OBJECT (clipboard->screen), SOURCE_KEY, clipboard);
  gtk_target_table_free (table, count);
}

static void
on_contents (SpiceMainChannel *main G_GNUC_UNUSED, guint selection, guint type, gconstpointer data, guint size,
             FloeClipboard *clipboard)
{
  Contents *contents;
  g_autofree char *text = NULL;

  /* Only what was asked for, once: an agent that sends unasked replaces nothing. */
  if (selection != SELECTION || clipboard->wanted == 0 || type != clipboard->wanted)
    return;
  clipboard->wanted = 0;
  if (!may (clipboard, FLOE_SHARE_FROM_GUEST) || data == NULL || size == 0 || size > MAX_BYTES)
    return;
  contents = g_new0 (Contents, 1);
  contents->type = type;
  if (type == VD_AGENT_CLIPBOARD_UTF8_TEXT) {
    text = g_utf8_make_valid (data, (gssize) size);
    contents->bytes = g_bytes_new (text, strlen (text));
  } else {
    contents->bytes = g_bytes_new (data, size);
  }
  contents_publish (clipboard, contents);
}

static void
on_release (SpiceMainChannel *main, guint selection G_GNUC_UNUSED, FloeClipboard *clipboard G_GNUC_UNUSED)
{
  /* What was copied stays copied when the guest's program ends: no harm, and what people expect. */
  g_signal_stop_emission_by_name (main, "main-clipboard-selection-release");
}

/* -- Wiring --------------------------------------------------------------------------------------------------------- */

void
floe_clipboard_attach (FloeClipboard *clipboard, SpiceMainChannel *main)
{
  if (clipboard->main != NULL)
    g_signal_handlers_disconnect_by_data (clipboard->main, clipboard);
  g_set_object (&clipboard->main, main);
  clipboard->offered = FALSE;
  clipboard->wanted = 0;
  if (main == NULL)
    return;
  g_signal_connect (main, "main-clipboard-selection-grab", G_CALLBACK (on_grab), clipboard);
  g_signal_connect (main, "main-clipboard-selection-request", G_CALLBACK (on_request), clipboard);
  g_signal_connect (main, "main-clipboard-selection-release", G_CALLBACK (on_release), clipboard);
  g_signal_connect (main, "main-clipboard-selection", G_CALLBACK (on_contents), clipboard);
  g_signal_connect_swapped (main, "main-agent-update", G_CALLBACK (offer), clipboard);
}

void
floe_clipboard_set_share (FloeClipboard *clipboard, FloeShare share)
{
  clipboard->share = share;
  if ((share & FLOE_SHARE_TO_GUEST) == 0)
    withdraw (clipboard);
}

void
floe_clipboard_set_active (FloeClipboard *clipboard, gboolean active)
{
  if (clipboard->active == active)
    return;
  if (!active)
    withdraw (clipboard);
  clipboard->active = active;
  if (active)
    offer (clipboard);
}

FloeClipboard *
floe_clipboard_new (void)
{
  FloeClipboard *clipboard = g_rc_box_new0 (FloeClipboard);

  clipboard->screen = gtk_clipboard_get (GDK_SELECTION_CLIPBOARD);
  g_signal_connect_swapped (clipboard->screen, "owner-change", G_CALLBACK (on_owner_change), clipboard);
  return clipboard;
}

void
floe_clipboard_free (FloeClipboard *clipboard)
{
  if (clipboard == NULL)
    return;
  g_signal_handlers_disconnect_by_data (clipboard->screen, clipboard);
  floe_clipboard_attach (clipboard, NULL);
  clipboard->active = FALSE;
  if (g_object_get_data (G_OBJECT (clipboard->screen), SOURCE_KEY) == clipboard)
    g_object_set_data (G_OBJECT (clipboard->screen), SOURCE_KEY, NULL);
  g_rc_box_release (clipboard);
}
