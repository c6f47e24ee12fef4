"""The models that ship are as good as their card says, on scenes that they have not seen."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

import grange
from training.evaluate import Measured, measure, milliseconds

FOLDER = Path(grange.__file__).parent / "pipelines" / "wildlife" / "reference"
TASKS = ("detector", "classifier", "pose")
SEED = 2_000_000  # neither of training nor of the card
SCENES = 60


@pytest.fixture(scope="module")
def measured() -> Measured:
    """What the models reach on sixty scenes."""
    return measure(FOLDER, SCENES, SEED)


def test_the_detector_finds_most(measured: Measured) -> None:
    """Mean average precision at an overlap of 0.5 is 0.9 or better."""
    assert measured.mean_average_precision >= 0.9


def test_the_pose_model_is_near(measured: Measured) -> None:
    """At least 0.85 of the visible keypoints are within a tenth of the animal's size."""
    assert measured.true_boxes >= 0.85
    assert measured.found_boxes >= 0.8


def test_the_classifier_tells_species_apart(measured: Measured) -> None:
    """Nine animals in ten are called what they are."""
    assert measured.top1 >= 0.9


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


def test_the_card_says_what_was_measured() -> None:
    """The card has the figures, and says what the models are not for."""
    card = (FOLDER / "CARD.md").read_text()

    assert "for demonstration and tests only" in card
    assert "Mean average precision" in card


@pytest.mark.parametrize("task", TASKS)
def test_a_model_is_quick(task: str) -> None:
    """A picture takes a small part of a second on one thread, even of a busy machine."""
    assert milliseconds(FOLDER / f"{task}.toml", 1) < 200
