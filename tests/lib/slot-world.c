/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/slot-world.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-publish.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT SLOT_WORLD_ROOT
#define TREE (64u << 10)
#define UKI 300089u
#define MIB (1u << 20)

/* In MiB: boot partition (empty, its content is a directory), root, tree, root, tree. */
static const guint starts[] = { 1, 2, 3, 4, 5 };

static void run (const char *format, ...) G_GNUC_PRINTF (1, 2);

static void
run (const char *format, ...)
{
  g_autofree char *command = NULL;
  g_autoptr (GError) error = NULL;
  va_list arguments;
  int status;

  va_start (arguments, format);
  command = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

static void
write_file (const char *path, GBytes *content)
{
  g_assert_true (g_file_set_contents (path, g_bytes_get_data (content, NULL), (gssize) g_bytes_get_size (content), NULL));
}

SlotWorld *
slot_world_new (void)
{
  g_autofree char *sfdisk = g_find_program_in_path ("sfdisk"), *veritysetup = g_find_program_in_path ("veritysetup");
  g_autofree char *chunks = NULL;
  SlotWorld *world;

  if (sfdisk == NULL || veritysetup == NULL)
    return NULL;
  world = g_new0 (SlotWorld, 1);
  /* In memory where there is such a place: a sync is then counted and costs nothing. */
  world->path = g_strdup ("/dev/shm/floe-slot-XXXXXX");
  if (g_mkdtemp (world->path) == NULL) {
    g_free (world->path);
    world->path = g_dir_make_tmp ("floe-slot-XXXXXX", NULL);
  }
  world->state = g_build_filename (world->path, "state", NULL);
  world->root = g_build_filename (world->path, "root.json", NULL);
  world->disk = g_build_filename (world->path, "disk", NULL);
  world->boot = g_build_filename (world->path, "boot", NULL);
  world->menu = g_build_filename (world->boot, "EFI", "Linux", NULL);
  chunks = g_build_filename (world->state, "chunks", NULL);
  g_assert_cmpint (g_mkdir_with_parents (chunks, 0755), ==, 0);
  world->forge = forge_new ();
  forge_delegate (world->forge, "targets", "appliance", TRUE, json_pack ("{s:[s]}", "paths", "appliance/*"));
  forge_release (world->forge, "targets", "appliance", NULL);
  write_file (world->root, g_hash_table_lookup (world->forge->files, "metadata/1.root.json"));
  world->options = (FloeSlotOptions){
    .state = world->state, .root = world->root, .channel = "stable", .disk = world->disk, .boot = world->boot, .now = FORGE_NOW,
  };
  return world;
}

void
slot_world_free (SlotWorld *world)
{
  if (world == NULL)
    return;
  run ("rm -rf %s", world->path);
  for (size_t i = 1; i <= SLOT_WORLD_VERSIONS; i++)
    for (size_t kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++)
      g_clear_pointer (&world->versions[i].pieces[kind], g_bytes_unref);
  forge_free (world->forge);
  g_free (world->path);
  g_free (world->state);
  g_free (world->root);
  g_free (world->disk);
  g_free (world->boot);
  g_free (world->menu);
  g_free (world);
}

/* -- Versions -------------------------------------------------------------------------------------------------------- */

/* The same bytes for one SEED, and none that compress; NUMBER changes one chunk. */
static GBytes *
noise (guint size, guint32 seed, int number)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  guint8 *data = g_malloc (size);

  for (guint i = 0; i + 4 <= size; i += 4) {
    guint32 word = g_rand_int (random);

    memcpy (data + i, &word, 4);
  }
  memset (data + size / 4 * 4, 0, size % 4);
  g_snprintf ((char *) data + size / 2, 32, "version %d", number);
  return g_bytes_new_take (data, size);
}

