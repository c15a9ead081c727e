/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-daemon.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/dbus/floe-authority.h"
#include "hypervisor/dbus/floe-daemon-images.h"
#include "hypervisor/dbus/floe-daemon-usb.h"
#include "hypervisor/dbus/floe-export.h"
#include "hypervisor/machine/floe-kept-disks.h"
#include "hypervisor/machine/floe-machine.h"
#include "hypervisor/machine/floe-process.h"
#include "hypervisor/machine/floe-record.h"
#include "hypervisor/policy-loader/floe-loader.h"

#include <string.h>
#include <unistd.h>

/* Theory of operation: the main thread owns everything here. D-Bus methods run in GDBus's worker threads, since they wait;
 * they reach the daemon only through the functions in FloeExportActions, which fetch what they need under `lock` or by
 * floe_main_call(). */

#define TICK_S 60
#define REFRESH_PAUSE_US G_USEC_PER_SEC
#define DAY_S 86400
#define NOT_ENROLLED "this endpoint has not enrolled with a server yet"

struct _FloeDaemon {
  FloeHost *host;
  FloeLoader *loader; /* NULL: the endpoint has still to enrol */
  GMutex loading; /* the loader, one thread at a time; whether there is one */
  GMutex gate;    /* for the next two; held for moments */
  gboolean refreshing, again;
  FloeInForce *in_force;
  GHashTable *machines; /* id -> FloeMachine */
  GHashTable *used_slots;
  GHashTable *autostarted; /* ids: each machine once in our life, when it first can */
  FloeDaemonImages *images;
  FloeDaemonUsb *usb;
  FloeAuthority *authority;
  FloeExport *export;
  gboolean serving; /* machines have their objects */
  char *problem;
  guint tick;
};

/* -- Machines --------------------------------------------------------------------------------------------------------- */

static void
use_slot (const FloeDiskRecord *record, gpointer data)
{
  g_hash_table_add (data, GUINT_TO_POINTER (record->slot));
}

static unsigned
free_slot (FloeDaemon *daemon)
{
  unsigned slot = 0;

  while (g_hash_table_contains (daemon->used_slots, GUINT_TO_POINTER (slot)))
    slot++;
  return slot;
}

static void
on_machine_changed (FloeMachine *machine, gpointer data)
{
  FloeDaemon *daemon = data;

  if (daemon->export != NULL)
    floe_export_update_machine (daemon->export, machine);
  if (daemon->usb != NULL)
    floe_daemon_usb_update_machine (daemon->usb, machine);
}

/* The machine ID, known or made now; NULL when what is kept of it cannot be read (logged). */
static FloeMachine *
find_or_make (FloeDaemon *daemon, const char *id)
{
  FloeMachine *machine = g_hash_table_lookup (daemon->machines, id);
  g_autoptr (GError) error = NULL;

  if (machine != NULL)
    return machine;
  machine = floe_machine_new (daemon->host, id, free_slot (daemon), on_machine_changed, daemon, &error);
  if (machine == NULL) {
    floe_log (G_LOG_LEVEL_WARNING, "machine cannot be set up", "VM", id, "REASON", error->message, NULL);
    return NULL;
  }
  g_hash_table_add (daemon->used_slots, GUINT_TO_POINTER (floe_machine_slot (machine)));
  g_hash_table_insert (daemon->machines, g_strdup (id), machine);
  if (daemon->serving)
    floe_export_add_machine (daemon->export, machine);
  return machine;
}

static void
give_policy (FloeDaemon *daemon, FloeMachine *machine, const FloePolicyMachine *spec)
{
  FloeInForce *in_force = daemon->in_force;
  g_autofree char *key = spec == NULL ? NULL : g_strdup_printf ("%s/%s", spec->image_name, spec->image_channel);

  floe_machine_set_policy (machine, in_force->policy, spec,
                           key == NULL ? NULL : g_hash_table_lookup (in_force->images, key),
                           key == NULL ? "not in the policy in force" : g_hash_table_lookup (in_force->problems, key));
}

