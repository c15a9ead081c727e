/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-gpt.h"

#include <stdio.h>
#include <string.h>

#define HEADER_SIZE 92
#define ENTRY_SIZE 128
#define ENTRIES_MAX 128

static uint32_t
read32 (const uint8_t *data)
{
  return (uint32_t) data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;
}

static uint64_t
read64 (const uint8_t *data)
{
  return (uint64_t) read32 (data) | (uint64_t) read32 (data + 4) << 32;
}

/* CRC-32 of ISO 3309, a byte at a time, with HOLE..HOLE+4 taken as zeros: a header's own checksum. */
static uint32_t
checksum (const uint8_t *data, size_t size, size_t hole)
{
  uint32_t crc = ~0u;

  for (size_t i = 0; i < size; i++) {
    crc ^= i >= hole && i < hole + 4 ? 0 : data[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

/* The first three fields of a UUID are little-endian on disk. */
static void
write_uuid (const uint8_t *raw, char text[FLOE_GPT_UUID_SIZE])
{
  snprintf (text, FLOE_GPT_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", raw[3], raw[2], raw[1],
            raw[0], raw[5], raw[4], raw[7], raw[6], raw[8], raw[9], raw[10], raw[11], raw[12], raw[13], raw[14], raw[15]);
}

static void
read_entry (const uint8_t *entry, unsigned number, FloeGptPartition *partition)
{
  partition->number = number;
  write_uuid (entry, partition->type);
  write_uuid (entry + 16, partition->uuid);
  partition->first = read64 (entry + 32);
  partition->last = read64 (entry + 40);
  memset (partition->label, 0, sizeof partition->label);
  for (int i = 0; i < FLOE_GPT_LABEL_SIZE - 1; i++) {
    unsigned unit = entry[56 + 2 * i] | (unsigned) entry[57 + 2 * i] << 8;

    if (unit == 0)
      break;
    partition->label[i] = unit >= 0x20 && unit < 0x7F ? (char) unit : '?';
  }
}

static const char *
parse_entries (const uint8_t *array, unsigned entries, uint64_t first_usable, uint64_t last_usable, FloeGpt *table)
{
  static const uint8_t unused[16];

  for (unsigned i = 0; i < entries; i++) {
    const uint8_t *entry = array + (size_t) i * ENTRY_SIZE;
    FloeGptPartition *partition = &table->partitions[table->count];

    if (memcmp (entry, unused, sizeof unused) == 0)
      continue;
    if (table->count == FLOE_GPT_MAX)
      return "more partitions than are read";
    read_entry (entry, i + 1, partition);
    if (partition->first < first_usable || partition->last > last_usable || partition->first > partition->last)
      return "a partition lies outside the disk's usable part";
    for (unsigned j = 0; j < table->count; j++)
      if (partition->first <= table->partitions[j].last && table->partitions[j].first <= partition->last)
        return "two partitions overlap";
    table->count++;
  }
  return NULL;
}

const char *
floe_gpt_parse (const uint8_t *data, size_t size, FloeGpt *table)
{
  FloeGpt read = { .count = 0 };
  const uint8_t *header = NULL, *array;
  uint64_t start;
  uint32_t entries;
  const char *wrong;

  for (unsigned sector = 512; sector <= 4096 && header == NULL; sector *= 8)
    if (size >= sector + HEADER_SIZE && memcmp (data + sector, "EFI PART", 8) == 0) {
      header = data + sector;
      read.sector_size = sector;
    }
  if (header == NULL)
    return "no partition table";
  if (read32 (header + 8) != 0x00010000 || read32 (header + 12) != HEADER_SIZE)
    return "a partition table of an unknown revision";
  if (checksum (header, HEADER_SIZE, 16) != read32 (header + 16))
    return "the partition table's header is damaged";
  start = read64 (header + 72);
  entries = read32 (header + 80);
  if (read64 (header + 24) != 1 || read32 (header + 84) != ENTRY_SIZE || entries == 0 || entries > ENTRIES_MAX)
    return "a partition table of an unusual form";
  if (start < 2 || start > size / read.sector_size || size - start * read.sector_size < (size_t) entries * ENTRY_SIZE)
    return "the partition table lies in an unusual place";
  array = data + start * read.sector_size;
  if (checksum (array, (size_t) entries * ENTRY_SIZE, (size_t) entries * ENTRY_SIZE) != read32 (header + 88))
    return "the partition table's entries are damaged";
  write_uuid (header + 56, read.uuid);
  wrong = parse_entries (array, entries, read64 (header + 40), read64 (header + 48), &read);
  if (wrong == NULL)
    *table = read;
  return wrong;
}

const FloeGptPartition *
floe_gpt_find (const FloeGpt *table, const char *uuid, const char *label)
{
  const FloeGptPartition *found = NULL;

  for (unsigned i = 0; i < table->count; i++) {
    const FloeGptPartition *partition = &table->partitions[i];

    if (strcmp (uuid != NULL ? uuid : label, uuid != NULL ? partition->uuid : partition->label) != 0)
      continue;
    if (found != NULL)
      return NULL;
    found = partition;
  }
  return found;
}

bool
floe_gpt_uuid_of_hex (const char *hex, char uuid[FLOE_GPT_UUID_SIZE])
{
  size_t at = 0;

  if (strspn (hex, "0123456789abcdef") < 32)
    return false;
  for (int i = 0; i < 32; i++) {
    if (i == 8 || i == 12 || i == 16 || i == 20)
      uuid[at++] = '-';
    uuid[at++] = hex[i];
  }
  uuid[at] = 0;
  return true;
}
