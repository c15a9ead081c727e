/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/usb/floe-usb-internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* Theory of operation: the bus is read whole at each hint of a change and compared with what is known. A device is the same
 * only if path, device number, descriptors and serial are; else it has gone and another has come, which is decided from
 * nothing. Whatever is not known to be allowed is switched off, also when it was on before: what the kernel did on its own
 * is not trusted. */

#define DEVICES_MAX 2048 /* 127 on each of many buses; more is not a bus but an attack */

static void
one_free (gpointer data)
{
  FloeUsbOne *one = data;

  g_free (one->public.path);
  g_free (one->public.name);
  g_free (one->public.serial);
  g_free (one->public.machine);
  g_free (one->public.rule);
  g_free (one->public.reason);
  g_free (one->public.problem);
  g_free (one->public.holder);
  g_strfreev (one->public.choices);
  g_free (one->front);
  g_free (one->answer);
  g_free (one->answer_rule);
  floe_usb_hand_clear (&one->hand);
  floe_usb_raw_free (one->raw);
  g_free (one);
}

static FloeUsbOne *
one_new (FloeUsb *usb, FloeUsbRaw *raw)
{
  FloeUsbOne *one = g_new0 (FloeUsbOne, 1);

  one->raw = raw;
  one->holds = SIZE_MAX;
  /* Only what was on before us is in use: whatever comes later has come in by our verdict or not at all. */
  /* Our former life may have given it to a QEMU that still lives. */
  if (usb->starting)
    one->hand.past = floe_usb_past_read (usb->run_dir, raw, &one->hand.past_life);
  one->in_use = usb->starting && floe_usb_switch_read (raw, "authorized") == 1;
  one->public.path = g_strdup (raw->path);
  one->public.connection = ++usb->serials;
  one->public.vendor = raw->descriptors.vendor;
  one->public.product = raw->descriptors.product;
  one->public.kind = floe_usb_kind (raw);
  one->public.name = g_strdup (raw->name);
  one->public.serial = raw->serial == NULL ? g_strdup ("") : floe_usb_displayable (raw->serial, raw->serial_size);
  one->public.machine = g_strdup ("");
  one->public.rule = g_strdup ("");
  one->public.reason = g_strdup ("");
  one->public.problem = g_strdup ("");
  one->public.holder = g_strdup ("");
  one->public.choices = g_new0 (char *, 1);
  return one;
}

/* -- Deciding --------------------------------------------------------------------------------------------------------- */

static void
replace_text (char **text, const char *with, gboolean *changed)
{
  if (strcmp (*text, with) == 0)
    return;
  g_free (*text);
  *text = g_strdup (with);
  *changed = TRUE;
}

static void
replace_question (FloeUsbDevice *public, const FloeUsbDecision *decision, gboolean *changed)
{
  gboolean asks = decision->action == FLOE_POLICY_USB_ASK;
  char **choices = asks ? floe_usb_choices (decision->decided) : g_new0 (char *, 1);

  if (!g_strv_equal ((const char *const *)choices, (const char *const *)public->choices))
    *changed = TRUE;
  g_strfreev (public->choices);
  public->choices = choices;
  public->may_remember = asks && decision->decided->remember == FLOE_POLICY_USB_REMEMBER_DEVICE;
}

static void
replace_verdict (FloeUsbDevice *public, const FloeUsbDecision *decision, gboolean enforced, gboolean *changed)
{
  const FloePolicyMachine *machine = decision->action == FLOE_POLICY_USB_MACHINE ? decision->grant.machine : NULL;
  gboolean read_only = machine != NULL && decision->grant.read_only;

  if (public->verdict != decision->action || public->enforced != enforced || public->read_only != read_only)
    *changed = TRUE;
  public->verdict = decision->action;
  public->enforced = enforced;
  public->read_only = read_only;
  replace_text (&public->machine, machine != NULL ? machine->id : "", changed);
  replace_text (&public->rule, decision->rule, changed);
  replace_text (&public->reason, decision->reason, changed);
  replace_question (public, decision, changed);
}

/* Who is asked and who is blocked holds no rule: count is for devices that got something. */
static size_t
held_rule (const FloeUsbDecision *decision)
{
  return decision->action == FLOE_POLICY_USB_BLOCK || decision->action == FLOE_POLICY_USB_ASK ? SIZE_MAX : decision->index;
}

