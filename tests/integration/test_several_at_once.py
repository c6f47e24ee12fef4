"""Several programs over one home and the same inputs: nothing is corrupted, nothing done twice."""

from __future__ import annotations

import json
import time

import pytest

from tests.cli.invocations import events
from tests.faults.scene import Scene, finish, wait_until

TEXTS = {f"{number}.txt": f"text {number}" for number in range(8)}
COPIES = {f"{name}/copy": text.encode() for name, text in TEXTS.items()}
SLOW = "echo {name} >> log; sleep 0.1; cat {input} > {output}/copy"
# Until the file `go` is there, whoever has begun waits.
WAIT = "echo {name} >> log; while ! test -e go; do sleep 0.02; done; cat {input} > {output}/copy"


def test_two_for_one_place_share_the_work(scene: Scene) -> None:
    """The second one says whom it follows; both end well, each item was worked on once."""
    scene.fill(TEXTS)
    first = scene.start("map", WAIT, "in", "--out", "out", "--json")
    wait_until((scene.folder / "log").exists)
    second = scene.start("map", WAIT, "in", "--out", "out", "--json")
    assert second.stdout
    told = json.loads(second.stdout.readline())
    (scene.folder / "go").touch()

    ends = [finish(first), finish(second)]

    assert [0, 0] == [one.returncode for one in ends], ends
    assert f"process {first.pid}" in told["driver"]
    assert "finished" == events(ends[1].stdout)[-1]["event"]
    scene.check(COPIES)
    assert sorted(TEXTS) == sorted((scene.folder / "log").read_text().split())


def test_five_at_the_same_moment_are_one_run(scene: Scene) -> None:
    """Whoever comes first, the others follow or find all of it done."""
    scene.fill(TEXTS)

    started = [scene.start("map", SLOW, "in", "--out", "out", "--json") for _ in range(5)]
    ends = [finish(one) for one in started]

    assert [0] * 5 == [one.returncode for one in ends], [one.stderr + one.stdout for one in ends]
    scene.check(COPIES)
    assert sorted(TEXTS) == sorted((scene.folder / "log").read_text().split())


def test_two_for_different_places_both_complete(scene: Scene) -> None:
    """Each has all results, though they share a ledger and the inputs."""
    scene.fill(TEXTS)

    outs = ("out", "elsewhere")
    ends = [finish(one) for one in [scene.start("map", SLOW, "in", "--out", out) for out in outs]]

    assert [0, 0] == [one.returncode for one in ends], ends
    scene.check(COPIES)
    scene.out = scene.folder / "elsewhere"
    scene.check(COPIES)


def test_another_command_for_the_same_place_is_refused(scene: Scene) -> None:
    """It is told which run has the place, and that one is not disturbed."""
    scene.fill(TEXTS)
    first = scene.start("map", WAIT, "in", "--out", "out", "--json")
    wait_until((scene.folder / "log").exists)

    other = scene.run("map", "true {input}", "in", "--out", "out")
    (scene.folder / "go").touch()

    assert 1 == other.returncode
    assert "[run.output_in_use]" in other.stderr
    assert 0 == finish(first).returncode
    scene.check(COPIES)


def test_a_second_home_at_the_same_place_publishes_whole_results(scene: Scene) -> None:
    """Two ledgers that know nothing of each other: every file is whole, and nothing stays."""
    scene.fill(TEXTS)
    first = scene.start("map", WAIT, "in", "--out", "out", "--json")
    scene.home = scene.folder / "home of another"
    second = scene.start("map", WAIT, "in", "--out", "out", "--json")
    for process in (first, second):
        # What is there before a run is made, no run that it knows has made: it would be spared.
        assert process.stdout
        assert "submitted" == json.loads(process.stdout.readline())["event"]
    (scene.folder / "go").touch()

    ends = [finish(first), finish(second)]

    assert [0, 0] == [one.returncode for one in ends], ends
    scene.check(COPIES)


