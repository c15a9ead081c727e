# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after packaging/lib/endpoint.sh: the desktop image as a guest that does what a test tells it. It is the image that the main job runs
# (kernel, systemd-networkd, systemd-resolved, apt), with two things changed: it stops at multi-user.target, since a desktop's minute of
# emulated CPU shows nothing about its network, and a unit asks 198.51.100.9:9000 for commands (tests/lib/guest-control.py). IPv6 is on.

GUEST_CONTROL=198.51.100.9

# published_guest: like published_desktop, for that image; sets PUBLISHED.
published_guest() {
  local image=$FLOE_CACHE/guest.$$.raw key
  key=$(cat "$SOURCE"/image-builder/{build-desktop,archives}.sh "$SOURCE"/server-sync/image/*.[ch] "$SOURCE"/policy/signing/*.[ch] \
    "$SOURCE"/image-builder/*.c <(declare -f make_controlled) | sha256sum | cut -c1-16)
  PUBLISHED=$FLOE_CACHE/guest-$key
  export PUBLISHED
  exec 7>"$PUBLISHED.lock"
  flock 7
  if [ ! -d "$PUBLISHED" ]; then
    rm -rf "$PUBLISHED".part
    mkdir -p "$PUBLISHED.part/data/repo"
    "$BUILD/bin/floe-image" build-desktop --add "$SOURCE/image-builder/demo" "$image"
    make_controlled "$image"
    PATH=$BUILD/bin:$PATH publish_into "$PUBLISHED.part" "$image"
    rm -f "$image"
    mv "$PUBLISHED.part" "$PUBLISHED"
  fi
  exec 7>&-
}

# make_controlled IMAGE: changes it as said above, without a mount: its second partition is ext4, its first one FAT.
make_controlled() {
  local image=$1 work start esp
  work=$(mktemp -d)
  start=$(sfdisk --json "$image" | jq '.partitiontable.partitions[] | select(.name == "floe-root") | .start * 512')
  esp=$(sfdisk --json "$image" | jq '.partitiontable.partitions[] | select(.name == "floe-efi") | .start * 512')
  cat >"$work/floe-guest" <<SH
#!/bin/bash
# Runs what the test says, and says what came of it.
while :; do
  me=\$(cat /sys/class/net/en*/address /sys/class/net/eth*/address 2>/dev/null | head -n 1 | tr -d :)
  [ -n "\$me" ] || { sleep 0.5; continue; }
  command=\$(curl --silent --fail --max-time 30 "http://$GUEST_CONTROL:9000/next/\$me") || { sleep 0.5; continue; }
  output=\$(timeout 100 bash -c "\$command" 2>&1 </dev/null); status=\$?
  until printf '%s\n' "\$output" | curl --silent --fail --max-time 10 --data-binary @- "http://$GUEST_CONTROL:9000/done/\$me/\$status"; do sleep 0.5; done
done
SH
  printf '[Unit]\nAfter=network.target\n[Service]\nExecStart=/bin/bash /usr/local/bin/floe-guest\nRestart=always\n' >"$work/floe-guest.service"
  printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=yes\nIPv6PrivacyExtensions=no\n' >"$work/floe.network"
  : >"$work/sources.list"
  chmod 644 "$work"/*
  debugfs -w -f - "$image?offset=$start" >"$work/log" 2>&1 <<TXT
write $work/floe-guest /usr/local/bin/floe-guest
write $work/floe-guest.service /etc/systemd/system/floe-guest.service
mkdir /etc/systemd/system/multi-user.target.wants
symlink /etc/systemd/system/multi-user.target.wants/floe-guest.service /etc/systemd/system/floe-guest.service
rm /etc/systemd/network/50-floe.network
write $work/floe.network /etc/systemd/network/50-floe.network
rm /etc/apt/sources.list
write $work/sources.list /etc/apt/sources.list
TXT
  debugfs -R 'stat /etc/systemd/system/multi-user.target.wants/floe-guest.service' "$image?offset=$start" 2>/dev/null | quietly grep 'Type: symlink' ||
    { cat "$work/log" >&2; die 'the guest cannot be given its unit'; }
  mcopy -n -i "$image@@$esp" ::/loader/entries/floe.conf "$work/entry"
  sed -i '/^options/s/$/ systemd.unit=multi-user.target/' "$work/entry"
  mcopy -o -i "$image@@$esp" "$work/entry" ::/loader/entries/floe.conf
  rm -rf "$work"
}

# guest_world: what guests talk to, in namespace outside (endpoint_world); $CONTROL is its directory.
guest_world() {
  local address
  CONTROL=$WORK/control
  mkdir -p "$CONTROL/files"
  for address in 9 20 21 30 53; do outside ip address add 198.51.100.$address/32 dev lo; done
  ip address add 2001:db8:51::1/64 dev uplink nodad
  outside ip address add 2001:db8:51::2/64 dev uplink nodad
  for address in 10 20 21; do outside ip address add 2001:db8:51::$address/128 dev lo nodad; done
  for address in 10 20 21; do ip route add 2001:db8:51::$address/128 via 2001:db8:51::2; done
  ip -6 route add default via 2001:db8:51::2
  outside python3 "$SOURCE/tests/lib/guest-control.py" "$CONTROL" >"$CONTROL/log" 2>&1 &
  wait_for 20 'the world to serve' grep -qx serving "$CONTROL/log"
  outside dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --listen-address=198.51.100.53 --bind-interfaces \
    --address=/repo.example.test/198.51.100.20 --address=/repo.example.test/2001:db8:51::20 --address=/inside.example.test/10.1.2.3 \
    --address=/other.example.test/198.51.100.21 --local=/test/ --pid-file= --log-queries --log-facility="$CONTROL/dns.log" 2>/dev/null &
}

# tell MAC COMMAND: runs COMMAND in the guest, prints its output, gives its status.
tell() {
  local me=${1//:/}; shift
  rm -f "$CONTROL/$me".{output,status}
  printf '%s\n' "$*" >"$CONTROL/$me.next"
  mv "$CONTROL/$me.next" "$CONTROL/$me.command"
  wait_for 150 "guest $me to answer '$*'" test -e "$CONTROL/$me.status"
  cat "$CONTROL/$me.output"
  return "$(cat "$CONTROL/$me.status")"
}
# tell_long MAC SECONDS COMMAND: the same for what may take longer than a command may.
tell_long() {
  local guest=$1 seconds=$2; shift 2
  tell "$guest" "rm -f /run/long.*; setsid bash -c $(printf %q "($*) >/run/long.output 2>&1 </dev/null; echo \$? >/run/long.part; mv /run/long.part /run/long.status") >/dev/null 2>&1 &" >/dev/null
  wait_for "$seconds" "guest $guest to be done with '$*'" tell "$guest" 'test -e /run/long.status'
  tell "$guest" 'cat /run/long.output'
  return "$(tell "$guest" 'cat /run/long.status')"
}
# guest_is_up MAC: it has asked for commands.
guest_is_up() { [ -e "$CONTROL/${1//:/}.seen" ]; }

# make_archive NAME: an apt repository with one package, in $CONTROL/files.
make_archive() {
  local name=$1 tree=$WORK/package file
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/$name"
  echo "from the repository" >"$tree/usr/share/$name/hello"
  printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.test>\nDescription: a package\n' "$name" >"$tree/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$tree" "$CONTROL/files/$name.deb" >/dev/null
  file=$CONTROL/files/$name.deb
  {
    dpkg-deb --field "$file"
    printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n' "$name" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
  } >"$CONTROL/files/Packages"
}
