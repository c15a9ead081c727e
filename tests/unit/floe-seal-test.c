/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-seal.h"
#include "appliance/floe-dbx.h"
#include "common/floe-fd.h"
#include "tests/lib/dbx-forge.h"
#include "tests/lib/event-log-forge.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define EFIVARS "/sys/firmware/efi/efivars/"
#define SECURE_BOOT EFIVARS "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define DBX EFIVARS "dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define PCR7 "/sys/class/tpm/tpm0/pcr-sha256/7"
#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define UPDATE "/usr/share/floe/boot/dbx.auth"

/* -- A machine's files, and a state ---------------------------------------------------------------------------------- */

typedef struct {
  char *root, *state;
  int dir;
} World;

static void
put (const World *world, const char *name, const void *data, gsize size)
{
  g_autofree char *path = g_strconcat (world->root, name, NULL), *directory = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
}

static void
take_away (const World *world, const char *name)
{
  g_autofree char *path = g_strconcat (world->root, name, NULL);

  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
put_variable (const World *world, const char *name, GBytes *value)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  gsize size;
  const guint8 *data = g_bytes_get_data (value, &size);

  g_byte_array_append (file, (const guint8 *) "\x27\0\0\0", 4);
  if (size > 0)
    g_byte_array_append (file, data, (guint) size);
  put (world, name, file->data, file->len);
}

/* The machine has started with DBX in force. */
static void
started (const World *world, GBytes *dbx)
{
  g_autoptr (EventLogForge) log = event_log_forge_start (dbx);
  g_autofree char *hex = floe_hex_encode (log->pcr7.bytes, FLOE_DIGEST_SIZE), *capitals = g_ascii_strup (hex, -1), *line = g_strconcat (capitals, "\n", NULL);

  put (world, PCR7, line, strlen (line));
  put (world, EVENT_LOG, log->bytes->data, log->bytes->len);
  put_variable (world, DBX, dbx);
}

static void
secure_boot (const World *world, gboolean on)
{
  g_autoptr (GBytes) value = g_bytes_new (on ? "\1" : "\0", 1);

  put_variable (world, SECURE_BOOT, value);
}

static void
world_make (World *world)
{
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);

  world->root = g_dir_make_tmp ("floe-seal-XXXXXX", NULL);
  world->state = g_strconcat (world->root, "/state", NULL);
  g_assert_cmpint (g_mkdir (world->state, 0755), ==, 0);
  world->dir = open (world->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  secure_boot (world, TRUE);
  started (world, none);
}

