/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-net.h"
#include "hypervisor/probe/floe-probe.h"
#include "hypervisor/usb/floe-usb.h"

/* What is the same for all machines of this endpoint: configuration, directories, the accelerator, the network. Made by
 * main, never changed, and outliving every machine. */

typedef struct {
  char *group;              /* [endpoint]; NULL: this endpoint has still to enrol */
  char *state, *run, *root; /* [paths] */
  uid_t uid_base;           /* [host] */
  FloeUsbMode usb;
  char *qemu, *nbdkit, *plugin, *resolver; /* [programs]; resolver NULL: where it is installed */
} FloeHostConfig;

/* Reads floe.conf (docs/architecture.md, Endpoint) at PATH, or where it lies by default: there it may be absent. INVALID for an unknown
 * key in a group that is ours, a value of the wrong form, a relative path. */
FloeHostConfig *floe_host_config_load (const char *path, GError **error) FLOE_WARN_UNUSED;
void floe_host_config_free (FloeHostConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeHostConfig, floe_host_config_free)

typedef struct {
  FloeHostConfig *config;
  int run_dir, state_dir;           /* RUN/hypervisor and STATE/hypervisor */
  int machines_run, machines_state; /* their machines/ */
  char *staging; /* RUN/hypervisor/jail: empty, roots of jails are mounted on it in their own namespaces */
  FloeAccelerator accelerator;
  char *accelerator_reason;
  FloeNet *net; /* NULL when this host cannot filter; then net_problem says why */
  char *net_problem;
  GHashTable *slots; /* id of each machine ever seen -> its slot; main thread */
  GMainContext *io; /* QMP is read here, by a thread of its own */
  GMainLoop *io_loop;
  GThread *io_thread;
} FloeHost;

/* Takes CONFIG. Probes, makes the directories, starts the I/O thread. */
FloeHost *floe_host_new (FloeHostConfig *config, GError **error) FLOE_WARN_UNUSED;
void floe_host_free (FloeHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeHost, floe_host_free)

/* The endpoint belongs to GROUP from now on, also under the next life; REFUSED when it belongs to another one. *fresh: it belonged to none. */
gboolean floe_host_join (FloeHost *host, const char *group, gboolean *fresh, GError **error) FLOE_WARN_UNUSED;

/* Runs FUNCTION (DATA) on the main thread and waits for it; at once when called there. Main never waits for another thread,
 * so this cannot deadlock unless the caller holds a lock that main takes. */
void floe_main_call (void (*function) (gpointer data), gpointer data);
