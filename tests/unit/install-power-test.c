/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/install-world.h"
#include "tests/lib/power-disk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* floe-install dies at each system call by which it changes the disk. Either it is merely killed, or the power fails, and of what was not synced all
 * or some blocks or sectors are lost, in any order. This program's own pwrite() and fsync() stand before the C library's. After each
 * death somebody who starts the computer finds one of three: the old system's table, and then all of that system; the mark of an interrupted
 * installation; or Floe, whole. Never the old table over half of something else. And the next installation succeeds.
 *
 * A disk with an old MBR may show nothing at all as well: half of a first write of eight sectors is neither. */

#define DEAD 99

static unsigned die_at; /* 0: never; otherwise this many calls from now */
static PowerDisk disk;
static ino_t disk_inode;

static gboolean
is_ours (int fd)
{
  struct stat st;

  return die_at > 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && st.st_ino == disk_inode;
}

static void
count_down (void)
{
  if (--die_at > 0)
    return;
  if (disk.how != KILLED)
    power_disk_lose (&disk);
  _exit (DEAD);
}

ssize_t
pwrite (int fd, const void *data, size_t size, off_t offset)
{
  if (is_ours (fd)) {
    count_down ();
    power_disk_note (&disk, fd, size, offset);
  }
  return syscall (SYS_pwrite64, fd, data, size, offset);
}

int
fsync (int fd)
{
  if (is_ours (fd)) {
    count_down ();
    power_disk_synced (&disk);
  }
  return (int) syscall (SYS_fsync, fd);
}

/* In a process that dies at call AT. FALSE when it ended before. */
static gboolean
run_dying (InstallWorld *world, unsigned at, Death how)
{
  struct stat st;
  pid_t child;
  int status;

  g_assert_cmpint (stat (world->target, &st), ==, 0);
  child = fork ();
  if (child == 0) {
    disk_inode = st.st_ino;
    power_disk_begin (&disk, how, at * 2654435761u + how);
    die_at = at;
    _exit (install_world_run (world, NULL) ? 0 : 1);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status) && (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == DEAD));
  return WEXITSTATUS (status) == DEAD;
}

static unsigned deaths[2][4]; /* by the old disk, and what was seen after */
static unsigned cuts, failures;

static void
judge (InstallWorld *world, InstallWorldOld old, unsigned at, Death how)
{
  InstallSeen seen = install_world_see (world);
  const char *wrong = NULL;

  if (seen == INSTALL_SEEN_OLD && !install_world_old_is_intact (world))
    wrong = "the old table over what is not the old system any more";
  else if (seen == INSTALL_SEEN_FLOE && !install_world_is_whole (world))
    wrong = "Floe's table, and not all of Floe";
  else if (seen == INSTALL_SEEN_NOTHING && old == INSTALL_WORLD_GPT)
    wrong = "no table at all";
  deaths[old][seen]++;
  cuts++;
  if (wrong == NULL)
    return;
  failures++;
  g_test_fail_printf ("died at call %u (way %d): %s", at, (int) how, wrong);
}

static gboolean
try (InstallWorld *world, InstallWorldOld old, unsigned at, unsigned again, Death how, gboolean mend)
{
  gboolean died;
  g_autoptr (GError) error = NULL;

  install_world_old (world, old);
  died = run_dying (world, at, how);
  if (!died)
    return FALSE;
  judge (world, old, at, how);
  if (again > 0 && run_dying (world, again, how))
    judge (world, old, again, how);
  if (mend && (!install_world_run (world, &error) || install_world_see (world) != INSTALL_SEEN_FLOE || !install_world_is_whole (world))) {
    failures++;
    g_test_fail_printf ("died at call %u (way %d): the next run does not mend it: %s", at, (int) how, error != NULL ? error->message : "not whole");
  }
  return TRUE;
}

static gboolean
is_long (void)
{
  const char *asked = g_getenv ("FLOE_LONG");

  return asked != NULL && *asked != '\0';
}

static void
test_deaths (gconstpointer data)
{
  InstallWorldOld old = (InstallWorldOld) GPOINTER_TO_INT (data);
  g_autoptr (InstallWorld) world = install_world_new ();
  unsigned calls = 0, step = is_long () ? 1 : 5;

  if (world == NULL) {
    g_test_skip ("sfdisk, veritysetup and mtools are not all installed");
    return;
  }
  for (unsigned at = 1; try (world, old, at, 0, KILLED, at % step == 0); at++)
    calls = at;
  for (unsigned at = 1; at <= calls; at++)
    for (Death how = POWER_ALL; how <= POWER_SECTORS; how++)
      if (is_long () || how == POWER_SECTORS || (how == POWER_ALL) == (at % 2 == 0))
        try (world, old, at, 0, how, is_long ());
  /* A second death while the first is mended, somewhere else each time. */
  for (unsigned at = 1; at <= calls; at += step)
    try (world, old, at, 1 + at * 5 % calls, POWER_SECTORS, TRUE);
  g_print ("# %u calls; seen after a death: nothing %u, the old system %u, the mark %u, Floe %u\n", calls, deaths[old][0], deaths[old][1], deaths[old][2],
           deaths[old][3]);
  g_assert_cmpuint (calls, >, 20);
  g_assert_cmpuint (deaths[old][INSTALL_SEEN_OLD], >, 0);
  g_assert_cmpuint (deaths[old][INSTALL_SEEN_MARK], >, 20);
  g_assert_cmpuint (deaths[old][INSTALL_SEEN_FLOE], >, 0);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/install/power/gpt", GINT_TO_POINTER (INSTALL_WORLD_GPT), test_deaths);
  g_test_add_data_func ("/install/power/dos", GINT_TO_POINTER (INSTALL_WORLD_DOS), test_deaths);
  result = g_test_run ();
  g_print ("figure: install_deaths = %u\nfigure: install_death_failures = %u\n", cuts, failures);
  return result;
}
