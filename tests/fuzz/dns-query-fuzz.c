/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What a guest asks, whatever it is, can be answered, and the answer is one; a name that is taken is taken again. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t out[FLOE_DNS_ANSWER_MAX];
  char text[256];
  unsigned rcode = FLOE_DNS_NXDOMAIN;
  FloeDnsQuery query, again;
  FloeDnsAnswer answer;
  size_t written;

  if (floe_dns_query_parse (data, size, &query, &rcode) == FLOE_DNS_QUERY_IGNORE)
    return 0;
  written = floe_dns_answer_write (out, query.room, &query, rcode, FLOE_DNS_EDE_BLOCKED, NULL);
  if (written > query.room || floe_dns_query_parse (out, written, &again, &rcode) != FLOE_DNS_QUERY_IGNORE)
    abort ();
  if (!query.question)
    return 0;
  if (query.name.size == 0 || query.name.bytes[query.name.size - 1] != 0)
    abort ();
  if (floe_dns_answer_parse (out, written, query.id, &query.name, query.type, &answer) != FLOE_DNS_ANSWER_OK)
    abort ();
  floe_dns_name_print (&query.name, text);
  written = floe_dns_question_write (out, query.id, &query.name, query.type, query.edns);
  if (written > FLOE_DNS_QUERY_MAX || floe_dns_query_parse (out, written, &again, &rcode) != FLOE_DNS_QUERY_OK
      || !floe_dns_name_equal (&again.name, &query.name))
    abort ();
  return 0;
}
