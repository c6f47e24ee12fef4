"""What is done to frames: found, named and posed once, and never again while it is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grange.errors import InputUnreadable, ModelFailed
from grange.pipelines.wildlife.models.registry import Models
from tests.pipelines.wildlife.conftest import DEER, Zoo
from tests.pipelines.wildlife.media.filming import film
from tests.pipelines.wildlife.models.graphs import Made, Thing
from tests.pipelines.wildlife.whole import take

SIZE = (160, 96)


def _light(path: Path, level: int = 230) -> Path:
    Image.fromarray(np.full((96, 160, 3), level, np.uint8)).save(path)
    return path


def _of(entry: Any, category: str, member: str) -> list[Any]:
    return [one.get(member) for one in entry["detections"] if one["category"] == category]


def test_animals_are_found_named_and_posed(tmp_path: Path, zoo: Zoo) -> None:
    """From the original's pixels, in fractions of it; people are found alone."""
    taken = take(_light(tmp_path / "a.png"), tmp_path / "work", **zoo)

    sure, shadow = [one for one in taken.entry["detections"] if one["category"] == "1"]
    (person,) = [one for one in taken.entry["detections"] if one["category"] == "2"]
    assert pytest.approx([0.2, 0.3, 0.2, 0.4], abs=0.01) == sure["bbox"]
    assert pytest.approx(0.9 * 230 / 255, abs=0.01) == sure["conf"]
    assert 3 == len(sure["classifications"])
    (nose, tail) = sure["keypoints"]
    assert nose[0] < 0.3 < tail[0]
    assert pytest.approx([0.5, 0.5], abs=0.02) == [nose[1], tail[1]]
    for other in (shadow, person):
        assert not {"classifications", "keypoints"} & set(other)
    assert {"finding": 1, "naming": 1, "posing": 1} == {
        name: taken.seen[name] for name in ("finding", "naming", "posing")
    }


def test_a_still_has_its_outputs(tmp_path: Path, zoo: Zoo) -> None:
    """Its record says what was found; what was not asked for is not made."""
    file = _light(tmp_path / "a.png")

    taken = take(file, tmp_path / "work", **zoo)
    bare = take(file, tmp_path / "bare", **zoo | {"pose": "none"}, labelled=False)

    names = ["detections.csv", "detections.json", "labelled.jpg", "thumb.jpg"]
    assert names == sorted(one.name for one in taken.out.iterdir())
    assert [names[0], names[1], names[3]] == sorted(one.name for one in bare.out.iterdir())
    record = taken.record
    assert ("image", 160, 96, "thumb.jpg", "labelled.jpg", True) == tuple(
        record[name] for name in ("kind", "width", "height", "thumb", "labelled", "poses")
    )
    conf = record["found"]["animal"]["conf"]
    assert {"conf": conf, "detections": 1, "tracks": 0} == record["found"]["animal"]
    assert ["animal", "person"] == sorted(record["found"])
    assert 1 == len(record["species"])
    assert (None, False) == (bare.record["labelled"], bare.record["poses"])


def test_what_is_known_is_not_done_again(tmp_path: Path, zoo: Zoo) -> None:
    """No model is even opened, and the bytes are the same."""
    file = film(tmp_path / "a.mp4", 60, size=SIZE)
    kept: dict[str, bytes] = {}

    first = take(file, tmp_path / "first", kept, **zoo)
    again = take(file, tmp_path / "again", kept, **zoo, pcutoff=0.1)

    assert 10 == first.seen["finding"] == first.seen["naming"] == first.seen["posing"]
    done = {name for name, count in again.seen.items() if count}
    assert {"reading seconds", "looking seconds", "writing seconds"} == done
    fresh = take(file, tmp_path / "fresh", **zoo, pcutoff=0.1)
    assert {name for name in fresh.seen if name.endswith("loads")}
    for name in ("detections.json", "tracks.csv", "poses.csv", "labelled.mp4", "thumb.jpg"):
        assert fresh[name] == again[name]
    assert first["labelled.mp4"] != again["labelled.mp4"]


