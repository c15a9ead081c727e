/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-seal.h"

#include "appliance/floe-dbx.h"
#include "appliance/floe-efivar.h"
#include "appliance/floe-event-log.h"
#include "appliance/floe-slot-revoke.h"
#include "common/floe-fd.h"

#include <string.h>

#define PCR7 "/sys/class/tpm/tpm0/pcr-sha256/7"
#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define CRYPTENROLL "/usr/bin/systemd-cryptenroll"
#define RECORD "seal.conf"
#define RECORD_MAX 4096
#define NO_PCR7 "none"
/* Nothing comes from outside: systemd-stub extends PCR 12 by command lines and credentials that lie beside the image. */
#define PCR12 "12:sha256=0000000000000000000000000000000000000000000000000000000000000000"

/* By which floe-state and floe-slot mean the same list. */
static void
name_of (GBytes *update, char hex[FLOE_DIGEST_HEX_SIZE])
{
  FloeDigest digest;

  floe_digest_of (g_bytes_get_data (update, NULL), g_bytes_get_size (update), &digest);
  floe_digest_to_hex (&digest, hex);
}

/* -- What this start says -------------------------------------------------------------------------------------------- */

static gboolean
read_pcr7 (const char *root, FloeDigest *pcr, GError **error)
{
  g_autofree char *path = g_strconcat (root, PCR7, NULL), *text = NULL;
  g_autoptr (GBytes) bytes = floe_file_read (path, 2 * FLOE_DIGEST_SIZE + 1, error);
  gsize size = 0;
  const char *data = bytes == NULL ? NULL : g_bytes_get_data (bytes, &size);

  if (bytes == NULL)
    return FALSE;
  /* The kernel writes it in capitals. */
  text = data == NULL ? g_strdup ("") : g_ascii_strdown (data, (gssize) size);
  return floe_digest_from_hex (g_strchomp (text), pcr, error);
}

/* PCR 7 of the next start, if firmware takes UPDATE until then. */
static gboolean
predict (const char *root, GBytes *before, GBytes *update, FloeSealTarget *target, GError **error)
{
  g_autofree char *path = g_strconcat (root, EVENT_LOG, NULL);
  g_autoptr (GBytes) log = floe_file_read (path, FLOE_EVENT_LOG_MAX, error), after = NULL;
  FloeDigest now;

  if (log == NULL || !floe_event_log_pcr7 (log, &now, error))
    return FALSE;
  if (!floe_digest_equal (&now, &target->pcr7))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "the firmware's event log does not give what the TPM has in PCR 7");
  /* And it is this list that was measured. */
  if (!floe_event_log_pcr7_with (log, before, &now, error))
    return FALSE;
  if (!floe_digest_equal (&now, &target->pcr7))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "the firmware's list of what is forbidden is not the one that it started with");
  after = floe_dbx_appended (before, update, error);
  return after != NULL && floe_event_log_pcr7_with (log, after, &target->next, error);
}

static gboolean
look_at_revocation (const char *root, const char *efivars, FloeSealTarget *target, GError **error)
{
  g_autofree char *path = g_strconcat (root, FLOE_SLOT_REVOCATIONS, NULL);
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) update = floe_file_read (path, FLOE_DBX_UPDATE_MAX, &problem), before = NULL;
  g_autoptr (FloeDbx) list = NULL, wanted = NULL;

  /* Most versions have none. */
  if (update == NULL && g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  if (update == NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  name_of (update, target->revocation);
  wanted = floe_dbx_parse_update (update, error);
  before = wanted == NULL ? NULL : floe_efivar_read_dbx (efivars, error);
  list = before == NULL ? NULL : floe_dbx_parse (before, error);
  if (list == NULL)
    return FALSE;
  if (floe_dbx_missing (list, wanted) == 0)
    return TRUE;
  target->changes = predict (root, before, update, target, error);
  return target->changes;
}

gboolean
floe_seal_target (const char *root, FloeSealTarget *target, GError **error)
{
  g_autofree char *efivars = g_strconcat (root, FLOE_EFIVARS, NULL);
  g_autoptr (GError) problem = NULL;

  *target = (FloeSealTarget) { .secure_boot = FALSE };
  if (!floe_efivar_secure_boot (efivars, &target->secure_boot, error) || (target->secure_boot && !read_pcr7 (root, &target->pcr7, error)))
    return FALSE;
  if (target->secure_boot && !look_at_revocation (root, efivars, target, &problem))
    target->problem = g_strdup (problem->message);
  return TRUE;
}

void
floe_seal_target_clear (FloeSealTarget *target)
{
  g_clear_pointer (&target->problem, g_free);
}

static char *
pcr7_text (const FloeSealTarget *target, gboolean next)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (next ? &target->next : &target->pcr7, hex);
  return g_strdup (target->secure_boot ? hex : NO_PCR7);
}

char *
floe_seal_pcrs (const FloeSealTarget *target, gboolean next)
{
  g_autofree char *pcr7 = pcr7_text (target, next);

  return target->secure_boot ? g_strconcat ("7:sha256=", pcr7, "+" PCR12, NULL) : g_strdup (PCR12);
}

