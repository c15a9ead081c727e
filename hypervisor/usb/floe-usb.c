/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb.h"

#include "common/floe-fd.h"
#include "hypervisor/usb/floe-usb-internal.h"
#include "hypervisor/usb/floe-usb-monitor.h"
#include "hypervisor/usb/floe-usb-sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* Theory of operation: the bus is read whole at each hint of a change and compared with what is known. A device is the same
 * only if path, device number, descriptors and serial are; else it has gone and another has come, which is decided from
 * nothing. Whatever is not known to be allowed is switched off, also when it was on before: what the kernel did on its own
 * is not trusted. */

#define DEVICES_MAX 2048 /* 127 on each of many buses; more is not a bus but an attack */

typedef struct {
  FloeUsbDevice public; /* first: the list hands out pointers to it */
  FloeUsbRaw *raw;
  size_t holds; /* index of the policy's rule, SIZE_MAX for none */
  guint64 arrival;
  gboolean seen; /* in this reading of the bus */
} Device;

struct _FloeUsb {
  char *sysfs;
  FloeUsbMode mode;
  FloeUsbChanged changed;
  gpointer data;
  FloePolicy *policy; /* NULL: none, or a test's content */
  const FloePolicyContent *content;
  GPtrArray *devices; /* of Device, in order of arrival */
  GPtrArray *listed;  /* of FloeUsbDevice *, in order of path; made anew when asked for */
  guint64 arrivals;
  FloeUsbMonitor *monitor;
};

static void
device_free (gpointer data)
{
  Device *device = data;

  g_free (device->public.path);
  g_free (device->public.name);
  g_free (device->public.serial);
  g_free (device->public.machine);
  g_free (device->public.rule);
  g_free (device->public.problem);
  floe_usb_raw_free (device->raw);
  g_free (device);
}

static Device *
device_new (FloeUsb *usb, FloeUsbRaw *raw)
{
  Device *device = g_new0 (Device, 1);

  device->raw = raw;
  device->holds = SIZE_MAX;
  device->arrival = usb->arrivals++;
  device->public.path = g_strdup (raw->path);
  device->public.vendor = raw->descriptors.vendor;
  device->public.product = raw->descriptors.product;
  device->public.name = g_strdup (raw->name);
  device->public.serial = raw->serial == NULL ? g_strdup ("") : floe_usb_displayable (raw->serial, raw->serial_size);
  device->public.machine = g_strdup ("");
  device->public.rule = g_strdup ("");
  device->public.problem = g_strdup ("");
  return device;
}

/* -- Deciding --------------------------------------------------------------------------------------------------------- */

typedef struct {
  FloePolicyUsbAction action;
  const char *machine, *rule;
  size_t index;
} Decision;

/* How many devices hold each rule, DEVICE not counted, those only that were decided before it in this round. */
static unsigned *
count_holders (FloeUsb *usb, const Device *device)
{
  unsigned *holders = g_new0 (unsigned, usb->content->n_usb + 1);

  for (guint i = 0; i < usb->devices->len; i++) {
    const Device *other = g_ptr_array_index (usb->devices, i);

    if (other != device && other->holds < usb->content->n_usb)
      holders[other->holds]++;
  }
  return holders;
}

static Decision
decide (FloeUsb *usb, const Device *device)
{
  const FloeUsbRaw *raw = device->raw;
  const FloePolicyUsbDevice asked = {
    .vendor = raw->descriptors.vendor,
    .product = raw->descriptors.product,
    .serial = { raw->serial, raw->serial_size },
    .port = raw->path,
    .device_class = raw->descriptors.device_class,
    .interfaces = raw->descriptors.interfaces,
    .n_interfaces = raw->descriptors.n_interfaces,
    .complete = raw->descriptors.problem == NULL,
  };
  g_autofree unsigned *holders = NULL;
  FloePolicyUsbVerdict verdict;

  if (raw->root_hub)
    return (Decision){ FLOE_POLICY_USB_HOST, "", "floe-root-hub", SIZE_MAX };
  if (usb->content == NULL)
    return (Decision){ FLOE_POLICY_USB_BLOCK, "", "floe-no-policy", SIZE_MAX };
  holders = count_holders (usb, device);
  verdict = floe_policy_usb_verdict (usb->content, &asked, &(FloePolicyUsbSituation){ .holders = holders });
  /* Part of a device cannot be authorised yet. */
  if (verdict.action == FLOE_POLICY_USB_HOST && verdict.grant.n_interfaces > 0)
    verdict.action = FLOE_POLICY_USB_BLOCK;
  return (Decision){ verdict.action, verdict.grant.machine != NULL ? verdict.grant.machine->id : "", verdict.rule, verdict.index };
}

