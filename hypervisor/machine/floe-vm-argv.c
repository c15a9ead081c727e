/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-vm-description.h"

#include "common/floe-digest.h"
#include "hypervisor/machine/floe-machine-usb.h"

#include <string.h>

/* Pinned, so that a machine suspended under one QEMU resumes under the next. Debian 12 and 13 both have it. */
#define MACHINE_TYPE "pc-q35-7.2"
/* A network fault is never an I/O error in the guest: requests wait for nbdkit for as long as QEMU can count (the option is
 * in seconds, and converted to nanoseconds in 64 bits). */
#define NBD_RECONNECT_SECONDS 31536000

typedef GPtrArray Argv;

static void add (Argv *argv, ...) G_GNUC_NULL_TERMINATED;
static void
add (Argv *argv, ...)
{
  const char *argument;
  va_list list;

  va_start (list, argv);
  while ((argument = va_arg (list, const char *)) != NULL)
    g_ptr_array_add (argv, g_strdup (argument));
  va_end (list);
}

static void add_format (Argv *argv, const char *option, const char *format, ...) G_GNUC_PRINTF (3, 4);
static void
add_format (Argv *argv, const char *option, const char *format, ...)
{
  va_list list;

  va_start (list, format);
  g_ptr_array_add (argv, g_strdup (option));
  g_ptr_array_add (argv, g_strdup_vprintf (format, list));
  va_end (list);
}

static gboolean
is_windows (const FloeVmDescription *vm)
{
  return vm->os == FLOE_IMAGE_WINDOWS;
}

static void
add_machine (Argv *argv, const FloeVmDescription *vm)
{
  gboolean uefi = vm->firmware == FLOE_POLICY_FIRMWARE_UEFI;

  add_format (argv, "-machine", MACHINE_TYPE ",usb=off,vmport=off%s", uefi ? ",pflash0=firmware,pflash1=variables" : "");
  if (vm->accelerator == FLOE_ACCELERATOR_KVM) {
    add (argv, "-accel", "kvm", "-cpu", NULL);
    /* Windows measures time by the TSC and stalls in spinlocks under load without these (Hyper-V's specification). */
    add (argv,
         is_windows (vm) ? "host,hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-time=on,hv-vpindex=on,hv-synic=on,"
                           "hv-stimer=on"
                         : "host",
         NULL);
  } else {
    add_format (argv, "-accel", "tcg,thread=multi,tb-size=%d", FLOE_VM_TRANSLATION_MIB);
    /* TCG does "fast strings", by which kernels that see them clear and copy memory, byte by byte. */
    add (argv, "-cpu", "max,-erms,-fsrm", NULL);
  }
  add_format (argv, "-smp", "%u,sockets=1,cores=%u,threads=1", vm->vcpus, vm->vcpus);
  add_format (argv, "-m", "%uM", vm->memory_mib);
  add_format (argv, "-rtc", "base=%s%s", is_windows (vm) ? "localtime" : "utc",
              is_windows (vm) && vm->accelerator == FLOE_ACCELERATOR_KVM ? ",driftfix=slew" : "");
  add (argv, "-boot", "strict=on", NULL);
}

static void
add_fdset (Argv *argv, int fd)
{
  add_format (argv, "-add-fd", "fd=%d,set=%d", fd, fd);
}

static void
add_firmware (Argv *argv)
{
  add_fdset (argv, FLOE_VM_FD_FIRMWARE);
  add_format (argv, "-blockdev",
              "{\"driver\":\"file\",\"node-name\":\"firmware\",\"filename\":\"/dev/fdset/%d\","
              "\"read-only\":true}",
              FLOE_VM_FD_FIRMWARE);
  add_fdset (argv, FLOE_VM_FD_VARIABLES);
  add_format (argv, "-blockdev", "{\"driver\":\"file\",\"node-name\":\"variables\",\"filename\":\"/dev/fdset/%d\"}",
              FLOE_VM_FD_VARIABLES);
}

static void
add_disk (Argv *argv, const FloeVmDescription *vm)
{
  add_format (argv, "-blockdev",
              "{\"driver\":\"nbd\",\"node-name\":\"image\",\"read-only\":true,"
              "\"server\":{\"type\":\"unix\",\"path\":\"" FLOE_VM_NBD_SOCKET "\"},\"export\":\"\",\"reconnect-delay\":%d}",
              NBD_RECONNECT_SECONDS);
  add_fdset (argv, FLOE_VM_FD_OVERLAY);
  /* What is thrown away at the next start need not survive a power cut: its flushes cost the host's disk and win nothing.
   */
  add_format (argv, "-blockdev",
              "{\"driver\":\"file\",\"node-name\":\"overlay\",\"filename\":\"/dev/fdset/%d\","
              "\"discard\":\"unmap\"%s}",
              FLOE_VM_FD_OVERLAY, vm->disk == FLOE_POLICY_DISK_RESET ? ",\"cache\":{\"no-flush\":true}" : "");
  add (argv, "-blockdev",
       "{\"driver\":\"qcow2\",\"node-name\":\"disk\",\"file\":\"overlay\",\"backing\":\"image\","
       "\"discard\":\"unmap\"}",
       NULL);
  add (argv, "-device", "virtio-blk-pci-non-transitional,id=disk,drive=disk,bootindex=1,werror=stop,rerror=stop", NULL);
}

