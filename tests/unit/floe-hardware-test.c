/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/probe/floe-hardware.h"

#include "console-ui/floe-setup-words.h"

#include <glib/gstdio.h>
#include <string.h>

/* A fake root: what the kernel would show, in files. */

#define EFI "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void
put (const char *root, const char *path, const char *data, gssize size)
{
  g_autofree char *whole = g_build_filename (root, path, NULL), *dir = g_path_get_dirname (whole);

  g_assert_cmpint (g_mkdir_with_parents (dir, 0700), ==, 0);
  g_assert_true (g_file_set_contents (whole, data, size, NULL));
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *below = g_build_filename (path, name, NULL);

    remove_tree (below);
  }
  g_remove (path);
}

static const FloeHardwareItem *
find (GPtrArray *items, const char *id)
{
  const FloeHardwareItem *found = NULL;

  for (guint i = 0; i < items->len; i++) {
    const FloeHardwareItem *item = g_ptr_array_index (items, i);

    if (strcmp (item->id, id) == 0) {
      g_assert_null (found);
      found = item;
    }
  }
  g_assert_nonnull (found);
  return found;
}

static void
expect (const char *root, const char *id, const char *state, FloeHardwareLevel level, const char *detail)
{
  g_autoptr (GPtrArray) items = floe_hardware_check (root, FLOE_ACCELERATOR_KVM, "fine", NULL);
  const FloeHardwareItem *item = find (items, id);

  g_assert_cmpuint (items->len, ==, 6);
  g_assert_cmpstr (item->state, ==, state);
  g_assert_cmpint (item->level, ==, level);
  g_assert_cmpstr (item->detail, ==, detail);
  g_assert_true (item->text[0] != '\0' && g_utf8_validate (item->text, -1, NULL));
}

static void
test_nothing (void)
{
  g_autofree char *root = g_dir_make_tmp ("floe-hardware-XXXXXX", NULL);

  expect (root, "kvm", "works", FLOE_HARDWARE_GOOD, "");
  expect (root, "memory", "unknown", FLOE_HARDWARE_NOTE, "");
  expect (root, "tpm", "absent", FLOE_HARDWARE_NOTE, "");
  expect (root, "secure-boot", "bios", FLOE_HARDWARE_NOTE, "");
  expect (root, "network", "absent", FLOE_HARDWARE_BAD, "");
  expect (root, "graphics", "absent", FLOE_HARDWARE_BAD, "");
  remove_tree (root);
}

