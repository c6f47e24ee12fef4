"""A run in a real ledger, driven step by step over an engine, with a history of all of it.

Between the engine and the ledger stands a carrier, which may do to outcomes
what networks and brokers do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from grange.core.states import TaskState
from grange.core.tasks import Batch, Outcome, Task
from grange.engines import Engine
from grange.pipelines import catalog
from grange.runs import claims, driving, outcomes
from grange.runs.models import NewItem
from grange.runs.outcomes import Concluded
from grange.runs.tables import attempts, items, tasks
from tests.engines.contract.history import Deed, Event
from tests.engines.contract.rigs import ContractRig
from tests.engines.rig import SCRIPTED
from tests.runs.ledgers import Hand, spec_of

PATIENCE_SECONDS = 60.0
# Each input's work leaves one file, whose bytes its name decides.
LEAVE_A_FILE = "(work.output / 'out').write_text(part.item.path * 3)"

Carrier = Callable[[list[Outcome]], list[Outcome]]


class LedgeredRun:
    """One run: its ledger, its inputs, and what has happened to its tasks."""

    def __init__(self, rig: ContractRig, hand: Hand, scripts: list[str], **spec: object) -> None:
        self.rig = rig
        self.hand = hand
        self.carry: Carrier = lambda came: came
        self.events: list[Event] = []
        self._submitted: set[int] = set()
        found = [self._input(script) for script in scripts]
        version = catalog.find(str(SCRIPTED)).version
        known = {"pipeline": str(SCRIPTED), "version": version, **spec}
        self.number = hand.submit(spec_of(rig.out, **known), found).number
        # Engines that the rig makes from now on are this run's.
        rig.run_id = hand.take(self.number).id

    # ---- steps

    def claim(self) -> list[Task]:
        """Claim what there is to be done."""
        given = self.hand.claim(200)
        self._note(Deed.SUBMITTED, [task for task in given if task.id not in self._submitted])
        self._submitted.update(task.id for task in given)
        self._note(Deed.CLAIMED, given)
        return given

    def hand_over(self, engine: Engine, given: list[Task]) -> None:
        """Give what was claimed to the engine."""
        engine.start()
        engine.publish(Batch(self.hand.driven.job, tuple(given)))

    def conclude(self, came: list[Outcome]) -> Concluded:
        """Write down what came, and publish what that brings."""
        answer = self.hand.conclude(*came)
        self._judge(came, answer)
        self._settle(answer)
        return answer

    def turn(self, engine: Engine) -> None:
        """Do all of it once, as a driver does."""
        now = time.time()
        database, driven = self.hand.database, self.hand.driven
        claims.renew(database, engine.alive(), until=now + self.hand.grip.lease_seconds)
        swept = outcomes.sweep(database, driven, now=now)
        self._note_swept()
        self._settle(swept, engine)
        if engine.room() > 0 and (given := self.claim()):
            self.hand_over(engine, given)
        self.conclude(self.carry(engine.collect(0.05)))

    def finish(self, engine: Engine) -> None:
        """Turn until every item has its end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.states() - {"done", "failed", "cancelled"}:
            assert time.monotonic() < deadline, self.states()
            self.turn(engine)

    def cancel(self, engine: Engine) -> None:
        """Call off what has no end yet, as a person would."""
        driving.cancel_rest(self.hand.database, self.number, now=time.time())
        engine.abandon([*self.hand.driven.flying])

    # ---- what it has come to

    def history(self) -> list[Event]:
        """All that has happened, and the ends that the ledger knows."""
        with self.hand.database.read() as connection:
            rows = connection.execute(
                select(tasks.c.id, tasks.c.state).where(tasks.c.run == self.number)
            ).all()
        ended = [row for row in rows if TaskState(row.state).is_finished()]
        return [*self.events, *(Event(Deed.ENDED, row.id, 0, row.state) for row in ended)]

    def states(self) -> set[str]:
        """The states that items are in."""
        with self.hand.database.read() as connection:
            query = select(items.c.state).where(items.c.run == self.number)
            return set(connection.execute(query).scalars())

    def published(self) -> dict[str, str]:
        """What lies in the output folder, by the folder of its item."""
        files = [one for one in self.rig.out.rglob("out") if ".grange" not in one.parts]
        return {one.parent.name: one.read_text() for one in files}

    def expected(self) -> dict[str, str]:
        """What should, if every item is done."""
        names = [path.name for path in self.rig.inputs.iterdir()]
        return {name: name * 3 for name in names}

    # ---- inside

    def _input(self, script: str) -> NewItem:
        task = self.rig.task(script)
        return NewItem(task.path, task.uri, task.size, task.mtime_ns)

    def _note_swept(self) -> None:
        """Attempts whose leases ran out ended without an outcome that anybody has brought."""
        taken = {(one.task, one.epoch) for one in self.events if one.deed is Deed.TAKEN}
        with self.hand.database.read() as connection:
            rows = connection.execute(
                select(attempts.c.task, attempts.c.epoch, attempts.c.end)
                .join(tasks, tasks.c.id == attempts.c.task)
                .where(tasks.c.run == self.number)
            ).all()
        self.events += [
            Event(Deed.TAKEN, row.task, row.epoch, row.end)
            for row in rows
            if (row.task, row.epoch) not in taken
        ]

    def _note(self, deed: Deed, given: list[Task]) -> None:
        self.events += [Event(deed, task.id, task.epoch) for task in given]

    def _judge(self, came: list[Outcome], answer: Concluded) -> None:
        refused = [id(one) for one in answer.refused]
        for one in came:
            taken = id(one) not in refused
            deed = Deed.TAKEN if taken else Deed.REFUSED
            self.events.append(Event(deed, one.task, one.epoch, str(one.state)))
            if taken:
                self.hand.driven.flying.pop(one.task, None)

    def _settle(self, answer: Concluded, engine: Engine | None = None) -> None:
        if answer.publish:
            self.hand.publish(answer)
            tokens = [one.token.rsplit("-", 2)[1:] for one in answer.publish]
            self.events += [Event(Deed.PUBLISHED, int(one[0]), int(one[1])) for one in tokens]
        if answer.abandon and engine is not None:
            engine.abandon(answer.abandon)
        for token in answer.discard:
            self.hand.driven.store.discard(token)


