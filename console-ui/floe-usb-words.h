/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* USB devices in words, and the question that one of them asks. What devices say of themselves is made fit by floe_text_plain(). */

/* 'USB storage "DataTraveler"' for an entry of UsbDevices or the fields of an Audit (a{sv}). To be freed. */
char *floe_usb_what (GVariant *device);

typedef struct {
  char *path;
  guint64 connection;
  char *what, *rule; /* to be shown */
  char **choices;    /* as AnswerUsb takes them; "block" among them */
  gboolean may_remember;
} FloeUsbQuestion;

/* The question of the device that asks and came first, or NULL. DEVICES is UsbDevices (aa{sv}); anything else asks nothing. */
FloeUsbQuestion *floe_usb_question_first (GVariant *devices);
void floe_usb_question_free (FloeUsbQuestion *question);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbQuestion, floe_usb_question_free)
/* Whether both are the same question of the same connection; NULL is none. */
gboolean floe_usb_question_equal (const FloeUsbQuestion *a, const FloeUsbQuestion *b);

/* Answers a machine's title for its id, or NULL. Borrowed. */
typedef const char *(*FloeUsbTitle) (const char *id, gpointer data);
/* Words for a button with CHOICE ("block", "host", "front", "machine:ID", with ":read-only" and "[...]" behind it); FRONT is the title
 * of the machine on the screen, NULL for none. NULL for a choice that cannot be made now, or that is not understood. To be freed. */
char *floe_usb_choice_words (const char *choice, const char *front, FloeUsbTitle title, gpointer data);
