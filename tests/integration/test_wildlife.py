"""The wildlife pipeline as a whole: the same bytes however it is done, and nothing done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from grange.pipelines.wildlife.models.registry import SHIPPED
from tests.faults.scene import Scene, finish, outputs, scene_in, wait_until
from training.clips import write_clip
from training.scenes import Scene as Landscape

LONG, SHORT, BAD = "creek/deer.mp4", "fox.mp4", "cut.mp4"
PART_SECONDS = ("--set", "part_seconds=1e9")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a clip of several segments, one whose rate varies, and one that was cut off."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "creek").mkdir()
    deer = Landscape(3, size=(320, 180), kinds=("deer",), count=2, light="day")
    write_clip(folder / LONG, deer, 33, 6, gop=6)
    fox = Landscape(4, size=(320, 180), kinds=("fox",), count=1, light="day")
    write_clip(folder / SHORT, fox, 2, Fraction(30_000, 1001), variable_rate=True)
    (folder / BAD).write_bytes((folder / SHORT).read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def control(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One worker has taken each video in one part."""
    with _scene(tmp_path_factory.mktemp("control"), clips) as scene:
        done = scene.run(*_command(scene), *PART_SECONDS, "--workers", "1")
        assert 3 == done.returncode, done.stderr
        yield scene


@pytest.fixture
def scene(clips: Path, tmp_path: Path) -> Iterator[Scene]:
    """Give a place of its own to the test, with the same clips."""
    with _scene(tmp_path, clips) as scene:
        yield scene


@contextmanager
def _scene(folder: Path, clips: Path) -> Iterator[Scene]:
    place = folder / "scene"
    place.mkdir()
    with scene_in(place) as scene:
        shutil.copytree(clips, scene.inputs, dirs_exist_ok=True)
        yield scene


def _command(scene: Scene, out: str = "out") -> tuple[str, ...]:
    scene.out = scene.folder / out
    return ("run", "wildlife", "in", "--out", out)


def _seen(scene: Scene) -> Counter[str]:
    """What all attempts of the last run told of their work, added up."""
    query = (
        "select a.counts from attempts a join tasks t on t.id = a.task"
        " where a.counts is not null and t.run = (select max(number) from runs)"
    )
    seen: Counter[str] = Counter()
    for (counts,) in scene.ledger(query):
        seen.update(json.loads(counts))
    return seen


def _parts_done(scene: Scene) -> int:
    query = "select count(*) from tasks where kind = 'process' and state = 'done'"
    # The ledger may not be there yet, or have no tables.
    with suppress(sqlite3.OperationalError):
        return int(scene.ledger(query)[0][0])
    return 0


