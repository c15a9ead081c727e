/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-store.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path of a chunk has two components, both made of its digest alone. Each is opened on its own without following links:
 * neither a linked file nor a linked directory leads out of the store. What is read goes into a buffer first and is judged
 * there, so a file that changes while it is read cannot change what was judged. */

#define WAITING ".writing"
#define DIRECTORY_LENGTH 4
#define SUFFIX ".cacnk"

struct _FloeStore {
  int dir;
  int waiting; /* -1: for reading only */
  gint serial; /* of temporary names; atomic */
};

typedef struct {
  char directory[DIRECTORY_LENGTH + 1];
  char file[FLOE_DIGEST_HEX_SIZE + sizeof SUFFIX];
} ChunkName;

typedef char TemporaryName[16];

static void
name_of (const FloeDigest *digest, ChunkName *name)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (digest, hex);
  memcpy (name->directory, hex, DIRECTORY_LENGTH);
  name->directory[DIRECTORY_LENGTH] = '\0';
  g_snprintf (name->file, sizeof name->file, "%s" SUFFIX, hex);
}

/* The digest that a file of the store is named by; FALSE for other names. */
static gboolean
digest_of_name (const char *directory, const char *file, FloeDigest *digest)
{
  char hex[FLOE_DIGEST_HEX_SIZE] = "";

  if (strlen (file) != sizeof hex - 1 + strlen (SUFFIX) || strcmp (file + sizeof hex - 1, SUFFIX) != 0)
    return FALSE;
  memcpy (hex, file, sizeof hex - 1);
  return floe_digest_from_hex (hex, digest, NULL) && strncmp (hex, directory, DIRECTORY_LENGTH) == 0;
}

/* Opening and closing */

FloeStore *
floe_store_open (int dir, GError **error)
{
  floe_autofd copy = fcntl (dir, F_DUPFD_CLOEXEC, 0);
  FloeStore *store;

  if (copy < 0) {
    floe_error_set_errno (error, errno, "open chunk store");
    return NULL;
  }
  store = g_new0 (FloeStore, 1);
  store->dir = floe_fd_steal (&copy);
  store->waiting = -1;
  return store;
}

/* Removes everything in the directory FD: what a writer that died has left. */
static gboolean
empty (int fd, GError **error)
{
  /* A descriptor of its own: closedir() closes it. */
  int own = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = own < 0 ? NULL : fdopendir (own);
  struct dirent *entry;

  if (directory == NULL) {
    floe_fd_clear (&own);
    return floe_error_set_errno (error, errno, "read " WAITING);
  }
  while ((entry = readdir (directory)) != NULL)
    unlinkat (fd, entry->d_name, 0);
  closedir (directory);
  return TRUE;
}

FloeStore *
floe_store_open_writing (int dir, GError **error)
{
  g_autoptr (FloeStore) store = floe_store_open (dir, error);

  if (store == NULL)
    return NULL;
  store->waiting = floe_dir_make_at (store->dir, WAITING, 0700, error);
  if (store->waiting < 0)
    return NULL;
  if (flock (store->waiting, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      floe_error_set (error, FLOE_ERROR_BUSY, "another process writes into this chunk store; wait until it has ended");
    else
      floe_error_set_errno (error, errno, "lock chunk store");
    return NULL;
  }
  return empty (store->waiting, error) && floe_store_sync (store, error) ? g_steal_pointer (&store) : NULL;
}

void
floe_store_free (FloeStore *store)
{
  if (store == NULL)
    return;
  floe_fd_clear (&store->dir);
  floe_fd_clear (&store->waiting);
  g_free (store);
}

/* Reading */

static gboolean
altered (const FloeDigest *digest, const char *what, GError **error)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (digest, hex);
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "chunk %s refused: in the store is %s", hex, what);
}

