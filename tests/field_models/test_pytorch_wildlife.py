"""MegaDetector V5 and V6 as PytorchWildlife itself runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from grange.errors import ModelFailed, ModelInvalid
from grange.pipelines.wildlife.media.pictures import FramePicture
from grange.pipelines.wildlife.models.interface import Detector, Found
from grange.pipelines.wildlife.models.opening import open_detector
from grange.pipelines.wildlife.models.pytorch_wildlife import PytorchWildlifeDetector
from tests.field_models import megadetectors_made as made
from tests.field_models.conftest import picture_of
from tests.field_models.manifests import manifest_of

THRESHOLD = 0.05
MODELS = {
    "MDV5-a": ("v5.pt", made.v5, ""),
    "MDV6-yolov9-c": ("v9.pt", lambda path: made.ultralytics(path, "yolov9t.yaml"), ""),
    "MDV6-yolov10-c": ("v10.pt", lambda path: made.ultralytics(path, "yolov10n.yaml"), ""),
    "MDV6-rtdetr-c": ("rtdetr.pt", lambda path: made.ultralytics(path, made.RTDETR), ""),
    "MDV6-apa-rtdetr-c": ("apache.pth", made.apache, ""),
    "MDV6-mit-yolov9-c": ("mit.ckpt", made.mit, 'config = "mit.yaml"'),
}


def _open(folder: Path, model: str) -> PytorchWildlifeDetector:
    name, make, options = MODELS[model]
    if not (folder / name).exists():
        make(folder / name)
    said = f'model = "{model}"\ndevice = "cpu"\n{options}'
    manifest = manifest_of(folder / name, "pytorch-wildlife", "detector", options=said)
    opened = open_detector(manifest, threads=2)
    assert isinstance(opened, PytorchWildlifeDetector)
    return opened


@pytest.fixture(scope="module", params=MODELS)
def detector(request: pytest.FixtureRequest, folder: Path) -> Detector:
    """Each of the models in turn."""
    return _open(folder, request.param)


@pytest.fixture(scope="module")
def v9(folder: Path) -> PytorchWildlifeDetector:
    """One of Ultralytics's."""
    return _open(folder, "MDV6-yolov9-c")


def _found(detector: Detector, pictures: list[FramePicture]) -> list[tuple[Found, ...]]:
    return detector.detect([detector.prepare(one) for one in pictures], THRESHOLD)


def _places(found: tuple[Found, ...]) -> np.ndarray:
    return np.array([(*one.box, one.conf, one.kind) for one in found]).reshape(-1, 6)


def test_finds_are_well_formed_and_the_surest_first(
    detector: Detector, pictures: list[FramePicture]
) -> None:
    """Boxes lie within the picture, confidences between the threshold and 1, categories fit."""
    for found in _found(detector, pictures[:3]):
        places = _places(found)

        assert len(found) > 0
        assert (places[:, :2] >= 0).all()
        assert (places[:, :2] + places[:, 2:4] <= 1 + 1e-9).all()
        assert (places[:, 4] >= THRESHOLD).all()
        assert (places[:, 4] <= 1).all()
        assert sorted(places[:, 4], reverse=True) == places[:, 4].tolist()
        assert {"1", "2", "3"} >= {one.category for one in found}
        assert ("animal", "person", "vehicle") == detector.manifest.classes


def test_what_is_found_does_not_depend_on_the_batch(
    detector: Detector, pictures: list[FramePicture]
) -> None:
    """Alone or with others, also with one of another size, a picture gives the same finds."""
    wide = picture_of(np.ascontiguousarray(pictures[0].pixels()[:200]))
    together = _found(detector, [pictures[0], wide, pictures[1]])

    assert _found(detector, [pictures[0]])[0] == together[0]
    assert _found(detector, [pictures[1]])[0] == together[2]


def test_pictures_differ_in_what_is_found(detector: Detector, pictures: list[FramePicture]) -> None:
    """The answer comes from the picture, not from the weights alone."""
    first, second = _found(detector, pictures[:2])

    assert first != second