def _results(scene: Scene, item: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((scene.out / item / "detections.json").read_text())
    return results


def test_an_item_has_all_its_outputs(control: Scene) -> None:
    """Results, tables, poses, the labelled video, plots; and the run's own in its report."""
    files = {name for name in outputs(control.out) if not name.startswith("report/review/")}

    of_a_video = {
        "detections.json",
        "detections.csv",
        "tracks.csv",
        "poses.csv",
        "labelled.mp4",
        "thumb.jpg",
    }
    plots = {f"{name}.png" for name in ("trajectory", "plot", "plot-likelihood", "hist")}
    of_the_run = ("detections.json", "detections.csv", "tracks.csv", "summary.csv", "review.html")
    expected = {f"report/{name}" for name in of_the_run}
    for item in (LONG, SHORT):
        stem = Path(item).stem
        of_this = of_a_video | {f"plot-poses/{stem}/{name}" for name in plots}
        expected |= {f"{item}/{name}" for name in of_this}
    assert expected == files


def test_a_bad_item_fails_alone_and_once(control: Scene) -> None:
    """With one clear sentence, in the ledger and in the report; trying again can't help."""
    failed = control.items()[BAD]

    assert ("failed", "input.unreadable", 1) == (
        failed["state"],
        failed["failure"]["code"],
        failed["attempts"],
    )
    report = json.loads((control.out / "report" / "detections.json").read_text())
    by_name = {one["file"]: one for one in report["images"]}
    assert sorted([BAD, LONG, SHORT]) == sorted(by_name)
    assert (failed["failure"]["message"], None) == (
        by_name[BAD]["failure"],
        by_name[BAD]["detections"],
    )
    assert f"{BAD},,failed," in (control.out / "report" / "summary.csv").read_text()
    control.check_account()


def test_the_report_has_what_the_items_have(control: Scene) -> None:
    """Every item's entry as it stands in its own file."""
    report = json.loads((control.out / "report" / "detections.json").read_text())

    for item in (LONG, SHORT):
        own = _results(control, item)
        (entry,) = own["images"]
        assert entry in report["images"]
        assert own["info"] == report["info"]


def test_a_known_animal_is_found(control: Scene) -> None:
    """The shipped models see the deer for what they are, and follow them."""
    record = control.items()[LONG]["result"]
    (entry,) = _results(control, LONG)["images"]

    assert (198, 165, "6") == (record["frames"], record["analysed"], record["frame_rate"])
    assert record["found"]["animal"]["conf"] > 0.4
    assert "deer" == max(record["species"], key=record["species"].__getitem__)
    assert 33.0 == record["seconds"]
    assert 1 <= record["found"]["animal"]["tracks"] <= 30
    posed = [one for one in entry["detections"] if "keypoints" in one]
    assert len(posed) == record["found"]["animal"]["detections"] > 50
    assert {"1"} == {one["category"] for one in posed}


def test_frames_have_their_exact_times(control: Scene) -> None:
    """Numbers are those of the original; where the rate varies, each frame says its time."""
    (entry,) = _results(control, SHORT)["images"]

    assert entry["variable_rate"]
    rate = Fraction(30_000, 1001)
    exact = [(n + Fraction(n % 2, 3)) / rate for n in entry["frames_processed"]]
    assert [round(float(time), 4) for time in exact] == [round(t, 4) for t in entry["times"]]
    assert 10 == len(exact)
    spans = [int(time * 5) for time in entry["times"]]
    assert spans == list(range(10))


@pytest.mark.parametrize(("workers", "seconds"), [(2, "0.001"), (3, "15")])
def test_results_depend_on_neither_workers_nor_parts(
    control: Scene, scene: Scene, workers: int, seconds: str
) -> None:
    """A part for each segment or some together, two workers or three: the same files."""
    settings = ("--set", f"part_seconds={seconds}", "--workers", str(workers))

    done = scene.run(*_command(scene), *settings)

    assert 3 == done.returncode, done.stderr

    assert outputs(control.out) == outputs(scene.out)
    assert 2 <= _parts_done(scene)
    scene.check_account()
    for model in ("finding", "naming", "posing"):
        assert 1 <= _seen(scene)[f"{model} loads"] <= workers


def test_another_pose_model_repeats_the_pose_alone(control: Scene, scene: Scene) -> None:
    """Nothing is found or named again; the bytes are those of work begun from nothing."""
    model = scene.folder / "pose.toml"
    said = (SHIPPED / "pose.toml").read_text().replace("crop_scale = 1.25", "crop_scale = 1.4")
    model.write_text(said)
    shutil.copyfile(SHIPPED / "pose.onnx", scene.folder / "pose.onnx")
    other = ("--set", f"pose={model}", "--set", "pcutoff=0.3")
    before = _seen(control)

    again = control.run(*_command(control, "again"), *other)
    seen = _seen(control)
    fresh = scene.run(*_command(scene), *other)

    assert (3, 3) == (again.returncode, fresh.returncode)
    assert 165 + 10 == before["finding"]
    assert (0, 0) == (seen["finding"], seen["naming"])
    assert before["posing"] == seen["posing"] > 0
    assert {"posing loads"} == {name for name in seen if name.endswith("loads")}
    assert outputs(control.out) == outputs(scene.out)
    control.out = control.folder / "out"
    assert outputs(control.out) != outputs(scene.out)


def test_a_killed_worker_changes_nothing(control: Scene, scene: Scene) -> None:
    """Killed in the middle of a video, another one does its part again."""
    command = (*_command(scene), "--set", "part_seconds=0.001", "--workers", "1")
    running = scene.start(*command)
    wait_until(lambda: _parts_done(scene) >= 1)

    os.kill(scene.workers()[0], signal.SIGKILL)

    assert 3 == finish(running).returncode
    assert outputs(control.out) == outputs(scene.out)
    assert ("lost",) in scene.ledger('select "end" from attempts')
    scene.check_account()


def test_a_cancelled_run_leaves_nothing_behind(scene: Scene) -> None:
    """No process, no staged part, no temporary file, whatever was under way."""
    for number in range(12):
        shutil.copyfile(scene.inputs / LONG, scene.inputs / f"{number}.mp4")
    running = scene.start(*_command(scene), "--set", "part_seconds=0.001", "--workers", "2")
    wait_until(lambda: _parts_done(scene) >= 1)

    assert 0 == scene.runs("cancel", "last").returncode

    finish(running)
    assert "cancelled" == scene.show()["state"]
    scene.check_account()
