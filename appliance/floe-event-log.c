/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-event-log.h"

#include <string.h>

#define PCR 7u
#define EV_NO_ACTION 0x3u
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define ALGORITHM_SHA256 0x000bu
#define ALGORITHMS_MAX 16u
#define SHA1_SIZE 20u
#define VARIABLE_HEAD 32u /* UEFI_VARIABLE_DATA: GUID, length of the name, length of the data */

/* EFI_IMAGE_SECURITY_DATABASE_GUID and L"dbx", as they lie in memory. */
static const uint8_t security_guid[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t dbx_name[6] = { 'd', 0, 'b', 0, 'x', 0 };

typedef struct {
  const uint8_t *at;
  size_t left;
} Reader;

typedef struct {
  uint32_t pcr, type;
  const uint8_t *sha256;
  const uint8_t *data;
  uint32_t size;
} Event;

typedef struct {
  uint16_t id, size;
} Algorithm;

typedef struct {
  Algorithm algorithms[ALGORITHMS_MAX];
  uint32_t n_algorithms;
} Banks;

/* NULL when there are fewer bytes. */
static const uint8_t *
take (Reader *reader, size_t size)
{
  const uint8_t *at = reader->at;

  if (size > reader->left)
    return NULL;
  reader->at += size;
  reader->left -= size;
  return at;
}

static gboolean
take16 (Reader *reader, uint16_t *value)
{
  const uint8_t *at = take (reader, 2);

  if (at != NULL)
    *value = (uint16_t) (at[0] | at[1] << 8);
  return at != NULL;
}

static gboolean
take32 (Reader *reader, uint32_t *value)
{
  const uint8_t *at = take (reader, 4);

  if (at != NULL)
    *value = at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
  return at != NULL;
}

/* The first event, which has the form of older logs: TCG_EfiSpecIDEvent, the sizes of the digests that all others have. */
static gboolean
read_banks (Reader *reader, Banks *banks)
{
  uint32_t pcr, type, size, count;
  const uint8_t *data;
  Reader inner;

  if (!take32 (reader, &pcr) || !take32 (reader, &type) || take (reader, SHA1_SIZE) == NULL || !take32 (reader, &size) || (data = take (reader, size)) == NULL)
    return FALSE;
  inner = (Reader) { data, size };
  /* Signature with its NUL; class of the platform, version and size of a word. */
  if (type != EV_NO_ACTION || size < 16 || memcmp (take (&inner, 16), "Spec ID Event03", 16) != 0 || take (&inner, 8) == NULL || !take32 (&inner, &count) ||
      count == 0 || count > ALGORITHMS_MAX)
    return FALSE;
  banks->n_algorithms = count;
  for (uint32_t i = 0; i < count; i++)
    if (!take16 (&inner, &banks->algorithms[i].id) || !take16 (&inner, &banks->algorithms[i].size) || banks->algorithms[i].size == 0 ||
        (banks->algorithms[i].id == ALGORITHM_SHA256 && banks->algorithms[i].size != FLOE_DIGEST_SIZE))
      return FALSE;
  return TRUE;
}

static const Algorithm *
find_bank (const Banks *banks, uint16_t id)
{
  for (uint32_t i = 0; i < banks->n_algorithms; i++)
    if (banks->algorithms[i].id == id)
      return &banks->algorithms[i];
  return NULL;
}

/* TCG_PCR_EVENT2. An event without a digest in our bank is none that we could follow. */
static gboolean
read_event (Reader *reader, const Banks *banks, Event *event)
{
  uint32_t count;

  *event = (Event) { .pcr = 0 };
  if (!take32 (reader, &event->pcr) || !take32 (reader, &event->type) || !take32 (reader, &count) || count > banks->n_algorithms)
    return FALSE;
  for (uint32_t i = 0; i < count; i++) {
    const Algorithm *algorithm;
    const uint8_t *digest;
    uint16_t id;

    if (!take16 (reader, &id) || (algorithm = find_bank (banks, id)) == NULL || (digest = take (reader, algorithm->size)) == NULL)
      return FALSE;
    if (id == ALGORITHM_SHA256)
      event->sha256 = digest;
  }
  return event->sha256 != NULL && take32 (reader, &event->size) && (event->data = take (reader, event->size)) != NULL;
}

static gboolean
is_dbx (const Event *event)
{
  return event->type == EV_EFI_VARIABLE_DRIVER_CONFIG && event->size >= VARIABLE_HEAD + sizeof dbx_name &&
         memcmp (event->data, security_guid, sizeof security_guid) == 0 && memcmp (event->data + 16, "\3\0\0\0\0\0\0\0", 8) == 0 &&
         memcmp (event->data + VARIABLE_HEAD, dbx_name, sizeof dbx_name) == 0;
}

/* Digest of the event that DBX in the variable is: UEFI_VARIABLE_DATA, whole. */
static void
digest_of_dbx (GBytes *dbx, FloeDigest *digest)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  uint8_t length[8] = { 0 };
  gsize size;
  const void *data = g_bytes_get_data (dbx, &size);

  for (size_t i = 0; i < sizeof length; i++)
    length[i] = (uint8_t) ((uint64_t) size >> (8 * i));
  floe_digester_update (digester, security_guid, sizeof security_guid);
  floe_digester_update (digester, "\3\0\0\0\0\0\0\0", 8);
  floe_digester_update (digester, length, sizeof length);
  floe_digester_update (digester, dbx_name, sizeof dbx_name);
  if (size > 0)
    floe_digester_update (digester, data, size);
  floe_digester_finish (digester, digest);
}

