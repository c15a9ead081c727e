/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-rules.h"

/* Rule sets of every kind, for golden files and for the comparison of both renderings. NULL after the last; *NAME is its file's. */
FloeRuleset *net_case (unsigned index, const char **name);
