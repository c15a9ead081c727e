# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after base.sh, inside the sandbox: a management server with its network, and a whole endpoint, by the programs and files that an
# installation has, on addresses that exist only here. quickstart and the main-job test drive the same functions.
#
#   outside (network namespace)                         this namespace: the endpoint
#   192.0.2.1 floe-server :8443   ──── veth "uplink" ──── 192.0.2.2, taps, hypervisord
#   198.51.100.10 "intranet", 203.0.113.20 "web"        guests leave through NAT
#
# Everything that arrives outside is counted there by address, protocol and port: what the filter let out, seen from the other side.

AGENT_UID=64901 CONSOLE_UID=64902 SERVER_UID=64903

# The users that packages would have made, for this mount namespace only; and the programs where those users can reach them, though the
# checkout may lie in somebody's closed home.
endpoint_users() {
  local file
  for file in passwd group; do
    cp /etc/$file /run/etc-$file
    chmod 644 /run/etc-$file
  done
  printf 'floe-agent:x:%s:%s:Floe agent:/nonexistent:/usr/sbin/nologin\nfloe-console:x:%s:%s:Floe console:/run/console-home:/usr/sbin/nologin\n' \
    $AGENT_UID $AGENT_UID $CONSOLE_UID $CONSOLE_UID >>/run/etc-passwd
  printf 'floe-server:x:%s:%s:Floe server:/nonexistent:/usr/sbin/nologin\n' $SERVER_UID $SERVER_UID >>/run/etc-passwd
  printf 'floe-agent:x:%s:\nfloe-console:x:%s:\nfloe-server:x:%s:\n' $AGENT_UID $CONSOLE_UID $SERVER_UID >>/run/etc-group
  for file in passwd group; do mount --bind /run/etc-$file /etc/$file; done
  install -d -m 700 -o $CONSOLE_UID -g $CONSOLE_UID /run/console-home
  mkdir /run/programs
  mount --bind "$BUILD" /run/programs
  mount -o remount,ro,bind /run/programs
  PATH=/run/programs/bin:$PATH
}
# Words that run a command as an unprivileged user; before a command, never a function, so that a background job's pid is the command's.
as_agent=(setpriv --reuid=$AGENT_UID --regid=$AGENT_UID --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs --)
as_console=(setpriv --reuid=$CONSOLE_UID --regid=$CONSOLE_UID --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs --)
outside() { ip netns exec outside "$@"; }

endpoint_world() {
  ip netns add outside
  ip link add uplink type veth peer name uplink netns outside
  ip address add 192.0.2.2/24 dev uplink
  ip link set uplink up
  outside ip link set lo up
  outside ip address add 192.0.2.1/24 dev uplink
  outside ip link set uplink up
  outside ip address add 198.51.100.10/32 dev lo
  outside ip address add 203.0.113.20/32 dev lo
  ip route add default via 192.0.2.1
  outside_services
}
# What is outside: counters of first packets that arrive by "uplink", and somebody who answers at the addresses that guests try.
outside_services() {
  outside nft -f - <<'NFT'
table inet arrived {
  set flows { type ipv4_addr . inet_proto . inet_service; flags dynamic; counter; size 65535; }
  set pings { type ipv4_addr; flags dynamic; counter; size 65535; }
  chain arrived {
    type filter hook input priority 0; policy accept;
    iifname != "uplink" accept
    ip daddr 192.0.2.1 accept
    ct state != new accept
    meta l4proto { tcp, udp } add @flows { ip daddr . meta l4proto . th dport counter }
    icmp type echo-request add @pings { ip daddr counter }
  }
}
NFT
  local where
  cat >/run/answer <<'SH'
#!/bin/sh
echo "$SOCAT_SOCKADDR $SOCAT_SOCKPORT" >>/run/answered
printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nfloe\n'
SH
  chmod 755 /run/answer
  for where in 198.51.100.10:80 198.51.100.10:8000 198.51.100.10:22 203.0.113.20:80 203.0.113.20:443; do
    outside socat -t 1 "TCP-LISTEN:${where#*:},bind=${where%:*},fork,reuseaddr,max-children=16" EXEC:/run/answer >/dev/null 2>&1 &
  done
}
# answered ADDRESS PORT: whether a connection was made to it, there and back.
answered() { grep -qxF "$1 $2" /run/answered; }
# "tcp 198.51.100.10 80 packets 3", one a line, for every destination that saw a first packet.
arrivals() {
  outside nft -j list table inet arrived | jq -r '.nftables[] | .set? | select(. != null) | .name as $set | .elem[]?.elem |
    if $set == "flows" then "\(.val.concat[1]) \(.val.concat[0]) \(.val.concat[2]) packets \(.counter.packets)"
    else "ping \(.val) - packets \(.counter.packets)" end' | sort
}