/* Machines that the policy dropped are forgotten once they do not run. */
static void
drop_strangers (FloeDaemon *daemon)
{
  const FloePolicyContent *content = floe_policy_content (daemon->in_force->policy);
  GHashTableIter iter;
  gpointer id, machine;

  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, &id, &machine)) {
    g_autoptr (FloeMachineView) view = NULL;

    if (floe_policy_find_machine (content, id) != NULL)
      continue;
    give_policy (daemon, machine, NULL);
    view = floe_machine_view (machine);
    if (view->state != FLOE_MACHINE_STOPPED && view->state != FLOE_MACHINE_FAILED)
      continue;
    if (daemon->serving)
      floe_export_remove_machine (daemon->export, machine);
    g_hash_table_iter_remove (&iter);
  }
}

/* -- Policy ----------------------------------------------------------------------------------------------------------- */

static void
check_lease (FloeDaemon *daemon)
{
  g_autofree char *reason = NULL;
  GHashTableIter iter;
  gpointer machine;
  gint64 age;

  if (daemon->in_force == NULL)
    return;
  g_mutex_lock (&daemon->loading);
  age = floe_loader_time (daemon->loader) - daemon->in_force->refreshed;
  g_mutex_unlock (&daemon->loading);
  if (age > (gint64)floe_policy_content (daemon->in_force->policy)->lease_days * DAY_S)
    reason = g_strdup_printf ("no contact with the management server for %" G_GINT64_FORMAT " days, the policy allows %u",
                              age / DAY_S, floe_policy_content (daemon->in_force->policy)->lease_days);
  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine))
    floe_machine_set_barred (machine, reason);
}

static void
set_problem (FloeDaemon *daemon, const char *problem)
{
  g_free (daemon->problem);
  daemon->problem = g_strdup (problem);
  if (daemon->export != NULL)
    floe_export_set_policy (daemon->export, daemon->in_force, daemon->problem);
}

/* Puts IN_FORCE (taken) in force: machines, their networks, USB. */
static void
put_in_force (FloeDaemon *daemon, FloeInForce *in_force)
{
  const FloePolicyContent *content = floe_policy_content (in_force->policy);

  floe_in_force_unref (daemon->in_force);
  daemon->in_force = in_force;
  /* All of them before any gets its policy: a machine's network may lead through another one, whose slot must be known. */
  for (size_t i = 0; i < content->n_machines; i++)
    (void)find_or_make (daemon, content->machines[i].id);
  for (size_t i = 0; i < content->n_machines; i++) {
    FloeMachine *machine = g_hash_table_lookup (daemon->machines, content->machines[i].id);

    if (machine != NULL)
      give_policy (daemon, machine, &content->machines[i]);
  }
  drop_strangers (daemon);
  if (daemon->usb != NULL)
    floe_daemon_usb_set_policy (daemon->usb, in_force->policy);
  check_lease (daemon);
}

static gpointer
autostart_one (gpointer data)
{
  g_autoptr (FloeMachine) machine = data;
  g_autoptr (GError) error = NULL;

  if (!floe_machine_start (machine, &error))
    floe_log (G_LOG_LEVEL_WARNING, "machine not started", "VM", floe_machine_id (machine), "REASON", error->message, NULL);
  return NULL;
}

static void
autostart (FloeDaemon *daemon)
{
  GHashTableIter iter;
  gpointer machine;

  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine)) {
    g_autoptr (FloeMachineView) view = floe_machine_view (machine);

    if (view->autostart && view->state == FLOE_MACHINE_STOPPED && view->problem == NULL
        && g_hash_table_add (daemon->autostarted, g_strdup (floe_machine_id (machine))))
      g_thread_unref (g_thread_new ("floe-autostart", autostart_one, floe_machine_ref (machine)));
  }
}

typedef struct {
  FloeDaemon *daemon;
  FloeInForce *in_force;
  const GError *error;
  gboolean waits; /* nothing was fetched yet */
  guint64 version;
} Refreshed;

