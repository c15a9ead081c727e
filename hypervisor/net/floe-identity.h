/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <net/if.h>
#include <stdint.h>

/* What a slot number stands for: all names and addresses of a card. Nothing is stored, so nothing can get lost. */

#define FLOE_NET_SLOTS 16384
#define FLOE_NET_TAP_PREFIX "floe"
#define FLOE_NET_POOL_DEFAULT "10.77.0.0/16"

typedef struct {
  uint32_t base; /* host order */
  unsigned length;
} FloeNetPool;

typedef struct {
  unsigned slot;
  char tap[IF_NAMESIZE];             /* also the name of its tables: "floe7" */
  uint8_t guest_mac[6], host_mac[6]; /* locally administered: 02:f1:0e:00:SLOT and 02:f1:0e:01:SLOT */
  uint8_t guest[4], host[4];         /* third and second address of the slot's /30; network order */
  uint8_t guest6[16], host6[16];     /* fdf1:e77:0:SLOT::2 and ::1, on a /64 of their own */
  char guest_mac_text[18], guest_text[16], host_text[16];
  char guest6_text[46], host6_text[46];
} FloeNetIdentity;

/* "A.B.C.D/N", N from 8 to 30, bits after the prefix zero, of a private range (RFC 1918, RFC 6598); INVALID otherwise. */
gboolean floe_net_pool_parse (const char *text, FloeNetPool *pool, GError **error) FLOE_WARN_UNUSED;
/* LIMIT when the pool or the naming has no such slot. */
gboolean floe_net_identity (const FloeNetPool *pool, unsigned slot, FloeNetIdentity *identity,
                            GError **error) FLOE_WARN_UNUSED;
/* The slot that NAME ("floe7") stands for, or -1: no leading zeros, nothing before or after. */
int floe_net_slot_of_name (const char *name);
