/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-install.h"
#include "tests/lib/pe-forge.h"

/* A computer as floe-install sees it, in files: the stick "sda" that runs, as small as an appliance gets, and the disk "vda" with somebody's system.
 * sfdisk and veritysetup, which share no code with Floe, make them; without them install_world_new() is NULL. */

typedef enum { INSTALL_WORLD_GPT, INSTALL_WORLD_DOS } InstallWorldOld;

typedef struct {
  char *path; /* removed with the world */
  char *sysfs, *dev, *udev, *boot, *parts;
  char *target, *source; /* paths of vda and sda */
  PeSigner *signer;
  GBytes *kernel, *loader;
  uint8_t *tables[2]; /* both ends of the disk, by InstallWorldOld, once they were made */
  FloeInstallOptions options;
  FloeInstallPlan plan;
} InstallWorld;

InstallWorld *install_world_new (void);
void install_world_free (InstallWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (InstallWorld, install_world_free)

/* vda becomes as OLD was at first. */
void install_world_old (InstallWorld *world, InstallWorldOld old);
/* sysfs's FILE below the directory of DISK. */
void install_world_sysfs (InstallWorld *world, const char *disk, const char *file, const char *text);
/* The kernel image on the boot partition of what runs. */
void install_world_kernel (InstallWorld *world, GBytes *kernel);

/* What somebody who starts from vda finds there, by sfdisk: a table that is whole, the backup where the primary is not. */
typedef enum { INSTALL_SEEN_NOTHING, INSTALL_SEEN_OLD, INSTALL_SEEN_MARK, INSTALL_SEEN_FLOE } InstallSeen;
InstallSeen install_world_see (InstallWorld *world);
/* Whether all of the old system but its table is as it was. */
gboolean install_world_old_is_intact (InstallWorld *world);
/* Whether vda has all of Floe: root and tree by the root hash, the boot partition's files, by mtools. */
gboolean install_world_is_whole (InstallWorld *world);
gboolean install_world_run (InstallWorld *world, GError **error);
