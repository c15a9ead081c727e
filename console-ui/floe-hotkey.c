/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-hotkey.h"

#include <string.h>

/* Theory of operation: a chord's modifiers are pressed before anyone can know that they begin a chord, so they go to the guest
 * like any key. When the chord completes, the guest is given their releases at once, and the keys that are down become ours:
 * their later releases and repeats go nowhere. Until every modifier of the chord is up again, nothing but another chord has
 * an effect: a key struck while letting go of Ctrl+Alt must not reach the next desktop as a bare letter. */

gboolean
floe_hotkey_has (const guint32 *set, guint code)
{
  return code < FLOE_HOTKEY_CODES && (set[code / 32] >> (code % 32) & 1);
}

static void
put (guint32 *set, guint code, gboolean in)
{
  guint32 bit = 1u << (code % 32);

  if (in)
    set[code / 32] |= bit;
  else
    set[code / 32] &= ~bit;
}

static FloeHotkeyAction
find_chord (const FloeHotkeyState *state, const FloeHotkeyEvent *event)
{
  for (int action = FLOE_HOTKEY_NONE + 1; action < FLOE_HOTKEY_ACTIONS; action++) {
    const FloeHotkeyChord *chord = &state->chords[action];

    if (chord->keyval != 0 && chord->keyval == event->keyval && chord->modifiers == event->modifiers)
      return (FloeHotkeyAction) action;
  }
  return FLOE_HOTKEY_NONE;
}

/* Everything that the guest has down is released there and becomes ours. */
static void
take_all (FloeHotkeyState *state, FloeHotkeyVerdict *verdict)
{
  memcpy (verdict->releases, state->guest, sizeof verdict->releases);
  for (size_t i = 0; i < G_N_ELEMENTS (state->guest); i++)
    state->ours[i] |= state->guest[i];
  memset (state->guest, 0, sizeof state->guest);
}

static FloeHotkeyVerdict
judge_press (FloeHotkeyState *state, const FloeHotkeyEvent *event)
{
  FloeHotkeyVerdict verdict = { .consumed = TRUE };

  /* Auto-repeat belongs to whoever has the key, and never fires a chord again. */
  if (floe_hotkey_has (state->ours, event->code))
    return verdict;
  if (floe_hotkey_has (state->guest, event->code)) {
    verdict.consumed = FALSE;
    return verdict;
  }
  verdict.action = find_chord (state, event);
  if (verdict.action != FLOE_HOTKEY_NONE) {
    take_all (state, &verdict);
    state->latch = state->chords[verdict.action].modifiers;
    put (state->ours, event->code, TRUE);
    return verdict;
  }
  if ((event->modifiers & state->latch) == 0)
    state->latch = 0;
  verdict.consumed = state->latch != 0;
  put (verdict.consumed ? state->ours : state->guest, event->code, TRUE);
  return verdict;
}

FloeHotkeyVerdict
floe_hotkey_filter (FloeHotkeyState *state, const FloeHotkeyEvent *event)
{
  FloeHotkeyVerdict verdict = { .consumed = TRUE };

  if (event->code >= FLOE_HOTKEY_CODES)
    return verdict;
  if (event->press)
    return judge_press (state, event);
  verdict.consumed = !floe_hotkey_has (state->guest, event->code);
  put (state->guest, event->code, FALSE);
  put (state->ours, event->code, FALSE);
  return verdict;
}

FloeHotkeyVerdict
floe_hotkey_take (FloeHotkeyState *state)
{
  FloeHotkeyVerdict verdict = { .consumed = TRUE };

  take_all (state, &verdict);
  return verdict;
}

FloeHotkeyVerdict
floe_hotkey_reset (FloeHotkeyState *state)
{
  FloeHotkeyVerdict verdict = floe_hotkey_take (state);

  memset (state->ours, 0, sizeof state->ours);
  state->latch = 0;
  return verdict;
}