static void
test_items (void)
{
  g_autofree char *root = g_dir_make_tmp ("floe-hardware-XXXXXX", NULL);

  put (root, "proc/meminfo", "MemTotal:       16264320 kB\nMemFree: 1 kB\n", -1);
  expect (root, "memory", "enough", FLOE_HARDWARE_GOOD, "15.5");
  put (root, "proc/meminfo", "MemTotal:        2000000 kB\n", -1);
  expect (root, "memory", "little", FLOE_HARDWARE_NOTE, "1.9");
  put (root, "proc/meminfo", "MemTotal:        1000000 kB\n", -1);
  expect (root, "memory", "too-little", FLOE_HARDWARE_BAD, "0.9");
  put (root, "proc/meminfo", "MemTotal: 99999999999999999999999999999 kB\n", -1);
  expect (root, "memory", "unknown", FLOE_HARDWARE_NOTE, "");
  put (root, "proc/meminfo", "MemTotal: 16264320 MB\n", -1);
  expect (root, "memory", "unknown", FLOE_HARDWARE_NOTE, "");

  put (root, "sys/class/tpm/tpm0/tpm_version_major", "1\n", -1);
  expect (root, "tpm", "old", FLOE_HARDWARE_NOTE, "");
  put (root, "sys/class/tpm/tpm0/tpm_version_major", "2\n", -1);
  expect (root, "tpm", "closed", FLOE_HARDWARE_NOTE, "");
  put (root, "sys/class/tpmrm/tpmrm0/dev", "", -1);
  expect (root, "tpm", "works", FLOE_HARDWARE_GOOD, "");
  put (root, "run/floe/state.conf", "[state]\nprotection=none\n", -1);
  expect (root, "tpm", "unused", FLOE_HARDWARE_NOTE, "");
  put (root, "run/floe/state.conf", "[state]\nprotection=tpm\n", -1);
  expect (root, "tpm", "works", FLOE_HARDWARE_GOOD, "");

  put (root, "sys/firmware/efi/systab", "", -1);
  expect (root, "secure-boot", "unknown", FLOE_HARDWARE_NOTE, "");
  put (root, EFI, "\x06\0\0\0\x01", 5);
  expect (root, "secure-boot", "on", FLOE_HARDWARE_GOOD, "");
  put (root, EFI, "\x06\0\0\0\0", 5);
  expect (root, "secure-boot", "off", FLOE_HARDWARE_NOTE, "");
  put (root, EFI, "\x06\0\0\0\x02", 5);
  expect (root, "secure-boot", "unknown", FLOE_HARDWARE_NOTE, "");
  put (root, EFI, "\x06\0\0\0\x01\0", 6);
  expect (root, "secure-boot", "unknown", FLOE_HARDWARE_NOTE, "");
  put (root, EFI, "\x01", 1);
  expect (root, "secure-boot", "unknown", FLOE_HARDWARE_NOTE, "");

  put (root, "sys/class/net/lo/carrier", "1\n", -1);
  expect (root, "network", "absent", FLOE_HARDWARE_BAD, "");
  put (root, "sys/class/net/eno1/device/vendor", "", -1);
  put (root, "sys/class/net/eno1/carrier", "0\n", -1);
  put (root, "sys/class/net/wlan0/device/vendor", "", -1);
  expect (root, "network", "no-link", FLOE_HARDWARE_BAD, "eno1, wlan0");
  put (root, "sys/class/net/eno1/carrier", "1\n", -1);
  expect (root, "network", "link", FLOE_HARDWARE_GOOD, "eno1");

  put (root, "sys/class/drm/version", "drm 1.1.0\n", -1);
  put (root, "sys/class/drm/renderD128/dev", "226:128\n", -1);
  expect (root, "graphics", "absent", FLOE_HARDWARE_BAD, "");
  put (root, "sys/class/drm/card1/dev", "226:1\n", -1);
  put (root, "sys/class/drm/card1-HDMI-A-1/status", "disconnected\n", -1);
  expect (root, "graphics", "no-screen", FLOE_HARDWARE_NOTE, "");
  put (root, "sys/class/drm/card1-DP-1/status", "connected\n", -1);
  expect (root, "graphics", "works", FLOE_HARDWARE_GOOD, "1");
  remove_tree (root);
}

static void
test_reasons (void)
{
  static const char *const lacking[] = { "there is no /dev/net/tun", "the kernel is old", NULL };
  g_autofree char *root = g_dir_make_tmp ("floe-hardware-XXXXXX", NULL);
  g_autoptr (GPtrArray) items = floe_hardware_check (root, FLOE_ACCELERATOR_TCG, "no vmx", lacking);

  g_assert_cmpuint (items->len, ==, 7);
  g_assert_cmpstr (find (items, "kvm")->state, ==, "absent");
  g_assert_cmpstr (find (items, "kvm")->detail, ==, "no vmx");
  g_assert_nonnull (strstr (find (items, "kvm")->text, "no vmx"));
  g_assert_cmpstr (find (items, "kernel")->text, ==, "there is no /dev/net/tun; the kernel is old");
  remove_tree (root);
}

/* -- On the screen -------------------------------------------------------------------------------------------------- */

