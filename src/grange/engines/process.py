"""One worker process as the engine sees it: started, fed, watched, and ended with all it began."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from grange.core.ids import new_id
from grange.core.tasks import JSON, Job, Outcome, OutcomeState, Task
from grange.engines.channel import Channel
from grange.engines.logs import keep_log
from grange.engines.register import IDLE, Reading, Register
from grange.engines.strays import MARKER, kill_strays
from grange.errors import WorkerStartFailed

# About so much work is given to a worker at once: the way there and back must not matter.
WINDOW_SECONDS = 0.1
LARGEST_WINDOW = 1024
# Behind a task of less than this, the next one waits already: the way there would matter.
SHORT_SECONDS = 0.75
# How much the latest task weighs in the average; the first one's time is all there is.
_NEW_WEIGHT = 0.2
# A task so many times as quick as the average shows that those before were loading something.
_LOADING = 10.0
_TAIL_BYTES = 4096
# glibc gives every thread an arena that keeps what was freed there, and pipelines begin threads for
# every task: with two arenas a worker holds some 30 MB less, and no more for longer inputs.
_ALLOCATION = {"MALLOC_ARENA_MAX": "2"}
# A worker that gave no beat for so long may be stopped, or at something that lets no beat through.
_DOUBT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """How workers are started."""

    command: Sequence[str]
    folder: Path
    recycle_bytes: int
    # Variables of the environment that workers don't get, and those that are theirs alone.
    withheld: Collection[str] = ()
    given: Mapping[str, str] = field(default_factory=dict)


class WorkerProcess:
    """A worker: its process, its channel, its register, and the tasks that it holds."""

    def __init__(self, start: Start, number: int, place: int = 0) -> None:
        """Start the process; it says `ready` once it can take tasks. `place` is the fleet's own.

        Raises:
            WorkerStartFailed: The program can't be started at all.
        """
        self.name = f"w{number}"
        self.place = place
        self.marker = new_id()
        self.ready = False
        self.was_silent = False
        self._was_useful = False
        self.held: dict[int, tuple[Job, Task]] = {}
        self._batches = 0
        self._stuck_at = IDLE
        self._average_seconds: float | None = None
        # What it was sent, may not have noticed that it is called back, and nobody wants.
        self._dropped: set[int] = set()
        self._dropped_from = 0
        self._killed = False
        self._seen_busy = 0.0
        self._used_ticks = 0
        self._folder = start.folder / self.marker
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            self._folder.mkdir(mode=0o700, parents=True)
            self.register = Register(self._folder / "register", create=True)
            self.process = self._spawn(start, theirs)
        except OSError as error:
            self.channel.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            message = f"Workers can't be started: {start.command[0]}: {error.strerror}."
            raise WorkerStartFailed(message, hint="See: grange doctor") from error
        finally:
            theirs.close()

    # ---- its tasks

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
        if not self.ready or self.was_silent or self._stuck_at != IDLE or self.at_dropped():
            return 0
        window = self.window
        if window == 1:
            return 1 + self._is_short - len(self.held)
        return window if len(self.held) <= window else 0

    @property
    def wanted(self) -> int:
        """How many tasks, held or about to be sent, keep it fed for a while."""
        return 3 * self.window if self.window > 1 else 2 + self._is_short

    @property
    def _is_short(self) -> bool:
        return self._average_seconds is not None and self._average_seconds < SHORT_SECONDS

    def give(self, job: JSON, tasks: Sequence[tuple[Job, Task]], messages: list[JSON]) -> None:
        """Send it a batch, which it holds from now on."""
        self._batches += 1
        for one in tasks:
            self.held[one[1].id] = one
        if self._dropped:
            # Another attempt at a task is wanted, whatever became of the one before.
            self._dropped.difference_update(self.held)
        self.channel.post({"batch": self._batches, "job": job, "tasks": messages})

    def answered(self, outcome: Outcome) -> tuple[Job, Task] | None:
        """Take note of an outcome. None when it is of a task that it doesn't hold any more."""
        held = self.held.get(outcome.task)
        if held is None or held[1].epoch != outcome.epoch:
            return None
        del self.held[outcome.task]
        if outcome.task == self._stuck_at:
            self._stuck_at = IDLE
        if outcome.state is OutcomeState.RETURNED:
            return held
        self._was_useful = True
        if self._average_seconds is None or outcome.seconds < self._average_seconds / _LOADING:
            # The first task of a run loads its model too, which says nothing about the next.
            self._average_seconds = outcome.seconds
        else:
            self._average_seconds += _NEW_WEIGHT * (outcome.seconds - self._average_seconds)
        return held

    def drop(self, tasks: Collection[int]) -> None:
        """Forget tasks that nobody wants, and ask it to begin nothing that it was sent."""
        for task in tasks:
            del self.held[task]
        self._dropped.update(tasks)
        self._dropped_from = self._batches
        self.register.recall(self._batches)

    def at_dropped(self) -> bool:
        """Whether it is at a task that nobody wants."""
        if not self._dropped:
            return False
        has_heard = self.register.heard() >= self._dropped_from
        if self.register.read().task in self._dropped:
            return True
        if has_heard:
            # It begins none of them any more.
            self._dropped.clear()
        return False

    # ---- giving back

    def call_back(self, patience_seconds: float) -> bool:
        """Ask for the tasks that wait behind one that takes longer than expected.

        Returns whether they can be taken back: it begins none of them any more,
        and has answered all that it had ended.
        """
        if self._stuck_at != IDLE:
            return len(self.held) > 1 and self.register.heard() >= self._batches
        if len(self.held) > 1:
            reading = self.register.read()
            if reading.task in self.held and time.monotonic() - reading.begun > patience_seconds:
                self._stuck_at = reading.task
                self.register.recall(self._batches)
        return False

    def take_back(self) -> list[tuple[Job, Task]]:
        """What it holds and has not begun; it holds that no more. After `call_back` or `kill`."""
        at_hand = self.register.read().task
        taken = [one for number, one in self.held.items() if number != at_hand]
        self.held = {number: one for number, one in self.held.items() if number == at_hand}
        return taken

    # ---- its life

    def silent_seconds(self) -> float:
        """How long it has given no sign of life: no beat, and no use of a processor."""
        now = time.monotonic()
        silence = now - max(self.register.read().beat, self._seen_busy)
        if silence < _DOUBT_SECONDS:
            return silence
        # Native code that keeps the interpreter's lock keeps beats from being given.
        before, self._used_ticks = self._used_ticks, _used_ticks(self.process.pid)
        if self._used_ticks > before:
            self._seen_busy = now
            return 0.0
        return silence

    def is_dead(self) -> bool:
        """Whether the process has ended. Its number stays its own until `kill`."""
        if not hasattr(os, "waitid"):
            return self.process.poll() is not None
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, options) is not None
        except ChildProcessError:
            return True

    def died_early(self) -> bool:
        """Whether it has died before it could do anything with what it was given."""
        return not self._was_useful and (bool(self.held) or not self.ready)

    def kill(self) -> Reading:
        """Kill it with all that it started, and wait for that. Says what it was at. Idempotent."""
        if not self._killed:
            self._killed = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            kill_strays(self.marker)
        return self.register.read()

    def last_words(self) -> str:
        """The end of what the task at hand wrote to stderr."""
        try:
            with open(self._folder / "err", "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def keep_logs(self, job: Job, task: Task) -> None:
        """Keep what it printed while it was at a task that it can't keep any more itself."""
        for stream in ("out", "err"):
            with suppress(OSError):
                keep_log(self._folder / stream, Path(job.logs, f"{task.token}.{stream}"))

    def close(self) -> None:
        """Remove what is left of a killed one."""
        self.channel.close()
        self.register.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self, start: Start, theirs: socket.socket) -> subprocess.Popen[bytes]:
        command = [
            *start.command,
            f"--channel={theirs.fileno()}",
            f"--folder={self._folder}",
            f"--name={self.name}",
            f"--recycle-bytes={start.recycle_bytes}",
        ]
        # Appending, so that after a truncation there is no hole before what comes next.
        with open(self._folder / "out", "ab") as out, open(self._folder / "err", "ab") as err:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment(start) | {MARKER: self.marker},
            )


def _environment(start: Start) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in start.withheld}
    return {**_ALLOCATION, **ours, **start.given}


def _used_ticks(process: int) -> int:
    """How long the process has used a processor, in the system's unit; 0 where it can't be told."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    user, system = fields[11:13]
    return int(user) + int(system)
