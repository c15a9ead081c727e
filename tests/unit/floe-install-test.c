/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "tests/lib/install-world.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* What floe-install lists, what it refuses without touching the disk, and what is on the disk when it is done. */

static InstallWorld *world;

static void
assert_refused (const char *name, guint64 sequence, const char *confirm, FloeError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (floe_install_run (&world->options, name, sequence, confirm, NULL, NULL, &error));
  g_assert_error (error, FLOE_ERROR, (int) code);
  g_assert_cmpint (install_world_see (world), ==, INSTALL_SEEN_OLD);
  g_assert_true (install_world_old_is_intact (world));
}

static void
test_plan (void)
{
  FloeInstallPlan plan = floe_install_plan (160u << 20, (512u << 20) - 1, 5);

  g_assert_cmpuint (plan.boot.offset, ==, 1u << 20);
  g_assert_cmpuint (plan.root[0].offset, ==, 161u << 20);
  g_assert_cmpuint (plan.tree[0].offset, ==, 673u << 20);
  g_assert_cmpuint (plan.root[1].offset, ==, 674u << 20);
  g_assert_cmpuint (plan.tree[1].offset, ==, 1186u << 20);
  g_assert_cmpuint (plan.needed, ==, (UINT64_C (1187) << 20) + FLOE_INSTALL_STATE_MIN + (1u << 20));
}

static void
test_done (void)
{
  g_autoptr (GError) error = NULL;

  for (InstallWorldOld old = INSTALL_WORLD_GPT; old <= INSTALL_WORLD_DOS; old++) {
    install_world_old (world, old);
    g_assert_true (install_world_old_is_intact (world));
    g_assert_cmpint (install_world_see (world), ==, INSTALL_SEEN_OLD);
    if (!install_world_run (world, &error))
      g_error ("%s", error->message);
    g_assert_cmpint (install_world_see (world), ==, INSTALL_SEEN_FLOE);
    g_assert_true (install_world_is_whole (world));
    g_assert_false (install_world_old_is_intact (world));
  }
}

static void
test_refused (void)
{
  install_world_old (world, INSTALL_WORLD_GPT);
  assert_refused ("vda", 7, "", FLOE_ERROR_REFUSED);
  assert_refused ("vda", 7, "vd", FLOE_ERROR_REFUSED);
  assert_refused ("vda", 7, "vda ", FLOE_ERROR_REFUSED);
  assert_refused ("vda", 7, "VDA", FLOE_ERROR_REFUSED);
  assert_refused ("vda", 7, "sda", FLOE_ERROR_REFUSED);
  assert_refused ("sda", 7, "sda", FLOE_ERROR_REFUSED);
  assert_refused ("vdb", 7, "vdb", FLOE_ERROR_NOT_FOUND);
  assert_refused ("../dev/vda", 7, "../dev/vda", FLOE_ERROR_NOT_FOUND);
  assert_refused ("", 0, "", FLOE_ERROR_NOT_FOUND);
  /* Another one has taken its name meanwhile. */
  assert_refused ("vda", 6, "vda", FLOE_ERROR_NOT_FOUND);
  install_world_sysfs (world, "vda", "ro", "1\n");
  assert_refused ("vda", 7, "vda", FLOE_ERROR_REFUSED);
  install_world_sysfs (world, "vda", "ro", "0\n");
  install_world_sysfs (world, "vda", "queue/logical_block_size", "4096\n");
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNSUPPORTED);
  install_world_sysfs (world, "vda", "queue/logical_block_size", "512\n");
}

static void
test_size (void)
{
  g_autofree char *small = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", world->plan.needed / 512 - 1);
  g_autofree char *other = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", world->plan.needed / 512 + 1);
  g_autofree char *right = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", world->plan.needed / 512);

  install_world_old (world, INSTALL_WORLD_GPT);
  install_world_sysfs (world, "vda", "size", small);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_NO_SPACE);
  /* What opens is not what was listed. */
  install_world_sysfs (world, "vda", "size", other);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_NOT_FOUND);
  /* A card reader without a card. */
  install_world_sysfs (world, "vda", "size", "0\n");
  assert_refused ("vda", 7, "vda", FLOE_ERROR_NOT_FOUND);
  install_world_sysfs (world, "vda", "size", right);
}

