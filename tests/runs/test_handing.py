"""What a worker on another machine gets of a run, and what is taken from it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from grange import errors
from grange.core.tasks import Output, Task, TaskKind, staging_token
from grange.db import Database
from grange.engines.base import HERE, Holder
from grange.runs import claims
from grange.runs.handing import Handing, Held
from grange.runs.models import NewItem
from grange.storage import Stored
from tests.runs.ledgers import Hand, done, failed, spec_of

# Two workers, by their ids.
RACK = "r4ckr4ckrk"
ATTIC = "4tt1c4tt1c"


@pytest.fixture
def handing(database: Database, tmp_path: Path) -> Handing:
    """Give what hands bytes to workers."""
    return Handing(database, logs=tmp_path / "logs")


def test_an_attempt_under_way_is_held(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """Its run, its task and its epoch name it, and it says what it works on."""
    task = _claim(hand, tmp_path)
    held = _held(handing, hand, task)

    assert ("in.txt", task.uri, 5) == (held.path, held.uri, held.size)
    assert staging_token(hand.driven.id, task.id, 1) == held.token
    assert b"hello" == b"".join(handing.source(held).read(0, 5))
    assert b"ll" == b"".join(handing.source(held).read(2, 2))


def test_every_other_attempt_is_refused(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """An earlier or later epoch, another task, another run: all the same."""
    task = _claim(hand, tmp_path)
    for run, number, epoch in (
        (hand.driven.id, task.id, 2),
        (hand.driven.id, task.id, 0),
        (hand.driven.id, task.id + 1, 1),
        ("0000000000", task.id, 1),
    ):
        with pytest.raises(errors.ClaimEnded):
            handing.held(run, number, epoch, worker=RACK)


def test_whoever_comes_late_is_refused(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """Once a task was given to another worker, the first one can't write into its outputs."""
    task = _claim(hand, tmp_path)
    held = _held(handing, hand, task)
    hand.conclude(failed(task))
    with pytest.raises(errors.ClaimEnded):
        handing.check(held)
    (again,) = hand.claim()

    assert (task.id, 2) == (again.id, again.epoch)
    assert held.token != _held(handing, hand, again).token
    with pytest.raises(errors.ClaimEnded):
        _held(handing, hand, task)


def test_whoever_asks_first_has_it(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """An attempt has one worker: nobody else reads its input, or sends outputs for it."""
    task = _claim(hand, tmp_path)
    held = _held(handing, hand, task)
    with pytest.raises(errors.ClaimEnded, match="another worker's"):
        _held(handing, hand, task, ATTIC)
    handing.check(held)

    assert RACK == _held(handing, hand, task).worker


def test_of_several_that_ask_at_once_one_has_it(
    hand: Hand, handing: Handing, tmp_path: Path
) -> None:
    """Whatever else happens at that moment."""
    task = _claim(hand, tmp_path)
    gate = threading.Barrier(4)

    def ask(worker: str) -> bool:
        gate.wait(10)
        with suppress(errors.ClaimEnded):
            return bool(_held(handing, hand, task, worker))
        return False

    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(ask, ["1111111111", "2222222222", "3333333333", "4444444444"]))
    assert 1 == sum(got)


def test_what_the_driver_heard_holds(
    hand: Hand, handing: Handing, database: Database, tmp_path: Path
) -> None:
    """A worker that took an attempt has it before it has asked for anything."""
    task = _claim(hand, tmp_path)
    claims.bind(database, [Holder(task.id, task.epoch, ATTIC)])
    with pytest.raises(errors.ClaimEnded, match="another worker's"):
        _held(handing, hand, task)

    assert ATTIC == _held(handing, hand, task, ATTIC).worker


def test_an_attempt_is_bound_once(
    hand: Hand, handing: Handing, database: Database, tmp_path: Path
) -> None:
    """What is said later, or of another epoch, or by what is no worker, changes nothing."""
    task = _claim(hand, tmp_path)
    claims.bind(database, [Holder(task.id, task.epoch + 1, ATTIC)])
    claims.bind(database, [Holder(task.id, task.epoch, name) for name in ("", "no\0id", "x" * 99)])
    _held(handing, hand, task)
    claims.bind(database, [Holder(task.id, task.epoch, ATTIC)])

    assert RACK == _held(handing, hand, task).worker


def test_the_next_attempt_is_anybodys(
    hand: Hand, handing: Handing, database: Database, tmp_path: Path
) -> None:
    """A task that is given out again may go to any worker, also when its driver has changed."""
    task = _claim(hand, tmp_path)
    _held(handing, hand, task)
    hand.conclude(failed(task))
    (again,) = hand.claim()

    assert ATTIC == _held(handing, hand, again, ATTIC).worker
    with pytest.raises(errors.ClaimEnded, match="another worker's"):
        _held(handing, hand, again)


def test_what_is_done_here_is_no_workers(
    hand: Hand, handing: Handing, database: Database, tmp_path: Path
) -> None:
    """No worker elsewhere gets anything of what the driver's own machine does."""
    task = _claim(hand, tmp_path)
    claims.bind(database, [Holder(task.id, task.epoch, HERE)])
    with pytest.raises(errors.ClaimEnded, match="another worker's"):
        _held(handing, hand, task)


