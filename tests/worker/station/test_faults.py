"""What a station survives: its own end, that of the broker and of the server, and a full disk."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.station.stage import Stage, until

pytestmark = pytest.mark.faults

SHARED_WORDS = "with the server"
# Says in a file of the share that it was done, once for each time that it is.
NOTE = "echo {name} >> $NOTES; cat {input} > {output}/copy"


@pytest.fixture
def notes(stage: Stage, tmp_path: Path) -> Path:
    """Name a file in which tasks note that they are done."""
    return tmp_path / "notes"


def test_a_killed_worker_goes_on_where_it_was(stage: Stage, notes: Path) -> None:
    """After its kill -9 nothing of it runs on; started again it gives back what it had."""
    worker = stage.worker("killed", slots=2)
    worker.wait_for(SHARED_WORDS)
    files = {f"{number}": f"{number}" for number in range(6)}
    shell = f"test -e {notes} || exec sleep 600; cat {{input}} > {{output}}/copy"
    run = stage.submit(stage.fill("killed-in", files), shell)
    until(lambda: _sleepers(worker.home), "tasks that are begun")

    worker.kill()
    until(lambda: not _sleepers(worker.home), "the end of what it had started", seconds=20)
    notes.touch()
    again = stage.worker("killed", line="", slots=2)
    again.wait_for("goes on with")

    ended = stage.finish(run)
    assert (6, 0) == (ended["counts"]["done"], ended["counts"]["failed"])


@pytest.mark.parametrize("how", ["cancel", "pause"])
def test_what_was_called_off_while_nobody_was_there_is_begun_by_nobody(
    stage: Stage, notes: Path, how: str
) -> None:
    """Its messages lie in the queue when the next worker comes, who has other things to do."""
    gone = stage.worker(f"gone-{how}")
    gone.wait_for(SHARED_WORDS)
    files = {f"{number}": f"{number}" for number in range(6)}
    run = stage.submit(stage.fill(f"gone-{how}", files), f"echo {{name}} >> {notes}; sleep 600")
    until(notes.exists, "a task that is begun")
    gone.kill()
    answer = stage.admin.post(f"/runs/{run}/{how}")
    assert answer.status_code < 300, answer.text
    queue = f"outcomes.{run}"
    until(lambda: queue not in stage.broker.control("list_queues", "name"), "the end of its queue")

    stage.worker(f"next-{how}").wait_for("joined")
    other = stage.submit(stage.fill(f"next-{how}", {"a": "1"}), "cat {input} > {output}/copy")

    assert "done" == stage.finish(other)["state"]
    assert 1 == len(notes.read_text().splitlines())
    stage.admin.post(f"/runs/{run}/cancel")


def test_a_worker_that_missed_the_end_of_its_run_lets_go_of_it(stage: Stage) -> None:
    """It finds out at the broker; nothing of it is left at work, or beside the results."""
    worker = stage.worker("missed")
    worker.wait_for(SHARED_WORDS)
    shell = "echo half > {output}/half; exec sleep 600"
    run = stage.submit(stage.fill("missed-in", {"a": "1"}), shell)
    until(lambda: _sleepers(worker.home), "a task that is begun")
    staged = stage.outputs(run) / ".grange"
    assert staged.exists()

    worker.process.send_signal(signal.SIGSTOP)
    stage.broker.control("close_all_connections", "a test")
    answer = stage.admin.post(f"/runs/{run}/cancel")
    assert answer.status_code < 300, answer.text
    queue = f"outcomes.{run}"
    until(lambda: queue not in stage.broker.control("list_queues", "name"), "the end of its queue")
    worker.process.send_signal(signal.SIGCONT)

    assert _sleepers(worker.home)
    until(lambda: not _sleepers(worker.home), "the end of the task", seconds=180)
    until(lambda: not staged.exists(), "the end of what it has staged", seconds=20)


def test_strays_of_a_killed_worker_are_killed_at_its_next_start(stage: Stage) -> None:
    """Even those that nobody could end with it: its own processes were stopped meanwhile."""
    worker = stage.worker("strays")
    worker.wait_for(SHARED_WORDS)
    run = stage.submit(stage.fill("strays-in", {"a": "1"}), "exec sleep 601", retries=0)
    until(lambda: _sleepers(worker.home), "a task that is begun")
    stopped = [pid for pid in _processes(worker.home) if pid != worker.process.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)

    worker.kill()
    assert set(stopped) <= set(_processes(worker.home))
    stage.worker("strays", line="").wait_for("joined")

    assert not set(stopped) & set(_processes(worker.home))
    stage.admin.post(f"/runs/{run}/cancel")


def test_outcomes_outlive_the_broker_and_the_worker(stage: Stage, notes: Path) -> None:
    """Done while the broker was away, told after both were started again: no work is repeated."""
    worker = stage.worker("outliving", slots=2)
    worker.wait_for(SHARED_WORDS)
    go, begun = notes.with_name("go"), notes.with_name("begun")
    begin = f"echo {{name}} >> {begun}; while ! test -e {go}; do sleep 0.05; done"
    shell = f"{begin}; NOTES={notes}; {NOTE}"
    run = stage.submit(stage.fill("outliving-in", {"a": "1", "b": "2"}), shell, retries=0)
    until(lambda: len(_lines(begun)) == 2, "tasks that are begun")

    stage.broker.kill()
    try:
        worker.wait_for("the broker is away since")
        go.touch()
        until(lambda: len(_lines(notes)) == 2, "their end")
        until(lambda: _journalled(worker.home) >= 2, "what came of them, on the disk")
        worker.kill()
        again = stage.worker("outliving", line="", slots=2)
        again.wait_for("goes on with 2 tasks")
    finally:
        stage.broker.start()

    ended = stage.finish(run)
    assert (2, 0) == (ended["counts"]["done"], ended["counts"]["failed"])
    assert ["a", "b"] == sorted(_lines(notes))


def test_work_goes_on_when_the_broker_returns_with_an_empty_disk(stage: Stage) -> None:
    """Even the worker's own user has to be made again there: it asks the server for that."""
    worker = stage.worker("wiped", slots=2)
    worker.wait_for(SHARED_WORDS)

    stage.broker.kill()
    stage.broker.wipe()
    stage.broker.start()
    files = {f"{number}": f"{number}" for number in range(6)}
    run = stage.submit(stage.fill("wiped-in", files), "cat {input} > {output}/copy")

    ended = stage.finish(run, seconds=90)
    assert (6, 0) == (ended["counts"]["done"], ended["counts"]["failed"])
    assert "the broker is back" in worker.text()


