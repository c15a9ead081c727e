/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* A machine's overlay: a qcow2 file (QEMU's docs/interop/qcow2.txt, version 3) with 64 KiB clusters over an image that
 * -blockdev names. Written here rather than by qemu-img: the start of a process is a fifth of what a start may cost. */
#define FLOE_OVERLAY_CLUSTER 65536
/* One cluster of first-level table reaches so far. */
#define FLOE_OVERLAY_SIZE_MAX (UINT64_C (4) << 40)
/* A machine is not started with less room than this below its overlay. */
#define FLOE_OVERLAY_ROOM_MIN (UINT64_C (256) << 20)

/* The bytes of an overlay that holds nothing yet, for an image of SIZE bytes (a multiple of 512 up to
 * FLOE_OVERLAY_SIZE_MAX). Pure. */
GBytes *floe_overlay_build (uint64_t size, GError **error) FLOE_WARN_UNUSED;

/* Makes NAME below DIR anew (mode 0600) and opens it. -1 on failure, with nothing left. */
int floe_overlay_create_at (int dir, const char *name, uint64_t size, GError **error) FLOE_WARN_UNUSED;
/* Opens NAME; -1 with NOT_FOUND when there is none. */
int floe_overlay_open_at (int dir, const char *name, GError **error) FLOE_WARN_UNUSED;

/* NO_SPACE, naming what is free, when the file system of DIR has less than NEEDED bytes for us. */
gboolean floe_overlay_check_room (int dir, uint64_t needed, GError **error) FLOE_WARN_UNUSED;
