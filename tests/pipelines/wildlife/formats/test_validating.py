"""Our own validator: what we write passes, and each rule of the format can be broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from grange.pipelines.wildlife.formats import md
from grange.pipelines.wildlife.formats.validating import faults_of
from grange.pipelines.wildlife.results import Results
from tests.pipelines.wildlife.formats import made

Change = Callable[[dict[str, Any]], Any]


def _sound() -> dict[str, Any]:
    box = [0.1, 0.1, 0.5, 0.5]
    seen = {"category": "1", "conf": 0.9, "bbox": box, "classifications": [["0", 0.9], ["1", 0.1]]}
    return {
        "info": {"format_version": "1.6", "keypoints": ["nose"]},
        "detection_categories": {"1": "animal"},
        "classification_categories": {"0": "deer", "1": "fox"},
        "images": [
            {"file": "a.jpg", "detections": [seen | {"keypoints": [[0.1, 0.1, 1.0]]}]},
            {"file": "b.jpg", "failure": "cut off", "detections": None},
            {
                "file": "c.mp4",
                "frame_rate": 10,
                "frames": 20,
                "frames_processed": [0, 10],
                "times": [0.0, 1.1],
                "detections": [seen | {"frame_number": 10}],
            },
        ],
    }


@made.few
@given(made.results())
def test_all_that_we_write_is_sound(results: Results) -> None:
    """The validator and the writer have the same idea of the format."""
    with made.folder() as folder:
        md.write_results(results, folder / "a.json")

        assert [] == faults_of(folder / "a.json")


def test_a_sound_file_has_no_faults(tmp_path: Path) -> None:
    """What the rules below break is sound before."""
    (tmp_path / "a.json").write_text(json.dumps(_sound()))

    assert [] == faults_of(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d["info"].update(format_version=1.6), "no text such as"),
        (lambda d: d["info"].update(format_version="1.0"), "older than 1.3"),
        (lambda d: d.pop("detection_categories"), "detection_categories is missing"),
        (lambda d: d["detection_categories"].update({"x": "y"}), "'x', which is no number"),
        (lambda d: d["detection_categories"].update({"4": " "}), "4 has no name"),
        (lambda d: d["images"][0].pop("detections"), "no list of detections"),
        (lambda d: d["images"][1].update(detections=[]), "has failed, and yet"),
        (lambda d: d["images"][0].update(file="c.mp4"), "comes twice"),
        (lambda d: d["images"][2].update(frame_rate=0), "frame_rate is missing"),
        (lambda d: d["images"][2].update(frames_processed=[10, 0]), "does not ascend"),
        (lambda d: d["images"][2].update(times=[1, 0]), "times does not ascend"),
        (lambda d: d["images"][2].update(frames=10), "beyond the last frame"),
        (lambda d: _seen(d).update(category=1), "category is no text"),
        (lambda d: _seen(d).update(bbox=[0.9, 0, 0.5, 0.5]), "leaves the picture"),
        (lambda d: _seen(d).update(bbox=[0.5, 0.5, -0.1, 0.1]), "negative size"),
        (lambda d: _seen(d)["classifications"].reverse(), "descending order"),
        (lambda d: _seen(d).update(keypoints=[[0, 0, 1]] * 2), "keypoints are 2"),
        (lambda d: d["images"][2]["detections"][0].pop("frame_number"), "frame_number is missing"),
        (lambda d: _seen(d).update(conf="x"), "conf is no number"),
    ],
)
def test_each_rule_can_be_broken(tmp_path: Path, change: Change, fault: str) -> None:
    """Each fault is found, and named with its place."""
    data = _sound()
    change(data)
    (tmp_path / "a.json").write_text(json.dumps(data))

    found = faults_of(tmp_path / "a.json")

    assert any(fault in one for one in found), found


def _seen(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["images"][0]["detections"][0]
    return found
