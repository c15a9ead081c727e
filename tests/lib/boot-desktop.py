#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""boot-desktop.py NBD-SOCKET SECONDS: boots the desktop behind an NBD socket in QEMU by hand, on the machine model that hypervisord uses, until
its session's SPICE agent opens its port; prints the seconds. Writes are thrown away (a snapshot in memory)."""
import json
import os
import socket
import subprocess
import sys
import time


def main():
    nbd, limit = sys.argv[1], float(sys.argv[2])
    firmware = '/usr/share/OVMF/OVMF_CODE_4M.fd'
    with open('/usr/share/OVMF/OVMF_VARS_4M.fd', 'rb') as source, open('vars.fd', 'wb') as copy:
        copy.write(source.read())
    ours, theirs = socket.socketpair()
    qemu = subprocess.Popen([
        'qemu-system-x86_64', '-M', 'q35', '-nodefaults', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '1024',
        '-drive', f'if=pflash,format=raw,readonly=on,file={firmware}', '-drive', 'if=pflash,format=raw,file=vars.fd',
        '-drive', f'if=none,id=disk,format=raw,file=nbd:unix:{nbd},snapshot=on', '-device', 'virtio-blk-pci,drive=disk,bootindex=0',
        '-device', 'qxl-vga', '-device', 'virtio-serial-pci', '-chardev', 'spicevmc,id=agent,name=vdagent',
        '-device', 'virtserialport,chardev=agent,name=com.redhat.spice.0,id=agent-port', '-device', 'virtio-rng-pci',
        '-spice', 'port=0,disable-ticketing=on,unix=on,addr=spice.sock', '-display', 'none', '-nic', 'none',
        '-chardev', f'socket,id=qmp,fd={theirs.fileno()}', '-mon', 'chardev=qmp,mode=control'], pass_fds=[theirs.fileno()])
    begun = time.monotonic()
    try:
        theirs.close()
        lines = ours.makefile('rw')
        lines.readline()
        lines.write(json.dumps({'execute': 'qmp_capabilities'}) + '\n')
        lines.flush()
        while time.monotonic() - begun < limit:
            ours.settimeout(max(0.1, limit - (time.monotonic() - begun)))
            event = json.loads(lines.readline())
            if event.get('event') == 'VSERPORT_CHANGE' and event['data'] == {'open': True, 'id': 'agent-port'}:
                print(f'{time.monotonic() - begun:.1f}')
                return 0
    except (TimeoutError, ValueError) as error:
        print(f'boot-desktop: {error}', file=sys.stderr)
    finally:
        qemu.kill()
        qemu.wait()
    return 1


if __name__ == '__main__':
    os.umask(0o077)
    sys.exit(main())
