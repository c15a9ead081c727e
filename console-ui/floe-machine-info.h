/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* What the console knows of a machine, as plain data, and what follows from it: its words, its order, what can be done. */

typedef enum {
  FLOE_STATE_UNKNOWN, /* a word that this console does not know: shown, nothing offered */
  FLOE_STATE_STOPPED,
  FLOE_STATE_STARTING,
  FLOE_STATE_RUNNING,
  FLOE_STATE_SUSPENDING,
  FLOE_STATE_SUSPENDED,
  FLOE_STATE_RESUMING,
  FLOE_STATE_STOPPING,
  FLOE_STATE_FAILED,
} FloeState;

/* What may cross, seen from the host. */
typedef enum {
  FLOE_SHARE_NONE = 0,
  FLOE_SHARE_TO_GUEST = 1 << 0,
  FLOE_SHARE_FROM_GUEST = 1 << 1,
  FLOE_SHARE_BOTH = FLOE_SHARE_TO_GUEST | FLOE_SHARE_FROM_GUEST,
} FloeShare;

typedef enum {
  FLOE_ACTION_OPEN = 1 << 0, /* show its display */
  FLOE_ACTION_START = 1 << 1,
  FLOE_ACTION_RESUME = 1 << 2,
  FLOE_ACTION_SHUT_DOWN = 1 << 3, /* ask the guest */
  FLOE_ACTION_POWER_OFF = 1 << 4, /* do not ask */
  FLOE_ACTION_RESET = 1 << 5,
  FLOE_ACTION_SUSPEND = 1 << 6,
} FloeAction;

typedef struct {
  char *id;
  char *title;   /* plain text, bounded */
  char *colour;  /* as received */
  char *problem; /* plain text, bounded; "" when none */
  FloeState state;
  guint64 have_bytes, total_bytes; /* of the image, in the local store; total 0: not known yet */
  gboolean emulated;
  FloeShare clipboard, file_transfer;
  gboolean audio;
} FloeMachineInfo;

FloeMachineInfo *floe_machine_info_new (const char *id);
void floe_machine_info_free (FloeMachineInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeMachineInfo, floe_machine_info_free)

/* Of org.floe.Hypervisor1.Machine's State. */
FloeState floe_state_parse (const char *word);
/* "none", "to-guest", "from-guest", "both"; anything else shares nothing. */
FloeShare floe_share_parse (const char *word);

/* By title as people sort words, then by id; total, so that rows never swap on their own. */
int floe_machine_info_compare (const FloeMachineInfo *a, const FloeMachineInfo *b);

/* Actions that make sense in this state, a set. */
FloeAction floe_machine_info_actions (const FloeMachineInfo *info);
/* The one that Enter does: START, RESUME, OPEN or none (0). */
FloeAction floe_machine_info_primary (const FloeMachineInfo *info);
/* Whether a display can exist in this state. */
gboolean floe_machine_info_has_display (const FloeMachineInfo *info);
/* Whether ACTION can lose what the user has not saved. */
gboolean floe_action_loses_data (FloeAction action);

/* Whole percent of the image that is here, rounded down: 100 only when all of it is. -1 when not known. */
int floe_machine_info_percent (const FloeMachineInfo *info);
gboolean floe_machine_info_complete (const FloeMachineInfo *info);
/* The state in one word or two. */
const char *floe_machine_info_state_word (const FloeMachineInfo *info);
/* State and streaming in a sentence: "Starting, 12 % of the image is here". */
char *floe_machine_info_sentence (const FloeMachineInfo *info);
/* What that means for the cable: "Safe to unplug from the network", "Stay connected: …", or "" when nothing is known. */
char *floe_machine_info_advice (const FloeMachineInfo *info);
