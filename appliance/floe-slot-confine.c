/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-confine.h"
#include "common/floe-confine.h"

#include <cap-ng.h>

/* What it has no use for beyond what nobody has. */
static const char *const refused[] = { "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", NULL };

gboolean
floe_slot_confine (GError **error)
{
  capng_clear (CAPNG_SELECT_BOTH);
  if (capng_apply (CAPNG_SELECT_CAPS) < 0)
    return floe_error_set (error, FLOE_ERROR_FAILED, "capabilities cannot be given up");
  return floe_confine (refused, error);
}
