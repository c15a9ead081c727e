/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <sys/types.h>

/* File descriptors that close themselves, bounded reads, durable writes. Every descriptor made here is O_CLOEXEC, every
 * name is one path component relative to a directory descriptor, and no symbolic link is followed. */

void floe_fd_clear (int *fd);
#define floe_autofd __attribute__ ((cleanup (floe_fd_clear))) int
/* Takes the descriptor out of *fd, leaving -1. */
int floe_fd_steal (int *fd);

/* Whether NAME may be one path component from an untrusted source: 1 to 128 of [A-Za-z0-9._-], not starting with '.'. */
gboolean floe_name_is_safe (const char *name);

/* Opens the directory at PATH (any depth, for configuration; links are followed). -1 on failure. */
int floe_dir_open (const char *path, GError **error) FLOE_WARN_UNUSED;
/* Opens the directory NAME below DIR, first making it with MODE if it is not there. -1 on failure. */
int floe_dir_make_at (int dir, const char *name, mode_t mode, GError **error) FLOE_WARN_UNUSED;
/* The same for an absolute or relative PATH, making what is missing on the way. */
int floe_dir_make (const char *path, mode_t mode, GError **error) FLOE_WARN_UNUSED;

/* Names of the entries of the directory NAME below DIR ("." for itself) but "." and "..", in no order. */
GPtrArray *floe_dir_names_at (int dir, const char *name, GError **error) FLOE_WARN_UNUSED;

/* Opens the regular file NAME below DIR for reading; anything else is refused (INVALID). -1 on failure. */
int floe_file_open_at (int dir, const char *name, GError **error) FLOE_WARN_UNUSED;
/* The whole of the regular file NAME; LIMIT error when it is larger than MAX bytes. */
GBytes *floe_file_read_at (int dir, const char *name, size_t max, GError **error) FLOE_WARN_UNUSED;
/* The same for a file the administrator names by PATH (links are followed). */
GBytes *floe_file_read (const char *path, size_t max, GError **error) FLOE_WARN_UNUSED;

/* Replaces NAME below DIR durably: temporary file, fsync, rename, fsync of the directory. After a crash the file is
 * wholly the old or wholly the new one. */
gboolean floe_file_replace_at (int dir, const char *name, const void *data, size_t size, mode_t mode,
                               GError **error) FLOE_WARN_UNUSED;
/* Removes NAME below DIR and syncs the directory; a missing file is success. */
gboolean floe_file_remove_at (int dir, const char *name, GError **error) FLOE_WARN_UNUSED;
gboolean floe_dir_sync (int dir, GError **error) FLOE_WARN_UNUSED;

gboolean floe_write_all (int fd, const void *data, size_t size, GError **error) FLOE_WARN_UNUSED;
/* Reads exactly SIZE bytes at OFFSET; INVALID when the file ends before. */
gboolean floe_pread_all (int fd, void *data, size_t size, off_t offset, GError **error) FLOE_WARN_UNUSED;
