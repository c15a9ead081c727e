/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-entry.h"

#include "server-sync/image/floe-appliance-info.h"

#include <inttypes.h>
#include <string.h>

#define PREFIX "floe_"
#define SUFFIX ".efi"
#define VERSION_DIGITS 18
#define COUNTER_DIGITS 4

/* Reads 1 to MAX_DIGITS digits at *AT and steps over them. */
static gboolean
read_number (const char **at, size_t max_digits, int64_t *number)
{
  size_t length = strspn (*at, "0123456789");

  if (length < 1 || length > max_digits)
    return FALSE;
  *number = 0;
  for (size_t i = 0; i < length; i++)
    *number = *number * 10 + ((*at)[i] - '0');
  *at += length;
  return TRUE;
}

gboolean
floe_slot_entry_parse (const char *name, FloeSlotEntry *entry)
{
  const char *at = name + strlen (PREFIX);
  int64_t version, left = -1, done = 0;

  /* A version has one way to be written, so that no two names mean the same. */
  if (!g_str_has_prefix (name, PREFIX) || *at == '0' || !read_number (&at, VERSION_DIGITS, &version))
    return FALSE;
  if (*at == '+') {
    at++;
    if (!read_number (&at, COUNTER_DIGITS, &left))
      return FALSE;
    if (*at == '-') {
      at++;
      if (!read_number (&at, COUNTER_DIGITS, &done))
        return FALSE;
    }
  }
  if (strcmp (at, SUFFIX) != 0)
    return FALSE;
  *entry = (FloeSlotEntry){ version, (int) left, (int) done };
  return TRUE;
}

char *
floe_slot_entry_name (int64_t version, int left)
{
  if (left < 0)
    return g_strdup_printf (PREFIX "%" PRIi64 SUFFIX, version);
  return g_strdup_printf (PREFIX "%" PRIi64 "+%d" SUFFIX, version, left);
}

gboolean
floe_slot_entry_failed (const FloeSlotEntry *entry)
{
  return entry->left == 0 && entry->done > 0;
}

/* Whether A comes before B. */
static gboolean
before (const FloeSlotEntry *a, const FloeSlotEntry *b)
{
  if ((a->left == 0) != (b->left == 0))
    return b->left == 0;
  return a->version > b->version;
}

int
floe_slot_entry_next (const FloeSlotEntry *entries, size_t count)
{
  int next = -1;

  for (size_t i = 0; i < count; i++)
    if (next < 0 || before (&entries[i], &entries[next]))
      next = (int) i;
  return next;
}

char *
floe_slot_label (int64_t version, gboolean verity)
{
  return g_strdup_printf (PREFIX "%" PRIi64 "%s", version, verity ? "_verity" : "");
}
