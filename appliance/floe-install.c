/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install.h"

#include "appliance/floe-fat.h"
#include "appliance/floe-gpt.h"
#include "appliance/floe-install-table.h"
#include "appliance/floe-pe.h"
#include "appliance/floe-slot-host.h"
#include "appliance/floe-slot-menu.h"
#include "common/floe-fd.h"
#include "server-sync/image/floe-appliance-info.h"
#include "server-sync/image/floe-verity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR 512u
#define MIB (UINT64_C (1) << 20)
#define BLOCK (1u << 20)
/* What a partition of ours may have: the table of the disk that runs is nobody's word. */
#define BOOT_MIN (UINT64_C (64) << 20)
#define BOOT_MAX (UINT64_C (1) << 30)
#define TREE_MAX (UINT64_C (256) << 20)
#define SMALL_MAX (1u << 20)
#define LOCK_TRIES 30
#define LOCK_MS 100

/* All that is written, and from where. */
typedef struct {
  const FloeInstallOptions *options;
  FloeInstallPlan plan;
  int source, target;
  uint64_t size; /* of the target */
  FloeVerityPart root, tree; /* on the source */
  GBytes *loader, *loader_conf, *kernel, *settings; /* settings: floe.conf, or NULL */
  char *kernel_path;
  FloeInstallProgress progress;
  gpointer data;
} Job;

