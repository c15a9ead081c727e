# SPDX-License-Identifier: GPL-2.0-or-later
# Run in the unpacked package of an appliance that is broken on purpose: everything starts but hypervisord.
printf '#!/usr/bin/sh\nexit 1\n' >usr/bin/floe-hypervisord
