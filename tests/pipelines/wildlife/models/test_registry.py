"""The models of a machine: found by name, path and digest, added whole, checked, removed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grange.errors import ModelInvalid, ModelNotFound, NameTaken, UsageError
from grange.pipelines.wildlife.models import opening
from grange.pipelines.wildlife.models.manifest import Task
from grange.pipelines.wildlife.models.registry import SHIPPED, Models, default_models
from tests.pipelines.wildlife.models.graphs import Made, Thing, colours, plain, yolo

SAID = {"classes": ["animal", "person", "vehicle"], "licence": "MIT"}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """Give an empty folder of models, beside those that ship."""
    return Models(tmp_path / "home" / "models")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Give the file of a detector."""
    return yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8").write(tmp_path / "My Deer.onnx")


def test_what_ships_is_there(models: Models) -> None:
    """One model for each task, each of which can be used."""
    shipped = ["reference-classifier", "reference-detector", "reference-pose"]

    assert shipped == [one.name for one in models.list()]
    assert all(one.shipped for one in models.entries())
    for name in shipped:
        found = models.check(name)
        assert ["file", "graph", "answer", "batch"] == [one.name for one in found.findings]
        assert found.good, found
        assert 0 < found.seconds < 5


def test_the_folder_is_that_of_the_home(home: Path, graph: Path) -> None:
    """What is added is found by any process of this home."""
    Models(home / "models").add(graph, SAID)

    assert "my-deer" == default_models().find("my-deer").name


def test_a_graph_is_added_with_all_that_it_tells(models: Models, graph: Path) -> None:
    """Its file is copied, so that the original may go; nothing is left open."""
    added = models.add(graph, SAID)
    graph.unlink()

    found = models.find("my-deer", task=Task.DETECTOR)
    assert added == found
    assert ("yolov8", (192, 320), "letterbox", "MIT") == (
        found.layout,
        found.input,
        found.resize,
        found.licence,
    )
    detector = opening.open_detector(found)
    assert 1 == len(detector.detect([detector.prepare(plain())], 0.5)[0])
    assert {"manifest.toml", "model.onnx"} == {one.name for one in found.file.parent.iterdir()}


def test_a_task_is_told_from_the_graph(models: Models, tmp_path: Path) -> None:
    """What gives a number for each class is a classifier; maps are a pose model's."""
    path = colours(tmp_path / "c.onnx")
    maps = Made(fixed={"maps": np.zeros((2, 48, 80), np.float32)}).write(tmp_path / "p.onnx")

    assert Task.CLASSIFIER is models.add(path, SAID).task
    assert Task.POSE is models.add(maps, {"keypoints": ["a", "b"]}).task


def test_a_manifest_is_added_with_its_file(models: Models, graph: Path, tmp_path: Path) -> None:
    """What is said besides wins over what it says."""
    digest = models.add(graph, SAID).sha256
    text = f'name = "deer2"\ntask = "detector"\nfile = "{graph.name}"\nsha256 = "{digest}"\n'
    (tmp_path / "deer.toml").write_text(text + 'classes = ["deer", "boar", "fox"]\n')

    added = models.add(tmp_path / "deer.toml", {"licence": "CC0"})

    assert ("deer2", "CC0") == (added.name, added.licence)
    assert {"4": "deer", "5": "boar", "6": "fox"}.items() <= added.categories.items()


def test_adding_again_changes_nothing_and_another_is_refused(models: Models, graph: Path) -> None:
    """A name stands for one model; those that ship keep theirs."""
    added = models.add(graph, SAID)

    assert added == models.add(graph, SAID)
    with pytest.raises(NameTaken, match="Another model is called my-deer"):
        models.add(graph, {**SAID, "licence": "GPL"})
    with pytest.raises(NameTaken, match="ships with Grange is called reference-pose"):
        models.add(graph, {**SAID, "name": "reference-pose"})
    assert ["my-deer"] == [one.name for one in models.entries() if not one.shipped]


def _add(folder: Path, graph: Path, answers: Any) -> None:
    try:
        answers.put(Models(folder).add(graph, SAID).name)
    except NameTaken:
        answers.put("taken")


