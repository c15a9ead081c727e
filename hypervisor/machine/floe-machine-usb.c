/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-usb.h"

#include "common/floe-fd.h"

#include <fcntl.h>
#include <string.h>

/* Everything of ours in QEMU is called so, and no device of the machine itself is. */
#define PREFIX "floe-usb-"
/* QEMU removes a USB device before it answers; the guest is not asked. */
#define DELETED_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define SWEEP_POLL_US 20000

typedef struct {
  char *id;   /* of device and, for a disk, node */
  gint64 set; /* of a disk; -1 for a whole device, whose fdset is given up at once */
} Part;

typedef struct {
  guint64 serial;
  GPtrArray *parts; /* of Part */
} Held;

struct _FloeMachineUsb {
  FloeMachineUsbMonitor monitor;
  gpointer data;
  GThreadPool *pool; /* one thread */
  GPtrArray *held;   /* of Held; that thread's */
  gint closed;       /* atomic: nothing is given */
  GMutex lock;       /* for the rest; held for moments */
  GCond changed;
  char *awaited; /* id that must go */
  gboolean deleted;
  gboolean ending; /* nothing is waited for any more */
};

typedef struct {
  enum { GIVE, TAKE, CLEAR } what;
  guint64 serial;
  gboolean read_only;
  GArray *fds; /* of int */
  FloeMachineUsbDone done;
  gpointer data;
  GError *error;
  /* CLEAR: somebody waits. */
  GMutex *lock;
  GCond *finished_changed;
  gboolean *finished;
  GError **outcome;
} Job;

static void
part_free (gpointer data)
{
  Part *part = data;

  g_free (part->id);
  g_free (part);
}

static void
held_free (gpointer data)
{
  Held *held = data;

  g_ptr_array_unref (held->parts);
  g_free (held);
}

static void
job_free (gpointer data)
{
  Job *job = data;

  g_clear_pointer (&job->fds, g_array_unref);
  g_clear_error (&job->error);
  g_free (job);
}

static void
clear_fd (gpointer data)
{
  floe_fd_clear (data);
}

/* -- Taking: the pool's thread ---------------------------------------------------------------------------------------- */

static void
await (FloeMachineUsb *usb, const char *id)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&usb->lock);

  g_free (usb->awaited);
  usb->awaited = g_strdup (id);
  usb->deleted = FALSE;
}

static gboolean
wait_deleted (FloeMachineUsb *usb, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&usb->lock);
  gint64 deadline = g_get_monotonic_time () + DELETED_TIMEOUT_US;

  while (!usb->deleted && !usb->ending)
    if (!g_cond_wait_until (&usb->changed, &usb->lock, deadline))
      break;
  return usb->deleted || floe_error_set (error, FLOE_ERROR_PEER, "QEMU does not let go of USB device %s", usb->awaited);
}

void
floe_machine_usb_deleted (FloeMachineUsb *usb, const char *id)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&usb->lock);

  if (g_strcmp0 (usb->awaited, id) != 0)
    return;
  usb->deleted = TRUE;
  g_cond_broadcast (&usb->changed);
}

/* Goes on after a failure: what can be let go of is. */
static gboolean
take_part (FloeMachineUsb *usb, FloeQmp *qmp, const Part *part, GError **error)
{
  gboolean gone;

  await (usb, part->id);
  gone = floe_qmp_device_del (qmp, part->id, error) && wait_deleted (usb, error);
  if (part->set < 0)
    return gone;
  gone = floe_qmp_blockdev_del (qmp, part->id, gone ? error : NULL) && gone;
  return floe_qmp_remove_fd (qmp, part->set, gone ? error : NULL) && gone;
}

static gboolean
take_held (FloeMachineUsb *usb, FloeQmp *qmp, const Held *held, GError **error)
{
  gboolean gone = TRUE;

  for (guint i = 0; i < held->parts->len; i++)
    gone = take_part (usb, qmp, g_ptr_array_index (held->parts, i), gone ? error : NULL) && gone;
  return gone;
}

static Held *
find_held (FloeMachineUsb *usb, guint64 serial, guint *index)
{
  for (guint i = 0; i < usb->held->len; i++) {
    Held *held = g_ptr_array_index (usb->held, i);

    if (held->serial == serial) {
      *index = i;
      return held;
    }
  }
  return NULL;
}

static gboolean
take (FloeMachineUsb *usb, guint64 serial, GError **error)
{
  g_autoptr (FloeQmp) qmp = usb->monitor (usb->data, NULL);
  guint index;
  const Held *held = find_held (usb, serial, &index);
  gboolean gone;

  /* It was never given, or went with its QEMU. */
  if (held == NULL)
    return TRUE;
  gone = qmp == NULL || take_held (usb, qmp, held, error);
  g_ptr_array_remove_index (usb->held, index);
  return gone;
}

