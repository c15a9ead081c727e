/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /init of the appliance's initrd, and all that is in it besides the kernel's drivers.
 *
 * Theory of operation. The command line is part of the signed kernel image: it names the root hash, from which the UUIDs of the two
 * partitions follow (UAPI, Discoverable Partitions), and size and salt of the hash tree, so that no superblock has to be believed. The disk is
 * the one whose boot partition the firmware loaded us from; what lies on it is not trusted before dm-verity has verified it. A
 * block that does not match stops the kernel (panic_on_corruption), which restarts the machine: each start is one of the tries that
 * systemd-boot counts, and after the last it boots the other slot. The same for whatever else fails here: the reason is said on
 * the screen, then the machine restarts. There is no shell.
 *
 * USB is closed (usbcore.authorized_default=0). For a root on a USB disk, devices all of whose interfaces are mass storage are opened while we
 * look for it, and closed again unless they are it. */

#include "appliance/floe-gpt.h"
#include "appliance/floe-usb-kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/reboot.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define HASH_HEX 64
#define WAIT_SECONDS 30
#define READ_SECONDS 20
#define LOADER_PARTITION "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

typedef struct {
  char hash[HASH_HEX + 1];
  char salt[HASH_HEX + 1];
  unsigned long long blocks;
} Verity;

typedef struct {
  char disk[64];
  char root[64], tree[64], esp[64]; /* names of block devices below /dev */
} Place;

/* LEVEL as syslog(2) has it: the command line (loglevel=2) lets through to the screen what is more urgent than 2. */
static void
tell (int level, const char *text)
{
  int fd = open ("/dev/kmsg", O_WRONLY | O_CLOEXEC);

  if (fd >= 0) {
    dprintf (fd, "<%d>floe-start: %s\n", level, text);
    close (fd);
  }
}

static void __attribute__ ((format (printf, 1, 2)))
say (const char *format, ...)
{
  char text[512];
  va_list arguments;

  va_start (arguments, format);
  vsnprintf (text, sizeof text, format, arguments);
  va_end (arguments);
  tell (3, text);
}

/* Says why on screen and restarts: see above. */
static void __attribute__ ((noreturn, format (printf, 1, 2)))
fail (const char *format, ...)
{
  char text[512];
  va_list arguments;

  va_start (arguments, format);
  vsnprintf (text, sizeof text, format, arguments);
  va_end (arguments);
  tell (1, text);
  snprintf (text, sizeof text, "Floe does not start from this slot. The machine restarts in %d seconds.", READ_SECONDS);
  tell (1, text);
  sleep (READ_SECONDS);
  sync ();
  reboot (RB_AUTOBOOT);
  for (;;)
    pause ();
}

/* The first SIZE - 1 bytes of a file of the kernel's, without the newline at its end. false when it cannot be read. */
static bool
read_text (const char *path, char *text, size_t size)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read (fd, text, size - 1) : -1;

  if (fd >= 0)
    close (fd);
  if (got < 0)
    return false;
  text[got] = 0;
  text[strcspn (text, "\n")] = 0;
  return true;
}

static void
mount_kernel_file_systems (void)
{
  static const struct {
    const char *type, *where, *options;
    unsigned long flags;
  } all[] = {
    { "devtmpfs", "/dev", "mode=0755", MS_NOSUID },
    { "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "tmpfs", "/run", "mode=0755,size=20%", MS_NOSUID | MS_NODEV },
    { "tmpfs", "/tmp", "mode=1777,size=50%,nr_inodes=1m", MS_NOSUID | MS_NODEV },
  };

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    mkdir (all[i].where, 0755);
    if (mount (all[i].type, all[i].where, all[i].type, all[i].flags, all[i].options) != 0)
      fail ("%s cannot be mounted: %s", all[i].where, strerror (errno));
  }
}

/* KEY=VALUE of the command line. */
static bool
read_option (const char *key, char *value, size_t size)
{
  static char line[4096];
  size_t length = strlen (key);

  if (!read_text ("/proc/cmdline", line, sizeof line))
    return false;
  for (char *save = NULL, *word = strtok_r (line, " ", &save); word != NULL; word = strtok_r (NULL, " ", &save))
    if (strncmp (word, key, length) == 0 && word[length] == '=' && strlen (word + length + 1) < size) {
      strcpy (value, word + length + 1);
      return true;
    }
  return false;
}

