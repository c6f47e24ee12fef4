"""Whose work it is: what one worker holds no other one gets, ends or spoils, whatever it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from grange.client.connection import Connection
from grange.client.work import Claim, Work
from grange.core.tasks import Outcome, OutcomeState
from grange.engines.rabbit.link import connect
from grange.engines.rabbit.messages import Report, pack_report
from grange.engines.rabbit.names import Names, address
from grange.errors import ClaimEnded
from grange.worker.station.papers import Papers, read_papers
from tests import aside
from tests.server import works
from tests.worker.station.stage import Stage, Worker, until

SHELL = "while [ ! -e {go} ]; do sleep 0.05; done; cp {{input}} {{output}}/copy"


def test_no_worker_passes_for_another(stage: Stage, tmp_path: Path) -> None:
    """One that knows another one's attempt gets nothing of it, and is not believed about it."""
    thief = _papers(_ended(stage, "thief"))
    # What it shares with the server it needs no bytes for: so it is the driver that has to know.
    holder = stage.worker("holder")
    holder.wait_for("with the server")
    mine = _papers(holder)
    go = tmp_path / "go"
    run = stage.submit(stage.fill("held-in", {"a": "mine"}), SHELL.format(go=go))
    claim = Claim(run, *_held_by(stage, run, mine.worker))

    with (
        Connection(stage.server.url, token=thief.key) as connection,
        pytest.raises(ClaimEnded, match="another worker's"),
    ):
        Work(connection).fetch_input(claim, tmp_path / "stolen", size=4, sha256=None)
    forged = Outcome(claim.task, claim.epoch, OutcomeState.DONE)
    for name in (thief.worker, mine.worker):
        report = Report(name, "session", outcomes=(forged,))
        aside.run(_report(thief, run, report))
    words = f"speaks for the worker '{mine.worker}'"
    until(lambda: words in stage.server.log.read_text(), "the driver's word of it")
    go.touch()

    assert "done" == stage.finish(run)["state"]
    [item] = stage.admin.get(f"/runs/{run}/items").json()["items"]
    assert 1 == item["attempts"]
    assert "mine" == (stage.outputs(run) / "a" / "copy").read_text()


def test_what_a_dead_worker_held_is_another_ones_anew(stage: Stage, tmp_path: Path) -> None:
    """The next attempt is bound to whoever takes that, and its bytes go to it alone."""
    dead = stage.worker("dead", prefix=stage.apart())
    dead.wait_for("joined")
    go = tmp_path / "go"
    run = stage.submit(stage.fill("dead-in", {"a": "again"}), SHELL.format(go=go))
    task, epoch = _held_by(stage, run, _papers(dead).worker)
    heir = stage.worker("heir", prefix=stage.apart())
    heir.wait_for("joined")
    dead.kill()
    again = _held_by(stage, run, _papers(heir).worker)
    go.touch()

    assert "done" == stage.finish(run)["state"]
    assert task == again[0]
    assert epoch < again[1]
    assert "again" == (stage.outputs(run) / "a" / "copy").read_text()


def _ended(stage: Stage, name: str) -> Worker:
    worker = stage.worker(name)
    worker.wait_for("joined")
    worker.end()
    return worker


def _papers(worker: Worker) -> Papers:
    papers = read_papers(worker.home / "worker")
    assert papers is not None
    return papers


def _held_by(stage: Stage, run: str, worker: str) -> tuple[int, int]:
    """The task and the epoch of the run's attempt, once the ledger knows who has it."""
    query = (
        "select tasks.id, tasks.epoch from tasks join runs on runs.number = tasks.run "
        f"where runs.id = '{run}' and tasks.state = 'running' and tasks.holder = '{worker}'"
    )
    until(lambda: works.ledger(stage.server.home, query), f"what {worker} holds")
    [(task, epoch)] = works.ledger(stage.server.home, query)
    return task, epoch


async def _report(papers: Papers, run: str, report: Report) -> None:
    """Send a report with what these papers open."""
    session = await connect(address(papers.engine), "thief")
    line = await session.line(confirms=True)
    assert await line.send(pack_report(report), Names(papers.site).reports, run)
    await session.close()
