/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-revoke.h"
#include "appliance/floe-dbx.h"
#include "appliance/floe-efivar.h"
#include "appliance/floe-pe.h"
#include "appliance/floe-seal.h"
#include "common/floe-fd.h"
#include "server-sync/enrol/floe-appliance-report.h"
#include "tests/lib/dbx-forge.h"
#include "tests/lib/pe-forge.h"
#include "tests/lib/slot-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define DBX "dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define SECURE_BOOT "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* A world whose kernel images are images, and a directory in place of efivarfs. */
typedef struct {
  SlotWorld *slots;
  char *efivars, *dbx, *state_conf;
  FloeDigest kernels[SLOT_WORLD_VERSIONS + 1];
} World;

static void
world_clear (World *world)
{
  slot_world_free (world->slots);
  g_free (world->efivars);
  g_free (world->dbx);
  g_free (world->state_conf);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

static void
make_kernel (World *world, const PeSigner *signer, int number)
{
  SlotVersion *version = &world->slots->versions[number];
  char hex[FLOE_DIGEST_HEX_SIZE];
  g_autofree char *line = NULL;
  g_autoptr (GError) error = NULL;

  slot_world_version (world->slots, number);
  floe_digest_to_hex (&version->root_hash, hex);
  line = g_strdup_printf ("quiet roothash=%s panic=10", hex);
  g_bytes_unref (version->pieces[FLOE_APPLIANCE_UKI]);
  version->pieces[FLOE_APPLIANCE_UKI] = pe_forge (line, 200000, signer);
  g_assert_true (floe_pe_digest (version->pieces[FLOE_APPLIANCE_UKI], &world->kernels[number], &error));
  g_assert_no_error (error);
}

static void
put_variable (World *world, const char *name, const void *data, gsize size)
{
  g_autofree char *path = g_build_filename (world->efivars, name, NULL);
  g_autoptr (GByteArray) file = g_byte_array_new ();

  g_byte_array_append (file, (const guint8 *) "\x27\0\0\0", 4);
  g_byte_array_append (file, data, (guint) size);
  g_assert_true (g_file_set_contents (path, (const char *) file->data, file->len, NULL));
}

static void
sealed_as (World *world, const char *text)
{
  g_assert_true (g_file_set_contents (world->state_conf, text, -1, NULL));
}

/* Versions 1 to 3; RUNNING runs. */
static gboolean
world_make (World *world, int running, int other)
{
  g_autoptr (PeSigner) signer = NULL;

  world->slots = slot_world_new ();
  if (world->slots == NULL) {
    g_test_skip ("sfdisk and veritysetup are not both installed");
    return FALSE;
  }
  signer = pe_signer_new ("Floe");
  for (int i = 1; i <= 3; i++)
    make_kernel (world, signer, i);
  slot_world_install (world->slots, running, other);
  world->efivars = g_build_filename (world->slots->path, "efivars", NULL);
  world->dbx = g_build_filename (world->efivars, DBX, NULL);
  world->state_conf = g_build_filename (world->slots->path, "state.conf", NULL);
  g_assert_cmpint (g_mkdir (world->efivars, 0755), ==, 0);
  put_variable (world, SECURE_BOOT, "\1", 1);
  sealed_as (world, "[state]\nprotection=none\n");
  return TRUE;
}

/* -- A firmware that is none ----------------------------------------------------------------------------------------- */

static guint asked;

/* Takes LIST, one of images, as it is. */
static void
take (int dbx, const guint8 *list, gsize size)
{
  off_t end = lseek (dbx, 0, SEEK_END);

  asked++;
  if (end == 0)
    g_assert_cmpint (pwrite (dbx, "\x27\0\0\0", 4, 0), ==, 4);
  g_assert_cmpint (pwrite (dbx, list, size, MAX (end, 4)), ==, (gssize) size);
}

#define UPDATE_HEAD (16 + 24 + DBX_FORGE_SIGNATURE)
#define LIST_HEAD 28
#define ENTRY 48

/* Takes what it is given, as firmware does that finds it signed: without what it has. */
static gboolean
takes (int dbx, GBytes *update, GError **error)
{
  g_autoptr (GBytes) before = floe_efivar_get (dbx, error);
  g_autoptr (GByteArray) list = g_byte_array_new ();
  gsize size, old_size;
  const guint8 *data = g_bytes_get_data (update, &size), *old = g_bytes_get_data (before, &old_size);

  g_byte_array_append (list, data + UPDATE_HEAD, LIST_HEAD);
  for (gsize at = UPDATE_HEAD + LIST_HEAD; at < size; at += ENTRY)
    if (old_size == 0 || memmem (old, old_size, data + at, ENTRY) == NULL)
      g_byte_array_append (list, data + at, ENTRY);
  list->data[16] = (guint8) list->len;
  g_assert_cmpuint (list->len, <, 256);
  take (dbx, list->data, list->len);
  return TRUE;
}

/* With what it has. */
static gboolean
doubles (int dbx, GBytes *update, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (update, &size);

  (void) error;
  take (dbx, data + UPDATE_HEAD, size - UPDATE_HEAD);
  return TRUE;
}

static gboolean
lies (int dbx, GBytes *update, GError **error)
{
  (void) dbx, (void) update, (void) error;
  asked++;
  return TRUE;
}

static gboolean
is_full (int dbx, GBytes *update, GError **error)
{
  (void) dbx, (void) update;
  asked++;
  return floe_error_set_errno (error, ENOSPC, "the firmware does not take the list");
}

/* A fresh process's `revoke`. */
static gboolean
revokes (World *world, gboolean (*append) (int, GBytes *, GError **), GBytes *update, char **message, GError **error)
{
  FloeSlotOptions options = world->slots->options;
  g_autofree char *sealed = update == NULL ? NULL : floe_seal_refuses (world->state_conf, update);
  g_autoptr (GError) problem = NULL;
  FloeSlotFirmware firmware = { .dbx = -1, .sealed = sealed, .append = append };
  g_autoptr (FloeSlot) slot = NULL;
  gboolean done;

  options.disk = NULL;
  g_assert_true (floe_efivar_secure_boot (world->efivars, &firmware.secure_boot, NULL));
  if (firmware.secure_boot)
    firmware.dbx = floe_efivar_open_dbx (world->efivars, &problem);
  firmware.problem = problem;
  slot = floe_slot_open (&options, error);
  g_assert_nonnull (slot);
  done = floe_slot_revoke (slot, &firmware, update, message, error);
  floe_fd_clear (&firmware.dbx);
  return done;
}

static void
expect (World *world, gboolean (*append) (int, GBytes *, GError **), GBytes *update, const char *words, guint times)
{
  g_autofree char *message = NULL;
  g_autoptr (GError) error = NULL;

  asked = 0;
  g_assert_true (revokes (world, append, update, &message, &error));
  g_assert_no_error (error);
  if (strstr (message, words) == NULL || asked != times)
    g_test_fail_printf ("firmware was asked %u times: %s ('%s' wanted)", asked, message, words);
}

static char *
told (World *world)
{
  FloeApplianceReport report;
  g_autoptr (FloeSlot) slot = floe_slot_open (&world->slots->options, NULL);
  g_autofree char *status = floe_slot_status (slot);

  g_assert_true (floe_appliance_report_load (world->slots->state, &report, NULL));
  g_assert_true ((strstr (status, "problem: ") != NULL) == g_str_has_prefix (report.problem, "older versions are not kept from starting: "));
  return g_strdup (report.problem);
}

static void
expect_failure (World *world, gboolean (*append) (int, GBytes *, GError **), GBytes *update, FloeError code, guint times)
{
  g_autofree char *message = NULL, *said = NULL;
  g_autoptr (GError) error = NULL;

  asked = 0;
  g_assert_false (revokes (world, append, update, &message, &error));
  g_assert_error (error, FLOE_ERROR, (int) code);
  g_assert_cmpuint (asked, ==, times);
  said = told (world);
  g_assert_nonnull (strstr (said, error->message));
}

static void
found_good (World *world)
{
  g_autoptr (FloeSlot) slot = floe_slot_open (&world->slots->options, NULL);
  g_autofree char *message = NULL;

  g_assert_true (floe_slot_good (slot, &message, NULL));
}

static gboolean
is_forbidden (World *world, int number)
{
  g_autoptr (GBytes) value = floe_efivar_read_dbx (world->efivars, NULL);
  g_autoptr (FloeDbx) list = floe_dbx_parse (value, NULL);

  return floe_dbx_has (list, &world->kernels[number]);
}

/* -- Revoking -------------------------------------------------------------------------------------------------------- */

static void
test_once (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autofree char *said = NULL;

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 1);
  expect (&world, takes, update, "was not found good", 0);
  found_good (&world);
  expect (&world, takes, NULL, "revokes none", 0);
  g_assert_false (is_forbidden (&world, 1));
  expect (&world, takes, update, "has taken 1", 1);
  g_assert_true (is_forbidden (&world, 1) && !is_forbidden (&world, 2));
  expect (&world, takes, update, "has all 1", 0);
  said = told (&world);
  g_assert_cmpstr (said, ==, "");
}

