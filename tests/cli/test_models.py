"""`grange models`: list, show, add, check and remove, here and with a server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.cli.invocations import Grange, events
from tests.pipelines.wildlife.models.graphs import Thing, yolo
from tests.server import scene

SHIPPED = ["reference-classifier", "reference-detector", "reference-pose"]
CLASSES = ("--classes", "deer,boar,person", "--counts-as", "animal,animal,person")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Give the file of a detector that does not say its classes."""
    return yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov5").write(tmp_path / "deer.onnx")


def test_models_are_listed_and_shown(grange: Grange) -> None:
    """In columns for people, in full for programs."""
    listed = grange("models", "list")
    told = events(grange("models", "list", "--json").stdout)
    shown = grange("models", "show", "reference-detector")

    assert ["name", "task", "layout"] == listed.stdout.splitlines()[0].split()[:3]
    assert SHIPPED == [one["name"] for one in told]
    assert {"1": "animal", "2": "person", "3": "vehicle"} == told[1]["categories"]
    assert told[1]["sha256"] in shown.stdout
    assert "animal, person, vehicle" in shown.stdout


def test_a_model_is_added_checked_and_removed(grange: Grange, graph: Path) -> None:
    """The whole life of a model of one's own."""
    refused = grange("models", "add", str(graph))
    added = grange("models", "add", str(graph), *CLASSES, "--licence", "MIT")
    (again,) = events(
        grange("models", "add", str(graph), *CLASSES, "--licence", "MIT", "--json").stdout
    )
    checked = grange("models", "check", "deer")
    (shown,) = events(grange("models", "show", "deer", "--json").stdout)
    kept = grange("models", "remove", "deer")
    removed = grange("models", "remove", "deer", "--yes")

    assert 2 == refused.returncode
    assert "[model.invalid]" in refused.stderr
    assert "--classes" in refused.stderr
    assert 0 == added.returncode, added.stderr
    assert "The detector deer is added (yolov5)." in added.stdout
    assert ("added", "deer", shown["sha256"]) == (again["event"], again["model"], again["sha256"])
    assert 0 == checked.returncode, checked.stdout
    assert 4 == sum(line.startswith("ok") for line in checked.stdout.splitlines())
    assert (["deer", "boar", "person"], "MIT") == (shown["classes"], shown["licence"])
    assert (2, 0) == (kept.returncode, removed.returncode)
    assert SHIPPED == [one["name"] for one in events(grange("models", "list", "--json").stdout)]


def test_other_fields_names_in_files_and_sizes_are_taken(grange: Grange, tmp_path: Path) -> None:
    """What has no option of its own is set by its name."""
    made = yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8", sides=("h", "w"))
    path = made.write(tmp_path / "any.onnx")
    (tmp_path / "names.txt").write_text("deer\n\n wild boar \nfox\n")
    words = ("--classes", "@names.txt", "--input", "192x320", "--set", "typical_threshold=0.4")

    done = grange("models", "add", str(path), *words, "--set", "version=7")
    (shown,) = events(grange("models", "show", "any", "--json").stdout)
    wrong = grange("models", "add", str(path), "--input", "large")
    unknown = grange("models", "add", str(path), *words, "--name", "x", "--set", "colour=red")

    assert 0 == done.returncode, done.stderr
    assert ["deer", "wild boar", "fox"] == shown["classes"]
    assert ([192, 320], 0.4, "7") == (shown["input"], shown["typical_threshold"], shown["version"])
    assert "'large' is no size" in wrong.stderr
    assert "unknown field, colour" in unknown.stderr


def test_a_check_that_fails_is_an_exit_code(grange: Grange, tmp_path: Path) -> None:
    """With the step that failed, the sentence and the way out."""
    made = yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8")
    made.fixed["output0"][0, 0] = np.nan
    path = made.write(tmp_path / "odd.onnx")
    grange("models", "add", str(path), *CLASSES)

    checked = grange("models", "check", "odd")
    (told,) = events(grange("models", "check", "odd", "--json").stdout)

    assert 1 == checked.returncode
    assert "broken  answer" in checked.stdout
    assert not told["good"]
    assert ["file", "graph", "answer"] == [one["name"] for one in told["findings"]]


def test_with_a_server_its_models_are_shown_and_looked_after_there(
    grange: Grange, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added at its machine is listed from afar, and only read from there."""
    home = tmp_path / "served"
    monkeypatch.setenv("GRANGE_HOME", str(home))
    assert 0 == grange("models", "add", str(graph), *CLASSES).returncode
    (home / "models" / "torn").mkdir()
    with scene.serving(home) as server:
        with closing(scene.set_up(server)) as ada:
            made = ada.post("/tokens", json={"name": "t", "scopes": ["read"]}).json()
        monkeypatch.setenv("GRANGE_HOME", str(tmp_path / "mine"))
        monkeypatch.setenv("GRANGE_SERVER", server.url)
        monkeypatch.setenv("GRANGE_TOKEN", made["text"])

        listed = events(grange("models", "list", "--json").stdout)
        (shown,) = events(grange("models", "show", "deer", "--json").stdout)
        missing = grange("models", "show", "dear")
        by_path = grange("models", "show", str(graph))
        refused = grange("models", "add", str(graph))

    assert ["deer", *SHIPPED, "torn"] == [one["name"] for one in listed]
    assert "can't be read" in listed[-1]["error"]
    assert str(home) not in listed[-1]["error"]
    assert ["deer", "boar", "person"] == shown["classes"]
    assert "Did you mean deer" in missing.stderr
    assert "[model.not_found]" in by_path.stderr
    assert 2 == refused.returncode
    assert "looked after on its own machine" in refused.stderr
    assert "GRANGE_SERVER=none" in refused.stderr
