/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

/* -- A machine -------------------------------------------------------------------------------------------------------- */

static void
explain_sharing (GString *text, const FloePolicyMachine *machine)
{
  g_string_append_printf (text, "screen: clipboard %s, file transfer %s, sound %s, %u screen%s\n",
                          floe_policy_share_name (machine->clipboard), floe_policy_share_name (machine->file_transfer),
                          machine->audio ? "on" : "off", machine->screens, machine->screens == 1 ? "" : "s");
}

char *
floe_policy_explain_machine (const FloePolicyContent *content, const FloePolicyMachine *machine)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *title = floe_policy_quoted (machine->title);

  g_string_append_printf (text, "machine %s: %s, bordered %s\n", machine->id, title, machine->colour);
  g_string_append_printf (text, "image: %s, channel %s\n", machine->image_name, machine->image_channel);
  g_string_append_printf (text, "hardware: %u vCPU%s, %u MiB, %s firmware\n", machine->vcpus, machine->vcpus == 1 ? "" : "s",
                          machine->memory_mib, machine->firmware == FLOE_POLICY_FIRMWARE_UEFI ? "UEFI" : "BIOS");
  g_string_append_printf (text, "disk: what it writes is %s\n",
                          machine->disk == FLOE_POLICY_DISK_RESET ? "thrown away at each start" : "kept on the endpoint");
  g_string_append_printf (text, "without KVM: %s\n", machine->emulation ? "runs emulated, with a warning" : "does not start");
  g_string_append_printf (text, "starts: %s\n", machine->autostart ? "with the endpoint" : "when asked");
  g_string_append_printf (text, "lease: does not start after %u day%s without a refreshed policy\n", content->lease_days,
                          content->lease_days == 1 ? "" : "s");
  if (content->update.idle_minutes > 0)
    g_string_append_printf (text, "update: suspended while the appliance restarts by itself, after %u minutes without input\n",
                            content->update.idle_minutes);
  else
    g_string_append (text, "update: suspended while the appliance restarts, when a person says so\n");
  explain_sharing (text, machine);
  floe_policy_explain_cards (machine, text);
  floe_policy_explain_usb_rules (content, machine, text);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* -- Notes ------------------------------------------------------------------------------------------------------------ */

char **
floe_policy_notes (const FloePolicyContent *content)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new ();

  floe_policy_usb_notes (content, notes);
  floe_policy_network_notes (content, notes);
  g_ptr_array_add (notes, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&notes), FALSE);
}
