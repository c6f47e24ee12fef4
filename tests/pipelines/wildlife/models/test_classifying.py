"""Classifiers: what they are shown, and what is made of their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grange.errors import ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import adding, opening
from grange.pipelines.wildlife.models.checking import MadePicture
from grange.pipelines.wildlife.models.interface import Classifier
from tests.pipelines.wildlife.models.graphs import Made, colours, plain

WHOLE = (0.0, 0.0, 1.0, 1.0)
COLOURS = ("red", "green", "blue")


def opened(path: Path, **said: Any) -> Classifier:
    """Open a classifier as a path names it."""
    said = {"task": "classifier", "classes": COLOURS} | said
    return opening.open_classifier(adding.told_from(path, said))


def classify(classifier: Classifier, picture: MadePicture, box: Any = WHOLE) -> dict[str, float]:
    """What a picture is, by name."""
    ((*guesses,),) = classifier.classify([classifier.prepare(picture, box)])
    return {classifier.manifest.classes[kind]: conf for kind, conf in guesses}


def _share(*logits: float) -> list[float]:
    raised = np.exp(logits)
    return list(raised / raised.sum())


def test_numbers_become_probabilities_best_first(tmp_path: Path) -> None:
    """Logits are made to add up to one, once."""
    found = classify(opened(colours(tmp_path / "m.onnx")), plain(colour=(51, 255, 102)))

    assert ["green", "blue", "red"] == list(found)
    assert _share(1.0, 0.4, 0.2) == pytest.approx(list(found.values()), abs=1e-5)


def test_probabilities_are_left_as_they_are(tmp_path: Path) -> None:
    """A graph that ends in a softmax is told by a trial."""
    classifier = opened(colours(tmp_path / "m.onnx", softmax=True))

    assert "none" == classifier.manifest.activation
    assert _share(1.0, 0.4, 0.2) == pytest.approx(
        list(classify(classifier, plain(colour=(51, 255, 102))).values()), abs=1e-5
    )


def test_the_activation_may_be_said(tmp_path: Path) -> None:
    """For several labels at once, each has its own confidence."""
    classifier = opened(colours(tmp_path / "m.onnx"), activation="sigmoid")

    found = classify(classifier, plain(colour=(0, 255, 0)))

    assert {"green": 1 / (1 + np.exp(-1)), "red": 0.5, "blue": 0.5} == pytest.approx(found)


def test_mean_spread_and_order_of_channels_are_those_of_the_manifest(tmp_path: Path) -> None:
    """What a model was trained with is what it is given."""
    path = colours(tmp_path / "m.onnx")
    said = {"mean": [0.2, 0.4, 0.6], "std": [0.5, 0.25, 0.2], "activation": "none"}
    picture = plain(colour=(102, 153, 204))

    rgb = classify(opened(path, **said), picture)
    bgr = classify(opened(path, channels="bgr", **said), picture)

    assert {"red": 0.4, "green": 0.8, "blue": 1.0} == pytest.approx(rgb, abs=1e-5)
    assert {"blue": 0.4, "green": 0.8, "red": 1.0} == pytest.approx(bgr, abs=1e-5)


def test_only_the_box_is_seen_as_far_as_it_is_grown(tmp_path: Path) -> None:
    """What lies beside the animal does not count, but for the share that the manifest wants."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, 100:] = (255, 0, 0)
    picture = MadePicture(pixels)
    path = colours(tmp_path / "m.onnx", size=(64, 64))

    within = classify(opened(path, activation="none"), picture, (0.5, 0.2, 0.5, 0.6))
    grown = classify(opened(path, activation="none", crop_scale=2.0), picture, (0.5, 0.2, 0.2, 0.6))

    assert 1.0 == pytest.approx(within["red"])
    assert 0.75 == pytest.approx(grown["red"], abs=0.01)


def test_a_letterbox_keeps_proportions(tmp_path: Path) -> None:
    """Around what does not fill the input there is grey."""
    classifier = opened(colours(tmp_path / "m.onnx"), activation="none", resize="letterbox")

    found = classify(classifier, plain(200, 100))

    assert (1 + 114 / 255) / 2 == pytest.approx(found["red"], abs=1e-3)


@pytest.mark.parametrize(
    "box", [(-0.5, -0.5, 2.0, 2.0), (0.999, 0.999, 0.001, 0.001), (1.0, 1.0, 0.0, 0.0)]
)
def test_boxes_at_and_over_the_edge_are_seen(box: Any, tmp_path: Path) -> None:
    """However small or large, there is a pixel to look at."""
    assert "red" in classify(opened(colours(tmp_path / "m.onnx")), plain(30, 20), box)


@pytest.mark.parametrize("shape", [(8,), (8, 1, 1)])
def test_five_classes_at_most_are_told(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Of a thousand species, the likeliest; equal ones in the graph's order."""
    scores = np.array([0, 3, 1, 3, 2, 0, 0, 3], np.float32).reshape(shape)
    path = Made(fixed={"logits": scores}).write(tmp_path / "m.onnx")

    found = classify(opened(path, classes=tuple("abcdefgh")), plain())

    assert ["b", "d", "h", "e", "c"] == list(found)


def test_names_must_match_the_graph(tmp_path: Path) -> None:
    """One for each number."""
    path = colours(tmp_path / "m.onnx")

    with pytest.raises(ModelInvalid, match="has 3 classes, and 2 are named"):
        opened(path, classes=("a", "b"))
    with pytest.raises(ModelInvalid, match="fits no known layout of a classifier"):
        opened(Made(fixed={"x": np.zeros((3, 4))}).write(tmp_path / "n.onnx"))


def test_no_number_is_no_answer(tmp_path: Path) -> None:
    """NaN fails what was asked, with the model's name."""
    path = Made(fixed={"x": np.array([np.nan, 0, 0], np.float32)}).write(tmp_path / "odd.onnx")
    classifier = opened(path)

    with pytest.raises(ModelFailed, match="The model odd gave numbers that are none"):
        classify(classifier, plain())


def test_no_crops_are_no_answers(tmp_path: Path) -> None:
    """A frame without animals costs nothing."""
    assert [] == opened(colours(tmp_path / "m.onnx")).classify([])
