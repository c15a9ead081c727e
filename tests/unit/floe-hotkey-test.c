/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-hotkey.h"

#include <string.h>

/* GdkModifierType's bits, which the filter only compares. */
#define CONTROL (1u << 2)
#define ALT (1u << 3)

enum { KEY_CONTROL, KEY_ALT, KEY_RIGHT, KEY_A, KEYS };

static const guint codes[KEYS] = { 37, 64, 114, 38 };
static const guint keyvals[KEYS] = { 0xffe3, 0xffe9, 0xff53, 'a' };
static const guint bits[KEYS] = { CONTROL, ALT, 0, 0 };

/* A keyboard, the filter, and the guest behind it: what a user's fingers do, and what the guest sees of it. */
typedef struct {
  FloeHotkeyState filter;
  gboolean down[KEYS];   /* physically */
  gboolean guest[KEYS];  /* as the guest on screen believes */
  gboolean poisoned;     /* a chord fired and its modifiers have not all been up since */
  guint fired;
} World;

static void
world_init (World *world)
{
  *world = (World){ 0 };
  world->filter.chords[FLOE_HOTKEY_NEXT] = (FloeHotkeyChord){ .keyval = 0xff53, .modifiers = CONTROL | ALT };
}

static guint
world_modifiers (const World *world)
{
  guint modifiers = 0;

  for (int key = 0; key < KEYS; key++)
    if (world->down[key])
      modifiers |= bits[key];
  return modifiers;
}

/* Synthesised releases reach the guest that was on screen; the next guest begins with nothing down. */
static void
world_switch (World *world, const FloeHotkeyVerdict *verdict)
{
  for (int key = 0; key < KEYS; key++) {
    g_assert_cmpint (floe_hotkey_has (verdict->releases, codes[key]), ==, world->guest[key]);
    world->guest[key] = FALSE;
  }
  world->fired++;
  world->poisoned = TRUE;
}

static void
world_event (World *world, int key, gboolean press)
{
  guint modifiers = world_modifiers (world);
  gboolean repeat = press && world->down[key];
  gboolean chord = press && !repeat && key == KEY_RIGHT && modifiers == (CONTROL | ALT);
  FloeHotkeyEvent event = { .press = press, .code = codes[key], .keyval = keyvals[key], .modifiers = modifiers };
  FloeHotkeyVerdict verdict;

  if ((modifiers & (CONTROL | ALT)) == 0)
    world->poisoned = FALSE;
  verdict = floe_hotkey_filter (&world->filter, &event);
  world->down[key] = press;
  /* Fires exactly when the fingers say so, and never twice for one stroke. */
  g_assert_cmpint (verdict.action, ==, chord ? FLOE_HOTKEY_NEXT : FLOE_HOTKEY_NONE);
  if (chord) {
    g_assert_true (verdict.consumed);
    world_switch (world, &verdict);
    return;
  }
  for (int other = 0; other < KEYS; other++)
    g_assert_false (floe_hotkey_has (verdict.releases, codes[other]));
  if (verdict.consumed) {
    /* Only what belongs to a chord may be kept from the guest. */
    if (press)
      g_assert_true (repeat ? !world->guest[key] : world->poisoned);
    else
      g_assert_false (world->guest[key]);
    return;
  }
  /* The guest sees no half of anything: no release without a press, no repeat of a key that it does not have. */
  if (press && !repeat)
    g_assert_false (world->poisoned);
  if (!press || repeat)
    g_assert_true (world->guest[key]);
  world->guest[key] = press;
}

static guint64 sequences;

/* Every sequence of DEPTH more events that fingers can make on four keys: presses, releases, repeats. */
static void
explore (const World *world, int depth)
{
  if (depth == 0) {
    World end = *world;

    sequences++;
    for (int key = 0; key < KEYS; key++)
      if (end.down[key])
        world_event (&end, key, FALSE);
    for (int key = 0; key < KEYS; key++)
      g_assert_false (end.guest[key]);
    return;
  }
  for (int key = 0; key < KEYS; key++) {
    World next = *world;

    world_event (&next, key, !world->down[key]);
    explore (&next, depth - 1);
    if (world->down[key]) {
      next = *world;
      world_event (&next, key, TRUE);
      explore (&next, depth - 1);
    }
  }
}

static void
test_every_sequence (void)
{
  World world;

  world_init (&world);
  explore (&world, 7);
  g_test_message ("%" G_GUINT64_FORMAT " sequences", sequences);
  g_assert_cmpuint (sequences, >, 100000);
}

/* The guest sees typing untouched when no chord is involved: what is consumed is nothing. */
static void
test_typing (void)
{
  static const struct {
    int key;
    gboolean press;
  } strokes[] = { { KEY_CONTROL, TRUE }, { KEY_A, TRUE }, { KEY_A, TRUE }, { KEY_A, FALSE }, { KEY_CONTROL, FALSE },
                  { KEY_ALT, TRUE }, { KEY_RIGHT, TRUE }, { KEY_RIGHT, FALSE }, { KEY_ALT, FALSE },
                  { KEY_CONTROL, TRUE }, { KEY_RIGHT, TRUE }, { KEY_RIGHT, FALSE }, { KEY_CONTROL, FALSE } };
  World world;

  world_init (&world);
  for (gsize i = 0; i < G_N_ELEMENTS (strokes); i++) {
    world_event (&world, strokes[i].key, strokes[i].press);
    g_assert_cmpint (world.guest[strokes[i].key], ==, strokes[i].press);
  }
  g_assert_cmpuint (world.fired, ==, 0);
}