/* Beside what the maker of the machine has put there. */
static void
test_beside_others (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autoptr (GByteArray) lists = g_byte_array_new ();
  FloeDigest both[2];

  if (!world_make (&world, 3, 2))
    return;
  dbx_forge_others (lists, 2, 600);
  dbx_forge_images (lists, &world.kernels[1], 1);
  put_variable (&world, DBX, lists->data, lists->len);
  memcpy (both, world.kernels + 1, sizeof both);
  update = dbx_forge_update (both, 2);
  found_good (&world);
  expect (&world, takes, update, "has taken 1", 1);
  g_assert_true (is_forbidden (&world, 1) && is_forbidden (&world, 2) && !is_forbidden (&world, 3));
}

/* A firmware that makes something else of it is not what the state was sealed for: that is told, once. */
static void
test_put_together (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autoptr (GByteArray) lists = g_byte_array_new ();

  if (!world_make (&world, 3, 2))
    return;
  dbx_forge_images (lists, &world.kernels[1], 1);
  put_variable (&world, DBX, lists->data, lists->len);
  update = dbx_forge_update (world.kernels + 1, 2);
  found_good (&world);
  expect_failure (&world, doubles, update, FLOE_ERROR_PEER, 1);
  expect (&world, takes, update, "has all 2", 0);
}

