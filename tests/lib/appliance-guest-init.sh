#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of a small desktop in the test of the appliance: it says on its screen what it runs on and what it reaches, in the colour of its
# network, and to the endpoint, as a desktop's agent does, that it is up.
/bin/busybox --install -s /bin
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module 2>/dev/null; done
exec >/dev/tty0 2>/dev/null
hypervisor=$(dmesg | sed -n 's/.*Hypervisor detected: *//p')
colour=44
[ "$(cat /sys/class/net/eth0/address | tail -c 2)" = 1 ] || colour=42
printf '\033[%d;97;1m\033[2J\033[3;10HTEST DESKTOP\033[5;10Hhypervisor: %s\033[6;10Hcard: %s' $colour "${hypervisor:-none}" "$(cat /sys/class/net/eth0/address)"
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name)" != com.redhat.spice.0 ] || exec 3<>/dev/${port##*/}
done
ip link set eth0 up
cat >/lease <<'LEASE'
#!/bin/busybox sh
PATH=/bin
[ "$1" = bound ] || exit 0
ip addr replace "$ip/${mask:-24}" dev "$interface"
ip route replace default via "${router%% *}" dev "$interface"
LEASE
chmod 755 /lease
udhcpc -i eth0 -s /lease -t 20 -T 1 -q -S >/dev/null
row=8
for where in 198.51.100.10:80 203.0.113.20:80; do
  answer=no
  [ "$(wget -q -T 5 -O - http://$where/)" = floe ] && answer=yes
  printf '\033[%d;10H%s: %s' $row $where $answer
  row=$((row + 1))
done
while :; do sleep 3600; done