/* Holding Ctrl+Alt, Right twice switches twice; the release of all three is nobody's; then typing works again. */
static void
test_twice (void)
{
  World world;

  world_init (&world);
  world_event (&world, KEY_CONTROL, TRUE);
  world_event (&world, KEY_ALT, TRUE);
  g_assert_true (world.guest[KEY_CONTROL] && world.guest[KEY_ALT]);
  world_event (&world, KEY_RIGHT, TRUE);
  world_event (&world, KEY_RIGHT, TRUE);
  world_event (&world, KEY_RIGHT, FALSE);
  world_event (&world, KEY_RIGHT, TRUE);
  g_assert_cmpuint (world.fired, ==, 2);
  world_event (&world, KEY_A, TRUE);
  g_assert_false (world.guest[KEY_A]);
  world_event (&world, KEY_A, FALSE);
  world_event (&world, KEY_RIGHT, FALSE);
  world_event (&world, KEY_ALT, FALSE);
  world_event (&world, KEY_CONTROL, FALSE);
  world_event (&world, KEY_A, TRUE);
  g_assert_true (world.guest[KEY_A]);
}

/* A key that the guest had down when the chord came is released there, and its repeats and release are not the next guest's. */
static void
test_held_key (void)
{
  World world;

  world_init (&world);
  world_event (&world, KEY_A, TRUE);
  world_event (&world, KEY_CONTROL, TRUE);
  world_event (&world, KEY_ALT, TRUE);
  world_event (&world, KEY_RIGHT, TRUE);
  g_assert_cmpuint (world.fired, ==, 1);
  world_event (&world, KEY_A, TRUE);
  g_assert_false (world.guest[KEY_A]);
}

static void
test_reset (void)
{
  FloeHotkeyState state = { 0 };
  FloeHotkeyEvent press = { .press = TRUE, .code = codes[KEY_CONTROL], .keyval = keyvals[KEY_CONTROL] };
  FloeHotkeyEvent release = { .press = FALSE, .code = codes[KEY_CONTROL], .keyval = keyvals[KEY_CONTROL], .modifiers = CONTROL };
  FloeHotkeyVerdict verdict;

  g_assert_false (floe_hotkey_filter (&state, &press).consumed);
  verdict = floe_hotkey_reset (&state);
  g_assert_true (floe_hotkey_has (verdict.releases, codes[KEY_CONTROL]));
  g_assert_true (floe_hotkey_filter (&state, &release).consumed);
}

/* A release that never came (focus was elsewhere) must not leave the keyboard dead: the modifiers of the next press tell. */
static void
test_lost_release (void)
{
  FloeHotkeyState state = { .latch = CONTROL | ALT };
  FloeHotkeyEvent press = { .press = TRUE, .code = codes[KEY_A], .keyval = 'a' };

  g_assert_false (floe_hotkey_filter (&state, &press).consumed);
}

static void
test_bounds (void)
{
  FloeHotkeyState state = { 0 };
  FloeHotkeyEvent event = { .press = TRUE, .code = FLOE_HOTKEY_CODES };

  g_assert_true (floe_hotkey_filter (&state, &event).consumed);
  event.code = G_MAXUINT;
  g_assert_true (floe_hotkey_filter (&state, &event).consumed);
  event.press = FALSE;
  g_assert_true (floe_hotkey_filter (&state, &event).consumed);
  event = (FloeHotkeyEvent){ .press = TRUE, .code = FLOE_HOTKEY_CODES - 1 };
  g_assert_false (floe_hotkey_filter (&state, &event).consumed);
}

/* No chord set: keyval 0 must not match an event whose key has no symbol. */
static void
test_no_chord (void)
{
  FloeHotkeyState state = { 0 };
  FloeHotkeyEvent event = { .press = TRUE, .code = 9 };
  FloeHotkeyVerdict verdict = floe_hotkey_filter (&state, &event);

  g_assert_false (verdict.consumed);
  g_assert_cmpint (verdict.action, ==, FLOE_HOTKEY_NONE);
}

static void
test_each_action (void)
{
  for (int action = FLOE_HOTKEY_NEXT; action < FLOE_HOTKEY_ACTIONS; action++) {
    FloeHotkeyState state = { 0 };
    FloeHotkeyEvent event = { .press = TRUE, .code = 80, .keyval = 0xff50, .modifiers = CONTROL };

    state.chords[action] = (FloeHotkeyChord){ .keyval = 0xff50, .modifiers = CONTROL };
    g_assert_cmpint (floe_hotkey_filter (&state, &event).action, ==, action);
    event = (FloeHotkeyEvent){ .press = TRUE, .code = 81, .keyval = 0xff50, .modifiers = CONTROL | ALT };
    g_assert_cmpint (floe_hotkey_filter (&state, &event).action, ==, FLOE_HOTKEY_NONE);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hotkey/every-sequence", test_every_sequence);
  g_test_add_func ("/hotkey/typing", test_typing);
  g_test_add_func ("/hotkey/twice", test_twice);
  g_test_add_func ("/hotkey/held-key", test_held_key);
  g_test_add_func ("/hotkey/reset", test_reset);
  g_test_add_func ("/hotkey/lost-release", test_lost_release);
  g_test_add_func ("/hotkey/bounds", test_bounds);
  g_test_add_func ("/hotkey/no-chord", test_no_chord);
  g_test_add_func ("/hotkey/each-action", test_each_action);
  return g_test_run ();
}
