/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-host.h"
#include "common/floe-fd.h"
#include "tests/lib/slot-world.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* -- Pure ------------------------------------------------------------------------------------------------------------ */

static void
test_names (void)
{
  static const struct {
    const char *name;
    FloeSlotEntry entry;
  } good[] = {
    { "floe_1.efi", { 1, -1, 0 } },
    { "floe_12+3.efi", { 12, 3, 0 } },
    { "floe_12+0-3.efi", { 12, 0, 3 } },
    { "floe_999999999999999999+0002-0001.efi", { 999999999999999999, 2, 1 } },
  };
  static const char *const bad[] = {
    "", "floe_", "floe_.efi", "floe_0.efi", "floe_01.efi", "floe_-1.efi", "floe_1", "floe_1.EFI", "floe_1.efi.", "floe_1.efi\n", "Floe_1.efi",
    "floe_1+.efi", "floe_1-1.efi", "floe_1+3-.efi", "floe_1+3-1-1.efi", "floe_1+3+1.efi", "floe_1+99999.efi", "floe_1 .efi",
    "floe_1000000000000000000.efi", "floe_1x.efi", "floe_1+x.efi", "linux.efi", "floe-slot.part", "../floe_1.efi",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    FloeSlotEntry entry;

    g_assert_true (floe_slot_entry_parse (good[i].name, &entry));
    g_assert_cmpint (entry.version, ==, good[i].entry.version);
    g_assert_cmpint (entry.left, ==, good[i].entry.left);
    g_assert_cmpint (entry.done, ==, good[i].entry.done);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    FloeSlotEntry entry;

    if (floe_slot_entry_parse (bad[i], &entry))
      g_test_fail_printf ("'%s' was taken", bad[i]);
  }
}

