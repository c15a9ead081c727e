/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "policy/document/floe-policy.h"

/* Answers that a person wanted remembered: STATE/hypervisor/usb-answers.json. Each is bound to the rule that asked, to the device
 * (a digest over its descriptors and strings) and to its port; it holds while the rule is there, lets itself be remembered and
 * offers that very choice. */

#define FLOE_USB_ANSWERS_MAX 256
#define FLOE_USB_ANSWERS_MAX_BYTES (256 * 1024)
#define FLOE_USB_ANSWERS_FILE "usb-answers.json"

typedef struct _FloeUsbAnswers FloeUsbAnswers;

/* Strict: INVALID for anything that floe_usb_answers_build() would not write. */
FloeUsbAnswers *floe_usb_answers_parse (GBytes *text, const char *source, GError **error) FLOE_WARN_UNUSED;
GBytes *floe_usb_answers_build (const FloeUsbAnswers *answers);
FloeUsbAnswers *floe_usb_answers_new (void);
void floe_usb_answers_free (FloeUsbAnswers *answers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbAnswers, floe_usb_answers_free)

/* What DIR has; empty where there is no file. One that cannot be read is an error: it is not written over unseen. */
FloeUsbAnswers *floe_usb_answers_load (int dir, GError **error) FLOE_WARN_UNUSED;
gboolean floe_usb_answers_save (const FloeUsbAnswers *answers, int dir, GError **error) FLOE_WARN_UNUSED;

/* The choice kept for RULE, DEVICE (64 hexadecimal digits) and PORT, or NULL. */
const char *floe_usb_answers_find (const FloeUsbAnswers *answers, const char *rule, const char *device, const char *port);
/* Keeps CHOICE, in the place of what was kept for the same; the oldest is dropped where there are too many. */
void floe_usb_answers_put (FloeUsbAnswers *answers, const char *rule, const char *device, const char *port, const char *choice);
/* Drops what CONTENT does not ask any more in that way. TRUE when something was dropped. */
gboolean floe_usb_answers_prune (FloeUsbAnswers *answers, const FloePolicyContent *content);
size_t floe_usb_answers_count (const FloeUsbAnswers *answers);
