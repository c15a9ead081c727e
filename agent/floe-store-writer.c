/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-store-writer.h"

/* Work goes to a thread pool and comes back as an idle source on the main context. The batch and its digests belong to the
 * background pool's one thread; those of chunks that are visible already and not durable are both threads'. */

#define COMMIT_EVERY 128

typedef enum { WORK_PUT, WORK_COMMIT, WORK_CHECK, WORK_SCRUB } WorkKind;

typedef struct {
  FloeStoreWriter *writer;
  WorkKind kind;
  FloeTableEntry entry;
  FloeFetchClass fetch_class;
  GBytes *frame;
  FloeWaiter waiter;
  /* results */
  GError *error;
  GArray *digests; /* of FloeDigest, committed (or lost) by this work; NULL: none */
  GError *commit_error;
} Work;

struct _FloeStoreWriter {
  FloeStore *store;
  const FloeStoreHandlers *handlers;
  gpointer data;
  GMainContext *context;
  GThreadPool *urgent;
  GThreadPool *background;
  FloeStoreBatch *batch; /* background thread only, with digests */
  GArray *digests;
  GMutex lock;  /* of fast */
  GArray *fast; /* of FloeDigest */
};

static void
work_free (gpointer data)
{
  Work *work = data;

  g_clear_pointer (&work->frame, g_bytes_unref);
  g_clear_pointer (&work->digests, g_array_unref);
  g_clear_error (&work->error);
  g_clear_error (&work->commit_error);
  g_free (work);
}

static FloeFetchOutcome
outcome_of (const GError *error)
{
  if (error == NULL)
    return FLOE_FETCH_STORED;
  return g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NO_SPACE) ? FLOE_FETCH_NO_SPACE : FLOE_FETCH_BAD;
}

static gboolean
deliver (gpointer data)
{
  Work *work = data;
  FloeStoreWriter *writer = work->writer;

  if (work->kind == WORK_PUT)
    writer->handlers->stored (&work->entry, work->fetch_class, outcome_of (work->error),
                              work->error != NULL ? work->error->message : NULL, writer->data);
  if (work->kind == WORK_CHECK)
    writer->handlers->checked (&work->entry, &work->waiter, work->error == NULL,
                               g_error_matches (work->error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED), writer->data);
  if (work->kind == WORK_SCRUB)
    writer->handlers->scrubbed (&work->entry, work->error != NULL ? work->error->message : NULL, writer->data);
  if (work->digests != NULL)
    writer->handlers->committed ((const FloeDigest *) (gpointer) work->digests->data, work->digests->len,
                                 outcome_of (work->commit_error) == FLOE_FETCH_NO_SPACE,
                                 work->commit_error != NULL ? work->commit_error->message : NULL, writer->data);
  return G_SOURCE_REMOVE;
}

static void
send_back (Work *work)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver, work, work_free);
  g_source_attach (source, work->writer->context);
}

static GArray *
take_fast (FloeStoreWriter *writer)
{
  GArray *fast;

  g_mutex_lock (&writer->lock);
  fast = writer->fast;
  writer->fast = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  g_mutex_unlock (&writer->lock);
  return fast;
}

static void
commit (FloeStoreWriter *writer, Work *work)
{
  /* Before the disk is synced: what becomes visible from here on waits for the next time. */
  g_autoptr (GArray) fast = take_fast (writer);
  gboolean background = writer->digests->len > 0;

  if (!background && fast->len == 0)
    return;
  work->digests = g_steal_pointer (&writer->digests);
  writer->digests = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  g_array_append_vals (work->digests, fast->data, fast->len);
  if (background ? floe_store_batch_commit (writer->batch, &work->commit_error) : floe_store_sync (writer->store, &work->commit_error))
    return;
  /* What was not made durable is given up: the batch must not carry it on, and the kernel says only once that it was lost. */
  for (guint i = 0; i < fast->len; i++)
    if (!floe_store_remove (writer->store, &g_array_index (fast, FloeDigest, i), NULL))
      break;
  floe_store_batch_free (writer->batch);
  writer->batch = floe_store_batch_new (writer->store);
}