# published_desktop: the demo desktop, built and published once; sets PUBLISHED to a directory with data/repo, keys/ and passphrase, which is
# only read: what a run changes lies in an overlay over it. Needs the archive's network when the desktop is not cached.
published_desktop() {
  local image=$FLOE_CACHE/demo-desktop.raw key
  key=$({
    cat "$SOURCE"/image-builder/{build-desktop,archives}.sh "$SOURCE"/server-sync/image/*.[ch] "$SOURCE"/policy/signing/*.[ch] \
      "$SOURCE"/image-builder/*.c "$SOURCE"/packaging/lib/endpoint.sh
    (cd "$SOURCE/image-builder/demo" && find . -type f -exec sha256sum {} + | sort)
  } | sha256sum | cut -c1-16)
  PUBLISHED=$FLOE_CACHE/published-$key
  export PUBLISHED
  exec 7>"$PUBLISHED.lock"
  flock 7
  if [ ! -d "$PUBLISHED" ]; then
    rm -rf "$PUBLISHED".part
    mkdir -p "$PUBLISHED.part/data/repo"
    "$BUILD/bin/floe-image" build-desktop --add "$SOURCE/image-builder/demo" "$image"
    publish_into "$PUBLISHED.part" "$image"
    rm -f "$image"
    mv "$PUBLISHED.part" "$PUBLISHED"
  fi
  exec 7>&-
}
publish_into() {
  local place=$1 image=$2
  (umask 077; head -c 24 /dev/urandom | base64 >"$place/passphrase")
  floe-policy init --repo "$place/data/repo" --keys "$place/keys" --passphrase-file "$place/passphrase"
  floe-image publish --repo "$place/data/repo" --keys "$place/keys" --passphrase-file "$place/passphrase" \
    --name desktop --channel stable "$image" | tee "$place/publish.txt"
}

# server_data: DATA for this run, over the published one; fresh signatures and this run's policy ($1).
server_data() {
  mkdir -p /run/server-overlay "$WORK/data"
  mount -t tmpfs -o mode=755,size=1g tmpfs /run/server-overlay
  mkdir /run/server-overlay/upper /run/server-overlay/work
  mount -t overlay -o "lowerdir=$PUBLISHED,upperdir=/run/server-overlay/upper,workdir=/run/server-overlay/work" overlay "$WORK/data"
  DATA=$WORK/data/data KEYS=$WORK/data/keys PASSPHRASE=$WORK/data/passphrase
  floe-policy refresh --repo "$DATA/repo" --keys "$KEYS" --passphrase-file "$PASSPHRASE"
  publish_policy "$1"
}
publish_policy() { floe-policy publish-policy --repo "$DATA/repo" --keys "$KEYS" --passphrase-file "$PASSPHRASE" "$1"; }

server_start() {
  # No function and no subshell in between: the pid must be the server's.
  ip netns exec outside floe-server --data "$DATA" --listen 192.0.2.1:8443 --user floe-server >>"$LOGS/server.log" 2>&1 &
  SERVER_PID=$!
  wait_for 30 'floe-server to listen' outside bash -c 'exec 3<>/dev/tcp/192.0.2.1/8443'
}

# endpoint_bus [FILE...]: the system bus with the project's rules, and those in FILE.
endpoint_bus() {
  mkdir -p /run/dbus /run/polkit
  cp -a /usr/share/polkit-1 /run/polkit-share
  cp "$SOURCE"/hypervisor/*.policy /run/polkit-share/actions/
  mkdir -p /run/polkit-share/rules.d
  cp "$SOURCE"/hypervisor/*.rules /run/polkit-share/rules.d/
  mount --bind /run/polkit-share /usr/share/polkit-1
  cat >/run/dbus.conf <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <include>/usr/share/dbus-1/system.conf</include>
  <include>$SOURCE/hypervisor/org.floe.Hypervisor1.conf</include>
  <include>$SOURCE/agent/org.floe.Agent1.conf</include>
  <include>$SOURCE/appliance/org.floe.Install1.conf</include>
$([ $# = 0 ] || printf '  <include>%s</include>\n' "$@")
</busconfig>
XML
  dbus-daemon --config-file=/run/dbus.conf --nofork --nopidfile >>"$LOGS/dbus.log" 2>&1 &
  wait_for 10 'the bus' test -S /run/dbus/system_bus_socket
  $(command -v polkitd || echo /usr/lib/polkit-1/polkitd) --no-debug >>"$LOGS/polkit.log" 2>&1 &
  wait_for 20 polkit gdbus wait --system --timeout 1 org.freedesktop.PolicyKit1
}

# endpoint_config: /run/floe.conf; state on $WORK's disk, run files below /run.
endpoint_config() {
  local pin
  pin=$(floe-server --data "$DATA" --print-pin --user floe-server)
  STATE=/run/state
  mkdir -p "$WORK/state" $STATE
  mount --bind "$WORK/state" $STATE
  install -d -m 755 -o $AGENT_UID -g $AGENT_UID "$STATE/agent" "$STATE/spool" "$STATE/chunks"
  install -d -m 755 /run/floe
  install -d -m 755 -o $AGENT_UID -g $AGENT_UID /run/floe/agent
  install -m 644 "$DATA/repo/metadata/1.root.json" /run/floe/root.json
  CONFIG=/run/floe/floe.conf
  cat >$CONFIG <<TXT
[server]
url=https://192.0.2.1:8443
pin=$pin
[endpoint]
group=$1
[paths]
state=$STATE
run=/run/floe
root=/run/floe/root.json
[host]
uid_base=630000
usb=observe
[programs]
resolver=/run/programs/bin/floe-resolver
TXT
}

# supervise PIDFILE LOG COMMAND...: what a unit with Restart=always does: the command is started again when it ends; its pid is in PIDFILE.
supervise() {
  local pidfile=$1 log=$2; shift 2
  (
    while :; do
      "$@" >>"$log" 2>&1 </dev/null &
      echo $! >"$pidfile"
      wait $! || echo "supervise: ended with status $?" >>"$log"
      sleep 0.3
    done
  ) &
}
hypervisord_start() {
  supervise /run/hypervisord.pid "$LOGS/hypervisord.log" floe-hypervisord --config $CONFIG --plugin /run/programs/lib/nbdkit-floe-plugin.so
  wait_for 30 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
}
agent_start() { supervise /run/agent.pid "$LOGS/agent.log" "${as_agent[@]}" floe-agent --config $CONFIG; }
# endpoint_up GROUP: server, bus, hypervisord and agent, until a policy is in force. server_data comes before.
endpoint_up() {
  server_start
  endpoint_bus
  endpoint_config "$1"
  hypervisord_start
  agent_start
  wait_for 60 'a verified policy to be in force' policy_in_force
}
hypervisord_pid() { cat /run/hypervisord.pid; }
agent_pid() { cat /run/agent.pid; }

display_start() {
  SCREEN=${SCREEN:-1280x800}
  export DISPLAY=:77
  Xvfb $DISPLAY -screen 0 "${SCREEN}x24" -nolisten tcp -noreset >>"$LOGS/xvfb.log" 2>&1 &
  wait_for 20 Xvfb test -S /tmp/.X11-unix/X77
}
console_start() {
  "${as_console[@]}" env HOME=/run/console-home XDG_RUNTIME_DIR=/run/console-home NO_AT_BRIDGE=1 GTK_A11Y=none LANG="${FLOE_LANG:-C.UTF-8}" \
    DISPLAY="$DISPLAY" floe-console --config $CONFIG >>"$LOGS/console.log" 2>&1 &
  CONSOLE_PID=$!
}
screenshot() { import -window root "png24:$1"; }

machine_get() {
  gdbus call --system --dest org.floe.Hypervisor1 --object-path "/org/floe/Hypervisor1/machine/$1" \
    --method org.freedesktop.DBus.Properties.Get org.floe.Hypervisor1.Machine "$2" | sed -E "s/^\(<(uint64 |@[a-z{}]+ )?'?//; s/'?>,\)$//"
}
machine_is() { [ "$(machine_get "$1" State)" = "$2" ]; }
policy_in_force() {
  gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 \
    --method org.freedesktop.DBus.Properties.Get org.floe.Hypervisor1 PolicyVersion | quietly grep 'uint64 [1-9]'
}
# Resident memory of one process, MiB.
resident_mib() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
# Resident memory of processes together, MiB: what they would give back if all of them ended, and what they share with one another counted
# once. A file's pages are told apart by device, inode and offset; where two processes have different pages of one mapping resident,
# the larger count is taken. Sum of VmRSS, which counts every shared page again, is the second word.
together_mib() {
  local pid
  for pid in "$@"; do
    cat "/proc/$pid/smaps"
    echo
  done | awk '/^[0-9a-f]+-[0-9a-f]+ / { key = $5 == 0 ? "" : $4 " " $5 " " $3 }
    /^Rss:/ { rss = $2; sum += rss }
    /^Anonymous:/ { private += $2; shared = rss - $2; if (key == "") private += shared; else if (shared > most[key]) most[key] = shared }
    END { for (k in most) private += most[k]; printf "%.1f %.1f\n", private / 1024, sum / 1024 }'
}