static void
extend (FloeDigest *pcr, const uint8_t digest[FLOE_DIGEST_SIZE])
{
  uint8_t both[2 * FLOE_DIGEST_SIZE];

  memcpy (both, pcr->bytes, FLOE_DIGEST_SIZE);
  memcpy (both + FLOE_DIGEST_SIZE, digest, FLOE_DIGEST_SIZE);
  floe_digest_of (both, sizeof both, pcr);
}

/* INSTEAD (NULL: none) is the digest that dbx has. */
static gboolean
replay (GBytes *log, const FloeDigest *instead, FloeDigest *pcr, guint *replaced, GError **error)
{
  gsize size;
  const uint8_t *data = g_bytes_get_data (log, &size);
  Reader reader = { data, size };
  Banks banks;
  Event event;

  memset (pcr, 0, sizeof *pcr);
  *replaced = 0;
  if (size > FLOE_EVENT_LOG_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "the firmware's event log has %zu bytes, %u at most", size, FLOE_EVENT_LOG_MAX);
  if (!read_banks (&reader, &banks))
    return floe_error_set (error, FLOE_ERROR_INVALID, "the firmware's event log does not begin as one of a TPM 2");
  if (find_bank (&banks, ALGORITHM_SHA256) == NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "the firmware's event log has no digests by SHA-256");
  while (reader.left > 0) {
    if (!read_event (&reader, &banks, &event))
      return floe_error_set (error, FLOE_ERROR_INVALID, "the firmware's event log has no whole event at byte %zu", size - reader.left);
    if (event.pcr != PCR || event.type == EV_NO_ACTION)
      continue;
    if (instead != NULL && is_dbx (&event)) {
      extend (pcr, instead->bytes);
      (*replaced)++;
    } else
      extend (pcr, event.sha256);
  }
  return TRUE;
}

gboolean
floe_event_log_pcr7 (GBytes *log, FloeDigest *pcr, GError **error)
{
  guint replaced;

  return replay (log, NULL, pcr, &replaced, error);
}

gboolean
floe_event_log_pcr7_with (GBytes *log, GBytes *dbx, FloeDigest *pcr, GError **error)
{
  FloeDigest digest;
  guint replaced;

  digest_of_dbx (dbx, &digest);
  if (!replay (log, &digest, pcr, &replaced, error))
    return FALSE;
  return replaced == 1 || floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the firmware's event log has Secure Boot's list of what is forbidden %u times", replaced);
}