static void
take_refreshed (gpointer data)
{
  Refreshed *refreshed = data;
  FloeDaemon *daemon = refreshed->daemon;

  if (refreshed->in_force != NULL) {
    put_in_force (daemon, g_steal_pointer (&refreshed->in_force));
    set_problem (daemon, "");
    if (daemon->serving)
      autostart (daemon);
    floe_log (G_LOG_LEVEL_MESSAGE, "policy in force", "GROUP", daemon->host->config->group, NULL);
  } else if (daemon->in_force == NULL && refreshed->waits) {
    /* Nothing was refused: the agent has brought nothing so far. That is no problem, version 0 says so. */
    floe_log (G_LOG_LEVEL_MESSAGE, "no policy yet: none was fetched", "REASON", refreshed->error->message, NULL);
  } else {
    set_problem (daemon, refreshed->error->message);
    floe_log (G_LOG_LEVEL_WARNING, daemon->in_force != NULL ? "new policy refused, the one in force stays" : "policy refused, none is in force", "REASON",
              refreshed->error->message, NULL);
  }
  if (daemon->in_force != NULL)
    refreshed->version = floe_policy_version (daemon->in_force->policy);
}

static gboolean
refresh_once (FloeDaemon *daemon, guint64 *version, GError **error)
{
  g_autoptr (GError) local = NULL;
  Refreshed refreshed = { .daemon = daemon };

  g_mutex_lock (&daemon->loading);
  if (daemon->loader == NULL) {
    g_mutex_unlock (&daemon->loading);
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, NOT_ENROLLED);
  }
  refreshed.in_force = floe_loader_refresh (daemon->loader, &local);
  refreshed.waits = floe_loader_waits (daemon->loader, local);
  g_mutex_unlock (&daemon->loading);
  refreshed.error = local;
  floe_main_call (take_refreshed, &refreshed);
  *version = refreshed.version;
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* FALSE while another thread is at it, which then looks again when it has done. */
static gboolean
begin_refresh (FloeDaemon *daemon)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&daemon->gate);

  daemon->again = daemon->refreshing;
  daemon->refreshing = TRUE;
  return !daemon->again;
}

/* Whether to look again. */
static gboolean
end_refresh (FloeDaemon *daemon)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&daemon->gate);

  daemon->refreshing = daemon->again;
  daemon->again = FALSE;
  return daemon->refreshing;
}

/* One at a time and no faster than a second apart: an agent that calls without end must take neither all the threads that answer
 * the console nor the host's processors and log. */
static gboolean
refresh (gpointer data, guint64 *version, GError **error)
{
  FloeDaemon *daemon = data;
  gboolean done;

  if (!begin_refresh (daemon))
    return floe_error_set (error, FLOE_ERROR_BUSY, "the spool is being looked at; it will be once more after that");
  done = refresh_once (daemon, version, error);
  while (end_refresh (daemon)) {
    g_usleep (REFRESH_PAUSE_US);
    g_clear_error (error);
    done = refresh_once (daemon, version, error);
  }
  return done;
}

static void
on_net_event (const FloeNetEvent *event, gpointer data)
{
  floe_export_net_event (data, event);
}

/* Time windows are local time, the kernel's clock is not. */
static void
follow_zone (FloeDaemon *daemon)
{
  GHashTableIter iter;
  gpointer machine;

  if (daemon->host->net == NULL || !floe_net_take_zone (daemon->host->net))
    return;
  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine))
    floe_machine_refresh_network (machine);
}

static gboolean
on_tick (gpointer data)
{
  FloeDaemon *daemon = data;

  follow_zone (daemon);

  check_lease (daemon);
  floe_daemon_images_prune (daemon->images, daemon->in_force);
  floe_export_update_background (daemon->export);
  return G_SOURCE_CONTINUE;
}

/* -- Taking over ------------------------------------------------------------------------------------------------------ */

static void
adopt_all (FloeDaemon *daemon)
{
  g_autoptr (GPtrArray) running = floe_dir_names_at (daemon->host->machines_run, ".", NULL);
  g_autoptr (GHashTable) pids = g_hash_table_new (NULL, NULL);
  const uid_t first = daemon->host->config->uid_base;
  guint killed;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; running != NULL && i < running->len; i++) {
    const char *id = g_ptr_array_index (running, i);
    FloeMachine *machine = floe_name_is_safe (id) ? find_or_make (daemon, id) : NULL;
    g_autoptr (GError) local = NULL;

    if (machine == NULL)
      continue;
    if (!floe_machine_adopt (machine, &local))
      floe_log (G_LOG_LEVEL_WARNING, "machine not adopted but ended", "VM", floe_machine_id (machine), "REASON",
                local->message, NULL);
    floe_machine_add_pids (machine, pids);
  }
  killed = floe_process_sweep (first, first + 2 * FLOE_MACHINE_SLOTS - 1, pids);
  if (killed > 0)
    floe_log (G_LOG_LEVEL_WARNING, "processes of machines without a record were killed", NULL);
  if (daemon->host->net != NULL && !floe_net_sweep (daemon->host->net, &error))
    floe_log (G_LOG_LEVEL_WARNING, "old network rules not removed", "REASON", error->message, NULL);
}

