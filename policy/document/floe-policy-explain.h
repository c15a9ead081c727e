/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/document/floe-policy.h"

/* Answers in words, for people, from the same verdict functions that enforcers call. Pure; the text is the caller's. */

/* What MACHINE gets, may reach and shares. */
char *floe_policy_explain_machine (const FloePolicyContent *content, const FloePolicyMachine *machine);
/* The verdict on the first line, then the rule that decided or, where that is short, why rules did not match; so for the card on NETWORK,
 * or for each of MACHINE's cards (NULL). */
char *floe_policy_explain_packet (const FloePolicyMachine *machine, const FloePolicyNetwork *network, const FloePolicyPacket *packet);
/* The verdict on the first line, then each rule that was looked at and why it did not match. */
char *floe_policy_explain_usb (const FloePolicyContent *content, const FloePolicyUsbDevice *device,
                               const FloePolicyUsbSituation *situation);

/* What is allowed in a document and still deserves a second look, one line each; empty when there is nothing. */
char **floe_policy_notes (const FloePolicyContent *content);
