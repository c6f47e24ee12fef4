"""A real GlusterFS for tests: one volume that two bricks mirror, mounted as often as is asked for.

Its daemons have a network, a process table and folders of their own, so nothing of the machine's
own GlusterFS is met, no port is taken, and all of them die with the one that holds the rest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import services

_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
_PROGRAMS = {
    "glusterd": "glusterfs-server",
    "gluster": "glusterfs-cli",
    "glusterfs": "glusterfs-client",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
# Not the usual name of this machine, which GlusterFS refuses for bricks.
_HOST = "127.0.0.2"
_VOLUME = "shared"
# What the daemons do alone on a machine of theirs: the files of each brick are in its memory.
_DAEMON = """
ip link set lo up
mount -t tmpfs none /run && mkdir /run/gluster
for folder in /var/lib/glusterd /var/log/glusterfs "$1"; do mount -t tmpfs none "$folder"; done
mkdir "$1/1" "$1/2"
exec {glusterd} --no-daemon --log-level=WARNING
"""


@dataclass
class Gluster:
    """A volume of two bricks, each of which has all files."""

    folder: Path
    holder: subprocess.Popen[bytes]
    clients: list[subprocess.Popen[bytes]] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)

    def mount(self, place: Path) -> Path:
        """Mount the volume in a folder by a client of its own, as another machine would."""
        place.mkdir(parents=True, exist_ok=True)
        command = ["--volfile-server", _HOST, "--volfile-id", _VOLUME, "--no-daemon"]
        command += ["--log-file", str(self.folder / f"client-{len(self.clients)}.log"), str(place)]
        # In the daemons' network, and yet in the folders that everybody sees.
        client = self._enter(("--net",), "glusterfs", *command)
        self.clients.append(client)
        self.places.append(place)
        _wait(lambda: os.path.ismount(place), f"the mount in {place}", client)
        return place

    def kill_brick(self, number: int) -> None:
        """End one brick as a power cut of its machine would; the other one has all files."""
        self._inside("sh", "-c", f"kill -9 $(cat /run/gluster/vols/{_VOLUME}/*bricks-{number}.pid)")

    def gluster(self, *words: str) -> str:
        """Tell GlusterFS something, and return what it answers."""
        return self._inside("gluster", "--mode=script", *words)

    def begin(self) -> None:
        """Wait for the daemon, and let it make the volume."""
        _wait(self._is_up, "glusterd", self.holder)
        bricks = [f"{_HOST}:{self.folder}/bricks/{number}" for number in (1, 2)]
        self.gluster("volume", "create", _VOLUME, "replica", "2", *bricks, "force")
        self.gluster("volume", "start", _VOLUME)

    def end(self) -> None:
        """Unmount everything, and end all that was started."""
        for place in self.places:
            # Lazily, because a process that a test killed may not be gone yet.
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
        for process in (*self.clients, self.holder):
            services.kill_group(process)

    def _is_up(self) -> bool:
        with contextlib.suppress(RuntimeError):
            return bool(self.gluster("volume", "list") or True)
        return False

    def _inside(self, *command: str) -> str:
        done = self._enter(("--net", "--pid", "--mount"), *command, pipe=True)
        told, trouble = done.communicate(timeout=services.START_SECONDS)
        if done.returncode != 0:
            message = f"{' '.join(command)} failed: {(told + trouble).decode()}"
            raise RuntimeError(message)
        return told.decode()

    def _enter(
        self, spaces: tuple[str, ...], *command: str, pipe: bool = False
    ) -> subprocess.Popen[bytes]:
        enter = ["nsenter", "--target", str(self._first()), *spaces, *command]
        return _spawn(enter, self.folder, pipe=pipe)

    def _first(self) -> int:
        """The first process of the daemons' own table."""
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        found = children.read_text().split()
        if not found:
            message = f"GlusterFS did not start: {(self.folder / 'log').read_text()[-2000:]}"
            raise RuntimeError(message)
        return int(found[0])


@contextlib.contextmanager
def gluster() -> Iterator[Gluster]:
    """Run a GlusterFS of our own for as long as the block lasts; needs root."""
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        services.unavailable("GlusterFS needs root on Linux, and /dev/fuse")
    found = {
        name: services.find_program(name, _SEARCH, package=package)
        for name, package in _PROGRAMS.items()
    }
    folder = Path(tempfile.mkdtemp(prefix="grange-gluster-", dir="/tmp"))
    (folder / "bricks").mkdir()
    command = ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
    script = _DAEMON.format(glusterd=found["glusterd"])
    command += ["sh", "-e", "-c", script, "sh", str(folder / "bricks")]
    volume = Gluster(folder, _spawn(command, folder))
    try:
        volume.begin()
        yield volume
    finally:
        volume.end()
        shutil.rmtree(folder, ignore_errors=True)


def _spawn(command: list[str], folder: Path, *, pipe: bool = False) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else log,
            stderr=subprocess.PIPE if pipe else log,
            start_new_session=True,
            env={**os.environ, "PATH": _SEARCH},
        )


def _wait(check: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + services.START_SECONDS
    while not check():
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"waited in vain for {what}"
            raise RuntimeError(message)
        time.sleep(0.05)