static GBytes *
make_tree (SlotWorld *world, GBytes *root, FloeDigest *root_hash)
{
  g_autofree char *root_path = g_build_filename (world->path, "piece", NULL), *tree_path = g_build_filename (world->path, "tree", NULL);
  g_autofree char *command = g_strdup_printf ("veritysetup format --salt=00112233 --uuid=00000000-0000-0000-0000-000000000001 %s %s",
                                              root_path, tree_path);
  g_autofree char *output = NULL, *content = NULL, *hex = NULL;
  const char *found;
  int status;
  gsize size;

  write_file (root_path, root);
  g_unlink (tree_path);
  g_assert_true (g_spawn_command_line_sync (command, &output, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
  found = strstr (output, "Root hash:");
  g_assert_nonnull (found);
  found += strlen ("Root hash:");
  found += strspn (found, " \t");
  hex = g_strndup (found, 2 * FLOE_DIGEST_SIZE);
  g_assert_true (floe_hex_decode (hex, root_hash->bytes, FLOE_DIGEST_SIZE));
  g_assert_true (g_file_get_contents (tree_path, &content, &size, NULL));
  g_assert_cmpuint (size, <=, TREE);
  return g_bytes_new_take (g_steal_pointer (&content), size);
}

static GBytes *
make_uki (const FloeDigest *root_hash, int number)
{
  g_autoptr (GBytes) body = noise (UKI, 7, number);
  char hex[FLOE_DIGEST_HEX_SIZE];
  guint8 *data = g_memdup2 (g_bytes_get_data (body, NULL), UKI);

  floe_digest_to_hex (root_hash, hex);
  g_snprintf ((char *) data + 1000, 100, "quiet roothash=%s panic=10", hex);
  return g_bytes_new_take (data, UKI);
}

void
slot_world_version (SlotWorld *world, int number)
{
  SlotVersion *version = &world->versions[number];

  if (version->pieces[0] != NULL)
    return;
  version->pieces[FLOE_APPLIANCE_ROOT] = noise (ROOT, 5, number);
  version->pieces[FLOE_APPLIANCE_VERITY] = make_tree (world, version->pieces[FLOE_APPLIANCE_ROOT], &version->root_hash);
  version->pieces[FLOE_APPLIANCE_UKI] = make_uki (&version->root_hash, number);
}

/* -- Publishing ------------------------------------------------------------------------------------------------------ */

static void
describe_piece (SlotWorld *world, FloeApplianceInfo *info, FloeAppliancePieceKind kind, GBytes *content)
{
  g_autofree char *chunks = g_build_filename (world->state, "chunks", NULL), *path = g_build_filename (world->path, "piece", NULL);
  const FloePublishOptions how = { .threads = 1, .any_size = TRUE };
  floe_autofd dir = floe_dir_open (chunks, NULL), file = -1;
  g_autoptr (FloeStore) store = floe_store_open_writing (dir, NULL);
  g_autoptr (FloePublished) published = NULL;
  g_autofree char *index = NULL, *table = NULL;
  FloeAppliancePiece *piece = &info->pieces[kind];

  write_file (path, content);
  file = open (path, O_RDONLY | O_CLOEXEC);
  published = floe_publish_chunks (file, store, NULL, &how, NULL, NULL);
  g_assert_nonnull (published);
  piece->size = g_bytes_get_size (content);
  floe_digest_of (g_bytes_get_data (content, NULL), g_bytes_get_size (content), &piece->digest);
  floe_digest_of (g_bytes_get_data (published->index, NULL), g_bytes_get_size (published->index), &piece->index);
  floe_digest_of (g_bytes_get_data (published->table, NULL), g_bytes_get_size (published->table), &piece->table);
  index = floe_appliance_target (info, kind, "caibx");
  table = floe_appliance_target (info, kind, "table");
  forge_add_target_bytes (world->forge, "appliance", index, published->index);
  forge_add_target_bytes (world->forge, "appliance", table, published->table);
}

FloeApplianceInfo *
slot_world_describe (SlotWorld *world, int number)
{
  FloeApplianceInfo *info = g_new0 (FloeApplianceInfo, 1);

  slot_world_version (world, number);
  info->version = number;
  info->replaces = 1;
  info->root_hash = world->versions[number].root_hash;
  for (FloeAppliancePieceKind kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++)
    describe_piece (world, info, kind, world->versions[number].pieces[kind]);
  return info;
}

void
slot_world_spool (SlotWorld *world)
{
  g_autofree char *spool = g_build_filename (world->state, "spool", NULL);

  forge_write (world->forge, spool);
}

void
slot_world_offer (SlotWorld *world, const FloeApplianceInfo *info, const char *role)
{
  g_autoptr (GBytes) json = floe_appliance_info_build (info);

  forge_add_target_bytes (world->forge, role, "appliance/stable.json", json);
  if (strcmp (role, "appliance") != 0)
    forge_release (world->forge, "appliance", role, NULL);
  else
    forge_release (world->forge, "appliance", NULL);
  slot_world_spool (world);
}

void
slot_world_publish (SlotWorld *world, int number, gboolean allow_older)
{
  g_autoptr (FloeApplianceInfo) info = slot_world_describe (world, number);

  info->allow_older = allow_older;
  slot_world_offer (world, info, "appliance");
}

/* -- The disk -------------------------------------------------------------------------------------------------------- */

void
slot_world_poke (const char *path, off_t offset, const char *bytes)
{
  floe_autofd fd = open (path, O_WRONLY | O_CLOEXEC);

  g_assert_cmpint (pwrite (fd, bytes, strlen (bytes), offset), ==, (ssize_t) strlen (bytes));
}

static void
put (SlotWorld *world, guint start, GBytes *content)
{
  floe_autofd fd = open (world->disk, O_WRONLY | O_CLOEXEC);
  gssize size = (gssize) g_bytes_get_size (content);

  g_assert_cmpint (pwrite (fd, g_bytes_get_data (content, NULL), (size_t) size, (off_t) start * MIB), ==, size);
}

/* Lines of sfdisk's script for a slot of VERSION (0: empty), and what it holds. */
static void
describe_slot (SlotWorld *world, GString *script, int version, guint place)
{
  for (FloeAppliancePieceKind kind = FLOE_APPLIANCE_ROOT; kind <= FLOE_APPLIANCE_VERITY; kind++) {
    g_autofree char *label = version == 0 ? g_strdup (FLOE_SLOT_EMPTY) : floe_slot_label (version, kind == FLOE_APPLIANCE_VERITY);
    g_autofree char *random = g_uuid_string_random ();
    char uuid[FLOE_UUID_SIZE];

    if (version != 0) {
      floe_appliance_uuid (&world->versions[version].root_hash, kind, uuid);
      put (world, starts[place + kind], world->versions[version].pieces[kind]);
    }
    g_string_append_printf (script, "start=%uMiB, size=%s, type=%s, name=%s, uuid=%s\n", starts[place + kind],
                            kind == FLOE_APPLIANCE_VERITY ? "64KiB" : "1MiB",
                            kind == FLOE_APPLIANCE_VERITY ? "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5" : "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
                            label, version == 0 ? random : uuid);
  }
}

static void
add_entry (SlotWorld *world, int version)
{
  g_autofree char *name = floe_slot_entry_name (version, -1), *path = g_build_filename (world->menu, name, NULL);

  write_file (path, world->versions[version].pieces[FLOE_APPLIANCE_UKI]);
}

void
slot_world_install (SlotWorld *world, int running, int other)
{
  g_autofree char *script_path = g_build_filename (world->path, "script", NULL);
  g_autoptr (GString) script = g_string_new ("label: gpt\nstart=1MiB, size=64KiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n");
  floe_autofd disk = -1;

  slot_world_version (world, running);
  if (other != 0)
    slot_world_version (world, other);
  run ("rm -rf %s %s %s/slot", world->disk, world->boot, world->state);
  g_assert_cmpint (g_mkdir_with_parents (world->menu, 0755), ==, 0);
  disk = open (world->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_assert_cmpint (ftruncate (disk, 6 * MIB), ==, 0);
  describe_slot (world, script, running, 1);
  describe_slot (world, script, other, 3);
  g_assert_true (g_file_set_contents (script_path, script->str, -1, NULL));
  run ("sh -c 'sfdisk -q %s < %s 2>&1'", world->disk, script_path);
  add_entry (world, running);
  if (other != 0)
    add_entry (world, other);
  slot_world_run (world, running);
}

void
slot_world_run (SlotWorld *world, int number)
{
  world->options.running = number;
  world->options.running_hash = world->versions[number].root_hash;
}

gboolean
slot_world_update (SlotWorld *world, FloeSlotOutcome *outcome, GError **error)
{
  g_autoptr (FloeSlot) slot = floe_slot_open (&world->options, error);
  g_autofree char *message = NULL;

  return slot != NULL && floe_slot_update (slot, outcome, &message, error);
}

int64_t
slot_world_next (SlotWorld *world)
{
  g_autoptr (GError) error = NULL;
  int64_t version;

  if (floe_slot_check (world->disk, world->boot, &version, &error))
    return version;
  g_test_message ("nothing starts: %s", error->message);
  return 0;
}

gboolean
slot_world_has_entry (SlotWorld *world, const char *name)
{
  g_autofree char *path = g_build_filename (world->menu, name, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS);
}
