/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-install-words.h"

#include "console-ui/floe-console-text.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define NAME_MAX_CHARS 32
#define TEXT_MAX_CHARS 60
#define SENTENCE_MAX_CHARS 300
#define DISKS_MAX 32
#define LOSSES_MAX 32

void
floe_install_disk_words_free (FloeInstallDiskWords *disk)
{
  if (disk == NULL)
    return;
  g_free (disk->name);
  g_free (disk->title);
  g_free (disk->detail);
  g_free (disk->problem);
  g_free (disk->note);
  g_strfreev (disk->losses);
  g_free (disk);
}

static char *
take_text (GVariant *dict, const char *key, size_t max)
{
  const char *text = NULL;

  return floe_text_plain (g_variant_lookup (dict, key, "&s", &text) ? text : "", max);
}

static guint64
take_number (GVariant *dict, const char *key)
{
  guint64 number = 0;

  return g_variant_lookup (dict, key, "t", &number) ? number : 0;
}

static gboolean
take_flag (GVariant *dict, const char *key)
{
  gboolean flag = FALSE;

  return g_variant_lookup (dict, key, "b", &flag) && flag;
}

/* Names are typed back: letters and digits, as the kernel has them. */
static gboolean
can_be_typed (const char *name)
{
  for (const char *at = name; *at != '\0'; at++)
    if (!g_ascii_isalnum (*at))
      return FALSE;
  return name[0] != '\0';
}

static char *
title_of (GVariant *dict)
{
  g_autofree char *model = take_text (dict, "model", TEXT_MAX_CHARS), *size = floe_text_size (take_number (dict, "size"));

  /* Translators: model of a disk, then its size. */
  return g_strdup_printf (_ ("%s, %s"), model[0] != '\0' ? model : _ ("Disk"), size);
}

static char *
detail_of (GVariant *dict)
{
  static const struct {
    const char *bus, *words;
  } known[] = {
    { "usb", N_ ("on USB") }, { "nvme", N_ ("built in, NVMe") }, { "ata", N_ ("built in, SATA") }, { "mmc", N_ ("memory card") }, { "virtio", N_ ("virtual disk") },
  };
  g_autofree char *bus = take_text (dict, "bus", NAME_MAX_CHARS), *serial = take_text (dict, "serial", TEXT_MAX_CHARS);
  const char *where = "";

  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].bus, bus) == 0)
      where = _ (known[i].words);
  if (serial[0] == '\0')
    return g_strdup (where);
  /* Translators: serial number of a disk. */
  return where[0] == '\0' ? g_strdup_printf (_ ("serial number %s"), serial) : g_strdup_printf (_ ("%s, serial number %s"), where, serial);
}

static char *
problem_of (GVariant *dict, guint64 needed)
{
  g_autofree char *problem = take_text (dict, "problem", NAME_MAX_CHARS), *size = floe_text_size (needed);

  if (problem[0] == '\0')
    return g_strdup ("");
  if (strcmp (problem, "small") == 0)
    return g_strdup_printf (_ ("Too small: %s are needed."), size);
  if (strcmp (problem, "read-only") == 0)
    return g_strdup (_ ("It is write-protected."));
  return g_strdup (_ ("Floe cannot be started from a disk of this kind."));
}

/* "sda1: Windows (ntfs), 500 GB" */
static char *
loss_of (GVariant *dict, guint64 size)
{
  g_autofree char *name = take_text (dict, "name", NAME_MAX_CHARS), *label = take_text (dict, "label", TEXT_MAX_CHARS);
  g_autofree char *system = take_text (dict, "file_system", NAME_MAX_CHARS), *bytes = floe_text_size (size);

  if (label[0] != '\0' && system[0] != '\0')
    return g_strdup_printf ("%s: “%s” (%s), %s", name, label, system, bytes);
  if (label[0] != '\0' || system[0] != '\0')
    return g_strdup_printf (label[0] != '\0' ? "%s: “%s”, %s" : "%s: %s, %s", name, label[0] != '\0' ? label : system, bytes);
  return g_strdup_printf ("%s: %s", name, bytes);
}

