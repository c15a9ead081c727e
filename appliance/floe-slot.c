/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-private.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* For the agent: what need not be fetched. */
#define RUNNING_LIST "running.chunks"

/* -- Opening --------------------------------------------------------------------------------------------------------- */

/* What a write that was interrupted left. */
static void
remove_temporaries (int dir)
{
  int own = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = own < 0 ? NULL : fdopendir (own);
  struct dirent *found;

  if (directory == NULL) {
    floe_fd_clear (&own);
    return;
  }
  while ((found = readdir (directory)) != NULL)
    if (g_str_has_prefix (found->d_name, ".r"))
      unlinkat (dir, found->d_name, 0);
  closedir (directory);
}

static gboolean
open_state (FloeSlot *slot, GError **error)
{
  floe_autofd state = floe_dir_open (slot->options->state, error);
  floe_autofd chunks = -1;

  if (state < 0)
    return FALSE;
  slot->dir = floe_dir_make_at (state, "slot", 0755, error);
  if (slot->dir < 0)
    return FALSE;
  if (flock (slot->dir, slot->options->waits ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      return floe_error_set (error, FLOE_ERROR_BUSY, "another floe-slot is at work");
    return floe_error_set_errno (error, errno, "lock %s/slot", slot->options->state);
  }
  remove_temporaries (slot->dir);
  slot->trust_dir = floe_dir_make_at (slot->dir, "trust", 0700, error);
  if (slot->trust_dir < 0 || !floe_slot_record_load (slot->dir, &slot->record, error))
    return FALSE;
  chunks = openat (state, "chunks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (chunks < 0)
    return floe_error_set_errno (error, errno, "open %s/chunks", slot->options->state);
  slot->store = floe_store_open (chunks, error);
  return slot->store != NULL;
}

static gboolean
find_running (FloeSlot *slot, GError **error)
{
  slot->running_root = floe_slot_disk_find (slot->disk, FLOE_APPLIANCE_ROOT, &slot->options->running_hash);
  slot->running_verity = floe_slot_disk_find (slot->disk, FLOE_APPLIANCE_VERITY, &slot->options->running_hash);
  return (slot->running_root >= 0 && slot->running_verity >= 0)
         || floe_error_set (error, FLOE_ERROR_INVALID,
                            "%s: the slot that runs cannot be told from the other one: not one root and one verity partition have the UUIDs "
                            "of the root hash on the command line",
                            slot->options->disk);
}

FloeSlot *
floe_slot_open (const FloeSlotOptions *options, GError **error)
{
  g_autoptr (FloeSlot) slot = g_new0 (FloeSlot, 1);

  slot->options = options;
  slot->dir = slot->trust_dir = slot->entry_fd = -1;
  if (!open_state (slot, error))
    return NULL;
  if (options->disk != NULL && ((slot->disk = floe_slot_disk_open (options->disk, error)) == NULL || !find_running (slot, error)))
    return NULL;
  slot->menu = floe_slot_menu_open (options->boot, error);
  if (slot->menu == NULL)
    return NULL;
  slot->source = floe_slot_source_new (slot->store);
  return g_steal_pointer (&slot);
}

void
floe_slot_free (FloeSlot *slot)
{
  if (slot == NULL)
    return;
  floe_slot_source_free (slot->source);
  floe_store_free (slot->store);
  floe_slot_menu_free (slot->menu);
  floe_slot_disk_free (slot->disk);
  floe_fd_clear (&slot->entry_fd);
  floe_fd_clear (&slot->trust_dir);
  floe_fd_clear (&slot->dir);
  g_free (slot);
}

/* -- What is there already ------------------------------------------------------------------------------------------- */

/* Chunks of the running version. What cannot be read is fetched: that is no reason to do without an update. */
static void
read_running (FloeSlot *slot)
{
  const FloeSlotPartition *root = &slot->disk->root[slot->running_root], *tree = &slot->disk->verity[slot->running_verity];
  const FloeSlotMenuEntry *entry = floe_slot_menu_find (slot->menu, slot->options->running);
  FloeVerityPart part = floe_slot_part (slot->disk, tree, tree->size);
  g_autoptr (GError) error = NULL;
  uint64_t root_size, tree_size;

  if (!floe_verity_sizes (&part, &root_size, &tree_size, &error)
      || !floe_slot_source_add (slot->source, slot->disk->fd, (off_t) root->offset, MIN (root_size, root->size), &error)
      || !floe_slot_source_add (slot->source, slot->disk->fd, (off_t) tree->offset, MIN (tree_size, tree->size), &error))
    floe_log (G_LOG_LEVEL_WARNING, "running slot not readable, its chunks are fetched", "REASON", error->message, NULL);
  g_clear_error (&error);
  if (entry == NULL)
    return;
  slot->entry_fd = floe_slot_menu_open_entry (slot->menu, entry->name, &error);
  if (slot->entry_fd >= 0
      && !floe_slot_source_add (slot->source, slot->entry_fd, 0, floe_slot_menu_size (slot->menu, entry->name), &error))
    floe_log (G_LOG_LEVEL_WARNING, "running kernel image not readable, its chunks are fetched", "REASON", error->message, NULL);
}

/* How many chunks of OFFER are nowhere yet, and their bytes. */
static size_t
count_missing (FloeSlot *slot, const FloeSlotOffer *offer, uint64_t *bytes)
{
  size_t missing = 0;

  *bytes = 0;
  for (size_t kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++)
    for (size_t i = 0; i < floe_table_count (offer->table[kind]); i++) {
      FloeTableEntry entry;

      floe_table_entry (offer->table[kind], i, &entry);
      if (floe_slot_source_has (slot->source, &entry))
        continue;
      missing++;
      *bytes += entry.compressed_size;
    }
  return missing;
}

static gboolean
write_running_list (FloeSlot *slot, GError **error)
{
  g_autoptr (GBytes) list = floe_slot_source_list (slot->source);
  gsize size;
  const void *data = g_bytes_get_data (list, &size);

  return floe_file_replace_at (slot->dir, RUNNING_LIST, data, size, 0644, error);
}

/* -- Remembering ----------------------------------------------------------------------------------------------------- */

/* Versions that used up their tries: written down before their entries may be removed. */
static gboolean
note_failed (FloeSlot *slot, GError **error)
{
  gboolean news = FALSE;

  for (guint i = 0; i < slot->menu->entries->len; i++) {
    const FloeSlotEntry *entry = &g_array_index (slot->menu->entries, FloeSlotMenuEntry, i).entry;

    if (entry->version != slot->options->running && floe_slot_entry_failed (entry))
      news = floe_slot_record_add_failed (&slot->record, entry->version) || news;
  }
  return !news || floe_slot_record_save (slot->dir, &slot->record, error);
}

void
floe_slot_report (FloeSlot *slot, const char *problem)
{
  const FloeSlotMenuEntry *next = floe_slot_menu_next (slot->menu);
  g_autofree char *other = *problem == '\0' ? floe_slot_revoke_problem (slot) : NULL;
  const FloeSlotReport said = { slot->options->running, next != NULL ? next->entry.version : 0, slot->offered, other != NULL ? other : problem };
  g_autoptr (GError) error = NULL;

  if (!floe_slot_report_save (slot->dir, &said, &slot->record, &error))
    floe_log (G_LOG_LEVEL_WARNING, "report not written", "REASON", error->message, NULL);
}

/* -- Updating -------------------------------------------------------------------------------------------------------- */

/* The running version must be able to start again, come what may: only then may the other one be given up. */
static gboolean
check_running_is_good (FloeSlot *slot, GError **error)
{
  const FloeSlotMenuEntry *entry = floe_slot_menu_find (slot->menu, slot->options->running);

  if (entry == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "version %" PRIi64 " runs and has no entry on the boot partition",
                           slot->options->running);
  return entry->entry.left < 0 || (entry->entry.left == 0 && entry->entry.done == 0)
         || floe_error_set (error, FLOE_ERROR_BUSY,
                            "version %" PRIi64 ", which runs, is on trial itself: an update waits until it was found good",
                            slot->options->running);
}

/* An older version starts only if the running one's entry comes after it; a newer one starts before it anyway. */
static gboolean
put_in_order (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  const FloeSlotMenuEntry *running = floe_slot_menu_find (slot->menu, slot->options->running);
  g_autofree char *last = floe_slot_entry_name (slot->options->running, 0);
  char name[FLOE_SLOT_NAME_SIZE];

  if (offer->info->version > slot->options->running || running == NULL || running->entry.left == 0)
    return TRUE;
  g_strlcpy (name, running->name, sizeof name);
  return floe_slot_menu_rename (slot->menu, name, last, error);
}

/* The name of OFFER's entry, into NAME, when it and what it leads to are there, whole. */
static gboolean
is_installed (FloeSlot *slot, const FloeSlotOffer *offer, char name[FLOE_SLOT_NAME_SIZE])
{
  const FloeSlotMenuEntry *entry = floe_slot_menu_find (slot->menu, offer->info->version);

  if (entry == NULL || entry->entry.left == 0 || !floe_slot_entry_is (slot, entry->name, offer) || !floe_slot_holds (slot, offer))
    return FALSE;
  g_strlcpy (name, entry->name, FLOE_SLOT_NAME_SIZE);
  return TRUE;
}

static gboolean
may_install (FloeSlot *slot, const FloeApplianceInfo *info, GError **error)
{
  if (!floe_appliance_may_replace (info, slot->options->running, error))
    return FALSE;
  /* After a fall-back an older version runs than ran before, and that one may come again. */
  return info->version >= slot->record.ran || info->allow_older
         || floe_error_set (error, FLOE_ERROR_ROLLBACK, "version %" PRIi64 " is older than %" PRIi64 ", which ran here", info->version,
                            slot->record.ran);
}

/* floe-state keeps the state closed to what is older than the record: VERSION, which the signed description lets go back, is to open it. */
static gboolean
lower (FloeSlot *slot, int64_t version, GError **error)
{
  if (slot->record.ran <= version)
    return TRUE;
  slot->record.ran = version;
  return floe_slot_record_save (slot->dir, &slot->record, error);
}

/* FALSE without an error: WAITING says for what. */
static gboolean
is_here (FloeSlot *slot, const FloeSlotOffer *offer, char **waiting, GError **error)
{
  size_t missing;
  uint64_t bytes = 0;

  read_running (slot);
  if (!check_running_is_good (slot, error) || !write_running_list (slot, error))
    return FALSE;
  missing = count_missing (slot, offer, &bytes);
  if (missing > 0)
    *waiting = g_strdup_printf ("version %" PRIi64 ": %zu chunks (%" PRIu64 " bytes) are not here yet", offer->info->version, missing, bytes);
  return missing == 0;
}

static gboolean
install (FloeSlot *slot, const FloeSlotOffer *offer, FloeSlotOutcome *outcome, char **message, GError **error)
{
  char name[FLOE_SLOT_NAME_SIZE];
  gboolean installed = is_installed (slot, offer, name);

  if (!installed && !is_here (slot, offer, message, error)) {
    *outcome = FLOE_SLOT_WAITING;
    return *message != NULL;
  }
  if (!floe_slot_check_starts (slot, offer, installed ? name : NULL, error))
    return FALSE;
  if (!installed) {
    floe_slot_record_forgive (&slot->record, offer->info->version);
    if (!floe_slot_record_save (slot->dir, &slot->record, error) || !lower (slot, offer->info->version, error) ||
        !floe_slot_write (slot, offer, error))
      return FALSE;
  }
  if (!lower (slot, offer->info->version, error) || !put_in_order (slot, offer, error))
    return FALSE;
  *outcome = FLOE_SLOT_INSTALLED;
  *message = g_strdup_printf ("version %" PRIi64 " is installed and starts next", offer->info->version);
  return TRUE;
}

static gboolean
update (FloeSlot *slot, FloeSlotOutcome *outcome, char **message, GError **error)
{
  g_autoptr (FloeSlotOffer) offer = NULL;

  if (!note_failed (slot, error))
    return FALSE;
  offer = floe_slot_offer_read (slot, error);
  if (offer == NULL)
    return FALSE;
  if (offer->info->version == slot->options->running) {
    *outcome = FLOE_SLOT_CURRENT;
    *message = g_strdup_printf ("version %" PRIi64 " runs and is the newest", slot->options->running);
    return TRUE;
  }
  if (floe_slot_record_has_failed (&slot->record, offer->info->version) && !slot->options->again) {
    *outcome = FLOE_SLOT_GAVE_UP;
    *message = g_strdup_printf ("version %" PRIi64 " was tried here and failed: it is not tried again by itself (--again does)",
                                offer->info->version);
    return TRUE;
  }
  return may_install (slot, offer->info, error) && install (slot, offer, outcome, message, error);
}

gboolean
floe_slot_update (FloeSlot *slot, FloeSlotOutcome *outcome, char **message, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *said = NULL;
  FloeSlotOutcome reached = FLOE_SLOT_CURRENT;

  if (!update (slot, &reached, &said, &local)) {
    floe_slot_report (slot, local->message);
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  floe_slot_report (slot, reached == FLOE_SLOT_WAITING || reached == FLOE_SLOT_GAVE_UP ? said : "");
  *outcome = reached;
  *message = g_steal_pointer (&said);
  return TRUE;
}

/* -- Found good ------------------------------------------------------------------------------------------------------ */

/* Whether an older version was put before the running one (put_in_order()) and its turn is next: then nothing is said of this one any more. */
static gboolean
is_leaving (FloeSlot *slot, const FloeSlotMenuEntry *running)
{
  const FloeSlotMenuEntry *next = floe_slot_menu_next (slot->menu);

  return running->entry.left == 0 && running->entry.done == 0 && next != NULL && next->entry.version < slot->options->running;
}

gboolean
floe_slot_good (FloeSlot *slot, char **message, GError **error)
{
  const FloeSlotMenuEntry *entry = floe_slot_menu_find (slot->menu, slot->options->running);
  g_autofree char *good = floe_slot_entry_name (slot->options->running, -1);
  char name[FLOE_SLOT_NAME_SIZE];

  if (entry == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "version %" PRIi64 " runs and has no entry on the boot partition",
                           slot->options->running);
  if (is_leaving (slot, entry)) {
    *message = g_strdup_printf ("version %" PRIi64 " is good, and an older one that was asked for starts next", slot->options->running);
    return TRUE;
  }
  g_strlcpy (name, entry->name, sizeof name);
  if (!note_failed (slot, error))
    return FALSE;
  floe_slot_record_forgive (&slot->record, slot->options->running);
  slot->record.ran = MAX (slot->record.ran, slot->options->running);
  if (!floe_slot_record_save (slot->dir, &slot->record, error)
      || (strcmp (name, good) != 0 && !floe_slot_menu_rename (slot->menu, name, good, error)))
    return FALSE;
  read_running (slot);
  if (!write_running_list (slot, error))
    return FALSE;
  floe_slot_report (slot, "");
  *message = slot->record.n_failed == 0
                 ? g_strdup_printf ("version %" PRIi64 " is good", slot->options->running)
                 : g_strdup_printf ("version %" PRIi64 " is good; version %" PRIi64 " was tried and failed", slot->options->running,
                                    slot->record.failed[slot->record.n_failed - 1]);
  return TRUE;
}

gboolean
floe_slot_is_overdue (FloeSlot *slot)
{
  const FloeSlotMenuEntry *running = floe_slot_menu_find (slot->menu, slot->options->running);

  if (running == NULL || running->entry.left < 0)
    return FALSE;
  for (guint i = 0; i < slot->menu->entries->len; i++) {
    const FloeSlotEntry *entry = &g_array_index (slot->menu->entries, FloeSlotMenuEntry, i).entry;

    if (entry->version != slot->options->running && (entry->left < 0 || (entry->left == 0 && entry->done == 0)))
      return TRUE;
  }
  return FALSE;
}

/* -- Telling --------------------------------------------------------------------------------------------------------- */

char *
floe_slot_status (FloeSlot *slot)
{
  const FloeSlotMenuEntry *next = floe_slot_menu_next (slot->menu);
  g_autofree char *problem = floe_slot_revoke_problem (slot);
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "running: %" PRIi64 "\n", slot->options->running);
  g_string_append_printf (text, "next: %" PRIi64 "\n", next != NULL ? next->entry.version : 0);
  for (int i = 0; i < 2; i++)
    g_string_append_printf (text, "slot %c: %s%s\n", 'a' + i, slot->disk->root[i].label,
                            i == slot->running_root ? " (runs)" : "");
  for (guint i = 0; i < slot->menu->entries->len; i++)
    g_string_append_printf (text, "entry: %s\n", g_array_index (slot->menu->entries, FloeSlotMenuEntry, i).name);
  for (size_t i = 0; i < slot->record.n_failed; i++)
    g_string_append_printf (text, "failed: %" PRIi64 "\n", slot->record.failed[i]);
  if (problem != NULL)
    g_string_append_printf (text, "problem: %s\n", problem);
  return g_string_free (text, FALSE);
}
