/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/probe/floe-probe-internal.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

/* A KVM that lies in a chosen way. One process a case: the probe forks, and the fake lives in the child. */

typedef enum {
  WELL,
  ABSENT,
  OLD,
  NO_MACHINE,
  NO_CPU,
  NOT_RUN,
  WRONG_SUM,
  SILENT,  /* halts without having said anything */
  FOREVER, /* KVM_RUN never returns */
  BABBLES, /* exits again and again */
  CRASHES,
} Lie;

static Lie lie;
static unsigned runs;
static struct {
  struct kvm_run run;
  uint8_t data[8];
} shared;
static struct kvm_regs registers;
static uint8_t guest[4096];

static int
fake_open (const char *path)
{
  g_assert_cmpstr (path, ==, "/dev/kvm");
  if (lie == ABSENT) {
    errno = ENOENT;
    return -1;
  }
  return 1000;
}

static int
fake_run (void)
{
  switch (lie) {
  case NOT_RUN:
    shared.run.exit_reason = KVM_EXIT_FAIL_ENTRY;
    return 0;
  case FOREVER:
    for (;;)
      pause ();
  case BABBLES:
    shared.run.exit_reason = KVM_EXIT_INTR;
    return 0;
  case CRASHES:
    _exit (200);
  default:
    break;
  }
  if (runs++ > 0 || lie == SILENT) {
    shared.run.exit_reason = KVM_EXIT_HLT;
    return 0;
  }
  shared.run.exit_reason = KVM_EXIT_IO;
  shared.run.io.direction = KVM_EXIT_IO_OUT;
  shared.run.io.port = 0x3f8;
  shared.run.io.size = 1;
  shared.run.io.count = 1;
  shared.run.io.data_offset = offsetof (typeof (shared), data);
  shared.data[0] = (uint8_t)(registers.rax + registers.rbx + (lie == WRONG_SUM));
  return 0;
}

static int
fake_ioctl (int fd, unsigned long request, void *argument)
{
  (void)fd;
  switch (request) {
  case KVM_GET_API_VERSION:
    return lie == OLD ? 11 : 12;
  case KVM_CREATE_VM:
    return lie == NO_MACHINE ? -1 : 1001;
  case KVM_CREATE_VCPU:
    return lie == NO_CPU ? -1 : 1002;
  case KVM_GET_VCPU_MMAP_SIZE:
    return sizeof shared;
  case KVM_SET_REGS:
    registers = *(struct kvm_regs *)argument;
    return 0;
  case KVM_RUN:
    return fake_run ();
  default:
    return 0;
  }
}

static void *
fake_map (int fd, size_t size)
{
  g_assert_cmpuint (size, <=, MAX (sizeof shared, sizeof guest));
  return fd < 0 ? (void *)guest : (void *)&shared;
}

static const FloeKvmSystem fake = { fake_open, fake_ioctl, fake_map };
static const char with_svm[] = "processor\t: 0\nflags\t\t: fpu vme svm sse\nbugs\t: none\n";

static void
test_lies (void)
{
  static const struct {
    Lie lie;
    FloeKvmResult result;
  } cases[] = { { WELL, FLOE_KVM_RIGHT },      { ABSENT, FLOE_KVM_NOT_OPENED },
                { OLD, FLOE_KVM_VERSION },     { NO_MACHINE, FLOE_KVM_NO_MACHINE },
                { NO_CPU, FLOE_KVM_NO_CPU },   { NOT_RUN, FLOE_KVM_NOT_RUN },
                { WRONG_SUM, FLOE_KVM_WRONG }, { SILENT, FLOE_KVM_WRONG },
                { FOREVER, FLOE_KVM_HUNG },    { BABBLES, FLOE_KVM_WRONG },
                { CRASHES, FLOE_KVM_CRASHED } };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    lie = cases[i].lie;
    g_assert_cmpint (floe_kvm_test (&fake, 300), ==, cases[i].result);
  }
}

static void
test_decision (void)
{
  g_autofree char *good = NULL, *no_flag = NULL, *similar = NULL, *hung = NULL, *empty = NULL;

  lie = WELL;
  g_assert_cmpint (floe_probe_decide (&fake, with_svm, 300, &good), ==, FLOE_ACCELERATOR_KVM);
  g_assert_nonnull (strstr (good, "svm"));
  /* A KVM that answers well is not believed on a processor that cannot have one, nor is a flag that only looks like it. */
  g_assert_cmpint (floe_probe_decide (&fake, "flags\t: fpu sse\nmodel name\t: vmx\n", 300, &no_flag), ==,
                   FLOE_ACCELERATOR_TCG);
  g_assert_cmpint (floe_probe_decide (&fake, "x\nflags\t: vmx_ept svm_lock\n", 300, &similar), ==, FLOE_ACCELERATOR_TCG);
  g_assert_cmpint (floe_probe_decide (&fake, "", 300, &empty), ==, FLOE_ACCELERATOR_TCG);
  lie = FOREVER;
  g_assert_cmpint (floe_probe_decide (&fake, "flags: vmx", 300, &hung), ==, FLOE_ACCELERATOR_TCG);
  g_assert_nonnull (strstr (hung, "in time"));
}

/* Whatever this host's /dev/kvm is, there is an answer with a reason. */
static void
test_here (void)
{
  g_autofree char *reason = NULL;
  gint64 start = g_get_monotonic_time ();
  FloeAccelerator accelerator = floe_probe_accelerator (&reason);

  g_assert_nonnull (reason);
  g_test_message ("figure: probe_ms = %.1f ms", (double)(g_get_monotonic_time () - start) / 1000);
  g_test_message ("%s: %s", floe_accelerator_name (accelerator), reason);
  g_test_message ("the test guest itself: %d", (int)floe_kvm_test (&floe_kvm_system, 1000));
}

static void
test_memory (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (floe_probe_parse_meminfo ("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n"), ==, 2048);
  g_assert_cmpuint (floe_probe_parse_meminfo ("XMemAvailable: 2097152 kB\n"), ==, 0);
  g_assert_cmpuint (floe_probe_parse_meminfo ("MemAvailable: 12 MB\n"), ==, 0);
  g_assert_cmpuint (floe_probe_parse_meminfo ("MemAvailable: -12 kB\n"), ==, 0);
  g_assert_cmpuint (floe_probe_parse_meminfo ("MemAvailable:"), ==, 0);
  g_assert_cmpuint (floe_probe_memory_available_mib (), >, 0);
  g_assert_true (floe_probe_memory (1, &error));
  g_assert_false (floe_probe_memory (G_MAXUINT32, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NO_SPACE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/probe/lies", test_lies);
  g_test_add_func ("/probe/decision", test_decision);
  g_test_add_func ("/probe/here", test_here);
  g_test_add_func ("/probe/memory", test_memory);
  return g_test_run ();
}
