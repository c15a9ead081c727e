/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp.h"

#include "common/floe-fd.h"
#include "hypervisor/qmp/floe-qmp-lines.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Theory of operation: every command has a number; the waiting thread keeps a Waiter under that number and sleeps on the
 * one condition. The reader completes waiters by number and wakes all. A reply that nobody waits for is dropped when its
 * waiter gave up, and ends the connection when no such command was ever sent: the peer does not speak QMP any more.
 *
 * Locks: `lock` guards everything below it and is never held while the socket is waited for; `writing` keeps messages whole
 * and is taken before `lock`. */
struct _FloeQmp {
  gatomicrefcount references;
  FloeQmpEventFunc on_event;
  gpointer context;
  GDestroyNotify release;
  FloeQmpLines *lines; /* reader only */
  GMutex writing;

  GMutex lock;
  GCond changed;
  int fd;
  guint64 last_id;
  gboolean greeted;
  GError *ended;       /* why the connection ended; NULL while it is open */
  GHashTable *waiters; /* guint64 id -> Waiter on its thread's stack */
};

typedef struct {
  guint64 id;
  FloeQmpMessage *reply;
} Waiter;

FloeQmp *
floe_qmp_ref (FloeQmp *qmp)
{
  g_atomic_ref_count_inc (&qmp->references);
  return qmp;
}

void
floe_qmp_unref (FloeQmp *qmp)
{
  if (qmp == NULL || !g_atomic_ref_count_dec (&qmp->references))
    return;
  g_assert (g_hash_table_size (qmp->waiters) == 0);
  g_hash_table_unref (qmp->waiters);
  floe_qmp_lines_free (qmp->lines);
  floe_fd_clear (&qmp->fd);
  g_clear_error (&qmp->ended);
  g_mutex_clear (&qmp->writing);
  g_mutex_clear (&qmp->lock);
  g_cond_clear (&qmp->changed);
  g_free (qmp);
}

/* Ends the connection for everyone, for the reason ERROR (taken), unless it had ended already: then FALSE. The descriptor
 * stays open until the last reference goes, so that its number cannot become something else under a thread that still polls
 * it. */
static gboolean
end (FloeQmp *qmp, GError *error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->lock);

  if (qmp->ended != NULL) {
    g_error_free (error);
    return FALSE;
  }
  qmp->ended = error;
  shutdown (qmp->fd, SHUT_RDWR);
  g_cond_broadcast (&qmp->changed);
  return TRUE;
}

/* -- Reading ---------------------------------------------------------------------------------------------------------- */

static gboolean
take_reply (FloeQmp *qmp, FloeQmpMessage *message, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = message;
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->lock);
  guint64 id = floe_qmp_message_id (reply);
  Waiter *waiter = g_hash_table_lookup (qmp->waiters, &id);

  if (id == 0 && floe_qmp_message_kind (reply) == FLOE_QMP_FAILURE)
    return floe_error_set (error, FLOE_ERROR_PEER, "QMP: %s", floe_qmp_message_text (reply));
  if (id == 0 || id > qmp->last_id)
    return floe_error_set (error, FLOE_ERROR_PEER, "QMP: a reply to no command");
  if (waiter != NULL && waiter->reply == NULL) {
    waiter->reply = g_steal_pointer (&reply);
    g_cond_broadcast (&qmp->changed);
  }
  return TRUE;
}

static gboolean
take_greeting (FloeQmp *qmp, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->lock);

  if (qmp->greeted)
    return floe_error_set (error, FLOE_ERROR_PEER, "QMP: a second greeting");
  qmp->greeted = TRUE;
  g_cond_broadcast (&qmp->changed);
  return TRUE;
}

static gboolean
take_line (FloeQmp *qmp, GBytes *line, GError **error)
{
  g_autoptr (FloeQmpMessage) message = floe_qmp_message_parse (line, error);

  if (message == NULL)
    return FALSE;
  switch (floe_qmp_message_kind (message)) {
  case FLOE_QMP_GREETING:
    return take_greeting (qmp, error);
  case FLOE_QMP_EVENT:
    if (floe_qmp_is_open (qmp))
      qmp->on_event (floe_qmp_message_text (message), floe_qmp_message_payload (message), qmp->context);
    return TRUE;
  case FLOE_QMP_REPLY:
  case FLOE_QMP_FAILURE:
    return take_reply (qmp, g_steal_pointer (&message), error);
  }
  g_assert_not_reached ();
}