static gboolean
take_all (FloeMachineUsb *usb, GError **error)
{
  gboolean gone = TRUE;

  while (usb->held->len > 0)
    gone = take (usb, ((const Held *)g_ptr_array_index (usb->held, 0))->serial, gone ? error : NULL) && gone;
  return gone;
}

/* -- Giving: the pool's thread ---------------------------------------------------------------------------------------- */

static gboolean
give_whole (FloeQmp *qmp, const char *id, int fd, GError **error)
{
  gint64 set;
  gboolean added;

  if (!floe_qmp_add_fd (qmp, PREFIX, fd, &set, error))
    return FALSE;
  added = floe_qmp_device_add_usb_host (qmp, id, FLOE_VM_USB_BUS, set, error);
  /* The device has its own copy now, or there is none: the set must not keep the descriptor beyond it. */
  if (floe_qmp_remove_fd (qmp, set, added ? error : NULL))
    return added;
  if (added)
    (void)!floe_qmp_device_del (qmp, id, NULL);
  return FALSE;
}

static gboolean
give_disk (FloeQmp *qmp, const char *id, int fd, gint64 *set, GError **error)
{
  if (!floe_qmp_add_fd (qmp, PREFIX, fd, set, error))
    return FALSE;
  if (floe_qmp_blockdev_add_read_only (qmp, id, *set, error)) {
    if (floe_qmp_device_add_usb_disk (qmp, id, FLOE_VM_USB_BUS, id, error))
      return TRUE;
    (void)!floe_qmp_blockdev_del (qmp, id, NULL);
  }
  (void)!floe_qmp_remove_fd (qmp, *set, NULL);
  return FALSE;
}

static void
add_part (Held *held, const char *id, gint64 set)
{
  Part *part = g_new0 (Part, 1);

  part->id = g_strdup (id);
  part->set = set;
  g_ptr_array_add (held->parts, part);
}

static gboolean
give_parts (FloeQmp *qmp, const Job *job, Held *held, GError **error)
{
  for (guint i = 0; i < job->fds->len; i++) {
    g_autofree char *id = g_strdup_printf (PREFIX "%" G_GUINT64_FORMAT "-%u", job->serial, i);
    int fd = g_array_index (job->fds, int, i);
    gint64 set = -1;

    if (!(job->read_only ? give_disk (qmp, id, fd, &set, error) : give_whole (qmp, id, fd, error)))
      return FALSE;
    add_part (held, id, set);
  }
  return TRUE;
}

static gboolean
give (FloeMachineUsb *usb, const Job *job, GError **error)
{
  g_autoptr (FloeQmp) qmp = usb->monitor (usb->data, error);
  Held *held;

  if (qmp == NULL)
    return FALSE;
  if (g_atomic_int_get (&usb->closed))
    return floe_error_set (error, FLOE_ERROR_BUSY, "the machine is being suspended");
  held = g_new0 (Held, 1);
  held->serial = job->serial;
  held->parts = g_ptr_array_new_with_free_func (part_free);
  if (give_parts (qmp, job, held, error)) {
    g_ptr_array_add (usb->held, held);
    return TRUE;
  }
  (void)!take_held (usb, qmp, held, NULL);
  held_free (held);
  return FALSE;
}

/* -- Jobs ------------------------------------------------------------------------------------------------------------- */

static gboolean
tell (gpointer data)
{
  Job *job = data;

  job->done (job->serial, job->error, job->data);
  return G_SOURCE_REMOVE;
}

static void
finish_clear (Job *job)
{
  g_mutex_lock (job->lock);
  *job->outcome = g_steal_pointer (&job->error);
  *job->finished = TRUE;
  g_cond_signal (job->finished_changed);
  g_mutex_unlock (job->lock);
  job_free (job);
}

static void
work (gpointer data, gpointer user_data)
{
  Job *job = data;
  FloeMachineUsb *usb = user_data;

  switch (job->what) {
  case GIVE:
    (void)!give (usb, job, &job->error);
    break;
  case TAKE:
    (void)!take (usb, job->serial, &job->error);
    break;
  case CLEAR:
    g_atomic_int_set (&usb->closed, TRUE);
    (void)!take_all (usb, &job->error);
    finish_clear (job);
    return;
  }
  /* The descriptors go before anyone hears of it: QEMU's copies are the only ones then. */
  g_clear_pointer (&job->fds, g_array_unref);
  g_idle_add_full (G_PRIORITY_DEFAULT, tell, job, job_free);
}

static void
push (FloeMachineUsb *usb, Job *job)
{
  g_thread_pool_push (usb->pool, job, NULL);
}

