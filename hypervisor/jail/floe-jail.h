/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <sys/resource.h>
#include <sys/types.h>

/* A process that can open nothing but what it was given: own mount, PID, IPC, network and UTS namespaces, a root of
 * read-only binds, own uid and gid, no groups (but see floe_jail_set_group), no capabilities, no way to gain any, limits,
 * only the passed descriptors. */

typedef enum {
  FLOE_JAIL_READ_ONLY, /* a file or directory; nothing in it runs as a device or set-uid */
  FLOE_JAIL_PROGRAM,   /* the same, and may be executed or mapped executable */
  FLOE_JAIL_DEVICE,    /* a device node, for reading and writing */
  FLOE_JAIL_LINK,      /* a symbolic link to SOURCE */
} FloeJailKind;

typedef struct {
  FloeJailKind kind;
  char *source; /* on the host, absolute */
  char *target; /* in the jail, absolute; what leads to it is made */
  gboolean is_directory;
} FloeJailBind;

typedef struct _FloeJail FloeJail;

/* STAGING is an existing, empty directory, where the jail's root is mounted in the new mount namespace only; any number of
 * jails may share it. */
FloeJail *floe_jail_new (const char *staging, uid_t uid, gid_t gid);
void floe_jail_free (FloeJail *jail);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeJail, floe_jail_free)

/* NOT_FOUND when SOURCE is not there (links themselves are not looked at). */
gboolean floe_jail_bind (FloeJail *jail, FloeJailKind kind, const char *source, const char *target,
                         GError **error) FLOE_WARN_UNUSED;
/* What every dynamically linked program of Debian needs to start: the loader, its cache, shared libraries, /dev/null,
 * /dev/urandom; and PROGRAM itself. */
gboolean floe_jail_bind_program (FloeJail *jail, const char *program, GError **error) FLOE_WARN_UNUSED;
/* FD (borrowed until spawned) becomes descriptor NUMBER, 3 to 31. */
void floe_jail_pass (FloeJail *jail, int fd, int number);
/* Standard error; without it /dev/null. Borrowed until spawned. */
void floe_jail_set_stderr (FloeJail *jail, int fd);
void floe_jail_set_environment (FloeJail *jail, const char *const *environment);
/* One supplementary group, for a device that only its group may open (/dev/kvm). */
void floe_jail_set_group (FloeJail *jail, gid_t group);
void floe_jail_set_limit (FloeJail *jail, int resource, rlim_t value);

typedef struct {
  pid_t pid; /* as seen from here; 1 inside */
  int pidfd;
} FloeJailed;

/* Starts ARGV (argv[0] is the program's path in the jail). Returns once the program has been executed: an error, naming the
 * step that failed, means that no process is left. Any thread. */
gboolean floe_jail_spawn (FloeJail *jail, char *const *argv, FloeJailed *jailed, GError **error) FLOE_WARN_UNUSED;