static void
judge_last_keyboards (FloeUsb *usb, const FloeUsbOne *but)
{
  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    if (one != but && strcmp (one->public.rule, "floe-last-keyboard") == 0)
      floe_usb_judge (usb, one, FALSE);
  }
}

void
floe_usb_judge (FloeUsb *usb, FloeUsbOne *one, gboolean is_new)
{
  FloeUsbDecision decision = floe_usb_decide (usb, one);
  g_autoptr (GError) error = NULL;
  g_autofree char *obstacle = NULL;
  gboolean enforced = floe_usb_enforce (usb, one, &decision, &obstacle, &error);
  gboolean was_in_use = one->in_use, changed = is_new;
  const char *problem = error != NULL                           ? error->message
                        : obstacle != NULL                      ? obstacle
                        : one->raw->descriptors.problem != NULL ? one->raw->descriptors.problem
                                                                : "";

  one->holds = held_rule (&decision);
  one->in_use = decision.action == FLOE_POLICY_USB_HOST && (enforced || (usb->mode == FLOE_USB_OBSERVE && was_in_use));
  replace_verdict (&one->public, &decision, enforced, &changed);
  replace_text (&one->public.problem, problem, &changed);
  replace_text (&one->public.holder,
                one->hand.state == FLOE_USB_HAND_HELD || one->hand.state == FLOE_USB_HAND_GIVING ? one->hand.machine : "",
                &changed);
  if (changed && usb->changed != NULL)
    usb->changed (usb, &one->public, FALSE, usb->data);
  /* One that stood in only because there was no other keyboard is judged by its own merits now. */
  if (one->in_use && !was_in_use && strcmp (decision.rule, "floe-last-keyboard") != 0 && floe_usb_is_keyboard (one->raw))
    judge_last_keyboards (usb, one);
}

static void
judge_all (FloeUsb *usb)
{
  for (guint i = 0; i < usb->devices->len; i++)
    floe_usb_judge (usb, g_ptr_array_index (usb->devices, i), FALSE);
}

/* -- The bus ---------------------------------------------------------------------------------------------------------- */

static FloeUsbOne *
find_device (FloeUsb *usb, const char *path, guint *index)
{
  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    if (strcmp (one->public.path, path) == 0) {
      *index = i;
      return one;
    }
  }
  return NULL;
}

static gboolean
is_same (const FloeUsbRaw *a, const FloeUsbRaw *b)
{
  return a->number == b->number && g_bytes_equal (a->bytes, b->bytes) && (a->serial == NULL) == (b->serial == NULL)
         && a->serial_size == b->serial_size && (a->serial == NULL || memcmp (a->serial, b->serial, a->serial_size) == 0);
}

static void
remove_device (FloeUsb *usb, guint index)
{
  FloeUsbOne *one = g_ptr_array_steal_index (usb->devices, index);

  /* Whoever was told of the last change may have asked for the list: it must not keep what goes now. */
  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  floe_usb_hand_forget (usb, one);
  floe_usb_past_forget (usb->run_dir, one->raw);
  if (usb->changed != NULL)
    usb->changed (usb, &one->public, TRUE, usb->data);
  one_free (one);
}

static void
look_at (FloeUsb *usb, int devices, const char *name)
{
  FloeUsbRaw *raw = floe_usb_raw_read (devices, name);
  FloeUsbOne *known;
  guint index;

  if (raw == NULL)
    return;
  known = find_device (usb, name, &index);
  if (known != NULL && is_same (known->raw, raw)) {
    /* The directory just opened: the old one's descriptor may be that of a device gone and come back as its twin. */
    floe_usb_raw_free (known->raw);
    known->raw = raw;
    known->seen = TRUE;
    floe_usb_judge (usb, known, FALSE);
    return;
  }
  if (known != NULL)
    remove_device (usb, index);
  known = one_new (usb, raw);
  known->seen = TRUE;
  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  g_ptr_array_add (usb->devices, known);
  floe_usb_judge (usb, known, TRUE);
}

/* Names in the order of ports, controllers first: a controller's default is switched off before its devices are looked at.
 */
