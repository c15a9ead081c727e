/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-gpt.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static uint32_t
crc32 (const uint8_t *data, size_t size)
{
  uint32_t crc = ~0u;

  for (size_t i = 0; i < 8 * size; i++)
    crc = crc >> 1 ^ ((data[i / 8] >> (i % 8) & 1) ^ (crc & 1) ? 0xEDB88320u : 0);
  return ~crc;
}

/* Partitions that are accepted lie within the disk and apart from one another. Inputs get right checksums, or little would pass them. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree uint8_t *copy = NULL;
  FloeGpt table;

  if (size < 1024 || size > FLOE_GPT_READ)
    return 0;
  copy = g_memdup2 (data, size);
  if (copy[592] < 128 && size >= 1024 + 128u * copy[592]) {
    uint32_t sum = crc32 (copy + 1024, 128u * copy[592]);

    memcpy (copy + 600, &sum, 4);
    memset (copy + 528, 0, 4);
    sum = crc32 (copy + 512, 92);
    memcpy (copy + 528, &sum, 4);
  }
  if (floe_gpt_parse (copy, size, &table) != NULL)
    return 0;
  g_assert (table.count <= FLOE_GPT_MAX);
  for (unsigned i = 0; i < table.count; i++) {
    const FloeGptPartition *a = &table.partitions[i];

    g_assert (a->first <= a->last && strlen (a->uuid) == 36 && strlen (a->label) < FLOE_GPT_LABEL_SIZE);
    for (unsigned j = 0; j < i; j++)
      g_assert (a->first > table.partitions[j].last || a->last < table.partitions[j].first);
  }
  return 0;
}