static void
test_next (void)
{
  static const struct {
    const char *what;
    FloeSlotEntry entries[3];
    size_t count;
    int next;
  } cases[] = {
    { "nothing", { { 0 } }, 0, -1 },
    { "the newest good one", { { 1, -1, 0 }, { 3, -1, 0 }, { 2, -1, 0 } }, 3, 1 },
    { "a newer one on trial", { { 1, -1, 0 }, { 2, 3, 0 } }, 2, 1 },
    { "its last try", { { 1, -1, 0 }, { 2, 1, 2 } }, 2, 1 },
    { "no try left", { { 1, -1, 0 }, { 2, 0, 3 } }, 2, 0 },
    { "put behind an older one", { { 3, 0, 0 }, { 2, 3, 0 } }, 2, 1 },
    { "both without tries", { { 3, 0, 0 }, { 2, 0, 3 } }, 2, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_test_message ("%s", cases[i].what);
    g_assert_cmpint (floe_slot_entry_next (cases[i].entries, cases[i].count), ==, cases[i].next);
  }
}

static void
test_host (void)
{
  static const char *const bad_lines[] = { "", "quiet", "roothash=", "roothash=12", "xroothash=aa" };
  static const char *const bad_releases[] = { "", "IMAGE_VERSION=", "IMAGE_VERSION=0", "IMAGE_VERSION=1.2", "IMAGE_VERSION=-1", "IMAGE_VERSION=1\nIMAGE_VERSION=2",
                                              "IMAGE_VERSION=1000000000000000000", "XIMAGE_VERSION=1" };
  g_autofree char *hex = g_strnfill (64, 'a'), *line = g_strdup_printf ("ro roothash=%s quiet\n", hex);
  g_autofree char *twice = g_strdup_printf ("roothash=%s roothash=%s", hex, hex);
  FloeDigest digest;
  int64_t version;

  g_assert_true (floe_slot_parse_command_line (line, &digest, NULL));
  g_assert_false (floe_slot_parse_command_line (twice, &digest, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS (bad_lines); i++)
    g_assert_false (floe_slot_parse_command_line (bad_lines[i], &digest, NULL));
  g_assert_true (floe_slot_parse_os_release ("ID=debian\nIMAGE_VERSION='17'\n", &version, NULL));
  g_assert_cmpint (version, ==, 17);
  for (size_t i = 0; i < G_N_ELEMENTS (bad_releases); i++)
    g_assert_false (floe_slot_parse_os_release (bad_releases[i], &version, NULL));
}

static void
test_config (void)
{
  static const char *const bad[] = { "[appliance]\nchanel=x\n", "[appliance]\nchannel=../x\n", "[appliance]\nboot=boot\n", "[paths]\nstate=x\n", "appliance" };
  const char *text = "[server]\nurl=https://x\n[appliance]\nchannel=stable\n[paths]\nstate=/s\n";
  g_autoptr (FloeSlotConfig) config = floe_slot_config_parse (text, strlen (text), "good", NULL), none = floe_slot_config_parse ("", 0, "none", NULL);

  g_assert_cmpstr (config->channel, ==, "stable");
  g_assert_cmpstr (config->state, ==, "/s");
  g_assert_cmpstr (config->boot, ==, "/boot");
  g_assert_null (none->channel);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (floe_slot_config_parse (bad[i], strlen (bad[i]), "bad", NULL));
}

/* Device-mapper's device of the root file system, in a /sys of our own. */
static void
test_find_disk (void)
{
  g_autofree char *path = g_dir_make_tmp ("floe-sys-XXXXXX", NULL), *remove = g_strdup_printf ("rm -rf %s", path);
  g_autofree char *make = NULL, *make_other = NULL, *disk = NULL;
  g_autoptr (GError) error = NULL;
  struct stat st;

  g_assert_cmpint (stat (path, &st), ==, 0);
  make = g_strdup_printf ("sh -c 'cd %s && mkdir -p devices/vda/vda2 devices/vda/vda3 devices/vdb/vdb1 dev/block/%u:%u/slaves && "
                          "for p in vda/vda2 vda/vda3 vdb/vdb1; do echo 1 >devices/$p/partition; done && "
                          "ln -s ../../../../devices/vda/vda2 ../../../../devices/vda/vda3 dev/block/%u:%u/slaves'",
                          path, major (st.st_dev), minor (st.st_dev), major (st.st_dev), minor (st.st_dev));
  make_other = g_strdup_printf ("ln -s ../../../../devices/vdb/vdb1 %s/dev/block/%u:%u/slaves", path, major (st.st_dev), minor (st.st_dev));
  g_assert_null (floe_slot_find_disk (path, path, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (g_spawn_command_line_sync (make, NULL, NULL, NULL, NULL));
  disk = floe_slot_find_disk (path, path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (disk, ==, "/dev/vda");
  g_assert_true (g_spawn_command_line_sync (make_other, NULL, NULL, NULL, NULL));
  g_assert_null (floe_slot_find_disk (path, path, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_assert_true (g_spawn_command_line_sync (remove, NULL, NULL, NULL, NULL));
}

static void
test_record (void)
{
  FloeSlotRecord record = { 0 };

  for (int64_t version = 1; version <= FLOE_SLOT_FAILED_MAX + 3; version++)
    g_assert_true (floe_slot_record_add_failed (&record, version));
  g_assert_false (floe_slot_record_add_failed (&record, 9));
  g_assert_cmpuint (record.n_failed, ==, FLOE_SLOT_FAILED_MAX);
  g_assert_false (floe_slot_record_has_failed (&record, 3));
  g_assert_true (floe_slot_record_has_failed (&record, 4));
  floe_slot_record_forgive (&record, 4);
  g_assert_false (floe_slot_record_has_failed (&record, 4));
}

/* -- Descriptions ---------------------------------------------------------------------------------------------------- */

static void
test_info_bad (void)
{
  static const struct {
    const char *from, *to;
  } spoils[] = {
    { "\"floe-appliance\": 1", "\"floe-appliance\": 2" }, { "\"version\": 2", "\"version\": 0" },
    { "\"version\": 2", "\"version\": \"2\"" },           { "\"version\": 2", "\"version\": 2.0" },
    { "\"version\": 2", "\"version\": 1000000000000000000" }, { "\"version\": 2", "\"version\": 2, \"version\": 3" },
    { "\"replaces\": 1", "\"replaces\": 0" },             { "\"replaces\": 1,", "" },
    { "\"allow_older\": false", "\"allow_older\": 0" },   { "x86-64", "arm64" },
    { "\"chunk_size\": 131072", "\"chunk_size\": 65536" }, { "\"root_hash\": \"", "\"root_hash\": \"A" },
    { "\"uki\": {", "\"uki\": { \"more\": 1," },          { "\"floe-appliance\"", "\"unknown\": 1, \"floe-appliance\"" },
    { "\"size\": 7", "\"size\": 0" },                     { "\"size\": 7", "\"size\": -7" },
    { "\"size\": 7", "\"size\": 4294967297" },            { "\"size\": 9", "\"size\": 268435457" },
  };
  FloeApplianceInfo info = { .version = 2, .replaces = 1 };
  g_autoptr (GBytes) json = NULL;
  g_autoptr (FloeApplianceInfo) back = NULL;
  g_autofree char *text = NULL;

  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    info.pieces[i].size = 7 + i;
  json = floe_appliance_info_build (&info);
  back = floe_appliance_info_parse (json, "good", NULL);
  g_assert_nonnull (back);
  text = g_strndup (g_bytes_get_data (json, NULL), g_bytes_get_size (json));
  for (size_t i = 0; i < G_N_ELEMENTS (spoils); i++) {
    const char *at = strstr (text, spoils[i].from);
    g_autofree char *bad = NULL;
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (at);
    bad = g_strdup_printf ("%.*s%s%s", (int) (at - text), text, spoils[i].to, at + strlen (spoils[i].from));
    bytes = g_bytes_new (bad, strlen (bad));
    if (floe_appliance_info_parse (bytes, "bad", &error) != NULL)
      g_test_fail_printf ("'%s' was taken", spoils[i].to);
    else
      g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

static void
test_may_replace (void)
{
  FloeApplianceInfo info = { .version = 5, .replaces = 3 };
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_appliance_may_replace (&info, 4, NULL));
  g_assert_true (floe_appliance_may_replace (&info, 3, NULL));
  g_assert_false (floe_appliance_may_replace (&info, 2, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_REFUSED);
  g_clear_error (&error);
  g_assert_false (floe_appliance_may_replace (&info, 5, NULL));
  g_assert_false (floe_appliance_may_replace (&info, 6, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_ROLLBACK);
  info.allow_older = TRUE;
  g_assert_true (floe_appliance_may_replace (&info, 6, NULL));
}

/* -- A world --------------------------------------------------------------------------------------------------------- */

static GBytes *
read_all (const char *path)
{
  return floe_file_read (path, 64u << 20, NULL);
}

/* The disk and the names on the boot partition, as one digest. */
static char *
world_digest (SlotWorld *world)
{
  g_autoptr (GBytes) disk = read_all (world->disk);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GDir) menu = g_dir_open (world->menu, 0, NULL);
  guint names = 0;
  const char *name;

  g_checksum_update (sum, g_bytes_get_data (disk, NULL), (gssize) g_bytes_get_size (disk));
  while ((name = g_dir_read_name (menu)) != NULL)
    names += g_str_hash (name);
  return g_strdup_printf ("%s %u", g_checksum_get_string (sum), names);
}

static void
expect_refusal (SlotWorld *world, const char *what, FloeError code)
{
  g_autofree char *before = world_digest (world), *after = NULL;
  g_autoptr (GError) error = NULL;
  FloeSlotOutcome outcome = FLOE_SLOT_CURRENT;

  if (slot_world_update (world, &outcome, &error))
    g_test_fail_printf ("%s: outcome %d", what, (int) outcome);
  else if (error->code != (int) code)
    g_test_fail_printf ("%s: %s (code %d, %d wanted)", what, error->message, error->code, (int) code);
  after = world_digest (world);
  g_assert_cmpstr (before, ==, after);
}

static void
expect (SlotWorld *world, FloeSlotOutcome wanted)
{
  g_autoptr (GError) error = NULL;
  FloeSlotOutcome outcome = FLOE_SLOT_CURRENT;

  g_assert_true (slot_world_update (world, &outcome, &error));
  g_assert_no_error (error);
  g_assert_cmpint (outcome, ==, wanted);
}

static SlotWorld *
world_with (int running, int other)
{
  SlotWorld *world = slot_world_new ();

  if (world == NULL)
    g_test_skip ("sfdisk and veritysetup are not both installed");
  else
    slot_world_install (world, running, other);
  return world;
}

static void
test_update (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);

  if (world == NULL)
    return;
  g_assert_cmpint (slot_world_next (world), ==, 1);
  slot_world_publish (world, 2, FALSE);
  expect (world, FLOE_SLOT_INSTALLED);
  g_assert_cmpint (slot_world_next (world), ==, 2);
  g_assert_true (slot_world_has_entry (world, "floe_2+3.efi") && slot_world_has_entry (world, "floe_1.efi"));
  expect (world, FLOE_SLOT_INSTALLED);
  /* On trial itself: the one that could start again is not given up. */
  slot_world_run (world, 2);
  slot_world_publish (world, 3, FALSE);
  expect_refusal (world, "an update on trial", FLOE_ERROR_BUSY);
}

static void
test_wrong_signer (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);
  g_autoptr (FloeApplianceInfo) info = NULL;

  if (world == NULL)
    return;
  slot_world_publish (world, 1, FALSE);
  expect (world, FLOE_SLOT_CURRENT);
  info = slot_world_describe (world, 2);
  /* Delegations go by path, and end there: what images and policy sign below appliance/ is not looked at. */
  slot_world_offer (world, info, "images");
  expect (world, FLOE_SLOT_CURRENT);
  slot_world_offer (world, info, "policy");
  expect (world, FLOE_SLOT_CURRENT);
  slot_world_offer (world, info, "targets");
  expect_refusal (world, "signed by targets", FLOE_ERROR_UNVERIFIED);
}

static void
test_rollback (void)
{
  g_autoptr (SlotWorld) world = world_with (2, 0);

  if (world == NULL)
    return;
  slot_world_publish (world, 1, FALSE);
  expect_refusal (world, "an older version", FLOE_ERROR_ROLLBACK);
  /* The newest metadata stays the newest, whatever is in the spool. */
  world->options.now = FORGE_NOW + 1;
  slot_world_publish (world, 3, FALSE);
  expect (world, FLOE_SLOT_INSTALLED);
  forge_set_version (world->forge, "timestamp", 1);
  forge_publish (world->forge, "timestamp");
  slot_world_spool (world);
  expect_refusal (world, "an old timestamp", FLOE_ERROR_ROLLBACK);
}

static void
test_expired (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);

  if (world == NULL)
    return;
  slot_world_publish (world, 2, FALSE);
  world->options.now = FORGE_NOW + G_GINT64_CONSTANT (10) * 365 * 24 * 3600;
  expect_refusal (world, "expired metadata", FLOE_ERROR_EXPIRED);
  /* A clock that is set back does not help. */
  world->options.now = FORGE_NOW;
  expect_refusal (world, "expired metadata and a clock set back", FLOE_ERROR_EXPIRED);
}

/* The description says one thing, what it names another: all of it signed. */
static void
test_wrong_description (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);
  g_autoptr (FloeApplianceInfo) info = NULL;
  FloeApplianceInfo bad;

  if (world == NULL)
    return;
  info = slot_world_describe (world, 2);
  bad = *info;
  bad.pieces[FLOE_APPLIANCE_ROOT].table.bytes[0] ^= 1;
  slot_world_offer (world, &bad, "appliance");
  expect_refusal (world, "another table", FLOE_ERROR_UNVERIFIED);
  bad = *info;
  bad.pieces[FLOE_APPLIANCE_ROOT].size += 512;
  slot_world_offer (world, &bad, "appliance");
  expect_refusal (world, "another size", FLOE_ERROR_UNVERIFIED);
  bad = *info;
  bad.pieces[FLOE_APPLIANCE_ROOT] = bad.pieces[FLOE_APPLIANCE_UKI];
  bad.pieces[FLOE_APPLIANCE_ROOT].index.bytes[20] ^= 1;
  slot_world_offer (world, &bad, "appliance");
  expect_refusal (world, "an index of a piece that is not there", FLOE_ERROR_NOT_FOUND);
  bad = *info;
  bad.replaces = 2;
  slot_world_offer (world, &bad, "appliance");
  expect_refusal (world, "a version that replaces later ones", FLOE_ERROR_REFUSED);
}

/* What only writing shows: the slot stays empty, and the running version is what starts. */
static void
test_wrong_content (void)
{
  static const char *const what[] = { "another root hash", "another kernel image" };

  for (size_t i = 0; i < G_N_ELEMENTS (what); i++) {
    g_autoptr (SlotWorld) world = world_with (1, 0);
    g_autoptr (FloeApplianceInfo) info = NULL;
    g_autoptr (GError) error = NULL;
    FloeSlotOutcome outcome;

    if (world == NULL)
      return;
    info = slot_world_describe (world, 2);
    if (i == 0)
      info->root_hash.bytes[31] ^= 1;
    else
      info->pieces[FLOE_APPLIANCE_UKI].digest.bytes[3] ^= 1;
    slot_world_offer (world, info, "appliance");
    g_assert_false (slot_world_update (world, &outcome, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
    g_assert_cmpint (slot_world_next (world), ==, 1);
    g_assert_false (slot_world_has_entry (world, "floe_2+3.efi"));
  }
}

static void
test_too_large (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);
  g_autofree guint8 *large = g_malloc0 (SLOT_WORLD_ROOT + 4096);

  if (world == NULL)
    return;
  slot_world_version (world, 2);
  g_clear_pointer (&world->versions[2].pieces[FLOE_APPLIANCE_ROOT], g_bytes_unref);
  world->versions[2].pieces[FLOE_APPLIANCE_ROOT] = g_bytes_new (large, SLOT_WORLD_ROOT + 4096);
  slot_world_publish (world, 2, FALSE);
  expect_refusal (world, "a root larger than its partition", FLOE_ERROR_LIMIT);
}

static void
test_disk (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);

  if (world == NULL)
    return;
  slot_world_publish (world, 2, FALSE);
  /* Neither slot is the one that runs. */
  slot_world_version (world, 3);
  slot_world_run (world, 3);
  expect_refusal (world, "a root hash that no slot has", FLOE_ERROR_INVALID);
  slot_world_run (world, 1);
  /* The primary table is torn: the backup is read, and the next change mends it. */
  slot_world_poke (world->disk, 512 + 16, "torn");
  expect (world, FLOE_SLOT_INSTALLED);
  g_assert_cmpint (slot_world_next (world), ==, 2);
  /* No table at all. */
  g_assert_cmpint (truncate (world->disk, 0), ==, 0);
  g_assert_cmpint (truncate (world->disk, 6 << 20), ==, 0);
  expect_refusal (world, "a disk without a table", FLOE_ERROR_INVALID);
}

static void
test_damage (void)
{
  g_autoptr (SlotWorld) world = world_with (1, 0);
  g_autofree char *record = NULL;

  if (world == NULL)
    return;
  /* What starts is said to be whole only if it is. */
  slot_world_poke (world->disk, (2 << 20) + 700000, "x");
  g_assert_cmpint (slot_world_next (world), ==, 0);
  slot_world_install (world, 1, 0);
  slot_world_poke (world->disk, (3 << 20) + 5000, "x");
  g_assert_cmpint (slot_world_next (world), ==, 0);
  slot_world_install (world, 1, 0);
  slot_world_publish (world, 2, FALSE);
  expect (world, FLOE_SLOT_INSTALLED);
  record = g_build_filename (world->state, "slot", "record.json", NULL);
  slot_world_poke (record, 0, "[");
  expect_refusal (world, "a damaged record", FLOE_ERROR_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/slot/names", test_names);
  g_test_add_func ("/slot/next", test_next);
  g_test_add_func ("/slot/host", test_host);
  g_test_add_func ("/slot/config", test_config);
  g_test_add_func ("/slot/find-disk", test_find_disk);
  g_test_add_func ("/slot/record", test_record);
  g_test_add_func ("/slot/info-bad", test_info_bad);
  g_test_add_func ("/slot/may-replace", test_may_replace);
  g_test_add_func ("/slot/update", test_update);
  g_test_add_func ("/slot/wrong-signer", test_wrong_signer);
  g_test_add_func ("/slot/rollback", test_rollback);
  g_test_add_func ("/slot/expired", test_expired);
  g_test_add_func ("/slot/wrong-description", test_wrong_description);
  g_test_add_func ("/slot/wrong-content", test_wrong_content);
  g_test_add_func ("/slot/too-large", test_too_large);
  g_test_add_func ("/slot/disk", test_disk);
  g_test_add_func ("/slot/damage", test_damage);
  return g_test_run ();
}
