/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-revoke.h"

#include "appliance/floe-dbx.h"
#include "appliance/floe-efivar.h"
#include "appliance/floe-pe.h"
#include "appliance/floe-slot-private.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/enrol/floe-appliance-report.h"

#include <inttypes.h>
#include <string.h>

/* In STATE/slot; not in the record, which versions of before read as well and which has to stay what they know. */
#define PROBLEM "revoke.problem"

/* -- What is in the way ---------------------------------------------------------------------------------------------- */

char *
floe_slot_revoke_problem (FloeSlot *slot)
{
  g_autoptr (GBytes) text = floe_file_read_at (slot->dir, PROBLEM, FLOE_APPLIANCE_PROBLEM_MAX, NULL);
  gsize size = 0;
  const char *data = text == NULL ? NULL : g_bytes_get_data (text, &size);

  return data == NULL ? NULL : g_strndup (data, size);
}

static void
note_problem (FloeSlot *slot, const GError *problem)
{
  g_autofree char *before = floe_slot_revoke_problem (slot);
  g_autofree char *now = problem == NULL ? NULL : g_strdup_printf ("older versions are not kept from starting: %.300s", problem->message);
  g_autoptr (GError) error = NULL;
  gboolean done;

  if (g_strcmp0 (before, now) == 0)
    return;
  done = now == NULL ? floe_file_remove_at (slot->dir, PROBLEM, &error) : floe_file_replace_at (slot->dir, PROBLEM, now, strlen (now), 0600, &error);
  if (!done)
    floe_log (G_LOG_LEVEL_WARNING, "what keeps older versions from being revoked is not kept", "REASON", error->message, NULL);
  floe_slot_report (slot, "");
}

/* -- Older versions into the firmware's list ------------------------------------------------------------------------- */

/* As firmware would compute it of the entry NAME, which lies on the boot partition. */
static gboolean
digest_of_entry (FloeSlot *slot, const char *name, FloeDigest *digest, GError **error)
{
  floe_autofd fd = floe_slot_menu_open_entry (slot->menu, name, error);
  g_autoptr (GMappedFile) mapped = fd < 0 ? NULL : g_mapped_file_new_from_fd (fd, FALSE, error);
  g_autoptr (GBytes) image = mapped == NULL ? NULL : g_mapped_file_get_bytes (mapped);

  return image != NULL && floe_pe_digest (image, digest, error);
}

/* What is built in sees to it that a version never revokes itself; here it is made sure of. */
static gboolean
spares_running (FloeSlot *slot, const FloeDbx *wanted, GError **error)
{
  const FloeSlotMenuEntry *entry = floe_slot_menu_find (slot->menu, slot->options->running);
  FloeDigest digest;

  if (entry == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "version %" PRIi64 " runs and has no entry on the boot partition", slot->options->running);
  if (!digest_of_entry (slot, entry->name, &digest, error)) {
    g_prefix_error (error, "%s: ", entry->name);
    return FALSE;
  }
  return !floe_dbx_has (wanted, &digest) ||
         floe_error_set (error, FLOE_ERROR_REFUSED, "the list of version %" PRIi64 " has its own kernel image: it is not handed to the firmware",
                         slot->options->running);
}

static gboolean
append_to_list (const FloeSlotFirmware *firmware, GBytes *before, const FloeDbx *wanted, GBytes *update, GError **error)
{
  g_autoptr (GBytes) expected = floe_dbx_appended (before, update, error), after = NULL;
  g_autoptr (FloeDbx) list = NULL;

  if (expected == NULL || !firmware->append (firmware->dbx, update, error) || (after = floe_efivar_get (firmware->dbx, error)) == NULL ||
      (list = floe_dbx_parse (after, error)) == NULL)
    return FALSE;
  if (floe_dbx_missing (list, wanted) > 0)
    return floe_error_set (error, FLOE_ERROR_PEER, "the firmware said that it has taken the list, and %u of %u are not in it",
                           floe_dbx_missing (list, wanted), floe_dbx_count (wanted));
  return g_bytes_equal (after, expected) ||
         floe_error_set (error, FLOE_ERROR_PEER, "the firmware has put the list together in a way of its own: if the TPM does not open the state at the next start, "
                                                 "the recovery key does, once");
}

