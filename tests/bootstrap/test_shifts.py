"""Which of a server's runs are worked on, where there is no place for all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from grange.accounts.service import Accounts
from grange.accounts.sessions import open_cache
from grange.bootstrap.driving import open_shift
from grange.bootstrap.embedded import open_runs
from grange.bootstrap.shifts import IDLE
from grange.core.resources import Needs
from grange.core.states import RunState
from grange.db import open_database
from grange.engines.rabbit.link import connect
from grange.engines.rabbit.names import Names, address
from grange.pipelines import catalog
from grange.pool.models import site_word
from grange.runs.models import NewItem, RunSpec
from grange.runs.service import Runs
from grange.settings import Settings, load
from grange.storage import file_uri
from tests import aside
from tests.brokers import Broker
from tests.engines.rabbit.stand import Scene, Station, until


@pytest.fixture
def settings(rabbitmq_server: Broker) -> Settings:
    """Give a server that works on one run at a time, by the workers of a broker."""
    return load({"engine": rabbitmq_server.url, "runs_at_once": 1})


def test_a_run_that_nobody_can_do_lets_others_have_their_turn(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no place that one that waits could use, says so, and goes on when it can."""
    monkeypatch.setattr("grange.bootstrap.shifts.IDLE_SECONDS", 0.7)
    with open_runs(settings) as runs:
        stuck = _submit(runs, tmp_path / "stuck", Needs(cores=2.0))
        plain = _submit(runs, tmp_path / "plain", Needs())
        with _station(settings), _at_work(settings):
            until(lambda: runs.find(plain).state is RunState.DONE)
            until(lambda: runs.find(stuck).note == IDLE)

        assert RunState.WAITING is runs.find(stuck).state


def test_the_queue_of_a_run_that_was_cancelled_while_no_server_ran_goes_with_the_next_one(
    settings: Settings, tmp_path: Path
) -> None:
    """That of a run which is still to be done stays, with all that was said to it."""
    with open_runs(settings) as runs:
        over, waits = (_submit(runs, tmp_path / name, Needs()) for name in ("over", "waits"))
        scene = Scene(settings.engine, _site(settings))
        with closing(scene):
            for run in (over, waits):
                engine = scene.engine(run)
                engine.adopt(())
                until(lambda name=run: _is_there(scene, name))  # type: ignore[misc]
                engine.close()
            scene.engines.clear()
            runs.cancel(runs.find(over))
            runs.pause(runs.find(waits))

            with _at_work(settings):
                until(lambda: not _is_there(scene, over))
                assert _is_there(scene, waits)


def _is_there(scene: Scene, run: str) -> bool:
    """Whether the broker has the run's queue of outcomes."""

    async def ask() -> int | None:
        session = await connect(address(scene.url), "test")
        try:
            line = await session.line(frail=True)
            return await line.depth(Names(scene.site).outcomes(run))
        finally:
            await session.close()

    return aside.run(ask()) is not None


def _submit(runs: Runs, out: Path, needs: Needs) -> str:
    """Submit a run of somebody's with one input."""
    spec = RunSpec(
        pipeline="command",
        version=catalog.find("command").version,
        params={"shell": "true"},
        function_key="f" * 64,
        out=file_uri(out),
        inputs={"roots": ["/in"]},
        needs=needs,
        owner="u1",
    )
    return runs.submit(spec, [NewItem("a", "file:///in/a", 1, 1)]).run.id


@contextmanager
def _station(settings: Settings) -> Iterator[None]:
    """Let a machine of one core work for the site of these settings."""
    with Station(settings.engine, _site(settings)):
        yield


def _site(settings: Settings) -> str:
    """What the site of these settings is called at a broker."""
    with closing(open_database(settings.database)) as database:
        return site_word(Accounts(database, open_cache("memory")).site())


@contextmanager
def _at_work(settings: Settings) -> Iterator[None]:
    """Work on all runs meanwhile."""
    with open_shift(settings) as shift:
        working = threading.Thread(target=shift.work)
        working.start()
        try:
            yield
        finally:
            shift.stop()
            working.join()
