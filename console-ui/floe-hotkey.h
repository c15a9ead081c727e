/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The keys that switch desktops, and the filter that keeps them from every guest. No I/O, no GTK: a keyboard event and what
 * is known of the keyboard go in, a verdict comes out. */

typedef enum {
  FLOE_HOTKEY_NONE,
  FLOE_HOTKEY_NEXT,
  FLOE_HOTKEY_PREVIOUS,
  FLOE_HOTKEY_LIST,
  FLOE_HOTKEY_ACTIONS
} FloeHotkeyAction;

/* Key codes below this are followed (evdev's KEY_MAX, plus X's offset of 8); SPICE knows no other, and others are consumed. */
#define FLOE_HOTKEY_CODES 1024

typedef struct {
  guint keyval;    /* GDK key symbol, lower case; 0: no chord */
  guint modifiers; /* GdkModifierType bits that must be down, and no others of those that event.modifiers may hold */
} FloeHotkeyChord;

typedef struct {
  gboolean press;
  guint code;      /* hardware key code: what pairs a release with its press */
  guint keyval;    /* GDK key symbol, lower case */
  guint modifiers; /* GdkModifierType bits down before this event, without locks */
} FloeHotkeyEvent;

typedef struct {
  FloeHotkeyChord chords[FLOE_HOTKEY_ACTIONS]; /* set by the owner; [NONE] is unused */
  /* The filter's own. A key that is down is in one set: the guest has seen its press, or nobody may. */
  guint32 guest[FLOE_HOTKEY_CODES / 32];
  guint32 ours[FLOE_HOTKEY_CODES / 32];
  guint latch; /* modifiers of the chord that fired last, while any of them may still be down */
} FloeHotkeyState;

typedef struct {
  gboolean consumed; /* the guest must not see the event */
  FloeHotkeyAction action;
  /* Key codes whose release the guest on screen must be given before the action, so that it has no key stuck. */
  guint32 releases[FLOE_HOTKEY_CODES / 32];
} FloeHotkeyVerdict;

/* Judges one event. What the guest sees is always properly paired: a release is let through only when its press was; when a
 * chord completes, what the guest has down is released, and those keys stay ours until they are physically up. */
FloeHotkeyVerdict floe_hotkey_filter (FloeHotkeyState *state, const FloeHotkeyEvent *event);

/* Another page comes on screen by other means than a chord: what the guest has down is released there and becomes ours. */
FloeHotkeyVerdict floe_hotkey_take (FloeHotkeyState *state);

/* The keyboard is no longer ours (focus lost): whatever is down will be released where we cannot see it. */
FloeHotkeyVerdict floe_hotkey_reset (FloeHotkeyState *state);

gboolean floe_hotkey_has (const guint32 *set, guint code);
