/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-cli.h"

/* Subcommands of floe-policy that keep a repository: init, sign, rotate, refresh, status...; ended by a NULL name. */
extern const FloeCommand floe_signing_commands[];