static GVariant *
variant_of (GPtrArray *items)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < items->len; i++) {
    const FloeHardwareItem *item = g_ptr_array_index (items, i);

    g_variant_builder_add_parsed (&list, "{'id': <%s>, 'state': <%s>, 'level': <%s>, 'detail': <%s>, 'text': <%s>}", item->id, item->state,
                                  floe_hardware_level_name (item->level), item->detail, item->text);
  }
  return g_variant_ref_sink (g_variant_builder_end (&list));
}

static void
test_words (void)
{
  g_autofree char *root = g_dir_make_tmp ("floe-hardware-XXXXXX", NULL);
  g_autoptr (GPtrArray) items = floe_hardware_check (root, FLOE_ACCELERATOR_TCG, "no vmx", NULL);
  g_autoptr (GVariant) sent = variant_of (items);
  g_autoptr (GPtrArray) words = floe_hardware_words (sent), none = floe_hardware_words (NULL);

  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (words->len, ==, items->len);
  for (guint i = 0; i < words->len; i++) {
    const FloeHardwareWords *word = g_ptr_array_index (words, i);
    const FloeHardwareItem *item = g_ptr_array_index (items, i);

    /* Every state that hypervisord sends has words of the console's own: the English text is only for what it does not know. */
    g_assert_cmpstr (word->words, !=, item->text);
    g_assert_null (strstr (word->words, "%s"));
    g_assert_cmpstr (word->title, !=, item->id);
    g_assert_cmpstr (word->level, ==, floe_hardware_level_name (item->level));
  }
  remove_tree (root);
}

static void
test_strange_words (void)
{
  g_autoptr (GVariant) sent = g_variant_ref_sink (g_variant_new_parsed (
      "[{'id': <'kvm'>, 'state': <'absent'>, 'level': <'good'>, 'detail': <'%n%s\x1b[2J'>, 'text': <'t'>},"
      " {'id': <'new'>, 'state': <'x'>, 'level': <'y'>, 'detail': <''>, 'text': <'a sentence'>}, {'id': <uint32 1>}]"));
  g_autoptr (GVariant) other = g_variant_ref_sink (g_variant_new_string ("no list"));
  g_autoptr (GPtrArray) words = floe_hardware_words (sent), none = floe_hardware_words (other);
  const FloeHardwareWords *first = g_ptr_array_index (words, 0), *second = g_ptr_array_index (words, 1);

  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (words->len, ==, 3);
  g_assert_nonnull (strstr (first->words, "%n%s"));
  g_assert_null (strchr (first->words, '\x1b'));
  g_assert_cmpstr (second->words, ==, "a sentence");
  g_assert_cmpstr (second->level, ==, "bad");
}

static void
test_problems (void)
{
  static const char *const known[] = { "address", "typo",    "unreachable", "not-floe",     "clock", "code",
                                       "expired", "used", "impostor",    "organisation", "busy",  "cancelled" };
  g_autofree char *none = floe_setup_problem_words ("", "x"), *null = floe_setup_problem_words (NULL, NULL);
  g_autofree char *other = floe_setup_problem_words ("failed", "disk\nfull");

  g_assert_cmpstr (none, ==, "");
  g_assert_cmpstr (null, ==, "");
  g_assert_nonnull (strstr (other, "disk"));
  g_assert_null (strchr (other, '\n'));
  for (size_t i = 0; i < G_N_ELEMENTS (known); i++) {
    g_autofree char *words = floe_setup_problem_words (known[i], "unwanted");

    g_assert_null (strstr (words, "unwanted"));
    g_assert_cmpuint (strlen (words), >, 20);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hardware/nothing", test_nothing);
  g_test_add_func ("/hardware/items", test_items);
  g_test_add_func ("/hardware/reasons", test_reasons);
  g_test_add_func ("/hardware/words", test_words);
  g_test_add_func ("/hardware/strange-words", test_strange_words);
  g_test_add_func ("/hardware/problems", test_problems);
  return g_test_run ();
}
