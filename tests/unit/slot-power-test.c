/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "tests/lib/power-disk.h"
#include "tests/lib/slot-world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* floe-slot dies at each system call by which it changes anything. Either it is merely killed and the kernel keeps what it did; or the power
 * fails, and what was not synced is lost: of the disk all of it or some blocks or sectors, in any order; of directories what changed
 * since their last sync, a rename perhaps by half; of files their content. This program's own pwrite(), write(), fsync(), syncfs(), renameat()
 * and unlinkat() stand before the C library's and do both. After each death: what systemd-boot would start is one of the versions
 * that may be, and that one's slot hashes up to the root hash that its kernel image names; and the next run ends as the first would have. */

#define DEAD 99
#define MAX_CHANGES 32
#define MAX_FILES 16

static unsigned die_at; /* 0: never; otherwise this many calls from now */
static PowerDisk disk;
static dev_t our_device;
static ino_t disk_inode;

/* A file's name with what it holds; NULL: there is none. */
typedef struct {
  char name[80];
  char *content;
  gsize size;
} Named;

/* What a rename or a removal changed in a directory and what that was before; not synced yet. */
typedef struct {
  int dir;
  ino_t inode;
  Named to, from;
} Change;
static Change changes[MAX_CHANGES];
static unsigned n_changes;

/* Files written to and not synced. */
static struct {
  ino_t inode;
  int fd;
} files[MAX_FILES];
static unsigned n_files;

static void
restore (int dir, const Named *named)
{
  int fd;

  syscall (SYS_unlinkat, dir, named->name, 0);
  if (named->content == NULL)
    return;
  fd = openat (dir, named->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (syscall (SYS_write, fd, named->content, named->size) < 0)
    abort ();
  close (fd);
}

static void
lose_unsynced (void)
{
  power_disk_lose (&disk);
  for (unsigned i = 0; i < n_files; i++)
    if (power_disk_loses (&disk) && syscall (SYS_ftruncate, files[i].fd, 0) < 0)
      abort ();
  while (n_changes-- > 0) {
    const Change *change = &changes[n_changes];

    if (!power_disk_loses (&disk))
      continue;
    if (change->from.name[0] != '\0')
      restore (change->dir, &change->from);
    /* A file system without a journal may have written the new name and not the loss of the old one. */
    if (disk.how != POWER_SECTORS || change->from.name[0] == '\0')
      restore (change->dir, &change->to);
  }
}

static void
count_down (void)
{
  if (die_at == 0 || --die_at > 0)
    return;
  if (disk.how != KILLED)
    lose_unsynced ();
  _exit (DEAD);
}

/* Whether FD is a file or directory of the world's, in *ST: not libfdisk's copy in memory, nor standard output. */
static gboolean
is_ours (int fd, struct stat *st)
{
  return die_at > 0 && fstat (fd, st) == 0 && st->st_dev == our_device && (S_ISREG (st->st_mode) || S_ISDIR (st->st_mode));
}

static void
note_file (int fd, ino_t inode)
{
  for (unsigned i = 0; i < n_files; i++)
    if (files[i].inode == inode)
      return;
  g_assert_cmpuint (n_files, <, MAX_FILES);
  files[n_files].inode = inode;
  files[n_files++].fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
}

static Named
look (int dir, const char *name)
{
  Named named = { 0 };
  g_autoptr (GBytes) bytes = floe_file_read_at (dir, name, 1u << 20, NULL);

  g_strlcpy (named.name, name, sizeof named.name);
  if (bytes != NULL)
    named.content = g_memdup2 (g_bytes_get_data (bytes, NULL), named.size = g_bytes_get_size (bytes));
  return named;
}

static void
note_change (int dir, const char *from, const char *to)
{
  struct stat st;
  Change *change = &changes[n_changes];

  if (die_at == 0)
    return;
  g_assert_cmpuint (n_changes, <, MAX_CHANGES);
  g_assert_cmpint (fstat (dir, &st), ==, 0);
  /* Opened anew: a duplicate would hold on to the directory's lock. */
  *change = (Change){ .dir = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .inode = st.st_ino, .to = look (dir, to) };
  if (from != NULL)
    change->from = look (dir, from);
  n_changes++;
}

static void
forget_changes (ino_t directory)
{
  unsigned kept = 0;

  for (unsigned i = 0; i < n_changes; i++)
    if (changes[i].inode != directory)
      changes[kept++] = changes[i];
    else
      close (changes[i].dir);
  n_changes = kept;
}

ssize_t
pwrite (int fd, const void *data, size_t size, off_t offset)
{
  struct stat st;

  if (is_ours (fd, &st)) {
    count_down ();
    if (st.st_ino == disk_inode)
      power_disk_note (&disk, fd, size, offset);
    else
      note_file (fd, st.st_ino);
  }
  return syscall (SYS_pwrite64, fd, data, size, offset);
}

ssize_t
write (int fd, const void *data, size_t size)
{
  struct stat st;

  if (is_ours (fd, &st)) {
    count_down ();
    note_file (fd, st.st_ino);
  }
  return syscall (SYS_write, fd, data, size);
}

int
fsync (int fd)
{
  struct stat st;

  if (is_ours (fd, &st)) {
    count_down ();
    if (st.st_ino == disk_inode)
      power_disk_synced (&disk);
    forget_changes (st.st_ino);
    for (unsigned i = 0; i < n_files; i++)
      if (files[i].inode == st.st_ino)
        files[i--] = files[--n_files];
  }
  return (int) syscall (SYS_fsync, fd);
}

/* Asked for on the boot partition alone, which is a file system of its own there: it is the one directory, and does nothing for what fsync() is
 * to do. */
int
syncfs (int fd)
{
  struct stat st;

  if (is_ours (fd, &st))
    count_down ();
  return (int) syscall (SYS_syncfs, fd);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  count_down ();
  note_change (to_dir, from, to);
  return (int) syscall (SYS_renameat, from_dir, from, to_dir, to);
}

int
unlinkat (int dir, const char *name, int flags)
{
  count_down ();
  note_change (dir, NULL, name);
  return (int) syscall (SYS_unlinkat, dir, name, flags);
}

/* -- What is done and what must hold --------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  int running, other; /* installed at first */
  int offered;        /* and its entry is on trial already: `good` is called, of a machine that runs it */
  gboolean allow_older, good;
  int before;         /* what starts next at first; afterwards it is OFFERED */
} Scene;