/* One read a call: a peer that never stops talking must not keep the context from its other sources. */
static gboolean
read_some (FloeQmp *qmp, GError **error)
{
  char block[16384];
  ssize_t got = recv (qmp->fd, block, sizeof block, MSG_DONTWAIT);

  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return TRUE;
  if (got < 0)
    return floe_error_set_errno (error, errno, "QMP");
  if (got == 0)
    return floe_error_set (error, FLOE_ERROR_PEER, "QMP: QEMU closed the connection");
  if (!floe_qmp_lines_push (qmp->lines, block, (size_t)got, error))
    return FALSE;
  for (;;) {
    g_autoptr (GBytes) line = floe_qmp_lines_next (qmp->lines);

    if (line == NULL)
      return TRUE;
    if (!take_line (qmp, line, error))
      return FALSE;
  }
}

static gboolean
on_readable (int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  FloeQmp *qmp = data;
  g_autoptr (GError) error = NULL;

  if (read_some (qmp, &error))
    return G_SOURCE_CONTINUE;
  if (end (qmp, g_steal_pointer (&error)))
    qmp->on_event (NULL, NULL, qmp->context);
  return G_SOURCE_REMOVE;
}

static void
drop_source (gpointer data)
{
  FloeQmp *qmp = data;

  qmp->release (qmp->context);
  floe_qmp_unref (qmp);
}

FloeQmp *
floe_qmp_new (int socket_fd, GMainContext *reader, FloeQmpEventFunc on_event, gpointer context, GDestroyNotify release)
{
  FloeQmp *qmp = g_new0 (FloeQmp, 1);
  GSource *source = g_unix_fd_source_new (socket_fd, G_IO_IN | G_IO_HUP | G_IO_ERR);

  g_atomic_ref_count_init (&qmp->references);
  qmp->fd = socket_fd;
  qmp->on_event = on_event;
  qmp->context = context;
  qmp->release = release;
  qmp->lines = floe_qmp_lines_new ();
  qmp->waiters = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_mutex_init (&qmp->writing);
  g_mutex_init (&qmp->lock);
  g_cond_init (&qmp->changed);
  /* Owned by its context from here: it goes when the connection ends, and every connection is ended. */
  g_source_set_callback (source, G_SOURCE_FUNC (on_readable), floe_qmp_ref (qmp), drop_source);
  g_source_attach (source, reader);
  g_source_unref (source);
  return qmp;
}

/* -- Writing ---------------------------------------------------------------------------------------------------------- */

static gboolean
wait_writable (int fd, gint64 deadline, GError **error)
{
  struct pollfd wanted = { .fd = fd, .events = POLLOUT };
  gint64 left = (deadline - g_get_monotonic_time ()) / 1000;

  if (left <= 0 || (poll (&wanted, 1, (int)MIN (left, G_MAXINT)) == 0))
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "QMP: QEMU does not read its commands");
  return TRUE;
}

static ssize_t
send_part (int fd, const char *data, size_t size, int passed)
{
  struct iovec part = { .iov_base = (void *)data, .iov_len = size };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE (sizeof (int))];
  } control = { 0 };

  if (passed >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN (sizeof (int));
    memcpy (CMSG_DATA (&control.header), &passed, sizeof passed);
  }
  return sendmsg (fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static gboolean
send_text (FloeQmp *qmp, const char *text, int passed, gint64 deadline, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->writing);
  size_t size = strlen (text);

  while (size > 0) {
    ssize_t put = send_part (qmp->fd, text, size, passed);

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0 && errno == EAGAIN) {
      if (!wait_writable (qmp->fd, deadline, error))
        return FALSE;
      continue;
    }
    if (put < 0)
      return floe_error_set_errno (error, errno, "QMP");
    passed = -1;
    text += put;
    size -= (size_t)put;
  }
  return TRUE;
}

