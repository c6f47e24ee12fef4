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
from grange.pipelines import catalog
from grange.pool.models import site_word
from grange.runs.models import NewItem, RunSpec
from grange.runs.service import Runs
from grange.settings import Settings, load
from grange.storage import file_uri
from tests.brokers import Broker
from tests.engines.rabbit.stand import Station, until


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
    with closing(open_database(settings.database)) as database:
        site = site_word(Accounts(database, open_cache("memory")).site())
    with Station(settings.engine, site):
        yield


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
