/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns-inside.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The first byte chooses the type that was asked for. Whatever a server sends: what is taken from it is within its bounds, and can be
 * written for a guest and read again. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint16_t types[] = { FLOE_DNS_A, FLOE_DNS_AAAA, FLOE_DNS_TXT, FLOE_DNS_MX, FLOE_DNS_SRV, FLOE_DNS_PTR };
  uint8_t out[FLOE_DNS_ANSWER_MAX];
  FloeDnsQuery query = { .id = 0x1234, .question = true };
  FloeDnsAnswer answer, again;
  size_t written, at = 12;

  if (size < 1)
    return 0;
  query.type = types[*data++ % (sizeof types / sizeof *types)];
  size--;
  if (size < 12 || !floe_dns_name_read (data, size, &at, &query.name))
    return 0;
  if (floe_dns_answer_parse (data, size, 0x1234, &query.name, query.type, &answer) != FLOE_DNS_ANSWER_OK || answer.truncated)
    return 0;
  if (answer.n_records > FLOE_DNS_RECORDS_MAX || answer.data_size > FLOE_DNS_DATA_MAX || answer.ttl > INT32_MAX)
    abort ();
  for (size_t i = 0; i < answer.n_records && (query.type == FLOE_DNS_A || query.type == FLOE_DNS_AAAA); i++) {
    FloeDnsAddress address = floe_dns_answer_address (&answer, i);

    if (address.family != (query.type == FLOE_DNS_A ? 4 : 6))
      abort ();
    (void)floe_dns_address_is_inside (&address);
  }
  written = floe_dns_answer_write (out, sizeof out, &query, FLOE_DNS_NOERROR, FLOE_DNS_EDE_NONE, &answer);
  if (written > sizeof out || floe_dns_answer_parse (out, written, 0x1234, &query.name, query.type, &again) != FLOE_DNS_ANSWER_OK
      || again.n_records != answer.n_records || memcmp (again.data, answer.data, answer.data_size) != 0)
    abort ();
  written = floe_dns_answer_write (out, 512, &query, FLOE_DNS_NOERROR, FLOE_DNS_EDE_NONE, &answer);
  if (written > 512)
    abort ();
  return 0;
}