static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const char *left = *(const char *const *)a, *right = *(const char *const *)b;
  gboolean left_root = g_str_has_prefix (left, "usb"), right_root = g_str_has_prefix (right, "usb");

  return left_root != right_root ? right_root - left_root : strverscmp (left, right);
}

static GPtrArray *
list_names (int devices)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int copy = openat (devices, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  const struct dirent *entry;
  gboolean root_hub;

  if (dir == NULL) {
    floe_fd_clear (&copy);
    return names;
  }
  while ((entry = readdir (dir)) != NULL && names->len < DEVICES_MAX)
    if (floe_usb_is_device_name (entry->d_name, &root_hub))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (dir);
  g_ptr_array_sort (names, compare_names);
  return names;
}

void
floe_usb_rescan (FloeUsb *usb)
{
  g_autofree char *path = g_build_filename (usb->sysfs, "bus/usb/devices", NULL);
  floe_autofd devices = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GPtrArray) names = devices < 0 ? g_ptr_array_new () : list_names (devices);

  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  for (guint i = 0; i < usb->devices->len; i++)
    ((FloeUsbOne *)g_ptr_array_index (usb->devices, i))->seen = FALSE;
  /* Those that have gone first: what they held may be another's now. */
  for (guint i = usb->devices->len; i-- > 0;) {
    const FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    if (!g_ptr_array_find_with_equal_func (names, one->public.path, g_str_equal, NULL))
      remove_device (usb, i);
  }
  for (guint i = 0; i < names->len; i++)
    look_at (usb, devices, g_ptr_array_index (names, i));
  for (guint i = usb->devices->len; i-- > 0;)
    if (!((FloeUsbOne *)g_ptr_array_index (usb->devices, i))->seen)
      remove_device (usb, i);
}

static void
bus_changed (gpointer data)
{
  floe_usb_rescan (data);
}

/* -- The gate --------------------------------------------------------------------------------------------------------- */

/* Answers that cannot be read are not written over: nothing is remembered then, and the log says why. */
static void
load_answers (FloeUsb *usb)
{
  g_autoptr (GError) error = NULL;

  if (usb->state_dir < 0)
    return;
  usb->answers = floe_usb_answers_load (usb->state_dir, &error);
  if (usb->answers == NULL)
    floe_debug ("remembered USB answers not read", "REASON", error->message);
}

static void
save_answers (FloeUsb *usb)
{
  g_autoptr (GError) error = NULL;

  if (!floe_usb_answers_save (usb->answers, usb->state_dir, &error))
    floe_debug ("remembered USB answers not written", "REASON", error->message);
}

/* What the policy does not ask any more in that way. */
static void
prune_answers (FloeUsb *usb)
{
  if (usb->content != NULL && usb->answers != NULL && floe_usb_answers_prune (usb->answers, usb->content))
    save_answers (usb);
}

FloeUsb *
floe_usb_new (const FloeUsbOptions *options, GError **error)
{
  g_autoptr (FloeUsb) usb = g_new0 (FloeUsb, 1);

  usb->sysfs = g_strdup (options->sysfs);
  usb->mode = options->mode;
  usb->usbfs = &floe_usbfs_kernel;
  usb->hands = options->hands;
  usb->state_dir = options->state_dir;
  usb->run_dir = options->run_dir;
  usb->changed = options->changed;
  usb->data = options->data;
  usb->policy = options->policy == NULL ? NULL : floe_policy_ref (options->policy);
  usb->content = options->policy == NULL ? NULL : floe_policy_content (options->policy);
  usb->locked = TRUE;
  usb->devices = g_ptr_array_new_with_free_func (one_free);
  usb->machines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  /* What our former life numbered, in QEMU too, is not numbered again. */
  usb->serials = (guint64)g_get_monotonic_time ();
  load_answers (usb);
  prune_answers (usb);
  usb->system = floe_usb_system_new (usb->sysfs, options->root);
  /* Listening comes before the first reading, so that nothing can slip in between. */
  if (strcmp (usb->sysfs, "/sys") == 0) {
    usb->monitor = floe_usb_monitor_new (bus_changed, usb, error);
    if (usb->monitor == NULL)
      return NULL;
  }
  usb->starting = TRUE;
  floe_usb_rescan (usb);
  usb->starting = FALSE;
  return g_steal_pointer (&usb);
}

