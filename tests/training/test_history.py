"""The stages of a training are written down beside what it made."""

from __future__ import annotations

from pathlib import Path

from training.history import Stage, note, recorded

FIRST, SECOND = Stage(100, 100, 32, 3e-3, 1), Stage(50, 80, 32, 1e-3, 2)


def test_stages_come_back_in_their_order(tmp_path: Path) -> None:
    """What went on from a stage stands after it; other models keep their own."""
    note(tmp_path, "pose", FIRST, further=False)
    note(tmp_path, "detector", SECOND, further=False)
    note(tmp_path, "pose", SECOND, further=True)

    assert {"pose": [FIRST, SECOND], "detector": [SECOND]} == recorded(tmp_path)


def test_training_anew_forgets_the_stages(tmp_path: Path) -> None:
    """A model that starts from nothing has one stage."""
    note(tmp_path, "pose", FIRST, further=False)
    note(tmp_path, "pose", SECOND, further=False)

    assert {"pose": [SECOND]} == recorded(tmp_path)


def test_a_folder_without_models_has_no_stages(tmp_path: Path) -> None:
    """Nothing written down means nothing trained."""
    assert {} == recorded(tmp_path)
