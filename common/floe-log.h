/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* One line an event, fields beside the words: `warning: chunk refused VM=office DIGEST=12ab…`. Only whoever handles an
 * error logs it; libraries log at debug level. */

/* Sends GLib's log of this process to standard error in that form, or to the journal when standard error is the journal.
 * Debug lines only with FLOE_DEBUG in the environment. Called once, from main. */
void floe_log_init (const char *program);

/* Logs MESSAGE with pairs of FIELD (upper case) and value (UTF-8 or not; control characters are escaped), ended by NULL. A NULL
 * value leaves its field out. */
void floe_log (GLogLevelFlags level, const char *message, ...) G_GNUC_NULL_TERMINATED;
#define floe_debug(...) floe_log (G_LOG_LEVEL_DEBUG, __VA_ARGS__, NULL)
#define floe_info(...) floe_log (G_LOG_LEVEL_MESSAGE, __VA_ARGS__, NULL)
#define floe_warning(...) floe_log (G_LOG_LEVEL_WARNING, __VA_ARGS__, NULL)
