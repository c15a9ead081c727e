/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-boot.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)
/* FAT keeps no owner: nobody but root has anything to do there. As floe-state mounts it. */
#define OPTIONS "umask=0077,shortname=winnt"

static int
wait_for (pid_t child)
{
  int status = 0;

  while (waitpid (child, &status, 0) < 0)
    if (errno != EINTR)
      return EXIT_FAILURE;
  return WIFEXITED (status) ? WEXITSTATUS (status) : EXIT_FAILURE;
}

gboolean
floe_slot_boot_writable (const char *boot, GError **error)
{
  struct statvfs how;
  pid_t child;
  int status;

  if (statvfs (boot, &how) < 0)
    return floe_error_set_errno (error, errno, "the boot partition at %s", boot);
  if ((how.f_flag & ST_RDONLY) == 0)
    return TRUE;
  if (mount (NULL, boot, NULL, MS_REMOUNT | FLAGS, OPTIONS) < 0)
    return floe_error_set_errno (error, errno, "make the boot partition at %s writable", boot);
  child = fork ();
  if (child < 0) {
    int saved_errno = errno;

    (void) !mount (NULL, boot, NULL, MS_REMOUNT | MS_RDONLY | FLAGS, OPTIONS);
    return floe_error_set_errno (error, saved_errno, "fork");
  }
  if (child == 0) {
    /* Nobody would make it read-only again. */
    prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return TRUE;
  }
  /* Whoever ends us means the child. */
  signal (SIGTERM, SIG_IGN);
  signal (SIGINT, SIG_IGN);
  status = wait_for (child);
  (void) !mount (NULL, boot, NULL, MS_REMOUNT | MS_RDONLY | FLAGS, OPTIONS);
  _exit (status);
}
