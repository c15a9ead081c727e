/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Verified, decompressed chunks of one image, kept for a while: in memory, or in a file that only this process has (its
 * pages are the kernel's to drop, not resident memory of ours). Least recently used ones give way. Plain C; any number of
 * threads.
 *
 * A chunk is filled by one thread at a time: whoever asks meanwhile waits for it. Lock order: one lock, held for
 * bookkeeping only, never during I/O or a fill. A slot that is read or filled is pinned and is not reused. */
typedef struct FloeSlots FloeSlots;

typedef enum {
  FLOE_SLOT_READY,   /* *slot is pinned: floe_slots_read(), then floe_slots_release() */
  FLOE_SLOT_FILL,    /* *slot is the caller's to fill: floe_slots_filled() or floe_slots_release() */
  FLOE_SLOT_NONE,    /* all are in use: go without */
  FLOE_SLOT_STOPPED, /* STOP said so while waiting */
} FloeSlotState;

/* For an image of CHUNKS chunks; BYTES is rounded down to whole chunks, at least 32 of them. FILE, an empty file, is taken
 * over; -1 for memory. NULL without memory. */
FloeSlots *floe_slots_new (size_t chunks, uint64_t bytes, int file);
void floe_slots_free (FloeSlots *slots);

/* Looks for CHUNK, waiting while another thread fills it. STOP(DATA) is asked five times a second then; never NULL. */
FloeSlotState floe_slots_find (FloeSlots *slots, size_t chunk, uint32_t *slot, bool (*stop) (void *data), void *data);
/* Whether CHUNK is there and ready; *slot is pinned then. Never waits. */
bool floe_slots_peek (FloeSlots *slots, size_t chunk, uint32_t *slot);
/* Copies SIZE bytes at OFFSET of a pinned, ready slot. false with errno if the file cannot be read. */
bool floe_slots_read (FloeSlots *slots, uint32_t slot, void *buffer, size_t size, size_t offset);
/* Puts the chunk's SIZE verified bytes into the slot, makes it ready and unpins it. When the file takes no more (disk
 * full), the chunk is forgotten instead: nothing is lost but time. */
void floe_slots_filled (FloeSlots *slots, uint32_t slot, const void *bytes, size_t size);
/* Unpins a ready slot; gives back a slot that could not be filled, whose chunk the next asker then fills. */
void floe_slots_release (FloeSlots *slots, uint32_t slot);