/* The list changes what the TPM opens the state by: it is handed over only when that was seen to. */
static void
test_sealed (void)
{
  static const char *const not_yet[] = {
    "[state]\nprotection=tpm\nsecure_boot=true\n",
    "[state]\nprotection=tpm\nsecure_boot=true\nrevocation=\n",
    "[state]\nprotection=tpm\nsecure_boot=true\nrevocation=0000000000000000000000000000000000000000000000000000000000000000\n",
    "[state]\nprotection=tpm\nsecure_boot=true\nseal_problem=the firmware has no log\n",
    "[state]\n",
    "nothing",
  };
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autofree char *said = NULL, *text = NULL;
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 1);
  found_good (&world);
  for (gsize i = 0; i < G_N_ELEMENTS (not_yet); i++) {
    sealed_as (&world, not_yet[i]);
    expect_failure (&world, takes, update, FLOE_ERROR_REFUSED, 0);
    g_free (said);
    said = told (&world);
    g_assert_true ((i == 3) == (strstr (said, "no log") != NULL));
  }
  g_assert_cmpint (g_unlink (world.state_conf), ==, 0);
  expect_failure (&world, takes, update, FLOE_ERROR_REFUSED, 0);
  g_assert_false (is_forbidden (&world, 1));
  /* A seal without PCR 7. */
  sealed_as (&world, "[state]\nprotection=tpm\nsecure_boot=false\n");
  expect (&world, takes, update, "has taken 1", 1);
  g_assert_cmpint (g_unlink (world.dbx), ==, 0);
  floe_digest_of (g_bytes_get_data (update, NULL), g_bytes_get_size (update), &digest);
  floe_digest_to_hex (&digest, hex);
  text = g_strdup_printf ("[state]\nprotection=tpm\nsecure_boot=true\nrevocation=%s\n", hex);
  sealed_as (&world, text);
  expect (&world, takes, update, "has taken 1", 1);
  /* And nothing is in the way of what firmware has. */
  sealed_as (&world, not_yet[0]);
  expect (&world, takes, update, "has all 1", 0);
}

static void
test_no_secure_boot (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 1);
  found_good (&world);
  put_variable (&world, SECURE_BOOT, "\0", 1);
  expect (&world, takes, update, "without Secure Boot", 0);
  put_variable (&world, SECURE_BOOT, "", 0);
  expect (&world, takes, update, "without Secure Boot", 0);
  g_assert_false (g_file_test (world.dbx, G_FILE_TEST_EXISTS));
}

/* Each is told, and no longer once it is over. */
static void
test_firmware_fails (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autofree char *said = NULL;

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 1);
  found_good (&world);
  expect_failure (&world, is_full, update, FLOE_ERROR_NO_SPACE, 1);
  expect_failure (&world, lies, update, FLOE_ERROR_PEER, 1);
  put_variable (&world, DBX, "no list", 7);
  expect_failure (&world, takes, update, FLOE_ERROR_INVALID, 0);
  g_assert_cmpint (g_unlink (world.dbx), ==, 0);
  g_assert_cmpint (g_mkdir (world.dbx, 0755), ==, 0);
  expect_failure (&world, takes, update, FLOE_ERROR_IO, 0);
  g_assert_cmpint (g_rmdir (world.dbx), ==, 0);
  /* Neither the version nor an update suffers from it. */
  found_good (&world);
  said = told (&world);
  g_assert_nonnull (strstr (said, "older versions are not kept from starting"));
  expect (&world, takes, update, "has taken 1", 1);
  g_free (said);
  said = told (&world);
  g_assert_cmpstr (said, ==, "");
}

static void
test_never_itself (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL, junk = g_bytes_new_static ("junk", 4);

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 2);
  found_good (&world);
  expect_failure (&world, takes, update, FLOE_ERROR_REFUSED, 0);
  expect_failure (&world, takes, junk, FLOE_ERROR_INVALID, 0);
  g_assert_false (is_forbidden (&world, 1));
}

