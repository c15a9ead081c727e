/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#define DAY 86400
#define WEEK (7 * DAY)

static gint
compare_times (gconstpointer a, gconstpointer b)
{
  const FloeRulesTime *left = a, *right = b;

  if (left->day != right->day)
    return left->day < right->day ? -1 : 1;
  return left->first < right->first ? -1 : left->first > right->first;
}

/* Cut at midnight, as the kernel's clock sees it. */
static void
add_time (GArray *times, long from, long to)
{
  while (from < to) {
    long midnight = (from / DAY + 1) * DAY, end = MIN (to, midnight);
    FloeRulesTime made = { (uint8_t)(from / DAY % 7), (uint32_t)(from % DAY), (uint32_t)((end - 1) % DAY) };

    g_array_append_val (times, made);
    from = end;
  }
}

GArray *
floe_rules_times (const FloePolicyNetRule *rule, int zone_offset)
{
  GArray *times = g_array_new (FALSE, FALSE, sizeof (FloeRulesTime));
  guint kept = 0;

  for (size_t i = 0; i < rule->n_windows; i++)
    for (unsigned day = 0; day < 7; day++) {
      /* A week later, so that nothing is negative. */
      long from = WEEK + day * DAY + rule->windows[i].first * 60L - zone_offset;

      if (rule->windows[i].days & 1u << day)
        add_time (times, from, from + (rule->windows[i].last - rule->windows[i].first) * 60L);
    }
  g_array_sort (times, compare_times);
  for (guint i = 0; i < times->len; i++) {
    FloeRulesTime next = g_array_index (times, FloeRulesTime, i);
    FloeRulesTime *last = kept == 0 ? NULL : &g_array_index (times, FloeRulesTime, kept - 1);

    if (last != NULL && last->day == next.day && next.first <= last->last + 1)
      last->last = MAX (last->last, next.last);
    else
      g_array_index (times, FloeRulesTime, kept++) = next;
  }
  g_array_set_size (times, kept);
  return times;
}
