"""One card with all that is broken, odd or mislabelled: each has its end, and the rest goes on."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import pytest

from grange.pipelines.wildlife.formats.validating import faults_of
from grange.pipelines.wildlife.media.encoding import MAX_SIDE
from grange.pipelines.wildlife.models.registry import SHIPPED
from tests.faults.scene import Scene, scene_in
from tests.integration import shoddy
from tests.integration.shoddy import Said

NO_MORE = ("--set", "classifier=none", "--set", "pose=none")
# Of the reasons, `no numbers` is the model's; all others are the file's own.
UNREADABLE, NO_NUMBERS = "input.unreadable", "model.failed"
SLACK = 0.011


@dataclass
class Card:
    """What the run was given, and what has to come of it."""

    scene: Scene
    broken: dict[str, str] = field(default_factory=dict)
    odd: dict[str, Said] = field(default_factory=dict)
    stills: dict[str, Said] = field(default_factory=dict)
    dark: str = ""

    @property
    def failed(self) -> set[str]:
        """What has to fail."""
        return {*self.broken, self.dark}

    @property
    def handled(self) -> set[str]:
        """What has to be done."""
        return {*self.odd, *self.stills}

    def own(self, name: str) -> dict[str, Any]:
        """An item's own file of results."""
        read: dict[str, Any] = json.loads((self.scene.out / name / "detections.json").read_text())
        return read

    def entry(self, name: str) -> dict[str, Any]:
        """An item's entry, with what the ledger has recorded of it."""
        (entry,) = self.own(name)["images"]
        return self.scene.items()[name]["result"] | entry

    def report(self) -> dict[str, dict[str, Any]]:
        """The entries of the run's report."""
        report = json.loads((self.scene.out / "report" / "detections.json").read_text())
        found = {one["file"]: one for one in report["images"]}
        assert len(report["images"]) == len(found)
        return found


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    """One run has gone over all of it."""
    folder = tmp_path_factory.mktemp("card") / "scene"
    folder.mkdir()
    with scene_in(folder) as scene:
        broken = shoddy.write_broken(scene.inputs)
        odd, stills = shoddy.write_odd(scene.inputs), shoddy.write_stills(scene.inputs)
        card = Card(scene, broken, odd, stills, shoddy.write_dark(scene.inputs))
        detector = ("--set", f"detector={shoddy.add_finder(scene.home, folder)}")
        words = ("run", "wildlife", "in", "--out", "out", "--set", "part_seconds=3600")
        done = scene.run(*words, *detector, *NO_MORE)
        assert 3 == done.returncode, done.stderr
        yield card


def test_everything_has_its_end(card: Card) -> None:
    """Each file is done or failed, as it must; nothing is lost, left behind or tried in vain."""
    states = {name: item["state"] for name, item in card.scene.items().items()}

    expected = dict.fromkeys(card.failed, "failed") | dict.fromkeys(card.handled, "done")
    assert expected == states
    card.scene.check_account()


def test_what_is_broken_fails_alone_with_one_clear_sentence(card: Card) -> None:
    """It names the file and what is wrong with it, and is said after one attempt."""
    items = card.scene.items()
    for name, said in card.broken.items():
        failure = items[name]["failure"]
        assert (UNREADABLE, 1) == (failure["code"], items[name]["attempts"])
        assert re.match(said, failure["message"]), failure
        assert not re.search("[\n\r]|Errno|Error|Traceback", failure["message"])
        assert failure["message"].endswith(".")


def test_a_model_without_numbers_fails_the_picture_alone(card: Card) -> None:
    """The sentence names the model; it was asked once, since it would say the same again."""
    item = card.scene.items()[card.dark]

    assert (NO_NUMBERS, 1) == (item["failure"]["code"], item["attempts"])
    assert "The model finder" in item["failure"]["message"]
    assert "gave numbers that are none" in item["failure"]["message"]
    assert "grange models check finder" in item["failure"]["message"]


def test_what_is_odd_is_seen_as_it_is(card: Card) -> None:
    """Sizes as shown, frame numbers and times of the original, and what was lost of it."""
    for name, said in (card.odd | card.stills).items():
        entry = card.entry(name)
        for key, value in said.items():
            if key == "loss":
                assert value in entry["loss"], name
            else:
                assert (name, key, value) == (name, key, entry[key])
        if "loss" not in said and name in card.odd:
            assert not entry["loss"], name


