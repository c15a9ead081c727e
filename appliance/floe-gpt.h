/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A disk's partition table: UEFI 2.10, section 5.3 (GPT). Plain C without allocation: the initrd's program uses it, and has nothing else.
 * What is on a disk is not trusted: both checksums, all bounds and the entry size are checked, and nothing is believed but where
 * partitions lie and what they are called. */

#define FLOE_GPT_MAX 32
#define FLOE_GPT_LABEL_SIZE 37
#define FLOE_GPT_UUID_SIZE 37
/* What must be read of a disk: protective MBR, header, the array in its usual place. For sectors of 4096 bytes the array begins at 8192. */
#define FLOE_GPT_READ (6 * 4096)

typedef struct {
  unsigned number;               /* as the kernel counts, from 1 */
  char type[FLOE_GPT_UUID_SIZE]; /* lower case, as RFC 4122 writes it */
  char uuid[FLOE_GPT_UUID_SIZE];
  char label[FLOE_GPT_LABEL_SIZE]; /* printable ASCII; anything else in it is '?' */
  uint64_t first, last;            /* in sectors, both within the partition */
} FloeGptPartition;

typedef struct {
  char uuid[FLOE_GPT_UUID_SIZE];
  unsigned sector_size; /* 512 or 4096 */
  unsigned count;
  FloeGptPartition partitions[FLOE_GPT_MAX];
} FloeGpt;

/* Parses the first SIZE bytes of a disk. NULL, or why it is no table that we read; TABLE is whole or untouched. */
const char *floe_gpt_parse (const uint8_t *data, size_t size, FloeGpt *table);
/* The partition with this UUID or with this label (the other is NULL); NULL when there is none or more than one. */
const FloeGptPartition *floe_gpt_find (const FloeGpt *table, const char *uuid, const char *label);
/* "0123…" (32 hexadecimal digits) as a UUID is written. false when HEX begins with anything else. */
bool floe_gpt_uuid_of_hex (const char *hex, char uuid[FLOE_GPT_UUID_SIZE]);
