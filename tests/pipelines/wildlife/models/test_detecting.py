"""Detectors: every layout is recognised, and finds the same things in the same places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grange.errors import ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import adding, opening
from grange.pipelines.wildlife.models.interface import Detector
from grange.pipelines.wildlife.models.layouts import READERS
from tests.pipelines.wildlife.models.graphs import Made, Thing, plain, yolo

CLASSES = ("animal", "person", "vehicle")
THINGS = (
    Thing(0.3, 0.5, 0.2, 0.4, conf=0.9),
    Thing(0.7, 0.25, 0.1, 0.3, conf=0.6, kind=1),
    Thing(0.5, 0.8, 0.9, 0.3, conf=0.3, kind=2),
)
LAYOUTS = sorted(READERS)


def opened(path: Path, **said: Any) -> Detector:
    """Open a detector as a path names it."""
    said.setdefault("classes", CLASSES)
    return opening.open_detector(adding.told_from(path, {"task": "detector", **said}))


def detect(detector: Detector, *pictures: Any, threshold: float = 0.05) -> list[Any]:
    """What is found in each picture."""
    return detector.detect([detector.prepare(one) for one in pictures], threshold)


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_finds_the_same(layout: str, batch: int | str, tmp_path: Path) -> None:
    """What a graph answers in its own way is told in one, with boxes in fractions."""
    path = yolo(THINGS, 3, layout, batch=batch).write(tmp_path / "m.onnx")

    detector = opened(path)
    (found,) = detect(detector, plain())

    assert layout == detector.manifest.layout
    assert ["1", "2", "3"] == [one.category for one in found]
    assert [0, 1, 2] == [one.kind for one in found]
    assert [0.9, 0.6, 0.3] == pytest.approx([one.conf for one in found], abs=1e-4)
    for one, thing in zip(found, THINGS, strict=True):
        corner = (thing.x - thing.width / 2, thing.y - thing.height / 2)
        assert (*corner, thing.width, thing.height) == pytest.approx(one.box, abs=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_where_the_graph_tells_no_shapes(
    layout: str, tmp_path: Path
) -> None:
    """A fully dynamic export is tried once; what it then gives says what it is."""
    made = yolo(THINGS, 3, layout, sides=("h", "w"), silent=True)
    path = made.write(tmp_path / "m.onnx")

    detector = opened(path, input=[192, 320])
    (found,) = detect(detector, plain())

    assert (layout, (192, 320)) == (detector.manifest.layout, detector.manifest.input)
    assert 3 == len(found)


@pytest.mark.parametrize("kind", ["float16", "uint8"])
def test_graphs_take_other_numbers_than_floats(kind: str, tmp_path: Path) -> None:
    """Half-precision and byte inputs are fed as they want it."""
    (found,) = detect(
        opened(yolo(THINGS, 3, "yolov8", kind=kind).write(tmp_path / "m.onnx")), plain()
    )

    assert [0.9, 0.6, 0.3] == pytest.approx([one.conf for one in found], abs=2e-3)
    assert (0.2, 0.3, 0.2, 0.4) == pytest.approx(found[0].box, abs=2e-3)


def test_channels_may_be_last(tmp_path: Path) -> None:
    """What was exported from TensorFlow works too."""
    path = yolo(THINGS, 3, "yolov8", last=True).write(tmp_path / "m.onnx")

    assert 3 == len(detect(opened(path), plain())[0])


def test_the_layout_may_be_said(tmp_path: Path) -> None:
    """Under each of its names; one that does not fit is refused with the shapes that were seen."""
    path = yolo(THINGS, 3, "yolov8").write(tmp_path / "m.onnx")

    assert "yolov8" == opened(path, layout="yolo11").manifest.layout
    with pytest.raises(ModelInvalid, match=r"does not fit the layout yolov5.*\[\?, 7, 1260\]"):
        opened(path, layout="yolov5")
    with pytest.raises(ModelInvalid, match="layout that is not known: yolov3"):
        opened(path, layout="yolov3")


def test_names_and_size_are_read_from_the_file(tmp_path: Path) -> None:
    """An export of Ultralytics says its classes and size itself."""
    names = "{0: 'deer', 1: 'person', 2: 'truck'}"
    metadata = {"names": names, "imgsz": "[192, 320]", "task": "detect"}
    path = yolo(THINGS, 3, "yolov8", sides=("h", "w"), metadata=metadata).write(tmp_path / "m.onnx")

    manifest = adding.told_from(path, {})

    assert ("deer", "person", "truck") == manifest.classes
    assert {"1": "animal", "2": "person", "3": "vehicle", "4": "deer"} == manifest.categories
    assert ("4", "2", "3") == manifest.category_ids
    assert (192, 320) == manifest.input


def test_two_classes_do_not_confuse_end_to_end_with_transformers(tmp_path: Path) -> None:
    """All give six columns then; whole numbers and boxes in fractions tell them apart."""
    two = THINGS[:2]
    for layout in ("yolov10", "rtdetr", "rtdetr-top"):
        path = yolo(two, 2, layout).write(tmp_path / f"{layout}.onnx")

        detector = opened(path, classes=("animal", "person"))

        assert layout == detector.manifest.layout
        assert 2 == len(detect(detector, plain())[0])


def test_an_end_to_end_graph_is_recognised_by_its_names_alone(tmp_path: Path) -> None:
    """With more classes than two, six columns can be nothing else."""
    path = yolo(THINGS, 3, "yolov10").write(tmp_path / "m.onnx")

    assert "yolov10" == opened(path).manifest.layout


def test_boxes_come_back_from_a_letterbox(tmp_path: Path) -> None:
    """A picture of other proportions has grey around it, which boxes do not count."""
    path = yolo([Thing(0.5, 0.5, 0.25, 0.5, conf=0.9)], 3, "yolov8").write(tmp_path / "m.onnx")

    # In an input of 320x192, a picture of 100x100 takes the middle 192 columns.
    (found,) = detect(opened(path), plain(100, 100))
    (tall,) = detect(opened(path), plain(100, 200))

    assert (0.5 - 80 / 192 / 2, 0.25, 80 / 192, 0.5) == pytest.approx(found[0].box, abs=1e-4)
    assert (0.5 - 80 / 96 / 2, 0.25, 80 / 96, 0.5) == pytest.approx(tall[0].box, abs=1e-4)


def test_what_lies_in_the_grey_alone_is_nothing(tmp_path: Path) -> None:
    """A find outside of the picture is left out, one that reaches out of it is cut."""
    outside, across = Thing(0.1, 0.5, 0.1, 0.2, conf=0.9), Thing(0.2, 0.5, 0.2, 0.2, conf=0.8)
    path = yolo([outside, across], 3, "yolov8").write(tmp_path / "m.onnx")

    (found,) = detect(opened(path), plain(100, 100))

    assert 1 == len(found)
    assert 0.0 == found[0].box[0]
    assert 32 / 192 == pytest.approx(found[0].box[2], abs=1e-3)


def test_of_doubles_the_surest_stays(tmp_path: Path) -> None:
    """Boxes of the same class that overlap are one; of another class they are another thing."""
    boxes = [(0.5, 0.7), (0.505, 0.9), (0.51, 0.9), (0.9, 0.2)]
    doubles = [Thing(x, 0.5, 0.1, 0.2, conf=conf) for x, conf in boxes]
    person = Thing(0.5, 0.5, 0.1, 0.2, conf=0.5, kind=1)
    path = yolo([*doubles, person], 3, "yolov8").write(tmp_path / "m.onnx")

    (found,) = detect(opened(path), plain())

    # Of two that are equally sure, the first in the graph's order.
    assert 0.455 == pytest.approx(found[0].box[0], abs=1e-4)
    assert [("1", 0.9), ("2", 0.5), ("1", 0.2)] == [
        (one.category, round(one.conf, 3)) for one in found
    ]


def test_doubles_are_told_before_boxes_are_cut(tmp_path: Path) -> None:
    """Two boxes that reach out of the picture by different ways are no doubles."""
    wide = Thing(0.1, 0.5, 1.0, 0.4, conf=0.9), Thing(-0.7, 0.5, 2.6, 0.4, conf=0.8)
    path = yolo(wide, 3, "yolov8").write(tmp_path / "m.onnx")

    (found,) = detect(opened(path), plain())

    assert 2 == len(found)
    assert (0.0, 0.3, 0.6, 0.4) == pytest.approx(found[0].box, abs=1e-4)


def test_an_export_for_another_task_is_refused(tmp_path: Path) -> None:
    """One that segments or poses looks like a detector with too many classes; its file says so."""
    made = yolo(THINGS, 3, "yolov8", metadata={"task": "segment", "names": "{0: 'a'}"})

    with pytest.raises(ModelInvalid, match="another task than finding: its file says segment"):
        opened(made.write(tmp_path / "m.onnx"), classes=[])


def test_classes_that_count_as_the_same_are_doubles(tmp_path: Path) -> None:
    """A deer that might be a boar is one animal, and what it was called stays known."""
    things = [Thing(0.5, 0.5, 0.1, 0.2, 0.9, kind=2), Thing(0.5, 0.5, 0.1, 0.2, 0.8, kind=0)]
    path = yolo(things, 3, "yolov8").write(tmp_path / "m.onnx")

    said = {"classes": ["boar", "person", "deer"], "counts_as": ["animal", "person", "animal"]}
    detector = opened(path, **said)
    (found,) = detect(detector, plain())

    assert [("1", 2)] == [(one.category, one.kind) for one in found]
    assert {"1": "animal", "2": "person", "3": "vehicle"} == detector.manifest.categories


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_threshold_is_the_least_confidence(layout: str, tmp_path: Path) -> None:
    """What reaches it is there, what does not is not; nothing at all is an empty answer."""
    detector = opened(yolo(THINGS, 3, layout).write(tmp_path / "m.onnx"))

    assert 2 == len(detect(detector, plain(), threshold=0.5)[0])
    assert () == detect(detector, plain(), threshold=0.95)[0]
    assert [] == detector.detect([], 0.1)


@pytest.mark.parametrize("batch", ["N", 3])
def test_each_picture_of_a_batch_has_its_own_answer(batch: int | str, tmp_path: Path) -> None:
    """Together or alone: the same, in the order of the pictures."""
    detector = opened(yolo(THINGS, 3, "yolov5", batch=batch).write(tmp_path / "m.onnx"))
    pictures = [plain(colour=(light, light, light)) for light in (255, 30, 200, 0, 128)]

    together = detect(detector, *pictures)
    alone = [detect(detector, one)[0] for one in pictures]

    assert [3, 2, 3, 0, 3] == [len(one) for one in together]
    assert alone == together


def test_a_class_count_that_does_not_match_is_refused(tmp_path: Path) -> None:
    """Names and graph must agree, and some must be there."""
    path = yolo(THINGS, 3, "yolov8").write(tmp_path / "m.onnx")

    with pytest.raises(ModelInvalid, match="has 3 classes, and 2 are named"):
        opened(path, classes=["a", "b"])
    with pytest.raises(ModelInvalid, match="what the model m calls its 3 classes"):
        opened(path, classes=[])


def test_a_graph_that_fits_no_layout_is_refused_with_its_shapes(tmp_path: Path) -> None:
    """The sentence says what was seen, the hint what is known."""
    path = Made(fixed={"strange": np.zeros((3, 4, 5, 6), np.float32)}).write(tmp_path / "m.onnx")

    with pytest.raises(ModelInvalid, match=r"fits no .* strange \[\?, 3, 4, 5, 6\]") as caught:
        opened(path)

    assert "yolov5: [N, anchors, 5 + classes]" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"no graph", "can't be loaded"), (b"", "is empty"), (b"\x08\x08" * 9, "can't be loaded")],
)
def test_a_file_that_is_no_graph_is_refused(text: bytes, said: str, tmp_path: Path) -> None:
    """Whatever it is, it is told in one sentence."""
    (tmp_path / "m.onnx").write_bytes(text)

    with pytest.raises(ModelInvalid, match=said):
        opened(tmp_path / "m.onnx")


def test_a_graph_without_pictures_is_refused(tmp_path: Path) -> None:
    """What takes no pictures is no model of these."""
    path = yolo(THINGS, 3, "yolov8", sides=(1, 1)).write(tmp_path / "m.onnx")
    import onnx

    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 5
    onnx.save(model, str(path))

    with pytest.raises(ModelInvalid, match=r"takes no pictures.*images float32 \[\?, 5, 1, 5\]"):
        opened(path)


def test_an_unsaid_size_is_asked_for(tmp_path: Path) -> None:
    """A graph that takes any size needs to be told one; one that takes one size keeps it."""
    dynamic = yolo(THINGS, 3, "yolov8", sides=("h", "w")).write(tmp_path / "d.onnx")
    static = yolo(THINGS, 3, "yolov8").write(tmp_path / "s.onnx")

    with pytest.raises(ModelInvalid, match="any size"):
        opened(dynamic)
    with pytest.raises(ModelInvalid, match="192x320, not of 640x640"):
        opened(static, input=[640, 640])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_fail_the_pictures(number: float, tmp_path: Path) -> None:
    """The error names the model; it comes when the model is asked, not when it is opened."""
    made = yolo(THINGS, 3, "yolov8")
    made.fixed["output0"][5, 7] = number
    detector = opened(made.write(tmp_path / "broken-one.onnx"))

    with pytest.raises(ModelFailed, match=r"The model broken-one gave numbers that are none"):
        detect(detector, plain())


def test_confidences_above_one_are_told_as_logits(tmp_path: Path) -> None:
    """A graph without its last step is no result; with `activation` it is mended."""
    logits = [replace(THINGS[0], conf=2.0)]
    made = yolo(logits, 3, "yolov8")
    made.fixed["output0"][4:, 1:] = -20
    made.fixed["output0"][5:, 0] = -20
    path = made.write(tmp_path / "m.onnx")

    with pytest.raises(ModelFailed, match="gave a confidence of 2") as caught:
        detect(opened(path), plain())
    (found,) = detect(opened(path, activation="sigmoid"), plain())

    assert "activation = 'sigmoid'" in caught.value.hint
    assert [1 / (1 + np.exp(-2))] == pytest.approx([one.conf for one in found])


def test_a_class_that_nothing_names_fails_the_picture(tmp_path: Path) -> None:
    """An end-to-end graph may know more classes than its manifest."""
    path = yolo([Thing(0.5, 0.5, 0.1, 0.1, 0.9, kind=7)], 8, "yolov10").write(tmp_path / "m.onnx")

    with pytest.raises(ModelFailed, match="gave the class 7, and its manifest names 3"):
        detect(opened(path), plain())


def test_a_file_that_changed_is_not_opened(tmp_path: Path) -> None:
    """The bytes that are loaded are those of the digest."""
    path = yolo(THINGS, 3, "yolov8").write(tmp_path / "m.onnx")
    manifest = adding.told_from(path, {"classes": CLASSES})
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(ModelInvalid, match="not the one that its manifest means"):
        opening.open_detector(manifest)


def test_a_thousand_doubles_are_quick_and_bounded(tmp_path: Path) -> None:
    """A picture in which everything is found gives some hundred finds at most."""
    random = np.random.default_rng(1)
    places = random.uniform(0.2, 0.8, (1200, 2)).tolist()
    things = [Thing(x, y, 0.01, 0.01, conf=0.5) for x, y in places]
    path = yolo(things, 3, "yolov8").write(tmp_path / "m.onnx")

    (found,) = detect(opened(path), plain())

    assert 300 == len(found)