# ---- carriers


class Twice:
    """Delivers everything twice: at once, and once more later."""

    def __init__(self) -> None:
        self._again: list[Outcome] = []

    def __call__(self, came: list[Outcome]) -> list[Outcome]:
        late, self._again = self._again, [replace(one) for one in came]
        return [*came, *(replace(one) for one in came), *late]


class Late:
    """Holds every third first attempt back until its lease is long over."""

    def __init__(self, lease_seconds: float) -> None:
        self._seconds = 1.4 * lease_seconds
        self._held: list[tuple[float, Outcome]] = []

    def __call__(self, came: list[Outcome]) -> list[Outcome]:
        now = time.monotonic()
        through = [one for one in came if one.task % 3 or one.epoch > 1]
        self._held += [(now + self._seconds, one) for one in came if one not in through]
        due = [one for at, one in self._held if at <= now]
        self._held = [one for one in self._held if one[0] > now]
        return [*through, *due]


def never(came: list[Outcome]) -> list[Outcome]:
    """Lose every third first attempt's outcome."""
    return [one for one in came if one.task % 3 or one.epoch > 1]


class Shuffled:
    """Delivers in any order, some of it turns later."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._held: list[Outcome] = []

    def __call__(self, came: list[Outcome]) -> list[Outcome]:
        pool = [*self._held, *came]
        self._chance.shuffle(pool)
        count = self._chance.randint(0, len(pool))
        self._held = pool[count:]
        return pool[:count]