static void
scrub (FloeStoreWriter *writer, Work *work)
{
  if (floe_store_verify (writer->store, &work->entry, &work->error) || g_error_matches (work->error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) ||
      g_error_matches (work->error, FLOE_ERROR, FLOE_ERROR_NO_SPACE))
    return;
  /* Fetching in the background goes by name and size alone: where it stays, it is not fetched. */
  (void) !floe_store_remove (writer->store, &work->entry.digest, NULL);
}

static void
do_background (gpointer data, gpointer context)
{
  FloeStoreWriter *writer = context;
  Work *work = data;

  if (work->kind == WORK_PUT) {
    gsize size;
    const void *frame = g_bytes_get_data (work->frame, &size);

    if (floe_store_batch_put (writer->batch, &work->entry, frame, size, &work->error))
      g_array_append_val (writer->digests, work->entry.digest);
  }
  if (work->kind == WORK_SCRUB)
    scrub (writer, work);
  if (work->kind == WORK_COMMIT || writer->digests->len >= COMMIT_EVERY)
    commit (writer, work);
  send_back (work);
}

static void
do_urgent (gpointer data, gpointer context)
{
  FloeStoreWriter *writer = context;
  Work *work = data;

  if (work->kind == WORK_CHECK) {
    (void) !floe_store_verify (writer->store, &work->entry, &work->error);
  } else {
    gsize size;
    const void *frame = g_bytes_get_data (work->frame, &size);

    if (floe_store_put (writer->store, &work->entry, frame, size, FLOE_STORE_FAST, &work->error)) {
      g_mutex_lock (&writer->lock);
      g_array_append_val (writer->fast, work->entry.digest);
      g_mutex_unlock (&writer->lock);
    }
  }
  send_back (work);
}

FloeStoreWriter *
floe_store_writer_new (FloeStore *store, const FloeStoreHandlers *handlers, gpointer data)
{
  FloeStoreWriter *writer = g_new0 (FloeStoreWriter, 1);

  writer->store = store;
  writer->handlers = handlers;
  writer->data = data;
  writer->context = g_main_context_ref_thread_default ();
  writer->batch = floe_store_batch_new (store);
  writer->digests = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  writer->fast = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  g_mutex_init (&writer->lock);
  writer->urgent = g_thread_pool_new_full (do_urgent, writer, work_free, 1, TRUE, NULL);
  writer->background = g_thread_pool_new_full (do_background, writer, work_free, 1, TRUE, NULL);
  return writer;
}

void
floe_store_writer_free (FloeStoreWriter *writer)
{
  if (writer == NULL)
    return;
  g_thread_pool_free (writer->urgent, TRUE, TRUE);
  g_thread_pool_free (writer->background, TRUE, TRUE);
  floe_store_batch_free (writer->batch);
  g_array_unref (writer->digests);
  g_array_unref (writer->fast);
  g_mutex_clear (&writer->lock);
  g_main_context_unref (writer->context);
  g_free (writer);
}

static Work *
work_new (FloeStoreWriter *writer, WorkKind kind)
{
  Work *work = g_new0 (Work, 1);

  work->writer = writer;
  work->kind = kind;
  return work;
}

void
floe_store_writer_put (FloeStoreWriter *writer, const FloeTableEntry *entry, FloeFetchClass fetch_class, GBytes *frame)
{
  Work *work = work_new (writer, WORK_PUT);

  work->entry = *entry;
  work->fetch_class = fetch_class;
  work->frame = g_bytes_ref (frame);
  g_thread_pool_push (fetch_class == FLOE_FETCH_BACKGROUND ? writer->background : writer->urgent, work, NULL);
}

void
floe_store_writer_commit (FloeStoreWriter *writer)
{
  g_thread_pool_push (writer->background, work_new (writer, WORK_COMMIT), NULL);
}

void
floe_store_writer_check (FloeStoreWriter *writer, const FloeTableEntry *entry, const FloeWaiter *waiter)
{
  Work *work = work_new (writer, WORK_CHECK);

  work->entry = *entry;
  work->waiter = *waiter;
  g_thread_pool_push (writer->urgent, work, NULL);
}

void
floe_store_writer_scrub (FloeStoreWriter *writer, const FloeTableEntry *entry)
{
  Work *work = work_new (writer, WORK_SCRUB);

  work->entry = *entry;
  g_thread_pool_push (writer->background, work, NULL);
}