static void
job_clear (Job *job)
{
  floe_fd_clear (&job->source);
  floe_fd_clear (&job->target);
  g_clear_pointer (&job->loader, g_bytes_unref);
  g_clear_pointer (&job->loader_conf, g_bytes_unref);
  g_clear_pointer (&job->kernel, g_bytes_unref);
  g_clear_pointer (&job->settings, g_bytes_unref);
  g_free (job->kernel_path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

const char *
floe_install_step_name (FloeInstallStep step)
{
  static const char *const names[] = { "checking", "writing", "verifying", "finishing" };

  return names[step];
}

static void
tell (const Job *job, FloeInstallStep step, double done)
{
  if (job->progress != NULL)
    job->progress (step, done, job->data);
}

/* -- Where everything goes -------------------------------------------------------------------------------------------- */

static uint64_t
whole_mib (uint64_t bytes)
{
  return (bytes + MIB - 1) / MIB * MIB;
}

FloeInstallPlan
floe_install_plan (uint64_t boot, uint64_t root, uint64_t tree)
{
  FloeInstallPlan plan = { .boot = { MIB, whole_mib (boot) } };
  uint64_t at = MIB + plan.boot.size;

  for (size_t i = 0; i < 2; i++) {
    plan.root[i] = (FloeInstallSpan){ at, whole_mib (root) };
    plan.tree[i] = (FloeInstallSpan){ at + plan.root[i].size, whole_mib (tree) };
    at = plan.tree[i].offset + plan.tree[i].size;
  }
  plan.needed = at + FLOE_INSTALL_STATE_MIN + MIB;
  return plan;
}

/* The disk that runs: partitions of the version that runs, found by its root hash, and the boot partition. */
static gboolean
read_source (Job *job, GError **error)
{
  const FloeInstallOptions *options = job->options;
  g_autofree char *path = g_build_filename (options->places.dev, options->places.own, NULL);
  g_autofree uint8_t *start = g_malloc (FLOE_GPT_READ);
  g_autofree FloeGpt *table = g_new0 (FloeGpt, 1);
  char root_uuid[FLOE_UUID_SIZE], tree_uuid[FLOE_UUID_SIZE];
  const FloeGptPartition *root, *tree, *boot;
  uint64_t boot_size, sector;
  const char *wrong;

  job->source = open (path, O_RDONLY | O_CLOEXEC);
  if (job->source < 0)
    return floe_error_set_errno (error, errno, "open %s", path);
  if (!floe_pread_all (job->source, start, FLOE_GPT_READ, 0, error))
    return FALSE;
  wrong = floe_gpt_parse (start, FLOE_GPT_READ, table);
  if (wrong != NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: %s", path, wrong);
  floe_appliance_uuid (&options->root_hash, FLOE_APPLIANCE_ROOT, root_uuid);
  floe_appliance_uuid (&options->root_hash, FLOE_APPLIANCE_VERITY, tree_uuid);
  root = floe_gpt_find (table, root_uuid, NULL);
  tree = floe_gpt_find (table, tree_uuid, NULL);
  boot = floe_gpt_find (table, NULL, "FLOE-BOOT");
  if (root == NULL || tree == NULL || boot == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s has not the partitions of what runs", path);
  sector = table->sector_size;
  job->root = (FloeVerityPart){ job->source, (off_t) (root->first * sector), (root->last - root->first + 1) * sector };
  job->tree = (FloeVerityPart){ job->source, (off_t) (tree->first * sector), (tree->last - tree->first + 1) * sector };
  boot_size = (boot->last - boot->first + 1) * sector;
  if (job->root.size > 4 * FLOE_APPLIANCE_ROOT_MAX || job->tree.size > TREE_MAX || boot_size < BOOT_MIN || boot_size > BOOT_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: its partitions have sizes that no appliance has", path);
  job->plan = floe_install_plan (boot_size, job->root.size, job->tree.size);
  return TRUE;
}

gboolean
floe_install_plan_for (const FloeInstallOptions *options, FloeInstallPlan *plan, GError **error)
{
  g_auto (Job) job = { .options = options, .source = -1, .target = -1 };

  if (!read_source (&job, error))
    return FALSE;
  *plan = job.plan;
  return TRUE;
}

/* -- What is written: verified before anything is ---------------------------------------------------------------------- */

static gboolean
check_root (Job *job, GError **error)
{
  uint64_t data, tree;

  /* Sizes are the superblock's word until the check, which takes no others. */
  if (!floe_verity_sizes (&job->tree, &data, &tree, error))
    return FALSE;
  if (data > job->root.size || tree > job->tree.size)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the root or its tree is larger than its partition");
  job->root.size = data;
  job->tree.size = tree;
  if (floe_verity_check (&job->root, &job->tree, &job->options->root_hash, error))
    return TRUE;
  g_prefix_error (error, "the disk that this computer was started from is damaged; nothing was written: ");
  return FALSE;
}

static gboolean
read_loader (Job *job, int parts, GError **error)
{
  job->loader = floe_file_read_at (parts, "BOOTX64.EFI", 16 * SMALL_MAX, error);
  job->loader_conf = job->loader == NULL ? NULL : floe_file_read_at (parts, "loader.conf", SMALL_MAX, error);
  return job->loader_conf != NULL;
}

/* From the boot partition, where anybody may have put another one. */
static gboolean
read_kernel (Job *job, int parts, GError **error)
{
  g_autoptr (FloeSlotMenu) menu = floe_slot_menu_open (job->options->boot, error);
  const FloeSlotMenuEntry *entry = menu == NULL ? NULL : floe_slot_menu_find (menu, job->options->version);
  g_autoptr (GBytes) certificate = menu == NULL ? NULL : floe_file_read_at (parts, "sign.crt", SMALL_MAX, error);
  g_autoptr (GBytes) line = NULL;
  g_autofree char *text = NULL, *name = NULL;
  FloeDigest root_hash;

  if (certificate == NULL)
    return FALSE;
  if (entry == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the boot partition has no kernel image of version %" G_GINT64_FORMAT, job->options->version);
  job->kernel = floe_file_read_at (menu->dir, entry->name, FLOE_PE_MAX, error);
  if (job->kernel == NULL)
    return FALSE;
  if (!floe_pe_verify (job->kernel, certificate, error) || (line = floe_pe_section (job->kernel, ".cmdline", error)) == NULL) {
    g_prefix_error (error, "the kernel image %s on the boot partition: ", entry->name);
    return FALSE;
  }
  text = g_strndup (g_bytes_get_data (line, NULL), g_bytes_get_size (line));
  if (!floe_slot_parse_command_line (text, &root_hash, error))
    return FALSE;
  if (!floe_digest_equal (&root_hash, &job->options->root_hash))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "the kernel image %s on the boot partition is for another root than the one that runs", entry->name);
  name = floe_slot_entry_name (job->options->version, FLOE_SLOT_TRIES);
  job->kernel_path = g_strconcat ("EFI/Linux/", name, NULL);
  return TRUE;
}

/* The server's address, if somebody has put it there: it is judged by whoever reads it, on the new disk as here. */
static gboolean
read_settings (Job *job, GError **error)
{
  g_autoptr (GError) problem = NULL;
  floe_autofd boot = floe_dir_open (job->options->boot, error);

  if (boot < 0)
    return FALSE;
  job->settings = floe_file_read_at (boot, "floe.conf", SMALL_MAX, &problem);
  return job->settings != NULL || g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)
         || (g_propagate_error (error, g_steal_pointer (&problem)), FALSE);
}

static gboolean
check_all (Job *job, GError **error)
{
  floe_autofd parts = floe_dir_open (job->options->parts, error);

  tell (job, FLOE_INSTALL_CHECKING, 0);
  return parts >= 0 && read_loader (job, parts, error) && read_kernel (job, parts, error) && read_settings (job, error) && check_root (job, error);
}

/* -- The disk ------------------------------------------------------------------------------------------------------------ */

const char *
floe_install_problem (const FloeInstallDisk *disk, const FloeInstallPlan *plan)
{
  if (disk->read_only)
    return "read-only";
  if (disk->sector != SECTOR)
    return "sectors";
  return disk->size < plan->needed ? "small" : "";
}

static gboolean
refuse (const FloeInstallDisk *disk, const FloeInstallPlan *plan, GError **error)
{
  const char *problem = floe_install_problem (disk, plan);

  if (strcmp (problem, "read-only") == 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "%s is read-only", disk->name);
  if (strcmp (problem, "sectors") == 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s has sectors of %u bytes; Floe's boot partition wants 512", disk->name, disk->sector);
  return *problem == '\0' || floe_error_set (error, FLOE_ERROR_NO_SPACE, "%s has %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " are needed",
                                             disk->name, disk->size, plan->needed);
}

static FloeInstallDisk *
choose (const FloeInstallOptions *options, const FloeInstallPlan *plan, const char *name, guint64 sequence, const char *confirm, GError **error)
{
  g_autoptr (GPtrArray) disks = NULL;
  g_autoptr (FloeInstallDisk) chosen = NULL;

  if (strcmp (confirm, name) != 0) {
    floe_error_set (error, FLOE_ERROR_REFUSED, "what was typed is not the name of the disk: nothing was written");
    return NULL;
  }
  if (strcmp (name, options->places.own) == 0) {
    floe_error_set (error, FLOE_ERROR_REFUSED, "%s is the disk that this computer was started from", name);
    return NULL;
  }
  disks = floe_install_list (&options->places, error);
  if (disks == NULL)
    return NULL;
  for (guint i = 0; chosen == NULL && i < disks->len; i++)
    if (strcmp (((const FloeInstallDisk *) disks->pdata[i])->name, name) == 0)
      chosen = g_ptr_array_steal_index (disks, i);
  if (chosen == NULL)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no disk %s (any more)", name);
  else if (sequence != 0 && chosen->sequence != sequence)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s is another disk now than the one that was chosen", name);
  else if (refuse (chosen, plan, error))
    return g_steal_pointer (&chosen);
  return NULL;
}

/* Alone: a disk of which anything is mounted, or used in another way, does not open; and udev does not look at it while we have its lock. */
static gboolean
open_target (Job *job, const FloeInstallDisk *disk, GError **error)
{
  g_autofree char *path = g_build_filename (job->options->places.dev, disk->name, NULL), *number = NULL;
  struct stat st;
  off_t end;
  int locked = -1;

  job->target = open (path, O_RDWR | O_EXCL | O_NOFOLLOW | O_CLOEXEC);
  if (job->target < 0 && errno == EBUSY)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s is in use", disk->name);
  if (job->target < 0 && errno == EROFS)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "%s is read-only", disk->name);
  if (job->target < 0 || fstat (job->target, &st) < 0 || (end = lseek (job->target, 0, SEEK_END)) < 0)
    return floe_error_set_errno (error, errno, "open %s", path);
  number = g_strdup_printf ("%u:%u", major (st.st_rdev), minor (st.st_rdev));
  if ((S_ISBLK (st.st_mode) && strcmp (number, disk->number) != 0) || (uint64_t) end != disk->size)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s is another disk now than the one that was chosen", disk->name);
  for (int i = 0; i < LOCK_TRIES && (locked = flock (job->target, LOCK_EX | LOCK_NB)) < 0; i++)
    g_usleep (LOCK_MS * 1000);
  if (locked < 0)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s is in use", disk->name);
  job->size = disk->size;
  return TRUE;
}

static gboolean
write_at (const Job *job, const void *bytes, size_t size, uint64_t at, GError **error)
{
  const uint8_t *data = bytes;

  while (size > 0) {
    ssize_t put = pwrite (job->target, data, size, (off_t) at);

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return floe_error_set_errno (error, errno, "write to the disk");
    data += put;
    size -= (size_t) put;
    at += (uint64_t) put;
  }
  return TRUE;
}

static gboolean
sync_target (const Job *job, GError **error)
{
  return fsync (job->target) == 0 || floe_error_set_errno (error, errno, "write to the disk");
}

/* What the kernel keeps of it in memory is forgotten, so that it is read from the disk. */
static void
forget (const Job *job, const FloeInstallSpan *span)
{
  (void) !posix_fadvise (job->target, (off_t) span->offset, (off_t) span->size, POSIX_FADV_DONTNEED);
}

/* -- Tables -------------------------------------------------------------------------------------------------------------- */

/* What there usually is, MBR, header and the first entries, in one write: a disk of blocks of 4,096 bytes never shows half of it. */
static gboolean
write_start (const Job *job, const FloeInstallTable *table, GError **error)
{
  return write_at (job, table->start, 4096, 0, error) && sync_target (job, error) &&
         write_at (job, table->start + 4096, sizeof table->start - 4096, 4096, error) && sync_target (job, error);
}

static gboolean
write_end (const Job *job, const FloeInstallTable *table, GError **error)
{
  return write_at (job, table->end, sizeof table->end, job->size - sizeof table->end, error) && sync_target (job, error);
}

/* From here on the disk is marked. Then what else could be taken for somebody's at its ends (boot code, RAID) goes. */
static gboolean
mark (const Job *job, GError **error)
{
  g_autofree uint8_t *zeros = g_malloc0 (MIB);
  FloeInstallTable table;

  /* The start first: as long as it is not whole, what the end says, or a boot sector, is what was. */
  return floe_install_table_mark (job->size, &table, error) && write_start (job, &table, error) && write_end (job, &table, error) &&
         write_at (job, zeros, MIB - sizeof table.start, sizeof table.start, error) &&
         write_at (job, zeros, MIB - sizeof table.end, job->size - MIB, error) && sync_target (job, error);
}

static gboolean
finish (const Job *job, GError **error)
{
  FloeInstallTable table;

  return floe_install_table_make (job->size, &job->plan, job->options->version, &job->options->root_hash, &table, error) &&
         write_end (job, &table, error) && write_start (job, &table, error);
}

/* -- Contents ------------------------------------------------------------------------------------------------------------ */

static gboolean
write_boot (const void *bytes, size_t size, uint64_t at, gpointer data, GError **error)
{
  const Job *job = data;

  return write_at (job, bytes, size, job->plan.boot.offset + at, error);
}

static gboolean
compare_boot (const void *bytes, size_t size, uint64_t at, gpointer data, GError **error)
{
  const Job *job = data;
  g_autofree uint8_t *found = g_malloc (size);

  return floe_pread_all (job->target, found, size, (off_t) (job->plan.boot.offset + at), error) &&
         (memcmp (found, bytes, size) == 0 || floe_error_set (error, FLOE_ERROR_UNVERIFIED, "the boot partition is not what was written: the disk is broken"));
}

static gboolean
boot_partition (Job *job, guint32 id, FloeFatWrite each, GError **error)
{
  const FloeFatFile files[] = { { "EFI/BOOT/BOOTX64.EFI", job->loader },
                                { job->kernel_path, job->kernel },
                                { "loader/loader.conf", job->loader_conf },
                                { "floe.conf", job->settings } };
  const FloeFat fat = { .size = job->plan.boot.size,
                        .hidden = job->plan.boot.offset / SECTOR,
                        .id = id,
                        .label = "FLOE-BOOT",
                        .now = job->options->now,
                        .files = files,
                        .n_files = G_N_ELEMENTS (files) - (job->settings == NULL ? 1 : 0) };

  return floe_fat_write (&fat, each, job, error);
}

static gboolean
copy_part (const Job *job, const FloeVerityPart *part, const FloeInstallSpan *to, double begin, double end, GError **error)
{
  g_autofree uint8_t *block = g_malloc (BLOCK);

  for (uint64_t at = 0; at < part->size; at += BLOCK) {
    size_t size = (size_t) MIN (BLOCK, part->size - at);

    if (!floe_pread_all (part->fd, block, size, part->offset + (off_t) at, error) || !write_at (job, block, size, to->offset + at, error))
      return FALSE;
    /* A stick takes minutes: what is in memory only is not progress. */
    if (at % (64 * BLOCK) == 0 && !sync_target (job, error))
      return FALSE;
    tell (job, FLOE_INSTALL_WRITING, begin + (end - begin) * (double) at / (double) part->size);
  }
  return sync_target (job, error);
}

/* Every byte of root and tree on the disk, up to the root hash: what was read from the running disk between its check and now does not matter. */
static gboolean
check_written (const Job *job, GError **error)
{
  const FloeVerityPart root = { job->target, (off_t) job->plan.root[0].offset, job->root.size };
  const FloeVerityPart tree = { job->target, (off_t) job->plan.tree[0].offset, job->tree.size };

  forget (job, &job->plan.root[0]);
  forget (job, &job->plan.tree[0]);
  return floe_verity_check (&root, &tree, &job->options->root_hash, error);
}

static gboolean
write_all (Job *job, GError **error)
{
  guint32 id = g_random_int ();

  tell (job, FLOE_INSTALL_WRITING, 0.2);
  if (!mark (job, error) || !boot_partition (job, id, write_boot, error) || !sync_target (job, error) ||
      !copy_part (job, &job->root, &job->plan.root[0], 0.25, 0.75, error) || !copy_part (job, &job->tree, &job->plan.tree[0], 0.75, 0.8, error))
    return FALSE;
  tell (job, FLOE_INSTALL_VERIFYING, 0.8);
  forget (job, &job->plan.boot);
  if (!boot_partition (job, id, compare_boot, error) || !check_written (job, error))
    return FALSE;
  tell (job, FLOE_INSTALL_FINISHING, 0.98);
  if (!finish (job, error))
    return FALSE;
  tell (job, FLOE_INSTALL_FINISHING, 1);
  return TRUE;
}

gboolean
floe_install_run (const FloeInstallOptions *options, const char *name, guint64 sequence, const char *confirm, FloeInstallProgress progress, gpointer data,
                  GError **error)
{
  g_auto (Job) job = { .options = options, .source = -1, .target = -1, .progress = progress, .data = data };
  g_autoptr (FloeInstallDisk) disk = NULL;

  if (!read_source (&job, error))
    return FALSE;
  disk = choose (options, &job.plan, name, sequence, confirm, error);
  return disk != NULL && open_target (&job, disk, error) && check_all (&job, error) && write_all (&job, error);
}
