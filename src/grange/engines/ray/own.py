"""A Ray cluster of our own, on this machine: started for one process, and gone with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from grange.engines.strays import CLUSTER_MARKER, kill_strays
from grange.errors import EngineError

# Ray takes 127.0.0.1 for a mistake, and serves clients where the whole network reaches it.
HOST: Final = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
# Tasks are messages of some kilobytes; their inputs and outputs never pass through Ray's memory.
OBJECT_STORE_BYTES = 80 << 20
START_SECONDS = 120.0
END_SECONDS = 5.0
LOOK_SECONDS = 0.05
# Paths of sockets below Ray's folder are longer by so much, and a system allows 107.
_LONGEST_FOLDER = 30
# So much of what Ray has said last is told when it could not start.
_TOLD_CHARACTERS = 1000


class OwnCluster:
    """Its processes. None of them is this process: whatever becomes of them, this one goes on."""

    def __init__(self, cores: int) -> None:
        """Start it. Returns when it answers clients, which takes seconds.

        Raises:
            EngineError: It does not start.
        """
        self._folder = _folder()
        self._port = _free_port()
        self._log = self._folder / "log"
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(cores),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=self._environment(),
                    # What a terminal says to this process is not meant for it.
                    start_new_session=True,
                )
            self._await()
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            message = f"A Ray cluster can't be started here: {error.strerror}."
            raise EngineError(message, hint="See: grange doctor") from error
        except EngineError:
            self.end()
            raise

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"ray://{HOST}:{self._port}"

    def is_alive(self) -> bool:
        """Whether it is there; when one of its main processes ends, all do."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, with all that it started and all its files."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        clear(self._folder)

    def _command(self, cores: int) -> list[str]:
        command = [sys.executable, "-m", "grange.engines.ray.keeper", str(self._folder)]
        command += ["start", "--head", "--block", f"--num-cpus={cores}"]
        command += [f"--node-ip-address={HOST}", f"--port={_free_port()}"]
        # Its workers take any free port; else two clusters of a machine want the same ones.
        command += ["--min-worker-port=0", "--max-worker-port=0"]
        command += [f"--ray-client-server-port={self._port}", "--include-dashboard=false"]
        command += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats"]
        return [*command, f"--temp-dir={self._folder / 'ray'}"]

    def _environment(self) -> dict[str, str]:
        # It wants the token that this process has; a file with one is not for it.
        given = {"RAY_AUTH_MODE": "disabled", **os.environ, CLUSTER_MARKER: self._folder.name}
        # Else a process that Ray starts from one where gRPC is at work may die at once.
        given["GRPC_ENABLE_FORK_SUPPORT"] = "0"
        if self._folder.parent == Path(tempfile.gettempdir()):
            # What workers leave when they are killed goes with all else.
            given["TMPDIR"] = str(self._folder)
        return given

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.is_alive() or time.monotonic() > deadline:
                said = " ".join(self._log.read_text(errors="replace").split())
                message = f"A Ray cluster can't be started here: {said[-_TOLD_CHARACTERS:]}"
                raise EngineError(message, hint="Does it work by itself? Try: ray start --head")
            time.sleep(LOOK_SECONDS)

    def _answers(self) -> bool:
        """Whether its server for clients listens, which comes up after all else."""
        try:
            socket.create_connection((HOST, self._port), 1).close()
        except OSError:
            return False
        return True


def clear(folder: Path) -> None:
    """End at once what is left of the cluster that has this folder, and remove its files."""
    kill_strays(folder.name, variable=CLUSTER_MARKER)
    shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A folder for its files, with a name that its sockets bear."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_FOLDER:
        parent = "/tmp"  # noqa: S108  # what is made below it is for us alone
    return Path(tempfile.mkdtemp(prefix="ray-", dir=parent))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