/* -- What it is sealed to -------------------------------------------------------------------------------------------- */

/* PCR 7 that the TPM opens it with: hexadecimal or NO_PCR7; NEXT is NULL where there is but one. NOW is NULL where nobody knows: a state of a version that wrote
 * nothing down, or a record that is none. */
typedef struct {
  char *now, *next;
} Record;

static void
record_clear (Record *record)
{
  g_clear_pointer (&record->now, g_free);
  g_clear_pointer (&record->next, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Record, record_clear)

static gboolean
record_load (int dir, Record *record, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) text = floe_file_read_at (dir, RECORD, RECORD_MAX, &problem);

  if (text == NULL && !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (text != NULL && g_key_file_load_from_bytes (file, text, G_KEY_FILE_NONE, NULL)) {
    record->now = g_key_file_get_string (file, "seal", "pcr7", NULL);
    record->next = g_key_file_get_string (file, "seal", "next", NULL);
  }
  return TRUE;
}

static gboolean
record_save (int dir, const Record *record, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  gsize size;

  g_key_file_set_string (file, "seal", "pcr7", record->now);
  if (record->next != NULL)
    g_key_file_set_string (file, "seal", "next", record->next);
  text = g_key_file_to_data (file, &size, NULL);
  return floe_file_replace_at (dir, RECORD, text, size, 0600, error);
}

/* -- Sealing --------------------------------------------------------------------------------------------------------- */

/* What another TPM has sealed is taken away first: systemd-cryptenroll does nothing where there is a seal of the same values, whosever it is. If this is cut, somebody types
 * the recovery key again. */
static gboolean
wipe (const FloeSeal *seal, GError **error)
{
  const char *arguments[] = { CRYPTENROLL, "--wipe-slot=tpm2", seal->device, NULL };

  return seal->run (arguments, error);
}

/* Those for this start take the place of all before them; those for the next are beside. */
static gboolean
enroll (const FloeSeal *seal, const FloeSealTarget *target, gboolean next, GError **error)
{
  g_autofree char *values = floe_seal_pcrs (target, next), *pcrs = g_strconcat ("--tpm2-pcrs=", values, NULL);
  g_autofree char *unlock = seal->key_file != NULL ? g_strconcat ("--unlock-key-file=", seal->key_file, NULL) : g_strdup ("--unlock-tpm2-device=auto");
  const char *arguments[] = { CRYPTENROLL, FLOE_SEAL_POLICY, pcrs, unlock, seal->device, next ? NULL : "--wipe-slot=tpm2", NULL };

  return seal->run (arguments, error);
}

/* What was HAD becomes what is WANTED. */
static gboolean
seal_anew (const FloeSeal *seal, const FloeSealTarget *target, const Record *had, const Record *wanted, GError **error)
{
  gboolean fits = seal->created || (!seal->typed && g_strcmp0 (had->now, wanted->now) == 0 && (had->next == NULL || g_strcmp0 (had->next, wanted->next) == 0));

  if (!target->secure_boot && had->now != NULL && strcmp (had->now, NO_PCR7) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "Secure Boot is off, and the state was sealed with it: it stays so");
  if (!fits && ((seal->typed && !wipe (seal, error)) || !enroll (seal, target, FALSE, error)))
    return FALSE;
  return wanted->next == NULL || (fits && had->next != NULL) || enroll (seal, target, TRUE, error);
}

gboolean
floe_seal_keep (const FloeSeal *seal, const FloeSealTarget *target, gboolean *prepared, GError **error)
{
  g_auto (Record) had = { .now = NULL }, wanted = { .now = pcr7_text (target, FALSE), .next = target->changes ? pcr7_text (target, TRUE) : NULL };

  *prepared = FALSE;
  if (!record_load (seal->dir, &had, error) || !seal_anew (seal, target, &had, &wanted, error))
    return FALSE;
  if ((g_strcmp0 (had.now, wanted.now) != 0 || g_strcmp0 (had.next, wanted.next) != 0) && !record_save (seal->dir, &wanted, error))
    return FALSE;
  *prepared = target->problem == NULL;
  return TRUE;
}

/* -- What may become of firmware's list ------------------------------------------------------------------------------ */

char *
floe_seal_refuses (const char *path, GBytes *update)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *protection = NULL, *revocation = NULL, *problem = NULL;
  char hex[FLOE_DIGEST_HEX_SIZE];

  if (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL))
    protection = g_key_file_get_string (file, "state", "protection", NULL);
  if (protection == NULL)
    return g_strdup ("what the state is sealed to cannot be told");
  if (strcmp (protection, "tpm") != 0 || !g_key_file_get_boolean (file, "state", "secure_boot", NULL))
    return NULL;
  name_of (update, hex);
  revocation = g_key_file_get_string (file, "state", "revocation", NULL);
  if (g_strcmp0 (revocation, hex) == 0)
    return NULL;
  problem = g_key_file_get_string (file, "state", "seal_problem", NULL);
  return g_strdup_printf ("the TPM would not open the state after it: %.200s", problem != NULL ? problem : "this start did not prepare for that");
}
