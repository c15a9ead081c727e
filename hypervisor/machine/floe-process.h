/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/jail/floe-jail.h"

/* One process that we started, in this life or an earlier one, held by pidfd. A pid alone is nobody: it is written down
 * together with the time its process started (field 22 of proc_pid_stat(5)). */
typedef struct _FloeProcess FloeProcess;

/* Called on the main thread, once, after the process has ended (and was reaped if it was our child). */
typedef void (*FloeProcessEnded) (FloeProcess *process, gpointer data);

/* Starts ARGV in JAIL, its standard error kept for floe_process_last_words(). */
FloeProcess *floe_process_spawn (FloeJail *jail, char *const *argv, GError **error) FLOE_WARN_UNUSED;
/* Finds a process again. NOT_FOUND when PID is nobody now or began at another time than START. */
FloeProcess *floe_process_adopt (pid_t pid, guint64 start, GError **error) FLOE_WARN_UNUSED;
/* Stops watching; the process itself is left alone. */
void floe_process_free (FloeProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeProcess, floe_process_free)

void floe_process_watch (FloeProcess *process, FloeProcessEnded ended, gpointer data);
void floe_process_unwatch (FloeProcess *process);

pid_t floe_process_pid (const FloeProcess *process);
guint64 floe_process_start (const FloeProcess *process);
/* Whether it ended; waits up to TIMEOUT_MS for that. */
gboolean floe_process_wait (FloeProcess *process, int timeout_ms);
/* SIGKILL, and waits until it is gone. */
void floe_process_kill (FloeProcess *process);
/* The last line that it wrote to standard error, valid UTF-8 without control characters, or NULL. Once. */
char *floe_process_last_words (FloeProcess *process);

/* Kills every process whose user id is in [FIRST, LAST] except those whose pid is in KEEP (of GINT_TO_POINTER): ids of
 * machines are ours alone, so whoever has one and is in no record was started by a life of ours that was killed before it
 * wrote it down. */
guint floe_process_sweep (uid_t first, uid_t last, GHashTable *keep);
