#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# packages-inside.sh, for tests/host/packages.sh: runs in a layer over a tree that has what the packages depend on, with the packages in /build.
# Installs, looks, runs, removes, purges.
set -euo pipefail
. /source/packaging/lib/base.sh
die() { echo "FAILED: $*"; exit 1; }
packages=(floe-endpoint floe-server floe-tools)
export DEBIAN_FRONTEND=noninteractive

# The tree leaves documentation and languages out; here they are wanted. Whatever tries to start a service is a mistake.
install_all() { dpkg --path-include='/usr/share/*' -i /build/*.deb >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -i'; }; }
# All but what dpkg and ld.so keep for themselves, and this test.
everything() {
  find / -xdev \( -path /proc -o -path /dev -o -path /sys -o -path /source -o -path /build -o -path /test -o -path '/var/lib/dpkg' -o -path /var/log \
    -o -path /var/cache -o -path /tmp -o -path /run/dbus -o -path /run/polkit-1 -o -path /run/systemd \) -prune -o -printf '%y %m %u:%g %p\n' | LC_ALL=C sort -k4
}
mkdir /test
cd /test

everything >before
cp /etc/passwd /etc/group /test/
install_all
dpkg --audit | tee audit
[ ! -s audit ] || die 'dpkg finds packages in disorder'
dpkg --verify "${packages[@]}" >verify || true
[ ! -s verify ] || { cat verify; die 'files are not those of the packages'; }
everything >installed
diff before installed | sed -n 's/^> //p' >new || true
echo "files: $(grep -c '^[fl]' new)"

echo '-- Users, directories, owners'
for user in floe-agent:461 floe-console:462 floe-server:463; do
  entry=$(getent passwd "${user%:*}") || die "no user ${user%:*}"
  [ "$(cut -d: -f1,3,4,6,7 <<<"$entry")" = "$user:${user#*:}:/nonexistent:/usr/sbin/nologin" ] || die "user: $entry"
  awk -F: -v user="${user%:*}" '$1 == user && $2 !~ /^[!*]/ { exit 1 }' /etc/shadow || die "${user%:*} has a password"
done
diff <(cut -d: -f1 passwd) <(cut -d: -f1 /etc/passwd) | grep '^[<>]' | LC_ALL=C sort >users || true
[ "$(cat users)" = $'> floe-agent\n> floe-console\n> floe-server' ] || { cat users; die 'other users came or went'; }
cat >wanted <<'LIST'
d 755 floe-agent:floe-agent /run/floe/agent
d 755 root:root /etc/floe
d 755 root:root /run/floe
d 755 root:root /var/lib/floe
d 755 floe-agent:floe-agent /var/lib/floe/agent
d 755 floe-agent:floe-agent /var/lib/floe/chunks
d 755 floe-agent:floe-agent /var/lib/floe/spool
d 755 root:root /var/lib/floe/slot
d 755 root:root /var/lib/floe-server
d 700 floe-server:floe-server /var/lib/floe-server/enrol
d 700 floe-server:floe-server /var/lib/floe-server/tls
LIST
grep -E ' /(etc/floe|run/floe|var/lib/floe)' new | LC_ALL=C sort -k4 >got || true
diff <(LC_ALL=C sort -k4 wanted) got || die 'directories'
awk '$4 ~ "^/usr/" && !($3 == "root:root" && ($1 == "l" || $2 == "755" || $1 == "f" && $2 == "644")) { print; bad = 1 } END { exit bad }' new ||
  die 'owners and modes below /usr'
# Only what sysusers itself writes changes outside of what is the packages' own.
{ grep -vE ' /(usr/|etc/floe|run/floe|var/lib/floe)| /etc/(passwd|group|shadow|gshadow)-?$| /etc/\.(pwd|updated)' new || true; } | tee elsewhere
[ ! -s elsewhere ] || die 'something came elsewhere'
grep ' /etc/systemd' new && die 'installing enabled something'

echo '-- Programs'
programs=0
while read -r file; do
  [ -x "$file" ] && [ -f "$file" ] || case $file in *.so) ;; *) continue ;; esac
  if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
    ldd "$file" >libraries 2>&1 || grep -q 'not a dynamic executable' libraries || die "ldd $file"
    grep 'not found' libraries && die "$file: libraries"
  fi
  case $file in
    /usr/bin/*)
      timeout 20 "$file" --help >help 2>&1 </dev/null || { cat help; die "$file --help"; }
      [ -s help ] || die "$file --help says nothing"
      programs=$((programs + 1)) ;;
  esac
done < <(dpkg -L "${packages[@]}" | LC_ALL=C sort -u)
echo "programs: $programs"
[ $programs -ge 9 ] || die 'programs are missing'
nbdkit floe --dump-plugin >plugin || die 'nbdkit does not find the plugin'
grep -qx name=floe plugin
floe help >help
for name in image policy trust vm server; do grep -q "^  $name " help || die "floe help does not list $name"; done
grep -q fr_FR <(dpkg -L floe-endpoint) || die 'no French'

echo '-- Units'
mapfile -t units < <(dpkg -L "${packages[@]}" | grep '^/usr/lib/systemd/system/' | LC_ALL=C sort)
systemd-analyze verify --man=no "${units[@]}" >verify 2>&1 || { cat verify; die 'systemd-analyze verify'; }
grep floe verify && die 'systemd-analyze verify'
# By the systemd of the appliance: other releases weigh other things, and their numbers are others.
for unit in "${units[@]}"; do
  case $unit in *.service) ;; *) continue ;; esac
  exposure=$(systemd-analyze security --offline=true --no-pager "$unit" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
  recorded=$(awk -v unit="$(basename "$unit")" '$1 == unit { print $2 }' /source/packaging/system/exposure)
  [ -n "$exposure" ] && [ -n "$recorded" ] || die "$(basename "$unit"): exposure '$exposure', recorded '$recorded' in packaging/system/exposure"
  echo "figure: exposure_$(basename "$unit" .service | tr - _) = $exposure"
  awk -v now="$exposure" -v then="$recorded" 'BEGIN { exit !(now + 0 > then + 0) }' &&
    die "$(basename "$unit"): its exposure is $exposure, worse than the $recorded that packaging/system/exposure records"
  [ "$exposure" = "$recorded" ] || die "$(basename "$unit"): its exposure is $exposure, better than recorded: write it down in packaging/system/exposure"
done

echo '-- Bus and rights'
mkdir -p /run/dbus /etc/floe /test/repo
echo 'a long passphrase' >passphrase
floe policy init --repo repo --keys keys --passphrase-file passphrase >/dev/null
install -D -m 644 repo/metadata/1.root.json /usr/share/floe/root.json
printf '[server]\nurl=https://192.0.2.1:8443\npin=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n[endpoint]\ngroup=test\n[host]\nusb=observe\n' >/etc/floe/floe.conf
dbus-daemon --system --nofork --nopidfile >bus.log 2>&1 &
wait_for 20 'the bus' test -S /run/dbus/system_bus_socket
/usr/lib/polkit-1/polkitd --no-debug >polkit.log 2>&1 &
wait_for 30 polkit gdbus wait --system --timeout 1 org.freedesktop.PolicyKit1
floe-hypervisord >hypervisord.log 2>&1 &
wait_for 30 'floe-hypervisord, by the bus policy' gdbus wait --system --timeout 1 org.floe.Hypervisor1 || cat hypervisord.log
# may USER METHOD ARGUMENT...: what the caller is told.
may() {
  local user=$1 method=$2; shift 2
  setpriv --reuid="$user" --regid="$user" --clear-groups gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 \
    --method "org.floe.Hypervisor1.$method" "$@" 2>&1 || true
}
refused() { grep -qE 'org.floe.Error.Refused|AccessDenied'; }
may floe-agent SpoolChanged | tee said | refused && { cat said; die 'the agent may not feed'; }
may floe-console SpoolChanged | refused || die 'the console may feed'
may 65534 SpoolChanged | refused || die 'anybody may feed'
may floe-console SetSituation '' '' false | tee said | refused && { cat said; die 'the console may not speak for its person'; }
may floe-agent SetSituation '' '' false | refused || die 'the agent speaks for a person'
as_agent_named() { setpriv --reuid=floe-agent --regid=floe-agent --clear-groups gdbus call --system --dest org.freedesktop.DBus \
  --object-path /org/freedesktop/DBus --method org.freedesktop.DBus.RequestName org.floe.Hypervisor1 4 2>&1 || true; }
as_agent_named | refused || die 'somebody else may have the name'
kill -TERM %3
wait %3 || true
kill -TERM %2 %1
wait || true

echo '-- Again, removed, purged'
mkdir -p /var/lib/floe-server/repo /var/lib/floe/hypervisor/machines/a
touch /var/lib/floe-server/repo/of-somebody /var/lib/floe/hypervisor/machines/a/disk
install_all
[ -e /var/lib/floe/hypervisor/machines/a/disk ] && [ -e /etc/floe/floe.conf ] || die 'installing again lost something'
dpkg -r "${packages[@]}" >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -r'; }
[ -e /var/lib/floe/hypervisor/machines/a/disk ] && [ -e /etc/floe/floe.conf ] || die 'removing lost something'
[ ! -e /usr/bin/floe-hypervisord ] && [ ! -e /usr/lib/systemd/system/floe.target ] || die 'removing left programs'
dpkg -P "${packages[@]}" >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -P'; }
rm -f /usr/share/floe/root.json
rmdir /usr/share/floe 2>/dev/null || true
everything >purged
diff before purged | grep '^[<>]' | grep -vE ' /etc/(passwd|group|shadow|gshadow)-?$| /etc/\.(pwd|updated)' >left || true
cat >wanted <<'LIST'
> d 755 root:root /var/lib/floe-server
> d 755 root:root /var/lib/floe-server/repo
> f 644 root:root /var/lib/floe-server/repo/of-somebody
LIST
diff wanted left || die 'purging left or took something'
for user in floe-agent floe-console floe-server; do getent passwd $user >/dev/null || die "user $user went"; done