def test_names_of_finds_that_are_not_known_are_not_used(tmp_path: Path, zoo: Zoo) -> None:
    """Made anew elsewhere, there may be fewer or more animals than were named and posed."""
    file = film(tmp_path / "a.mp4", 30, size=SIZE)
    kept: dict[str, bytes] = {}
    first = take(file, tmp_path / "first", kept, **zoo)
    finding, naming, posing = kept
    kept[naming] = kept[posing] = b"[]"
    del kept[finding]

    again = take(file, tmp_path / "again", kept, **zoo)

    assert first["detections.json"] == again["detections.json"]
    assert 5 == again.seen["finding"] == again.seen["naming"] == again.seen["posing"]


@pytest.mark.parametrize(
    ("changed", "repeated"),
    [
        ({"pose": "none"}, set()),
        ({"classifier": "none"}, set()),
        ({"label_threshold": 0.15}, {"naming", "posing"}),
        ({"threshold": 0.06}, {"finding", "naming", "posing"}),
        ({"sample_fps": 2}, {"finding", "naming", "posing"}),
        ({"labelled": False, "plots": False, "part_seconds": 1}, set()),
    ],
)
def test_what_changes_is_done_again(
    tmp_path: Path, zoo: Zoo, changed: dict[str, Any], repeated: set[str]
) -> None:
    """That stage and those that build upon it, no other."""
    file = film(tmp_path / "a.mp4", 30, size=SIZE)
    kept: dict[str, bytes] = {}
    take(file, tmp_path / "first", kept, **zoo)

    again = take(file, tmp_path / "again", kept, **(zoo | changed))

    assert repeated == {name for name in ("finding", "naming", "posing") if again.seen[name]}


def test_a_picture_in_another_place_is_another(tmp_path: Path, zoo: Zoo) -> None:
    """The same packets at the same place in a video of the same times are known, by any name."""
    kept: dict[str, bytes] = {}
    take(film(tmp_path / "a.mp4", 30, size=SIZE), tmp_path / "first", kept, **zoo)
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())

    renamed = take(tmp_path / "b.mp4", tmp_path / "renamed", kept, **zoo)
    slower = take(film(tmp_path / "c.mp4", 30, rate=15, size=SIZE), tmp_path / "c", kept, **zoo)

    assert 0 == renamed.seen["finding"]
    assert 10 == slower.seen["finding"]


def test_species_of_a_detector_stand_in_for_a_classifier(
    tmp_path: Path, zoo: Zoo, add: Callable[..., str]
) -> None:
    """A detector of one's own that tells deer from boar needs no second model."""
    own = {"classes": ["deer", "boar", "person"], "counts_as": ["animal", "animal", "person"]}
    boar = Thing(DEER.x, DEER.y, DEER.width, DEER.height, 0.9, kind=1)
    name = add("own", boar, **own)
    file = _light(tmp_path / "a.png")

    alone = take(file, tmp_path / "a", **zoo | {"detector": name, "classifier": "none"})
    named = take(file, tmp_path / "b", **zoo | {"detector": name})

    assert ["boar"] == list(alone.record["species"])
    assert {"0": "deer", "1": "boar", "2": "person"} == _species(alone)
    assert ["red deer", "green deer", "blue deer"] == list(_species(named).values())


