"""The models that ship are as good as their card says, on scenes that they have not seen."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import grange
from training.data import SIZE
from training.evaluate import MOMENT, Measured, measure_on, milliseconds
from training.scenes import Scene

FOLDER = Path(grange.__file__).parent / "pipelines" / "wildlife" / "reference"
TASKS = ("detector", "classifier", "pose")
SEED = 2_000_000  # neither of training nor of the card


@pytest.fixture(scope="module")
def measured() -> Measured:
    """What the models reach on some seventy scenes; rare bodies are shown more often."""
    wanted = [None] * 40 + [["person"]] * 15 + [["vehicle"]] * 15
    scenes = (Scene(SEED + number, SIZE, kinds=kinds) for number, kinds in enumerate(wanted))
    return measure_on(FOLDER, [scene.frame(MOMENT) for scene in scenes])


def _on_card(what: str) -> float:
    """The figure in bold that follows these words on the card."""
    found = re.search(rf"{what}.*?\*\*([\d.]+)%?\*\*", (FOLDER / "CARD.md").read_text(), re.DOTALL)
    assert found is not None
    return float(found[1])


def test_the_detector_finds_what_the_card_says(measured: Measured) -> None:
    """The card has a mean average precision of 0.9 or more; few scenes are not far below it."""
    assert _on_card("Mean average precision at an overlap of 0.5") >= 0.9
    assert measured.mean_average_precision >= 0.86


def test_the_pose_model_is_as_near_as_the_card_says(measured: Measured) -> None:
    """At least 0.85 of the keypoints are right on the card; few animals are not far below it."""
    assert _on_card("With the boxes of the truth:") >= 0.85
    assert measured.true_boxes >= 0.82
    assert measured.found_boxes >= 0.77


def test_the_classifier_tells_species_apart(measured: Measured) -> None:
    """Nearly nine animals in ten are called what they are."""
    assert _on_card("Right for") >= 85
    assert measured.top1 >= 0.85


@pytest.mark.parametrize("task", TASKS)
def test_a_manifest_names_the_file_beside_it(task: str) -> None:
    """The checksum is that of the file that ships."""
    facts = tomllib.loads((FOLDER / f"{task}.toml").read_text())
    digest = hashlib.sha256((FOLDER / facts["file"]).read_bytes()).hexdigest()

    assert digest == facts["sha256"]
    assert task == facts["task"]


def test_all_models_together_are_small() -> None:
    """Whoever installs Grange takes six megabytes of models at most."""
    assert sum(path.stat().st_size for path in FOLDER.glob("*.onnx")) < 6_000_000


def test_the_card_says_what_the_models_are_not_for() -> None:
    """Nobody takes them to the field who has read their card."""
    assert "for demonstration and tests only" in (FOLDER / "CARD.md").read_text()


@pytest.mark.parametrize("task", TASKS)
def test_a_model_is_quick(task: str) -> None:
    """A picture takes a small part of a second on one thread, even of a busy machine."""
    assert milliseconds(FOLDER / f"{task}.toml", 1) < 200
