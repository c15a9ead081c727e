/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/probe/floe-hardware.h"

#include "common/floe-fd.h"

#include <string.h>

#define FILE_MAX_BYTES 16384
#define ENTRIES_MAX 64
#define LITTLE_MIB 3500 /* below: one small desktop at a time. A computer of 4 GB shows somewhat less */
#define TOO_LITTLE_MIB 1700
#define SECURE_BOOT "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c" /* UEFI specification, 3.3 */
#define EFI_VARIABLE_SIZE 5 /* four bytes of attributes, one of value */

const char *
floe_hardware_level_name (FloeHardwareLevel level)
{
  static const char *const names[] = { "good", "note", "bad" };

  return names[level];
}

/* -- Reading -------------------------------------------------------------------------------------------------------- */

static GBytes *
read_bytes (const char *root, const char *path)
{
  g_autofree char *whole = g_strdup_printf ("%s/%s", root, path);

  return floe_file_read (whole, FILE_MAX_BYTES, NULL);
}

/* Text without its last line end; "" for a file that is not there or cannot be read now. */
static char *
read_text (const char *root, const char *path)
{
  g_autoptr (GBytes) bytes = read_bytes (root, path);
  gsize size = 0;
  const char *data = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  return g_strchomp (g_strndup (data != NULL ? data : "", size));
}

