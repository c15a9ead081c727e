/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "policy/document/floe-policy.h"

/* The USB gate: devices as the kernel shows them in sysfs, a verdict of the policy for each, and, when enforcing, the
 * kernel's own switch (Documentation/usb/authorization.rst) or the hand-over to a machine. Root hubs are the host's always:
 * they are its controllers, not devices. Everything is the main thread's. */

typedef enum {
  FLOE_USB_OBSERVE, /* verdicts are reached and reported; nothing on the host is changed */
  FLOE_USB_ENFORCE, /* authorized_default=0 on each controller, authorized by verdict on each device */
} FloeUsbMode;

typedef struct {
  char *path;         /* bus and port, the identity of a device: "1-2.4" */
  guint64 connection; /* another one at each connection, never used twice */
  guint16 vendor, product;
  const char *kind; /* "storage", "keyboard"...: floe_usb_kind() */
  char *name; /* manufacturer and product, valid UTF-8 without control characters */
  char *serial;
  FloePolicyUsbAction verdict;
  char *machine;     /* for verdict machine, else "" */
  gboolean read_only; /* for verdict machine: it gets the device's disks, the host keeps the device */
  char *rule;        /* id of the rule that decided; "default" for none; those of our own begin with "floe-" (docs/usb.md) */
  char *reason;      /* a sentence: why this verdict */
  char *problem;     /* why it could not be read, switched or handed over, or "" */
  gboolean enforced; /* the verdict is wholly in force: switched, or handed over */
  char *holder;      /* the machine that has it now, or "" */
  char **choices;    /* with verdict ask: what may be answered (floe_usb_grant_label()), "block" first; else empty */
  gboolean may_remember;
} FloeUsbDevice;

typedef struct _FloeUsb FloeUsb;

/* A device appeared, was decided anew, or (GONE) went away. */
typedef void (*FloeUsbChanged) (FloeUsb *usb, const FloeUsbDevice *device, gboolean gone, gpointer data);

/* -- Handing over to machines ---------------------------------------------------------------------------------------- */

typedef struct {
  guint64 serial; /* of this gift; never used twice, not even by our next life */
  const char *machine, *path;
  gboolean read_only; /* FDS are disks, open for reading; otherwise one usbfs descriptor */
  const int *fds;     /* to be duplicated */
  unsigned n_fds;
} FloeUsbGift;

/* Who speaks to QEMU. Neither waits; neither calls back before it has returned. */
typedef struct {
  /* Answered with floe_usb_given(), exactly once; nothing of it is left when that says an error. */
  void (*give) (const FloeUsbGift *gift, gpointer data);
  /* Answered with floe_usb_taken(), exactly once; after a give() of the same serial, which may not be answered yet. */
  void (*take) (const char *machine, guint64 serial, gpointer data);
  gpointer data;
} FloeUsbHands;

void floe_usb_given (FloeUsb *usb, guint64 serial, const GError *error);
void floe_usb_taken (FloeUsb *usb, guint64 serial, const GError *error);

/* MACHINE's QEMU: LIFE differs from one to the next, 0 while there is none. Only a READY one is given devices. One that is not
 * has what it held shut off, without take(). */
void floe_usb_set_machine (FloeUsb *usb, const char *machine, guint64 life, gboolean ready);

/* -- The gate --------------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *sysfs; /* "/sys", or a test's directory */
  const char *root;  /* device of the root file system ("253:0"): what it lies on is never shut; NULL: there is nothing such */
  FloeUsbMode mode;
  FloeUsbHands hands;  /* give NULL: there are no machines here */
  int state_dir;       /* where remembered answers are kept; -1: nowhere */
  int run_dir;         /* where it is kept until the next boot who had a device; -1: nowhere */
  FloePolicy *policy; /* in force from the first reading on; NULL: none yet, nothing is let in */
  FloeUsbChanged changed;
  gpointer data;
} FloeUsbOptions;

/* Watches SYSFS. Once floe_usb_set_machine() has been told of all machines that run, floe_usb_rescan() is to be called: what a former
 * life may have given to one of them waits for that. A host without USB is no error: there are no devices then. When it is "/sys", kernel uevents are watched on the
 * default main context; an overflow makes everything be read again. */
FloeUsb *floe_usb_new (const FloeUsbOptions *options, GError **error) FLOE_WARN_UNUSED;
/* Leaves devices as they are: on the host, with machines, shut. */
void floe_usb_free (FloeUsb *usb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsb, floe_usb_free)

/* Takes a reference to POLICY (NULL: nothing is allowed) and decides every device again. */
void floe_usb_set_policy (FloeUsb *usb, FloePolicy *policy);
/* Reads the bus again and decides what is new or has changed. What a uevent does; tests call it. */
void floe_usb_rescan (FloeUsb *usb);
/* Of const FloeUsbDevice *, in order of path; borrowed until the next main-loop turn, rescan or policy. */
GPtrArray *floe_usb_devices (FloeUsb *usb);

/* FRONT: the machine on the screen, "" for none; PERSON: who is logged in, "" for nobody. Decides every device again. Until it is
 * first called, and when whoever calls it has gone: nothing in front, nobody there, locked. */
void floe_usb_set_situation (FloeUsb *usb, const char *front, const char *person, gboolean locked);
/* The person's answer to the question that device PATH of CONNECTION asks now. NOT_FOUND when it asks none (any more), INVALID for
 * a CHOICE that is none of its choices, REFUSED when it may not be remembered. */
gboolean floe_usb_answer (FloeUsb *usb, const char *path, guint64 connection, const char *choice, gboolean remember,
                          GError **error) FLOE_WARN_UNUSED;

/* "block", "host", "front" or "machine:ID", with ":read-only" and "[CC:SS:PP,...]" behind it. Two grants with one label are the
 * same. To be freed. */
char *floe_usb_grant_label (const FloePolicyUsbGrant *grant);
/* Whether some rule of CONTENT may give a device to MACHINE: pure. Its QEMU then has a USB controller. */
gboolean floe_usb_may_reach (const FloePolicyContent *content, const FloePolicyMachine *machine);
