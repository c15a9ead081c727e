/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <libmnl/libmnl.h>

/* A netlink socket, requests on it, and nf_tables transactions: all messages of a batch or none (nfnetlink(7)). Libraries'
 * message builders write into what floe_batch_add() returns. */

typedef struct _FloeNetlink FloeNetlink;

/* PROTOCOL is NETLINK_ROUTE or NETLINK_NETFILTER. UNSUPPORTED when the kernel has none. */
FloeNetlink *floe_netlink_open (int protocol, GError **error) FLOE_WARN_UNUSED;
void floe_netlink_close (FloeNetlink *netlink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNetlink, floe_netlink_close)

/* Largest single message that a builder may write. */
#define FLOE_NETLINK_MESSAGE_MAX 65536

/* Sends one request (flags, sequence and ack are set here) and waits for the kernel's answer; WHAT names it in errors. */
gboolean floe_netlink_request (FloeNetlink *netlink, struct nlmsghdr *message, const char *what,
                               GError **error) FLOE_WARN_UNUSED;
/* The same for a question with an answer: CALLBACK gets it before the kernel says that this was all. */
gboolean floe_netlink_query (FloeNetlink *netlink, struct nlmsghdr *message, mnl_cb_t callback, void *data, const char *what,
                             GError **error) FLOE_WARN_UNUSED;
/* The same for a dump: CALLBACK gets each message. Begins anew, after RESTART, when the kernel says that the dump was torn.
 */
gboolean floe_netlink_dump (FloeNetlink *netlink, struct nlmsghdr *message, mnl_cb_t callback, void (*restart) (void *),
                            void *data, const char *what, GError **error) FLOE_WARN_UNUSED;

typedef struct _FloeBatch FloeBatch;

FloeBatch *floe_batch_new (void);
void floe_batch_free (FloeBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeBatch, floe_batch_free)

/* Begins the batch's next nf_tables message: TYPE is NFT_MSG_…, FAMILY NFPROTO_…; the text says what it is, for errors. The
 * pointer is good until the next call. */
struct nlmsghdr *floe_batch_add (FloeBatch *batch, uint16_t type, uint16_t family, uint16_t flags, const char *format, ...)
    G_GNUC_PRINTF (5, 6);

/* Sends BATCH as one transaction. With COMMIT FALSE the kernel checks it all, expressions and hooks included, and changes
 * nothing. The error names the first message that the kernel refused: UNSUPPORTED when it lacks what that needs. BATCH is
 * spent. */
gboolean floe_batch_run (FloeBatch *batch, FloeNetlink *netlink, gboolean commit, GError **error) FLOE_WARN_UNUSED;
