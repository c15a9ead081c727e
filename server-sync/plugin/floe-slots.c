/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/plugin/floe-slots.h"

#include "server-sync/image/floe-chunk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NO_SLOT UINT32_MAX
#define MIN_SLOTS 32u
#define STOP_INTERVAL_NS (200L * 1000 * 1000)

typedef enum { EMPTY, FILLING, READY } State;

/* The list by age links slots that nobody has pinned; a pinned slot is in no list. */
typedef struct {
  size_t chunk;
  State state;
  uint32_t pins;
  uint32_t older, newer;
  uint8_t *memory; /* made when first filled; unused with a file */
} Slot;

struct FloeSlots {
  int file;
  pthread_mutex_t lock; /* of everything below, but for the content of pinned slots */
  pthread_cond_t changed;
  uint32_t *slot_of; /* by chunk; NO_SLOT */
  Slot *slots;
  uint32_t count, oldest, newest;
};

static void
unlist (FloeSlots *slots, uint32_t number)
{
  Slot *slot = &slots->slots[number];

  if (slot->older == NO_SLOT)
    slots->oldest = slot->newer;
  else
    slots->slots[slot->older].newer = slot->newer;
  if (slot->newer == NO_SLOT)
    slots->newest = slot->older;
  else
    slots->slots[slot->newer].older = slot->older;
}

static void
list_newest (FloeSlots *slots, uint32_t number)
{
  Slot *slot = &slots->slots[number];

  slot->older = slots->newest;
  slot->newer = NO_SLOT;
  if (slots->newest == NO_SLOT)
    slots->oldest = number;
  else
    slots->slots[slots->newest].newer = number;
  slots->newest = number;
}

/* An empty slot is the first to be reused. */
static void
list_oldest (FloeSlots *slots, uint32_t number)
{
  Slot *slot = &slots->slots[number];

  slot->newer = slots->oldest;
  slot->older = NO_SLOT;
  if (slots->oldest == NO_SLOT)
    slots->newest = number;
  else
    slots->slots[slots->oldest].older = number;
  slots->oldest = number;
}

static bool
allocate (FloeSlots *slots, size_t chunks)
{
  slots->slot_of = malloc (MAX (chunks, 1) * sizeof *slots->slot_of);
  slots->slots = calloc (slots->count, sizeof *slots->slots);
  if (slots->slot_of == NULL || slots->slots == NULL)
    return false;
  for (size_t i = 0; i < chunks; i++)
    slots->slot_of[i] = NO_SLOT;
  for (uint32_t i = 0; i < slots->count; i++)
    list_newest (slots, i);
  return true;
}

FloeSlots *
floe_slots_new (size_t chunks, uint64_t bytes, int file)
{
  FloeSlots *slots = calloc (1, sizeof *slots);
  uint64_t wanted = MAX (MIN (bytes / FLOE_CHUNK_SIZE, MAX (chunks, 1)), MIN_SLOTS);
  pthread_condattr_t attributes;

  if (slots == NULL)
    return NULL;
  slots->file = file;
  slots->count = (uint32_t) MIN (wanted, FLOE_IMAGE_MAX_CHUNKS);
  slots->oldest = slots->newest = NO_SLOT;
  pthread_mutex_init (&slots->lock, NULL);
  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (&slots->changed, &attributes);
  pthread_condattr_destroy (&attributes);
  if (!allocate (slots, chunks)) {
    slots->file = -1; /* still the caller's */
    floe_slots_free (slots);
    return NULL;
  }
  return slots;
}

void
floe_slots_free (FloeSlots *slots)
{
  if (slots == NULL)
    return;
  for (uint32_t i = 0; slots->slots != NULL && i < slots->count; i++)
    free (slots->slots[i].memory);
  free (slots->slots);
  free (slots->slot_of);
  if (slots->file >= 0)
    close (slots->file);
  pthread_cond_destroy (&slots->changed);
  pthread_mutex_destroy (&slots->lock);
  free (slots);
}

static void
wait_for_change (FloeSlots *slots)
{
  struct timespec until;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_nsec += STOP_INTERVAL_NS;
  until.tv_sec += until.tv_nsec / (1000L * 1000 * 1000);
  until.tv_nsec %= 1000L * 1000 * 1000;
  pthread_cond_timedwait (&slots->changed, &slots->lock, &until);
}

