/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-answers.h"
#include "hypervisor/usb/floe-usb-monitor.h"
#include "hypervisor/usb/floe-usb-node.h"
#include "hypervisor/usb/floe-usb-past.h"
#include "hypervisor/usb/floe-usb-system.h"
#include "hypervisor/usb/floe-usb.h"

/* What the files of the gate share: floe-usb.c (the bus), floe-usb-decide.c (what a device is to get) and floe-usb-enforce.c
 * (that it gets this and no more). */

typedef enum {
  FLOE_USB_HAND_NONE,
  FLOE_USB_HAND_DISKS,  /* the host's storage driver makes disks of it */
  FLOE_USB_HAND_GIVING, /* QEMU is being told */
  FLOE_USB_HAND_HELD,   /* QEMU has it */
  FLOE_USB_HAND_TAKING, /* shut already; QEMU is being told */
} FloeUsbHandState;

/* What has been done for a device to reach a machine. */
typedef struct {
  FloeUsbHandState state;
  guint64 serial, life; /* of the gift; of the QEMU it is for */
  char *machine, *label; /* for whom, and as what: what a new decision is compared with. NULL in state NONE */
  guint timer, looks;    /* while waiting for disks */
  unsigned disks_seen;
  /* A failure is not tried again for the same machine's same life. */
  char *failed, *failed_label;
  guint64 failed_life;
  /* A QEMU that held the device may have kept its descriptor: while it lives, nobody else gets this connection. */
  char *past;
  guint64 past_life;
  gboolean cycled; /* its port has been switched off and on for that */
} FloeUsbHand;

typedef struct {
  FloeUsbDevice public; /* first: the list hands out pointers to it */
  FloeUsbRaw *raw;
  size_t holds;   /* index of the policy's rule, SIZE_MAX for none */
  gboolean seen;  /* in this reading of the bus */
  gboolean in_use; /* the host uses it, by our verdict or since before our life */
  gboolean is_system; /* the root file system lies on it, or it is a hub on the way */
  char *front;    /* the machine that was in front when it was given; NULL: not given */
  char *answer, *answer_rule; /* label that the person chose for this connection, and the rule that asked; NULL: none */
  FloeUsbHand hand;
} FloeUsbOne;

typedef struct {
  guint64 life;
  gboolean ready;
} FloeUsbMachine;

struct _FloeUsb {
  char *sysfs;
  FloeUsbMode mode;
  const FloeUsbfs *usbfs;
  FloeUsbHands hands;
  FloeUsbChanged changed;
  gpointer data;
  FloePolicy *policy; /* NULL: none, or a test's content */
  const FloePolicyContent *content;
  GPtrArray *devices; /* of FloeUsbOne, in order of arrival */
  GPtrArray *listed;  /* of FloeUsbDevice *, in order of path; made anew when asked for */
  GHashTable *machines; /* id -> FloeUsbMachine */
  guint64 serials;      /* connections and gifts */
  char *front, *person; /* NULL: none */
  gboolean locked;
  gboolean starting; /* the first reading: what is on was on before our life */
  int state_dir, run_dir;  /* borrowed; -1: none */
  FloeUsbAnswers *answers; /* NULL: nothing is remembered */
  FloeUsbMonitor *monitor;
  FloeUsbSystem *system;
};

/* -- floe-usb-decide.c ------------------------------------------------------------------------------------------------ */

typedef struct {
  FloePolicyUsbGrant grant; /* action BLOCK with ASK */
  FloePolicyUsbAction action;
  const char *rule, *reason;
  const FloePolicyUsbRule *decided;
  size_t index;
} FloeUsbDecision;

/* What ONE is to get now. Changes nothing but ONE->front and ONE->is_system. */
FloeUsbDecision floe_usb_decide (FloeUsb *usb, FloeUsbOne *one);
/* Whether RAW is a keyboard that the host can use, and nothing else besides what keyboards and mice are. Pure. */
gboolean floe_usb_is_keyboard (const FloeUsbRaw *raw);
/* What RAW is to a person, by its interfaces: "storage", "keyboard", "mouse", "input", "audio", "camera", "network", "printer",
 * "scanner", "smart-card", "wireless", "hub", or "device" for anything else, and for what is several things. Static. */
const char *floe_usb_kind (const FloeUsbRaw *raw);
/* Hexadecimal digest over all that RAW's device says of itself. To be freed. */
char *floe_usb_identity (const FloeUsbRaw *raw);
/* NULL-terminated; of an asking RULE. To be freed. */
char **floe_usb_choices (const FloePolicyUsbRule *rule);

/* -- floe-usb-enforce.c ----------------------------------------------------------------------------------------------- */

/* Puts DECISION in force, or begins to. TRUE when it wholly is. ERROR, or a *PROBLEM (to be freed) that is nobody's mistake. */
gboolean floe_usb_enforce (FloeUsb *usb, FloeUsbOne *one, const FloeUsbDecision *decision, char **problem, GError **error);
/* ONE has gone: whoever holds it is told. */
void floe_usb_hand_forget (FloeUsb *usb, FloeUsbOne *one);
void floe_usb_hand_clear (FloeUsbHand *hand);

/* -- floe-usb.c ------------------------------------------------------------------------------------------------------- */

/* Decides ONE and enforces that; tells of a change, and of IS_NEW always. */
void floe_usb_judge (FloeUsb *usb, FloeUsbOne *one, gboolean is_new);
FloeUsbOne *floe_usb_find_gift (FloeUsb *usb, guint64 serial);

/* -- For tests -------------------------------------------------------------------------------------------------------- */

/* They have no signed policy: CONTENT is borrowed and outlives its being in force. */
void floe_usb_set_content (FloeUsb *usb, const FloePolicyContent *content);
void floe_usb_set_usbfs (FloeUsb *usb, const FloeUsbfs *usbfs);
