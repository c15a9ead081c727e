/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <sys/types.h>

/* AF_UNIX stream sockets by name below a directory descriptor: sockaddr_un has room for 107 bytes of path only, and ours
 * can be deep. */

/* Binds a fresh listening socket and renames it to NAME, so that at NAME there is always one to dial. Only UID may connect.
 */
int floe_socket_listen_at (int dir, const char *name, uid_t uid, GError **error) FLOE_WARN_UNUSED;
/* Never waits: a listener that takes no one out of its full queue is an error. The descriptor does not block. */
int floe_socket_connect_at (int dir, const char *name, GError **error) FLOE_WARN_UNUSED;