/* Puts the kernel's switch where the verdict wants it. TRUE when the verdict is wholly in force. */
static gboolean
enforce (FloeUsb *usb, const Device *device, FloePolicyUsbAction action, GError **error)
{
  const FloeUsbRaw *raw = device->raw;
  int wanted = action == FLOE_POLICY_USB_HOST;

  if (usb->mode == FLOE_USB_OBSERVE)
    return FALSE;
  if (raw->root_hub)
    return floe_usb_switch_read (raw, "authorized_default") == 0
           || floe_usb_switch_set (raw, "authorized_default", 0, error);
  if (floe_usb_switch_read (raw, "authorized") != wanted && !floe_usb_switch_set (raw, "authorized", wanted, error))
    return FALSE;
  return action == FLOE_POLICY_USB_HOST || action == FLOE_POLICY_USB_BLOCK;
}

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
judge (FloeUsb *usb, Device *device, gboolean is_new)
{
  Decision decision = decide (usb, device);
  g_autoptr (GError) error = NULL;
  gboolean enforced = enforce (usb, device, decision.action, &error);
  const char *problem = error != NULL                              ? error->message
                        : device->raw->descriptors.problem != NULL ? device->raw->descriptors.problem
                                                                   : "";
  gboolean changed = is_new || device->public.verdict != decision.action || device->public.enforced != enforced;

  device->holds = decision.index;
  device->public.verdict = decision.action;
  device->public.enforced = enforced;
  replace_text (&device->public.machine, decision.machine, &changed);
  replace_text (&device->public.rule, decision.rule, &changed);
  replace_text (&device->public.problem, problem, &changed);
  if (changed && usb->changed != NULL)
    usb->changed (usb, &device->public, FALSE, usb->data);
}

/* -- The bus ---------------------------------------------------------------------------------------------------------- */

static Device *
find_device (FloeUsb *usb, const char *path, guint *index)
{
  for (guint i = 0; i < usb->devices->len; i++) {
    Device *device = g_ptr_array_index (usb->devices, i);

    if (strcmp (device->public.path, path) == 0) {
      *index = i;
      return device;
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
  Device *device = g_ptr_array_steal_index (usb->devices, index);

  /* Whoever was told of the last change may have asked for the list: it must not keep what goes now. */
  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  if (usb->changed != NULL)
    usb->changed (usb, &device->public, TRUE, usb->data);
  device_free (device);
}

static void
look_at (FloeUsb *usb, int devices, const char *name)
{
  FloeUsbRaw *raw = floe_usb_raw_read (devices, name);
  Device *known;
  guint index;

  if (raw == NULL)
    return;
  known = find_device (usb, name, &index);
  if (known != NULL && is_same (known->raw, raw)) {
    /* The directory just opened: the old one's descriptor may be that of a device gone and come back as its twin. */
    floe_usb_raw_free (known->raw);
    known->raw = raw;
    known->seen = TRUE;
    judge (usb, known, FALSE);
    return;
  }
  if (known != NULL)
    remove_device (usb, index);
  known = device_new (usb, raw);
  known->seen = TRUE;
  g_clear_pointer (&usb->listed, g_ptr_array_unref);
  g_ptr_array_add (usb->devices, known);
  judge (usb, known, TRUE);
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
    ((Device *)g_ptr_array_index (usb->devices, i))->seen = FALSE;
  /* Those that have gone first: what they held may be another's now. */
  for (guint i = usb->devices->len; i-- > 0;) {
    const Device *device = g_ptr_array_index (usb->devices, i);

    if (!g_ptr_array_find_with_equal_func (names, device->public.path, g_str_equal, NULL))
      remove_device (usb, i);
  }
  for (guint i = 0; i < names->len; i++)
    look_at (usb, devices, g_ptr_array_index (names, i));
  for (guint i = usb->devices->len; i-- > 0;)
    if (!((Device *)g_ptr_array_index (usb->devices, i))->seen)
      remove_device (usb, i);
}

static void
bus_changed (gpointer data)
{
  floe_usb_rescan (data);
}

/* -- The gate --------------------------------------------------------------------------------------------------------- */

FloeUsb *
floe_usb_new (const char *sysfs, FloeUsbMode mode, FloeUsbChanged changed, gpointer data, GError **error)
{
  g_autoptr (FloeUsb) usb = g_new0 (FloeUsb, 1);

  usb->sysfs = g_strdup (sysfs);
  usb->mode = mode;
  usb->changed = changed;
  usb->data = data;
  usb->devices = g_ptr_array_new_with_free_func (device_free);
  /* Listening comes before the first reading, so that nothing can slip in between. */
  if (strcmp (sysfs, "/sys") == 0) {
    usb->monitor = floe_usb_monitor_new (bus_changed, usb, error);
    if (usb->monitor == NULL)
      return NULL;
  }
  floe_usb_rescan (usb);
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
  g_clear_pointer (&usb->policy, floe_policy_unref);
  g_free (usb->sysfs);
  g_free (usb);
}

void
floe_usb_set_content (FloeUsb *usb, const FloePolicyContent *content)
{
  usb->content = content;
  /* Rules held under the old policy mean nothing under the new one; devices are decided again in the order they came. */
  for (guint i = 0; i < usb->devices->len; i++)
    ((Device *)g_ptr_array_index (usb->devices, i))->holds = SIZE_MAX;
  for (guint i = 0; i < usb->devices->len; i++)
    judge (usb, g_ptr_array_index (usb->devices, i), FALSE);
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

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  const Device *left = *(const Device *const *)a, *right = *(const Device *const *)b;

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