static void
act (SlotWorld *world, const Scene *scene)
{
  g_autoptr (GError) error = NULL;
  FloeSlotOutcome outcome = FLOE_SLOT_CURRENT;

  if (scene->good) {
    g_autoptr (FloeSlot) slot = floe_slot_open (&world->options, &error);
    g_autofree char *message = NULL;

    g_assert_no_error (error);
    g_assert_true (floe_slot_good (slot, &message, &error));
    g_assert_no_error (error);
    return;
  }
  if (!slot_world_update (world, &outcome, &error))
    g_error ("%s: %s", scene->name, error->message);
  g_assert_cmpint (outcome, ==, FLOE_SLOT_INSTALLED);
}

/* -- The world as it was ---------------------------------------------------------------------------------------------- */

typedef struct {
  char *path; /* below the world's */
  GBytes *content; /* NULL: a directory */
  mode_t mode;
} Kept;
static GPtrArray *kept; /* of Kept, directories before what is in them */

static void
kept_free (gpointer data)
{
  Kept *one = data;

  g_clear_pointer (&one->content, g_bytes_unref);
  g_free (one->path);
  g_free (one);
}

static void
keep (const char *world, const char *path)
{
  g_autofree char *full = g_build_filename (world, path, NULL);
  g_autoptr (GDir) dir = NULL;
  Kept *one = g_new0 (Kept, 1);
  const char *name;
  struct stat st;

  g_assert_cmpint (stat (full, &st), ==, 0);
  one->path = g_strdup (path);
  one->mode = st.st_mode & 07777;
  g_ptr_array_add (kept, one);
  if (!S_ISDIR (st.st_mode)) {
    one->content = floe_file_read (full, 64u << 20, NULL);
    return;
  }
  dir = g_dir_open (full, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *below = g_build_filename (path, name, NULL);

    keep (world, below);
  }
}

