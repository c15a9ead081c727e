/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "hypervisor/usb/floe-usb-internal.h"
#include "hypervisor/usb/floe-usb-storage.h"

#include <string.h>

/* Theory of operation: shutting a device is the kernel's switch, thrown at once, whoever holds a descriptor; QEMU is told after
 * that. Opening one for a machine goes through the states of FloeUsbHand, and only a device in state NONE can be given, so that
 * one device is never with two machines.
 *
 * What the switch does not cut is the control pipe of a descriptor that a QEMU, taken over by its guest, has kept against our word.
 * It reaches this one device, which the guest had anyway. So it is enough that nobody else gets the same connection while that QEMU
 * lives: the port is switched off and on instead, or the person plugs the device in again. */

#define DISKS_LOOK_MS 250
#define DISKS_LOOKS 80 /* a slow card reader takes ten seconds */

void
floe_usb_hand_clear (FloeUsbHand *hand)
{
  g_clear_handle_id (&hand->timer, g_source_remove);
  g_clear_pointer (&hand->machine, g_free);
  g_clear_pointer (&hand->label, g_free);
  g_clear_pointer (&hand->failed, g_free);
  g_clear_pointer (&hand->failed_label, g_free);
  g_clear_pointer (&hand->past, g_free);
}

static FloeUsbMachine
machine_of (FloeUsb *usb, const char *id)
{
  const FloeUsbMachine *machine = g_hash_table_lookup (usb->machines, id);

  return machine == NULL ? (FloeUsbMachine){ 0 } : *machine;
}

static void
hand_end (FloeUsbHand *hand)
{
  g_clear_handle_id (&hand->timer, g_source_remove);
  g_clear_pointer (&hand->machine, g_free);
  g_clear_pointer (&hand->label, g_free);
  hand->state = FLOE_USB_HAND_NONE;
}

static void
hand_fail (FloeUsbHand *hand, const char *label, guint64 life, const char *why)
{
  g_free (hand->failed);
  g_free (hand->failed_label);
  hand->failed = g_strdup (why);
  hand->failed_label = g_strdup (label);
  hand->failed_life = life;
}

static gboolean
holds_descriptor (const FloeUsbHand *hand)
{
  return hand->state == FLOE_USB_HAND_GIVING || hand->state == FLOE_USB_HAND_HELD;
}

/* QEMU is told that the device is gone; what it kept is remembered against it. */
static void
begin_taking (FloeUsb *usb, FloeUsbHand *hand)
{
  g_free (hand->past);
  hand->past = g_strdup (hand->machine);
  hand->past_life = hand->life;
  hand->cycled = FALSE;
  hand->state = FLOE_USB_HAND_TAKING;
  usb->hands.take (hand->machine, hand->serial, usb->hands.data);
}

void
floe_usb_hand_forget (FloeUsb *usb, FloeUsbOne *one)
{
  FloeUsbHand *hand = &one->hand;

  if (holds_descriptor (hand))
    usb->hands.take (hand->machine, hand->serial, usb->hands.data);
  hand_end (hand);
}

/* Nobody has the device; in state TAKING QEMU may not know yet. */
static gboolean
shut (FloeUsb *usb, FloeUsbOne *one, GError **error)
{
  gboolean closed = floe_usb_close_device (one->raw, error);

  /* Told even if the switch is stuck: QEMU then lets go of it at least. */
  if (holds_descriptor (&one->hand))
    begin_taking (usb, &one->hand);
  else if (one->hand.state == FLOE_USB_HAND_DISKS)
    hand_end (&one->hand);
  return closed;
}

/* The same for a device that a machine is to get, but not now. */
static gboolean
stay_shut (FloeUsb *usb, FloeUsbOne *one, GError **error)
{
  (void)!shut (usb, one, error);
  return FALSE;
}

/* -- Whoever had it before -------------------------------------------------------------------------------------------- */

/* Whether a QEMU other than TARGET's may still have a descriptor of this connection. Life 0: of one that nothing is known of. While
 * starting, nothing is known of any. */
