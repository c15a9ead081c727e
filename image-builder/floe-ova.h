/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* An OVA (DMTF DSP0243, "Open Virtualization Format"): a POSIX ustar archive whose first member is the OVF descriptor, XML
 * that names the disks. Taken: regular members with plain names, one disk that is not compressed by the archive. Refused:
 * links, directories, paths, extended headers, two members of one name, a descriptor over 1 MiB, several disks. */

typedef struct {
  char name[101];        /* floe_name_is_safe() */
  uint64_t offset, size; /* within the archive */
} FloeOvaDisk;

/* Finds the one disk of the OVA in the open file FD. INVALID or LIMIT with what was wrong; NOT_FOUND when the archive lacks
 * the disk that the descriptor names; UNSUPPORTED for several disks or a compressed one. */
gboolean floe_ova_find_disk (int fd, FloeOvaDisk *disk, GError **error) FLOE_WARN_UNUSED;

/* The file name of the descriptor's one disk (free with g_free()). SOURCE names it in errors. */
char *floe_ovf_disk (GBytes *descriptor, const char *source, GError **error) FLOE_WARN_UNUSED;