static void
on_usb_changed (GPtrArray *devices, const FloeUsbDevice *device, gboolean gone, gpointer data)
{
  FloeDaemon *daemon = data;

  floe_export_usb_changed (daemon->export, devices, device, gone);
}

static FloeMachine *
find_machine (const char *id, gpointer data)
{
  FloeDaemon *daemon = data;

  return g_hash_table_lookup (daemon->machines, id);
}

static gboolean
answer_usb (gpointer data, const char *path, guint64 connection, const char *choice, gboolean remember, GError **error)
{
  FloeDaemon *daemon = data;

  if (daemon->usb == NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "the USB gate is not in force");
  return floe_daemon_usb_answer (daemon->usb, path, connection, choice, remember, error);
}

static void
set_situation (gpointer data, const char *sender, const char *front, const char *person, gboolean locked)
{
  FloeDaemon *daemon = data;

  if (daemon->usb != NULL)
    floe_daemon_usb_situation (daemon->usb, sender, front, person, locked);
}

/* Before anything is on the bus: what a former life handed over, and what came in meanwhile, is decided by the policy in force. */
static void
open_usb (FloeDaemon *daemon, GDBusConnection *bus)
{
  const FloeDaemonUsbOptions options = {
    .host = daemon->host,
    .bus = bus,
    .policy = daemon->in_force == NULL ? NULL : daemon->in_force->policy,
    .find = find_machine,
    .changed = on_usb_changed,
    .data = daemon,
  };
  GHashTableIter iter;
  gpointer machine;
  g_autoptr (GError) error = NULL;

  daemon->usb = floe_daemon_usb_new (&options, &error);
  if (daemon->usb == NULL) {
    floe_log (G_LOG_LEVEL_WARNING, "USB gate not in force", "REASON", error->message, NULL);
    return;
  }
  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine))
    floe_daemon_usb_update_machine (daemon->usb, machine);
  floe_daemon_usb_begin (daemon->usb);
}

static gboolean
load_kept (FloeDaemon *daemon, GError **error)
{
  FloeLoaderOptions options = {
    .state = daemon->host->config->state,
    .root = daemon->host->config->root,
    .group = daemon->host->config->group,
  };
  g_autoptr (GError) local = NULL;
  FloeInForce *in_force;
  FloeLoader *loader;

  if (options.group == NULL) {
    g_free (daemon->problem);
    daemon->problem = g_strdup ("");
    return TRUE;
  }
  loader = floe_loader_new (&options, error);
  if (loader == NULL)
    return FALSE;
  in_force = floe_loader_resume (loader, &local);
  g_mutex_lock (&daemon->loading);
  daemon->loader = loader;
  g_mutex_unlock (&daemon->loading);
  if (in_force != NULL)
    put_in_force (daemon, in_force);
  g_free (daemon->problem);
  if (in_force != NULL || floe_loader_waits (loader, local))
    daemon->problem = g_strdup ("");
  else
    daemon->problem = g_strdup_printf ("no policy yet: %s", local->message);
  return TRUE;
}

typedef struct {
  FloeDaemon *daemon;
  const char *group;
  gboolean done;
  GError *error;
} Joining;

static void
take_group (gpointer data)
{
  Joining *joining = data;
  FloeDaemon *daemon = joining->daemon;
  gboolean fresh = FALSE;

  joining->done = floe_host_join (daemon->host, joining->group, &fresh, &joining->error);
  if (!fresh)
    return;
  floe_log (G_LOG_LEVEL_MESSAGE, "enrolled", "GROUP", joining->group, NULL);
  joining->done = load_kept (daemon, &joining->error);
  if (!joining->done)
    set_problem (daemon, joining->error->message);
  else
    floe_export_set_policy (daemon->export, daemon->in_force, daemon->problem);
}