static gboolean
is_tainted (FloeUsb *usb, const FloeUsbHand *hand, const char *target)
{
  return hand->past != NULL && g_strcmp0 (hand->past, target) != 0
         && (usb->starting || hand->past_life == 0 || machine_of (usb, hand->past).life == hand->past_life);
}

/* The hub switches the port off and on: the device comes back as another connection, and all descriptors of this one are dead
 * (Documentation/ABI/testing/sysfs-bus-usb: .../(hub interface)/portX/disable, since Linux 6.0). */
static void
cycle_port (FloeUsbOne *one)
{
  g_autoptr (GError) ignored = NULL;

  if (one->hand.cycled)
    return;
  one->hand.cycled = TRUE;
  (void)!floe_usb_port_cycle (one->raw, &ignored);
}

static gboolean
refuse_tainted (FloeUsb *usb, FloeUsbOne *one, char **problem, GError **error)
{
  *problem = g_strdup_printf ("machine %s had it before and still runs: pull it out and plug it in again", one->hand.past);
  if (shut (usb, one, error) && !usb->starting)
    cycle_port (one);
  return FALSE;
}

/* -- Giving ----------------------------------------------------------------------------------------------------------- */

static gboolean
give (FloeUsb *usb, FloeUsbOne *one, gboolean read_only, const int *fds, unsigned n, GError **error)
{
  const FloeUsbGift gift = { .serial = ++usb->serials,
                             .machine = one->hand.machine,
                             .path = one->public.path,
                             .read_only = read_only,
                             .fds = fds,
                             .n_fds = n };

  if (!floe_usb_past_write (usb->run_dir, one->raw, one->hand.life, one->hand.machine, error))
    return FALSE;
  one->hand.serial = gift.serial;
  one->hand.state = FLOE_USB_HAND_GIVING;
  usb->hands.give (&gift, usb->hands.data);
  return TRUE;
}

static gboolean
give_whole (FloeUsb *usb, FloeUsbOne *one, const FloePolicyUsbGrant *grant, GError **error)
{
  floe_autofd fd = floe_usb_open_for_machine (one->raw, grant, usb->usbfs, error);

  return fd >= 0 && give (usb, one, FALSE, &fd, 1, error);
}

typedef struct {
  FloeUsb *usb;
  guint64 connection;
} Look;

static gboolean
look_for_disks (gpointer data)
{
  const Look *look = data;
  FloeUsb *usb = look->usb;

  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);

    if (one->public.connection != look->connection)
      continue;
    one->hand.timer = 0;
    floe_usb_judge (usb, one, FALSE);
    break;
  }
  return G_SOURCE_REMOVE;
}

static void
look_again (FloeUsb *usb, FloeUsbOne *one)
{
  Look *look = g_new0 (Look, 1);

  look->usb = usb;
  look->connection = one->public.connection;
  one->hand.timer = g_timeout_add_full (G_PRIORITY_DEFAULT, DISKS_LOOK_MS, look_for_disks, look, g_free);
}

/* In state DISKS: looks once whether they are there. */
static gboolean
give_disks (FloeUsb *usb, FloeUsbOne *one, GError **error)
{
  int fds[FLOE_USB_DISKS_MAX];
  unsigned n = 0;
  gboolean given;
  FloeUsbHand *hand = &one->hand;

  if (hand->timer != 0)
    return TRUE;
  switch (floe_usb_disks_open (one->raw, usb->usbfs, fds, &n, &hand->disks_seen, error)) {
  case FLOE_USB_DISKS_READY:
    given = give (usb, one, TRUE, fds, n, error);
    for (unsigned i = 0; i < n; i++)
      floe_fd_clear (&fds[i]);
    return given;
  case FLOE_USB_DISKS_FAILED:
    return FALSE;
  case FLOE_USB_DISKS_NO_MEDIUM:
  case FLOE_USB_DISKS_WAITING:
    break;
  }
  if (++hand->looks < DISKS_LOOKS) {
    look_again (usb, one);
    return TRUE;
  }
  return hand->disks_seen > 0
             ? floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no medium in it: put one in, then plug it in again")
             : floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the kernel shows no disk of it (no storage driver, or a broken device)");
}

