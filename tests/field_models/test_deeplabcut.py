"""DeepLabCut's models as DeepLabCut itself runs them, on what is in the detector's boxes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from grange.errors import ModelFailed, ModelInvalid
from grange.pipelines.wildlife.media.pictures import FramePicture
from grange.pipelines.wildlife.models.deeplabcut import DeepLabCutPose
from grange.pipelines.wildlife.models.manifest import Manifest, read_manifest
from grange.pipelines.wildlife.models.opening import open_pose
from grange.pipelines.wildlife.results import Box, Point
from tests.field_models import deeplabcut_made as made
from tests.field_models.conftest import HEIGHT, WIDTH
from tests.field_models.manifests import manifest_of

QUADRUPED = 'superanimal = "superanimal_quadruped"\ndevice = "cpu"'

# In the middle, wide, tall, at each edge, in a corner, all of it, and hardly there.
BOXES: list[Box] = [
    (0.3, 0.3, 0.25, 0.35),
    (0.1, 0.45, 0.7, 0.1),
    (0.61, 0.05, 0.06, 0.9),
    (0.0, 0.4, 0.2, 0.2),
    (0.83, 0.37, 0.17, 0.33),
    (0.451, 0.0, 0.117, 0.253),
    (0.7, 0.8, 0.3, 0.2),
    (0.0, 0.0, 1.0, 1.0),
    (0.5, 0.5, 0.0005, 0.0007),
]


def _superanimal(folder: Path, model: str) -> Manifest:
    path = folder / f"quadruped_{model}.pt"
    if not path.exists():
        made.superanimal(path, model)
    return manifest_of(path, "deeplabcut", "pose", options=f'{QUADRUPED}\nmodel = "{model}"')


def _project(folder: Path, *, top_down: bool) -> Manifest:
    home = folder / f"project-{top_down}"
    if not home.exists():
        made.project(home, top_down=top_down)
    snapshot = next(home.rglob("snapshot-200.pt"))
    path = home / "deer.toml"
    path.write_text(
        f'name = "deer"\ntask = "pose"\nbackend = "deeplabcut"\ncrop_scale = 1.25\n'
        f'file = "{snapshot.relative_to(home)}"\n'
        f'sha256 = "{hashlib.sha256(snapshot.read_bytes()).hexdigest()}"\n'
        f'[options]\nconfig = "{home / "config.yaml"}"\ndevice = "cpu"\n'
    )
    return read_manifest(path)


MANIFESTS = {
    "rtmpose_s": lambda folder: _superanimal(folder, "rtmpose_s"),
    "hrnet_w32": lambda folder: _superanimal(folder, "hrnet_w32"),
    "a project of crops": lambda folder: _project(folder, top_down=True),
    "a project of whole pictures": lambda folder: _project(folder, top_down=False),
}
CROPPING = ["rtmpose_s", "hrnet_w32", "a project of crops"]


def _open(manifest: Manifest) -> DeepLabCutPose:
    opened = open_pose(manifest, threads=2)
    assert isinstance(opened, DeepLabCutPose)
    return opened


def _model(request: pytest.FixtureRequest, folder: Path) -> DeepLabCutPose:
    return _open(MANIFESTS[request.param](folder))


@pytest.fixture(scope="module", params=MANIFESTS)
def model(request: pytest.FixtureRequest, folder: Path) -> DeepLabCutPose:
    """Each of the models in turn."""
    return _model(request, folder)


@pytest.fixture(scope="module", params=CROPPING)
def cropping(request: pytest.FixtureRequest, folder: Path) -> DeepLabCutPose:
    """Each model that DeepLabCut trained on crops."""
    return _model(request, folder)


def _poses(model: DeepLabCutPose, picture: FramePicture, boxes: list[Box]) -> list[list[Point]]:
    return [list(one) for one in model.pose([model.prepare(picture, box) for box in boxes])]


def test_poses_are_well_formed(model: DeepLabCutPose, pictures: list[FramePicture]) -> None:
    """There is a point for each keypoint, within the picture, with a likelihood of at most 1."""
    poses = np.array(_poses(model, pictures[0], BOXES))

    assert (len(BOXES), len(model.manifest.keypoints), 3) == poses.shape
    assert (poses >= 0).all()
    assert (poses <= 1).all()
    assert poses[..., :2].std() > 0.05


def test_keypoints_are_the_models_own(folder: Path) -> None:
    """They are named as DeepLabCut names them, SuperAnimal's 39 and a project's alike."""
    quadruped = _open(_superanimal(folder, "rtmpose_s")).manifest.keypoints

    assert 39 == len(quadruped)
    assert "front_left_thai" in quadruped
    assert made.PARTS == _open(_project(folder, top_down=False)).manifest.keypoints


def test_a_pose_does_not_depend_on_the_batch(
    model: DeepLabCutPose, pictures: list[FramePicture]
) -> None:
    """Alone or with others, an animal has the same pose."""
    many = BOXES[:4]
    together = _poses(model, pictures[1], many)

    assert [_poses(model, pictures[1], [box])[0] for box in many] == together


def test_crops_are_those_of_deeplabcut(
    cropping: DeepLabCutPose, pictures: list[FramePicture]
) -> None:
    """A pose is what DeepLabCut finds when it gets the whole picture with the box, edges too."""
    whole = pictures[2].pixels()
    boxes = [
        np.array([[x * WIDTH, y * HEIGHT, max(w * WIDTH, 2), max(h * HEIGHT, 2)]])
        for x, y, w, h in BOXES
    ]
    theirs = cropping._runner.inference([(whole, {"bboxes": box}) for box in boxes])
    points = np.array([one["bodyparts"][0] for one in theirs])
    expected = np.clip(points / (WIDTH, HEIGHT, 1), 0, 1)

    assert np.allclose(expected, np.array(_poses(cropping, pictures[2], BOXES)), atol=1e-5)


def test_a_crop_holds_on_to_no_picture(model: DeepLabCutPose, pictures: list[FramePicture]) -> None:
    """What waits for the network is the crop alone, not a view of the whole picture."""
    crop = model.prepare(pictures[0], BOXES[0]).pixels
    kept = crop if crop.base is None else crop.base

    assert kept.nbytes < WIDTH * HEIGHT * 3


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    """A file that is not what the options say is refused when it is opened."""
    _superanimal(folder, "rtmpose_s")
    path = folder / "quadruped_rtmpose_s.pt"
    said = f'{QUADRUPED}\nmodel = "hrnet_w32"'

    with pytest.raises(ModelInvalid, match="DeepLabCut can't load the model quadruped_rtmpose_s"):
        open_pose(manifest_of(path, "deeplabcut", "pose", options=said))


def test_weights_that_are_no_numbers_fail(folder: Path, pictures: list[FramePicture]) -> None:
    """A network that gives NaN fails with one clear sentence."""
    _superanimal(folder, "rtmpose_s")
    saved = torch.load(folder / "quadruped_rtmpose_s.pt")
    next(one for name, one in saved["model"].items() if name.endswith("weight")).fill_(torch.nan)
    path = folder / "broken.pt"
    torch.save(saved, path)
    said = f'{QUADRUPED}\nmodel = "rtmpose_s"'
    model = open_pose(manifest_of(path, "deeplabcut", "pose", options=said))

    with pytest.raises(ModelFailed, match="broken gave what is no number"):
        model.pose([model.prepare(pictures[0], BOXES[0])])


def test_other_keypoints_than_the_models_are_refused(folder: Path) -> None:
    """A manifest whose keypoints are not the model's own is refused, and told which they are."""
    _superanimal(folder, "rtmpose_s")
    said = f'{QUADRUPED}\nmodel = "rtmpose_s"'
    weights = folder / "quadruped_rtmpose_s.pt"
    manifest = manifest_of(weights, "deeplabcut", "pose", options=said, more='keypoints = ["nose"]')

    with pytest.raises(ModelInvalid, match="nose, upper_jaw, lower_jaw"):
        open_pose(manifest)


def test_nothing_is_loaded_of_a_changed_snapshot(folder: Path) -> None:
    """A snapshot whose sha256 is not the manifest's is refused."""
    path = folder / "changed.pt"
    path.write_bytes(b"whole")
    manifest = manifest_of(path, "deeplabcut", "pose", options=QUADRUPED)
    path.write_bytes(b"other")

    with pytest.raises(ModelInvalid, match="not the one that its manifest means"):
        open_pose(manifest)
