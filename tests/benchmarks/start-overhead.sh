#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a machine's start costs beyond its QEMU: from the D-Bus call until the guest may run, against the same QEMU command started by hand
# until its monitor has said "cont". Both by turns in one run; the
# least of each, which other work on the machine disturbs least.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 20 daemon.log >&2; }; exit $status' EXIT

ROUNDS=${ROUNDS:-9}
cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 512,
      "disk": "reset", "firmware": "bios", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": true, "screens": 1 } } ],
  "networks": { "lan": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["203.0.113.0/24"], "ports": ["80"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one"] }] }
JSON
start_bus
make_guest
make_repository
publish_policy test.json
make_config
spool
start_daemon

# The arguments that floe-hypervisord uses, from its own QEMU.
vm start one
tr '\0' '\n' <"/proc/$(stat_of one pid)/cmdline" >argv.txt
vm stop one --force

cat >measure.py <<'PY'
import fcntl, json, os, socket, struct, subprocess, sys, time

rounds, plugin, state = int(sys.argv[1]), sys.argv[2], sys.argv[3]
argv = [line for line in open('argv.txt').read().split('\n') if line]
nbd = os.path.abspath('nbd.sock')
argv = [arg.replace('/nbd/socket', nbd) for arg in argv]

def image(suffix):
    name = [n for n in os.listdir(state + '/hypervisor/images/tiny') if n.endswith(suffix)][0]
    return state + '/hypervisor/images/tiny/' + name

def by_hand():
    """The same QEMU with its disk served and its tap made beforehand: until cont has been answered."""
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=64k', 'hand.qcow2', '8M'], check=True)
    server = subprocess.Popen(['nbdkit', '-f', '-r', '-U', nbd, plugin, 'index=' + image('.caibx'), 'table=' + image('.table'),
                               'store=' + state + '/chunks'], stderr=subprocess.DEVNULL)
    while not os.path.exists(nbd):
        time.sleep(0.005)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('hand.qmp'); listener.listen(1)
    overlay = os.open('hand.qcow2', os.O_RDWR)
    tap = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH22x', b'hand0', 0x5002))
    handed = {3: listener.fileno(), 4: overlay, 7: tap}
    high = {n: fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for n, fd in handed.items()}
    script = ' '.join('%d<&%d %d<&-' % (n, fd, fd) for n, fd in high.items())
    before = time.monotonic()
    qemu = subprocess.Popen(['bash', '-c', 'exec "$@" ' + script, 'bash'] + argv, pass_fds=list(high.values()), stderr=subprocess.DEVNULL)
    client = socket.socket(socket.AF_UNIX); client.connect('hand.qmp')
    stream = client.makefile('r')
    stream.readline()
    for command in ('qmp_capabilities', 'cont'):
        client.sendall(json.dumps({'execute': command}).encode() + b'\n')
        while 'return' not in json.loads(stream.readline()):
            pass
    took = time.monotonic() - before
    qemu.kill(); qemu.wait(); server.kill(); server.wait()
    for fd in list(high.values()) + [overlay, tap]: os.close(fd)
    listener.close(); client.close()
    os.unlink('hand.qmp'); os.unlink(nbd)
    return took

class Daemon:
    """Start over D-Bus by gdbus's own process would count that process too: the call is spoken on the socket instead."""
    def __init__(self):
        self.bus = socket.socket(socket.AF_UNIX); self.bus.connect('/run/dbus/system_bus_socket')
        self.bus.sendall(b'\0AUTH EXTERNAL ' + b'0'.hex().encode() + b'\r\n')
        assert self.bus.recv(200).startswith(b'OK'); self.bus.sendall(b'BEGIN\r\n')
        self.serial = 0
        self.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello')
    def call(self, name, path, interface, member, argument=None):
        self.serial += 1
        def field(code, kind, value):
            return struct.pack('<BB1sB', code, 1, kind, 0) + struct.pack('<I', len(value)) + value + b'\0'
        fields = b''
        for code, kind, value in ((1, b'o', path), (2, b's', interface), (3, b's', member), (6, b's', name)):
            fields += b'\0' * (-len(fields) % 8) + field(code, kind, value.encode())
        body = b''
        if argument is not None:
            fields += b'\0' * (-len(fields) % 8) + struct.pack('<BB1sBB1sB', 8, 1, b'g', 0, 1, b's', 0)
            body = struct.pack('<I', len(argument)) + argument.encode() + b'\0'
        head = struct.pack('<BBBBIII', ord('l'), 1, 0, 1, len(body), self.serial, len(fields)) + fields
        self.bus.sendall(head + b'\0' * (-len(head) % 8) + body)
        while True:
            start = self.bus.recv(16, socket.MSG_WAITALL)
            _, kind, _, _, size, _, fields_size = struct.unpack('<BBBBIII', start)
            rest = self.bus.recv(fields_size + -(16 + fields_size) % 8 + size, socket.MSG_WAITALL) if fields_size + size else b''
            at = rest.find(b'\5\1u\0')
            if kind in (2, 3) and at >= 0 and struct.unpack('<I', rest[at + 4:at + 8])[0] == self.serial:
                if kind == 3:
                    sys.exit('%s failed: %r' % (member, rest))
                return

daemon = Daemon()
machine = ('org.floe.Hypervisor1', '/org/floe/Hypervisor1/machine/one', 'org.floe.Hypervisor1.Machine')
hand, ours = [], []
for _ in range(rounds):
    hand.append(by_hand())
    before = time.monotonic()
    daemon.call(*machine, 'Start')
    ours.append(time.monotonic() - before)
    daemon.call(*machine, 'Stop', 'force')
print('figure: start_by_hand_ms = %.0f ms' % (min(hand) * 1000))
print('figure: start_by_dbus_ms = %.0f ms' % (min(ours) * 1000))
overhead = (min(ours) - min(hand)) * 1000
print('figure: start_overhead_ms = %.0f ms' % overhead)
sys.exit(0 if overhead < 100 else 'a start costs %.0f ms more than its QEMU, under 100 wanted' % overhead)
PY
python3 measure.py "$ROUNDS" "$BUILD/lib/nbdkit-floe-plugin.so" "$STATE"