static gboolean
begin_disks (FloeUsb *usb, FloeUsbOne *one, const FloePolicyUsbGrant *grant, GError **error)
{
  /* From nothing: what was let in before, by whomever, may have had more interfaces. */
  if (!floe_usb_close_device (one->raw, error) || !floe_usb_open_for_host (one->raw, grant, usb->sysfs, error))
    return FALSE;
  one->hand.state = FLOE_USB_HAND_DISKS;
  one->hand.looks = one->hand.disks_seen = 0;
  return give_disks (usb, one, error);
}

/* A step towards the machine having it; a failure is kept until something is different. */
static void
advance (FloeUsb *usb, FloeUsbOne *one, const FloePolicyUsbGrant *grant, const char *label, guint64 life, char **problem)
{
  FloeUsbHand *hand = &one->hand;
  g_autoptr (GError) error = NULL, ignored = NULL;
  gboolean going;

  if (hand->state == FLOE_USB_HAND_NONE) {
    hand->machine = g_strdup (grant->machine->id);
    hand->label = g_strdup (label);
    hand->life = life;
    going = grant->read_only ? begin_disks (usb, one, grant, &error) : give_whole (usb, one, grant, &error);
  } else {
    going = give_disks (usb, one, &error);
  }
  if (going)
    return;
  (void)!floe_usb_close_device (one->raw, &ignored);
  hand_end (hand);
  hand_fail (hand, label, life, error->message);
  *problem = g_strdup (error->message);
}

/* A driver of the host's on a device that a machine has, or a switch thrown by someone: taken back. */
static gboolean
still_right (FloeUsbOne *one, const FloePolicyUsbGrant *grant)
{
  g_autofree char *driver = grant->read_only ? NULL : floe_usb_foreign_driver (one->raw);

  return driver == NULL && floe_usb_switch_read (one->raw, "authorized") == 1;
}

static gboolean
serve_machine (FloeUsb *usb, FloeUsbOne *one, const FloePolicyUsbGrant *grant, char **problem, GError **error)
{
  FloeUsbMachine machine = machine_of (usb, grant->machine->id);
  g_autofree char *label = floe_usb_grant_label (grant);
  FloeUsbHand *hand = &one->hand;
  gboolean same = hand->label != NULL && strcmp (hand->label, label) == 0 && hand->life == machine.life && machine.ready;

  if (hand->state == FLOE_USB_HAND_TAKING || (hand->state != FLOE_USB_HAND_NONE && (!same || !still_right (one, grant))))
    return stay_shut (usb, one, error);
  if (hand->state == FLOE_USB_HAND_NONE) {
    if (usb->hands.give == NULL || !machine.ready) {
      *problem = g_strdup_printf (machine.life == 0 ? "machine %s does not run"
                                                    : "machine %s cannot take a USB device now: it was started under a policy "
                                                      "that gave it none (start it anew), or is being suspended",
                                  grant->machine->id);
      return stay_shut (usb, one, error);
    }
    if (is_tainted (usb, hand, grant->machine->id))
      return refuse_tainted (usb, one, problem, error);
    if (hand->failed != NULL && hand->failed_life == machine.life && strcmp (hand->failed_label, label) == 0) {
      *problem = g_strdup (hand->failed);
      return stay_shut (usb, one, error);
    }
  }
  if (hand->state == FLOE_USB_HAND_NONE || hand->state == FLOE_USB_HAND_DISKS)
    advance (usb, one, grant, label, machine.life, problem);
  return hand->state == FLOE_USB_HAND_HELD;
}

/* -- Putting a decision in force -------------------------------------------------------------------------------------- */

static gboolean
guard_controller (const FloeUsbRaw *raw, GError **error)
{
  static const char *const defaults[] = { "authorized_default", "interface_authorized_default" };

  for (size_t i = 0; i < G_N_ELEMENTS (defaults); i++)
    if (floe_usb_switch_read (raw, defaults[i]) != 0 && !floe_usb_switch_set (raw, defaults[i], 0, error))
      return FALSE;
  return TRUE;
}

