/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-descriptors.h"

#include <string.h>

enum {
  TYPE_DEVICE = 1,
  TYPE_CONFIGURATION = 2,
  TYPE_INTERFACE = 4,
  TYPE_ENDPOINT = 5,
  DEVICE_SIZE = 18,
  CONFIGURATION_SIZE = 9,
  INTERFACE_SIZE = 9,
  ENDPOINT_SIZE = 7,
};

/* What one configuration has shown, to compare with what it announces: a bit for each interface number and for each pair of
 * number and alternate setting. */
typedef struct {
  uint8_t numbers[256 / 8];
  uint8_t settings[256 * 256 / 8];
  unsigned n_numbers;
  int number; /* of the interface at hand, -1 before the first */
  int endpoints; /* that the setting at hand announces and has not shown yet; 0 before the first */
} Seen;

static uint16_t
le16 (const uint8_t *at)
{
  return (uint16_t)(at[0] | at[1] << 8);
}

/* Sets the bit; TRUE when it was set already. */
static gboolean
mark (uint8_t *bits, unsigned index)
{
  gboolean was = (bits[index / 8] >> (index % 8)) & 1;

  bits[index / 8] |= (uint8_t)(1 << (index % 8));
  return was;
}

/* AT has INTERFACE_SIZE bytes. NULL or the problem. */
static const char *
take_interface (const uint8_t *at, uint8_t configuration, Seen *seen, FloeUsbDescriptors *out)
{
  if (out->n_interfaces == FLOE_USB_INTERFACES_MAX)
    return "more than 256 interfaces and alternate settings";
  out->interfaces[out->n_interfaces++] = (FloePolicyUsbInterface){ .class_code = at[5],
                                                                   .subclass = at[6],
                                                                   .protocol = at[7],
                                                                   .configuration = configuration,
                                                                   .number = at[2],
                                                                   .alternate = at[3] };
  if (mark (seen->settings, at[2] * 256u + at[3]))
    return "two descriptors of one interface and alternate setting";
  if (!mark (seen->numbers, at[2]))
    seen->n_numbers++;
  else if (at[2] != seen->number)
    /* libusb, and with it QEMU, then reads another device than the kernel. */
    return "settings of one interface apart from one another";
  seen->number = at[2];
  return NULL;
}

/* One descriptor of a configuration, AT, whole. NULL or the problem. */
static const char *
take_descriptor (const uint8_t *at, uint8_t configuration, Seen *seen, FloeUsbDescriptors *out)
{
  switch (at[1]) {
  case TYPE_INTERFACE:
    if (at[0] < INTERFACE_SIZE)
      return "an interface descriptor that is too short";
    const char *counts = seen->endpoints != 0 ? "another number of endpoints than the interface announces" : NULL;
    const char *problem = take_interface (at, configuration, seen, out);
    seen->endpoints = at[4];
    return problem != NULL ? problem : counts;
  case TYPE_ENDPOINT:
    /* Who announces fewer than there are is found at the next interface or at the end. */
    seen->endpoints--;
    return at[0] < ENDPOINT_SIZE ? "an endpoint descriptor that is too short" : NULL;
  case TYPE_DEVICE:
  case TYPE_CONFIGURATION:
    return "a device or configuration descriptor inside a configuration";
  default:
    return NULL;
  }
}

/* SIZE bytes at DATA are one configuration by its own account. Goes on after an inconsistency, so that block rules see
 * every interface that is there; stops only where the next descriptor cannot be found. */
static const char *
take_configuration (const uint8_t *data, size_t size, FloeUsbDescriptors *out)
{
  const char *problem = NULL;
  Seen seen;

  memset (&seen, 0, sizeof seen);
  seen.number = -1;
  for (size_t at = data[0]; at < size; at += data[at]) {
    const char *found;

    if (size - at < 2 || data[at] < 2 || data[at] > size - at)
      return "a descriptor whose length is less than 2 or reaches beyond its configuration";
    found = take_descriptor (data + at, data[5], &seen, out);
    if (problem == NULL)
      problem = found;
  }
  if (problem == NULL && seen.endpoints != 0)
    problem = "another number of endpoints than the interface announces";
  if (problem == NULL && seen.n_numbers != data[4])
    problem = "another number of interfaces than the configuration announces";
  return problem;
}

static const char *
take_configurations (const uint8_t *data, size_t size, unsigned announced, FloeUsbDescriptors *out)
{
  const char *problem = NULL;
  unsigned n = 0;

  for (size_t at = 0; at < size; n++) {
    size_t total;
    const char *found;

    if (size - at < CONFIGURATION_SIZE || data[at] < CONFIGURATION_SIZE || data[at + 1] != TYPE_CONFIGURATION)
      return "bytes where a configuration descriptor was to be";
    total = le16 (data + at + 2);
    /* Where it ends nobody can say: what is there is looked at, as far as it goes. */
    if (total < data[at] || total > size - at) {
      (void)take_configuration (data + at, size - at, out);
      return "a configuration whose total length is less than its descriptor or more than there is";
    }
    found = take_configuration (data + at, total, out);
    if (problem == NULL)
      problem = found;
    at += total;
  }
  return problem == NULL && n != announced ? "another number of configurations than the device announces" : problem;
}

void
floe_usb_decode (const uint8_t *data, size_t size, FloeUsbDescriptors *out)
{
  memset (out, 0, sizeof *out);
  if (size < DEVICE_SIZE || data[0] != DEVICE_SIZE || data[1] != TYPE_DEVICE) {
    out->problem = "no device descriptor";
    return;
  }
  out->device_class = (FloePolicyUsbInterface){ .class_code = data[4], .subclass = data[5], .protocol = data[6] };
  out->vendor = le16 (data + 8);
  out->product = le16 (data + 10);
  if (size > FLOE_USB_DESCRIPTORS_MAX)
    out->problem = "more bytes than eight configurations can have";
  else if (data[17] == 0)
    out->problem = "no configuration";
  else
    out->problem = take_configurations (data + DEVICE_SIZE, size - DEVICE_SIZE, data[17], out);
}