def test_an_input_that_has_changed_is_refused(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """No worker works on other bytes than were submitted."""
    held = _held(handing, hand, _claim(hand, tmp_path))
    reading = handing.source(held).read(0, 5)
    (tmp_path / "in.txt").write_text("other")
    with pytest.raises(errors.InputChanged):
        list(reading)
    with pytest.raises(errors.InputChanged):
        handing.source(held)
    (tmp_path / "in.txt").unlink()
    with pytest.raises(errors.InputMissing):
        handing.source(held)
    os.mkfifo(tmp_path / "in.txt")
    with pytest.raises(errors.InputUnreadable):
        handing.source(held)


def test_outputs_are_sealed_as_they_were_sent(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """What is missing is named; what nobody wants is removed; then they can be published."""
    task = _claim(hand, tmp_path)
    held = _held(handing, hand, task)
    sent = [_put(handing, held, name, name.encode()) for name in ("a", "b/c", "old")]
    wanted = [*sent[:2], _stored("d", b"d")]

    assert (["d"], []) == handing.seal(held, wanted)
    wanted[2] = _put(handing, held, "d", b"d")
    missing, sealed = handing.seal(held, wanted)
    assert ([], ["a", "b/c", "d"]) == (missing, [one.path for one in sealed])
    outputs = tuple(
        Output(one.path, one.size, one.sha256 or "", one.mtime_ns or 0) for one in sealed
    )
    published = hand.publish(hand.conclude(done(task, outputs=outputs)))
    assert ["done"] == [str(one.state) for one in published.ended]
    out = tmp_path / "out" / "in.txt"
    assert {"a": b"a", "b/c": b"b/c", "d": b"d"} == {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    assert [] == list(hand.driven.store.staged())


def test_a_server_that_forgot_reads_what_is_there(
    hand: Hand, handing: Handing, database: Database, tmp_path: Path
) -> None:
    """Digests are remembered for speed alone."""
    held = _held(handing, hand, _claim(hand, tmp_path))
    sent = _put(handing, held, "a", b"a")
    anew = Handing(database, logs=tmp_path / "logs")

    assert ([], [sent]) == anew.seal(held, [sent])
    assert ["a"] == anew.seal(held, [_stored("a", b"b")])[0]


def test_a_merge_gets_its_own_parts_alone(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """The listing names each part's files, and no other attempt's files can be read by it."""
    merge, tokens = _merging(hand, tmp_path)
    held = _held(handing, hand, merge)
    parts = handing.parts(held)

    assert tokens == [part.token for part in parts]
    assert [["0.txt"], ["1.txt"]] == [[one.path for one in part.files] for part in parts]
    store, found = handing.part_file(held, tokens[1], "1.txt")
    assert (b"1", 1) == (b"".join(store.read("1.txt")), found.size)
    assert tokens[1:] == [part.token for part in handing.parts(held, after=1)]
    for token, path in (
        (tokens[0], "absent"),
        (f"{hand.driven.id}-999-1", "0.txt"),
        (held.token, "0.txt"),
    ):
        with pytest.raises(errors.StoreMissing):
            handing.part_file(held, token, path)
    with pytest.raises(errors.StorePathRefused):
        handing.part_file(held, tokens[0], "../1.txt")


def test_whoever_merges_nothing_gets_no_parts(hand: Hand, handing: Handing, tmp_path: Path) -> None:
    """Parts are for merges."""
    held = _held(handing, hand, _claim(hand, tmp_path))

    assert [] == handing.parts(held)
    with pytest.raises(errors.StoreMissing):
        handing.part_file(held, held.token, "a")


def _claim(hand: Hand, tmp_path: Path, **changes: object) -> Task:
    file = tmp_path / "in.txt"
    file.write_text("hello")
    status = file.stat()
    item = NewItem("in.txt", file.as_uri(), status.st_size, status.st_mtime_ns)
    hand.take(hand.submit(spec_of(tmp_path / "out", **changes), [item]).number)
    (task,) = hand.claim()
    return task


def _merging(hand: Hand, tmp_path: Path) -> tuple[Task, list[str]]:
    """Bring an item of two parts to its merge."""
    split = _claim(hand, tmp_path, splits=True)
    hand.conclude(done(split, result=["one", "two"]))
    parts = hand.claim()
    for part in parts:
        outputs = hand.stage(part, {f"{part.part}.txt": str(part.part).encode()})
        hand.conclude(done(part, result=part.part, outputs=outputs))
    (merge,) = hand.claim()
    assert TaskKind.MERGE is merge.kind
    ordered = sorted(parts, key=lambda one: one.part)
    return merge, [staging_token(hand.driven.id, one.id, one.epoch) for one in ordered]


def _held(handing: Handing, hand: Hand, task: Task, worker: str = RACK) -> Held:
    return handing.held(hand.driven.id, task.id, task.epoch, worker=worker)


def _put(handing: Handing, held: Held, path: str, content: bytes) -> Stored:
    with handing.arrival(held, path, size=len(content)) as arrival:
        arrival.write([content])
        stored = arrival.end()
    assert stored is not None
    return stored


def _stored(path: str, content: bytes) -> Stored:
    return Stored(path, len(content), sha256(content).hexdigest())
