"""A slow, lossy stretch between hosts: `mire.py DEVICE BRIDGE MILLISECONDS LOSS`.

Whatever is sent to its link address comes out a while later, addressed to the host that it is for,
or not at all. What it loses are frames, as on a bad line: the parties' own TCP sends them again.
The kernel's `netem` does the same, where it is there.
It stands on the bridge as a device of its own, and ends with its standard input.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
WITHOUT_HEADER = 0x0002 | 0x1000  # a device of frames, as they are
FRAME_BYTES = 65536
IPV4 = b"\x08\x00"
# Where the last byte of the address that a packet is for stands in a frame.
LAST_OF_ADDRESS = 33
ADDRESS = bytes.fromhex("02470000fffe")
HOSTS = bytes.fromhex("0247000000")


def main(device: str, bridge: str, milliseconds: str, loss: str) -> None:
    """Carry frames until the standard input ends."""
    line = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(line, TUNSETIFF, struct.pack("16sH22x", device.encode(), WITHOUT_HEADER))
    subprocess.run(["ip", "link", "set", device, "master", bridge, "up"], check=True)
    os.write(1, b"ready\n")
    carry(line, delay_seconds=float(milliseconds) / 1000, loss=float(loss))


def carry(line: int, *, delay_seconds: float, loss: float) -> None:
    """Take frames, and let out those whose time has come."""
    chance = random.Random(4711)
    late: list[tuple[float, int, bytes]] = []
    order = itertools.count()
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        readable, _, _ = select.select([line, 0], [], [], wait)
        if 0 in readable and not os.read(0, 1):
            return
        if line in readable:
            frame = os.read(line, FRAME_BYTES)
            if frame[:6] == ADDRESS and frame[12:14] == IPV4 and chance.random() >= loss:
                onward = HOSTS + frame[LAST_OF_ADDRESS : LAST_OF_ADDRESS + 1] + ADDRESS
                due = time.monotonic() + delay_seconds
                heapq.heappush(late, (due, next(order), onward + frame[12:]))
        while late and late[0][0] <= time.monotonic():
            os.write(line, heapq.heappop(late)[2])


if __name__ == "__main__":
    main(*sys.argv[1:])
