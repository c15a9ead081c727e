/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-usb-kind.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define DEVICES "/sys/bus/usb/devices"

bool
floe_usb_is_only (const char *device, uint8_t class)
{
  uint8_t raw[4096];
  char path[320];
  unsigned interfaces = 0;
  ssize_t got;
  int fd;

  snprintf (path, sizeof path, DEVICES "/%s/descriptors", device);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  got = fd >= 0 ? read (fd, raw, sizeof raw) : -1;
  if (fd >= 0)
    close (fd);
  if (got < 18 || got == sizeof raw)
    return false;
  for (ssize_t at = 0; at + 2 <= got; at += raw[at]) {
    if (raw[at] < 2)
      return false;
    if (raw[at + 1] != 4)
      continue;
    if (raw[at] < 9 || at + 9 > got || raw[at + 5] != class)
      return false;
    interfaces++;
  }
  return interfaces > 0;
}

static void
authorise (const char *device, bool open_it)
{
  char path[400];
  int fd;

  snprintf (path, sizeof path, DEVICES "/%s/authorized", device);
  fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  /* A device that went away meanwhile needs nothing. */
  (void) !write (fd, open_it ? "1" : "0", 1);
  close (fd);
}

void
floe_usb_authorise (uint8_t class, bool open_them, const char *keep)
{
  DIR *directory = opendir (DEVICES);
  struct dirent *entry;

  while (directory != NULL && (entry = readdir (directory)) != NULL) {
    char path[400], real[4096];
    size_t length;

    if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || strchr (entry->d_name, ':') != NULL || !floe_usb_is_only (entry->d_name, class))
      continue;
    snprintf (path, sizeof path, DEVICES "/%s", entry->d_name);
    if (!open_them && keep != NULL && realpath (path, real) != NULL) {
      length = strlen (real);
      if (strncmp (keep, real, length) == 0 && keep[length] == '/')
        continue;
    }
    authorise (entry->d_name, open_them);
  }
  if (directory != NULL)
    closedir (directory);
}
