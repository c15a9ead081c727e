/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/probe/floe-probe.h"

/* What the probe asks of the system, replaced by tests. In the child these run between fork and exit: system calls only. */
typedef struct {
  int (*open) (const char *path);
  /* ioctl(2), -1 and errno on failure. */
  int (*ioctl) (int fd, unsigned long request, void *argument);
  /* Shared memory of SIZE bytes, of FD or anonymous for -1; NULL on failure. */
  void *(*map) (int fd, size_t size);
} FloeKvmSystem;

extern const FloeKvmSystem floe_kvm_system;

/* What the child says by its exit status. */
typedef enum {
  FLOE_KVM_RIGHT,
  FLOE_KVM_NOT_OPENED,
  FLOE_KVM_VERSION,
  FLOE_KVM_NO_MACHINE,
  FLOE_KVM_NO_CPU,
  FLOE_KVM_NOT_RUN,
  FLOE_KVM_WRONG,
  FLOE_KVM_HUNG,    /* set by the parent */
  FLOE_KVM_CRASHED, /* set by the parent */
} FloeKvmResult;

/* Runs the test guest in this process. */
FloeKvmResult floe_kvm_test_guest (const FloeKvmSystem *system);
/* Runs it in a child, killed after DEADLINE_MS of CPU time, or when it gets none for many times as long. */
FloeKvmResult floe_kvm_test (const FloeKvmSystem *system, unsigned deadline_ms);
/* The decision, with CPUINFO as proc_cpuinfo(5) has it. */
FloeAccelerator floe_probe_decide (const FloeKvmSystem *system, const char *cpuinfo, unsigned deadline_ms, char **reason);
/* MemAvailable of MEMINFO (proc_meminfo(5)) in MiB, or 0. */
guint64 floe_probe_parse_meminfo (const char *meminfo);