static gboolean
hand_over (const FloeSlotFirmware *firmware, const FloeDbx *wanted, GBytes *update, char **message, GError **error)
{
  g_autoptr (GBytes) value = floe_efivar_get (firmware->dbx, error);
  g_autoptr (FloeDbx) before = value == NULL ? NULL : floe_dbx_parse (value, error);

  if (before == NULL) {
    g_prefix_error (error, "dbx: ");
    return FALSE;
  }
  if (floe_dbx_missing (before, wanted) == 0) {
    *message = g_strdup_printf ("firmware has all %u in its list already", floe_dbx_count (wanted));
    return TRUE;
  }
  if (firmware->sealed != NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "%s", firmware->sealed);
  if (!append_to_list (firmware, value, wanted, update, error))
    return FALSE;
  *message = g_strdup_printf ("firmware has taken %u into its list", floe_dbx_missing (before, wanted));
  return TRUE;
}

static gboolean
revoke_older (FloeSlot *slot, const FloeSlotFirmware *firmware, GBytes *update, char **message, GError **error)
{
  g_autoptr (FloeDbx) wanted = NULL;

  if (update == NULL) {
    *message = g_strdup_printf ("version %" PRIi64 " revokes none", slot->options->running);
    return TRUE;
  }
  wanted = floe_dbx_parse_update (update, error);
  if (wanted == NULL || !spares_running (slot, wanted, error))
    return FALSE;
  if (!firmware->secure_boot) {
    *message = g_strdup ("without Secure Boot firmware starts every version");
    return TRUE;
  }
  if (firmware->problem != NULL) {
    if (error != NULL)
      *error = g_error_copy (firmware->problem);
    return FALSE;
  }
  return hand_over (firmware, wanted, update, message, error);
}

gboolean
floe_slot_revoke (FloeSlot *slot, const FloeSlotFirmware *firmware, GBytes *update, char **message, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *said = NULL;
  gboolean done;

  /* Lower also where signed metadata lets an older one come back: that one has to start. */
  if (slot->record.ran < slot->options->running) {
    *message = g_strdup_printf ("version %" PRIi64 " was not found good, or an older one was asked for: none is revoked", slot->options->running);
    return TRUE;
  }
  done = revoke_older (slot, firmware, update, &said, &problem);
  note_problem (slot, problem);
  if (!done) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  *message = g_strdup_printf ("older versions: %s", said);
  return TRUE;
}

/* -- An update that firmware would not start ------------------------------------------------------------------------- */

/* NULL, with a warning, when the firmware's list is none: an update must not wait for somebody to mend it. */
static FloeDbx *
firmware_list (const char *efivars)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) value = floe_efivar_read_dbx (efivars, &error);
  FloeDbx *list = value == NULL ? NULL : floe_dbx_parse (value, &error);

  if (list == NULL)
    floe_log (G_LOG_LEVEL_WARNING, "firmware's list of what is forbidden is not readable", "REASON", error->message, NULL);
  return list;
}

gboolean
floe_slot_check_starts (FloeSlot *slot, const FloeSlotOffer *offer, const char *name, GError **error)
{
  g_autoptr (FloeDbx) list = slot->options->efivars == NULL ? NULL : firmware_list (slot->options->efivars);
  g_autoptr (GBytes) image = NULL;
  g_autoptr (GError) problem = NULL;
  FloeDigest digest;

  if (list == NULL || floe_dbx_count (list) == 0)
    return TRUE;
  image = floe_slot_kernel (slot, offer, name, error);
  if (image == NULL)
    return FALSE;
  if (!floe_pe_digest (image, &digest, &problem)) {
    /* Without a signature it does not start with Secure Boot either, and without, the list is nobody's. */
    floe_log (G_LOG_LEVEL_WARNING, "whether firmware starts the new kernel image cannot be told", "REASON", problem->message, NULL);
    return TRUE;
  }
  return !floe_dbx_has (list, &digest) ||
         floe_error_set (error, FLOE_ERROR_REFUSED,
                         "version %" PRIi64 " was revoked on this machine: firmware has its kernel image in its list of what is forbidden (dbx) and would "
                         "not start it; it is not installed",
                         offer->info->version);
}
