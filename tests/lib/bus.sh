# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests that need a system bus of their own.

# system_bus SECONDS LOG: starts it; everybody may do everything on it. Waits for it as long as that.
system_bus() {
  mkdir -p /run/dbus
  cat >/run/dbus.conf <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow send_type="method_call"/><allow send_type="method_return"/><allow send_type="error"/><allow send_type="signal"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
    <allow own="*"/>
  </policy>
</busconfig>
XML
  dbus-daemon --config-file=/run/dbus.conf --nofork --nopidfile >>"$2" 2>&1 &
  wait_for "$1" 'the bus' test -S /run/dbus/system_bus_socket
}
