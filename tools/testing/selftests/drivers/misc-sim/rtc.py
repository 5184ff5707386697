#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Play a real-time clock on a peer. The arguments are the peer and the time since 1970."""
import calendar
import errno
import os
import select
import struct
import sys
import time

RECORD = struct.Struct("=IIQQQiIII")  # type, length, id, file, arg, value, flags, cmd, pid
DATA, IOCTL, REPLY, FLUSH, LISTEN = 3, 4, 5, 7, 8
UIE_ON, UIE_OFF, RD_TIME, SET_TIME = (ord("p") << 8 | nr for nr in (3, 4, 9, 10))

def send(kind, data=b"", ident=0, arg=0, value=0):
    os.write(peer, RECORD.pack(kind, len(data), ident, 0, arg, value, 0, 0, 0) + data)

peer, offset, updates = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2]) - time.time(), False
send(LISTEN, arg=ord("p"))
print("ready", flush=True)
while True:
    now = time.time() + offset
    if not select.select([peer], [], [], 1 - now % 1 if updates else None)[0]:
        send(DATA, struct.pack("@L", 0x190))  # one update interrupt
        continue
    got, value, data = os.read(peer, RECORD.size + 16383), 0, b""
    kind, _, ident, _, _, _, _, cmd, _ = RECORD.unpack(got[:RECORD.size])
    if cmd & 0xffff == RD_TIME:
        year, mon, day, hour, mins, sec, wday, yday, _ = time.gmtime(time.time() + offset)
        data = struct.pack("@9i", sec, mins, hour, day, mon - 1, year - 1900, wday, yday, 0)
    elif cmd & 0xffff == SET_TIME:
        sec, mins, hour, day, mon, year = struct.unpack_from("@6i", got, RECORD.size)
        offset = calendar.timegm((year + 1900, mon + 1, day, hour, mins, sec)) - time.time()
    elif cmd in (UIE_ON, UIE_OFF):
        updates = cmd == UIE_ON and not send(FLUSH)
    else:
        value = -errno.ENOTTY
    if kind == IOCTL:
        send(REPLY, data, ident, value=value)
