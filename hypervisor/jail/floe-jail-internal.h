/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/jail/floe-jail.h"

#define FLOE_JAIL_FDS 32
#define FLOE_JAIL_LIMITS 8

struct _FloeJail {
  char *staging;
  uid_t uid;
  gid_t gid;
  gid_t groups[1];
  unsigned n_groups;
  GArray *binds;          /* of FloeJailBind */
  int fds[FLOE_JAIL_FDS]; /* by number in the jail; -1 */
  char **environment;
  int limit_names[FLOE_JAIL_LIMITS];
  rlim_t limits[FLOE_JAIL_LIMITS];
  unsigned n_limits;
};

/* What the child reports on its pipe when a step failed. */
typedef struct {
  int saved_errno;
  char step[92];
} FloeJailFailure;

/* Runs in the child between clone and exec: only system calls, no allocation, no locks. Returns only when a step failed,
 * then with *failure set. REPORT is closed by exec. */
void floe_jail_enter (const FloeJail *jail, char *const *argv, int report, FloeJailFailure *failure);
