"""What workers of other machines are called on the pages: names, not ids."""

from __future__ import annotations

from pathlib import Path

from grange.core.events import RunProgress, WorkerActivity
from grange.core.states import RunState
from grange.errors import DatabaseBusy
from grange.pool.models import Worker, WorkerState
from grange.runs.activity import ActivityWriter
from grange.server.called import Called

ID = "4bxk29sd0q"


def _worker(name: str) -> Worker:
    facts = {"capacity": {}, "version": "", "protocol": 1, "system": "", "address": ""}
    return Worker(
        id=ID,
        name=name,
        state=WorkerState.ACTIVE,
        labels=(),
        metrics_url="",
        joined_at=0.0,
        seen_at=0.0,
        **facts,  # type: ignore[arg-type]
    )


def _tell(folder: Path, *names: str) -> float:
    workers = [WorkerActivity(name=one, item="a.txt", kind="process", seconds=1.0) for one in names]
    ActivityWriter(folder)(
        RunProgress(
            run="r",
            state=RunState.RUNNING,
            total=1,
            done=0,
            failed=0,
            cancelled=0,
            reused=0,
            bytes_total=0,
            elapsed_seconds=1.0,
            per_second=0.0,
            left_seconds=None,
            workers=workers,
        )
    )
    return (folder / "activity.json").stat().st_mtime


def test_a_worker_of_another_machine_goes_by_its_name(tmp_path: Path) -> None:
    """Its id leads to its page. Processes of this machine have none and stay what they are."""
    now = _tell(tmp_path, ID, "w1")

    told = Called(lambda: [_worker("rack-2")]).activity(tmp_path, now=now)

    assert told is not None
    assert [("rack-2", ID), ("w1", None)] == [
        (one["name"], one.get("worker")) for one in told["workers"]
    ]


def test_a_database_that_is_away_takes_names_from_nobody(tmp_path: Path) -> None:
    """Ids will do until it is back: what goes on is shown all the same."""

    def away() -> list[Worker]:
        raise DatabaseBusy("The database is busy.")

    told = Called(away).activity(tmp_path, now=_tell(tmp_path, ID))

    assert told is not None
    assert [ID] == [one["name"] for one in told["workers"]]


def test_nothing_is_told_where_nothing_goes_on(tmp_path: Path) -> None:
    """A run that nobody works on has no activity."""
    assert Called().activity(tmp_path, now=0.0) is None
