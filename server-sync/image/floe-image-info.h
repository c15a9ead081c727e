/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-index.h"

/* image.json, the target images/NAME/CHANNEL.json: which version a channel is at and what it needs. docs/images.md shows
 * one. */

typedef enum { FLOE_IMAGE_LINUX, FLOE_IMAGE_WINDOWS, FLOE_IMAGE_OTHER } FloeImageOs;
typedef enum { FLOE_IMAGE_UEFI, FLOE_IMAGE_BIOS } FloeImageFirmware;

/* What a machine must give for this image to run; 0 and FALSE: nothing in particular. */
typedef struct {
  guint memory_mib; /* up to 1 TiB */
  guint vcpus;      /* up to 256 */
  gboolean tpm;
  gboolean secure_boot;
} FloeImageNeeds;

typedef struct {
  char *name;                      /* floe_name_is_safe() */
  char version[FLOE_VERSION_SIZE]; /* the first 16 digits of index */
  FloeImageOs os;
  FloeImageFirmware firmware;
  uint64_t size;                 /* bytes of the image */
  FloeDigest index, table, boot; /* of these targets' bytes */
  gboolean has_boot;
  FloeImageNeeds needs;
} FloeImageInfo;

#define FLOE_IMAGE_INFO_MAX_BYTES 16384

/* NAME and VERSION of "NAME/VERSION", which become parts of paths; NULL with INVALID for anything else. */
GStrv floe_image_label_split (const char *label, GError **error) FLOE_WARN_UNUSED;

/* INVALID for anything else than an image.json of form 1: unknown keys too. */
FloeImageInfo *floe_image_info_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
/* Writes it; the same INFO always gives the same bytes. */
GBytes *floe_image_info_build (const FloeImageInfo *info);
void floe_image_info_free (FloeImageInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeImageInfo, floe_image_info_free)

/* Target names: images/NAME/CHANNEL.json, and images/NAME/VERSION.SUFFIX for SUFFIX "caibx", "table", "boot". */
char *floe_image_channel_target (const char *name, const char *channel);
char *floe_image_target (const FloeImageInfo *info, const char *suffix);
/* Names as accepted on command lines and in enums above: "linux", "uefi"; NULL-terminated. */
extern const char *const floe_image_os_names[];
extern const char *const floe_image_firmware_names[];
