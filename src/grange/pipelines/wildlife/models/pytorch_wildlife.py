"""MegaDetector V5 and V6, run by PytorchWildlife itself.

Imported when such a model is opened and by nobody before: PytorchWildlife takes ten seconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from grange.errors import ExtraMissing, ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import packages
from grange.pipelines.wildlife.models.interface import Found, Prepared
from grange.pipelines.wildlife.models.megadetectors import CLASSES, MODELS, Megadetector, trusting

if TYPE_CHECKING:
    from PytorchWildlife.models.detection import BaseDetector

    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture, Pixels
    from grange.pipelines.wildlife.results import Box

PACKAGE: Final = "PytorchWildlife"
OPTIONS: Final = {
    "model": str,  # one of MODELS
    "config": str,  # of the MIT models: the YAML file that is published with them
    "config_sha256": str,
    "device": str,
    "fetch": bool,
}
# A larger picture comes scaled to so many times the model's input: it would be scaled down anyway,
# and a batch of whole ones would fill the memory.
MOST_SCALES: Final = 2
WHOLE: Final = (0.0, 0.0, 1.0, 1.0)

# What its packages would do by themselves as soon as they are imported: ask for news, install.
_QUIET: Final = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def open_detector(manifest: Manifest, *, threads: int = 1) -> PytorchWildlifeDetector:
    """The detector of a manifest, loaded by PytorchWildlife.

    Raises:
        ExtraMissing: PytorchWildlife is not installed.
        ModelInvalid: The options or the weights can't be used.
    """
    model = _model_of(manifest)
    if manifest.classes not in {(), CLASSES}:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} names other classes than MegaDetector has: "
            f"{', '.join(CLASSES)}."
        )
    weights = packages.weights_of(manifest)
    _require()
    import torch

    torch.set_num_threads(threads)
    device = packages.device_of(manifest, gpu=torch.cuda.is_available())
    with packages.loading(manifest, PACKAGE), trusting():
        detector = model.load(manifest, weights, device)
    packages.watch(model.network(detector), manifest)
    return PytorchWildlifeDetector(replace(manifest, classes=CLASSES), model, detector)


class PytorchWildlifeDetector:
    """A MegaDetector that PytorchWildlife runs, with its own scaling, thresholds and suppression.

    Pictures go through it one by one, so that none has a part in what is found in another.
    """

    def __init__(self, manifest: Manifest, model: Megadetector, detector: BaseDetector) -> None:
        """Take a detector of PytorchWildlife's."""
        self._manifest = manifest
        self._model = model
        self._detector = detector

    @property
    def manifest(self) -> Manifest:
        """What the model's manifest says, with MegaDetector's classes."""
        return self._manifest

    def prepare(self, picture: Picture) -> Prepared:
        """The whole picture, no larger than twice the model's input."""
        most = MOST_SCALES * self._model.side
        scale = most / max(picture.width, picture.height)
        if scale >= 1:
            return Prepared(picture.pixels(), 0, 0, WHOLE)
        width, height = (max(round(one * scale), 1) for one in (picture.width, picture.height))
        return Prepared(picture.scaled(width, height), 0, 0, WHOLE)

    def detect(self, batch: Sequence[Prepared], threshold: float) -> list[tuple[Found, ...]]:
        """What is in each picture, the surest first.

        Raises:
            ModelFailed: PytorchWildlife stopped, or its numbers are none.
        """
        import torch

        with packages.running(self._manifest, PACKAGE), torch.inference_mode():
            return [self._found(one.pixels, threshold) for one in batch]

    def _found(self, pixels: Pixels, threshold: float) -> tuple[Found, ...]:
        told = self._model.find(self._detector, pixels, threshold)
        height, width = pixels.shape[:2]
        corners = np.asarray(told.xyxy, dtype=np.float64).reshape(-1, 4)
        confs = np.asarray(told.confidence, dtype=np.float64)
        if not (np.isfinite(corners).all() and np.isfinite(confs).all()):
            raise ModelFailed(f"The model {self._manifest.name} gave what is no number.")
        corners = np.clip(corners / (width, height, width, height), 0, 1)
        ids = self._manifest.category_ids
        found = [
            Found(ids[kind], conf, _box(*places), kind)
            for places, conf, kind in zip(
                corners.tolist(), confs.tolist(), np.asarray(told.class_id).tolist(), strict=True
            )
        ]
        return tuple(sorted(found, key=lambda one: -one.conf))


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return (left, top, right - left, bottom - top)


def _model_of(manifest: Manifest) -> Megadetector:
    name = packages.options_of(manifest, OPTIONS).get("model")
    if name not in MODELS:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} does not say which of PytorchWildlife's "
            f"it is: options.model is {name!r}.",
            hint=f"One of {', '.join(MODELS)}.",
        )
    return MODELS[name]


def _require() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import PytorchWildlife.models.detection  # noqa: F401  # with it comes all the rest
    except (ImportError, RuntimeError) as error:
        # torchaudio of another torch's build says so with a RuntimeError.
        raise ExtraMissing(
            f"PytorchWildlife is not installed, or not whole: {error}.",
            hint="Install it: pip install 'grange[wildlife-pytorch]'",
        ) from error