static char *
command_text (const char *command, json_t *arguments, guint64 id)
{
  json_t *message = json_pack ("{s:s,s:I}", "execute", command, "id", (json_int_t)id);
  char *encoded, *text;

  if (arguments != NULL)
    json_object_set_new (message, "arguments", arguments);
  encoded = json_dumps (message, JSON_COMPACT);
  text = g_strconcat (encoded, "\r\n", NULL);
  free (encoded);
  json_decref (message);
  return text;
}

/* Sleeps until the reply is there; the lock is held. */
static FloeQmpMessage *
wait_reply (FloeQmp *qmp, Waiter *waiter, const char *command, gint64 deadline, GError **error)
{
  while (waiter->reply == NULL && qmp->ended == NULL)
    if (!g_cond_wait_until (&qmp->changed, &qmp->lock, deadline))
      break;
  if (waiter->reply == NULL && qmp->ended != NULL)
    floe_error_set (error, FLOE_ERROR_PEER, "%s: %s", command, qmp->ended->message);
  else if (waiter->reply == NULL)
    floe_error_set (error, FLOE_ERROR_CANCELLED, "%s: QEMU did not answer in time", command);
  return g_steal_pointer (&waiter->reply);
}

static guint64
add_waiter (FloeQmp *qmp, Waiter *waiter)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->lock);

  waiter->id = ++qmp->last_id;
  g_hash_table_insert (qmp->waiters, &waiter->id, waiter);
  return waiter->id;
}

FloeQmpMessage *
floe_qmp_execute (FloeQmp *qmp, const char *command, json_t *arguments, int fd, guint timeout_ms, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  Waiter waiter = { 0 };
  g_autofree char *text = command_text (command, arguments, add_waiter (qmp, &waiter));
  g_autoptr (FloeQmpMessage) reply = NULL;
  gboolean sent = send_text (qmp, text, fd, deadline, error);

  /* Half a command may be on its way: nothing can follow it. */
  if (!sent)
    floe_qmp_close (qmp);
  g_mutex_lock (&qmp->lock);
  if (sent)
    reply = wait_reply (qmp, &waiter, command, deadline, error);
  g_hash_table_remove (qmp->waiters, &waiter.id);
  g_mutex_unlock (&qmp->lock);
  floe_qmp_message_free (waiter.reply);
  if (reply == NULL)
    return NULL;
  if (floe_qmp_message_kind (reply) == FLOE_QMP_FAILURE) {
    floe_error_set (error, FLOE_ERROR_PEER, "%s: %s", command, floe_qmp_message_text (reply));
    return NULL;
  }
  return g_steal_pointer (&reply);
}

gboolean
floe_qmp_handshake (FloeQmp *qmp, guint timeout_ms, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  g_autoptr (FloeQmpMessage) reply = NULL;
  gboolean greeted;

  g_mutex_lock (&qmp->lock);
  while (!qmp->greeted && qmp->ended == NULL)
    if (!g_cond_wait_until (&qmp->changed, &qmp->lock, deadline))
      break;
  greeted = qmp->greeted;
  if (!greeted && qmp->ended != NULL)
    floe_error_set (error, FLOE_ERROR_PEER, "%s", qmp->ended->message);
  g_mutex_unlock (&qmp->lock);
  if (!greeted) {
    if (error != NULL && *error == NULL)
      floe_error_set (error, FLOE_ERROR_CANCELLED, "QMP: no greeting within %u ms", timeout_ms);
    return FALSE;
  }
  reply = floe_qmp_execute (qmp, "qmp_capabilities", NULL, -1, timeout_ms, error);
  return reply != NULL;
}

void
floe_qmp_close (FloeQmp *qmp)
{
  GError *reason = NULL;

  floe_error_set (&reason, FLOE_ERROR_PEER, "QMP: closed");
  (void)end (qmp, reason);
}

gboolean
floe_qmp_is_open (FloeQmp *qmp)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&qmp->lock);

  return qmp->ended == NULL;
}
