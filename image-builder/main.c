/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"
#include "image-builder/floe-image-commands.h"

int
main (int argc, char **argv)
{
  const FloeCommand commands[] = {
    floe_image_build_desktop_command, floe_image_build_filter_command, floe_image_build_appliance_command, floe_image_import_command,
    floe_image_publish_command,       floe_image_boot_list_command,    floe_image_verify_command,
    floe_image_cut_command,           floe_image_publish_appliance_command,
    { NULL, NULL, NULL, NULL },
  };

  floe_log_init ("floe-image");
  return floe_cli_run ("floe-image", "makes, imports and publishes images of desktops", commands, argc, argv);
}
