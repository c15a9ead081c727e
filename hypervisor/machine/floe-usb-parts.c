/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dlfcn.h>
#include <libusb.h>

/* Loaded into a QEMU that may get USB devices (LD_PRELOAD in its jail). QEMU's usb-host claims every interface of a device's
 * configuration, and stalls the guest's SET_CONFIGURATION when one of them is refused: so a device of which a machine is given some
 * interfaces could not be used at all. Here, a claim that the kernel refuses for an interface that is there is called done.
 *
 * Nothing is opened by that. What may be used was settled on the descriptor before QEMU got it (USBDEVFS_DROP_PRIVILEGES, and the
 * interface's own authorisation): the kernel refuses every transfer to an interface that is not claimed, whatever QEMU believes. */

typedef int (*Claim) (libusb_device_handle *handle, int interface);

/* Of the configuration that is set. */
static int
is_there (libusb_device_handle *handle, int interface)
{
  struct libusb_config_descriptor *configuration;
  int there = 0;

  if (libusb_get_active_config_descriptor (libusb_get_device (handle), &configuration) != 0)
    return 0;
  for (int i = 0; i < configuration->bNumInterfaces; i++)
    if (configuration->interface[i].num_altsetting > 0
        && configuration->interface[i].altsetting[0].bInterfaceNumber == interface)
      there = 1;
  libusb_free_config_descriptor (configuration);
  return there;
}

int
libusb_claim_interface (libusb_device_handle *handle, int interface)
{
  Claim claim = (Claim)dlsym (RTLD_NEXT, "libusb_claim_interface");
  int status = claim != NULL ? claim (handle, interface) : LIBUSB_ERROR_NOT_SUPPORTED;

  /* libusb's words for EACCES. */
  if ((status == LIBUSB_ERROR_OTHER || status == LIBUSB_ERROR_ACCESS) && is_there (handle, interface))
    return LIBUSB_SUCCESS;
  return status;
}