static char **
losses_of (GVariant *dict)
{
  g_autoptr (GVariant) partitions = g_variant_lookup_value (dict, "partitions", G_VARIANT_TYPE ("aa{sv}"));
  g_autofree char *system = take_text (dict, "file_system", NAME_MAX_CHARS);
  GPtrArray *losses = g_ptr_array_new ();
  gsize count = partitions != NULL ? g_variant_n_children (partitions) : 0;

  for (gsize i = 0; i < count && losses->len < LOSSES_MAX; i++) {
    g_autoptr (GVariant) one = g_variant_get_child_value (partitions, i);

    g_ptr_array_add (losses, loss_of (one, take_number (one, "size")));
  }
  if (count > LOSSES_MAX)
    g_ptr_array_add (losses, g_strdup_printf (_ ("and %u more"), (guint) (count - LOSSES_MAX)));
  if (count == 0 && system[0] != '\0')
    g_ptr_array_add (losses, loss_of (dict, take_number (dict, "size")));
  else if (count == 0)
    g_ptr_array_add (losses, g_strdup (_ ("No partition and no file system is known on it; whatever else is there is lost.")));
  g_ptr_array_add (losses, NULL);
  return (char **) g_ptr_array_free (losses, FALSE);
}

GPtrArray *
floe_install_disk_words (GVariant *disks, guint64 needed)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_install_disk_words_free);
  gsize count = disks != NULL && g_variant_is_of_type (disks, G_VARIANT_TYPE ("aa{sv}")) ? g_variant_n_children (disks) : 0;

  for (gsize i = 0; i < count && list->len < DISKS_MAX; i++) {
    g_autoptr (GVariant) dict = g_variant_get_child_value (disks, i);
    FloeInstallDiskWords *disk;
    g_autofree char *name = take_text (dict, "name", NAME_MAX_CHARS);

    if (!can_be_typed (name))
      continue;
    disk = g_new0 (FloeInstallDiskWords, 1);
    disk->name = g_steal_pointer (&name);
    disk->title = title_of (dict);
    disk->detail = detail_of (dict);
    disk->problem = problem_of (dict, needed);
    disk->note = g_strdup (take_flag (dict, "interrupted") ? _ ("An installation on it was interrupted. Start it again, or take another disk.") : "");
    disk->losses = losses_of (dict);
    disk->sequence = take_number (dict, "sequence");
    g_ptr_array_add (list, disk);
  }
  return list;
}

const char *
floe_install_step_words (const char *step)
{
  if (step != NULL && strcmp (step, "writing") == 0)
    return _ ("Writing. Do not turn the computer off, and leave the USB key in.");
  if (step != NULL && strcmp (step, "verifying") == 0)
    return _ ("Reading back what was written…");
  if (step != NULL && strcmp (step, "finishing") == 0)
    return _ ("Finishing…");
  return _ ("Checking the USB key. Nothing is written yet…");
}

char *
floe_install_problem_words (const char *problem, const char *detail)
{
  static const struct {
    const char *problem, *words;
  } known[] = {
    { "busy", N_ ("The disk is in use. Nothing was written.") },
    { "notfound", N_ ("The disk is not there any more, or it is another one now. Nothing was written.") },
    { "nospace", N_ ("The disk is too small. Nothing was written.") },
    { "unverified", N_ ("What is on the USB key, or what was read back from the disk, is not what it should be. Make the USB key anew, or take another disk.") },
  };
  g_autofree char *plain = floe_text_plain (detail, SENTENCE_MAX_CHARS);

  for (size_t i = 0; problem != NULL && i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].problem, problem) == 0)
      return g_strdup_printf ("%s\n%s", _ (known[i].words), plain);
  /* Translators: %s is what the system reports, in English. */
  return g_strdup_printf (_ ("It did not work: %s"), plain);
}
