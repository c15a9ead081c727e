/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gio/gio.h>

/* The one error domain. A code says what the caller can do about it; the message says what was refused, by which
 * rule or limit, and what to do. Over D-Bus each code is org.floe.Error.NAME. */
typedef enum {
  FLOE_ERROR_FAILED,      /* none of the others; the message is all there is */
  FLOE_ERROR_INVALID,     /* input is not of the form its specification asks for */
  FLOE_ERROR_UNVERIFIED,  /* a signature, threshold or digest does not match */
  FLOE_ERROR_EXPIRED,     /* it was right once; its time has passed */
  FLOE_ERROR_ROLLBACK,    /* it is older than what was already in force */
  FLOE_ERROR_LIMIT,       /* larger, longer, deeper or slower than allowed */
  FLOE_ERROR_REFUSED,     /* policy or privilege says no */
  FLOE_ERROR_NOT_FOUND,   /* the thing named does not exist */
  FLOE_ERROR_BUSY,        /* not in this state; try again when the other thing has ended */
  FLOE_ERROR_UNSUPPORTED, /* this host lacks what is needed */
  FLOE_ERROR_NO_SPACE,    /* disk or memory is full */
  FLOE_ERROR_IO,          /* the operating system or the network failed */
  FLOE_ERROR_PEER,        /* the other side answered with an error or broke the protocol */
  FLOE_ERROR_CANCELLED,   /* the caller asked to stop, or the deadline passed */
} FloeError;

#define FLOE_ERROR (floe_error_quark ())
GQuark floe_error_quark (void);

/* Sets *error from errno: "WHAT: strerror". ENOSPC, EDQUOT and ENOMEM become NO_SPACE, ENOENT NOT_FOUND, the rest IO.
 * Returns FALSE, so that a failing function can return it. */
gboolean floe_error_set_errno (GError **error, int saved_errno, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Sets *error in FLOE_ERROR and returns FALSE. */
gboolean floe_error_set (GError **error, FloeError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

#define FLOE_WARN_UNUSED G_GNUC_WARN_UNUSED_RESULT
