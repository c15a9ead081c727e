/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-install-disks.h"
#include "common/floe-digest.h"

/* Writes the version that runs to another disk.
 *
 * Theory of operation. Everything that is written is verified before the disk is touched: root and hash tree of the disk that runs, block by block up
 * to the root hash that the signed kernel image gave the kernel; that kernel image as it lies on the boot partition, which anybody may have written,
 * by its signature against the certificate in the verified root, and by the root hash in it; the boot loader comes from the verified root itself.
 *
 * Then, in this order, each step durable before the next begins:
 *   1. A table with one partition "floe-install": from here on no system starts from the disk that is half another one's. It is the mark by which
 *      an interrupted installation is known. Until the moment it is whole, the disk is as it was, but for its table's backup at most.
 *   2. Boot partition, root, tree; all are read back and compared, the root with its tree up to the root hash.
 *   3. The table with Floe's partitions: its backup first, so that at every instant one of both is whole.
 * So an interrupted installation leaves what was there, or a disk with that mark, or all of Floe. The state is made at its first start.
 *
 * Partitions have the UUIDs that follow from the root hash, as on the disk that runs; table and boot partition get new ones, by which
 * floe-start tells both disks apart. */

#define FLOE_INSTALL_MARK "floe-install"
/* What has to be left for the state at least. */
#define FLOE_INSTALL_STATE_MIN (UINT64_C (1) << 30)

typedef struct {
  FloeInstallPlaces places;
  const char *boot;  /* where the boot partition that runs is mounted */
  const char *parts; /* directory of the verified root with BOOTX64.EFI, loader.conf and sign.crt */
  FloeDigest root_hash;
  int64_t version;
  gint64 now; /* seconds since 1970 */
} FloeInstallOptions;

typedef enum { FLOE_INSTALL_CHECKING, FLOE_INSTALL_WRITING, FLOE_INSTALL_VERIFYING, FLOE_INSTALL_FINISHING } FloeInstallStep;
/* DONE of 1. */
typedef void (*FloeInstallProgress) (FloeInstallStep step, double done, gpointer data);
const char *floe_install_step_name (FloeInstallStep step);

/* NAME, as floe_install_list() has it; SEQUENCE (0: any) the FloeInstallDisk.sequence that was seen with it; CONFIRM what the person typed. REFUSED, with nothing
 * written, unless CONFIRM is NAME and the disk may be written; NOT_FOUND when it is not there (any more), NO_SPACE when it is too small, BUSY when it
 * is in use. PROGRESS (may be NULL) is called in this thread. */
gboolean floe_install_run (const FloeInstallOptions *options, const char *name, guint64 sequence, const char *confirm, FloeInstallProgress progress,
                           gpointer data, GError **error) FLOE_WARN_UNUSED;

/* -- Where everything goes: pure ------------------------------------------------------------------------------------ */

typedef struct {
  uint64_t offset, size; /* bytes */
} FloeInstallSpan;

typedef struct {
  FloeInstallSpan boot, root[2], tree[2];
  uint64_t needed; /* bytes that a disk must have */
} FloeInstallPlan;

/* For partitions of these sizes, rounded up to whole MiB. */
FloeInstallPlan floe_install_plan (uint64_t boot, uint64_t root, uint64_t tree);
/* The plan of the disk that runs; INVALID when it has no partitions of ours. */
gboolean floe_install_plan_for (const FloeInstallOptions *options, FloeInstallPlan *plan, GError **error) FLOE_WARN_UNUSED;
/* Why DISK is none to install on: "read-only", "sectors" (of another size than 512), "small"; "" when it is one. */
const char *floe_install_problem (const FloeInstallDisk *disk, const FloeInstallPlan *plan);