static void
test_in_use (void)
{
  floe_autofd fd = -1;

  install_world_old (world, INSTALL_WORLD_GPT);
  fd = open (world->target, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_BUSY);
}

/* A link instead of the device. */
static void
test_link (void)
{
  g_autofree char *other = g_strconcat (world->target, "-other", NULL);

  install_world_old (world, INSTALL_WORLD_GPT);
  g_assert_cmpint (g_rename (world->target, other), ==, 0);
  g_assert_cmpint (symlink (other, world->target), ==, 0);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_IO);
  g_unlink (world->target);
  g_assert_cmpint (g_rename (other, world->target), ==, 0);
}

static void
poke (const char *path, off_t at)
{
  floe_autofd fd = open (path, O_RDWR | O_CLOEXEC);
  char byte;

  g_assert_cmpint (pread (fd, &byte, 1, at), ==, 1);
  byte ^= 1;
  g_assert_cmpint (pwrite (fd, &byte, 1, at), ==, 1);
}

/* Whatever is wrong with the stick is found before the disk is touched. */
static void
test_bad_stick (void)
{
  g_autoptr (PeSigner) other = pe_signer_new ("Floe");
  char hex[FLOE_DIGEST_HEX_SIZE];
  g_autofree char *line = NULL, *entry = g_build_filename (world->boot, "EFI/Linux/floe_5+2-1.efi", NULL);
  g_autoptr (GBytes) foreign = NULL, unsigned_one = NULL, for_other = NULL;

  install_world_old (world, INSTALL_WORLD_GPT);
  floe_digest_to_hex (&world->options.root_hash, hex);
  line = g_strdup_printf ("roothash=%s", hex);
  foreign = pe_forge (line, 4000, other);
  unsigned_one = pe_forge (line, 4000, NULL);
  for_other = pe_forge ("roothash=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 4000, world->signer);
  install_world_kernel (world, foreign);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  install_world_kernel (world, unsigned_one);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  install_world_kernel (world, for_other);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  install_world_kernel (world, world->kernel);
  poke (entry, 2000);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  g_unlink (entry);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_NOT_FOUND);
  install_world_kernel (world, world->kernel);
  poke (world->source, (65 << 20) + 1234567);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  poke (world->source, (65 << 20) + 1234567);
  poke (world->source, (69 << 20) + 4096 + 100);
  assert_refused ("vda", 7, "vda", FLOE_ERROR_UNVERIFIED);
  poke (world->source, (69 << 20) + 4096 + 100);
  test_done ();
}

/* -- The list --------------------------------------------------------------------------------------------------------- */

