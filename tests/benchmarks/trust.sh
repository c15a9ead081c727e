#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How long the TUF client takes: a refresh of a repository with 10,000 targets in 256 hashed bins, and the verification of a policy. In
# memory (/run is a tmpfs), so that it is the client and not the disk that is measured; on this machine's disk besides.
NAME=trust
. "$(dirname "$0")/../lib/host.sh"

"$BUILD/tests/trust-forge" "$WORK/bins" 10000 256
"$BUILD/tests/trust-forge" "$WORK/plain"
mkdir -p /run/states "$WORK/states"

# measure WHERE REPOSITORY TARGET: lines "first MS", "again MS", "target MS"
measure() { "$BUILD/tests/trust-time" "$WORK/$2" "$1/$2" 15 "$3"; }
of() { sed -n "s/^$1 //p" <<<"$2"; }

bins=$(measure /run/states bins files/4711)
disk=$(measure "$WORK/states" bins files/4711)
plain=$(measure /run/states plain policy/office.json)
figure trust_refresh_10000_ms "$(of first "$bins")" ms
figure trust_refresh_10000_again_ms "$(of again "$bins")" ms
figure trust_refresh_10000_disk_ms "$(of first "$disk")" ms
figure trust_target_in_10000_ms "$(of target "$bins")" ms
figure trust_policy_first_ms "$(of first "$plain")" ms
figure trust_policy_verify_ms "$(of target "$plain")" ms