@pytest.mark.parametrize("level", [230, 90])
def test_what_a_detector_calls_it_is_known_whoever_names_it(
    tmp_path: Path, zoo: Zoo, add: Callable[..., str], level: int
) -> None:
    """With a classifier after a run without one, and the other way round, nothing is mixed up."""
    own = {"classes": ["deer", "boar", "person"], "counts_as": ["animal", "animal", "person"]}
    boar = Thing(DEER.x, DEER.y, DEER.width, DEER.height, 0.9, kind=1)
    name = add("own", boar, **own)
    file = _light(tmp_path / "a.png", level)
    alone, named = zoo | {"detector": name, "classifier": "none"}, zoo | {"detector": name}
    for number, (before, after) in enumerate([(alone, named), (named, alone)]):
        kept: dict[str, bytes] = {}
        take(file, tmp_path / f"before-{number}", kept, **before)

        again = take(file, tmp_path / f"again-{number}", kept, **after)
        fresh = take(file, tmp_path / f"fresh-{number}", **after)

        assert 0 == again.seen["finding"]
        assert fresh["detections.json"] == again["detections.json"]


def _species(taken: Any) -> dict[str, str]:
    import json

    found: dict[str, str] = json.loads(taken["detections.json"])["classification_categories"]
    return found


def test_nonsense_of_a_model_fails_the_item(tmp_path: Path, home: Path, zoo: Zoo) -> None:
    """Numbers that are none are no result; nothing is kept of them."""
    fixed = np.full((7, 1260), np.nan, np.float32)
    graph = Made(size=(96, 160), fixed={"output0": fixed}).write(tmp_path / "mad.onnx")
    Models(home / "models").add(graph, {"classes": ["animal", "person", "vehicle"]})
    kept: dict[str, bytes] = {}

    with pytest.raises(ModelFailed, match="mad"):
        take(_light(tmp_path / "a.png"), tmp_path / "work", kept, **zoo | {"detector": "mad"})

    assert not kept


def test_a_video_of_one_frame_is_a_video(tmp_path: Path, zoo: Zoo) -> None:
    """With all that a video has, and a track of one detection."""
    taken = take(film(tmp_path / "a.mp4", 1, size=SIZE), tmp_path / "work", **zoo)

    assert ("video", 1, 1) == tuple(taken.record[name] for name in ("kind", "frames", "analysed"))
    assert 1 == taken.record["found"]["animal"]["tracks"]
    assert [0] == _of(taken.entry, "2", "frame_number")
    assert (taken.out / "labelled.mp4").stat().st_size > 0


def test_a_thumb_is_there_where_nothing_is(tmp_path: Path, add: Callable[..., str]) -> None:
    """Of a frame near the middle, whatever the parts."""
    file = film(tmp_path / "a.mp4", 120, size=SIZE, rate=5, gop=5)
    name = add("blind", Thing(0.5, 0.5, 0.1, 0.1, 0.0))
    settings: Zoo = {"detector": name, "classifier": "none", "pose": "none"}

    whole = take(file, tmp_path / "whole", **settings, part_seconds=1e9)
    cut = take(file, tmp_path / "cut", **settings, part_seconds=0.01)

    assert {} == whole.record["found"]
    assert whole["thumb.jpg"] == cut["thumb.jpg"]
    assert "poses.csv" not in {one.name for one in whole.out.iterdir()}


def test_what_of_a_damaged_video_is_left_is_taken(tmp_path: Path, zoo: Zoo) -> None:
    """The record says what is missing; of a video without a single frame there is no result."""
    whole = film(tmp_path / "a.mp4", 60, size=SIZE, grain=60).read_bytes()
    third = len(whole) // 3
    damaged = tmp_path / "b.mp4"
    damaged.write_bytes(whole[:third] + bytes(third) + whole[2 * third :])

    taken = take(damaged, tmp_path / "damaged", **zoo, sample_fps="all")

    assert 60 == taken.record["frames"] > taken.record["analysed"] > 0
    missing = taken.record["frames"] - taken.record["analysed"]
    assert f"{missing} frames could not be decoded." in taken.record["loss"]
    assert "" == take(tmp_path / "a.mp4", tmp_path / "whole", **zoo).record["loss"]
    (tmp_path / "c.mp4").write_bytes(b"")
    with pytest.raises(InputUnreadable):
        take(tmp_path / "c.mp4", tmp_path / "nothing", **zoo)
