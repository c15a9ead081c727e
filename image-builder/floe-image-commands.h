/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-cli.h"

/* The subcommands of floe-image, each in a file of its own; main.c lists them. */
extern const FloeCommand floe_image_publish_command;
extern const FloeCommand floe_image_publish_appliance_command;
extern const FloeCommand floe_image_cut_command;
extern const FloeCommand floe_image_import_command;
extern const FloeCommand floe_image_boot_list_command;
extern const FloeCommand floe_image_verify_command;
extern const FloeCommand floe_image_build_desktop_command;
extern const FloeCommand floe_image_build_filter_command;
extern const FloeCommand floe_image_build_appliance_command;
