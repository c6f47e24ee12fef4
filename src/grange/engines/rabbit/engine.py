"""The engine whose workers are other machines, reached through RabbitMQ: one run's driver side."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, ClassVar

from grange.core.ids import new_id
from grange.core.resources import Needs, shape
from grange.core.tasks import (
    JSON,
    Batch,
    Failure,
    Job,
    Outcome,
    OutcomeState,
    Task,
    job_to_json,
)
from grange.engines.base import Engine, Health, Holder, WorkerView
from grange.engines.rabbit.events import Beaten, Down, Event, Looked, Reported, Rung, Unsent, Up
from grange.engines.rabbit.holdings import Holdings
from grange.engines.rabbit.messages import Abandon, pack_tasks, unpack_beat, unpack_report
from grange.engines.rabbit.names import BEAT_SECONDS, REPORTS_AT_ONCE, Names, address
from grange.engines.rabbit.sizing import Sizing
from grange.engines.rabbit.unsaid import ABANDON_AT_ONCE
from grange.engines.rabbit.vetting import is_sound
from grange.errors import BrokerMessageInvalid, EngineError, ExtraMissing, ProtocolMismatch

if TYPE_CHECKING:
    from grange.engines.rabbit.hub import Hub

log = logging.getLogger("grange.rabbit")

# How often it is looked at what is lost.
CARE_SECONDS = 0.5
# Reports may wait behind those that are being written to the ledger: nothing is
# given up before all have been heard for so long.
HEARD_SECONDS = 2.0
# While so many tasks are out, outcomes wait so long for company: each time that some are
# collected the ledger is written to, which costs about as much for one as for a hundred.
MANY_OUT = 64
COMPANY_SECONDS = 0.02
MOST_COMPANY = 256
# What is on the ledger is settled at the broker so much later, or once it is so many reports: at
# once it would be in the way of what comes next.
SETTLE_SECONDS = 0.1
MOST_UNSETTLED = REPORTS_AT_ONCE // 4
# So many different complaints of one run go into the log.
MOST_TOLD = 100


class RabbitEngine(Engine):
    """Gives a run's tasks to whichever stations take them. See `Engine` for what it promises.

    A broker that is away is a state, which `health` tells: nothing is published
    meanwhile, nothing that is out is given up, and all goes on when it is back.
    """

    lasting: ClassVar[bool] = True

    def __init__(
        self, url: str, *, run: str, site: str, needs: Needs | None = None, lease_seconds: float
    ) -> None:
        """Prepare for one run. Nothing is connected yet.

        Raises:
            SettingInvalid: The URL is none of a broker.
            ExtraMissing: The client for RabbitMQ is not installed.
        """
        if find_spec("aio_pika") is None:
            message = "RabbitMQ needs the extra rabbitmq, which is not installed."
            raise ExtraMissing(message, hint="Install it: pip install 'grange[rabbitmq]'")
        from grange.engines.rabbit.hub import Hub

        self._where, self._site = address(url), Names(site).site
        self._lend = Hub.lend
        self._hub: Hub | None = None
        self._run = run
        self._needs = needs or Needs()
        self._lease_seconds = lease_seconds
        self._holdings = Holdings(lease_seconds, self._called)
        self._holdings.cut_off()
        self._sizing = Sizing()
        self._inbox: SimpleQueue[Event] = SimpleQueue()
        self._came: list[Outcome] = []
        # What has been heard, and what `collect` has handed out: with the next one that is on the
        # ledger, and is settled soon after.
        self._heard: list[Reported] = []
        self._given: list[Reported] = []
        self._recorded: list[Reported] = []
        self._settle_at = 0.0
        self._told_of: set[str] = set()
        self._is_open = self._is_up = self._is_rung = False
        self._packed: tuple[Job, JSON] | None = None
        self._token, self._messages = new_id(), 0
        self._asked = 0  # how many tasks `room` has asked for
        self._next_care = self._next_look = self._heard_since = 0.0
        self._stranded = 0

    def start(self) -> None:
        """Connect, in the background."""
        if self._hub is None:
            self._hub = self._lend(self._where, self._site)

    def room(self) -> int:
        """How many more tasks keep every slot fed that may take them; 0 without a broker."""
        self.start()
        self._hear()
        hub = self._hub
        if hub is None or hub.health.state != "up":
            return 0
        slots = hub.stations.slots(self._needs, time.monotonic())
        # What silent stations have keeps no slot busy.
        out = max(0, len(self._holdings) - self._stranded)
        self._asked = self._sizing.room(out, slots)
        return self._asked

    def adopt(self, tasks: Collection[Task]) -> None:
        """Wait for what an earlier engine has published: in the queue, or with a station."""
        attempts = [(task.id, task.epoch) for task in tasks]
        self._holdings.adopt(attempts, time.monotonic())
        self._open()

    def publish(self, batch: Batch) -> None:
        """Send the tasks to the queue, the first ones first."""
        hub = self._open()
        if self._packed is None or self._packed[0] is not batch.job:
            self._packed = (batch.job, job_to_json(batch.job))
        slots = hub.stations.slots(self._needs, time.monotonic())
        more = len(batch.tasks) >= self._asked
        size = self._sizing.message(len(batch.tasks), slots, more=more)
        for start in range(0, len(batch.tasks), size):
            self._publish(self._packed[1], batch.tasks[start : start + size])

    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """What came back; what the last call has given is on the ledger now."""
        if not self._recorded:
            self._settle_at = time.monotonic() + SETTLE_SECONDS
        self._recorded += self._given
        self._given = []
        self._settle()
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._hear()
            self._care()
            left = deadline - time.monotonic()
            if self._came or self._is_rung or left <= 0:
                break
            self._hear(min(left, CARE_SECONDS))
        self._wait_for_company()
        self._is_rung = False
        came, self._came = self._came, []
        self._given, self._heard = self._heard, []
        return came

    def alive(self) -> list[int]:
        """What waits in the queue, and what stations lately said they hold."""
        self._hear()
        return self._holdings.alive(time.monotonic())

    def abandon(self, tasks: Collection[int]) -> None:
        """Forget the tasks, and tell all stations to stop or never begin them."""
        self._abandon(self._holdings.abandon(tasks))
        unwanted = set(tasks)
        self._came = [one for one in self._came if one.task not in unwanted]

    def workers(self) -> Sequence[WorkerView]:
        """What stations are at, as they said with their latest beats."""
        return self._holdings.views(time.monotonic())

    def holders(self) -> Sequence[Holder]:
        """Which stations have what has been out for a while."""
        return self._holdings.holders()

    def health(self) -> Health | None:
        """Whether the broker is reached."""
        return self._hub.health if self._hub is not None else None

    def ring(self) -> None:
        """Let `collect` return."""
        self._inbox.put(Rung())

    def forget(self) -> None:
        """Remove the run's queue at the broker."""
        self._let_go(forget=True)

    def tidy(self, runs: Collection[str]) -> None:
        """Remove their queues at the broker; those of runs that this process drives stay."""
        self.start()
        if self._hub is not None:
            self._hub.tidy(runs)

    def close(self) -> None:
        """Let go of the run; what stations hold goes on, and its outcomes wait for the next one."""
        self._let_go(forget=False)
        if self._hub is not None:
            self._hub.give_back()
            self._hub = None

    def _called(self, station: str) -> str:
        return self._hub.stations.called(station) if self._hub is not None else station

    # ---- giving

    def _open(self) -> Hub:
        hub = self._hub = self._hub or self._lend(self._where, self._site)
        if not self._is_open:
            self._is_open = True
            hub.open(self._run, shape(self._needs), self._inbox)
        return hub

    def _let_go(self, *, forget: bool) -> None:
        if self._hub is not None and self._is_open:
            self._settle(late=True)
            self._is_open = False
            self._hub.close(self._run, forget=forget)

    def _publish(self, job: JSON, tasks: Sequence[Task]) -> None:
        try:
            body = pack_tasks(job, tasks)
        except BrokerMessageInvalid as error:
            half = len(tasks) // 2
            if half:
                self._publish(job, tasks[:half])
                self._publish(job, tasks[half:])
            else:
                self._came.append(_too_long(tasks[0], error))
            return
        self._messages += 1
        name = f"{self._token}-{self._messages}"
        attempts = [(task.id, task.epoch) for task in tasks]
        self._holdings.publish(name, attempts, time.monotonic())
        self._open().publish(self._run, name, body)

    def _abandon(self, attempts: Sequence[tuple[int, int]]) -> None:
        if self._hub is None:
            return
        for start in range(0, len(attempts), ABANDON_AT_ONCE):
            some = tuple(attempts[start : start + ABANDON_AT_ONCE])
            self._hub.say(Abandon(self._run, some))

    # ---- hearing

    def _settle(self, *, late: bool = False) -> None:
        """Let the broker forget what is on the ledger; there is no hurry, unless it is `late`."""
        if not self._recorded or self._hub is None:
            return
        many = len(self._recorded) >= MOST_UNSETTLED
        if late or many or time.monotonic() >= self._settle_at:
            last = self._recorded[-1]
            self._hub.settle(self._run, last.session, last.tag)
            self._recorded.clear()

    def _hear(self, timeout_seconds: float = 0.0) -> None:
        """Take all that is there; wait so long for the first of it."""
        wait = timeout_seconds > 0
        try:
            while True:
                self._take(self._inbox.get(block=wait, timeout=timeout_seconds or None))
                wait = False
        except Empty:
            return

    def _wait_for_company(self) -> None:
        until = time.monotonic() + COMPANY_SECONDS
        while (
            0 < len(self._came) < MOST_COMPANY
            and len(self._holdings) >= MANY_OUT
            and not self._is_rung
            and (left := until - time.monotonic()) > 0
        ):
            self._hear(left)

    def _take(self, event: Event) -> None:
        now = time.monotonic()
        match event:
            case Reported():
                self._heard.append(event)
                self._reported(event, now)
            case Beaten():
                self._beaten(event, now)
            case Unsent(name):
                self._came += self._holdings.unsent(name)
            case Looked(count, at):
                self._holdings.depth(count, at)
            case Up(wiped):
                self._is_up, self._heard_since = True, now
                if wiped:
                    self._came += self._holdings.wiped()
                self._holdings.reached(now)
            case Down():
                self._is_up = False
                self._holdings.cut_off()
            case Rung():
                self._is_rung = True

    def _reported(self, event: Reported, now: float) -> None:
        try:
            report = unpack_report(event.body)
        except EngineError as error:
            self._warn(error)
            return
        if not (event.direct or self._is_believed(report.station, event.user)):
            return
        for message in report.taken:
            self._holdings.take(message, report.station, report.session, now)
        for outcome in report.outcomes:
            if not is_sound(outcome):
                # It is given out again when nobody says any more that they have it.
                self._once(f"{report.station[:80]!r} says what makes no sense")
                continue
            # Whoever was given a message that another one had before may give it back.
            station = "" if outcome.state is OutcomeState.RETURNED else report.station
            # What nobody waits for came twice, too late, or is of an attempt that was given up.
            if self._holdings.end(outcome.task, outcome.epoch, station):
                self._came.append(outcome)
                if outcome.state is OutcomeState.DONE:
                    self._sizing.learn(outcome.seconds)

    def _beaten(self, event: Beaten, now: float) -> None:
        try:
            beat = unpack_beat(event.body)
        except EngineError as error:
            self._warn(error)
            return
        if self._is_believed(beat.station, event.user):
            self._abandon(self._holdings.beat(beat, now))

    def _is_believed(self, station: str, user: str) -> bool:
        """Whether it is this station that has said something; else there is a word in the log."""
        if self._hub is None or self._hub.speakers.believed(station, user):
            return True
        self._once(f"{user or 'somebody'} speaks for the worker {station[:80]!r}")
        return False

    def _warn(self, error: EngineError) -> None:
        """Say once what is wrong with what stations send."""
        if isinstance(error, ProtocolMismatch):
            self._once(str(error))

    def _once(self, words: str) -> None:
        if words not in self._told_of and len(self._told_of) < MOST_TOLD:
            self._told_of.add(words)
            log.warning("run %s: %s", self._run, words)

    # ---- looking after what is out

    def _care(self) -> None:
        now = time.monotonic()
        if now < self._next_care or self._hub is None or not self._is_open:
            return
        self._next_care = now + CARE_SECONDS
        self._stranded = self._holdings.stranded(now)
        if len(self._heard) + len(self._recorded) >= REPORTS_AT_ONCE:
            self._heard_since = now
        if self._is_up and now - self._heard_since < HEARD_SECONDS:
            return
        if self._is_up and self._holdings.in_doubt(now) and now >= self._next_look:
            self._next_look = now + BEAT_SECONDS
            self._hub.look(self._run)
        newest = self._hub.taken(shape(self._needs), self._holdings.newest_taken)
        self._holdings.overtake(newest, now)
        self._came += self._holdings.judge(now)


def open_rabbit(
    url: str,
    *,
    run: str,
    site: str,
    needs: Needs | None = None,
    lease_seconds: float = 60.0,
) -> RabbitEngine:
    """The engine of this broker, for one run; what the registry calls.

    Raises:
        SettingInvalid: The URL is none of a broker.
        ExtraMissing: The client for RabbitMQ is not installed.
    """
    return RabbitEngine(url, run=run, site=site, needs=needs, lease_seconds=lease_seconds)


def _too_long(task: Task, error: BrokerMessageInvalid) -> Outcome:
    failure = Failure(error.code, str(error), retryable=False)
    return Outcome(task.id, task.epoch, OutcomeState.FAILED, failure=failure)