def test_of_two_at_once_none_is_broken(tmp_path: Path, graph: Path) -> None:
    """Both processes end well, and the model is whole."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    folder = tmp_path / "models"
    adders = [context.Process(target=_add, args=(folder, graph, answers)) for _ in range(2)]
    for one in adders:
        one.start()
    told = {answers.get(timeout=60) for _ in adders}
    for one in adders:
        one.join(60)

    assert "my-deer" in told
    assert ["my-deer"] == [one.name for one in folder.iterdir()]
    assert Models(folder).check("my-deer").good


def test_a_failed_addition_leaves_nothing(models: Models, graph: Path, tmp_path: Path) -> None:
    """Wrong digests, missing files and wrong classes leave the folder as it was."""
    text = f'name = "x"\ntask = "detector"\nfile = "{graph.name}"\nsha256 = "{"0" * 64}"\n'
    (tmp_path / "x.toml").write_text(text)

    with pytest.raises(ModelInvalid, match="not the one that its manifest means"):
        models.add(tmp_path / "x.toml", SAID)
    with pytest.raises(ModelInvalid, match="can't be read: No such file"):
        models.add(tmp_path / "nothing.onnx")
    with pytest.raises(ModelInvalid, match="has 3 classes, and 1 are named"):
        models.add(graph, {"classes": ["a"]})
    with pytest.raises(ModelInvalid, match="is wrong in name"):
        models.add(graph, {**SAID, "name": "../x"})
    assert all(one.shipped for one in models.entries())


def test_models_are_found_by_path(models: Models, graph: Path, tmp_path: Path) -> None:
    """A graph or manifest need not be added to be used, but where paths are not welcome."""
    names = "{0: 'animal', 1: 'person', 2: 'vehicle'}"
    made = yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8", metadata={"names": names})
    path = made.write(tmp_path / "loose.onnx")

    found = models.find(str(path), task=Task.DETECTOR)

    assert ("loose", path, "yolov8") == (found.name, found.file, found.layout)
    assert found == models.find(f"{path}@{found.sha256[:12]}")
    with pytest.raises(ModelNotFound, match="No model is called"):
        models.find(str(path), files=False)
    with pytest.raises(ModelNotFound, match="There is no file"):
        models.find(str(tmp_path / "none.onnx"))
    with pytest.raises(ModelInvalid, match="calls its 3 classes"):
        models.find(str(graph))


def test_a_pinned_model_is_that_file_and_no_other(models: Models) -> None:
    """A worker can't take another model than was asked for."""
    pinned = models.find("reference-detector").pinned

    assert "reference-detector" == models.find(pinned).name
    with pytest.raises(ModelInvalid, match="is another than was asked for"):
        models.find("reference-detector@000000000000")


def test_a_sealed_model_is_what_was_said_of_it(models: Models, graph: Path) -> None:
    """Of the same file, other thresholds make other results: those are not taken for the same."""
    sealed = models.add(graph, SAID).sealed
    assert "my-deer" == models.find(sealed).name
    models.remove("my-deer")
    other = models.add(graph, SAID | {"typical_threshold": 0.5})

    assert sealed.partition(".")[0] == other.pinned == models.find(other.pinned).pinned
    with pytest.raises(ModelInvalid, match="is another than was asked for"):
        models.find(sealed)


def test_an_unknown_name_is_told_the_nearest(models: Models) -> None:
    """A slip of the finger is told what was meant, and a wrong task what it is."""
    with pytest.raises(ModelNotFound) as caught:
        models.find("reference-detektor")

    assert caught.value.hint.startswith("Did you mean reference-detector")
    with pytest.raises(ModelInvalid, match="reference-pose is no detector"):
        models.find("reference-pose", task=Task.DETECTOR)


def test_one_damaged_model_hides_no_other(models: Models, graph: Path) -> None:
    """It is listed with its fault, can be checked and removed, and can't be used."""
    folder = models.add(graph, SAID).file.parent
    (folder / "manifest.toml").write_text("name = 3")

    broken = next(one for one in models.entries() if one.name == "my-deer")

    assert "does not say" in broken.error
    assert 3 == len(models.list())
    assert [("manifest", False)] == [
        (one.name, one.good) for one in models.check("my-deer").findings
    ]
    with pytest.raises(ModelInvalid, match="does not say"):
        models.find("my-deer")
    models.remove("my-deer")
    assert [] == list(folder.parent.iterdir())


def test_only_what_was_added_is_removed(models: Models, graph: Path) -> None:
    """What ships stays, what is not there is told."""
    folder = models.add(graph, SAID).file.parent

    models.remove("my-deer")

    assert not folder.exists()
    with pytest.raises(ModelNotFound):
        models.remove("my-deer")
    with pytest.raises(ModelNotFound):
        models.remove("..")
    with pytest.raises(UsageError, match="ships with Grange"):
        models.remove("reference-pose")
    assert (SHIPPED / "pose.toml").exists()


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_check_finds_numbers_that_are_none(models: Models, number: float, tmp_path: Path) -> None:
    """A model that would fail every picture is found out before a run."""
    made = yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8")
    made.seen["output0"][0, 0] = number
    models.add(made.write(tmp_path / "odd.onnx"), SAID)

    found = models.check("odd")

    assert not found.good
    assert "answer" == found.findings[-1].name
    assert "gave numbers that are none" in found.findings[-1].said


def test_a_check_finds_a_file_that_changed(models: Models, graph: Path) -> None:
    """A damaged disk, or an exchanged file, is told with both digests."""
    file = models.add(graph, SAID).file
    file.write_bytes(file.read_bytes()[:-1])

    (found,) = models.check("my-deer").findings

    assert ("file", False) == (found.name, found.good)
    assert "not the one that its manifest means" in found.said


def test_a_graph_for_one_picture_that_says_any_number_is_found_out(
    models: Models, tmp_path: Path
) -> None:
    """Some exports promise batches and fail at them; said so, they are given one at a time."""
    import onnx

    path = yolo([Thing(0.5, 0.5, 0.2, 0.2, 0.9)], 3, "yolov8").write(tmp_path / "one.onnx")
    model = onnx.load(str(path))
    for value in model.graph.initializer:
        if value.name == "output0.shape":
            value.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, 1]), value.name))
    onnx.save(model, str(path))
    models.add(path, SAID)
    models.add(path, {**SAID, "name": "mended", "options": {"batch": 1}})

    assert ("batch", False) == (
        models.check("one").findings[-1].name,
        models.check("one").findings[-1].good,
    )
    assert models.check("mended").good