static void
world_clear (World *world)
{
  const char *arguments[] = { "rm", "-rf", world->root, NULL };

  close (world->dir);
  g_assert_true (g_spawn_sync (NULL, (char **) arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
  g_free (world->root);
  g_free (world->state);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

/* -- A systemd-cryptenroll that is none: the seals that there are, a line each, with the TPM that made them ------------ */

static GString *seals;
static guint runs, fail_at;
static int tpm;

static void
seal_line (GString *line, const char *pcrs)
{
  g_string_printf (line, "%d:%s\n", tpm, pcrs);
}

/* As the true one, it does nothing where there is a seal of the same values already, whosever it is. */
static gboolean
enrolls (const char *const *arguments, GError **error)
{
  g_autoptr (GString) line = g_string_new ("");
  g_autofree char *values = NULL;
  const char *pcrs = NULL, *same;
  gboolean wipe = FALSE;

  if (++runs == fail_at)
    return floe_error_set (error, FLOE_ERROR_FAILED, "cut");
  for (guint i = 0; arguments[i] != NULL; i++) {
    if (g_str_has_prefix (arguments[i], "--tpm2-pcrs="))
      pcrs = arguments[i] + strlen ("--tpm2-pcrs=");
    wipe = wipe || strcmp (arguments[i], "--wipe-slot=tpm2") == 0;
  }
  if (pcrs != NULL) {
    values = g_strconcat (":", pcrs, "\n", NULL);
    same = strstr (seals->str, values);
    if (same != NULL)
      g_string_printf (line, "%c%s", same[-1], values);
    else
      seal_line (line, pcrs);
    if (same != NULL && !wipe)
      return TRUE;
  }
  if (wipe)
    g_string_truncate (seals, 0);
  g_string_append (seals, line->str);
  return TRUE;
}

static gboolean
opens (const FloeSealTarget *target, gboolean next)
{
  g_autofree char *pcrs = floe_seal_pcrs (target, next);
  g_autoptr (GString) line = g_string_new ("");

  seal_line (line, pcrs);
  return strstr (seals->str, line->str) != NULL;
}

/* A start, whose TPM opens the state unless somebody has TYPED its key; RUNS programs are run. */
static gboolean
keep (World *world, gboolean created, gboolean typed, gboolean *prepared, guint wanted_runs, GError **error)
{
  FloeSeal seal = { .dir = world->dir, .device = "/dev/vda6", .key_file = created || typed ? "/key" : NULL, .created = created, .typed = typed, .run = enrolls };
  g_auto (FloeSealTarget) target = { .secure_boot = FALSE };
  gboolean done;

  g_assert_true (floe_seal_target (world->root, &target, NULL));
  if (created) {
    g_autofree char *pcrs = floe_seal_pcrs (&target, FALSE);

    seal_line (seals, pcrs);
  }
  runs = 0;
  done = floe_seal_keep (&seal, &target, prepared, error);
  g_assert_cmpuint (runs, ==, wanted_runs);
  if (done) {
    g_assert_true (opens (&target, FALSE));
    g_assert_true (!target.changes || opens (&target, TRUE));
  }
  return done;
}

static void
keeps (World *world, gboolean created, gboolean typed, guint wanted_runs, gboolean wanted_prepared)
{
  g_autoptr (GError) error = NULL;
  gboolean prepared = !wanted_prepared;

  g_assert_true (keep (world, created, typed, &prepared, wanted_runs, &error));
  g_assert_no_error (error);
  g_assert_cmpint (prepared, ==, wanted_prepared);
}

static guint
count (void)
{
  guint lines = 0;

  for (gsize i = 0; i < seals->len; i++)
    lines += seals->str[i] == '\n' ? 1 : 0;
  return lines;
}

static GBytes *
revocation (void)
{
  FloeDigest old;

  floe_digest_of ("an old kernel image", 19, &old);
  return dbx_forge_update (&old, 1);
}

static void
put_bytes (const World *world, const char *name, GBytes *bytes)
{
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  put (world, name, data, size);
}

/* -- Tests ----------------------------------------------------------------------------------------------------------- */

static void
test_stays (void)
{
  g_auto (World) world = { .dir = -1 };

  world_make (&world);
  keeps (&world, TRUE, FALSE, 0, TRUE);
  g_assert_nonnull (strstr (seals->str, ":7:sha256="));
  /* Nothing is run at a start where nothing has changed. */
  keeps (&world, FALSE, FALSE, 0, TRUE);
  g_assert_cmpuint (count (), ==, 1);
}

/* A list to be handed over: two seals, the second of which opens the state once firmware has taken it, and then is the only one. */
static void
test_revocation (void)
{
  g_auto (World) world = { .dir = -1 };
  g_autoptr (GBytes) update = revocation (), none = g_bytes_new_static ("", 0), dbx = NULL;
  g_auto (FloeSealTarget) before = { .secure_boot = FALSE }, after = { .secure_boot = FALSE };

  world_make (&world);
  keeps (&world, TRUE, FALSE, 0, TRUE);
  put_bytes (&world, UPDATE, update);
  g_assert_true (floe_seal_target (world.root, &before, NULL));
  g_assert_true (before.changes);
  g_assert_cmpstr (before.problem, ==, NULL);
  g_assert_cmpuint (strlen (before.revocation), ==, 64);
  keeps (&world, FALSE, FALSE, 1, TRUE);
  g_assert_cmpuint (count (), ==, 2);
  keeps (&world, FALSE, FALSE, 0, TRUE);
  /* Firmware has taken it. */
  dbx = floe_dbx_appended (none, update, NULL);
  started (&world, dbx);
  g_assert_true (floe_seal_target (world.root, &after, NULL));
  g_assert_false (after.changes);
  g_assert_true (floe_digest_equal (&after.pcr7, &before.next));
  g_assert_true (opens (&after, FALSE));
  keeps (&world, FALSE, FALSE, 1, TRUE);
  g_assert_cmpuint (count (), ==, 1);
  g_assert_false (opens (&before, FALSE));
  keeps (&world, FALSE, FALSE, 0, TRUE);
}

/* At the first start of all, and back at a version that brings no list. */
static void
test_revocation_at_once (void)
{
  g_auto (World) world = { .dir = -1 };
  g_autoptr (GBytes) update = revocation ();

  world_make (&world);
  put_bytes (&world, UPDATE, update);
  keeps (&world, TRUE, FALSE, 1, TRUE);
  g_assert_cmpuint (count (), ==, 2);
  take_away (&world, UPDATE);
  keeps (&world, FALSE, FALSE, 1, TRUE);
  g_assert_cmpuint (count (), ==, 1);
}

/* Where the next start cannot be foretold, the seal is as it was, and nothing may be handed over. */
static void
test_not_foretold (void)
{
  g_auto (World) world = { .dir = -1 };
  g_autoptr (GBytes) update = revocation (), none = g_bytes_new_static ("", 0), other = g_bytes_new_static ("other", 5), dbx = NULL;
  g_auto (FloeSealTarget) target = { .secure_boot = FALSE };

  world_make (&world);
  keeps (&world, TRUE, FALSE, 0, TRUE);
  put_bytes (&world, UPDATE, update);
  /* No log; one that is none; one of another start; a list that changed after the start. */
  take_away (&world, EVENT_LOG);
  keeps (&world, FALSE, FALSE, 0, FALSE);
  put (&world, EVENT_LOG, "log", 3);
  keeps (&world, FALSE, FALSE, 0, FALSE);
  {
    g_autoptr (EventLogForge) log = event_log_forge_start (other);

    put (&world, EVENT_LOG, log->bytes->data, log->bytes->len);
  }
  keeps (&world, FALSE, FALSE, 0, FALSE);
  started (&world, none);
  dbx = floe_dbx_appended (none, update, NULL);
  {
    FloeDigest image;
    g_autoptr (GBytes) somebodys = NULL, changed = NULL;

    floe_digest_of ("somebody else's", 15, &image);
    somebodys = dbx_forge_update (&image, 1);
    changed = floe_dbx_appended (none, somebodys, NULL);
    put_variable (&world, DBX, changed);
  }
  keeps (&world, FALSE, FALSE, 0, FALSE);
  /* Lists that are none. */
  started (&world, none);
  put (&world, UPDATE, "list", 4);
  keeps (&world, FALSE, FALSE, 0, FALSE);
  put_bytes (&world, UPDATE, update);
  put_variable (&world, DBX, other);
  keeps (&world, FALSE, FALSE, 0, FALSE);
  g_assert_true (floe_seal_target (world.root, &target, NULL));
  g_assert_nonnull (target.problem);
  g_assert_cmpuint (count (), ==, 1);
}

/* By the recovery key: sealed to this machine as it is now, unless that would be less than it was. */
static void
test_typed (void)
{
  g_auto (World) world = { .dir = -1 };
  g_autoptr (GBytes) other = g_bytes_new_static ("", 0);
  g_autoptr (GError) error = NULL;
  gboolean prepared;

  world_make (&world);
  keeps (&world, TRUE, FALSE, 0, TRUE);
  /* Another TPM with the same PCR 7. */
  tpm = 1;
  keeps (&world, FALSE, TRUE, 2, TRUE);
  g_assert_cmpuint (count (), ==, 1);
  /* Another setting. */
  {
    FloeDigest image;
    g_autoptr (GBytes) update = NULL, dbx = NULL;

    floe_digest_of ("the maker's", 11, &image);
    update = dbx_forge_update (&image, 1);
    dbx = floe_dbx_appended (other, update, NULL);
    started (&world, dbx);
  }
  keeps (&world, FALSE, TRUE, 2, TRUE);
  keeps (&world, FALSE, FALSE, 0, TRUE);
  secure_boot (&world, FALSE);
  g_assert_false (keep (&world, FALSE, TRUE, &prepared, 0, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_REFUSED);
  g_assert_false (prepared);
  secure_boot (&world, TRUE);
  keeps (&world, FALSE, FALSE, 0, TRUE);
}

/* Without Secure Boot there is no PCR 7 in the seal; once it is on there is. */
static void
test_without (void)
{
  g_auto (World) world = { .dir = -1 };
  g_autoptr (GBytes) update = revocation ();

  world_make (&world);
  secure_boot (&world, FALSE);
  put_bytes (&world, UPDATE, update);
  take_away (&world, PCR7);
  keeps (&world, TRUE, FALSE, 0, TRUE);
  g_assert_null (strstr (seals->str, ":7:"));
  keeps (&world, FALSE, FALSE, 0, TRUE);
  keeps (&world, FALSE, TRUE, 2, TRUE);
  take_away (&world, UPDATE);
  {
    g_autoptr (GBytes) none = g_bytes_new_static ("", 0);

    secure_boot (&world, TRUE);
    started (&world, none);
  }
  keeps (&world, FALSE, FALSE, 1, TRUE);
  g_assert_nonnull (strstr (seals->str, ":7:sha256="));
  g_assert_cmpuint (count (), ==, 1);
}

/* A state of a version that wrote nothing down, and a record that is none: sealed anew. */
static void
test_unknown (void)
{
  g_auto (World) world = { .dir = -1 };

  world_make (&world);
  g_string_assign (seals, "0:12:sha256=0\n");
  keeps (&world, FALSE, FALSE, 1, TRUE);
  g_assert_cmpuint (count (), ==, 1);
  put (&world, "/state/seal.conf", "not\0 a record", 13);
  keeps (&world, FALSE, FALSE, 1, TRUE);
  put (&world, "/state/seal.conf", "[seal]\npcr7=00\nnext=11\n", 23);
  keeps (&world, FALSE, FALSE, 1, TRUE);
  keeps (&world, FALSE, FALSE, 0, TRUE);
}

/* The machine dies, or the program fails, at each step: the TPM opens the state at the next start, and then all is as it should be. */
static void
test_cut (void)
{
  g_autoptr (GBytes) update = revocation ();

  for (guint at = 1; at <= 2; at++)
    for (int known = 0; known <= 1; known++) {
      g_auto (World) world = { .dir = -1 };
      g_auto (FloeSealTarget) target = { .secure_boot = FALSE };
      g_autoptr (GError) error = NULL;
      gboolean prepared;

      world_make (&world);
      keeps (&world, TRUE, FALSE, 0, TRUE);
      put_bytes (&world, UPDATE, update);
      if (!known)
        take_away (&world, "/state/seal.conf");
      if (known && at == 2)
        continue;
      fail_at = at;
      g_assert_false (keep (&world, FALSE, FALSE, &prepared, at, &error));
      g_assert_error (error, FLOE_ERROR, FLOE_ERROR_FAILED);
      g_assert_false (prepared);
      fail_at = 0;
      g_assert_true (floe_seal_target (world.root, &target, NULL));
      g_assert_true (opens (&target, FALSE));
      keeps (&world, FALSE, FALSE, known ? 1 : 2, TRUE);
      g_assert_cmpuint (count (), ==, 2);
    }
}

/* Nothing can be sealed where the TPM or the firmware says nothing that makes sense. */
static void
test_no_target (void)
{
  static const char *const values[] = { "", "0123", "zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "/" };
  g_auto (World) world = { .dir = -1 };

  world_make (&world);
  for (gsize i = 0; i < G_N_ELEMENTS (values); i++) {
    g_auto (FloeSealTarget) target = { .secure_boot = FALSE };
    g_autoptr (GError) error = NULL;

    put (&world, PCR7, values[i], strlen (values[i]));
    g_assert_false (floe_seal_target (world.root, &target, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  seals = g_string_new ("");
  g_test_add_func ("/seal/stays", test_stays);
  g_test_add_func ("/seal/revocation", test_revocation);
  g_test_add_func ("/seal/revocation-at-once", test_revocation_at_once);
  g_test_add_func ("/seal/not-foretold", test_not_foretold);
  g_test_add_func ("/seal/typed", test_typed);
  g_test_add_func ("/seal/without", test_without);
  g_test_add_func ("/seal/unknown", test_unknown);
  g_test_add_func ("/seal/cut", test_cut);
  g_test_add_func ("/seal/no-target", test_no_target);
  result = g_test_run ();
  g_string_free (seals, TRUE);
  return result;
}
