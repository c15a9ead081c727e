/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-cli.h"

/* Offline subcommands of floe-policy on documents (lint, compile, explain, schema); ended by a NULL name. */
extern const FloeCommand floe_document_commands[];