def test_a_server_that_is_away_stops_no_work(stage: Stage, notes: Path) -> None:
    """What was made while it was away is carried to it when it is back."""
    worker = stage.worker("patient", prefix=stage.apart())
    worker.wait_for("joined")
    shell = "for i in 1 2 3 4 5 6; do sleep 0.5; done; cat {input} > {output}/copy"
    run = stage.submit(stage.fill("patient-in", {"a": "some bytes"}), shell, retries=0)
    until(lambda: _sleepers(worker.home, "sh"), "a task that is begun")

    stage.cut_down()
    worker.wait_for("the server is away since")
    until(lambda: not _sleepers(worker.home, "sh"), "its end")
    stage.restart()

    ended = stage.finish(run)
    assert (1, 0) == (ended["counts"]["done"], ended["counts"]["failed"])
    assert "some bytes" == (stage.outputs(run) / "a" / "copy").read_text()
    worker.wait_for("the server is back")


def test_a_mount_that_vanishes_costs_no_item(stage: Stage, tmp_path: Path) -> None:
    """What fails by it is given back; from then on bytes come through the server."""
    pretended = tmp_path / "mounted"
    pretended.symlink_to(stage.share)
    mapped = f"{stage.share}={pretended}"
    worker = stage.worker("unmounted", "--mount", mapped, prefix=stage.without(stage.server.home))
    worker.wait_for(SHARED_WORDS)
    run = stage.submit(
        stage.fill("unmounted-in", {str(number): f"{number}" for number in range(6)}),
        "sleep 0.5; cat {input} > {output}/copy",
        retries=0,
    )
    until(lambda: stage.run(run)["counts"]["done"], "the first item")

    pretended.unlink()

    ended = stage.finish(run)
    assert (6, 0) == (ended["counts"]["done"], ended["counts"]["failed"])


def test_a_full_disk_is_said_and_no_item_fails_by_it(
    stage: Stage, small_disk: Callable[[int], Path]
) -> None:
    """With no room nothing new is taken; with room again work goes on by itself."""
    disk = small_disk(24 << 20)
    (stage.folder / "full").symlink_to(disk)
    filler = disk / "filler"
    worker = stage.worker("full", prefix=stage.apart())
    worker.wait_for("joined")
    filler.write_bytes(b"x" * (23 << 20))
    worker.wait_for("the disk is full")
    run = stage.submit(stage.fill("full-in", {"a": "1", "b": "2"}), "cat {input} > {output}/copy")
    time.sleep(1)  # In which it would take a task, if it took any.
    assert (0, 0) == tuple(stage.run(run)["counts"][name] for name in ("done", "failed"))

    filler.unlink()

    worker.wait_for("there is room on the disk again")
    ended = stage.finish(run)
    assert (2, 0) == (ended["counts"]["done"], ended["counts"]["failed"])


def _processes(home: Path) -> list[int]:
    """All processes of a worker."""
    mark = f"GRANGE_HOME={home}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if mark in environment.split(b"\0"):
                found.append(int(name))
    return found


def _sleepers(home: Path, program: str = "sleep") -> list[int]:
    """The commands of this program that a worker has started."""
    found = []
    for pid in _processes(home):
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if name == program:
            found.append(pid)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _journalled(home: Path) -> int:
    """How many outcomes are in a worker's journal."""
    return (home / "worker" / "journal").read_text().count('"state"')
