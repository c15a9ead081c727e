# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by vm-init.sh, which is the machine's first process, when the command line has floe.systemd: hands over to systemd, with the script as a
# service of it. The root is written to by a layer in memory, so all of this is of this boot only.
cat >/etc/systemd/system/floe-test.service <<UNIT
[Unit]
After=basic.target dbus.socket
[Service]
Type=exec
Environment=SOURCE=/source BUILD=/build WORK=/exchange TMPDIR=/tmp HOME=/root LC_ALL=C.UTF-8 PATH=$PATH
WorkingDirectory=/exchange
ExecStart=/bin/bash -c 'bash -c "\$(cat /exchange/command)" >$output 2>&1 </dev/null; echo \$? >/exchange/status; sync; busybox poweroff -f'
UNIT
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf ../floe-test.service /etc/systemd/system/multi-user.target.wants/floe-test.service
ln -sf /usr/lib/systemd/system/multi-user.target /etc/systemd/system/default.target
# A login, the archive's timers, and waiting for a network are no part of what is tested; nor are the caches that a first start makes.
touch /etc/.updated /var/.updated
for unit in getty.target getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  systemd-networkd-wait-online.service systemd-firstboot.service \
  e2scrub_reap.service systemd-timesyncd.service systemd-hwdb-update.service ldconfig.service systemd-journal-catalog-update.service; do
  ln -sf /dev/null /etc/systemd/system/$unit
done
: >/etc/fstab
echo floe >/etc/hostname
cd /
exec /usr/lib/systemd/systemd
