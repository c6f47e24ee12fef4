"""What workers and servers of protocol 1 say over HTTP, and keep on the disk, was recorded once.

A change that makes one of these tests fail cuts old workers off new servers, or
lets an upgraded worker lose what it has done. Add to what is said; where that
is not enough, raise the number of the protocol or of the file's format.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from grange.client.schemas.workers import (
    Beat,
    Capacity,
    Facts,
    Gpu,
    Joined,
    Joining,
    Orders,
    Probe,
    TaskNow,
)
from grange.core.tasks import Failure, Outcome, OutcomeState, Output
from grange.worker.station.journal import Entry, Journal
from grange.worker.station.papers import PAPERS_NAME, Papers, read_papers, write_papers

RECORDED = Path(__file__).parent / "protocol1"

_CAPACITY = Capacity(
    slots=4, cores=4.0, memory_bytes=16 << 30, gpus=[Gpu(index=0, name="T4", memory_bytes=1 << 34)]
)
SAID: dict[str, BaseModel] = {
    "joining.json": Joining(
        token="4bxk29sd0q.secret",
        secret="s" * 43,
        facts=Facts(
            name="rack",
            capacity=_CAPACITY,
            labels=["attic"],
            version="0.1.0",
            protocol=1,
            system="Linux",
            metrics_url="http://192.0.2.7:9000/metrics",
        ),
    ),
    "joined.json": Joined(
        worker="8b5c2d1f0g",
        name="rack",
        labels=["attic"],
        site="0123456789bc",
        engine="amqp://user:password@broker.example.org:5672/",
        probes=[Probe(path="/srv/videos/.grange-probe", content="words")],
        beat_seconds=2.0,
        lease_seconds=60.0,
        version="0.1.0",
        protocol=1,
    ),
    "beat.json": Beat(
        capacity=_CAPACITY,
        labels=["attic"],
        version="0.1.0",
        protocol=1,
        metrics_url="http://192.0.2.7:9000/metrics",
        node_port=9100,
        busy=2,
        held=3,
        tasks=[TaskNow(run="3k7m9p2q4r", task=1, epoch=2, seconds=1.5, progress=0.5, path="a/b")],
        done=7,
        failed=1,
        cpu=0.5,
        load=1.5,
        memory_used_bytes=1 << 30,
        memory_bytes=16 << 30,
        bytes_in=5,
        bytes_out=6,
        cache_bytes=7,
        shares=["/srv/videos"],
        engine_up=False,
        leaving=True,
    ),
    "orders.json": Orders(
        state="draining",
        beat_seconds=2.0,
        lease_seconds=60.0,
        version="0.1.0",
        protocol=1,
        fits=False,
        said="The worker is older.",
    ),
}
PAPERS = Papers(
    server="https://grange.example.org",
    pin="5" * 64,
    worker="8b5c2d1f0g",
    name="rack",
    key="grangeworker_8b5c2d1f0g_secret",
    engine="amqp://grange.site.8b5c2d1f0g:password@broker.example.org:5672/",
    site="0123456789bc",
    probes=(("/srv/videos/.grange-probe", "words"),),
    labels=("attic",),
    lease_seconds=60.0,
    beat_seconds=2.0,
)
DONE = Outcome(
    3, 2, OutcomeState.DONE, 1.5, "w1", outputs=(Output("copy", 5, "2" * 64, 1 << 60),), result=7
)
FAILED = Outcome(4, 1, OutcomeState.FAILED, failure=Failure("command.failed", "It failed."))
ENTRIES = [
    Entry("3k7m9p2q4r", 1, 1),
    Entry("3k7m9p2q4r", 2, 1, begun=True),
    Entry("3k7m9p2q4r", 3, 2, begun=True, outcome=DONE),
    Entry("3k7m9p2q4r", 4, 1, begun=True, outcome=FAILED, carried=True),
]


@pytest.mark.parametrize("name", SAID)
def test_what_an_older_version_said_is_understood(name: str) -> None:
    """Nothing that it says is refused, and nothing of it gets lost."""
    meant = SAID[name]

    assert meant == meant.model_validate_json((RECORDED / name).read_bytes())


@pytest.mark.parametrize("name", SAID)
def test_an_older_version_finds_all_that_it_reads(name: str) -> None:
    """What is said now has everything that was said then, under the same names."""
    then, now = json.loads((RECORDED / name).read_bytes()), SAID[name].model_dump(mode="json")

    assert then == _as_far_as(then, now)


@pytest.mark.parametrize("name", SAID)
def test_what_a_later_version_adds_is_passed_over(name: str) -> None:
    """A worker may be newer than its server, or older."""
    meant, said = SAID[name], json.loads((RECORDED / name).read_bytes())

    assert meant == meant.model_validate({**said, "novelty": 1})


def test_papers_of_an_older_version_are_good(tmp_path: Path) -> None:
    """A worker that is upgraded need not join again; nor does one that goes back."""
    shutil.copy(RECORDED / PAPERS_NAME, tmp_path / PAPERS_NAME)
    assert PAPERS == read_papers(tmp_path)

    write_papers(tmp_path, PAPERS)

    then = json.loads((RECORDED / PAPERS_NAME).read_bytes())
    assert then == json.loads((tmp_path / PAPERS_NAME).read_bytes())


def test_a_journal_of_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    """What an older worker had done before it was ended for its upgrade is told by the newer."""
    shutil.copy(RECORDED / "journal", tmp_path / "journal")
    journal = Journal(tmp_path / "journal")

    assert ENTRIES == journal.unsettled()

    journal.close()
    lines = (tmp_path / "journal").read_bytes().split(b"\n")
    assert (RECORDED / "journal").read_bytes().split(b"\n") == lines


def record() -> None:
    """Write down what the version that runs says and keeps; done once."""
    RECORDED.mkdir(exist_ok=True)
    for name, said in SAID.items():
        (RECORDED / name).write_text(said.model_dump_json())
    write_papers(RECORDED, PAPERS)
    (RECORDED / "journal").unlink(missing_ok=True)
    journal = Journal(RECORDED / "journal")
    journal.take(ENTRIES[0].run, [(one.task, one.epoch) for one in ENTRIES])
    journal.begin([(one.task, one.epoch) for one in ENTRIES[1:]])
    journal.end(ENTRIES[0].run, [DONE], carried=False)
    journal.end(ENTRIES[0].run, [FAILED], carried=True)
    journal.close()
    # Read once more it is written anew, in the order of what was taken.
    Journal(RECORDED / "journal").close()


def _as_far_as(then: Any, now: Any) -> Any:  # JSON
    """What is said now of what was said then."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {name: _as_far_as(value, now.get(name)) for name, value in then.items()}
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [_as_far_as(*both) for both in zip(then, now, strict=True)]
    return now
