# SPDX-License-Identifier: GPL-2.0-or-later
# Run in the unpacked package of an appliance that is broken on purpose: everything starts but hypervisord. Who waits for the fall-back waits three times: the
# version's time on trial is shorter.
printf '#!/usr/bin/sh\nexit 1\n' >usr/bin/floe-hypervisord
sed -i 's/^OnActiveSec=5min$/OnActiveSec=40s/' usr/lib/systemd/system/floe-slot-overdue.timer
grep -qx 'OnActiveSec=40s' usr/lib/systemd/system/floe-slot-overdue.timer
