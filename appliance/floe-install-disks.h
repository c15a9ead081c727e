/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* The disks that could be installed on, and what is on each, as the kernel (sysfs) and udev's database have it: nothing on a disk is read here, for
 * anybody may have written it. Every text comes out as one printable line. */

typedef struct {
  const char *sysfs; /* "/sys" */
  const char *dev;   /* "/dev" */
  const char *udev;  /* "/run/udev/data" */
  const char *own;   /* name of the disk that runs */
} FloeInstallPlaces;

typedef struct {
  char *name;        /* "sda1" */
  char *label;       /* of the partition or of its file system; "" for none */
  char *file_system; /* "ntfs"; "" when none was found */
  uint64_t size;
} FloeInstallPartition;

typedef struct {
  char *name; /* "sda" */
  char *model, *serial;
  const char *bus; /* "usb", "nvme", "ata", "mmc", "virtio", or "" */
  char *number;    /* of its device: "8:0" */
  uint64_t size;
  guint sector;
  guint64 sequence; /* another one for each disk that was ever there; 0: the kernel has none */
  gboolean removable, read_only, interrupted; /* interrupted: an installation has begun on it and not ended */
  char *file_system, *label; /* of the disk itself, when it has no partitions */
  GPtrArray *partitions; /* of FloeInstallPartition, in their order */
} FloeInstallDisk;

void floe_install_disk_free (FloeInstallDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeInstallDisk, floe_install_disk_free)

/* Of FloeInstallDisk, by name: whole disks that have a medium, but for the one that runs. */
GPtrArray *floe_install_list (const FloeInstallPlaces *places, GError **error) FLOE_WARN_UNUSED;
/* Whether NAME of SYSFS is a medium that people carry about: removable, or on USB. */
gboolean floe_install_is_portable (const char *sysfs, const char *name);

/* KEY of a device's record in udev's database TEXT (lines "E:KEY=VALUE"): one printable line, "" when it is not there. Pure. */
char *floe_install_udev_value (const char *text, size_t size, const char *key);
