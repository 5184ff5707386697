#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Play a watchdog on a peer, which is the argument, and print what happens to it."""
import errno
import os
import struct
import sys

RECORD = struct.Struct("=IIQQQiIII")  # type, length, id, file, arg, value, flags, cmd, pid
OPEN, CLOSE, DATA, IOCTL, REPLY, LISTEN = 1, 2, 3, 4, 5, 8
SUPPORT, STATUS, BOOTSTATUS, TEMP, SETOPTIONS, KEEPALIVE, SETTIMEOUT, GETTIMEOUT, \
    SETPRETIMEOUT, GETPRETIMEOUT, TIMELEFT = range(11)  # numbers of type "W"
OPTIONS = 0x0080 | 0x0100 | 0x0200 | 0x8000  # SETTIMEOUT, MAGICCLOSE, PRETIMEOUT, KEEPALIVEPING

def send(kind, data=b"", ident=0, arg=0, value=0):
    os.write(peer, RECORD.pack(kind, len(data), ident, 0, arg, value, 0, 0, 0) + data)

peer, timeout, pretimeout = os.open(sys.argv[1], os.O_RDWR), 60, 0
send(LISTEN, arg=ord("W"))
print("ready", flush=True)
while True:
    got, value, data = os.read(peer, RECORD.size + 16383), 0, b""
    kind, _, ident, _, _, _, _, cmd, _ = RECORD.unpack(got[:RECORD.size])
    nr, argument = cmd & 0xff, got[RECORD.size:]
    if kind == IOCTL and nr == SUPPORT:
        data = struct.pack("@II32s", OPTIONS, 1, b"Simulated watchdog")
    elif kind == IOCTL and nr in (SETTIMEOUT, SETPRETIMEOUT):
        data, number = argument, struct.unpack("@i", argument)[0]
        timeout, pretimeout = (number, 0) if nr == SETTIMEOUT else (timeout, number)
    elif kind == IOCTL and nr in (STATUS, BOOTSTATUS, GETTIMEOUT, GETPRETIMEOUT, TIMELEFT):
        data = struct.pack("@i", {GETTIMEOUT: timeout, GETPRETIMEOUT: pretimeout,
                                  TIMELEFT: timeout - 1}.get(nr, 0))
    elif kind == IOCTL and nr != KEEPALIVE:
        value = -errno.ENOTTY
    print({OPEN: "open", CLOSE: "close", DATA: "data " + argument.decode(errors="replace"),
           IOCTL: f"ioctl {nr}"}[kind], flush=True)
    if kind == IOCTL:
        send(REPLY, data, ident, value=value)
