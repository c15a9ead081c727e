/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* USBGuard's rule files (usbguard-rules.conf(5), version 1.1) as rules of a policy document. Pure. */

#define FLOE_USBGUARD_SIZE_MAX (1024 * 1024)
#define FLOE_USBGUARD_RULES_MAX 4096
#define FLOE_USBGUARD_VALUES_MAX 64   /* of one attribute */
#define FLOE_USBGUARD_STRING_MAX 4096 /* bytes of one value */

typedef enum {
  FLOE_USBGUARD_ALLOW,
  FLOE_USBGUARD_BLOCK,
  FLOE_USBGUARD_REJECT,
  FLOE_USBGUARD_MATCH,  /* triggers actions, decides nothing */
  FLOE_USBGUARD_DEVICE, /* describes a device */
} FloeUsbguardTarget;

typedef enum {
  FLOE_USBGUARD_EQUALS, /* the one when none is written */
  FLOE_USBGUARD_EQUALS_ORDERED,
  FLOE_USBGUARD_ALL_OF,
  FLOE_USBGUARD_ONE_OF,
  FLOE_USBGUARD_NONE_OF,
  FLOE_USBGUARD_MATCH_ALL, /* every one of the device's is among those of the rule */
} FloeUsbguardOperator;

typedef enum {
  FLOE_USBGUARD_ID,
  FLOE_USBGUARD_SERIAL,
  FLOE_USBGUARD_NAME,
  FLOE_USBGUARD_HASH,
  FLOE_USBGUARD_PARENT_HASH,
  FLOE_USBGUARD_VIA_PORT,
  FLOE_USBGUARD_WITH_INTERFACE,
  FLOE_USBGUARD_WITH_CONNECT_TYPE,
  FLOE_USBGUARD_IF,
  FLOE_USBGUARD_LABEL,
  FLOE_USBGUARD_N_ATTRIBUTES,
} FloeUsbguardAttribute;

typedef struct {
  FloeUsbguardOperator operator;
  GPtrArray *values; /* of GString *: escapes undone, so any bytes; NULL: the rule has no such attribute */
} FloeUsbguardValues;

typedef struct {
  unsigned line;
  FloeUsbguardTarget target;
  FloeUsbguardValues attributes[FLOE_USBGUARD_N_ATTRIBUTES];
} FloeUsbguardRule;

/* The rules of TEXT, comments left out: an array of FloeUsbguardRule *. INVALID with SOURCE and line for what is not in the language. */
GPtrArray *floe_usbguard_parse (GBytes *text, const char *source, GError **error) FLOE_WARN_UNUSED;
/* The word of an attribute: "with-interface". */
const char *floe_usbguard_attribute_name (FloeUsbguardAttribute attribute);

typedef enum {
  FLOE_USBGUARD_TRANSLATED,
  FLOE_USBGUARD_NARROWER, /* translated into rules that open less */
  FLOE_USBGUARD_LEFT_OUT, /* nothing is lost by leaving it out */
  FLOE_USBGUARD_NOT_TRANSLATED,
} FloeUsbguardOutcome;

typedef struct {
  unsigned line;
  FloeUsbguardOutcome outcome;
  char *reason; /* NULL with TRANSLATED */
} FloeUsbguardReport;

typedef struct {
  char *json;         /* a `usb` list that floe_policy_parse() takes where the document has MACHINE */
  GPtrArray *reports; /* of FloeUsbguardReport *, one for each rule of the file in its order */
  size_t n_rules;     /* in JSON */
} FloeUsbguardImport;

/* Translates TEXT. What is allowed there goes to MACHINE ("front": the one in front; NULL: the host). A rule becomes rules that match no device
 * that it does not match when it allows, and each that it matches when it blocks; or none, and then a later one that would open what
 * a lost one blocked is lost too. So the list opens no device that the file did not. LIMIT for more rules than a document holds. */
FloeUsbguardImport *floe_usbguard_import (GBytes *text, const char *source, const char *machine, GError **error) FLOE_WARN_UNUSED;
void floe_usbguard_import_free (FloeUsbguardImport *import);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbguardImport, floe_usbguard_import_free)
