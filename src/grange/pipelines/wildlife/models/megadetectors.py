"""The models that PytorchWildlife calls MegaDetector: how each is loaded, and how it is asked.

Where PytorchWildlife 1.3 makes a mistake with one of them, it is told here and set right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models import packages

if TYPE_CHECKING:
    from PytorchWildlife.models.detection import BaseDetector
    from supervision import Detections
    from torch.nn import Module

    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Pixels

# What all of these find, in the order of their numbers.
CLASSES: Final = ("animal", "person", "vehicle")
# Most of these models' files are pickled whole. PyTorch opens such a file only when told that it is
# trusted; the manifest's sha256 is what says so.
_TRUSTED: Final = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True, slots=True)
class Megadetector:
    """One of the models: the longer side of its input, and what PytorchWildlife does with it.

    `load` takes a file with weights, or none where PytorchWildlife is to fetch them itself.
    """

    side: int
    load: Callable[[Manifest, Path | None, str], BaseDetector]
    find: Callable[[BaseDetector, Pixels, float], Detections]
    network: Callable[[BaseDetector], Module]


@contextmanager
def trusting() -> Iterator[None]:
    """Have PyTorch open files that are pickled whole, for so long."""
    before = os.environ.get(_TRUSTED)
    os.environ[_TRUSTED] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TRUSTED]
        else:
            os.environ[_TRUSTED] = before


# ---- V5


def _load_v5(manifest: Manifest, weights: Path | None, device: str) -> BaseDetector:
    from PytorchWildlife.models.detection import MegaDetectorV5

    version = manifest.options["model"][-1]
    file = str(weights) if weights else None
    return MegaDetectorV5(file, device, pretrained=weights is None, version=version)


def _find(detector: BaseDetector, pixels: Pixels, threshold: float) -> Detections:
    return detector.single_image_detection(pixels, det_conf_thres=threshold)["detections"]


def _model_in(detector: BaseDetector) -> Module:
    return detector.model


# ---- V6, by Ultralytics


def _load_v6(manifest: Manifest, weights: Path | None, device: str) -> BaseDetector:
    from PytorchWildlife.models.detection import MegaDetectorV6

    file = str(weights) if weights else None
    version = manifest.options["model"]
    detector = MegaDetectorV6(file, device, pretrained=weights is None, version=version)
    return _on_device(detector, file, device)


def _load_v6_rtdetr(manifest: Manifest, weights: Path | None, device: str) -> BaseDetector:
    from PytorchWildlife.models.detection.ultralytics_based.yolov8_base import YOLOV8Base

    if weights is None:
        raise ModelInvalid(
            f"PytorchWildlife takes {manifest.options['model']} for a YOLO when it fetches it.",
            hint="Fetch the file yourself and name it in the manifest (file, sha256).",
        )

    class MegaDetector(YOLOV8Base):  # type: ignore[misc]  # nothing is known of its types
        CLASS_NAMES: Final = dict(enumerate(CLASSES))
        IMAGE_SIZE = _V6_SIDE
        # The one name by which the base class knows that this is no YOLO.
        MODEL_NAME = "MDV6b-rtdetrl.pt"

    return _on_device(MegaDetector(str(weights), device), str(weights), device)


def _on_device(detector: BaseDetector, file: str | None, device: str) -> BaseDetector:
    # PytorchWildlife leaves the choice of the device to Ultralytics.
    predictor = detector.predictor
    if file and str(predictor.device) != device:
        predictor.args.device = device
        predictor.setup_model(file, verbose=False)
    return detector


def _find_v6(detector: BaseDetector, pixels: Pixels, threshold: float) -> Detections:
    # Ultralytics takes an array for BGR, as OpenCV reads it; PytorchWildlife hands on what it gets.
    return _find(detector, np.ascontiguousarray(pixels[..., ::-1]), threshold)


def _model_in_v6(detector: BaseDetector) -> Module:
    return detector.predictor.model


# ---- V6 under the MIT and Apache licences


def _load_apache(manifest: Manifest, weights: Path | None, device: str) -> BaseDetector:
    from PytorchWildlife.models.detection.rtdetr_apache import megadetectorv6_apache as apache
    from PytorchWildlife.models.detection.rtdetr_apache import rtdetr_apache_base as base

    version = manifest.options["model"]
    if weights is None:
        return apache.MegaDetectorV6Apache(device=device, version=version)
    configure = base.YAMLConfig

    def configured(file: str, **said: object) -> object:
        # All weights are in the file; the backbone's need not be fetched first.
        return configure(file, **said, PResNet={"pretrained": False})

    base.YAMLConfig = configured
    try:
        return apache.MegaDetectorV6Apache(str(weights), device, version=version)
    finally:
        base.YAMLConfig = configure


def _load_mit(manifest: Manifest, weights: Path | None, device: str) -> BaseDetector:
    from omegaconf import OmegaConf
    from PytorchWildlife.models.detection.yolo_mit import megadetectorv6_mit as mit

    version = manifest.options["model"]
    if weights is None:
        detector = mit.MegaDetectorV6MIT(device=device, version=version)
        detector._load_model(device=device, url=detector.url)  # noqa: SLF001  # else at each picture
        return detector
    if "config" not in manifest.options:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} lacks options.config.",
            hint="Name the YAML file that is published with these weights.",
        )
    config = packages.beside(manifest, "config")

    class MegaDetector(mit.MegaDetectorV6MIT):  # type: ignore[misc]  # nothing is known of its types
        def _load_cfg(self) -> object:
            return OmegaConf.load(config)

    detector = MegaDetector(device=device, version=version)
    # It looks for files of this name in a folder of its own; where the name is a path, it is there.
    detector.MODEL_NAME = str(weights)
    detector._load_model(device=device, url=version)  # noqa: SLF001  # else at each picture
    return detector


def _find_mit(detector: BaseDetector, pixels: Pixels, threshold: float) -> Detections:
    from PIL import Image

    # As its single_image_detection does, which would load the model once more.
    detector.cfg.task.nms.min_confidence = threshold
    picture, _, placed = detector.transform(Image.fromarray(pixels))
    given = detector.model(picture.to(detector.device)[None])
    told = detector.post_proccess(given, placed.to(detector.device)[None])
    return detector.results_generation(told, "")["detections"]


_V5_SIDE: Final = 1280
_V6_SIDE: Final = 1280
_FREE_SIDE: Final = 640
_V5: Final = Megadetector(_V5_SIDE, _load_v5, _find, _model_in)
_V6: Final = Megadetector(_V6_SIDE, _load_v6, _find_v6, _model_in_v6)
_V6_RTDETR: Final = Megadetector(_V6_SIDE, _load_v6_rtdetr, _find_v6, _model_in_v6)
_MIT: Final = Megadetector(_FREE_SIDE, _load_mit, _find_mit, _model_in)
_APACHE: Final = Megadetector(_FREE_SIDE, _load_apache, _find, _model_in)
MODELS: Final = {
    "MDV5-a": _V5,
    "MDV5-b": _V5,
    "MDV6-yolov9-c": _V6,
    "MDV6-yolov9-e": _V6,
    "MDV6-yolov10-c": _V6,
    "MDV6-yolov10-e": _V6,
    "MDV6-rtdetr-c": _V6_RTDETR,
    "MDV6-mit-yolov9-c": _MIT,
    "MDV6-mit-yolov9-e": _MIT,
    "MDV6-apa-rtdetr-c": _APACHE,
    "MDV6-apa-rtdetr-e": _APACHE,
}
