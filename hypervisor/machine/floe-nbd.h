/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-host.h"
#include "hypervisor/machine/floe-image-library.h"
#include "hypervisor/machine/floe-process.h"

/* A machine's image as an NBD unix socket: nbdkit with the floe plugin, jailed, started again whenever it dies. Main thread
 * only.
 *
 * The socket is bound here and handed to nbdkit as systemd hands a unit its sockets (sd_listen_fds(3)). Kept open, it
 * queues QEMU's next connection while there is no nbdkit; after a restart of ours it is lost, and a new one is bound and
 * renamed over the old one's path, where QEMU finds it when it dials again. */
typedef struct _FloeNbd FloeNbd;

/* Called whenever nbdkit has ended; LAST_WORDS may be NULL. It is started again without being asked to. */
typedef void (*FloeNbdDied) (const char *last_words, guint deaths, gpointer data);
/* Called after it was started again. */
typedef void (*FloeNbdRestarted) (gpointer data);

typedef struct {
  const FloeHost *host;
  int directory_fd; /* where `socket` is bound, itself bound into QEMU's jail; borrowed while the FloeNbd lives */
  uid_t uid;        /* nbdkit's; also its gid */
  uid_t qemu_uid;   /* who may connect */
  FloeLibraryImage *image;
  const char *cache; /* directory for the file of decompressed chunks, made here */
  FloeNbdDied died;
  FloeNbdRestarted restarted;
  gpointer data; /* of both */
} FloeNbdOptions;

/* Binds the socket and starts nbdkit, or with ADOPT (taken) watches the one that is running. */
FloeNbd *floe_nbd_new (const FloeNbdOptions *options, FloeProcess *adopt, GError **error) FLOE_WARN_UNUSED;
/* Watches no more. Ends nbdkit unless KEEP. */
void floe_nbd_free (FloeNbd *nbd, gboolean keep);
/* NULL while it is being started again. */
const FloeProcess *floe_nbd_process (const FloeNbd *nbd);

/* nbdkit's arguments: a pure function, for golden files. Paths are those in its jail. */
char **floe_nbd_argv (const char *nbdkit, const char *plugin);
