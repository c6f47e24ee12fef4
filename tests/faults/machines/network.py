"""Several hosts on one machine: network namespaces on a bridge, and what goes wrong between them.

Each host has the others' link addresses written down. What is to vanish between two of them
is sent to one that nobody has: neither side is told anything, as when a switch
dies. The tests themselves reach every host at all times.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.places import OWN_NETWORKS
from tests.services import unavailable

NOBODY = "02:47:00:00:ff:ff"
MIRE = "02:47:00:00:ff:fe"
MOST_NETWORKS = 200
# Of a packet in each direction: 200 ms there and back, and 5 % of all packets on each way.
SLOW_MILLISECONDS = 100
SLOW_LOSS = 0.05


@dataclass(frozen=True)
class Host:
    """A machine of the network, known by its number."""

    network: int
    number: int
    name: str

    @property
    def address(self) -> str:
        """Where the others reach it."""
        return f"{OWN_NETWORKS}{self.network}.{self.number}"

    @property
    def link_address(self) -> str:
        """Where frames for it go."""
        return f"02:47:00:00:00:{self.number:02x}"

    @property
    def namespace(self) -> str:
        """What its network is called on this machine."""
        return f"grange{self.network}-{self.name}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts a program there."""
        return ("nsenter", f"--net=/run/netns/{self.namespace}")


class Network:
    """Hosts that reach each other, until something is done about that."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.hosts: list[Host] = []
        self._mire: subprocess.Popen[bytes] | None = None
        self._spoilt: list[tuple[Host, Host]] = []

    @property
    def bridge(self) -> str:
        """What connects them."""
        return f"grange{self.number}"

    def host(self, name: str) -> Host:
        """Add a machine."""
        new = Host(self.number, len(self.hosts) + 2, name)
        port = f"{self.bridge}h{new.number}"
        _ip("netns", "add", new.namespace)
        _ip(
            *("link", "add", port, "type", "veth"),
            *("peer", "name", "eth0", "address", new.link_address, "netns", new.namespace),
        )
        _ip("link", "set", port, "master", self.bridge, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
            ("address", "add", f"{new.address}/24", "dev", "eth0"),
        ):
            _ip("-n", new.namespace, *words)
        for other in self.hosts:
            self._send(new, other, other.link_address)
            self._send(other, new, new.link_address)
        self.hosts.append(new)
        return new

    def cut(self, one: Host, other: Host) -> None:
        """Let nothing through between two hosts."""
        self.half_cut(one, other)
        self.half_cut(other, one)

    def half_cut(self, sender: Host, receiver: Host) -> None:
        """Let nothing through in this direction; what comes the other way arrives."""
        self._spoil(sender, receiver, NOBODY)

    def slow(self, one: Host, other: Host) -> None:
        """Let packets between two hosts take their time, and lose some."""
        if self._mire is None:
            self._mire = _start_mire(self.bridge)
        self._spoil(one, other, MIRE)
        self._spoil(other, one, MIRE)

    def mend(self) -> None:
        """Let all hosts reach each other as ever. Idempotent."""
        for sender, receiver in self._spoilt:
            self._send(sender, receiver, receiver.link_address)
        self._spoilt.clear()

    def close(self) -> None:
        """Take it all away; what runs on the hosts has no network any more."""
        if self._mire is not None:
            assert self._mire.stdin is not None
            assert self._mire.stdout is not None
            self._mire.stdin.close()
            self._mire.stdout.close()
            self._mire.wait()
        _clear(self.number)

    def _spoil(self, sender: Host, receiver: Host, where: str) -> None:
        self._spoilt.append((sender, receiver))
        self._send(sender, receiver, where)

    def _send(self, sender: Host, receiver: Host, where: str) -> None:
        words = ("neigh", "replace", receiver.address, "lladdr", where, "nud", "permanent")
        _ip("-n", sender.namespace, *words, "dev", "eth0")


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Make a network of our own for as long as the block lasts; needs root."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        unavailable("networks of the tests' own need root and iproute2")
    for number in range(1, MOST_NETWORKS):
        with Path(f"/tmp/grange-network-{number}").open("w") as lock:  # of all tests
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            # Tests that were killed may have left one.
            _clear(number)
            made = Network(number)
            _ip("link", "add", made.bridge, "type", "bridge")
            try:
                _ip("address", "add", f"{OWN_NETWORKS}{number}.1/24", "dev", made.bridge)
                _ip("link", "set", made.bridge, "up")
                yield made
            finally:
                made.close()
            return
    message = "too many networks of tests at once"
    raise RuntimeError(message)


def _start_mire(bridge: str) -> subprocess.Popen[bytes]:
    program = str(Path(__file__).with_name("mire.py"))
    words = [f"{bridge}mire", bridge, str(SLOW_MILLISECONDS), str(SLOW_LOSS)]
    process = subprocess.Popen(
        [sys.executable, program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        unavailable("a slow network can't be made: no /dev/net/tun")
    return process


def _clear(number: int) -> None:
    for name in os.listdir("/run/netns") if Path("/run/netns").exists() else ():
        if name.startswith(f"grange{number}-"):
            _ip("netns", "delete", name)
    # What stands in a network that is being taken away would still be there for a moment.
    ours = re.compile(rf"grange{number}(h\d+)?")
    for device in filter(ours.fullmatch, os.listdir("/sys/class/net")):
        subprocess.run(["ip", "link", "delete", device], capture_output=True, check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"ip {' '.join(words)}: {done.stderr.strip()}"
        raise RuntimeError(message)