def test_what_is_there_of_a_damaged_video_has_its_numbers(card: Card) -> None:
    """Frames before the damage are all there, and analysed in the numbers of the original."""
    cut, torn = card.entry("cut.mkv"), card.entry("torn.avi")

    assert 30 <= cut["frames"] < 100
    processed = cut["frames_processed"]
    assert list(range(0, 2 * len(processed), 2)) == processed
    assert cut["frames"] - processed[-1] <= 3  # the very last one may be half
    assert 80 <= torn["frames"] <= 100
    assert list(range(0, 40, 2)) == [one for one in torn["frames_processed"] if one < 40]


def test_the_animal_is_found_in_each_of_them(card: Card) -> None:
    """Wherever a file is turned, stretched or deep: in its place, in all frames analysed."""
    for name in card.handled:
        entry = card.entry(name)
        if name in card.odd:
            frames = [one["frame_number"] for one in entry["detections"]]
            assert (name, entry["frames_processed"]) == (name, frames)
        assert entry["detections"]
        place = shoddy.place_in(entry["width"], entry["height"])
        for one in entry["detections"]:
            assert pytest.approx(place, abs=SLACK) == one["bbox"], name


def test_a_labelled_video_of_8k_fits_a_screen(card: Card) -> None:
    """Scaled down, its frames at their times; a video of odd sides is even."""
    seen = {}
    for name in ("8k.mp4", "odd.mp4", "turned.mp4", "rate.mp4"):
        with av.open(str(card.scene.out / name / "labelled.mp4")) as file:
            frames = [(one.width, one.height, one.time) for one in file.decode(video=0)]
        seen[name] = (*frames[0][:2], [time for *_, time in frames])

    assert (MAX_SIDE, 1080, [0.0, 0.5]) == seen["8k.mp4"]
    assert [0.0, 0.3, 0.7, 1.0, 1.9, 2.6] == pytest.approx(seen["rate.mp4"][2])
    assert (48, 64) == seen["turned.mp4"][:2]
    assert [0, 0] == [side % 2 for side in seen["odd.mp4"][:2]]


def test_the_report_lists_what_failed_and_why(card: Card) -> None:
    """In the results, the summary, the review and the report on the run: the same sentence."""
    items = card.scene.items()
    reasons = {name: items[name]["failure"]["message"] for name in card.failed}
    report = card.scene.out / "report"

    entries = card.report()
    assert [] == faults_of(report / "detections.json")
    assert card.failed | card.handled == set(entries)
    failed = {name: one for name, one in entries.items() if one.get("failure")}
    assert reasons == {name: one["failure"] for name, one in failed.items()}
    assert {None} == {one["detections"] for one in failed.values()}
    assert reasons == _summarised(report / "summary.csv")
    assert reasons == _reviewed(report / "review")
    page = (card.scene.out / "report.html").read_text(encoding="utf-8")
    assert "was cut off" in page
    assert "The model finder" in page
    assert "<b>100%" not in page
    assert "<img src=x" not in page


def _summarised(table: Path) -> dict[str, str]:
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        return {row["file"]: row["failure"] for row in csv.DictReader(file) if row["failure"]}


def _reviewed(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in sorted(folder.glob("items-*.js")):
        text = piece.read_text(encoding="ascii")
        items = json.loads(text[text.index("(") + 1 : text.rindex(")")])
        found |= {one["path"]: one["failure"] for one in items if one["failure"]}
    return found


@pytest.mark.parametrize("kind", ["no layout", "other file", "added, then changed"])
def test_a_model_that_is_wrong_is_refused_before_anything_is_done(scene: Scene, kind: str) -> None:
    """At submission, in one sentence; there is no run, and no output."""
    shoddy.write_stills(scene.inputs)
    if kind == "no layout":
        detector = str(shoddy.write_no_layout(scene.folder / "verdict.onnx"))
        said = r"The graph of the model verdict fits no known layout .*: it gives verdict \[.*1, 2"
    elif kind == "other file":
        detector = str(scene.folder / "other.toml")
        text = (SHIPPED / "detector.toml").read_text()
        shutil.copyfile(SHIPPED / "pose.onnx", scene.folder / "detector.onnx")
        Path(detector).write_text(text)
        said = "is not the one that its manifest means: its sha256 is [0-9a-f]+…, not [0-9a-f]+…"
    else:
        detector = shoddy.add_finder(scene.home, scene.folder)
        (added,) = (scene.home / "models" / detector).glob("*.onnx")
        with added.open("ab") as file:
            file.write(bytes(1))
        said = "The file of the model finder is not the one that its manifest means"

    done = scene.run("run", "wildlife", "in", "--out", "out", "--set", f"detector={detector}")

    assert 2 == done.returncode, done.stderr
    assert re.search(said, done.stderr.replace("\n", " ")), done.stderr
    assert not scene.out.exists()
    assert "" == scene.runs("list", "--json").stdout
