/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine-info.h"

#include "console-ui/floe-console-text.h"

#include <glib/gi18n-lib.h>
#include <string.h>

FloeMachineInfo *
floe_machine_info_new (const char *id)
{
  FloeMachineInfo *info = g_new0 (FloeMachineInfo, 1);

  info->id = g_strdup (id);
  info->title = g_strdup (id);
  info->colour = g_strdup ("");
  info->problem = g_strdup ("");
  return info;
}

void
floe_machine_info_free (FloeMachineInfo *info)
{
  if (info == NULL)
    return;
  g_free (info->id);
  g_free (info->title);
  g_free (info->colour);
  g_free (info->problem);
  g_free (info);
}

FloeState
floe_state_parse (const char *word)
{
  static const char *const words[] = { "",          "stopped",  "starting", "running", "suspending",
                                       "suspended", "resuming", "stopping", "failed" };

  for (guint i = 1; word != NULL && i < G_N_ELEMENTS (words); i++)
    if (strcmp (word, words[i]) == 0)
      return (FloeState) i;
  return FLOE_STATE_UNKNOWN;
}

FloeShare
floe_share_parse (const char *word)
{
  if (g_strcmp0 (word, "to-guest") == 0)
    return FLOE_SHARE_TO_GUEST;
  if (g_strcmp0 (word, "from-guest") == 0)
    return FLOE_SHARE_FROM_GUEST;
  return g_strcmp0 (word, "both") == 0 ? FLOE_SHARE_BOTH : FLOE_SHARE_NONE;
}

int
floe_machine_info_compare (const FloeMachineInfo *a, const FloeMachineInfo *b)
{
  int order = g_utf8_collate (a->title, b->title);

  return order != 0 ? order : strcmp (a->id, b->id);
}

FloeAction
floe_machine_info_actions (const FloeMachineInfo *info)
{
  switch (info->state) {
  case FLOE_STATE_STOPPED:
  case FLOE_STATE_FAILED:
    return FLOE_ACTION_START;
  case FLOE_STATE_STARTING:
    return FLOE_ACTION_OPEN | FLOE_ACTION_RESET | FLOE_ACTION_POWER_OFF;
  case FLOE_STATE_RUNNING:
    return FLOE_ACTION_OPEN | FLOE_ACTION_SHUT_DOWN | FLOE_ACTION_SUSPEND | FLOE_ACTION_RESET | FLOE_ACTION_POWER_OFF;
  case FLOE_STATE_SUSPENDED:
    return FLOE_ACTION_RESUME;
  case FLOE_STATE_RESUMING:
    return FLOE_ACTION_OPEN;
  case FLOE_STATE_STOPPING:
    return FLOE_ACTION_OPEN | FLOE_ACTION_POWER_OFF;
  case FLOE_STATE_SUSPENDING:
  case FLOE_STATE_UNKNOWN:
    break;
  }
  return 0;
}

FloeAction
floe_machine_info_primary (const FloeMachineInfo *info)
{
  FloeAction actions = floe_machine_info_actions (info);

  /* Lowest bit: OPEN, START, RESUME come first, and the states offer no two of them. */
  return actions & (FLOE_ACTION_OPEN | FLOE_ACTION_START | FLOE_ACTION_RESUME);
}

gboolean
floe_machine_info_has_display (const FloeMachineInfo *info)
{
  return (floe_machine_info_actions (info) & FLOE_ACTION_OPEN) != 0;
}

gboolean
floe_action_loses_data (FloeAction action)
{
  return action == FLOE_ACTION_SHUT_DOWN || action == FLOE_ACTION_POWER_OFF || action == FLOE_ACTION_RESET;
}

gboolean
floe_machine_info_complete (const FloeMachineInfo *info)
{
  return info->total_bytes > 0 && info->have_bytes >= info->total_bytes;
}

int
floe_machine_info_percent (const FloeMachineInfo *info)
{
  if (info->total_bytes == 0)
    return -1;
  if (floe_machine_info_complete (info))
    return 100;
  return MIN (99, (int) ((double) info->have_bytes * 100.0 / (double) info->total_bytes));
}

const char *
floe_machine_info_state_word (const FloeMachineInfo *info)
{
  switch (info->state) {
  case FLOE_STATE_STOPPED:
    return _ ("Off");
  case FLOE_STATE_STARTING:
    return _ ("Starting");
  case FLOE_STATE_RUNNING:
    return _ ("Running");
  case FLOE_STATE_SUSPENDING:
    return _ ("Being suspended");
  case FLOE_STATE_SUSPENDED:
    return _ ("Suspended");
  case FLOE_STATE_RESUMING:
    return _ ("Resuming");
  case FLOE_STATE_STOPPING:
    return _ ("Shutting down");
  case FLOE_STATE_FAILED:
    return _ ("Cannot run");
  case FLOE_STATE_UNKNOWN:
    break;
  }
  return _ ("State not known");
}

char *
floe_machine_info_sentence (const FloeMachineInfo *info)
{
  int percent = floe_machine_info_percent (info);

  if (percent < 0)
    return g_strdup (floe_machine_info_state_word (info));
  if (percent == 100)
    /* Translators: %s is a state such as "Running". */
    return g_strdup_printf (_ ("%s, the whole image is here"), floe_machine_info_state_word (info));
  /* Translators: %1$s is a state such as "Starting", %2$d a percentage. */
  return g_strdup_printf (_ ("%1$s, %2$d %% of the image is here"), floe_machine_info_state_word (info), percent);
}

char *
floe_machine_info_advice (const FloeMachineInfo *info)
{
  g_autofree char *have = floe_text_size (info->have_bytes);
  g_autofree char *total = floe_text_size (info->total_bytes);

  if (info->total_bytes == 0)
    return g_strdup ("");
  if (floe_machine_info_complete (info))
    return g_strdup (_ ("Safe to unplug from the network"));
  /* Translators: amounts such as "0.4 GB" and "3.1 GB". */
  return g_strdup_printf (_ ("Stay connected: %1$s of %2$s so far"), have, total);
}
