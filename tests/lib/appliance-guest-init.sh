#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of a small desktop in the test of the appliance. It tells the endpoint, as a desktop's agent does, that it is up, tries what it may and
# what it may not reach, and says on its screen what it runs on and what answered: green when the intranet did and nothing else, blue when
# the web did and nothing else, red for anything else.
/bin/busybox --install -s /bin
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module 2>/dev/null; done
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
udhcpc -i eth0 -s /lease -t 20 -T 1 -q -S >/dev/null 2>&1
# Emulated within an emulated machine, an answer takes its time.
answer() { if [ "$(wget -q -T 40 -O - http://$1/ 2>/dev/null)" = floe ]; then echo yes; else echo no; fi; }
answer 198.51.100.10 >/intranet &
answer 203.0.113.20 >/web &
wait
intranet=$(cat /intranet) web=$(cat /web)
case $intranet$web in yesno) colour=42 ;; noyes) colour=44 ;; *) colour=41 ;; esac
hypervisor=$(dmesg | sed -n 's/.*Hypervisor detected: *//p')
# A cursor that blinks has all of the screen drawn again.
printf '\033[?25l\033[%d;97;1m\033[2J\033[3;10HTEST DESKTOP\033[5;10Hhypervisor: %s\033[7;10Hintranet: %s\033[8;10Hweb: %s' \
  $colour "${hypervisor:-none}" $intranet $web >/dev/tty0
while :; do sleep 3600; done