static bool
is_hex (const char *text, size_t length)
{
  return strlen (text) == length && strspn (text, "0123456789abcdef") == length;
}

static void
read_verity (Verity *verity)
{
  char text[128], *colon, *end;

  if (!read_option ("roothash", verity->hash, sizeof verity->hash) || !is_hex (verity->hash, HASH_HEX) ||
      !read_option ("floe.verity", text, sizeof text) || (colon = strchr (text, ':')) == NULL || !is_hex (colon + 1, HASH_HEX))
    fail ("the command line has no root hash: this is not a kernel image of floe-image build-appliance");
  strcpy (verity->salt, colon + 1);
  *colon = 0;
  errno = 0;
  verity->blocks = strtoull (text, &end, 10);
  if (errno != 0 || *end != 0 || verity->blocks == 0 || verity->blocks > 1ull << 32)
    fail ("the command line has no size of the root file system");
}

/* MODULE.OPTION words of the command line that are NAME's, as modprobe gives them to the kernel. FILE is 123-NAME.ko. */
static void
module_options (const char *file, char *options, size_t size)
{
  char line[4096];
  const char *name = strchr (file, '-');
  size_t length = name != NULL ? strcspn (++name, ".") : 0, used = 0;

  options[0] = 0;
  if (length == 0 || !read_text ("/proc/cmdline", line, sizeof line))
    return;
  for (char *save = NULL, *word = strtok_r (line, " ", &save); word != NULL; word = strtok_r (NULL, " ", &save))
    if (strncmp (word, name, length) == 0 && word[length] == '.' && used + strlen (word + length + 1) + 2 < size)
      used += (size_t) snprintf (options + used, size - used, "%s ", word + length + 1);
}

/* The initrd has them uncompressed, numbered in the order in which they need one another. */
static void
load_modules (void)
{
  struct dirent **names = NULL;
  int count = scandir ("/modules", &names, NULL, alphasort);

  for (int i = 0; i < count; i++) {
    char path[320], options[512];
    int fd;

    snprintf (path, sizeof path, "/modules/%s", names[i]->d_name);
    fd = names[i]->d_name[0] == '.' ? -1 : open (path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      module_options (names[i]->d_name, options, sizeof options);
      if (syscall (SYS_finit_module, fd, options, 0) != 0 && errno != EEXIST && errno != ENODEV)
        say ("%s: %s", names[i]->d_name, strerror (errno));
      close (fd);
    }
    free (names[i]);
  }
  free (names);
}

