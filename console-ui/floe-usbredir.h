/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <spice-client.h>

/* USB devices over SPICE, for desktops that run on a server: every session is made so, and one without a filter redirects nothing.
 *
 * FILTER is usbredir's ("class,vendor,product,version,allow|..."), made by the policy from the same rules as the endpoint's own
 * verdicts (floe_policy_usbredir_filter()); NULL or a text that is not of that form: none. Nothing is ever redirected because it is
 * plugged in, or because a session begins: those two of spice-gtk's own filters deny everything.
 * Answers whether the session may redirect at all. */
gboolean floe_usbredir_configure (SpiceSession *session, const char *filter);
/* Whether FILTER has usbredir's form, ends by denying everything else, and allows no device without saying whose it is. Pure. */
gboolean floe_usbredir_filter_valid (const char *filter);
