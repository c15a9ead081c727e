/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Little-endian numbers at any alignment; the write calls advance *AT. The caller has checked the length. */

static inline uint32_t
floe_read_u32 (const uint8_t *at)
{
  uint32_t value;

  memcpy (&value, at, sizeof value);
  return le32toh (value);
}

static inline uint64_t
floe_read_u64 (const uint8_t *at)
{
  uint64_t value;

  memcpy (&value, at, sizeof value);
  return le64toh (value);
}

static inline void
floe_write_u32 (uint8_t **at, uint32_t value)
{
  value = htole32 (value);
  memcpy (*at, &value, sizeof value);
  *at += sizeof value;
}

static inline void
floe_write_u64 (uint8_t **at, uint64_t value)
{
  value = htole64 (value);
  memcpy (*at, &value, sizeof value);
  *at += sizeof value;
}

static inline void
floe_write_bytes (uint8_t **at, const void *data, size_t size)
{
  memcpy (*at, data, size);
  *at += size;
}
