"""kill -9 of the process that drives a run, at every step of it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.scene import Scene, finish, outputs, scene_in

TEXTS = {"a.txt": "the quick brown fox", "b.txt": "jumps", "c.txt": "", "d e.txt": "over it all"}
RUN = ("run", str(Path(__file__).with_name("parts.py")), "in", "--out", "out", "--json")

# Each of these changes what is on disk, or what a worker does. With the call's number.
BEFORE_THE_RUN_IS_WHOLE = [
    ("grange.runs.submission:open_run", 1),
    ("grange.runs.submission:add_items", 1),
    ("grange.runs.submission:seal", 1),
]
OF_THE_RUN = [
    ("grange.runs.driving:take", 1),
    ("grange.runs.claims:claim", 1),
    ("grange.runs.claims:claim", 2),
    ("grange.runs.claims:draw", 3),
    ("grange.runs.claims:hold", 3),
    ("grange.runs.claims:renew", 1),
    ("grange.engines.process:WorkerProcess.__init__", 2),
    ("grange.engines.local:LocalEngine.publish", 1),
    ("grange.engines.local:LocalEngine.publish", 3),
    ("grange.engines.local:LocalEngine.collect", 2),
    ("grange.engines.local:LocalEngine.collect", 5),
    ("grange.runs.outcomes:conclude", 1),
    ("grange.runs.outcomes:conclude", 2),
    ("grange.runs.outcomes:conclude", 3),
    ("grange.runs.writes:Writes.write", 2),
    ("grange.runs.followups:Followups.write", 1),
    ("grange.runs.publishing:publish", 1),
    ("grange.runs.publishing:_publish", 1),
    ("grange.runs.publishing:_publish", 2),
    ("grange.runs.publishing:_finish", 1),
    ("grange.storage.workspace:move", 1),
    ("grange.storage.local:flush_folder", 1),
    ("grange.storage.local:LocalStore.discard", 1),
    ("grange.storage.local:LocalStore.discard", 5),
    ("grange.runs.runreport:RunReport.plan", 1),
    ("grange.runs.runreport:RunReport.publish", 1),
    ("grange.engines.local:LocalEngine.close", 1),
    ("grange.runs.closing:clear_staging", 1),
    ("grange.runs.manifest:write_manifests", 1),
    ("grange.storage.local:LocalStore.write", 1),
    ("grange.storage.local:LocalStore.write", 2),
    ("grange.storage.local:LocalStore.write", 3),
    ("grange.storage.local:LocalStore.clean", 1),
    ("grange.runs.driving:finish", 1),
]
# What stands after a step stands before the next one too, but for what is done between.
AFTER = pytest.param("after", marks=pytest.mark.faults)


def _each_once(steps: list[tuple[str, int]]) -> list[object]:
    """Leave the later calls of a function to `make test-faults`: the first is in `make test`."""
    first = dict(reversed(steps))
    return [
        pytest.param(step, number, marks=() if first[step] == number else pytest.mark.faults)
        for step, number in steps
    ]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Give the results of a run that nobody kills."""
    with scene_in(tmp_path_factory.mktemp("control")) as scene:
        scene.fill(TEXTS)
        done = scene.run(*RUN)
        assert 0 == done.returncode, done.stderr
        scene.check_account()
        return outputs(scene.out)


@pytest.mark.parametrize("when", ["before", AFTER])
@pytest.mark.parametrize(
    ("step", "number"), _each_once([*BEFORE_THE_RUN_IS_WHOLE, *OF_THE_RUN]), ids=str
)
def test_a_run_goes_on_after_a_kill(
    scene: Scene, control: dict[str, bytes], step: str, number: int, when: str
) -> None:
    """The same command again ends it: nothing is lost, half or doubled, and nothing stays."""
    scene.fill(TEXTS)
    killed = scene.run(*RUN, fault=f"driver:{when}:{step}:{number}:SIGKILL")
    assert -signal.SIGKILL == killed.returncode, killed.stderr

    again = scene.run(*RUN)

    assert 0 == again.returncode, again.stderr
    scene.check(control)


@pytest.mark.parametrize(("step", "number"), OF_THE_RUN[::4], ids=str)
def test_a_killed_run_is_resumed(
    scene: Scene, control: dict[str, bytes], step: str, number: int
) -> None:
    """`resume` goes on where the process was killed, as the same command does."""
    scene.fill(TEXTS)
    killed = scene.run(*RUN, fault=f"driver:before:{step}:{number}:SIGKILL")
    assert -signal.SIGKILL == killed.returncode, killed.stderr

    resumed = scene.runs("resume", "last")

    assert 0 == resumed.returncode, resumed.stderr
    scene.check(control)
    assert [(1,)] == scene.ledger("select count(*) from runs")


def test_a_run_survives_kills_at_random_moments(scene: Scene) -> None:
    """Fifteen kills, at any moment, cost two hundred items nothing but time."""
    chance = random.Random(20251121)
    texts = {f"{number:03}.txt": f"text {number}\n" * number for number in range(200)}
    scene.fill(texts)
    command = ("map", "cat {input} > {output}/copy", "in", "--out", "out", "--json")
    kills = 0
    while kills < 15:
        process = scene.start(*command)
        time.sleep(chance.uniform(0.1, 1.3))
        process.kill()
        kills += 1
        if finish(process).returncode == 0:
            break

    done = scene.run(*command)

    assert 0 == done.returncode, done.stderr
    scene.check({f"{name}/copy": text.encode() for name, text in texts.items()})
    assert kills > 3
    paths = scene.ledger("select run, path from items")
    assert len(paths) == len(set(paths))
    ends = scene.ledger("select task from attempts where end = 'done'")
    assert len(ends) == len(set(ends))
