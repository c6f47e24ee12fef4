"""COCO's two formats: what they can hold is there, and all numbers lead somewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from grange.errors import ExportRefused
from grange.pipelines.wildlife.formats.coco_ct import write_coco_ct
from grange.pipelines.wildlife.formats.coco_keypoints import write_coco_keypoints
from grange.pipelines.wildlife.formats.naming import snake
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results
from tests.pipelines.wildlife.formats import made


@made.few
@given(made.results())
def test_camera_traps_hold_every_detection(results: Results) -> None:
    """Boxes, confidences, guesses, tracks and poses are all there, in the frame they belong to."""
    found = _camera_traps(results)
    images = {one["id"]: one for one in found["images"]}
    names = {one["id"]: one["label"] for one in found["categories"][1:]}
    back = [
        (
            images[one["image_id"]].get("video", images[one["image_id"]]["file_name"]),
            images[one["image_id"]].get("frame_number"),
            _detection(one, images[one["image_id"]], names, results),
        )
        for one in found["annotations"]
        if one["category_id"] != 0
    ]
    expected = [
        (media.file, one.frame, _plain(one)) for media in results.media for one in media.detections
    ]

    assert sorted(expected, key=repr) == sorted(back, key=repr)


@made.few
@given(made.results())
def test_camera_traps_follow_the_rules_of_the_format(results: Results) -> None:
    """Ids are unique, references lead somewhere, boxes are said in one way, empty is 0."""
    found = _camera_traps(results)
    images = [one["id"] for one in found["images"]]
    annotations = [one["id"] for one in found["annotations"]]
    categories = [one["id"] for one in found["categories"]]

    assert len(images) == len(set(images))
    assert len(annotations) == len(set(annotations))
    assert list(range(len(categories))) == categories
    assert {"version", "description"} <= found["info"].keys()
    assert all(one["image_id"] in images for one in found["annotations"])
    assert all(one["category_id"] in categories for one in found["annotations"])
    assert all(not ("bbox" in one and "bbox_relative" in one) for one in found["annotations"])
    assert all(name == snake(name) for one in found["categories"] if (name := one["name"]))
    assert all(isinstance(one["id"], str) and one["file_name"] for one in found["images"])
    failed = [one.file for one in results.media if one.failure]
    assert failed == [one["file_name"] for one in found["images"] if one.get("corrupt")]


def test_frames_of_a_video_are_a_sequence(tmp_path: Path) -> None:
    """The analysed frames are pictures in a row, with the time of each."""
    video = Media(
        file="cam/a.mp4",
        kind=Kind.VIDEO,
        processed=(0, 6, 12),
        frame_rate=made.RATES[1],
        frames=20,
    )
    write_coco_ct(tmp_path / "a.json", Results(media=()), [video])
    images = json.loads((tmp_path / "a.json").read_text())["images"]

    assert [("cam/a.mp4", 3, n) for n in range(3)] == [
        (one["seq_id"], one["seq_num_frames"], one["frame_num"]) for one in images
    ]
    assert [0, 6, 12] == [one["frame_number"] for one in images]
    assert [0.0, 0.2002, 0.4004] == [one["seconds"] for one in images]
    assert "cam" == images[0]["location"]


@made.few
@given(made.results())
def test_keypoints_hold_every_pose(results: Results) -> None:
    """Each pose is an annotation, with all of its points and how likely they are."""
    with made.folder() as folder:
        write_coco_keypoints(folder / "a.json", results, results.media, 0.6)
        found = json.loads((folder / "a.json").read_text())
    images = {one["id"]: one for one in found["images"]}
    back = []
    for one in found["annotations"]:
        image = images[one["image_id"]]
        points = zip(*(iter(one["keypoints"]),) * 3, one["keypoint_scores"], strict=True)
        pose = tuple(
            (round(x / image["width"], 4), round(y / image["height"], 4), conf)
            for x, y, _, conf in points
        )
        back.append((image.get("video", image["file_name"]), image.get("frame_number"), pose))
    expected = [
        (media.file, one.frame, one.pose)
        for media in results.media
        for one in media.detections
        if one.pose
    ]

    assert sorted(expected, key=repr) == sorted(back, key=repr)
    assert all(len(made.KEYPOINTS) == one["num_keypoints"] for one in found["annotations"])
    assert [[1, 2]] == found["categories"][0]["skeleton"]
    assert len(found["annotations"]) == len({one["id"] for one in found["annotations"]})


def test_a_point_is_visible_from_the_cutoff_on(tmp_path: Path) -> None:
    """COCO knows hidden points and visible ones; the likelihood decides."""
    pose = ((0.1, 0.1, 0.59), (0.2, 0.2, 0.6))
    still = Media(
        "a.jpg", width=10, height=10, detections=(Detection("1", 1, (0, 0, 1, 1), pose=pose),)
    )
    head = Results(media=(), keypoints=("nose", "tail"))
    write_coco_keypoints(tmp_path / "a.json", head, [still], 0.6)
    (found,) = json.loads((tmp_path / "a.json").read_text())["annotations"]

    assert [1.0, 1.0, 1, 2.0, 2.0, 2] == found["keypoints"]


def test_results_without_poses_have_no_keypoints(tmp_path: Path) -> None:
    """An empty file would help nobody."""
    with pytest.raises(ExportRefused, match="no poses"):
        write_coco_keypoints(tmp_path / "a.json", Results(media=()), [], 0.6)


def _camera_traps(results: Results) -> dict[str, Any]:
    with made.folder() as folder:
        write_coco_ct(folder / "a.json", results, results.media)
        found: dict[str, Any] = json.loads((folder / "a.json").read_text())
    return found


def _plain(one: Detection) -> tuple[Any, ...]:
    return (one.category, one.conf, one.box, one.track, one.guesses, one.pose)


def _detection(
    one: dict[str, Any], image: dict[str, Any], names: dict[int, str], results: Results
) -> tuple[Any, ...]:
    """An annotation as the detection that it came from."""
    categories = {name: number for number, name in results.categories.items()}
    species = {name: number for number, name in results.species.items()}
    x, y, width, height = one["bbox"]
    box = (
        *(round(x / image["width"], 4), round(y / image["height"], 4)),
        *(round(width / image["width"], 4), round(height / image["height"], 4)),
    )
    guesses = tuple(
        (species[names[number]], conf) for number, conf in one.get("classifications", ())
    )
    pose = tuple(tuple(point) for point in one.get("keypoints", {}).values())
    category = categories[names[one["detection_category_id"]]]
    return (category, one["score"], box, one.get("track_id"), guesses, pose)
