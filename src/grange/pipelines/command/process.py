"""Runs one command to its end: what it prints is kept, its limits hold, nothing of it stays."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from grange.pipelines.command import family
from grange.pipelines.command.capture import Capture

# Between being asked to end and being killed.
GRACE_SECONDS: Final = 1.0

_CHUNK_BYTES: Final = 64 * 1024

# How often memory is looked at: soon after the start, then less often, and
# never so often that looking costs more than a fiftieth of a core.
_FIRST_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 0.2
_LOOK_COST_SHARE: Final = 50

# What can still be in a pipe when all that wrote to it are dead.
_LARGEST_PIPE_BYTES: Final = 4 * 1024 * 1024

# Where the kernel can't tell of a process's end, it is asked this often.
_POLL_SECONDS: Final = 0.01


class End(StrEnum):
    """Why a command is over."""

    ITSELF = "itself"
    TIME = "time"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that is over.

    `code` is its exit code, negative for the signal that ended it. `said` is
    the end of what it printed to stderr, or to stdout where that is empty.
    """

    end: End
    code: int
    seconds: float
    peak_bytes: int
    said: str


def run_command(  # these are what a command is run with
    arguments: Sequence[str],
    *,
    cwd: str,
    environment: Mapping[str, str],
    logs: tuple[Path, Path],
    timeout_seconds: float | None = None,
    memory_limit_bytes: int | None = None,
) -> Ended:
    """Run a command to its end, and end all that it started.

    It reads from nothing. It may print without end: what is kept in `logs`
    (stdout, stderr) is limited. When it ends, what it left running is killed.
    Not to be called by two threads of a process at once.

    Raises:
        OSError: It could not be started.
    """
    spared = family.others()
    began = time.monotonic()
    popen = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    deadline = None if timeout_seconds is None else began + timeout_seconds
    running = _Running(popen, spared, logs, deadline, memory_limit_bytes)
    try:
        end = running.wait()
    finally:
        running.finish()
    return Ended(
        end=end,
        code=popen.returncode,
        seconds=time.monotonic() - began,
        peak_bytes=running.peak_bytes,
        said=running.said(),
    )


class _Running:
    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        spared: frozenset[int],
        logs: tuple[Path, Path],
        deadline: float | None,
        memory_limit_bytes: int | None,
    ) -> None:
        self.popen = popen
        self.spared = spared
        self.deadline = deadline
        self.memory_limit_bytes = memory_limit_bytes
        self.peak_bytes = 0
        self.end = End.ITSELF
        self.look_seconds = _FIRST_LOOK_SECONDS
        self.look_at = time.monotonic() + _FIRST_LOOK_SECONDS
        self.selector = selectors.DefaultSelector()
        pipes = [pipe for pipe in (popen.stdout, popen.stderr) if pipe is not None]
        self.streams = [(pipe, Capture(log)) for pipe, log in zip(pipes, logs, strict=True)]
        for pipe, capture in self.streams:
            self.selector.register(pipe.fileno(), selectors.EVENT_READ, capture)
        self.pidfd = _open_pidfd(popen.pid)
        if self.pidfd is not None:
            self.selector.register(self.pidfd, selectors.EVENT_READ, None)

    def wait(self) -> End:
        """Take what the command prints, and hold its limits, until it is over."""
        while not self._is_over():
            now = time.monotonic()
            if self.deadline is not None and now >= self.deadline:
                self._out_of_time(now)
            if now >= self.look_at:
                self._look_at_memory()
        return self.end

    def finish(self) -> None:
        """Kill what is left, take what it had printed, and let go of everything. Never blocks."""
        # While the command itself is not reaped, its number can't be anybody else's.
        self._signal(signal.SIGKILL)
        self.popen.wait()
        family.kill_leftovers(self.spared)
        for pipe, capture in self.streams:
            _drain(pipe.fileno(), capture)
            pipe.close()
            capture.close()
        self.selector.close()
        if self.pidfd is not None:
            os.close(self.pidfd)

    def said(self) -> str:
        """The end of what it printed to stderr, or else to stdout."""
        (_, stdout), (_, stderr) = self.streams
        return stderr.last_lines() or stdout.last_lines()

    def _is_over(self) -> bool:
        """Wait for the next thing to happen; whether it was the command's end."""
        over = False
        for key, _ in self.selector.select(self._pause_seconds()):
            if key.data is None:
                over = True
            elif chunk := os.read(key.fd, _CHUNK_BYTES):
                key.data.write(chunk)
            else:
                self.selector.unregister(key.fd)
        return over or (self.pidfd is None and _is_dead(self.popen))

    def _pause_seconds(self) -> float:
        until = self.look_at if self.deadline is None else min(self.look_at, self.deadline)
        pause = max(0.0, until - time.monotonic())
        return pause if self.pidfd is not None else min(pause, _POLL_SECONDS)

    def _out_of_time(self, now: float) -> None:
        """Ask the command to end; when it was asked before, kill it."""
        if self.end is End.ITSELF:
            self.end = End.TIME
            self._signal(signal.SIGTERM)
            self.deadline = now + GRACE_SECONDS
        else:
            self._signal(signal.SIGKILL)
            self.deadline = None

    def _look_at_memory(self) -> None:
        began = time.monotonic()
        held = family.memory_bytes(self.popen.pid, self.spared, limit_bytes=self.memory_limit_bytes)
        self.peak_bytes = max(self.peak_bytes, held)
        if self.memory_limit_bytes is not None and held > self.memory_limit_bytes:
            self.end = End.MEMORY if self.end is End.ITSELF else self.end
            self._signal(signal.SIGKILL)
        now = time.monotonic()
        self.look_seconds = min(2 * self.look_seconds, _LONGEST_LOOK_SECONDS)
        self.look_at = now + max(self.look_seconds, _LOOK_COST_SHARE * (now - began))

    def _signal(self, number: signal.Signals) -> None:
        # It began a session of its own, so its number is its process group's, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


def _open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, where the system has such."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _is_dead(popen: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):
        return popen.poll() is not None
    # Not reaped yet: its number stays its own until `finish`.
    return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _drain(descriptor: int, capture: Capture) -> None:
    """Take what is in a pipe, without waiting for more."""
    os.set_blocking(descriptor, False)
    taken_bytes = 0
    while taken_bytes < _LARGEST_PIPE_BYTES:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EWOULDBLOCK}:
                raise
            return
        if not chunk:
            return
        capture.write(chunk)
        taken_bytes += len(chunk)
