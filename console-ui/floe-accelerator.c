/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-accelerator.h"

#include <gtk/gtk.h>

G_STATIC_ASSERT (FLOE_ACCELERATOR_MODIFIERS == (GDK_SHIFT_MASK | GDK_CONTROL_MASK | GDK_MOD1_MASK | GDK_MOD4_MASK));

static gboolean
is_modifier (guint keyval)
{
  return (keyval >= GDK_KEY_Shift_L && keyval <= GDK_KEY_Hyper_R) || keyval == GDK_KEY_ISO_Level3_Shift
         || keyval == GDK_KEY_Num_Lock || keyval == GDK_KEY_Mode_switch;
}

/* Virtual modifiers as the real bits that key events carry; without a display (unit tests), as every PC keyboard has them. */
static guint
real_modifiers (GdkModifierType modifiers)
{
  GdkDisplay *display = gdk_display_get_default ();

  if (modifiers & (GDK_SUPER_MASK | GDK_HYPER_MASK)) {
    if (display == NULL || !gdk_keymap_map_virtual_modifiers (gdk_keymap_get_for_display (display), &modifiers))
      modifiers |= GDK_MOD4_MASK;
  }
  return modifiers & FLOE_ACCELERATOR_MODIFIERS;
}

gboolean
floe_accelerator_parse (const char *text, FloeHotkeyChord *chord, GError **error)
{
  GdkModifierType modifiers = 0;
  guint keyval = 0;

  if (text == NULL || text[0] == '\0') {
    *chord = (FloeHotkeyChord){ 0 };
    return TRUE;
  }
  gtk_accelerator_parse (text, &keyval, &modifiers);
  if (keyval == 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "switch key '%s' is not a GTK accelerator such as <Control><Alt>Right", text);
  if (is_modifier (keyval))
    return floe_error_set (error, FLOE_ERROR_INVALID, "switch key '%s' is a modifier alone; add a key to it", text);
  if ((real_modifiers (modifiers) & ~(guint) GDK_SHIFT_MASK) == 0
      && (gdk_keyval_to_unicode (keyval) != 0 || keyval == GDK_KEY_Return || keyval == GDK_KEY_BackSpace))
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "switch key '%s' could not be typed in any desktop; add Control, Alt or Super to it", text);
  *chord = (FloeHotkeyChord){ .keyval = gdk_keyval_to_lower (keyval), .modifiers = real_modifiers (modifiers) };
  return TRUE;
}

char *
floe_accelerator_label (const FloeHotkeyChord *chord)
{
  GdkModifierType modifiers = chord->modifiers;

  if (chord->keyval == 0)
    return g_strdup ("");
  if (modifiers & GDK_MOD4_MASK)
    modifiers = (modifiers & ~(guint) GDK_MOD4_MASK) | GDK_SUPER_MASK;
  return gtk_accelerator_get_label (chord->keyval, modifiers);
}
