/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* A client of The Update Framework (specification 1.0.x, the client workflow of section 5): what it hands out was signed by who may
 * sign it, is not older than what was accepted before, and, after floe_trust_refresh(), was said to be current by keys whose word has not
 * expired. It never reads a clock; the caller gives the time.
 *
 * Errors: UNVERIFIED (signatures, digests, lengths), EXPIRED, ROLLBACK, LIMIT, INVALID (not of TUF's form), NOT_FOUND (no such target,
 * or the repository lacks a file that its own metadata names), BUSY (another process holds the state directory), and whatever the
 * transport says. Messages name role, version and limit. Not thread-safe: one FloeTrust, one thread at a time. */

/* -- Transports ------------------------------------------------------------------------------------------------------ */

/* Takes the bytes of an object as they arrive; FALSE with *error set ends the transfer. */
typedef gboolean (*FloeTrustSink) (const void *data, size_t size, gpointer context, GError **error);

typedef struct _FloeTrustTransport FloeTrustTransport;
struct _FloeTrustTransport {
  /* Hands the object at PATH to SINK in pieces, MAX bytes at most (LIMIT beyond). PATH is relative, as in `metadata/2.root.json` or
   * `targets/policy/HASH.office.json`; role names and target paths are percent-encoded in it as in a URL, so that a component
   * is never empty, `.` or `..`. NOT_FOUND when there is no such object. The bytes are not judged here. */
  gboolean (*fetch) (FloeTrustTransport *self, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
                     GCancellable *cancellable, GError **error);
  void (*free) (FloeTrustTransport *self);
};

gboolean floe_trust_transport_fetch (FloeTrustTransport *self, const char *path, guint64 max, FloeTrustSink sink,
                                     gpointer context, GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;
void floe_trust_transport_free (FloeTrustTransport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeTrustTransport, floe_trust_transport_free)

/* A repository in the directory PATH, as a spool folder or on a USB key; `metadata/` and `targets/` below it. Links are followed nowhere
 * below PATH. The directory need not exist yet: every object is NOT_FOUND then. */
FloeTrustTransport *floe_trust_transport_directory (const char *path);
/* INNER (owned from here on), and each object that arrived whole is also written durably below SPOOL_DIR (borrowed), for a reader
 * that judges for itself. What cannot be written fails the fetch. */
FloeTrustTransport *floe_trust_transport_tee (FloeTrustTransport *inner, int spool_dir);

/* -- The client ------------------------------------------------------------------------------------------------------ */

typedef struct _FloeTrust FloeTrust;
typedef struct _FloeVerified FloeVerified;

/* Makes ROOT, the root metadata that came with the system, what STATE_DIR trusts first. ROOT must be signed by its own keys. A
 * STATE_DIR that has a root already is left alone when ROOT is not newer, so this may be called at every start; a newer ROOT is taken
 * (a new system image) and what the old one's keys signed is judged again by it. */
gboolean floe_trust_init (int state_dir, GBytes *root, GError **error) FLOE_WARN_UNUSED;

/* Opens what STATE_DIR (borrowed, duplicated) trusts; TRANSPORT is borrowed and must live as long. The directory is locked against other
 * processes until floe_trust_free(). UNVERIFIED or INVALID when the root in it is damaged. */
FloeTrust *floe_trust_open (int state_dir, FloeTrustTransport *transport, GError **error) FLOE_WARN_UNUSED;
void floe_trust_free (FloeTrust *trust);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeTrust, floe_trust_free)

/* Section 5.3 to 5.6 at the time NOW (seconds since 1970, UTC): root, timestamp, snapshot, targets. Whatever is accepted on the way is
 * in the state directory at once, as the specification says; what was refused never is. */
gboolean floe_trust_refresh (FloeTrust *trust, gint64 now, GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;

/* Instead of a refresh: trusts again what the last refresh accepted, signatures checked, clock not looked at and nothing fetched. For an
 * endpoint that is offline: what was in force stays so, for as long as its lease says. NOT_FOUND if nothing was accepted yet. */
gboolean floe_trust_resume (FloeTrust *trust, GError **error) FLOE_WARN_UNUSED;

/* The target NAME (`policy/office.json`), looked for through the delegations (5.6.7), fetched and checked as it arrives; LIMIT when
 * its metadata says more than MAX bytes. After floe_trust_refresh() or floe_trust_resume(); BUSY before. */
FloeVerified *floe_trust_target (FloeTrust *trust, const char *name, size_t max, GCancellable *cancellable,
                                 GError **error) FLOE_WARN_UNUSED;
/* The same for CONTENT that the caller has already: judged as if it had been fetched. UNVERIFIED when it is not what the
 * repository has now. */
FloeVerified *floe_trust_adopt (FloeTrust *trust, const char *name, GBytes *content, GCancellable *cancellable,
                                GError **error) FLOE_WARN_UNUSED;

/* Version and expiry (seconds since 1970) of what is trusted for ROLE; FALSE if nothing is, or the role was not asked for yet. */
gboolean floe_trust_role (FloeTrust *trust, const char *role, gint64 *version, gint64 *expires);

/* -- Verified objects ------------------------------------------------------------------------------------------------ */

/* A target's bytes together with who vouches for them. Only this library makes one. Immutable; may be shared between threads. */
FloeVerified *floe_verified_ref (FloeVerified *verified);
void floe_verified_unref (FloeVerified *verified);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeVerified, floe_verified_unref)

GBytes *floe_verified_bytes (FloeVerified *verified);      /* borrowed */
const char *floe_verified_name (FloeVerified *verified);   /* the target's path: "policy/office.json" */
const char *floe_verified_role (FloeVerified *verified);   /* the role whose metadata lists it: "policy" */
gint64 floe_verified_version (FloeVerified *verified);     /* that metadata's version */