static void
keep_world (SlotWorld *world)
{
  g_autofree char *slot = g_build_filename (world->state, "slot", NULL);

  g_clear_pointer (&kept, g_ptr_array_unref);
  kept = g_ptr_array_new_with_free_func (kept_free);
  keep (world->path, "disk");
  keep (world->path, "boot");
  if (g_file_test (slot, G_FILE_TEST_EXISTS))
    keep (world->path, "state/slot");
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED, struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

static void
rewind_world (SlotWorld *world)
{
  g_autofree char *slot = g_build_filename (world->state, "slot", NULL);

  nftw (world->boot, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  nftw (slot, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  for (guint i = 0; i < kept->len; i++) {
    const Kept *one = kept->pdata[i];
    g_autofree char *path = g_build_filename (world->path, one->path, NULL);
    int fd;

    if (one->content == NULL) {
      g_assert_cmpint (g_mkdir (path, one->mode), ==, 0);
      continue;
    }
    fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, one->mode);
    g_assert_true (floe_write_all (fd, g_bytes_get_data (one->content, NULL), g_bytes_get_size (one->content), NULL));
    close (fd);
  }
}

/* In a process that dies at call AT. FALSE when it ended before. */
static gboolean
run_dying (SlotWorld *world, const Scene *scene, unsigned at, Death how)
{
  struct stat st;
  pid_t child;
  int status;

  g_assert_cmpint (stat (world->disk, &st), ==, 0);
  child = fork ();
  if (child == 0) {
    our_device = st.st_dev;
    disk_inode = st.st_ino;
    power_disk_begin (&disk, how, at * 2654435761u + how);
    /* Another process would not have this one's random numbers for the names of its temporary files. */
    g_random_set_seed (disk.seed);
    die_at = at;
    act (world, scene);
    die_at = 0;
    _exit (0);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status) && (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == DEAD));
  return WEXITSTATUS (status) == DEAD;
}

static unsigned cuts, kills, failures;

/* One death, and a second one in the run after it (AGAIN; 0: none). FALSE when the first run ended before it could die. */
static gboolean
try (SlotWorld *world, const Scene *scene, unsigned at, unsigned again, Death how)
{
  gboolean died;
  int64_t next;

  rewind_world (world);
  died = run_dying (world, scene, at, how);
  if (died && again > 0)
    run_dying (world, scene, again, how);
  next = slot_world_next (world);
  if (next != scene->before && next != scene->offered) {
    failures++;
    g_test_fail_printf ("%s: died at call %u (then %u, way %d): version %d starts", scene->name, at, again, (int) how, (int) next);
  }
  act (world, scene);
  if (slot_world_next (world) != scene->offered) {
    failures++;
    g_test_fail_printf ("%s: died at call %u (then %u, way %d): the next run does not mend it", scene->name, at, again, (int) how);
  }
  *(how == KILLED ? &kills : &cuts) += died;
  return died;
}

static void
prepare (SlotWorld *world, const Scene *scene)
{
  slot_world_install (world, scene->running, scene->other);
  slot_world_publish (world, scene->offered, scene->allow_older);
  if (scene->good) {
    Scene install = *scene;

    install.good = FALSE;
    act (world, &install);
    slot_world_run (world, scene->offered);
  }
  keep_world (world);
}

/* Under sanitizers, which are for other mistakes, some of the instants. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP 5
#endif
#endif
#ifndef STEP
#define STEP 1
#endif

static gboolean
is_long (void)
{
  const char *asked = g_getenv ("FLOE_LONG");

  return asked != NULL && *asked != '\0';
}

static void
test_deaths (gconstpointer data)
{
  const Scene *scene = data;
  g_autoptr (SlotWorld) world = slot_world_new ();
  unsigned calls = 0;

  if (world == NULL) {
    g_test_skip ("sfdisk and veritysetup are not both installed");
    return;
  }
  prepare (world, scene);
  g_assert_cmpint (slot_world_next (world), ==, scene->before);
  for (unsigned at = 1; try (world, scene, at, 0, KILLED); at += STEP)
    calls = at;
  for (unsigned at = 1; at <= calls; at += STEP) {
    try (world, scene, at, 0, POWER_ALL);
    try (world, scene, at, 0, at % 2 == 0 ? POWER_BLOCKS : POWER_SECTORS);
    if (is_long ())
      try (world, scene, at, 0, at % 2 == 1 ? POWER_BLOCKS : POWER_SECTORS);
  }
  /* A second death while the first is mended, somewhere else each time. */
  for (unsigned at = 1; at <= calls; at += is_long () ? 1 : 9 * STEP)
    try (world, scene, at, 1 + at * 5 % calls, POWER_BLOCKS);
  g_print ("# %s: %u calls\n", scene->name, calls);
  g_assert_cmpuint (calls, >, 3);
}

int
main (int argc, char **argv)
{
  static const Scene scenes[] = {
    { .name = "first", .running = 1, .offered = 2, .before = 1 },
    { .name = "over-an-old-one", .running = 2, .other = 1, .offered = 3, .before = 2 },
    { .name = "back", .running = 3, .other = 1, .offered = 2, .allow_older = TRUE, .before = 3 },
    { .name = "good", .running = 1, .offered = 2, .good = TRUE, .before = 2 },
  };
  int result;

  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (scenes); i++) {
    g_autofree char *path = g_strconcat ("/slot/power/", scenes[i].name, NULL);

    g_test_add_data_func (path, &scenes[i], test_deaths);
  }
  result = g_test_run ();
  g_clear_pointer (&kept, g_ptr_array_unref);
  g_print ("figure: power_cuts_model = %u\nfigure: power_cut_failures_model = %u\nfigure: update_kills = %u\n", cuts, failures, kills);
  return result;
}