static gboolean
exists (const char *root, const char *path)
{
  g_autofree char *whole = g_strdup_printf ("%s/%s", root, path);

  return g_file_test (whole, G_FILE_TEST_EXISTS);
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Names in a directory, sorted; those that are no ordinary names are left out. */
static GPtrArray *
list (const char *root, const char *path)
{
  g_autofree char *whole = g_strdup_printf ("%s/%s", root, path);
  g_autoptr (GDir) dir = g_dir_open (whole, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  while (dir != NULL && names->len < ENTRIES_MAX && (name = g_dir_read_name (dir)) != NULL)
    if (floe_name_is_safe (name))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, by_name);
  return names;
}

static void
add (GPtrArray *items, const char *id, const char *state, FloeHardwareLevel level, const char *detail, const char *text)
{
  FloeHardwareItem *item = g_new0 (FloeHardwareItem, 1);

  item->id = id;
  item->state = state;
  item->level = level;
  item->detail = g_strdup (detail);
  item->text = g_strdup (text);
  g_ptr_array_add (items, item);
}

static void
item_free (gpointer data)
{
  FloeHardwareItem *item = data;

  g_free (item->detail);
  g_free (item->text);
  g_free (item);
}

/* -- Items ---------------------------------------------------------------------------------------------------------- */

static void
check_kvm (GPtrArray *items, FloeAccelerator accelerator, const char *reason)
{
  g_autofree char *text = NULL;

  if (accelerator == FLOE_ACCELERATOR_KVM) {
    add (items, "kvm", "works", FLOE_HARDWARE_GOOD, "", "Hardware virtualisation works (KVM).");
    return;
  }
  text = g_strdup_printf ("No hardware virtualisation: %s. Desktops are emulated, slowly, where policy allows it, and do not start elsewhere.", reason);
  add (items, "kvm", "absent", FLOE_HARDWARE_BAD, reason, text);
}

/* MemTotal of proc_meminfo(5) in MiB; 0 when it cannot be told. */
static guint64
total_memory (const char *root)
{
  g_autofree char *meminfo = read_text (root, "proc/meminfo");
  const char *value = g_str_has_prefix (meminfo, "MemTotal:") ? meminfo + strlen ("MemTotal:") : "";
  guint64 kib = 0;

  while (*value == ' ')
    value++;
  while (g_ascii_isdigit (*value) && kib < G_MAXUINT64 / 100)
    kib = kib * 10 + (guint64) g_ascii_digit_value (*value++);
  return g_str_has_prefix (value, " kB") ? kib / 1024 : 0;
}

static void
check_memory (GPtrArray *items, const char *root)
{
  guint64 mib = total_memory (root);
  g_autofree char *detail = g_strdup_printf ("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, mib / 1024, mib % 1024 * 10 / 1024);
  g_autofree char *text = NULL;

  if (mib == 0) {
    add (items, "memory", "unknown", FLOE_HARDWARE_NOTE, "", "How much memory there is cannot be told.");
  } else if (mib < TOO_LITTLE_MIB) {
    text = g_strdup_printf ("%s GiB of memory: too little for a desktop.", detail);
    add (items, "memory", "too-little", FLOE_HARDWARE_BAD, detail, text);
  } else if (mib < LITTLE_MIB) {
    text = g_strdup_printf ("%s GiB of memory: enough for one small desktop at a time.", detail);
    add (items, "memory", "little", FLOE_HARDWARE_NOTE, detail, text);
  } else {
    text = g_strdup_printf ("%s GiB of memory.", detail);
    add (items, "memory", "enough", FLOE_HARDWARE_GOOD, detail, text);
  }
}

/* Of the appliance, whether its state was sealed to the TPM: docs/appliance.md. FALSE where nothing says so. */
static gboolean
state_is_open (const char *root)
{
  g_autofree char *path = g_strdup_printf ("%s/run/floe/state.conf", root), *protection = NULL;
  g_autoptr (GKeyFile) state = g_key_file_new ();

  if (g_key_file_load_from_file (state, path, G_KEY_FILE_NONE, NULL))
    protection = g_key_file_get_string (state, "state", "protection", NULL);
  return g_strcmp0 (protection, "none") == 0;
}

/* By sysfs and not by /dev, of which a unit may see less. The kernel makes tpmrm0 for a TPM 2.0 (drivers/char/tpm/tpm-chip.c). */
static void
check_tpm (GPtrArray *items, const char *root)
{
  g_autofree char *version = read_text (root, "sys/class/tpm/tpm0/tpm_version_major");

  if (!exists (root, "sys/class/tpm/tpm0"))
    add (items, "tpm", "absent", FLOE_HARDWARE_NOTE, "",
         "No TPM, or it is turned off in the firmware: what is stored is not bound to this computer.");
  else if (strcmp (version, "2") != 0)
    add (items, "tpm", "old", FLOE_HARDWARE_NOTE, "", "The TPM is older than 2.0 and is not used: what is stored is not bound to this computer.");
  else if (!exists (root, "sys/class/tpmrm/tpmrm0"))
    add (items, "tpm", "closed", FLOE_HARDWARE_NOTE, "", "There is a TPM 2.0, and no way to it (tpmrm0): what is stored is not bound to this computer.");
  else if (state_is_open (root))
    add (items, "tpm", "unused", FLOE_HARDWARE_NOTE, "", "TPM 2.0; what is stored was made without it and is not bound to this computer.");
  else
    add (items, "tpm", "works", FLOE_HARDWARE_GOOD, "", "TPM 2.0.");
}

static void
check_secure_boot (GPtrArray *items, const char *root)
{
  g_autoptr (GBytes) variable = read_bytes (root, SECURE_BOOT);
  gsize size = 0;
  const guint8 *data = variable != NULL ? g_bytes_get_data (variable, &size) : NULL;

  if (!exists (root, "sys/firmware/efi"))
    add (items, "secure-boot", "bios", FLOE_HARDWARE_NOTE, "",
         "Started by a BIOS, or in its compatibility mode: there is no Secure Boot. Choose UEFI in the firmware.");
  else if (size == EFI_VARIABLE_SIZE && data[EFI_VARIABLE_SIZE - 1] == 1)
    add (items, "secure-boot", "on", FLOE_HARDWARE_GOOD, "", "Secure Boot is on.");
  else if (size == EFI_VARIABLE_SIZE && data[EFI_VARIABLE_SIZE - 1] == 0)
    add (items, "secure-boot", "off", FLOE_HARDWARE_NOTE, "", "Secure Boot is off: the firmware starts whatever it finds. Turn it on in the firmware.");
  else
    add (items, "secure-boot", "unknown", FLOE_HARDWARE_NOTE, "", "The firmware does not tell whether Secure Boot is on.");
}

static void
check_network (GPtrArray *items, const char *root)
{
  g_autoptr (GPtrArray) names = list (root, "sys/class/net");
  g_autoptr (GString) cards = g_string_new (NULL), linked = g_string_new (NULL);
  g_autofree char *text = NULL;

  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *device = g_strdup_printf ("sys/class/net/%s/device", name);
    g_autofree char *path = g_strdup_printf ("sys/class/net/%s/carrier", name);
    g_autofree char *carrier = read_text (root, path);

    if (!exists (root, device))
      continue; /* made by software */
    g_string_append_printf (cards, "%s%s", cards->len > 0 ? ", " : "", name);
    if (strcmp (carrier, "1") == 0)
      g_string_append_printf (linked, "%s%s", linked->len > 0 ? ", " : "", name);
  }
  if (linked->len > 0) {
    text = g_strdup_printf ("Network: %s.", linked->str);
    add (items, "network", "link", FLOE_HARDWARE_GOOD, linked->str, text);
  } else if (cards->len > 0) {
    text = g_strdup_printf ("No network card has a link (%s): plug in a cable.", cards->str);
    add (items, "network", "no-link", FLOE_HARDWARE_BAD, cards->str, text);
  } else {
    add (items, "network", "absent", FLOE_HARDWARE_BAD, "", "There is no network card, or none that this system knows: nothing can be fetched.");
  }
}

static void
check_graphics (GPtrArray *items, const char *root)
{
  g_autoptr (GPtrArray) names = list (root, "sys/class/drm");
  guint cards = 0, screens = 0;
  g_autofree char *detail = NULL, *text = NULL;

  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *path = g_strdup_printf ("sys/class/drm/%s/status", name);
    g_autofree char *status = read_text (root, path);

    if (!g_str_has_prefix (name, "card"))
      continue;
    cards += strchr (name, '-') == NULL;
    screens += strcmp (status, "connected") == 0;
  }
  detail = g_strdup_printf ("%u", screens);
  if (cards == 0) {
    add (items, "graphics", "absent", FLOE_HARDWARE_BAD, "", "There is no graphics card that this system knows: desktops are not shown.");
  } else if (screens == 0) {
    add (items, "graphics", "no-screen", FLOE_HARDWARE_NOTE, "", "There is a graphics card, and no screen on it.");
  } else {
    text = g_strdup_printf ("Graphics: %u %s.", screens, screens == 1 ? "screen" : "screens");
    add (items, "graphics", "works", FLOE_HARDWARE_GOOD, detail, text);
  }
}

GPtrArray *
floe_hardware_check (const char *root, FloeAccelerator accelerator, const char *accelerator_reason, const char *const *lacking)
{
  GPtrArray *items = g_ptr_array_new_with_free_func (item_free);

  check_kvm (items, accelerator, accelerator_reason);
  check_memory (items, root);
  check_tpm (items, root);
  check_secure_boot (items, root);
  check_network (items, root);
  check_graphics (items, root);
  if (lacking != NULL && *lacking != NULL) {
    g_autofree char *text = g_strjoinv ("; ", (char **) lacking);

    add (items, "kernel", "lacking", FLOE_HARDWARE_BAD, text, text);
  }
  return items;
}
