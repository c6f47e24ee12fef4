"""The checker of promises finds what must not happen, in histories that were doctored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.contract.history import faults_in
from tests.faults.machines.promises import broken, outputs, recovery_seconds
from tests.faults.machines.recorder import Note, events, item_faults
from tests.faults.machines.stage import Machines


def _task(deal: int, before: str | None, after: str, epoch: int = 1, at: float = 0.0) -> Note:
    return Note(at, deal, "task", 1, 7, epoch, before, after, None)


def _attempt(deal: int, end: str, epoch: int = 1) -> Note:
    return Note(0.0, deal, "attempt", None, 7, epoch, None, end, None)


def _item(deal: int, before: str | None, after: str, token: str | None = None) -> Note:
    return Note(0.0, deal, "item", 1, 3, None, before, after, token)


SOUND = [
    _item(1, None, "waiting"),
    _task(2, None, "running"),
    _item(2, "waiting", "running"),
    # Within a transaction the order of statements says nothing.
    _task(3, "running", "done"),
    _item(3, "running", "publishing"),
    _attempt(3, "done"),
    _item(4, "publishing", "done", token="abcdefghij-7-1"),
]


def test_a_sound_history_is_found_sound() -> None:
    """A task that was claimed, done and published, whatever the order within a transaction."""
    assert [] == faults_in(events(SOUND))
    assert [] == list(item_faults(SOUND))


@pytest.mark.parametrize(
    ("doctored", "words"),
    [
        (SOUND[:3], "Task 7: it is lost"),
        (SOUND[:3], "Item 3: it is lost"),
        ([*SOUND, _task(5, "done", "running", epoch=2)], "claimed after it was done"),
        ([*SOUND, _attempt(5, "done")], "two outcomes of epoch 1"),
        ([*SOUND, _item(5, "publishing", "done", token="abcdefghij-7-1")], "published twice"),
        ([*SOUND, _item(5, "done", "waiting")], "Item 3: it has not one end"),
        ([*SOUND[:2], _task(3, "running", "waiting"), *SOUND[3:]], ""),
        ([one for one in SOUND if one.kind != "attempt"], "no outcome says so"),
    ],
)
def test_what_was_doctored_is_found(doctored: list[Note], words: str) -> None:
    """Each lost, doubled or resurrected task, and each item without its one end, is a sentence."""
    found = [*faults_in(events(doctored)), *item_faults(doctored)]

    assert any(words in one for one in found) if words else [] == found


def test_recovery_is_told_from_what_was_under_way() -> None:
    """Until the last attempt that was held at the time is settled; for ever, while it is not."""
    held = [_task(1, None, "running", at=1.0)]
    other = replace(_task(2, None, "running", at=5.0), id=8)

    assert 4.0 == recovery_seconds([*held, _task(3, "running", "done", at=7.0)], 3.0)
    assert float("inf") == recovery_seconds([*held, other], 3.0)
    assert 0.0 == recovery_seconds([*held, _task(3, "running", "done", at=2.0), other], 3.0)


@pytest.mark.timeout(300)
def test_files_that_were_doctored_are_found(site: Machines, tmp_path: Path) -> None:
    """Of a real run: a byte that is another, a file that is missing, one too many, a lost run."""
    run = site.begin(4)
    site.end_of_all()
    assert [] == site.broken()
    copy = tmp_path / "out"
    for name, data in outputs(run.out).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(data)
    (copy / "000" / "copy").write_bytes(b"other")
    (copy / "001" / "copy").unlink()
    (copy / "more").touch()

    found = "\n".join(broken(site.recorder, [replace(run, out=copy), replace(run, id="nobody")]))

    told = ("000/copy has other bytes", "000/copy is not what the ledger says", "001/copy is miss")
    for words in (*told, "more should not be there", "nobody: it is lost"):
        assert words in found