def test_ultralytics_gets_the_colours_right(
    v9: PytorchWildlifeDetector,
    scenes: list[np.ndarray],
    pictures: list[FramePicture],
    tmp_path: Path,
) -> None:
    """Finds are those that Ultralytics has when it reads the very file by itself."""
    path = tmp_path / "scene.png"
    Image.fromarray(scenes[0]).save(path)
    predictor = v9._detector.predictor
    predictor.args.conf = THRESHOLD
    theirs = next(iter(predictor.stream_inference([str(path)]))).boxes
    ours = _places(_found(v9, [pictures[0]])[0])

    corners = np.concatenate((ours[:, :2], ours[:, :2] + ours[:, 2:4]), axis=1)
    order = np.argsort(-theirs.conf.numpy(), kind="stable")
    assert np.allclose(theirs.conf.numpy()[order], ours[:, 4], atol=1e-5)
    assert np.allclose(np.clip(theirs.xyxyn.numpy()[order], 0, 1), corners, atol=1e-5)


def test_the_rt_detr_is_read_as_one(
    folder: Path, scenes: list[np.ndarray], pictures: list[FramePicture]
) -> None:
    """PytorchWildlife would take it for a YOLO; finds are those of Ultralytics's own RT-DETR."""
    from ultralytics import RTDETR

    ours = _places(_found(_open(folder, "MDV6-rtdetr-c"), [pictures[0]])[0])
    model = RTDETR(str(folder / "rtdetr.pt"))
    bgr = np.ascontiguousarray(scenes[0][..., ::-1])
    theirs = model.predict(bgr, imgsz=1280, conf=THRESHOLD, verbose=False, device="cpu")[0].boxes

    assert len(theirs) == len(ours)
    assert np.allclose(np.sort(theirs.conf.numpy())[::-1], ours[:, 4], atol=1e-4)


def test_v5_finds_what_the_package_finds_in_a_file(
    folder: Path, scenes: list[np.ndarray], pictures: list[FramePicture], tmp_path: Path
) -> None:
    """Finds are those of PytorchWildlife's own call for a file."""
    path = tmp_path / "scene.png"
    Image.fromarray(scenes[0]).save(path)
    detector = _open(folder, "MDV5-a")
    with torch.inference_mode():
        told = detector._detector.single_image_detection(str(path), det_conf_thres=THRESHOLD)
    ours = _places(_found(detector, [pictures[0]])[0])

    assert np.allclose(np.sort(told["detections"].confidence)[::-1], ours[:, 4], atol=1e-5)


def test_a_large_picture_is_scaled_first(v9: Detector, pictures: list[FramePicture]) -> None:
    """What waits for the network is never larger than twice its input."""
    large = picture_of(pictures[0].pixels().repeat(8, axis=0).repeat(8, axis=1))

    assert (1440, 2560, 3) == v9.prepare(large).pixels.shape
    assert (360, 640, 3) == v9.prepare(pictures[0]).pixels.shape


def test_weights_that_are_no_numbers_fail(folder: Path, pictures: list[FramePicture]) -> None:
    """A network that gives NaN fails with one clear sentence, and finds nothing."""
    path = folder / "broken.pth"
    _open(folder, "MDV6-apa-rtdetr-c")
    state = torch.load(folder / "apache.pth")
    name = next(one for one in state["model"] if one.endswith("weight"))
    state["model"][name].fill_(torch.nan)
    torch.save(state, path)
    said = 'model = "MDV6-apa-rtdetr-c"\ndevice = "cpu"'
    manifest = manifest_of(path, "pytorch-wildlife", "detector", options=said)

    with pytest.raises(ModelFailed, match="broken gave what is no number"):
        _found(open_detector(manifest), pictures[:1])


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    """A file that is not what the options say is refused when it is opened."""
    _open(folder, "MDV6-apa-rtdetr-c")
    said = 'model = "MDV5-a"\ndevice = "cpu"'
    manifest = manifest_of(folder / "apache.pth", "pytorch-wildlife", "detector", options=said)

    with pytest.raises(ModelInvalid, match="PytorchWildlife can't load the model apache"):
        open_detector(manifest)


def test_a_changed_file_is_refused(folder: Path) -> None:
    """Nothing of a file is loaded whose sha256 is not the manifest's: it could run anything."""
    path = folder / "changed.pt"
    path.write_bytes(b"whole")
    said = 'model = "MDV5-a"'
    manifest = manifest_of(path, "pytorch-wildlife", "detector", options=said)
    path.write_bytes(b"other")

    with pytest.raises(ModelInvalid, match="not the one that its manifest means"):
        open_detector(manifest)
