# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh and packaging/lib/tree.sh, inside the sandbox: systemd as the first process of a tree, on this kernel, in a second or two.
# What is the machine's own is masked: modules, sysctls, udev, logins; there is no screen and no seat.

# systemd_inside SECONDS TREE EXCHANGE SCRIPT: runs SCRIPT (a path within the checkout) as a service, once systemd is up, with the checkout at /source
# and the directory EXCHANGE, its working directory, at /exchange. Its output comes to EXCHANGE/output, its status is ours.
systemd_inside() {
  local seconds=$1 tree=$2 exchange=$3 script=$4 place=/run/systemd-cgroup/floe-test-$$ pid status=1 end
  grep -qw cgroup2 /proc/filesystems || skip 'the kernel has no cgroup2'
  rm -f "$exchange/status"
  mkdir -p /run/systemd-cgroup
  mountpoint -q /run/systemd-cgroup || mount -t cgroup2 cgroup2 /run/systemd-cgroup || skip 'cgroup2 cannot be mounted here'
  mkdir "$place"
  bash -euc '
    echo $$ >"$1/cgroup.procs"
    exec unshare --cgroup --pid --mount --uts --ipc --fork --kill-child=KILL bash "$2" "${@:3}"
  ' bash "$place" "$SOURCE/tests/lib/systemd-start.sh" "$tree" "$exchange" "$SOURCE" "$script" >"$exchange/systemd.log" 2>&1 &
  pid=$!
  end=$((SECONDS + seconds * FLOE_PATIENCE))
  until [ -s "$exchange/status" ] || [ $SECONDS -ge $end ] || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
  if [ -s "$exchange/status" ]; then
    status=$(cat "$exchange/status")
  else
    say "systemd ended, or took longer than $((seconds * FLOE_PATIENCE)) seconds:"
    tail -n 20 "$exchange/systemd.log" >&2
  fi
  kill -KILL $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
  # Processes leave a moment after their first one.
  for _ in $(seq 50); do
    find "$place" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
  done
  return "$status"
}