/* The kernel's form, by the function that hands it over. A plain file has no firmware behind it: what was written lies there. */
static void
test_written (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GBytes) update = NULL;
  g_autofree char *content = NULL;
  gsize size;

  if (!world_make (&world, 2, 1))
    return;
  update = dbx_forge_update (&world.kernels[1], 1);
  found_good (&world);
  expect_failure (&world, floe_efivar_append, update, FLOE_ERROR_INVALID, 0);
  g_assert_true (g_file_get_contents (world.dbx, &content, &size, NULL));
  g_assert_cmpmem (content, 4, "\x67\0\0\0", 4);
  g_assert_cmpmem (content + 4, size - 4, g_bytes_get_data (update, NULL), g_bytes_get_size (update));
}

/* -- Updates that firmware would not start --------------------------------------------------------------------------- */

static void
expect_update (World *world, FloeError code)
{
  g_autoptr (GError) error = NULL;
  FloeSlotOutcome outcome = FLOE_SLOT_CURRENT;
  gboolean done = slot_world_update (world->slots, &outcome, &error);

  if (code == 0) {
    g_assert_no_error (error);
    g_assert_true (done && outcome == FLOE_SLOT_INSTALLED);
    return;
  }
  g_assert_false (done);
  g_assert_error (error, FLOE_ERROR, (int) code);
}

/* An older version that signed metadata lets come back. With OTHER it lies in the other slot already, whole. */
static void
test_update (gconstpointer other)
{
  g_auto (World) world = { NULL };
  g_autoptr (GByteArray) lists = g_byte_array_new ();
  g_autofree char *said = NULL;

  if (!world_make (&world, 2, GPOINTER_TO_INT (other)))
    return;
  world.slots->options.efivars = world.efivars;
  found_good (&world);
  slot_world_publish (world.slots, 1, TRUE);
  dbx_forge_images (lists, &world.kernels[3], 1);
  dbx_forge_images (lists, &world.kernels[1], 1);
  put_variable (&world, DBX, lists->data, lists->len);
  expect_update (&world, FLOE_ERROR_REFUSED);
  said = told (&world);
  g_assert_nonnull (strstr (said, "version 1 was revoked on this machine"));
  g_assert_cmpint (slot_world_next (world.slots), ==, 2);
  g_assert_true (slot_world_has_entry (world.slots, "floe_2.efi"));
  g_assert_true (slot_world_has_entry (world.slots, "floe_1.efi") == (other != NULL));
  /* The number that keeps older ones from the state was not lowered for it: this version may still revoke. */
  expect (&world, takes, NULL, "revokes none", 0);
  /* A list that is none says nothing against an update; nor does one that has others. */
  put_variable (&world, DBX, "no list", 7);
  expect_update (&world, 0);
  g_assert_cmpint (slot_world_next (world.slots), ==, 1);
  g_byte_array_set_size (lists, 28 + 48);
  put_variable (&world, DBX, lists->data, lists->len);
  expect_update (&world, 0);
  expect (&world, takes, NULL, "an older one was asked for", 0);
}

static void
test_newer (void)
{
  g_auto (World) world = { NULL };
  g_autoptr (GByteArray) lists = g_byte_array_new ();

  if (!world_make (&world, 2, 0))
    return;
  world.slots->options.efivars = world.efivars;
  found_good (&world);
  slot_world_publish (world.slots, 3, FALSE);
  dbx_forge_images (lists, &world.kernels[3], 1);
  put_variable (&world, DBX, lists->data, lists->len);
  expect_update (&world, FLOE_ERROR_REFUSED);
  g_assert_false (slot_world_has_entry (world.slots, "floe_3+3.efi"));
  g_assert_cmpint (g_unlink (world.dbx), ==, 0);
  expect_update (&world, 0);
  g_assert_true (slot_world_has_entry (world.slots, "floe_3+3.efi"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* A list that is none is warned of. */
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/slot-revoke/once", test_once);
  g_test_add_func ("/slot-revoke/beside-others", test_beside_others);
  g_test_add_func ("/slot-revoke/put-together", test_put_together);
  g_test_add_func ("/slot-revoke/sealed", test_sealed);
  g_test_add_func ("/slot-revoke/no-secure-boot", test_no_secure_boot);
  g_test_add_func ("/slot-revoke/firmware-fails", test_firmware_fails);
  g_test_add_func ("/slot-revoke/never-itself", test_never_itself);
  g_test_add_func ("/slot-revoke/written", test_written);
  g_test_add_data_func ("/slot-revoke/update/other-slot-empty", NULL, test_update);
  g_test_add_data_func ("/slot-revoke/update/other-slot-has-it", GINT_TO_POINTER (1), test_update);
  g_test_add_func ("/slot-revoke/newer", test_newer);
  return g_test_run ();
}
