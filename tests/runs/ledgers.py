"""A ledger under test: a real database, a real store, and a hand that plays the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from grange.core.tasks import Failure, Outcome, OutcomeState, Output, Task, staging_token
from grange.db import Database
from grange.runs import claims, driving, outcomes, publishing, submission
from grange.runs.driven import Driven
from grange.runs.driver import this_driver
from grange.runs.driving import Grip
from grange.runs.models import NewItem, RunSpec
from grange.runs.outcomes import Concluded
from grange.storage import file_uri, seal

SHA = "a" * 64


def spec_of(out: Path, **changes: object) -> RunSpec:
    """Give the exact request for a run into this folder."""
    known: dict = {
        "pipeline": "command",
        "version": "1",
        "params": {},
        "function_key": "f" * 64,
        "out": file_uri(out),
        "inputs": {"roots": ["/in"]},
    }
    return RunSpec(**{**known, **changes})


def new_items(count: int, size: int = 100) -> Iterable[NewItem]:
    """Give inputs of one size, as a scan finds them."""
    return (
        NewItem(f"d/{number}.txt", f"file:///in/d/{number}.txt", size, 10**18 + number)
        for number in range(count)
    )


class Hand:
    """Drives a run step by step, as its dispatcher would."""

    def __init__(self, database: Database, folder: Path, *, lease_seconds: float = 60.0) -> None:
        self.database = database
        self.folder = folder
        self.grip = Grip(this_driver(), lease_seconds=lease_seconds, delay_seconds=0.0)
        self.driven: Driven

    def submit(self, spec: RunSpec, found: Iterable[NewItem]) -> submission.Opened:
        opened = submission.open_run(self.database, spec)
        submission.add_items(self.database, opened, found)
        submission.seal(self.database, opened)
        return opened

    def take(self, number: int) -> Driven:
        logs = str(self.folder / "logs")
        self.driven = driving.take(self.database, number, self.grip, logs=logs, now=time.time())
        return self.driven

    def claim(self, limit: int = 1000) -> list[Task]:
        tasks, _ = claims.claim(
            self.database,
            self.driven,
            limit=limit,
            now=time.time(),
            lease_seconds=self.grip.lease_seconds,
        )
        return tasks

    def conclude(self, *came: Outcome) -> Concluded:
        return outcomes.conclude(self.database, self.driven, came, now=time.time())

    def publish(self, answer: Concluded) -> publishing.Published:
        return publishing.publish(self.database, self.driven, answer.publish, now=time.time())

    def stage(self, task: Task, files: dict[str, bytes]) -> tuple[Output, ...]:
        token = staging_token(self.driven.id, task.id, task.epoch)
        folder = self.driven.store.staging(token)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return tuple(
            Output(one.path, one.size, one.sha256 or "", one.mtime_ns or 0) for one in seal(folder)
        )


def done(task: Task, **changes: object) -> Outcome:
    """Say that the attempt went well."""
    return Outcome(task.id, task.epoch, OutcomeState.DONE, 0.5, "w1", SHA, **changes)  # type: ignore[arg-type]


def failed(task: Task, *, retryable: bool = True) -> Outcome:
    """Say that the attempt failed."""
    failure = Failure("command.failed", "exit code 1", retryable=retryable)
    return Outcome(task.id, task.epoch, OutcomeState.FAILED, 0.1, "w1", SHA, failure=failure)


def of_state(state: OutcomeState) -> Callable[[Task], Outcome]:
    """Give what says of a task that it came back like this."""
    return lambda task: Outcome(task.id, task.epoch, state)