static gboolean
join_group (gpointer data, const char *group, GError **error)
{
  Joining joining = { data, group, FALSE, NULL };

  floe_main_call (take_group, &joining);
  if (!joining.done)
    g_propagate_error (error, joining.error);
  return joining.done;
}

typedef struct {
  FloeDaemon *daemon;
  GStrv images;
  GError *error;
} InUse;

static void
find_in_use (gpointer data)
{
  InUse *in_use = data;

  in_use->images = floe_daemon_images_in_use (in_use->daemon->images, in_use->daemon->in_force, &in_use->error);
}

static GStrv
images_in_use (gpointer data, GError **error)
{
  InUse in_use = { data, NULL, NULL };

  floe_main_call (find_in_use, &in_use);
  if (in_use.images == NULL)
    g_propagate_error (error, in_use.error);
  return in_use.images;
}

FloeDaemon *
floe_daemon_new (FloeHost *host, GDBusConnection *bus, GError **error)
{
  g_autoptr (FloeDaemon) daemon = g_new0 (FloeDaemon, 1);
  FloeExportActions actions = { .refresh = refresh, .answer_usb = answer_usb, .set_situation = set_situation, .join_group = join_group, .images_in_use = images_in_use,
                                .data = daemon };

  daemon->host = host;
  g_mutex_init (&daemon->loading);
  g_mutex_init (&daemon->gate);
  daemon->machines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)floe_machine_unref);
  daemon->used_slots = g_hash_table_new (NULL, NULL);
  daemon->autostarted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  daemon->problem = g_strdup ("");
  daemon->images = floe_daemon_images_new (host);
  /* Slots of all machines that anything is kept of, in the policy or not: what follows from a slot must never be two machines'. */
  (void)floe_kept_disks_foreach (host->machines_state, use_slot, daemon->used_slots, NULL);
  if (!load_kept (daemon, error))
    return NULL;
  adopt_all (daemon);
  daemon->authority = floe_authority_new (bus);
  daemon->export = floe_export_new (bus, host, daemon->authority, &actions);
  if (host->net != NULL)
    floe_net_set_audit (host->net, on_net_event, daemon->export);
  open_usb (daemon, bus);
  return g_steal_pointer (&daemon);
}

/* -- Serving ---------------------------------------------------------------------------------------------------------- */

void
floe_daemon_announce (FloeDaemon *daemon)
{
  floe_export_named (daemon->export);
}

void
floe_daemon_serve (FloeDaemon *daemon)
{
  GHashTableIter iter;
  gpointer machine;
  guint64 version;

  /* The agent may have spooled something while nobody listened. */
  (void)!refresh (daemon, &version, NULL);
  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine))
    floe_export_add_machine (daemon->export, machine);
  daemon->serving = TRUE;
  floe_export_set_policy (daemon->export, daemon->in_force, daemon->problem);
  floe_export_publish (daemon->export);
  floe_daemon_images_prune (daemon->images, daemon->in_force);
  daemon->tick = g_timeout_add_seconds (TICK_S, on_tick, daemon);
  autostart (daemon);
}

void
floe_daemon_free (FloeDaemon *daemon)
{
  GHashTableIter iter;
  gpointer machine;

  if (daemon == NULL)
    return;
  if (daemon->tick != 0)
    g_source_remove (daemon->tick);
  g_clear_pointer (&daemon->images, floe_daemon_images_free);
  g_clear_pointer (&daemon->usb, floe_daemon_usb_free);
  if (daemon->host->net != NULL)
    floe_net_set_audit (daemon->host->net, NULL, NULL);
  g_clear_pointer (&daemon->export, floe_export_free);
  g_hash_table_iter_init (&iter, daemon->machines);
  while (g_hash_table_iter_next (&iter, NULL, &machine))
    floe_machine_abandon (machine);
  g_hash_table_unref (daemon->machines);
  g_hash_table_unref (daemon->used_slots);
  g_hash_table_unref (daemon->autostarted);
  floe_in_force_unref (daemon->in_force);
  floe_loader_free (daemon->loader);
  floe_authority_free (daemon->authority);
  g_mutex_clear (&daemon->loading);
  g_mutex_clear (&daemon->gate);
  g_free (daemon->problem);
  g_free (daemon);
}
