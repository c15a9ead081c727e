/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/install-world.h"

#include "appliance/floe-slot-host.h"
#include "common/floe-fd.h"
#include "server-sync/image/floe-verity.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (UINT64_C (1) << 20)
#define BOOT_MIB 64u
#define TABLE (34u * 512)

static char *run (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* What the command says; it has to end well. */
static char *
run (const char *format, ...)
{
  g_autofree char *command = NULL, *complaint = NULL;
  const char *arguments[] = { "/bin/sh", "-c", NULL, NULL };
  char *output = NULL;
  va_list list;
  int status;

  va_start (list, format);
  command = g_strdup_vprintf (format, list);
  va_end (list);
  arguments[2] = command;
  g_assert_true (g_spawn_sync (NULL, (char **) arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, &complaint, &status, NULL));
  if (status != 0)
    g_error ("%s: %s%s", command, output, complaint);
  return output;
}

static void
make_directories (InstallWorld *world)
{
  char **const places[] = { &world->sysfs, &world->dev, &world->udev, &world->boot, &world->parts };
  static const char *const names[] = { "sysfs", "dev", "udev", "boot", "parts" };

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    *places[i] = g_build_filename (world->path, names[i], NULL);
    g_assert_cmpint (g_mkdir (*places[i], 0755), ==, 0);
  }
  world->source = g_build_filename (world->dev, "sda", NULL);
  world->target = g_build_filename (world->dev, "vda", NULL);
}

static void
write_file (const char *directory, const char *name, GBytes *content)
{
  g_autofree char *path = g_build_filename (directory, name, NULL), *above = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (above, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, g_bytes_get_data (content, NULL), (gssize) g_bytes_get_size (content), NULL));
}

void
install_world_sysfs (InstallWorld *world, const char *disk, const char *file, const char *text)
{
  g_autofree char *directory = g_build_filename (world->sysfs, "block", disk, NULL);
  g_autoptr (GBytes) content = g_bytes_new (text, strlen (text));

  write_file (directory, file, content);
}

static void
show_disk (InstallWorld *world, const char *disk, const char *number, uint64_t size)
{
  g_autofree char *sectors = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", size / 512);

  install_world_sysfs (world, disk, "size", sectors);
  install_world_sysfs (world, disk, "dev", number);
  install_world_sysfs (world, disk, "ro", "0\n");
  install_world_sysfs (world, disk, "removable", "0\n");
  install_world_sysfs (world, disk, "diskseq", "7\n");
  install_world_sysfs (world, disk, "queue/logical_block_size", "512\n");
}

void
install_world_kernel (InstallWorld *world, GBytes *kernel)
{
  write_file (world->boot, "EFI/Linux/floe_5+2-1.efi", kernel);
}