def test_a_run_is_cancelled_from_another_process(scene: Scene) -> None:
    """Within five seconds nothing of it is left, and every item has its end."""
    scene.fill(TEXTS)
    deaf = "trap '' TERM; cat {input} > {output}/copy; test {name} = 0.txt || sleep 100"
    process = scene.start("map", deaf, "in", "--out", "out", "--json")
    wait_until(lambda: (scene.out / "0.txt/copy").exists() and scene.show()["state"] == "running")

    begun = time.monotonic()
    asked = scene.runs("cancel", "last")
    finish(process)
    seconds = time.monotonic() - begun

    assert (0, 1) == (asked.returncode, process.returncode), asked.stderr
    # Twice that, since on a busy machine the command that asks takes seconds to start.
    assert seconds < 10
    scene.check_account()
    states = {path: one["state"] for path, one in scene.items().items()}
    assert {"0.txt": "done"} == {path: one for path, one in states.items() if one != "cancelled"}
    assert "cancelled" == json.loads((scene.out / "run.json").read_text())["state"]


def test_a_killed_run_is_cancelled_and_retried(scene: Scene) -> None:
    """Nobody drives it: it ends at once; `retry` does what was not done."""
    scene.fill(TEXTS)
    process = scene.start("map", WAIT, "in", "--out", "out", "--json")
    wait_until((scene.folder / "log").exists)
    process.kill()
    finish(process)

    cancelled = scene.runs("cancel", "last")

    assert 0 == cancelled.returncode, cancelled.stderr
    scene.check_account()
    assert {"cancelled"} == {one["state"] for one in scene.items().values()}
    (scene.folder / "go").touch()
    retried = scene.runs("retry", "last")
    assert 0 == retried.returncode, retried.stderr
    scene.check(COPIES)


def test_a_run_is_paused_and_goes_on(scene: Scene) -> None:
    """What is done stays done, what was under way is done again, and no attempt is counted."""
    scene.fill(TEXTS)
    process = scene.start("map", WAIT, "in", "--out", "out", "--json")
    wait_until((scene.folder / "log").exists)

    paused = scene.runs("pause", "last")
    finish(process)

    assert (0, 130) == (paused.returncode, process.returncode)
    assert "paused" == scene.show()["state"]
    scene.check_nothing_is_left()
    (scene.folder / "go").touch()
    resumed = scene.runs("resume", "last")
    assert 0 == resumed.returncode, resumed.stderr
    scene.check(COPIES)
    assert {1} == {one["attempts"] for one in scene.items().values()}


def test_failed_items_are_retried(scene: Scene) -> None:
    """Only they are worked on again."""
    scene.fill(TEXTS)
    once = "echo {name} >> log; test {name} != 3.txt || test -d mended; cat {input} > {output}/copy"
    failed = scene.run("map", f"set -e; {once}", "in", "--out", "out", "--retries", "0")
    assert 3 == failed.returncode, failed.stderr
    (scene.folder / "mended").mkdir()

    retried = scene.runs("retry", "last")

    assert 0 == retried.returncode, retried.stderr
    scene.check(COPIES)
    assert sorted([*TEXTS, "3.txt"]) == sorted((scene.folder / "log").read_text().split())
    assert 2 == scene.items()["3.txt"]["attempts"]


@pytest.mark.parametrize("outputs_too", [True, False])
def test_a_run_at_work_is_not_deleted(scene: Scene, outputs_too: bool) -> None:
    """It is refused, and the run ends as if nobody had asked; then it can be deleted."""
    scene.fill(TEXTS)
    process = scene.start("map", WAIT, "in", "--out", "out", "--json")
    wait_until((scene.folder / "log").exists)
    words = ("delete", "last", "--yes", *(("--outputs",) if outputs_too else ()))

    refused = scene.runs(*words)
    (scene.folder / "go").touch()

    assert 1 == refused.returncode
    assert "[run.busy]" in refused.stderr
    assert 0 == finish(process).returncode
    scene.check(COPIES)
    assert 0 == scene.runs(*words).returncode
    assert outputs_too != (scene.out / "0.txt/copy").exists()
    for table in ("runs", "items", "tasks", "attempts", "outputs"):
        assert [(0,)] == scene.ledger(f"select count(*) from {table}")
    assert [] == list((scene.home / "runs").iterdir())
