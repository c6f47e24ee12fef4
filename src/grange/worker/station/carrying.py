"""Outputs and logs on their way to where they belong. Everything blocks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from grange.client.work import Claim, Work
from grange.core.tasks import (
    Outcome,
    OutcomeState,
    Output,
    own_token,
    part_token,
    staging_token,
)
from grange.errors import StoreError
from grange.storage import Store, Stored, open_store
from grange.worker.station.routes import Route, Way

# Of more attempts than this it is cheaper to look through a whole folder than for each.
_FEW = 8


class Carrier:
    """Brings away what attempts leave here. Safe to use from several threads."""

    def __init__(self, work: Callable[[], Work], staged: Path, mark: str = "") -> None:
        """`work` gives the way to the server; `staged` is where buckets stage on this machine.

        `mark` is what worker processes here have in the names of what they stage.
        """
        self._work = work
        self._staged = staged
        self._mark = mark

    def needed(
        self, route: Route, outcome: Outcome, printed: Collection[str] | None = None
    ) -> bool:
        """Whether anything has to be brought away before the outcome may be told.

        `printed` is what `printed` has found after the outcome came, if it was asked.
        """
        if outcome.state is OutcomeState.RETURNED:
            return False
        if outcome.outputs and route.outputs is not Way.MOUNT:
            return True
        if not route.carries_logs:
            return False
        if printed is not None and (
            not printed or _names(outcome.task, outcome.epoch).isdisjoint(printed)
        ):
            return False
        return any(_logs(route, outcome))

    def printed(self, route: Route) -> frozenset[str]:
        """The logs that lie here of a run's attempts, by name: one look for many of them."""
        return _listed(route) if route.carries_logs else frozenset()

    def carry(self, route: Route, outcome: Outcome) -> tuple[Outcome, int]:
        """Bring all of it away; returns the outcome to tell, and how many bytes that were.

        Repeating it is safe. Nothing is deleted here: that is for `clear`.

        Raises:
            ClaimEnded: The attempt is over, nobody wants it.
            OutputRefused: It is not here any more.
            ServerError, StoreError: It can't be brought away just now.
        """
        claim = Claim(route.job.run, outcome.task, outcome.epoch)
        size = 0
        if route.carries_logs:
            for stream, log in _logs(route, outcome):
                self._work().send_log(claim, stream, log)
                size += log.stat().st_size
        if outcome.outputs and route.outputs is not Way.MOUNT:
            token = staging_token(claim.run, claim.task, claim.epoch)
            folder = open_store(route.local.store).staging(token)
            if route.outputs is Way.SERVER:
                told = self._work().send_outputs(claim, folder, outcome.outputs)
                outcome = replace(outcome, outputs=told)
            else:
                self._hand_in(route, token, folder, outcome.outputs)
            size += sum(one.size for one in outcome.outputs)
        return outcome, size

    def clear(self, route: Route, attempts: Collection[tuple[int, int]]) -> None:
        """Remove what attempts have left on this machine: task and epoch of each."""
        if route.outputs is not Way.MOUNT:
            tokens = {staging_token(route.job.run, *attempt) for attempt in attempts}
            _discard(open_store(route.local.store), tokens)
        if route.carries_logs:
            names = {name for attempt in attempts for name in _names(*attempt)}
            if len(attempts) > _FEW:
                names &= _listed(route)
            for name in names:
                with suppress(OSError):
                    os.unlink(Path(route.local.logs, name))

    def cut_short(self, route: Route, attempts: Collection[tuple[int, int]]) -> None:
        """Remove what worker processes here have left that were ended in the middle of attempts."""
        _remove(route, self._own(route, attempts))

    def tidy(self, route: Route, attempts: Collection[tuple[int, int]]) -> None:
        """Remove what attempts have left in a store that is shared, after the end of their run.

        Whoever drove the run has tidied up there, but they came later.
        """
        if route.outputs is Way.MOUNT:
            tokens = {staging_token(route.job.run, *one) for one in attempts}
            _remove(route, tokens | self._own(route, attempts))

    def _own(self, route: Route, attempts: Collection[tuple[int, int]]) -> set[str]:
        """Where worker processes here stage what they are at."""
        tokens = {own_token(staging_token(route.job.run, *one), self._mark) for one in attempts}
        return tokens | set(map(part_token, tokens))

    def _hand_in(self, route: Route, token: str, folder: Path, outputs: Sequence[Output]) -> None:
        bucket: Store = open_store(route.job.store, work=self._staged)
        # On one disk, so nothing is copied. What isn't here was moved by an earlier try, which
        # may have handed it in, too: then there must be no new folder, and nothing happens.
        for name in os.listdir(folder):
            shutil.move(folder / name, bucket.staging(token) / name)
        sealed = [Stored(one.path, one.size, one.sha256, one.mtime_ns) for one in outputs]
        bucket.hand_in(token, sealed)


def _remove(route: Route, tokens: set[str]) -> None:
    """Remove what is staged under these names; of a run that is over, nothing stays behind."""
    with suppress(StoreError):
        store = open_store(route.local.store)
        _discard(store, tokens)
        store.clean()


def _discard(store: Store, tokens: set[str]) -> None:
    with suppress(StoreError):
        if len(tokens) > _FEW:
            tokens = tokens & set(store.staged())
    for token in tokens:
        with suppress(StoreError):
            store.discard(token)


def _listed(route: Route) -> frozenset[str]:
    with suppress(OSError):
        return frozenset(os.listdir(route.local.logs))
    return frozenset()


def _names(task: int, epoch: int) -> set[str]:
    return {f"{task}-{epoch}.out", f"{task}-{epoch}.err"}


def _logs(route: Route, outcome: Outcome) -> list[tuple[str, Path]]:
    """What the attempt has printed, if it has."""
    found = []
    for stream in ("out", "err"):
        log = Path(route.local.logs, f"{outcome.task}-{outcome.epoch}.{stream}")
        with suppress(OSError):
            if log.stat().st_size:
                found.append((stream, log))
    return found
