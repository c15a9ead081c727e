/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-chunk-socket.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A packet that decodes encodes to itself. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE], answer[FLOE_CHUNK_REPLY_SIZE];
  FloeChunkRequest request;
  FloeChunkReply reply;

  if (floe_chunk_request_decode (data, size, &request) == 0) {
    floe_chunk_request_encode (&request, packet);
    g_assert (size == sizeof packet && memcmp (packet, data, size) == 0);
  }
  if (floe_chunk_reply_decode (data, size, &reply) == 0) {
    floe_chunk_reply_encode (&reply, answer);
    g_assert (size == sizeof answer && memcmp (answer, data, size) == 0);
  }
  return 0;
}
