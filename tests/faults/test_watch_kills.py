"""kill -9 of a watch, at every step that only a growing run takes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.scene import Scene, outputs, scene_in

TEXTS = {"a.txt": "the quick brown fox", "b.txt": "jumps", "c.txt": ""}
MORE = {"b.txt": "over it all, twice", "d.txt": "and more"}
PIPELINE = str(Path(__file__).with_name("parts.py"))
WATCH = ("watch", PIPELINE, "in", "--out", "out", "--json", "--once", "--settle", "0.1")

STEPS = [
    ("before", "grange.runs.reopening:open_run", 1),
    ("after", "grange.runs.reopening:open_run", 1),
    ("before", "grange.runs.growing:_drop_outdated", 1),
    ("after", "grange.storage.local:LocalStore.delete_tree", 1),
    ("before", "grange.runs.growing:grow", 1),
    ("before", "grange.runs.planning:write", 1),
    ("after", "grange.runs.growing:grow", 1),
    ("after", "grange.runs.watching:_Account._write", 1),
    ("after", "grange.runs.runreport:RunReport.plan", 1),
    ("before", "grange.runs.runreport:RunReport.publish", 1),
    ("after", "grange.runs.closing:write_files", 1),
    ("before", "grange.runs.driving:finish", 1),
]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Give the results of watches that nobody kills."""
    with scene_in(tmp_path_factory.mktemp("control")) as scene:
        for files in (TEXTS, MORE):
            scene.fill(files)
            watched = scene.run(*WATCH)
            assert 0 == watched.returncode, watched.stderr
        scene.check_account()
        return outputs(scene.out)


@pytest.mark.parametrize(("when", "step", "number"), STEPS, ids=str)
def test_a_killed_watch_goes_on(
    scene: Scene, control: dict[str, bytes], when: str, step: str, number: int
) -> None:
    """The one that opens an ended run for more dies; the next one does what is left, and no more.

    Each file is done once for each content, wherever it happened.
    """
    scene.fill(TEXTS)
    assert 0 == scene.run(*WATCH).returncode
    scene.fill(MORE)
    killed = scene.run(*WATCH, fault=f"driver:{when}:{step}:{number}:SIGKILL")
    assert -signal.SIGKILL == killed.returncode, killed.stderr

    again = scene.run(*WATCH)

    assert 0 == again.returncode, again.stderr
    scene.check(control)
    assert [(4,)] == scene.ledger("select items_total from runs")
    done = "select count(*) from attempts join tasks on tasks.id = task where kind = 'merge'"
    assert [(5,)] == scene.ledger(f"{done} and \"end\" = 'done'")


def test_a_watch_that_was_killed_at_its_very_beginning_goes_on(scene: Scene) -> None:
    """A run that has no item yet is gone on with."""
    scene.fill(TEXTS)
    killed = scene.run(*WATCH, fault="driver:after:grange.runs.reopening:open_run:1:SIGKILL")
    assert -signal.SIGKILL == killed.returncode, killed.stderr

    again = scene.run(*WATCH)

    assert 0 == again.returncode, again.stderr
    scene.check_account()
    assert [(3, 3)] == scene.ledger("select items_total, items_done from runs")
