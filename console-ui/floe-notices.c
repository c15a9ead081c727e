/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-notices.h"

#include "console-ui/floe-console-text.h"
#include "console-ui/floe-usb-words.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define NAME_MAX_CHARS 48
#define RULE_MAX_CHARS 64
#define PROBLEM_MAX_CHARS 160
/* Devices remembered; past it the oldest are forgotten, which can only make them heard again within the limit of notices. */
#define REMEMBERED 64

typedef struct {
  char *key;
  gint64 seen;
} Seen;

struct _FloeNotices {
  GPtrArray *seen; /* of Seen, oldest first */
  gint64 shown[FLOE_NOTICES_LIMIT]; /* times of the last notices, a ring */
  guint next;
};

static void
seen_free (gpointer data)
{
  Seen *seen = data;

  g_free (seen->key);
  g_free (seen);
}

FloeNotices *
floe_notices_new (void)
{
  FloeNotices *notices = g_new0 (FloeNotices, 1);

  notices->seen = g_ptr_array_new_with_free_func (seen_free);
  for (guint i = 0; i < FLOE_NOTICES_LIMIT; i++)
    notices->shown[i] = G_MININT64;
  return notices;
}

void
floe_notices_free (FloeNotices *notices)
{
  if (notices == NULL)
    return;
  g_ptr_array_unref (notices->seen);
  g_free (notices);
}

/* Whether KEY was heard within the quiet span; it counts as heard now. Takes KEY. */
static gboolean
heard_before (FloeNotices *notices, char *key, gint64 now)
{
  Seen *seen = NULL;
  gboolean recent = FALSE;

  for (guint i = 0; i < notices->seen->len && seen == NULL; i++) {
    Seen *candidate = g_ptr_array_index (notices->seen, i);

    if (strcmp (candidate->key, key) == 0)
      seen = g_ptr_array_steal_index (notices->seen, i);
  }
  if (seen != NULL) {
    recent = now - seen->seen < FLOE_NOTICES_QUIET_USEC;
    g_free (key);
  } else {
    seen = g_new0 (Seen, 1);
    seen->key = key;
  }
  seen->seen = now;
  if (notices->seen->len >= REMEMBERED)
    g_ptr_array_remove_index (notices->seen, 0);
  g_ptr_array_add (notices->seen, seen);
  return recent;
}

/* Whether one more notice may be shown at NOW; it counts as shown. */
static gboolean
may_show (FloeNotices *notices, gint64 now)
{
  gint64 oldest = notices->shown[notices->next];

  if (oldest != G_MININT64 && now - oldest < FLOE_NOTICES_QUIET_USEC)
    return FALSE;
  notices->shown[notices->next] = now;
  notices->next = (notices->next + 1) % FLOE_NOTICES_LIMIT;
  return TRUE;
}

static const char *
string_field (GVariant *fields, const char *name)
{
  const char *value = "";

  g_variant_lookup (fields, name, "&s", &value);
  return value;
}

char *
floe_notices_usb (FloeNotices *notices, const char *kind, GVariant *fields, gint64 now)
{
  g_autofree char *name = NULL;
  g_autofree char *rule = NULL;
  g_autofree char *what = NULL;
  g_autofree char *problem = NULL;
  gboolean undelivered;
  guint16 vendor = 0, product = 0;
  gboolean enforced = TRUE;

  if (strcmp (kind, "usb") != 0 || !g_variant_is_of_type (fields, G_VARIANT_TYPE_VARDICT))
    return NULL;
  problem = floe_text_plain (string_field (fields, "problem"), PROBLEM_MAX_CHARS);
  undelivered = strcmp (string_field (fields, "verdict"), "machine") == 0 && problem[0] != '\0';
  if (strcmp (string_field (fields, "verdict"), "block") != 0 && !undelivered)
    return NULL;
  name = floe_text_plain (string_field (fields, "name"), NAME_MAX_CHARS);
  rule = floe_text_plain (string_field (fields, "rule"), RULE_MAX_CHARS);
  g_variant_lookup (fields, "vendor", "q", &vendor);
  g_variant_lookup (fields, "product", "q", &product);
  g_variant_lookup (fields, "enforced", "b", &enforced);
  if (heard_before (notices,
                    g_strdup_printf ("%s %04x:%04x %s %s", string_field (fields, "path"), vendor, product, name, rule), now)
      || !may_show (notices, now))
    return NULL;
  what = floe_usb_what (fields);
  if (undelivered)
    /* Translators: %1$s is a device, such as: USB storage “DataTraveler”, %2$s says why. */
    return g_strdup_printf (_ ("%1$s is not connected: %2$s"), what, problem);
  if (!enforced)
    /* Translators: %1$s is a device, such as: USB storage “DataTraveler”, %2$s the name of a rule. USB rules are tried out and not
     * enforced here. */
    return g_strdup_printf (_ ("Your organisation's rules would block: %1$s, rule %2$s"), what, rule);
  /* Translators: %1$s is a device, such as: USB storage “DataTraveler”, %2$s the name of a rule. */
  return g_strdup_printf (_ ("Blocked by your organisation: %1$s, rule %2$s"), what, rule);
}
