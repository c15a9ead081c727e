/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-slot-entry.h"
#include "common/floe-digest.h"

/* EFI/Linux on the mounted boot partition: the unified kernel images that systemd-boot starts. Every change is durable when its call
 * returns, and each is one file's name: a power cut leaves the menu as it was or as it is to be. */

#define FLOE_SLOT_NAME_SIZE 64

typedef struct {
  FloeSlotEntry entry;
  char name[FLOE_SLOT_NAME_SIZE];
} FloeSlotMenuEntry;

typedef struct {
  int dir;
  GArray *entries; /* of FloeSlotMenuEntry, as last read */
} FloeSlotMenu;

/* BOOT is where the boot partition is mounted. */
FloeSlotMenu *floe_slot_menu_open (const char *boot, GError **error) FLOE_WARN_UNUSED;
void floe_slot_menu_free (FloeSlotMenu *menu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlotMenu, floe_slot_menu_free)

/* The entry of VERSION; of several, the one that comes first. NULL when there is none. */
const FloeSlotMenuEntry *floe_slot_menu_find (const FloeSlotMenu *menu, int64_t version);
/* The entry that systemd-boot starts next; NULL when there is none. */
const FloeSlotMenuEntry *floe_slot_menu_next (const FloeSlotMenu *menu);

/* These change the menu and read it again. */
gboolean floe_slot_menu_remove (FloeSlotMenu *menu, const char *name, GError **error) FLOE_WARN_UNUSED;
/* FROM becomes TO, which it replaces. */
gboolean floe_slot_menu_rename (FloeSlotMenu *menu, const char *from, const char *to, GError **error) FLOE_WARN_UNUSED;

/* A new entry in two steps. What begin() opens has a name that no boot loader looks at, and replaces what an interrupted one left; finish() makes
 * it durable, reads it back and compares with DIGEST (UNVERIFIED), and gives it NAME. */
int floe_slot_menu_begin (FloeSlotMenu *menu, GError **error) FLOE_WARN_UNUSED;
gboolean floe_slot_menu_finish (FloeSlotMenu *menu, int fd, const FloeDigest *digest, const char *name, GError **error) FLOE_WARN_UNUSED;
/* Removes what begin() made, here or in another life. */
gboolean floe_slot_menu_give_up (FloeSlotMenu *menu, GError **error) FLOE_WARN_UNUSED;

/* Bytes free on the boot partition, and bytes of the entry NAME (0 if there is none). */
gboolean floe_slot_menu_room (FloeSlotMenu *menu, uint64_t *bytes, GError **error) FLOE_WARN_UNUSED;
uint64_t floe_slot_menu_size (FloeSlotMenu *menu, const char *name);
/* For reading; -1 on failure. */
int floe_slot_menu_open_entry (FloeSlotMenu *menu, const char *name, GError **error) FLOE_WARN_UNUSED;
