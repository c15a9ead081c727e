/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-host.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-record.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UID_BASE_MIN 1000
#define UID_BASE_MAX 2000000000
#define DEFAULT_PATH "/etc/floe/floe.conf"
#define GROUP_NAME "group" /* STATE/hypervisor/group: what enrolment said, a line */
#define GROUP_MAX 128

/* -- Configuration ---------------------------------------------------------------------------------------------------- */

static const char *const known_keys[][6] = {
  { "endpoint", "group", NULL },
  { "paths", "state", "run", "root", NULL },
  { "host", "uid_base", "usb", NULL },
  { "programs", "qemu", "nbdkit", "plugin", "resolver", NULL },
};

/* A key that is misspelt would silently leave its default in force. Groups of other programs are theirs to check. */
static gboolean
check_keys (GKeyFile *file, const char *path, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (known_keys); i++) {
    g_auto (GStrv) keys = g_key_file_get_keys (file, known_keys[i][0], NULL, NULL);

    for (size_t k = 0; keys != NULL && keys[k] != NULL; k++)
      if (!g_strv_contains (&known_keys[i][1], keys[k]))
        return floe_error_set (error, FLOE_ERROR_INVALID, "%s: [%s] %s: unknown key", path, known_keys[i][0], keys[k]);
  }
  return TRUE;
}

static gboolean
read_path (GKeyFile *file, const char *group, const char *key, const char *fallback, char **value, GError **error)
{
  *value = g_key_file_get_string (file, group, key, NULL);
  if (*value == NULL)
    *value = g_strdup (fallback);
  if (g_path_is_absolute (*value))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_INVALID, "[%s] %s: an absolute path wanted, not '%s'", group, key, *value);
}