void
floe_usb_free (FloeUsb *usb)
{
  if (usb == NULL)
    return;
  floe_usb_monitor_free (usb->monitor);
  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  g_clear_pointer (&usb->devices, g_ptr_array_unref);
  g_clear_pointer (&usb->machines, g_hash_table_unref);
  g_clear_pointer (&usb->policy, floe_policy_unref);
  floe_usb_answers_free (usb->answers);
  floe_usb_system_free (usb->system);
  g_free (usb->front);
  g_free (usb->person);
  g_free (usb->sysfs);
  g_free (usb);
}

void
floe_usb_set_content (FloeUsb *usb, const FloePolicyContent *content)
{
  usb->content = content;
  prune_answers (usb);
  /* Rules held under the old policy mean nothing under the new one; devices are decided again in the order they came. */
  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    one->holds = SIZE_MAX;
    g_clear_pointer (&one->hand.failed, g_free);
  }
  judge_all (usb);
}

void
floe_usb_set_policy (FloeUsb *usb, FloePolicy *policy)
{
  FloePolicy *old = usb->policy;

  usb->policy = policy == NULL ? NULL : floe_policy_ref (policy);
  floe_usb_set_content (usb, policy == NULL ? NULL : floe_policy_content (policy));
  if (old != NULL)
    floe_policy_unref (old);
}

void
floe_usb_set_usbfs (FloeUsb *usb, const FloeUsbfs *usbfs)
{
  usb->usbfs = usbfs;
}

static gboolean
replace_optional (char **text, const char *with)
{
  const char *wanted = *with == '\0' ? NULL : with;

  if (g_strcmp0 (*text, wanted) == 0)
    return FALSE;
  g_free (*text);
  *text = g_strdup (wanted);
  return TRUE;
}

void
floe_usb_set_situation (FloeUsb *usb, const char *front, const char *person, gboolean locked)
{
  gboolean changed = usb->locked != locked;

  usb->locked = locked;
  changed |= replace_optional (&usb->front, front);
  changed |= replace_optional (&usb->person, person);
  if (changed)
    judge_all (usb);
}

gboolean
floe_usb_answer (FloeUsb *usb, const char *path, guint64 connection, const char *choice, gboolean remember, GError **error)
{
  guint index;
  FloeUsbOne *one = find_device (usb, path, &index);

  if (one == NULL || one->public.connection != connection || one->public.verdict != FLOE_POLICY_USB_ASK)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "USB device %s asks nothing (any more)", path);
  if (!g_strv_contains ((const char *const *)one->public.choices, choice))
    return floe_error_set (error, FLOE_ERROR_INVALID, "USB device %s: '%s' is not among the choices of rule %s", path, choice,
                           one->public.rule);
  if (remember && (!one->public.may_remember || usb->answers == NULL))
    return floe_error_set (error, FLOE_ERROR_REFUSED, "USB device %s: rule %s does not let the answer be remembered", path,
                           one->public.rule);
  if (remember) {
    g_autofree char *device = floe_usb_identity (one->raw);

    floe_usb_answers_put (usb->answers, one->public.rule, device, path, choice);
    if (!floe_usb_answers_save (usb->answers, usb->state_dir, error))
      return FALSE;
  }
  g_free (one->answer);
  g_free (one->answer_rule);
  one->answer = g_strdup (choice);
  one->answer_rule = g_strdup (one->public.rule);
  floe_usb_judge (usb, one, FALSE);
  return TRUE;
}

FloeUsbOne *
floe_usb_find_gift (FloeUsb *usb, guint64 serial)
{
  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    if (one->hand.serial == serial)
      return one;
  }
  return NULL;
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  const FloeUsbOne *left = *(const FloeUsbOne *const *)a, *right = *(const FloeUsbOne *const *)b;

  return compare_names (&left->public.path, &right->public.path);
}

GPtrArray *
floe_usb_devices (FloeUsb *usb)
{
  if (usb->listed == NULL) {
    usb->listed = g_ptr_array_new ();
    for (guint i = 0; i < usb->devices->len; i++)
      g_ptr_array_add (usb->listed, g_ptr_array_index (usb->devices, i));
    g_ptr_array_sort (usb->listed, compare_paths);
  }
  return usb->listed;
}
