/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* Disk images of other products, taken through qemu-img. An image file is hostile input: qcow2 and VMDK can name other
 * files of this host, which qemu-img would open. So the format is stated, never guessed from content; headers are looked at
 * before qemu-img sees the file, and what qemu-img says about it is checked before it converts; it runs under limits. */

typedef struct {
  const char *name;     /* as typed: "vhd" */
  const char *driver;   /* as qemu-img calls it: "vpc"; NULL for OVA */
  const char *suffixes; /* of file names, separated by spaces */
} FloeForeignFormat;

/* By NAME, or by PATH's suffix when NAME is NULL. UNSUPPORTED with the list of formats if there is none. */
const FloeForeignFormat *floe_foreign_format (const char *name, const char *path, GError **error) FLOE_WARN_UNUSED;

/* Whether the HEAD (the first bytes, 4096 or the whole file) of an image with DRIVER stands alone. INVALID when it is not
 * of that format at all, REFUSED when it names other files. */
gboolean floe_foreign_check_head (const char *driver, const uint8_t *head, size_t size, GError **error) FLOE_WARN_UNUSED;

/* Whether the file is as long as its head says, for the formats whose `qemu-img check` does not look: VDI by its HEAD, VHD
 * by its TAIL (the file's last 512 bytes). INVALID when it was cut short. */
gboolean floe_foreign_check_length (const char *driver, const uint8_t *head, size_t size, const uint8_t tail[512],
                                    uint64_t file_size, GError **error) FLOE_WARN_UNUSED;

/* Reads what `qemu-img info --output=json` said: the virtual size. REFUSED for a backing file, data file, encryption or
 * extents in other files than PATH; LIMIT for a disk that is too large. */
gboolean floe_foreign_check_info (GBytes *json, const char *path, uint64_t *virtual_size, GError **error) FLOE_WARN_UNUSED;