void
floe_machine_usb_give (FloeMachineUsb *usb, const FloeUsbGift *gift, FloeMachineUsbDone done, gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->what = GIVE;
  job->serial = gift->serial;
  job->read_only = gift->read_only;
  job->done = done;
  job->data = data;
  job->fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_set_clear_func (job->fds, clear_fd);
  for (unsigned i = 0; i < gift->n_fds; i++) {
    int copy = fcntl (gift->fds[i], F_DUPFD_CLOEXEC, 3);

    g_array_append_val (job->fds, copy);
  }
  push (usb, job);
}

void
floe_machine_usb_take (FloeMachineUsb *usb, guint64 serial, FloeMachineUsbDone done, gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->what = TAKE;
  job->serial = serial;
  job->done = done;
  job->data = data;
  push (usb, job);
}

gboolean
floe_machine_usb_clear (FloeMachineUsb *usb, GError **error)
{
  gboolean finished = FALSE;
  GError *outcome = NULL;
  Job *job = g_new0 (Job, 1);
  GMutex lock;
  GCond changed;

  g_mutex_init (&lock);
  g_cond_init (&changed);
  job->what = CLEAR;
  job->lock = &lock;
  job->finished_changed = &changed;
  job->finished = &finished;
  job->outcome = &outcome;
  push (usb, job);
  g_mutex_lock (&lock);
  while (!finished)
    g_cond_wait (&changed, &lock);
  g_mutex_unlock (&lock);
  g_mutex_clear (&lock);
  g_cond_clear (&changed);
  if (outcome == NULL)
    return TRUE;
  g_propagate_error (error, outcome);
  return FALSE;
}

void
floe_machine_usb_open (FloeMachineUsb *usb)
{
  g_atomic_int_set (&usb->closed, FALSE);
}

FloeMachineUsb *
floe_machine_usb_new (FloeMachineUsbMonitor monitor, gpointer data)
{
  FloeMachineUsb *usb = g_new0 (FloeMachineUsb, 1);

  usb->monitor = monitor;
  usb->data = data;
  usb->held = g_ptr_array_new_with_free_func (held_free);
  g_mutex_init (&usb->lock);
  g_cond_init (&usb->changed);
  /* A thread of its own only while there is something to do. */
  usb->pool = g_thread_pool_new (work, usb, 1, FALSE, NULL);
  return usb;
}

void
floe_machine_usb_free (FloeMachineUsb *usb)
{
  if (usb == NULL)
    return;
  g_mutex_lock (&usb->lock);
  usb->ending = TRUE;
  g_cond_broadcast (&usb->changed);
  g_mutex_unlock (&usb->lock);
  g_thread_pool_free (usb->pool, FALSE, TRUE);
  g_ptr_array_unref (usb->held);
  g_free (usb->awaited);
  g_mutex_clear (&usb->lock);
  g_cond_clear (&usb->changed);
  g_free (usb);
}

/* Ids of ours that QEMU has. */
static GPtrArray *
list_ours (FloeQmp *qmp, GError **error)
{
  GPtrArray *ids = floe_qmp_list_devices (qmp, error);

  for (guint i = ids == NULL ? 0 : ids->len; i-- > 0;)
    if (!g_str_has_prefix (g_ptr_array_index (ids, i), PREFIX))
      g_ptr_array_remove_index (ids, i);
  return ids;
}

/* Asked again and again: nobody listens to events yet. */
static gboolean
wait_none (FloeQmp *qmp, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + DELETED_TIMEOUT_US;

  for (;;) {
    g_autoptr (GPtrArray) ids = list_ours (qmp, error);

    if (ids == NULL)
      return FALSE;
    if (ids->len == 0)
      return TRUE;
    if (g_get_monotonic_time () >= deadline)
      return floe_error_set (error, FLOE_ERROR_PEER, "QEMU does not let go of USB device %s",
                             (const char *)g_ptr_array_index (ids, 0));
    g_usleep (SWEEP_POLL_US);
  }
}

gboolean
floe_machine_usb_sweep (FloeQmp *qmp, GError **error)
{
  g_autoptr (GPtrArray) ids = list_ours (qmp, error);
  g_autoptr (GArray) sets = NULL;

  if (ids == NULL)
    return FALSE;
  for (guint i = 0; i < ids->len; i++)
    if (!floe_qmp_device_del (qmp, g_ptr_array_index (ids, i), error))
      return FALSE;
  if (!wait_none (qmp, error))
    return FALSE;
  /* A whole device has no node. */
  for (guint i = 0; i < ids->len; i++)
    (void)!floe_qmp_blockdev_del (qmp, g_ptr_array_index (ids, i), NULL);
  sets = floe_qmp_query_fdsets (qmp, PREFIX, error);
  if (sets == NULL)
    return FALSE;
  for (guint i = 0; i < sets->len; i++)
    if (!floe_qmp_remove_fd (qmp, g_array_index (sets, gint64, i), error))
      return FALSE;
  return TRUE;
}