static gboolean
read_host (GKeyFile *file, FloeHostConfig *config, GError **error)
{
  g_autofree char *usb = g_key_file_get_string (file, "host", "usb", NULL);
  g_autofree char *base = g_key_file_get_string (file, "host", "uid_base", NULL);
  guint64 number = 630000;

  if (base != NULL && !g_ascii_string_to_unsigned (base, 10, UID_BASE_MIN, UID_BASE_MAX, &number, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "[host] uid_base: %d to %d wanted, not '%s'", UID_BASE_MIN,
                           UID_BASE_MAX, base);
  config->uid_base = (uid_t)number;
  config->usb = g_strcmp0 (usb, "observe") == 0 ? FLOE_USB_OBSERVE : FLOE_USB_ENFORCE;
  if (usb != NULL && strcmp (usb, "observe") != 0 && strcmp (usb, "enforce") != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "[host] usb: enforce or observe wanted, not '%s'", usb);
  config->group = g_key_file_get_string (file, "endpoint", "group", NULL);
  if (config->group != NULL && !floe_name_is_safe (config->group))
    return floe_error_set (error, FLOE_ERROR_INVALID, "[endpoint] group: the name of a policy group wanted");
  return TRUE;
}

FloeHostConfig *
floe_host_config_load (const char *path, GError **error)
{
  g_autoptr (FloeHostConfig) config = g_new0 (FloeHostConfig, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) local = NULL;

  gboolean optional = path == NULL;

  path = optional ? DEFAULT_PATH : path;
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &local)
      && !(optional && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))) {
    gboolean missing = g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT);

    floe_error_set (error, missing ? FLOE_ERROR_NOT_FOUND : FLOE_ERROR_INVALID, "%s: %s", path, local->message);
    return NULL;
  }
  if (!check_keys (file, path, error))
    return NULL;
  if (!read_path (file, "paths", "state", "/var/lib/floe", &config->state, error)
      || !read_path (file, "paths", "run", "/run/floe", &config->run, error)
      || !read_path (file, "paths", "root", "/usr/share/floe/root.json", &config->root, error)
      || !read_path (file, "programs", "qemu", "/usr/bin/qemu-system-x86_64", &config->qemu, error)
      || !read_path (file, "programs", "nbdkit", "/usr/bin/nbdkit", &config->nbdkit, error)
      || !read_path (file, "programs", "plugin", FLOE_PLUGIN_PATH, &config->plugin, error)
      || (g_key_file_has_key (file, "programs", "resolver", NULL)
          && !read_path (file, "programs", "resolver", "", &config->resolver, error))
      || !read_host (file, config, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  return g_steal_pointer (&config);
}

void
floe_host_config_free (FloeHostConfig *config)
{
  if (config == NULL)
    return;
  g_free (config->group);
  g_free (config->state);
  g_free (config->run);
  g_free (config->root);
  g_free (config->qemu);
  g_free (config->nbdkit);
  g_free (config->plugin);
  g_free (config->resolver);
  g_free (config);
}

/* -- Host ------------------------------------------------------------------------------------------------------------- */

/* Whoever may rename entries of the directory PATH could put trust, records and verified images of his own in the place of ours, and
 * anything of the host into nbdkit's jail in the place of the chunks. */
static gboolean
check_is_ours (const char *path, GError **error)
{
  floe_autofd dir = floe_dir_make (path, 0755, error);
  struct stat st;

  if (dir < 0)
    return FALSE;
  if (fstat (dir, &st) < 0)
    return floe_error_set_errno (error, errno, "%s", path);
  return (st.st_uid == geteuid () && (st.st_mode & 022) == 0)
         || floe_error_set (error, FLOE_ERROR_REFUSED,
                            "%s: owner %u, mode %04o: others may replace what is in it; make it root's, mode 0755", path,
                            st.st_uid, st.st_mode & 07777);
}

/* What lies below is root's; only jail/ and a machine's own socket directory are bound elsewhere. */
static gboolean
make_directories (FloeHost *host, GError **error)
{
  g_autofree char *run = g_build_filename (host->config->run, "hypervisor", NULL);
  g_autofree char *state = g_build_filename (host->config->state, "hypervisor", NULL);
  floe_autofd staging = -1;

  if (!check_is_ours (host->config->state, error) || !check_is_ours (host->config->run, error))
    return FALSE;
  host->staging = g_build_filename (run, "jail", NULL);
  host->run_dir = floe_dir_make (run, 0755, error);
  if (host->run_dir < 0)
    return FALSE;
  host->state_dir = floe_dir_make (state, 0755, error);
  if (host->state_dir < 0)
    return FALSE;
  host->machines_run = floe_dir_make_at (host->run_dir, "machines", 0700, error);
  if (host->machines_run < 0)
    return FALSE;
  host->machines_state = floe_dir_make_at (host->state_dir, "machines", 0700, error);
  if (host->machines_state < 0)
    return FALSE;
  staging = floe_dir_make_at (host->run_dir, "jail", 0700, error);
  return staging >= 0;
}

/* The group that was joined in a former life, where floe.conf names none. */
static gboolean
read_group (FloeHost *host, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) text = host->config->group != NULL ? NULL : floe_file_read_at (host->state_dir, GROUP_NAME, GROUP_MAX, &problem);
  g_autofree char *group = NULL;
  gsize size;
  const char *data;

  if (host->config->group != NULL || g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  if (text == NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  data = g_bytes_get_data (text, &size);
  group = g_strchomp (g_strndup (data != NULL ? data : "", size));
  if (!floe_name_is_safe (group))
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s/hypervisor/" GROUP_NAME ": no name of a group", host->config->state);
  host->config->group = g_steal_pointer (&group);
  return TRUE;
}

gboolean
floe_host_join (FloeHost *host, const char *group, gboolean *fresh, GError **error)
{
  g_autofree char *line = g_strconcat (group, "\n", NULL);

  *fresh = FALSE;
  if (!floe_name_is_safe (group) || strlen (line) > GROUP_MAX)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the name of a policy group wanted");
  if (host->config->group != NULL)
    return strcmp (host->config->group, group) == 0
           || floe_error_set (error, FLOE_ERROR_REFUSED, "this endpoint belongs to group %s, and joins no other", host->config->group);
  if (!floe_file_replace_at (host->state_dir, GROUP_NAME, line, strlen (line), 0644, error))
    return FALSE;
  host->config->group = g_strdup (group);
  *fresh = TRUE;
  return TRUE;
}

/* Said once: what needs it is refused by name when it is asked for. */
static void
tell_missing (const FloeHost *host)
{
  g_auto (GStrv) sentences = floe_probe_host ();

  for (char **at = sentences; *at != NULL; at++)
    floe_log (G_LOG_LEVEL_WARNING, "this host lacks something", "ERROR", *at, NULL);
  if (host->net == NULL)
    floe_log (G_LOG_LEVEL_WARNING, "machines get no network", "ERROR", host->net_problem, NULL);
}

static gpointer
io_run (gpointer data)
{
  g_main_loop_run (data);
  return NULL;
}

FloeHost *
floe_host_new (FloeHostConfig *config, GError **error)
{
  g_autoptr (FloeHost) host = g_new0 (FloeHost, 1);
  FloeNetConfig net_config = { 0 };
  g_autoptr (GError) net_error = NULL;

  host->config = config;
  host->slots = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  host->run_dir = host->state_dir = host->machines_run = host->machines_state = -1;
  if (!make_directories (host, error) || !read_group (host, error))
    return NULL;
  host->accelerator = floe_probe_accelerator (&host->accelerator_reason);
  net_config.resolver = host->config->resolver;
  net_config.staging = host->staging;
  net_config.resolver_uid = host->config->uid_base + 2 * FLOE_MACHINE_SLOTS;
  host->net = floe_net_new (&net_config, &net_error);
  if (host->net == NULL)
    host->net_problem = g_strdup (net_error->message);
  tell_missing (host);
  host->io = g_main_context_new ();
  host->io_loop = g_main_loop_new (host->io, FALSE);
  host->io_thread = g_thread_new ("floe-qmp", io_run, host->io_loop);
  return g_steal_pointer (&host);
}

static gboolean
io_quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

void
floe_host_free (FloeHost *host)
{
  if (host == NULL)
    return;
  if (host->io_thread != NULL) {
    g_autoptr (GSource) last = g_idle_source_new ();

    /* From inside the loop: a quit that comes before the thread has entered it would be forgotten, and the join wait for ever. */
    g_source_set_callback (last, io_quit, host->io_loop, NULL);
    g_source_attach (last, host->io);
    g_thread_join (host->io_thread);
  }
  g_clear_pointer (&host->io_loop, g_main_loop_unref);
  g_clear_pointer (&host->io, g_main_context_unref);
  g_clear_pointer (&host->net, floe_net_free);
  g_clear_pointer (&host->slots, g_hash_table_unref);
  g_free (host->net_problem);
  g_free (host->accelerator_reason);
  g_free (host->staging);
  floe_fd_clear (&host->machines_run);
  floe_fd_clear (&host->machines_state);
  floe_fd_clear (&host->run_dir);
  floe_fd_clear (&host->state_dir);
  floe_host_config_free (host->config);
  g_free (host);
}

/* -- Main thread ------------------------------------------------------------------------------------------------------ */

typedef struct {
  void (*function) (gpointer data);
  gpointer data;
  GMutex lock;
  GCond done_changed;
  gboolean done;
} MainCall;

static gboolean
main_call_run (gpointer data)
{
  MainCall *call = data;
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = NULL;

  call->function (call->data);
  locker = g_mutex_locker_new (&call->lock);
  call->done = TRUE;
  g_cond_signal (&call->done_changed);
  return G_SOURCE_REMOVE;
}

void
floe_main_call (void (*function) (gpointer data), gpointer data)
{
  MainCall call = { .function = function, .data = data };

  if (g_main_context_is_owner (g_main_context_default ())) {
    function (data);
    return;
  }
  g_mutex_init (&call.lock);
  g_cond_init (&call.done_changed);
  g_idle_add_full (G_PRIORITY_HIGH, main_call_run, &call, NULL);
  g_mutex_lock (&call.lock);
  while (!call.done)
    g_cond_wait (&call.done_changed, &call.lock);
  g_mutex_unlock (&call.lock);
  g_mutex_clear (&call.lock);
  g_cond_clear (&call.done_changed);
}
