"""What the process that drives runs has counted reaches the server, whatever becomes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grange.core.events import AttemptsEnded, ItemEnded, RunProgress, Tried, WorkerActivity
from grange.core.states import AttemptEnd, ItemState, RunState
from grange.core.tasks import Outcome, OutcomeState, Output, TaskKind
from grange.telemetry import drive, metrics
from grange.telemetry.counting import Counting
from grange.telemetry.metrics import Metric
from grange.telemetry.tally import Spread, Tally


def _told(home: Path, *, later: float = 0.0) -> dict[tuple[Metric, tuple[str, ...]], object]:
    found = drive.told(home, now=time.time() + later)
    return {(one.metric, one.labels): one.value for one in found}


def _work(home: Path, retries: int) -> None:
    with drive.counted(home) as counting:
        counting.tally.add(metrics.RETRIES, "wildlife", "split", amount=retries)


def test_counts_reach_whoever_reads_them(home: Path) -> None:
    """Through a file of the home, whole at any time."""
    _work(home, 3)

    told = _told(home)

    assert 3.0 == told[metrics.RETRIES, ("wildlife", "split")]
    assert 0 < float(str(told[metrics.DRIVER_BYTES, ()]))


def test_a_new_process_goes_on_counting(home: Path) -> None:
    """A counter that fell with each restart would hide what happened before it."""
    _work(home, 3)
    _work(home, 4)

    assert 7.0 == _told(home)[metrics.RETRIES, ("wildlife", "split")]


def test_a_dead_process_says_nothing_about_now(home: Path) -> None:
    """What it has counted stays, and its gauges go."""
    _work(home, 3)

    told = _told(home, later=drive.FRESH_SECONDS + 1)

    assert 3.0 == told[metrics.RETRIES, ("wildlife", "split")]
    assert (metrics.DRIVER_BYTES, ()) not in told


def test_two_that_drive_one_home_keep_out_of_each_others_way(home: Path) -> None:
    """Each has a place of its own, and their counts add up."""
    with drive.counted(home) as one, drive.counted(home) as two:
        one.tally.add(metrics.RETRIES, "wildlife", "split", amount=1)
        two.tally.add(metrics.RETRIES, "wildlife", "split", amount=2)

    assert 3.0 == _told(home)[metrics.RETRIES, ("wildlife", "split")]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"at": 1}', '{"at": "x", "samples": []}', "\x00", "[" * 100_000]
)
def test_a_broken_file_is_no_reason_to_tell_nothing(home: Path, content: str) -> None:
    """A disk that was full, or another program's file, costs these counts and no more."""
    _work(home, 3)
    (home / drive.FOLDER / "drive-1.json").write_text(content)

    assert 3.0 == _told(home)[metrics.RETRIES, ("wildlife", "split")]


def test_a_broken_file_is_begun_anew(home: Path) -> None:
    """Whoever counts next goes on from nothing."""
    _work(home, 3)
    (home / drive.FOLDER / "drive-0.json").write_text("{")
    _work(home, 4)

    assert 4.0 == _told(home)[metrics.RETRIES, ("wildlife", "split")]


def test_a_full_disk_stops_no_run(small_disk: Callable[[int], Path]) -> None:
    """What can't be written is not told: that is all."""
    disk = small_disk(1 << 16)
    with drive.counted(disk) as counting:
        (disk / "filler").write_bytes(b"x" * ((1 << 16) - 12288))
        for number in range(900):
            counting.tally.add(metrics.COUNTED, "wildlife", f"thing {number}")

    assert json.loads((disk / drive.FOLDER / "drive-0.json").read_text())["samples"]


def _tried(kind: TaskKind, end: AttemptEnd, *, size: int = 10, **changes: object) -> Tried:
    outcome = Outcome(1, 1, OutcomeState.DONE, 2.0, peak_bytes=1 << 20)
    outcome.outputs = (Output("a", 7, "", 0), Output("b", 5, "", 0))
    return Tried(kind, size, outcome, end, **changes)  # type: ignore[arg-type]


def test_attempts_are_counted_by_their_ends() -> None:
    """With retries and bytes; the time of one that fell silent nobody knows."""
    tally = Tally()
    listener = Counting(tally).listener("3k9", "wildlife")
    done = _tried(TaskKind.SPLIT, AttemptEnd.DONE, last=True)
    part = _tried(TaskKind.PROCESS, AttemptEnd.DONE)
    failed = _tried(TaskKind.SPLIT, AttemptEnd.FAILED, again=True)
    lost = _tried(TaskKind.SPLIT, AttemptEnd.LOST, again=True)

    listener(AttemptsEnded(run="3k9", tried=[done, part, failed], refused=2))
    listener(AttemptsEnded(run="3k9", tried=[lost], overdue=True))
    listener(
        ItemEnded(run="3k9", path="p", state=ItemState.DONE, seconds=1, attempts=1, reused=True)
    )
    listener.close()

    told = {(one.metric.name, *one.labels): one.value for one in tally.samples()}
    assert 1.0 == told["grange_attempts_total", "wildlife", "split", "done"]
    assert 1.0 == told["grange_attempts_total", "wildlife", "split", "failed"]
    assert 1.0 == told["grange_attempts_total", "wildlife", "split", "lost"]
    assert 2.0 == told["grange_retries_total", "wildlife", "split"]
    assert 1.0 == told["grange_lease_losses_total", "wildlife"]
    assert 2.0 == told["grange_outcomes_refused_total", "wildlife"]
    assert 10.0 == told["grange_input_bytes_total", "wildlife"]
    assert 12.0 == told["grange_output_bytes_total", "wildlife"]
    assert 1.0 == told["grange_items_ended_total", "wildlife", "done"]
    assert 1.0 == told["grange_items_reused_total", "wildlife"]
    seconds = told["grange_attempt_seconds", "wildlife", "split"]
    assert isinstance(seconds, Spread)
    assert (2, 4.0) == (seconds.count, seconds.sum)


def _progress(run: str, *items: str | None) -> RunProgress:
    workers = [WorkerActivity(name="w", item=item, kind=None, seconds=1.0) for item in items]
    return RunProgress(
        run=run,
        state=RunState.RUNNING,
        total=1,
        done=0,
        failed=0,
        cancelled=0,
        reused=0,
        bytes_total=0,
        elapsed_seconds=1,
        per_second=0,
        left_seconds=None,
        workers=workers,
    )


def test_slots_of_all_runs_add_up_and_go_with_them() -> None:
    """A run that has ended keeps no worker busy."""
    tally = Tally()
    counting = Counting(tally)
    one, two = counting.listener("one", "wildlife"), counting.listener("two", "command")

    one(_progress("one", "a.mp4", None))
    two(_progress("two", "b.mp4"))
    both = {one.labels: one.value for one in tally.samples()}
    one.close()
    two.close()
    none = {one.labels: one.value for one in tally.samples()}

    assert {("busy",): 2.0, ("idle",): 1.0, ("silent",): 0.0} == both
    assert {("busy",): 0.0, ("idle",): 0.0, ("silent",): 0.0} == none


def test_an_engine_is_told_by_its_kind() -> None:
    """Its address holds a password."""
    tally = Tally()
    Counting(tally).engine_stands("amqp://grange:secret@broker", up=False)

    found = [one for one in tally.samples() if one.metric is metrics.ENGINE_UP]

    assert [(("amqp",), 0.0)] == [(one.labels, one.value) for one in found]
