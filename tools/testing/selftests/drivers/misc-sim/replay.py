#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print what a program did to a device, and send what it wrote to the users of another.

The arguments are the peer of the other device and a file with the records that the
first peer has read.
"""
import os
import struct
import sys

RECORD = struct.Struct("=IIQQQiIII")  # type, length, id, file, arg, value, flags, cmd, pid
NAMES = {1: "open", 2: "close", 3: "data", 4: "ioctl"}
DATA = 3

peer = os.open(sys.argv[1], os.O_RDWR)
with open(sys.argv[2], "rb") as log:
    while head := log.read(RECORD.size):
        kind, length, *_ = RECORD.unpack(head)
        payload = log.read(length)
        print(NAMES[kind], payload)
        if kind == DATA:
            os.write(peer, head + payload)
