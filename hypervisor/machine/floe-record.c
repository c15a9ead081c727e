/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-record.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "hypervisor/net/floe-net.h"
#include "server-sync/image/floe-image-info.h"

#include <string.h>

#define FORM 1
#define RUN_FORM 2 /* with several cards */
#define PID_LIMIT (1 << 22) /* PID_MAX_LIMIT of 64-bit kernels */
#define DESKTOP_MAX_MS (INT64_C (1) << 40)

static const char *const accelerator_names[] = { "tcg", "kvm", NULL };

void
floe_run_record_free (FloeRunRecord *record)
{
  if (record == NULL)
    return;
  for (size_t i = 0; i < FLOE_POLICY_CARDS_MAX; i++)
    g_free (record->cards[i]);
  g_free (record->image);
  g_free (record->fingerprint);
  g_free (record);
}

void
floe_disk_record_free (FloeDiskRecord *record)
{
  if (record == NULL)
    return;
  g_free (record->image);
  g_free (record->suspended);
  g_free (record);
}

/* -- Pieces ----------------------------------------------------------------------------------------------------------- */

/* "NAME/VERSION"; what is in it becomes a path. */
static char *
read_label (FloeJson *value, gboolean may_be_empty)
{
  const char *label = floe_json_string (value, 200);
  g_auto (GStrv) parts = floe_image_label_split (label, NULL);

  if (parts == NULL && !(may_be_empty && *label == '\0'))
    floe_json_refuse (value, "NAME/VERSION wanted");
  return g_strdup (label);
}

static char *
read_fingerprint (FloeJson *value, gboolean may_be_empty)
{
  const char *hex = floe_json_string (value, FLOE_DIGEST_HEX_SIZE);
  FloeDigest digest;

  if (!(may_be_empty && *hex == '\0') && !floe_digest_from_hex (hex, &digest, NULL))
    floe_json_refuse (value, "64 hexadecimal digits wanted");
  return g_strdup (hex);
}

static unsigned
read_slot (FloeJson *root)
{
  return (unsigned)floe_json_int (floe_json_member (root, "slot"), 0, FLOE_MACHINE_SLOTS - 1);
}

static void
read_process (FloeJson *process, gint64 *pid, guint64 *start)
{
  *pid = floe_json_int (floe_json_member (process, "pid"), 2, PID_LIMIT);
  *start = (guint64)floe_json_int (floe_json_member (process, "start"), 1, G_MAXINT64);
}

static void
read_cards (FloeJson *cards, FloeRunRecord *record)
{
  size_t n_cards = floe_json_length (cards, FLOE_POLICY_CARDS_MAX);

  for (size_t i = 0; i < n_cards; i++) {
    const char *name = floe_json_string (floe_json_at (cards, i), FLOE_POLICY_ID_MAX);

    if (!floe_name_is_safe (name))
      floe_json_refuse (floe_json_at (cards, i), "the name of a network wanted");
    record->cards[i] = g_strdup (name);
  }
}

static FloeJson *
open_record (FloeJsonDocument *document, int form)
{
  FloeJson *root = floe_json_root (document);

  (void)floe_json_int (floe_json_member (root, "floe"), form, form);
  return root;
}

static GBytes *
dump (json_t *value)
{
  char *text = json_dumps (value, JSON_INDENT (1));
  GBytes *bytes = g_bytes_new (text, strlen (text));

  free (text);
  json_decref (value);
  return bytes;
}

/* -- Running ---------------------------------------------------------------------------------------------------------- */

FloeRunRecord *
floe_run_record_parse (GBytes *bytes, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, source, FLOE_RECORD_MAX_BYTES, error);
  g_autoptr (FloeRunRecord) record = NULL;
  FloeJson *root, *nbdkit;

  if (document == NULL)
    return NULL;
  record = g_new0 (FloeRunRecord, 1);
  root = open_record (document, RUN_FORM);
  record->slot = read_slot (root);
  read_process (floe_json_member (root, "qemu"), &record->qemu_pid, &record->qemu_start);
  nbdkit = floe_json_optional (root, "nbdkit");
  if (nbdkit != NULL)
    read_process (nbdkit, &record->nbdkit_pid, &record->nbdkit_start);
  record->accelerator = floe_json_enum (floe_json_member (root, "accelerator"), accelerator_names) == 1
                            ? FLOE_ACCELERATOR_KVM
                            : FLOE_ACCELERATOR_TCG;
  read_cards (floe_json_member (root, "cards"), record);
  record->usb = floe_json_bool (floe_json_optional (root, "usb"));
  record->started_us = floe_json_int (floe_json_member (root, "started_us"), 0, G_MAXINT64);
  record->desktop_s = (double)floe_json_int (floe_json_member (root, "desktop_ms"), 0, DESKTOP_MAX_MS) / 1000.0;
  record->image = read_label (floe_json_member (root, "image"), FALSE);
  record->fingerprint = read_fingerprint (floe_json_member (root, "fingerprint"), FALSE);
  if (!floe_json_finish (document, error))
    return NULL;
  return g_steal_pointer (&record);
}

GBytes *
floe_run_record_build (const FloeRunRecord *record)
{
  json_t *cards = json_array ();
  json_t *root;

  for (size_t i = 0; record->cards[i] != NULL; i++)
    json_array_append_new (cards, json_string (record->cards[i]));
  root = json_pack ("{s:i,s:i,s:{s:I,s:I},s:s,s:o,s:I,s:I,s:s,s:s}", "floe", RUN_FORM, "slot", (int)record->slot, "qemu", "pid",
                    (json_int_t)record->qemu_pid, "start", (json_int_t)record->qemu_start, "accelerator",
                    floe_accelerator_name (record->accelerator), "cards", cards, "started_us", (json_int_t)record->started_us,
                    "desktop_ms", (json_int_t)(record->desktop_s * 1000), "image", record->image, "fingerprint",
                    record->fingerprint);

  if (record->usb)
    json_object_set_new (root, "usb", json_true ());
  if (record->nbdkit_pid != 0)
    json_object_set_new (
        root, "nbdkit",
        json_pack ("{s:I,s:I}", "pid", (json_int_t)record->nbdkit_pid, "start", (json_int_t)record->nbdkit_start));
  return dump (root);
}

/* -- Kept ------------------------------------------------------------------------------------------------------------- */

FloeDiskRecord *
floe_disk_record_parse (GBytes *bytes, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, source, FLOE_RECORD_MAX_BYTES, error);
  g_autoptr (FloeDiskRecord) record = NULL;
  FloeJson *root;

  if (document == NULL)
    return NULL;
  record = g_new0 (FloeDiskRecord, 1);
  root = open_record (document, FORM);
  record->slot = read_slot (root);
  record->image = read_label (floe_json_member (root, "image"), TRUE);
  record->suspended = read_fingerprint (floe_json_member (root, "suspended"), TRUE);
  if (!floe_json_finish (document, error))
    return NULL;
  return g_steal_pointer (&record);
}

GBytes *
floe_disk_record_build (const FloeDiskRecord *record)
{
  return dump (json_pack ("{s:i,s:i,s:s,s:s}", "floe", FORM, "slot", (int)record->slot, "image", record->image, "suspended",
                          record->suspended));
}