gboolean
floe_store_has (FloeStore *store, const FloeTableEntry *entry)
{
  char path[DIRECTORY_LENGTH + 1 + sizeof ((ChunkName *) 0)->file];
  ChunkName name;
  struct stat st;

  name_of (&entry->digest, &name);
  g_snprintf (path, sizeof path, "%s/%s", name.directory, name.file);
  return fstatat (store->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG (st.st_mode)
         && st.st_size == (off_t) entry->compressed_size;
}

/* openat() that tells what is not there from what is something else than a chunk: -1 with NOT_FOUND, UNVERIFIED or IO. */
static int
open_plain (int dir, const char *name, int flags, const FloeDigest *digest, GError **error)
{
  int fd = openat (dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags);

  if (fd >= 0)
    return fd;
  if (errno == ELOOP || errno == ENOTDIR || errno == ENXIO)
    altered (digest, "no regular file of the name", error);
  else
    floe_error_set_errno (error, errno, "open chunk %s", name);
  return -1;
}

static gboolean
read_frame (FloeStore *store, const FloeTableEntry *entry, uint8_t *frame, GError **error)
{
  floe_autofd directory = -1;
  floe_autofd fd = -1;
  ChunkName name;
  struct stat st;

  name_of (&entry->digest, &name);
  directory = open_plain (store->dir, name.directory, O_DIRECTORY, &entry->digest, error);
  if (directory < 0)
    return FALSE;
  fd = open_plain (directory, name.file, 0, &entry->digest, error);
  if (fd < 0)
    return FALSE;
  if (fstat (fd, &st) < 0)
    return floe_error_set_errno (error, errno, "open chunk %s", name.file);
  if (!S_ISREG (st.st_mode))
    return altered (&entry->digest, "no regular file of the name", error);
  if (st.st_size != (off_t) entry->compressed_size)
    return altered (&entry->digest, "a file of the wrong size", error);
  if (floe_pread_all (fd, frame, entry->compressed_size, 0, error))
    return TRUE;
  /* It was cut short between the two calls. */
  if (error != NULL && g_error_matches (*error, FLOE_ERROR, FLOE_ERROR_INVALID))
    (*error)->code = FLOE_ERROR_UNVERIFIED;
  return FALSE;
}

gboolean
floe_store_get (FloeStore *store, FloeChunkCodec *codec, const FloeTableEntry *entry, void *raw, GError **error)
{
  uint8_t *frame = floe_chunk_codec_buffer (codec);

  g_return_val_if_fail (entry->compressed_size <= FLOE_CHUNK_COMPRESSED_MAX, FALSE);
  return read_frame (store, entry, frame, error)
         && floe_chunk_decompress (codec, entry, frame, entry->compressed_size, raw, error);
}

gboolean
floe_store_verify (FloeStore *store, const FloeTableEntry *entry, GError **error)
{
  g_autofree uint8_t *frame = NULL;

  g_return_val_if_fail (entry->compressed_size <= FLOE_CHUNK_COMPRESSED_MAX, FALSE);
  frame = g_malloc (entry->compressed_size);
  return read_frame (store, entry, frame, error) && floe_chunk_verify (entry, frame, entry->compressed_size, error);
}

/* Writing */

/* Writes FRAME under a temporary name; nothing is left behind on failure. */
static gboolean
write_waiting (FloeStore *store, const FloeTableEntry *entry, const void *frame, gboolean sync, TemporaryName temporary,
               GError **error)
{
  floe_autofd fd = -1;

  g_snprintf (temporary, sizeof (TemporaryName), "%08x", (unsigned) g_atomic_int_add (&store->serial, 1));
  fd = openat (store->waiting, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return floe_error_set_errno (error, errno, "write chunk");
  /* Read by every plugin's user, whatever the umask. */
  if (!floe_write_all (fd, frame, entry->compressed_size, error)
      || ((fchmod (fd, 0644) < 0 || (sync && fsync (fd) < 0)) && !floe_error_set_errno (error, errno, "write chunk"))) {
    unlinkat (store->waiting, temporary, 0);
    return FALSE;
  }
  return TRUE;
}

/* The directory of a chunk, made if need be and durably so if SYNC; something else in its place is removed. */
static int
chunk_directory (FloeStore *store, const char *name, gboolean sync, GError **error)
{
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  floe_autofd fd = openat (store->dir, name, flags);

  if (fd >= 0)
    return floe_fd_steal (&fd);
  if (errno == ELOOP || errno == ENOTDIR)
    unlinkat (store->dir, name, 0);
  if (mkdirat (store->dir, name, 0755) < 0 && errno != EEXIST) {
    floe_error_set_errno (error, errno, "make directory %s of the chunk store", name);
    return -1;
  }
  fd = openat (store->dir, name, flags);
  if (fd < 0 || fchmod (fd, 0755) < 0) {
    floe_error_set_errno (error, errno, "open directory %s of the chunk store", name);
    return -1;
  }
  if (sync && !floe_dir_sync (store->dir, error))
    return -1;
  return floe_fd_steal (&fd);
}

static gboolean
move_in (FloeStore *store, const char *temporary, const FloeDigest *digest, gboolean sync, GError **error)
{
  floe_autofd directory = -1;
  ChunkName name;

  name_of (digest, &name);
  directory = chunk_directory (store, name.directory, sync, error);
  if (directory < 0)
    return FALSE;
  if (renameat (store->waiting, temporary, directory, name.file) < 0
      /* An empty directory in the chunk's place. */
      && (errno != EISDIR || unlinkat (directory, name.file, AT_REMOVEDIR) < 0
          || renameat (store->waiting, temporary, directory, name.file) < 0))
    return floe_error_set_errno (error, errno, "put chunk %s", name.file);
  return !sync || floe_dir_sync (directory, error);
}

static gboolean
may_write (FloeStore *store, const FloeTableEntry *entry, const void *frame, size_t size, GError **error)
{
  if (store->waiting < 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "this chunk store was opened for reading");
  return floe_chunk_verify (entry, frame, size, error);
}

gboolean
floe_store_put (FloeStore *store, const FloeTableEntry *entry, const void *frame, size_t size, FloeStoreHow how,
                GError **error)
{
  TemporaryName temporary;
  gboolean sync = how == FLOE_STORE_DURABLE;

  if (!may_write (store, entry, frame, size, error) || !write_waiting (store, entry, frame, sync, temporary, error))
    return FALSE;
  if (!move_in (store, temporary, &entry->digest, sync, error)) {
    unlinkat (store->waiting, temporary, 0);
    return FALSE;
  }
  return TRUE;
}

gboolean
floe_store_sync (FloeStore *store, GError **error)
{
  return syncfs (store->waiting) == 0 || floe_error_set_errno (error, errno, "sync chunk store");
}

gboolean
floe_store_remove (FloeStore *store, const FloeDigest *digest, GError **error)
{
  floe_autofd directory = -1;
  ChunkName name;

  if (store->waiting < 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "this chunk store was opened for reading");
  name_of (digest, &name);
  directory = openat (store->dir, name.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0)
    return errno == ENOENT || floe_error_set_errno (error, errno, "remove chunk %s", name.file);
  return floe_file_remove_at (directory, name.file, error);
}

/* Batches */

typedef struct {
  FloeDigest digest;
  TemporaryName temporary;
} Waiting;

struct _FloeStoreBatch {
  FloeStore *store;
  GMutex lock;     /* of waiting */
  GArray *waiting; /* of Waiting */
};

FloeStoreBatch *
floe_store_batch_new (FloeStore *store)
{
  FloeStoreBatch *batch = g_new0 (FloeStoreBatch, 1);

  batch->store = store;
  g_mutex_init (&batch->lock);
  batch->waiting = g_array_new (FALSE, FALSE, sizeof (Waiting));
  return batch;
}

void
floe_store_batch_free (FloeStoreBatch *batch)
{
  if (batch == NULL)
    return;
  for (guint i = 0; i < batch->waiting->len; i++)
    unlinkat (batch->store->waiting, g_array_index (batch->waiting, Waiting, i).temporary, 0);
  g_array_unref (batch->waiting);
  g_mutex_clear (&batch->lock);
  g_free (batch);
}

gboolean
floe_store_batch_put (FloeStoreBatch *batch, const FloeTableEntry *entry, const void *frame, size_t size, GError **error)
{
  Waiting one = { .digest = entry->digest };

  if (!may_write (batch->store, entry, frame, size, error)
      || !write_waiting (batch->store, entry, frame, FALSE, one.temporary, error))
    return FALSE;
  g_mutex_lock (&batch->lock);
  g_array_append_val (batch->waiting, one);
  g_mutex_unlock (&batch->lock);
  return TRUE;
}

/* Under the batch's lock. */
static gboolean
commit (FloeStoreBatch *batch, GError **error)
{
  if (batch->waiting->len == 0)
    return TRUE;
  if (!floe_store_sync (batch->store, error))
    return FALSE;
  while (batch->waiting->len > 0) {
    Waiting *last = &g_array_index (batch->waiting, Waiting, batch->waiting->len - 1);

    if (!move_in (batch->store, last->temporary, &last->digest, FALSE, error))
      return FALSE;
    g_array_set_size (batch->waiting, batch->waiting->len - 1);
  }
  return floe_store_sync (batch->store, error);
}

gboolean
floe_store_batch_commit (FloeStoreBatch *batch, GError **error)
{
  gboolean done;

  g_mutex_lock (&batch->lock);
  done = commit (batch, error);
  g_mutex_unlock (&batch->lock);
  return done;
}

/* Walking */

typedef gboolean (*Each) (const FloeDigest *digest, uint64_t size, gpointer data);

/* Opens the directory NAME below DIR for reading its names; NULL with *error left alone when it is no directory. */
static DIR *
open_directory (int dir, const char *name, GError **error)
{
  int fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir (fd);

  if (directory == NULL && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
    floe_error_set_errno (error, errno, "read chunk store");
  if (directory == NULL)
    floe_fd_clear (&fd);
  return directory;
}

/* Answers whether to go on. */
static gboolean
walk_directory (DIR *directory, const char *name, Each each, gpointer data)
{
  struct dirent *entry;

  while ((entry = readdir (directory)) != NULL) {
    FloeDigest digest;
    struct stat st;

    if (!digest_of_name (name, entry->d_name, &digest)
        || fstatat (dirfd (directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      continue;
    if (!each (&digest, S_ISREG (st.st_mode) ? (uint64_t) st.st_size : 0, data))
      return FALSE;
  }
  return TRUE;
}

typedef struct {
  int directory;
  gboolean (*keep) (const FloeDigest *digest, gpointer data);
  gpointer data;
  guint64 *count, *bytes;
  int problem; /* errno */
} Sweep;

static gboolean
sweep_one (const FloeDigest *digest, uint64_t size, gpointer data)
{
  Sweep *sweep = data;
  ChunkName name;

  if (sweep->keep (digest, sweep->data))
    return TRUE;
  name_of (digest, &name);
  if (unlinkat (sweep->directory, name.file, 0) < 0) {
    sweep->problem = errno == ENOENT || errno == EISDIR ? 0 : errno;
    return sweep->problem == 0;
  }
  *sweep->count += 1;
  *sweep->bytes += size;
  return TRUE;
}

gboolean
floe_store_sweep (FloeStore *store, uint16_t number, gboolean (*keep) (const FloeDigest *digest, gpointer data), gpointer data,
                  guint64 *count, guint64 *bytes, GError **error)
{
  char name[DIRECTORY_LENGTH + 1];
  g_autoptr (GError) local = NULL;
  Sweep sweep = { -1, keep, data, count, bytes, 0 };
  DIR *directory;

  if (store->waiting < 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "this chunk store was opened for reading");
  g_snprintf (name, sizeof name, "%04x", number);
  directory = open_directory (store->dir, name, &local);
  if (directory == NULL) {
    if (local == NULL)
      return TRUE;
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  sweep.directory = dirfd (directory);
  walk_directory (directory, name, sweep_one, &sweep);
  closedir (directory);
  return sweep.problem == 0 || floe_error_set_errno (error, sweep.problem, "remove chunks");
}

gboolean
floe_store_foreach (FloeStore *store, Each each, gpointer data, GError **error)
{
  g_autoptr (GError) local = NULL;
  DIR *top = open_directory (store->dir, ".", &local);
  gboolean more = top != NULL;

  while (more) {
    struct dirent *entry = readdir (top);
    DIR *directory;

    if (entry == NULL)
      break;
    if (strlen (entry->d_name) != DIRECTORY_LENGTH || strspn (entry->d_name, "0123456789abcdef") != DIRECTORY_LENGTH)
      continue;
    directory = open_directory (store->dir, entry->d_name, &local);
    if (directory != NULL) {
      more = walk_directory (directory, entry->d_name, each, data);
      closedir (directory);
    }
    more = more && local == NULL;
  }
  if (top != NULL)
    closedir (top);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}
