/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb.h"

/* For tests, which have no signed policy: CONTENT is borrowed and outlives its being in force. */
void floe_usb_set_content (FloeUsb *usb, const FloePolicyContent *content);
