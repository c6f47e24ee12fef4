"""What is out: which attempts were published, who has them, and when they are lost. Pure.

An attempt waits in the queue, as part of a message, until a station says that
it took the message or that it holds the attempt. From then on it lives on the
station's beats. Times are those of one clock that never goes back; nothing is
taken from anybody else's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from grange.core.tasks import JSON, Failure, Outcome, OutcomeState
from grange.engines.base import Holder, WorkerView
from grange.engines.rabbit.messages import Beat, Held
from grange.engines.rabbit.stations import SILENT_SECONDS

# What no message of this engine has brought out: an earlier one published it.
ADOPTED = ""
# Messages of several runs that are published within this may come into their queue in any order.
ORDER_SECONDS = 1.0


@dataclass(slots=True)
class _Message:
    """A message that nobody is known to have taken."""

    number: int
    since: float
    tasks: set[int]
    # Since when a later message is known to be taken, and since when the queue is known to be
    # empty: either means that this one is in no queue any more.
    overtaken: float | None = None
    missing: float | None = None


@dataclass(slots=True)
class _Attempt:
    epoch: int
    message: str | None  # the one that it waits in
    heard: float
    station: str = ""
    session: str = ""
    held: Held | None = None  # as the latest beat has it


@dataclass(slots=True)
class _Session:
    station: str
    heard: float


@dataclass(slots=True)
class Holdings:
    """The attempts of one run that are out; each comes back once, or is abandoned."""

    lease_seconds: float
    # What people call a station of this id.
    called: Callable[[str], str] = str
    _out: dict[int, _Attempt] = field(default_factory=dict)
    _waiting: dict[str, _Message] = field(default_factory=dict)  # in the order of publishing
    _sessions: dict[str, _Session] = field(default_factory=dict)
    # Tasks that went down with a station, though they may not have been begun.
    _spared: set[int] = field(default_factory=set)
    # Attempts whose station is not told yet: those of late, and those of before the last call.
    _fresh: set[int] = field(default_factory=set)
    _due: set[int] = field(default_factory=set)
    _numbers: int = 0
    # When the latest message was published of those that are known to be taken.
    newest_taken: float = float("-inf")
    _down: bool = False
    _amnesty_until: float = float("-inf")
    _judged: float | None = None

    def __len__(self) -> int:
        return len(self._out)

    # ---- what goes out

    def publish(self, message: str, attempts: Iterable[tuple[int, int]], now: float) -> None:
        """A message with these attempts (task and epoch) is on its way to the queue."""
        given = list(attempts)
        for task, _ in given:
            self._leave(task)
        if not given:
            return
        self._numbers += 1
        waiting = self._waiting.setdefault(message, _Message(self._numbers, now, set()))
        for task, epoch in given:
            self._out[task] = _Attempt(epoch, message, now)
            waiting.tasks.add(task)

    def adopt(self, attempts: Iterable[tuple[int, int]], now: float) -> None:
        """An earlier engine has published these: they wait in the queue, or somebody has them."""
        self.publish(ADOPTED, attempts, now)

    def unsent(self, message: str) -> list[Outcome]:
        """Nobody knows whether the message is in the queue: what was in it comes back.

        Should a station have it all the same, its epochs are spent.
        """
        waiting = self._waiting.get(message)
        return [self._return(task) for task in sorted(waiting.tasks)] if waiting else []

    def wiped(self) -> list[Outcome]:
        """The queue was lost with all that was in it."""
        return [one for message in list(self._waiting) for one in self.unsent(message)]

    # ---- what is heard

    def take(self, message: str, station: str, session: str, now: float) -> None:
        """A station says that it took a message."""
        self._hear(station, session, now)
        waiting = self._waiting.get(message)
        if waiting is None or message == ADOPTED:
            return
        self._overtake(waiting.number, now)
        self.newest_taken = max(self.newest_taken, waiting.since)
        for task in sorted(waiting.tasks):
            self._hold(task, self._out[task], station, session, now)

    def end(self, task: int, epoch: int, station: str = "") -> bool:
        """An outcome has come; whether somebody waits for it. Nobody does any more.

        What a station says of an attempt that another one has is not believed.
        """
        attempt = self._out.get(task)
        if attempt is None or attempt.epoch != epoch:
            return False
        if station and attempt.station not in {"", station}:
            return False
        self._leave(task)
        self._spared.discard(task)
        return True

    def beat(self, beat: Beat, now: float) -> list[tuple[int, int]]:
        """A station says what it holds. Gives what of that nobody wants."""
        self._hear(beat.station, beat.session, now)
        unwanted = []
        for held in beat.held:
            attempt = self._out.get(held.task)
            if attempt is None or attempt.epoch != held.epoch:
                unwanted.append((held.task, held.epoch))
                continue
            if attempt.message not in {None, ADOPTED}:
                self.take(str(attempt.message), beat.station, beat.session, now)
            if self._hold(held.task, attempt, beat.station, beat.session, now):
                attempt.held = held
        return unwanted

    def holders(self) -> list[Holder]:
        """Which station has which attempt: each once, and only what was out at the last call too.

        So tasks that come back at once are never told of.
        """
        due, self._due, self._fresh = self._due, self._fresh, set()
        return [Holder(one, self._out[one].epoch, self._out[one].station) for one in sorted(due)]

    def depth(self, count: int, looked: float) -> None:
        """How many messages were in the queue at that time."""
        for waiting in self._waiting.values():
            if count:
                waiting.missing = None
            elif waiting.missing is None and waiting.since < looked:
                waiting.missing = looked

    def overtake(self, published: float, now: float) -> None:
        """A message of some run that was published at that time has left the same queue."""
        for waiting in self._waiting.values():
            if waiting.overtaken is None and waiting.since < published - ORDER_SECONDS:
                waiting.overtaken = now

    def abandon(self, tasks: Collection[int]) -> list[tuple[int, int]]:
        """Nobody wants these any more. Gives those that are out, with their epochs."""
        gone = [(task, self._out[task].epoch) for task in tasks if task in self._out]
        for task, _ in gone:
            self._leave(task)
            self._spared.discard(task)
        return gone

    def cut_off(self) -> None:
        """Nothing can be heard of anybody."""
        self._down = True

    def reached(self, now: float) -> None:
        """It can be heard again: everybody has a lease's time to say what they hold."""
        self._down = False
        self._begin_anew(now)
        for waiting in self._waiting.values():
            # It may have been kept, and come into the queue only now.
            waiting.since = now

    # ---- what that means

    def alive(self, now: float) -> list[int]:
        """The tasks whose leases are to be renewed."""
        if self._down or now < self._amnesty_until:
            return list(self._out)
        recent = now - self.lease_seconds / 2
        return [
            task
            for task, attempt in self._out.items()
            if attempt.message is not None or attempt.heard > recent
        ]

    def stranded(self, now: float) -> int:
        """How many are in the hands of stations that fell silent."""
        limit = now - SILENT_SECONDS
        return sum(one.message is None and one.heard <= limit for one in self._out.values())

    def in_doubt(self, now: float) -> bool:
        """Whether something has waited for so long that it is worth a look into the queue."""
        first = next(iter(self._waiting.values()), None)
        return first is not None and now - first.since > self.lease_seconds / 4

    def judge(self, now: float) -> list[Outcome]:
        """Give up what is lost. To be called often, and only when all that was said is heard."""
        stalled = self._judged is not None and now - self._judged > self.lease_seconds / 4
        self._judged = now
        if stalled:
            # Whoever was stopped for so long has missed what was said meanwhile.
            self._begin_anew(now)
        if self._down:
            return []
        came = [
            self._return(task) for waiting in self._overdue(now) for task in sorted(waiting.tasks)
        ]
        limit = now - self.lease_seconds
        silent = [
            task
            for task, attempt in self._out.items()
            if attempt.message is None and attempt.heard <= limit
        ]
        came += [self._give_up(task, now) for task in silent]
        self._sessions = {
            name: one for name, one in self._sessions.items() if one.heard > limit - 60.0
        }
        return came

    def views(self, now: float) -> list[WorkerView]:
        """What stations are at, as their latest beats say."""
        return [
            WorkerView(
                name=attempt.station,
                task=task,
                seconds=attempt.held.seconds + max(0.0, now - attempt.heard),
                progress=attempt.held.progress,
                silent=now - attempt.heard > self.lease_seconds / 2,
            )
            for task, attempt in self._out.items()
            if attempt.held is not None and attempt.held.seconds is not None
        ]

    # ---- inside

    def _begin_anew(self, now: float) -> None:
        self._amnesty_until = now + self.lease_seconds
        for attempt in self._out.values():
            attempt.heard = max(attempt.heard, now)
        for waiting in self._waiting.values():
            waiting.missing = waiting.overtaken = None

    def _hear(self, station: str, session: str, now: float) -> None:
        self._sessions[session] = _Session(station, now)

    def _hold(self, task: int, attempt: _Attempt, station: str, session: str, now: float) -> bool:
        """Whether the attempt is this station's: it has one for all its time."""
        self._unwait(task, attempt)
        if attempt.station not in {"", station}:
            return False
        if not attempt.station:
            self._fresh.add(task)
        attempt.station, attempt.session, attempt.heard = station, session, now
        return True

    def _unwait(self, task: int, attempt: _Attempt) -> None:
        if attempt.message is None:
            return
        waiting = self._waiting[attempt.message]
        waiting.tasks.discard(task)
        if not waiting.tasks:
            del self._waiting[attempt.message]
        attempt.message = None

    def _overtake(self, number: int, now: float) -> None:
        for waiting in self._waiting.values():
            if waiting.number >= number:
                break
            if waiting.overtaken is None:
                waiting.overtaken = now

    def _leave(self, task: int) -> _Attempt | None:
        attempt = self._out.pop(task, None)
        if attempt is not None:
            self._fresh.discard(task)
            self._due.discard(task)
            self._unwait(task, attempt)
        return attempt

    def _overdue(self, now: float) -> list[_Message]:
        limit = now - self.lease_seconds / 2
        return [
            waiting
            for waiting in self._waiting.values()
            if (waiting.overtaken is not None and waiting.overtaken <= limit)
            or (waiting.missing is not None and waiting.missing <= limit)
        ]

    def _give_up(self, task: int, now: float) -> Outcome:
        attempt = self._out[task]
        session = self._sessions.get(attempt.session)
        lives = session is not None and now - session.heard < self.lease_seconds / 2
        begun = attempt.held is not None and attempt.held.seconds is not None
        if (lives or not begun) and task not in self._spared:
            # Its outcome may have been lost with the broker's disk, or it was never begun. But it
            # may also be what silences workers: spare it once, not for ever.
            self._spared.add(task)
            return self._return(task)
        self._leave(task)
        self._spared.discard(task)
        silence, worker = round(now - attempt.heard, 1), self.called(attempt.station)
        words = (
            "says of this task neither that it has it nor what came of it."
            if lives
            else "gave no sign of life any more while it had this task."
        )
        evidence: dict[str, JSON] = {"worker": worker, "silent_seconds": silence}
        failure = Failure("worker.lost", f"Worker {worker} {words}", evidence=evidence)
        seconds = (attempt.held and attempt.held.seconds) or 0.0
        return Outcome(
            task,
            attempt.epoch,
            OutcomeState.LOST,
            seconds=seconds,
            worker=worker,
            failure=failure,
        )

    def _return(self, task: int) -> Outcome:
        attempt = self._out[task]
        self._leave(task)
        worker = self.called(attempt.station)
        return Outcome(task, attempt.epoch, OutcomeState.RETURNED, worker=worker)