static void
udev (const char *number, const char *text)
{
  g_autofree char *path = g_strdup_printf ("%s/b%s", world->udev, number);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
test_list (void)
{
  static const char *const not_disks[] = { "loop0", "ram0", "zram0", "dm-0", "md0", "sr0", "nbd0", "mmcblk0boot0", "nvme0c0n1", "fd0", "sd", "sda1" };
  g_autoptr (GPtrArray) disks = NULL;
  const FloeInstallDisk *disk;
  const FloeInstallPartition *partition;

  for (size_t i = 0; i < G_N_ELEMENTS (not_disks); i++)
    install_world_sysfs (world, not_disks[i], "size", "99999999\n");
  install_world_sysfs (world, "nvme0n1", "size", "99999999\n");
  install_world_sysfs (world, "nvme0n1", "device/model", "Fast  One\n");
  install_world_sysfs (world, "nvme0n1", "device/serial", "N123\n");
  install_world_sysfs (world, "nvme0n1", "queue/logical_block_size", "512\n");
  install_world_sysfs (world, "nvme0n1", "dev", "259:0\n");
  install_world_sysfs (world, "vda", "vda1/partition", "1\n");
  install_world_sysfs (world, "vda", "vda1/size", "2048\n");
  install_world_sysfs (world, "vda", "vda1/dev", "254:1\n");
  install_world_sysfs (world, "vda", "vda1/uevent", "MAJOR=254\nPARTNAME=Basic data\n");
  install_world_sysfs (world, "vda", "vda10/partition", "10\n");
  install_world_sysfs (world, "vda", "vda10/size", "4096\n");
  install_world_sysfs (world, "vda", "vda10/dev", "254:10\n");
  install_world_sysfs (world, "vda", "vda10/uevent", "PARTNAME=floe-install\n");
  udev ("254:1", "S:disk/by-label/x\nE:ID_FS_TYPE=ntfs\nE:ID_FS_LABEL=a_b\nE:ID_FS_LABEL_ENC=Urlaub\\x20\\xc3\\xa9\\x0a\\x1b[31m\\xe2\\x80\\xaered\n");
  udev ("254:0", "E:ID_SERIAL=long\nE:ID_SERIAL_SHORT=V-77\n");
  disks = floe_install_list (&world->options.places, NULL);
  g_assert_cmpuint (disks->len, ==, 2);
  disk = disks->pdata[0];
  g_assert_cmpstr (disk->name, ==, "nvme0n1");
  g_assert_cmpstr (disk->model, ==, "Fast One");
  g_assert_cmpstr (disk->serial, ==, "N123");
  g_assert_cmpstr (disk->bus, ==, "nvme");
  g_assert_cmpstr (floe_install_problem (disk, &world->plan), ==, "");
  disk = disks->pdata[1];
  g_assert_cmpstr (disk->name, ==, "vda");
  g_assert_cmpstr (disk->serial, ==, "V-77");
  g_assert_cmpuint (disk->partitions->len, ==, 2);
  g_assert_false (disk->interrupted);
  partition = disk->partitions->pdata[0];
  /* No control character, and nothing that turns the direction of writing. */
  g_assert_cmpstr (partition->label, ==, "Urlaub é [31mred");
  g_assert_cmpstr (partition->file_system, ==, "ntfs");
  g_assert_cmpuint (partition->size, ==, 1u << 20);
  g_assert_cmpstr (((const FloeInstallPartition *) disk->partitions->pdata[1])->name, ==, "vda10");
}

static void
test_interrupted (void)
{
  g_autoptr (GPtrArray) disks = NULL;

  install_world_sysfs (world, "nvme0n1", "nvme0n1p1/partition", "1\n");
  install_world_sysfs (world, "nvme0n1", "nvme0n1p1/uevent", "PARTNAME=floe-install\n");
  disks = floe_install_list (&world->options.places, NULL);
  g_assert_true (((const FloeInstallDisk *) disks->pdata[0])->interrupted);
}

static void
test_portable (void)
{
  g_autofree char *real = g_build_filename (world->sysfs, "devices/pci0000:00/usb1/1-2/block/sdx", NULL);
  g_autofree char *link = g_build_filename (world->sysfs, "block/sdx", NULL);

  g_assert_false (floe_install_is_portable (world->sysfs, "vda"));
  g_assert_false (floe_install_is_portable (world->sysfs, "gone"));
  install_world_sysfs (world, "sda", "removable", "1\n");
  g_assert_true (floe_install_is_portable (world->sysfs, "sda"));
  install_world_sysfs (world, "sda", "removable", "0\n");
  /* A disk in a case, which is not removable to the kernel. */
  g_assert_cmpint (g_mkdir_with_parents (real, 0755), ==, 0);
  g_assert_cmpint (symlink (real, link), ==, 0);
  g_assert_true (floe_install_is_portable (world->sysfs, "sdx"));
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  world = install_world_new ();
  if (world == NULL) {
    g_print ("1..0 # SKIP sfdisk, veritysetup and mtools are not all installed\n");
    return 0;
  }
  g_test_add_func ("/install/plan", test_plan);
  g_test_add_func ("/install/done", test_done);
  g_test_add_func ("/install/refused", test_refused);
  g_test_add_func ("/install/size", test_size);
  g_test_add_func ("/install/in-use", test_in_use);
  g_test_add_func ("/install/link", test_link);
  g_test_add_func ("/install/bad-stick", test_bad_stick);
  g_test_add_func ("/install/list", test_list);
  g_test_add_func ("/install/interrupted", test_interrupted);
  g_test_add_func ("/install/portable", test_portable);
  result = g_test_run ();
  install_world_free (world);
  return result;
}