/* systemd-boot says which partition it was loaded from: UTF-16 after four bytes of attributes. Empty when the firmware has no such variable. */
static void
read_loader_partition (char uuid[FLOE_GPT_UUID_SIZE])
{
  uint8_t raw[4 + 2 * FLOE_GPT_UUID_SIZE] = { 0 };
  int fd = open (LOADER_PARTITION, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read (fd, raw, sizeof raw) : -1;

  uuid[0] = 0;
  if (fd >= 0)
    close (fd);
  if (got < 4 + 2 * (FLOE_GPT_UUID_SIZE - 1))
    return;
  for (int i = 0; i < FLOE_GPT_UUID_SIZE - 1; i++) {
    uint8_t c = raw[4 + 2 * i];

    uuid[i] = (char) (c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  }
  uuid[FLOE_GPT_UUID_SIZE - 1] = 0;
}

/* The kernel's name of partition NUMBER of DISK. */
static bool
partition_name (const char *disk, unsigned number, char *name, size_t size)
{
  char path[320], text[32];
  size_t length = strlen (disk);
  bool digit = disk[length - 1] >= '0' && disk[length - 1] <= '9';

  if ((size_t) snprintf (name, size, "%s%s%u", disk, digit ? "p" : "", number) >= size)
    return false;
  snprintf (path, sizeof path, "/sys/block/%s/%s/dev", disk, name);
  return read_text (path, text, sizeof text);
}

static bool
disk_has_us (const char *disk, const char *loader, const char *root, const char *tree, Place *place)
{
  static uint8_t start[FLOE_GPT_READ];
  static FloeGpt table;
  const FloeGptPartition *data, *hashes, *boot;
  char path[320];
  ssize_t got;
  int fd;

  snprintf (path, sizeof path, "/dev/%s", disk);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  got = fd >= 0 ? pread (fd, start, sizeof start, 0) : -1;
  if (fd >= 0)
    close (fd);
  if (got <= 0 || floe_gpt_parse (start, (size_t) got, &table) != NULL)
    return false;
  data = floe_gpt_find (&table, root, NULL);
  hashes = floe_gpt_find (&table, tree, NULL);
  boot = loader[0] != 0 ? floe_gpt_find (&table, loader, NULL) : floe_gpt_find (&table, NULL, "FLOE-BOOT");
  if (data == NULL || hashes == NULL || boot == NULL || strlen (disk) >= sizeof place->disk)
    return false;
  strcpy (place->disk, disk);
  return partition_name (disk, data->number, place->root, sizeof place->root) &&
         partition_name (disk, hashes->number, place->tree, sizeof place->tree) &&
         partition_name (disk, boot->number, place->esp, sizeof place->esp);
}

static bool
look_at_disks (const char *loader, const char *root, const char *tree, Place *place)
{
  DIR *directory = opendir ("/sys/block");
  struct dirent *entry;
  bool found = false;

  while (directory != NULL && !found && (entry = readdir (directory)) != NULL)
    if (entry->d_name[0] != '.' && strncmp (entry->d_name, "loop", 4) != 0 && strncmp (entry->d_name, "ram", 3) != 0)
      found = disk_has_us (entry->d_name, loader, root, tree, place);
  if (directory != NULL)
    closedir (directory);
  return found;
}

static void
find_place (const Verity *verity, Place *place)
{
  char root[FLOE_GPT_UUID_SIZE], tree[FLOE_GPT_UUID_SIZE], loader[FLOE_GPT_UUID_SIZE], path[320], real[4096];
  struct timespec moment = { .tv_nsec = 50 * 1000 * 1000 };
  int tries = WAIT_SECONDS * 20;

  floe_gpt_uuid_of_hex (verity->hash, root);
  floe_gpt_uuid_of_hex (verity->hash + 32, tree);
  read_loader_partition (loader);
  while (!look_at_disks (loader, root, tree, place)) {
    if (tries-- == 0)
      fail ("no disk has both partitions of this version (%s, %s)%s: damaged, or never written", root, tree,
            loader[0] != 0 ? " beside the boot partition that the machine started from" : "");
    if (tries % 10 == 0)
      floe_usb_authorise (FLOE_USB_STORAGE, true, NULL);
    nanosleep (&moment, NULL);
  }
  snprintf (path, sizeof path, "/sys/block/%s", place->disk);
  floe_usb_authorise (FLOE_USB_STORAGE, false, realpath (path, real));
}

static bool
device_numbers (const char *name, char *text, size_t size)
{
  char path[320];

  snprintf (path, sizeof path, "/sys/class/block/%s/dev", name);
  return read_text (path, text, size);
}

/* One request to the device mapper: kernel, include/uapi/linux/dm-ioctl.h. */
static bool
mapper (int control, unsigned long request, struct dm_ioctl *head, size_t size, uint32_t flags)
{
  head->version[0] = DM_VERSION_MAJOR;
  head->data_size = (uint32_t) size;
  head->data_start = sizeof *head;
  head->flags = flags;
  strcpy (head->name, "floe-root");
  return ioctl (control, request, head) == 0;
}

static void
open_verity (const Verity *verity, const Place *place)
{
  static union {
    struct dm_ioctl head;
    char bytes[2048];
  } request;
  struct dm_target_spec *target = (struct dm_target_spec *) (request.bytes + sizeof request.head);
  char *parameters = (char *) (target + 1), data[32], tree[32];
  int control = open ("/dev/mapper/control", O_RDWR | O_CLOEXEC);

  if (control < 0)
    fail ("the kernel has no device mapper: %s", strerror (errno));
  if (!device_numbers (place->root, data, sizeof data) || !device_numbers (place->tree, tree, sizeof tree))
    fail ("%s went away", place->disk);
  snprintf (request.head.uuid, sizeof request.head.uuid, "CRYPT-VERITY-%.32s-floe-root", verity->hash);
  if (!mapper (control, DM_DEV_CREATE, &request.head, sizeof request, DM_READONLY_FLAG))
    fail ("no mapped device can be made: %s", strerror (errno));
  memset (&request, 0, sizeof request);
  request.head.target_count = 1;
  target->length = verity->blocks * 8;
  strcpy (target->target_type, "verity");
  snprintf (parameters, sizeof request - (size_t) (parameters - request.bytes), "1 %s %s 4096 4096 %llu 1 sha256 %s %s 1 panic_on_corruption",
            data, tree, verity->blocks, verity->hash, verity->salt);
  if (!mapper (control, DM_TABLE_LOAD, &request.head, sizeof request, DM_READONLY_FLAG))
    fail ("dm-verity does not take the root hash: %s", strerror (errno));
  memset (&request, 0, sizeof request);
  if (!mapper (control, DM_DEV_SUSPEND, &request.head, sizeof request, DM_READONLY_FLAG))
    fail ("dm-verity does not start: %s", strerror (errno));
  close (control);
}

static void
copy_file (const char *from, const char *to)
{
  char bytes[65536];
  int in = open (from, O_RDONLY | O_CLOEXEC), out = in >= 0 ? open (to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
  ssize_t got;

  while (out >= 0 && (got = read (in, bytes, sizeof bytes)) > 0)
    if (write (out, bytes, (size_t) got) != got)
      fail ("%s cannot be written", to);
  if (in >= 0)
    close (in);
  if (out >= 0)
    close (out);
}

/* What the programs of the root need to know: where we were started from, and the signed TPM policy that systemd-stub put beside us. */
static void
leave_notes (const Place *place)
{
  int fd;

  mkdir ("/run/floe", 0755);
  mkdir ("/run/systemd", 0755);
  copy_file ("/.extra/tpm2-pcr-signature.json", "/run/systemd/tpm2-pcr-signature.json");
  copy_file ("/.extra/tpm2-pcr-public-key.pem", "/run/systemd/tpm2-pcr-public-key.pem");
  fd = open ("/run/floe/boot.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0 || dprintf (fd, "[boot]\ndisk=%s\nesp=%s\nroot=%s\ntree=%s\n", place->disk, place->esp, place->root, place->tree) < 0)
    fail ("/run/floe/boot.conf: %s", strerror (errno));
  close (fd);
}

/* Frees what the initrd takes of memory: everything below AT on its own file system. */
static void
remove_below (int at, dev_t device)
{
  DIR *directory = fdopendir (at);
  struct dirent *entry;

  while (directory != NULL && (entry = readdir (directory)) != NULL) {
    struct stat status;
    int fd;

    if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0 ||
        fstatat (at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_dev != device)
      continue;
    if (S_ISDIR (status.st_mode) && (fd = openat (at, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
      remove_below (fd, device);
    unlinkat (at, entry->d_name, S_ISDIR (status.st_mode) ? AT_REMOVEDIR : 0);
  }
  if (directory != NULL)
    closedir (directory);
}

static void __attribute__ ((noreturn))
enter_root (void)
{
  static const char *const moved[] = { "/dev", "/proc", "/sys", "/run", "/tmp" };
  char *const arguments[] = { (char *) "/usr/lib/systemd/systemd", NULL };
  struct stat status;
  int old = open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char target[64];

  for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
    snprintf (target, sizeof target, "/sysroot%s", moved[i]);
    if (mount (moved[i], target, NULL, MS_MOVE, NULL) != 0)
      fail ("%s: %s", target, strerror (errno));
  }
  if (old < 0 || fstat (old, &status) != 0 || chdir ("/sysroot") != 0)
    fail ("the root file system: %s", strerror (errno));
  remove_below (old, status.st_dev);
  if (mount (".", "/", NULL, MS_MOVE, NULL) != 0 || chroot (".") != 0 || chdir ("/") != 0)
    fail ("the root file system: %s", strerror (errno));
  execv (arguments[0], arguments);
  fail ("%s: %s", arguments[0], strerror (errno));
}

int
main (void)
{
  Verity verity = { .blocks = 0 };
  Place place = { .disk = "" };
  struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

  mount_kernel_file_systems ();
  read_verity (&verity);
  load_modules ();
  /* A module of the kernel's; without it there is no word of the loader's. */
  if (mount ("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    say ("no EFI variables: %s", strerror (errno));
  find_place (&verity, &place);
  open_verity (&verity, &place);
  leave_notes (&place);
  mkdir ("/sysroot", 0755);
  for (int tries = 250; mount ("/dev/dm-0", "/sysroot", "erofs", MS_RDONLY | MS_NODEV, NULL) != 0; tries--) {
    if (tries == 0 || errno != ENOENT)
      fail ("the root file system cannot be mounted: %s; it is not what was signed", strerror (errno));
    nanosleep (&moment, NULL);
  }
  enter_root ();
}
