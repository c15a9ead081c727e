/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The administrator's commands over the registry of a data directory: codes and endpoints. They work beside a server that runs. */

gboolean floe_server_is_command (const char *name);
/* Runs ARGV[1]; the process's exit status. */
int floe_server_command (int argc, char **argv);