/* Takes the least recently used slot for CHUNK. */
static FloeSlotState
take (FloeSlots *slots, size_t chunk, uint32_t *number)
{
  Slot *slot;

  if (slots->oldest == NO_SLOT)
    return FLOE_SLOT_NONE;
  *number = slots->oldest;
  slot = &slots->slots[*number];
  unlist (slots, *number);
  if (slot->state == READY)
    slots->slot_of[slot->chunk] = NO_SLOT;
  slot->chunk = chunk;
  slot->state = FILLING;
  slot->pins = 1;
  slots->slot_of[chunk] = *number;
  return FLOE_SLOT_FILL;
}

static void
pin (FloeSlots *slots, uint32_t number)
{
  if (slots->slots[number].pins++ == 0)
    unlist (slots, number);
}

FloeSlotState
floe_slots_find (FloeSlots *slots, size_t chunk, uint32_t *number, bool (*stop) (void *data), void *data)
{
  FloeSlotState state = FLOE_SLOT_READY;

  pthread_mutex_lock (&slots->lock);
  for (;;) {
    Slot *slot;

    *number = slots->slot_of[chunk];
    if (*number == NO_SLOT) {
      state = take (slots, chunk, number);
      break;
    }
    slot = &slots->slots[*number];
    if (slot->state == READY) {
      pin (slots, *number);
      break;
    }
    if (stop (data)) {
      state = FLOE_SLOT_STOPPED;
      break;
    }
    wait_for_change (slots);
  }
  pthread_mutex_unlock (&slots->lock);
  return state;
}

bool
floe_slots_peek (FloeSlots *slots, size_t chunk, uint32_t *number)
{
  bool ready;

  pthread_mutex_lock (&slots->lock);
  *number = slots->slot_of[chunk];
  ready = *number != NO_SLOT && slots->slots[*number].state == READY;
  if (ready)
    pin (slots, *number);
  pthread_mutex_unlock (&slots->lock);
  return ready;
}

bool
floe_slots_read (FloeSlots *slots, uint32_t number, void *buffer, size_t size, size_t offset)
{
  uint8_t *at = buffer;

  if (slots->file < 0) {
    memcpy (buffer, slots->slots[number].memory + offset, size);
    return true;
  }
  while (size > 0) {
    ssize_t got = pread (slots->file, at, size, (off_t) number * FLOE_CHUNK_SIZE + (off_t) offset);

    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      errno = got == 0 ? EIO : errno;
      return false;
    }
    at += got;
    offset += (size_t) got;
    size -= (size_t) got;
  }
  return true;
}

static bool
store (FloeSlots *slots, uint32_t number, const uint8_t *bytes, size_t size)
{
  Slot *slot = &slots->slots[number];
  off_t offset = (off_t) number * FLOE_CHUNK_SIZE;

  if (slots->file < 0) {
    if (slot->memory == NULL && (slot->memory = malloc (FLOE_CHUNK_SIZE)) == NULL)
      return false;
    memcpy (slot->memory, bytes, size);
    return true;
  }
  while (size > 0) {
    ssize_t put = pwrite (slots->file, bytes, size, offset);

    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return false;
    bytes += put;
    offset += put;
    size -= (size_t) put;
  }
  return true;
}

/* Under the lock: the chunk is not in the slot (any more). */
static void
forget (FloeSlots *slots, uint32_t number)
{
  slots->slot_of[slots->slots[number].chunk] = NO_SLOT;
  slots->slots[number].state = EMPTY;
  slots->slots[number].pins = 0;
  list_oldest (slots, number);
}

void
floe_slots_filled (FloeSlots *slots, uint32_t number, const void *bytes, size_t size)
{
  bool stored = store (slots, number, bytes, size);

  pthread_mutex_lock (&slots->lock);
  if (stored) {
    slots->slots[number].state = READY;
    slots->slots[number].pins = 0;
    list_newest (slots, number);
  } else
    forget (slots, number);
  pthread_cond_broadcast (&slots->changed);
  pthread_mutex_unlock (&slots->lock);
}

void
floe_slots_release (FloeSlots *slots, uint32_t number)
{
  Slot *slot = &slots->slots[number];

  pthread_mutex_lock (&slots->lock);
  if (slot->state == FILLING) {
    forget (slots, number);
    pthread_cond_broadcast (&slots->changed);
  } else if (--slot->pins == 0)
    list_newest (slots, number);
  pthread_mutex_unlock (&slots->lock);
}
