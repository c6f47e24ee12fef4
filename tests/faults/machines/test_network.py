"""The network of the tests does what they say it does."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.faults.machines.network import SLOW_MILLISECONDS, Host, Network, network

# Answers each line with the same line.
ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], 4000)) as door:
    while True:
        talk, _ = door.accept()
        with talk, talk.makefile("rwb", buffering=0) as lines:
            for line in lines:
                lines.write(line)
"""
# Asks so many times within so many seconds, and says how often it was answered, and how fast.
ASK = """
import socket, sys, time
answered, began = 0, time.monotonic()
try:
    with socket.create_connection((sys.argv[1], 4000), timeout=float(sys.argv[2])) as talk:
        lines = talk.makefile("rwb", buffering=0)
        for number in range(int(sys.argv[3])):
            lines.write(b"%d\\n" % number)
            answered += lines.readline() == b"%d\\n" % number
except OSError:
    pass
print(answered, time.monotonic() - began)
"""


@pytest.fixture
def pair() -> Iterator[tuple[Network, Host, Host]]:
    """Give a network of two hosts, of which the second one answers."""
    with network() as net:
        one, other = net.host("one"), net.host("other")
        words = [*other.prefix, sys.executable, "-c", ECHO, other.address]
        with subprocess.Popen(words) as echo:
            _until_open(other.address)
            try:
                yield net, one, other
            finally:
                echo.kill()


def test_what_is_cut_is_silent_and_what_is_mended_speaks(
    pair: tuple[Network, Host, Host],
) -> None:
    """Nothing gets through in either case of a cut, and all of it does afterwards."""
    net, one, other = pair
    before = _ask(one, other)
    net.half_cut(other, one)
    half = _ask(one, other)
    net.mend()
    net.cut(one, other)
    cut = _ask(one, other)
    net.mend()

    assert (5, 0, 0, 5) == (before[0], half[0], cut[0], _ask(one, other)[0])


@pytest.mark.faults
def test_a_slow_way_is_slow_and_loses_packets(pair: tuple[Network, Host, Host]) -> None:
    """Each answer takes its time there and back; what is lost is sent again, and comes late."""
    net, one, other = pair
    net.slow(one, other)

    answered, seconds = _ask(one, other, times=20, patience=20)

    assert 20 == answered
    assert 20 * 2 * SLOW_MILLISECONDS / 1000 < seconds


def _ask(one: Host, other: Host, *, times: int = 5, patience: float = 1.0) -> tuple[int, float]:
    words = [*one.prefix, sys.executable, "-c", ASK, other.address, str(patience), str(times)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return int(said[0]), float(said[1])


def _until_open(address: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((address, 4000), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return