/* Root, its tree and the kernel image that names them. */
static void
make_source (InstallWorld *world)
{
  g_autofree char *root = g_build_filename (world->path, "root", NULL), *tree = g_build_filename (world->path, "tree", NULL);
  g_autofree char *output = NULL, *hex = NULL, *line = NULL, *a = NULL, *b = NULL;
  const char *found;

  g_free (run ("head -c 3000000 /dev/zero | tr '\\0' x | sed 's/x/floe/99;s/x/y/1234567' >%s; truncate -s 3002368 %s", root, root));
  output = run ("veritysetup format --salt=00112233 --uuid=00000000-0000-0000-0000-000000000001 %s %s", root, tree);
  found = strstr (output, "Root hash:") + strlen ("Root hash:");
  found += strspn (found, " \t");
  hex = g_strndup (found, 2 * FLOE_DIGEST_SIZE);
  g_assert_true (floe_digest_from_hex (hex, &world->options.root_hash, NULL));
  a = run ("printf %.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
  b = run ("printf %.8s-%.4s-%.4s-%.4s-%.12s", hex + 32, hex + 40, hex + 44, hex + 48, hex + 52);
  g_free (run ("truncate -s 80M %s; printf 'label: gpt\\nsize=%uMiB, type=uefi, name=FLOE-BOOT\\n"
               "size=4MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=%s, name=floe_5\\n"
               "size=1MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, uuid=%s, name=floe_5_verity\\n' | sfdisk -q %s",
               world->source, BOOT_MIB, a, b, world->source));
  g_free (run ("dd if=%s of=%s bs=1M seek=%u conv=notrunc status=none; dd if=%s of=%s bs=1M seek=%u conv=notrunc status=none", root, world->source,
               1 + BOOT_MIB, tree, world->source, 5 + BOOT_MIB));
  line = g_strdup_printf ("roothash=%s quiet", hex);
  world->kernel = pe_forge (line, 40000, world->signer);
  install_world_kernel (world, world->kernel);
}

InstallWorld *
install_world_new (void)
{
  g_autofree char *sfdisk = g_find_program_in_path ("sfdisk"), *veritysetup = g_find_program_in_path ("veritysetup"), *mcopy = g_find_program_in_path ("mcopy");
  g_autoptr (GBytes) settings = g_bytes_new_static ("timeout 0\n", 10), address = g_bytes_new_static ("[server]\nurl=https://192.0.2.1\n", 31);
  g_autoptr (GBytes) certificate = NULL;
  g_autoptr (GError) error = NULL;
  InstallWorld *world;

  if (sfdisk == NULL || veritysetup == NULL || mcopy == NULL)
    return NULL;
  world = g_new0 (InstallWorld, 1);
  world->path = g_strdup ("/dev/shm/floe-install-XXXXXX");
  if (g_mkdtemp (world->path) == NULL) {
    g_free (world->path);
    world->path = g_dir_make_tmp ("floe-install-XXXXXX", NULL);
  }
  make_directories (world);
  world->signer = pe_signer_new ("Floe");
  certificate = pe_signer_certificate (world->signer);
  world->loader = pe_forge ("loader", 9000, world->signer);
  write_file (world->parts, "BOOTX64.EFI", world->loader);
  write_file (world->parts, "loader.conf", settings);
  write_file (world->parts, "sign.crt", certificate);
  write_file (world->boot, "floe.conf", address);
  make_source (world);
  world->options.places = (FloeInstallPlaces){ world->sysfs, world->dev, world->udev, "sda" };
  world->options.boot = world->boot;
  world->options.parts = world->parts;
  world->options.version = 5;
  world->options.now = 1790000000;
  show_disk (world, "sda", "8:0\n", 80 * MIB);
  if (!floe_install_plan_for (&world->options, &world->plan, &error))
    g_error ("%s", error->message);
  show_disk (world, "vda", "254:0\n", world->plan.needed);
  return world;
}

void
install_world_free (InstallWorld *world)
{
  if (world == NULL)
    return;
  g_free (run ("rm -rf %s", world->path));
  pe_signer_free (world->signer);
  g_clear_pointer (&world->kernel, g_bytes_unref);
  g_clear_pointer (&world->loader, g_bytes_unref);
  g_free (world->path);
  g_free (world->sysfs);
  g_free (world->dev);
  g_free (world->udev);
  g_free (world->boot);
  g_free (world->parts);
  g_free (world->source);
  g_free (world->target);
  g_free (world->tables[0]);
  g_free (world->tables[1]);
  g_free (world);
}

/* -- The old system -------------------------------------------------------------------------------------------------- */

/* Where bytes of the old system are looked at: boot code and what lies behind the table, both partitions, the end. In MiB, two each. */
static void
old_places (InstallWorld *world, uint64_t places[5])
{
  const uint64_t all[] = { 0, BOOT_MIB / 2, world->plan.root[0].offset / MIB, world->plan.root[1].offset / MIB, world->plan.needed / MIB - 2 };

  memcpy (places, all, sizeof all);
}

static void
old_bytes (uint64_t mib, uint8_t *bytes)
{
  for (size_t i = 0; i < 2 * MIB; i++)
    bytes[i] = (uint8_t) (i * 11 + i / 4096 + mib + 1);
}

void
install_world_old (InstallWorld *world, InstallWorldOld old)
{
  g_autofree uint8_t *bytes = g_malloc (2 * MIB);
  uint64_t places[5];
  int fd;

  g_unlink (world->target);
  fd = open (world->target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  g_assert_cmpint (ftruncate (fd, (off_t) world->plan.needed), ==, 0);
  old_places (world, places);
  for (size_t i = 0; i < G_N_ELEMENTS (places); i++) {
    old_bytes (places[i], bytes);
    /* The header's sector is left empty: sfdisk is to make the table. */
    if (i == 0)
      memset (bytes, 0, old == INSTALL_WORLD_GPT ? TABLE : 512);
    g_assert_cmpint (pwrite (fd, bytes, 2 * MIB, (off_t) (places[i] * MIB)), ==, 2 * MIB);
  }
  if (world->tables[old] != NULL) {
    g_assert_cmpint (pwrite (fd, world->tables[old], TABLE, 0), ==, TABLE);
    g_assert_cmpint (pwrite (fd, world->tables[old] + TABLE, TABLE, (off_t) (world->plan.needed - TABLE)), ==, TABLE);
    close (fd);
    return;
  }
  if (old == INSTALL_WORLD_GPT)
    g_free (run ("printf 'label: gpt\\nstart=2048, size=60MiB, name=OLD\\nname=DATA\\n' | sfdisk -q --wipe never %s", world->target));
  else
    g_free (run ("printf 'label: dos\\nlabel-id: 0x01d01d01\\nstart=2048, size=60MiB, type=7\\ntype=83\\n' | sfdisk -q --wipe never %s", world->target));
  /* sfdisk syncs all disks of the machine: its tables are kept for the next time. */
  world->tables[old] = g_malloc (2 * TABLE);
  g_assert_true (floe_pread_all (fd, world->tables[old], TABLE, 0, NULL));
  g_assert_true (floe_pread_all (fd, world->tables[old] + TABLE, TABLE, (off_t) (world->plan.needed - TABLE), NULL));
  close (fd);
}

gboolean
install_world_old_is_intact (InstallWorld *world)
{
  g_autofree uint8_t *bytes = g_malloc (2 * MIB), *found = g_malloc (2 * MIB);
  floe_autofd fd = open (world->target, O_RDONLY | O_CLOEXEC);
  uint64_t places[5];

  old_places (world, places);
  for (size_t i = 0; i < G_N_ELEMENTS (places); i++) {
    size_t begin = i == 0 ? TABLE : 0, end = 2 * MIB - (i + 1 == G_N_ELEMENTS (places) ? TABLE : 0);

    old_bytes (places[i], bytes);
    g_assert_true (floe_pread_all (fd, found, 2 * MIB, (off_t) (places[i] * MIB), NULL));
    if (memcmp (bytes + begin, found + begin, end - begin) != 0)
      return FALSE;
  }
  return TRUE;
}

/* -- What is seen ----------------------------------------------------------------------------------------------------- */

InstallSeen
install_world_see (InstallWorld *world)
{
  g_autofree char *table = run ("sfdisk -d %s 2>/dev/null || true", world->target);

  if (strstr (table, "name=\"" FLOE_INSTALL_MARK "\"") != NULL)
    return INSTALL_SEEN_MARK;
  if (strstr (table, "name=\"FLOE-BOOT\"") != NULL)
    return INSTALL_SEEN_FLOE;
  return strstr (table, "name=\"OLD\"") != NULL || strstr (table, "0x01d01d01") != NULL ? INSTALL_SEEN_OLD : INSTALL_SEEN_NOTHING;
}

static gboolean
has_file (InstallWorld *world, const char *path, GBytes *wanted)
{
  g_autofree char *out = g_build_filename (world->path, "out", NULL), *found = NULL;
  gsize size;

  g_free (run ("rm -f %s; mcopy -n -i %s@@1M '::%s' %s || true", out, world->target, path, out));
  return g_file_get_contents (out, &found, &size, NULL) && size == g_bytes_get_size (wanted) && memcmp (found, g_bytes_get_data (wanted, NULL), size) == 0;
}

gboolean
install_world_is_whole (InstallWorld *world)
{
  floe_autofd fd = open (world->target, O_RDONLY | O_CLOEXEC);
  const FloeVerityPart root = { fd, (off_t) world->plan.root[0].offset, 3002368 };
  FloeVerityPart tree = { fd, (off_t) world->plan.tree[0].offset, world->plan.tree[0].size };
  uint64_t data, size;

  if (!floe_verity_sizes (&tree, &data, &size, NULL))
    return FALSE;
  tree.size = size;
  g_free (run ("dd if=%s of=%s/esp bs=1M skip=1 count=%u status=none; fsck.fat -n %s/esp", world->target, world->path, BOOT_MIB, world->path));
  return floe_verity_check (&root, &tree, &world->options.root_hash, NULL) && has_file (world, "/EFI/BOOT/BOOTX64.EFI", world->loader) &&
         has_file (world, "/EFI/Linux/floe_5+3.efi", world->kernel);
}

gboolean
install_world_run (InstallWorld *world, GError **error)
{
  return floe_install_run (&world->options, "vda", 7, "vda", NULL, NULL, error);
}
