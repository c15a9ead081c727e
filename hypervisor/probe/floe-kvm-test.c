/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/probe/floe-probe-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The guest: two numbers added and the sum written to a port, in real mode (Documentation/virt/kvm/api.rst has the ioctls).
 * Runs in the probe's child only, which exits afterwards: nothing is unmapped or closed. */

#define GUEST_PAGE 0x1000
#define GUEST_SIZE 4096
#define GUEST_PORT 0x3f8
#define FIRST 25
#define SECOND 17
#define EXITS_MAX 16

static const uint8_t guest_code[] = {
  0xba,
  GUEST_PORT & 0xff,
  GUEST_PORT >> 8, /* mov dx, port */
  0x00,
  0xd8, /* add al, bl */
  0xee, /* out dx, al */
  0xf4, /* hlt */
};

static int
system_open (const char *path)
{
  return open (path, O_RDWR | O_CLOEXEC);
}

static int
system_ioctl (int fd, unsigned long request, void *argument)
{
  return ioctl (fd, request, argument);
}

static void *
system_map (int fd, size_t size)
{
  void *memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

  return memory == MAP_FAILED ? NULL : memory;
}

const FloeKvmSystem floe_kvm_system = { system_open, system_ioctl, system_map };

/* An argument that is a number, or none. */
static int
ask (const FloeKvmSystem *system, int fd, unsigned long request, unsigned long argument)
{
  return system->ioctl (fd, request, (void *)argument);
}

static gboolean
set_registers (const FloeKvmSystem *system, int cpu)
{
  struct kvm_sregs special;
  struct kvm_regs general;

  memset (&special, 0, sizeof special);
  memset (&general, 0, sizeof general);
  if (system->ioctl (cpu, KVM_GET_SREGS, &special) < 0)
    return FALSE;
  special.cs.base = 0;
  special.cs.selector = 0;
  general.rip = GUEST_PAGE;
  general.rax = FIRST;
  general.rbx = SECOND;
  general.rflags = 2; /* the bit that is always set */
  return system->ioctl (cpu, KVM_SET_SREGS, &special) >= 0 && system->ioctl (cpu, KVM_SET_REGS, &general) >= 0;
}

/* Runs until the guest halts: the port must have had the sum, once. */
static FloeKvmResult
run (const FloeKvmSystem *system, int cpu, const struct kvm_run *state)
{
  gboolean right = FALSE;

  for (unsigned i = 0; i < EXITS_MAX; i++) {
    const uint8_t *data;

    if (ask (system, cpu, KVM_RUN, 0) < 0) {
      if (errno == EINTR || errno == EAGAIN)
        continue;
      return FLOE_KVM_NOT_RUN;
    }
    switch (state->exit_reason) {
    case KVM_EXIT_HLT:
      return right ? FLOE_KVM_RIGHT : FLOE_KVM_WRONG;
    case KVM_EXIT_IO:
      data = (const uint8_t *)state + state->io.data_offset;
      if (right || state->io.direction != KVM_EXIT_IO_OUT || state->io.port != GUEST_PORT || state->io.size != 1
          || state->io.count != 1 || *data != FIRST + SECOND)
        return FLOE_KVM_WRONG;
      right = TRUE;
      break;
    case KVM_EXIT_INTR:
      break;
    default:
      return FLOE_KVM_NOT_RUN;
    }
  }
  return FLOE_KVM_WRONG;
}

FloeKvmResult
floe_kvm_test_guest (const FloeKvmSystem *system)
{
  struct kvm_userspace_memory_region region = { .guest_phys_addr = GUEST_PAGE, .memory_size = GUEST_SIZE };
  int kvm = system->open ("/dev/kvm"), machine, cpu, size;
  const struct kvm_run *state;
  uint8_t *memory;

  if (kvm < 0)
    return FLOE_KVM_NOT_OPENED;
  if (ask (system, kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
    return FLOE_KVM_VERSION;
  machine = ask (system, kvm, KVM_CREATE_VM, 0);
  memory = system->map (-1, GUEST_SIZE);
  if (machine < 0 || memory == NULL)
    return FLOE_KVM_NO_MACHINE;
  memcpy (memory, guest_code, sizeof guest_code);
  region.userspace_addr = (uintptr_t)memory;
  /* Real mode on Intel processors without "unrestricted guest" needs three pages outside the guest's memory. */
  if (ask (system, machine, KVM_SET_TSS_ADDR, 0xfffbd000) < 0
      || system->ioctl (machine, KVM_SET_USER_MEMORY_REGION, &region) < 0)
    return FLOE_KVM_NO_MACHINE;
  cpu = ask (system, machine, KVM_CREATE_VCPU, 0);
  size = ask (system, kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (cpu < 0 || size < (int)sizeof *state)
    return FLOE_KVM_NO_CPU;
  state = system->map (cpu, (size_t)size);
  if (state == NULL || !set_registers (system, cpu))
    return FLOE_KVM_NO_CPU;
  return run (system, cpu, state);
}