static gboolean
serve_host (FloeUsb *usb, FloeUsbOne *one, const FloePolicyUsbGrant *grant, char **problem, GError **error)
{
  /* Only when QEMU has answered. */
  if (one->hand.state != FLOE_USB_HAND_NONE)
    return stay_shut (usb, one, error);
  if (is_tainted (usb, &one->hand, NULL))
    return refuse_tainted (usb, one, problem, error);
  return floe_usb_open_for_host (one->raw, grant, usb->sysfs, error);
}

gboolean
floe_usb_enforce (FloeUsb *usb, FloeUsbOne *one, const FloeUsbDecision *decision, char **problem, GError **error)
{
  if (usb->mode == FLOE_USB_OBSERVE)
    return FALSE;
  if (one->raw->root_hub)
    return guard_controller (one->raw, error);
  /* It was opened before there was a root: nothing of it is switched. */
  if (one->is_system)
    return floe_usb_switch_read (one->raw, "authorized") == 1;
  switch (decision->action) {
  case FLOE_POLICY_USB_HOST:
    return serve_host (usb, one, &decision->grant, problem, error);
  case FLOE_POLICY_USB_MACHINE:
    return serve_machine (usb, one, &decision->grant, problem, error);
  case FLOE_POLICY_USB_BLOCK:
  case FLOE_POLICY_USB_ASK:
    break;
  }
  return shut (usb, one, error);
}

/* -- What the other side says ----------------------------------------------------------------------------------------- */

void
floe_usb_given (FloeUsb *usb, guint64 serial, const GError *error)
{
  FloeUsbOne *one = floe_usb_find_gift (usb, serial);
  g_autoptr (GError) ignored = NULL;

  /* Withdrawn meanwhile: take() is on its way behind it. */
  if (one == NULL || one->hand.state != FLOE_USB_HAND_GIVING)
    return;
  if (error == NULL) {
    one->hand.state = FLOE_USB_HAND_HELD;
  } else {
    (void)!floe_usb_close_device (one->raw, &ignored);
    g_free (one->hand.past);
    one->hand.past = g_strdup (one->hand.machine);
    one->hand.past_life = one->hand.life;
    hand_fail (&one->hand, one->hand.label, one->hand.life, error->message);
    hand_end (&one->hand);
  }
  floe_usb_judge (usb, one, FALSE);
}

void
floe_usb_taken (FloeUsb *usb, guint64 serial, const GError *error)
{
  FloeUsbOne *one = floe_usb_find_gift (usb, serial);

  if (one == NULL || one->hand.state != FLOE_USB_HAND_TAKING)
    return;
  /* A QEMU that does not let go gets nothing more of this connection either. */
  if (error != NULL)
    hand_fail (&one->hand, one->hand.label, one->hand.life, error->message);
  hand_end (&one->hand);
  floe_usb_judge (usb, one, FALSE);
}

void
floe_usb_set_machine (FloeUsb *usb, const char *id, guint64 life, gboolean ready)
{
  FloeUsbMachine before = machine_of (usb, id);
  FloeUsbMachine *machine;

  if (before.life == life && before.ready == ready)
    return;
  machine = g_new0 (FloeUsbMachine, 1);
  machine->life = life;
  machine->ready = ready;
  g_hash_table_insert (usb->machines, g_strdup (id), machine);
  for (guint i = 0; i < usb->devices->len; i++) {
    FloeUsbOne *one = g_ptr_array_index (usb->devices, i);
    gboolean concerned = g_strcmp0 (one->hand.machine, id) == 0;
    g_autoptr (GError) ignored = NULL;

    if (concerned && (!ready || one->hand.life != life)) {
      (void)!floe_usb_close_device (one->raw, &ignored);
      if (holds_descriptor (&one->hand)) {
        g_free (one->hand.past);
        one->hand.past = g_strdup (id);
        one->hand.past_life = one->hand.life;
      }
      hand_end (&one->hand);
    }
    if (strcmp (one->public.machine, id) == 0)
      g_clear_pointer (&one->hand.failed, g_free);
    if (concerned || strcmp (one->public.machine, id) == 0 || g_strcmp0 (one->hand.past, id) == 0)
      floe_usb_judge (usb, one, FALSE);
  }
}