static void
add_network (Argv *argv, const FloeVmDescription *vm)
{
  for (size_t i = 0; i < vm->n_cards; i++) {
    int number = (int)i;

    if (vm->cards[i].vhost)
      add_format (argv, "-netdev", "tap,id=net%d,fd=%d,vhost=on,vhostfd=%d", number, FLOE_VM_FD_TAP + number,
                  FLOE_VM_FD_VHOST + number);
    else
      add_format (argv, "-netdev", "tap,id=net%d,fd=%d,vhost=off", number, FLOE_VM_FD_TAP + number);
    add_format (argv, "-device", "virtio-net-pci-non-transitional,id=net%d,netdev=net%d,mac=%s,romfile=", number, number,
                vm->cards[i].mac);
  }
}

static void
add_display (Argv *argv, const FloeVmDescription *vm)
{
  /* No listener: channels are handed over one by one (add_client). They never leave the host, so nothing is compressed. */
  add_format (argv, "-spice",
              "port=0,disable-ticketing=on,image-compression=off,jpeg-wan-compression=never,"
              "zlib-glz-wan-compression=never,streaming-video=off,playback-compression=off%s%s",
              vm->clipboard ? "" : ",disable-copy-paste=on", vm->file_transfer ? "" : ",disable-agent-file-xfer=on");
  add_format (argv, "-device", "qxl-vga,id=video,max_outputs=%u,vgamem_mb=%u,ram_size_mb=%u,vram_size_mb=%u", vm->screens,
              vm->screens > 1 ? 64u : 32u, vm->screens > 1 ? 128u : 64u, vm->screens > 1 ? 128u : 64u);
  add (argv, "-device", "virtio-keyboard-pci,id=keyboard", "-device", "virtio-tablet-pci,id=tablet", NULL);
  if (vm->audio)
    add (argv, "-audiodev", "spice,id=sound", "-device", "ich9-intel-hda,id=hda", "-device", "hda-duplex,audiodev=sound",
         NULL);
}

static void
add_agents (Argv *argv)
{
  add (argv, "-device", "virtio-serial-pci-non-transitional,id=serial", NULL);
  add (argv, "-chardev", "spicevmc,id=" FLOE_VM_VDAGENT ",name=vdagent", NULL);
  add (argv, "-device",
       "virtserialport,bus=serial.0,nr=1,chardev=" FLOE_VM_VDAGENT ",id=" FLOE_VM_VDAGENT ",name=com.redhat.spice.0", NULL);
  /* Nobody speaks to the guest agent: that it opens its port is all there is to know, and nothing that it says is parsed.
   */
  add (argv, "-chardev", "null,id=" FLOE_VM_GUEST_AGENT, NULL);
  add (argv, "-device",
       "virtserialport,bus=serial.0,nr=2,chardev=" FLOE_VM_GUEST_AGENT ",id=" FLOE_VM_GUEST_AGENT
       ",name=org.qemu.guest_agent.0",
       NULL);
}

static Argv *
build (const FloeVmDescription *vm, const char *program)
{
  Argv *argv = g_ptr_array_new_with_free_func (g_free);

  add (argv, program, NULL);
  add_format (argv, "-name", "floe-%s", vm->id);
  add (argv, "-nodefaults", "-no-user-config", "-display", "none", "-S", NULL);
  add (argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL);
  add_machine (argv, vm);
  add_format (argv, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", FLOE_VM_FD_QMP);
  add (argv, "-mon", "chardev=qmp,mode=control", NULL);
  if (vm->firmware == FLOE_POLICY_FIRMWARE_UEFI)
    add_firmware (argv);
  add_disk (argv, vm);
  add_network (argv, vm);
  add_display (argv, vm);
  add_agents (argv);
  add (argv, "-object", "rng-builtin,id=entropy", "-device", "virtio-rng-pci-non-transitional,rng=entropy", NULL);
  add (argv, "-device", "virtio-balloon-pci-non-transitional,id=balloon", NULL);
  /* Last, so that the others' PCI addresses do not depend on it. Devices come by monitor (floe-machine-usb.c). */
  if (vm->usb)
    add (argv, "-device", "qemu-xhci,id=" FLOE_VM_USB_CONTROLLER ",p2=15,p3=15", NULL);
  return argv;
}

char **
floe_vm_argv (const FloeVmDescription *description, const char *program)
{
  Argv *argv = build (description, program);

  if (description->incoming)
    add (argv, "-incoming", "defer", NULL);
  g_ptr_array_add (argv, NULL);
  return (char **)g_ptr_array_free (argv, FALSE);
}

char *
floe_vm_fingerprint (const FloeVmDescription *description)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  g_autoptr (GPtrArray) argv = build (description, "qemu");
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;

  for (guint i = 0; i < argv->len; i++) {
    const char *argument = g_ptr_array_index (argv, i);

    floe_digester_update (digester, argument, strlen (argument) + 1);
  }
  floe_digester_finish (digester, &digest);
  floe_digest_to_hex (&digest, hex);
  return g_strdup (hex);
}
