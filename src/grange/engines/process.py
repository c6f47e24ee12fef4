"""One worker process as the engine sees it: started, fed, watched, and ended with all it began."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grange.core.ids import new_id
from grange.core.tasks import Job, Task
from grange.engines.channel import Channel
from grange.engines.register import Register
from grange.errors import WorkerStartFailed

# Every process that a worker starts carries this, with the worker's own id.
MARKER = "GRANGE_WORKER"

# About so much work is given to a worker at once: the way there and back must not matter.
WINDOW_SECONDS = 0.1
LARGEST_WINDOW = 512
# How much the latest task weighs in the average; the first one's time is all there is.
_NEW_WEIGHT = 0.2
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Start:
    """How workers are started."""

    command: Sequence[str]
    folder: Path
    recycle_bytes: int


class WorkerProcess:
    """A worker: its process, its channel, its register, and the tasks that it holds."""

    def __init__(self, start: Start, number: int) -> None:
        """Start the process; it says `ready` once it can take tasks.

        Raises:
            WorkerStartFailed: The program can't be started at all.
        """
        self.name = f"w{number}"
        self.marker = f"{new_id()}"
        self.ready = False
        self.was_silent = False
        self.took_work = False
        self.held: dict[int, tuple[Job, Task]] = {}
        self._average_seconds: float | None = None
        self._files = start.folder / self.marker
        self.register = Register(self._files.with_suffix(".register"), create=True)
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            self.process = self._spawn(start, theirs)
        except OSError as error:
            self.channel.close()
            message = f"Workers can't be started: {start.command[0]}: {error.strerror}."
            raise WorkerStartFailed(message, hint="See: grange doctor") from error
        finally:
            theirs.close()

    @property
    def window(self) -> int:
        """How many tasks it should hold: many short ones, or one long one."""
        if self._average_seconds is None:
            return 1
        wanted = int(WINDOW_SECONDS / max(self._average_seconds, 1e-6))
        return max(1, min(wanted, LARGEST_WINDOW))

    @property
    def appetite(self) -> int:
        """How many more tasks are to be sent: none behind a long one, a second helping of short."""
        if not self.ready or self.was_silent:
            return 0
        window = self.window
        if window == 1:
            return 1 - len(self.held)
        return window if len(self.held) <= window else 0

    def give(self, job: Job, tasks: Sequence[Task], message: object) -> None:
        """Send it a batch, which it holds from now on."""
        self.took_work = True
        self.held.update((task.id, (job, task)) for task in tasks)
        self.channel.post(message)

    def answered(self, seconds: float) -> None:
        """Learn from how long a task took."""
        if self._average_seconds is None:
            self._average_seconds = seconds
        else:
            self._average_seconds += _NEW_WEIGHT * (seconds - self._average_seconds)

    def silent_seconds(self) -> float:
        """How long it has given no sign of life."""
        return time.monotonic() - self.register.read().beat

    def last_words(self) -> str:
        """The end of what it wrote to its stderr."""
        try:
            with self._files.with_suffix(".err").open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def end(self) -> None:
        """Kill it with all that it started, wait for it, and remove its files. Idempotent."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        kill_marked(self.marker)
        self.channel.close()
        self.register.close()
        for suffix in (".register", ".out", ".err"):
            self._files.with_suffix(suffix).unlink(missing_ok=True)

    def _spawn(self, start: Start, theirs: socket.socket) -> subprocess.Popen[bytes]:
        out, err = (self._files.with_suffix(suffix) for suffix in (".out", ".err"))
        command = [
            *start.command,
            f"--channel={theirs.fileno()}",
            f"--register={self._files.with_suffix('.register')}",
            f"--name={self.name}",
            f"--marker={self.marker}",
            f"--recycle-bytes={start.recycle_bytes}",
        ]
        # Appending, so that what is cut off by truncation is not written as a hole again.
        with out.open("ab") as out_file, err.open("ab") as err_file:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, MARKER: self.marker},
            )


def kill_marked(marker: str) -> None:
    """Kill every process that carries the marker: what a worker started and did not outlive.

    On Linux alone; elsewhere the worker's process group is all that can be found.
    """
    wanted = f"{MARKER}={marker}".encode()
    for _ in range(5):
        found = _marked(wanted)
        if not found:
            return
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def _marked(wanted: bytes) -> list[int]:
    found = []
    try:
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for process in processes:
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        # A corpse has no environment left, so it is not found again.
        if wanted in environment.split(b"\0"):
            found.append(process)
    return found
