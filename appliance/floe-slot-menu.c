/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-menu.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Not .efi: systemd-boot passes over it. */
#define PART "floe-slot.part"
#define ENTRIES_MAX 64

static gboolean
read_entries (FloeSlotMenu *menu, GError **error)
{
  int own = openat (menu->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = own < 0 ? NULL : fdopendir (own);
  struct dirent *found;

  if (directory == NULL) {
    floe_error_set_errno (error, errno, "read EFI/Linux");
    floe_fd_clear (&own);
    return FALSE;
  }
  g_array_set_size (menu->entries, 0);
  while ((found = readdir (directory)) != NULL) {
    FloeSlotMenuEntry one = { 0 };

    if (strlen (found->d_name) >= sizeof one.name || !floe_slot_entry_parse (found->d_name, &one.entry))
      continue;
    g_strlcpy (one.name, found->d_name, sizeof one.name);
    g_array_append_val (menu->entries, one);
  }
  closedir (directory);
  return menu->entries->len <= ENTRIES_MAX
         || floe_error_set (error, FLOE_ERROR_LIMIT, "EFI/Linux has %u entries, %u at most", menu->entries->len, ENTRIES_MAX);
}

FloeSlotMenu *
floe_slot_menu_open (const char *boot, GError **error)
{
  g_autoptr (FloeSlotMenu) menu = g_new0 (FloeSlotMenu, 1);
  g_autofree char *path = g_build_filename (boot, "EFI", "Linux", NULL);

  menu->entries = g_array_new (FALSE, FALSE, sizeof (FloeSlotMenuEntry));
  menu->dir = floe_dir_open (path, error);
  return menu->dir >= 0 && read_entries (menu, error) ? g_steal_pointer (&menu) : NULL;
}

void
floe_slot_menu_free (FloeSlotMenu *menu)
{
  if (menu == NULL)
    return;
  floe_fd_clear (&menu->dir);
  g_array_unref (menu->entries);
  g_free (menu);
}

static const FloeSlotMenuEntry *
choose (const FloeSlotMenu *menu, int64_t version)
{
  g_autofree FloeSlotEntry *entries = g_new (FloeSlotEntry, menu->entries->len + 1);
  g_autofree guint *places = g_new (guint, menu->entries->len + 1);
  size_t count = 0;
  int next;

  for (guint i = 0; i < menu->entries->len; i++) {
    const FloeSlotMenuEntry *one = &g_array_index (menu->entries, FloeSlotMenuEntry, i);

    if (version != 0 && one->entry.version != version)
      continue;
    places[count] = i;
    entries[count++] = one->entry;
  }
  next = floe_slot_entry_next (entries, count);
  return next < 0 ? NULL : &g_array_index (menu->entries, FloeSlotMenuEntry, places[next]);
}

const FloeSlotMenuEntry *
floe_slot_menu_find (const FloeSlotMenu *menu, int64_t version)
{
  return choose (menu, version);
}

const FloeSlotMenuEntry *
floe_slot_menu_next (const FloeSlotMenu *menu)
{
  return choose (menu, 0);
}

/* FAT keeps names in the directory and where files lie elsewhere: both are asked for. */
static gboolean
settle (FloeSlotMenu *menu, GError **error)
{
  if (!floe_dir_sync (menu->dir, error))
    return FALSE;
  if (syncfs (menu->dir) < 0)
    return floe_error_set_errno (error, errno, "sync the boot partition");
  return read_entries (menu, error);
}

gboolean
floe_slot_menu_remove (FloeSlotMenu *menu, const char *name, GError **error)
{
  if (unlinkat (menu->dir, name, 0) < 0 && errno != ENOENT)
    return floe_error_set_errno (error, errno, "remove EFI/Linux/%s", name);
  return settle (menu, error);
}

gboolean
floe_slot_menu_rename (FloeSlotMenu *menu, const char *from, const char *to, GError **error)
{
  if (renameat (menu->dir, from, menu->dir, to) < 0)
    return floe_error_set_errno (error, errno, "rename EFI/Linux/%s to %s", from, to);
  return settle (menu, error);
}

gboolean
floe_slot_menu_give_up (FloeSlotMenu *menu, GError **error)
{
  if (faccessat (menu->dir, PART, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return TRUE;
  return floe_slot_menu_remove (menu, PART, error);
}

int
floe_slot_menu_begin (FloeSlotMenu *menu, GError **error)
{
  int fd;

  if (!floe_slot_menu_give_up (menu, error))
    return -1;
  fd = openat (menu->dir, PART, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    floe_error_set_errno (error, errno, "create EFI/Linux/" PART);
  return fd;
}

gboolean
floe_slot_menu_finish (FloeSlotMenu *menu, int fd, const FloeDigest *digest, const char *name, GError **error)
{
  FloeDigest found;

  if (fsync (fd) < 0 || syncfs (fd) < 0)
    return floe_error_set_errno (error, errno, "sync EFI/Linux/" PART);
  (void) !posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  if (!floe_digest_of_file (fd, &found, error))
    return FALSE;
  if (!floe_digest_equal (&found, digest))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "the boot partition gives back other bytes than were written to %s", name);
  return floe_slot_menu_rename (menu, PART, name, error);
}

gboolean
floe_slot_menu_room (FloeSlotMenu *menu, uint64_t *bytes, GError **error)
{
  struct statvfs room;

  if (fstatvfs (menu->dir, &room) < 0)
    return floe_error_set_errno (error, errno, "room on the boot partition");
  *bytes = (uint64_t) room.f_bavail * room.f_frsize;
  return TRUE;
}

uint64_t
floe_slot_menu_size (FloeSlotMenu *menu, const char *name)
{
  struct stat st;

  return fstatat (menu->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG (st.st_mode) ? (uint64_t) st.st_size : 0;
}

int
floe_slot_menu_open_entry (FloeSlotMenu *menu, const char *name, GError **error)
{
  return floe_file_open_at (menu->dir, name, error);
}
