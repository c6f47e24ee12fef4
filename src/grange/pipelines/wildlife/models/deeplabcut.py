"""DeepLabCut 3's pose models, run by DeepLabCut itself: SuperAnimal's, or a project's own.

Imported when such a model is opened and by nobody before: DeepLabCut and PyTorch take seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ExtraMissing, ModelInvalid
from grange.pipelines.wildlife.models import packages
from grange.pipelines.wildlife.models.interface import Prepared

if TYPE_CHECKING:
    from deeplabcut.pose_estimation_pytorch.config.pose import PoseConfig
    from deeplabcut.pose_estimation_pytorch.runners import PoseInferenceRunner
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture, Pixels
    from grange.pipelines.wildlife.results import Box, Point

    Array = NDArray[np.float64]
    Place = tuple[int, int]

PACKAGE: Final = "DeepLabCut"
OPTIONS: Final = {
    "superanimal": str,  # superanimal_quadruped, …
    "model": str,  # hrnet_w32, …
    "config": str,  # a project's config.yaml, or the pytorch_config.yaml of one of its models
    "config_sha256": str,
    "shuffle": int,
    "device": str,
    "fetch": bool,
}
# So many crops go through the network at once on a GPU. A processor gains little by more than one,
# and one by one none has a part in how another is rounded.
BATCH: Final = 8
# DeepLabCut tells a model that crops from one that doesn't by whether there is a detector. Ours
# finds the boxes; of this one, only the name is used.
_SOME_DETECTOR: Final = "fasterrcnn_resnet50_fpn_v2"
# A box of fewer pixels has nothing to scale up.
_SMALLEST: Final = 2.0
# DeepLabCut's crops are cut as from the whole picture where what surrounds them starts at an even
# pixel (its places are rounded half to even) and is a bit larger than they are.
_SPARE: Final = 2


def open_pose(manifest: Manifest, *, threads: int = 1) -> DeepLabCutPose:
    """The pose model of a manifest, loaded by DeepLabCut.

    Raises:
        ExtraMissing: DeepLabCut is not installed.
        ModelInvalid: The options or the weights can't be used.
    """
    packages.options_of(manifest, OPTIONS)
    weights = packages.weights_of(manifest)
    _require()
    import torch

    torch.set_num_threads(threads)
    with packages.loading(manifest, PACKAGE):
        config = _config(manifest)
        keypoints = tuple(config["metadata"]["bodyparts"])
        if manifest.keypoints not in {(), keypoints}:
            raise ModelInvalid(
                f"The manifest of the model {manifest.name} names other keypoints than the model "
                f"has: {', '.join(keypoints)}."
            )
        device = packages.device_of(manifest, gpu=torch.cuda.is_available())
        runner = _runner(config, weights or _fetched(manifest), device)
    packages.watch(runner.model, manifest)
    return DeepLabCutPose(replace(manifest, keypoints=keypoints), runner)


class DeepLabCutPose:
    """A pose model that DeepLabCut runs on what is in an animal's box.

    A model that DeepLabCut trained on crops gets them cut and scaled by DeepLabCut's own rules. One
    trained on whole pictures (most projects) gets the box grown by the manifest's `crop_scale` as
    if it were the picture, and its likeliest animal counts.
    """

    def __init__(self, manifest: Manifest, runner: PoseInferenceRunner) -> None:
        """Take a runner of DeepLabCut's."""
        from deeplabcut.pose_estimation_pytorch.data.preprocessor import TopDownCrop

        self._manifest = manifest
        self._runner = runner
        parts = runner.preprocessor.components
        # Typed by what it may be: nothing is known of the package's types.
        self._crop: Any = next((one for one in parts if isinstance(one, TopDownCrop)), None)

    @property
    def manifest(self) -> Manifest:
        """What the model's manifest says, with the keypoints that DeepLabCut knows of."""
        return self._manifest

    def prepare(self, picture: Picture, box: Box) -> Prepared:
        """What is in the box, as DeepLabCut crops it."""
        left, top = box[0] * picture.width, box[1] * picture.height
        width = max(box[2] * picture.width, _SMALLEST)
        height = max(box[3] * picture.height, _SMALLEST)
        if self._crop is None:
            grown = self._manifest.crop_scale
            reach = ((grown - 1) * width / 2, (grown - 1) * height / 2)
            return _around(picture, (left, top, width, height), reach)[0]
        return self._cropped(picture, (left, top, width, height))

    def _cropped(self, picture: Picture, box: Box) -> Prepared:
        out_width, out_height = self._crop.output_size
        stretch = max(out_width / out_height, out_height / out_width)
        reach = (max(box[2:]) + 2 * self._crop.margin) * stretch + _SPARE
        around, (left, top) = _around(picture, box, (reach, reach))
        inside = (box[0] - left, box[1] - top, box[2], box[3])
        crops, told = self._crop(around.pixels, {"bboxes": [inside]})
        (off_x, off_y), (scale_x, scale_y) = told["offsets"][0], told["scales"][0]
        region = (
            (left + off_x) / picture.width,
            (top + off_y) / picture.height,
            scale_x * out_width / picture.width,
            scale_y * out_height / picture.height,
        )
        return Prepared(crops[0], 0, 0, region)

    def pose(self, batch: Sequence[Prepared]) -> list[tuple[Point, ...]]:
        """For each, the places of the keypoints in fractions of the whole picture.

        One that was cropped at an edge may lie outside of the picture.

        Raises:
            ModelFailed: DeepLabCut stopped, or its numbers are none.
        """
        with packages.running(self._manifest, PACKAGE):
            answers = self._runner.inference([self._input(one) for one in batch])
            return [
                self._points(one, np.asarray(answer["bodyparts"], dtype=np.float64))
                for one, answer in zip(batch, answers, strict=True)
            ]

    def _input(self, one: Prepared) -> Pixels | tuple[Pixels, dict[str, Array]]:
        if self._crop is None:
            return one.pixels
        # Cropped already: a box that, grown by the margin, is all of it stays as it is.
        height, width = one.pixels.shape[:2]
        margin = self._crop.margin
        box = [margin, margin, width - 2 * margin, height - 2 * margin]
        return one.pixels, {"bboxes": np.array([box], dtype=np.float64)}

    def _points(self, one: Prepared, animals: Array) -> tuple[Point, ...]:
        # Of a part that it did not find, DeepLabCut says -1, or that it is nowhere.
        found: NDArray[np.bool_] = np.all(animals >= 0, axis=2)
        sure = np.where(found, np.clip(animals[..., 2], 0, 1), 0.0)
        best = int(sure.mean(axis=1).argmax())
        tall, wide = one.pixels.shape[:2]
        left, top, width, height = one.region
        shares = animals[best, :, :2] / (wide, tall) * (width, height) + (left, top)
        middle = (left + width / 2, top + height / 2)
        places = np.clip(np.where(found[best, :, None], shares, middle), 0, 1).tolist()
        return tuple((x, y, conf) for (x, y), conf in zip(places, sure[best].tolist(), strict=True))


def _around(picture: Picture, box: Box, reach: tuple[float, float]) -> tuple[Prepared, Place]:
    """What is around a box (in pixels) so far in each direction, and the pixel where it starts."""
    left, top = (max(math.floor((box[one] - reach[one]) / 2) * 2, 0) for one in (0, 1))
    right = min(math.ceil(box[0] + box[2] + reach[0]), picture.width)
    bottom = min(math.ceil(box[1] + box[3] + reach[1]), picture.height)
    region = (
        left / picture.width,
        top / picture.height,
        (right - left) / picture.width,
        (bottom - top) / picture.height,
    )
    # A copy: a view would hold on to all of the picture.
    return Prepared(picture.cropped(left, top, right, bottom).copy(), 0, 0, region), (left, top)


def _require() -> None:
    try:
        import deeplabcut.pose_estimation_pytorch  # noqa: F401  # with it comes all the rest
    except ImportError as error:
        raise ExtraMissing(
            f"DeepLabCut 3 is not installed, or not whole: {error}.",
            hint="Install it: pip install 'grange[wildlife-deeplabcut]'",
        ) from error


def _config(manifest: Manifest) -> PoseConfig:
    from deeplabcut.pose_estimation_pytorch.config.pose import PoseConfig

    options = manifest.options
    if "config" in options:
        return PoseConfig.from_yaml(_pose_config(manifest))
    if "superanimal" in options and "model" in options:
        return PoseConfig.build_for_superanimal_inference(
            options["superanimal"], model_name=options["model"], detector_name=_SOME_DETECTOR
        )
    raise ModelInvalid(
        f"The manifest of the model {manifest.name} does not say which of DeepLabCut's it is.",
        hint="Say options.superanimal and options.model, or options.config.",
    )


def _pose_config(manifest: Manifest) -> Path:
    """The pytorch_config.yaml that is meant, by itself or by its project's config.yaml."""
    from deeplabcut.core.config import ProjectConfig, read_config_as_dict
    from deeplabcut.core.engine import Engine
    from deeplabcut.utils.auxiliaryfunctions import get_model_folder

    path = packages.beside(manifest, "config")
    if "method" in read_config_as_dict(path):
        return path
    project = ProjectConfig.from_yaml(path)
    shuffle = manifest.options.get("shuffle", 1)
    fraction = project["TrainingFraction"][0]
    folder = get_model_folder(fraction, shuffle, project, engine=Engine.PYTORCH)
    return Path(project.project_path, folder, "train", Engine.PYTORCH.pose_cfg_name)


def _runner(config: PoseConfig, weights: Path, device: str) -> PoseInferenceRunner:
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner
    from deeplabcut.pose_estimation_pytorch.task import Task

    task = Task(config["method"])
    if task is Task.COND_TOP_DOWN:
        raise ModelInvalid("A conditional top-down model of DeepLabCut's needs another's poses.")
    # A thread of its own would outlive its failure.
    config.inference.multithreading.enabled = False
    cropped = task is Task.TOP_DOWN
    return get_pose_inference_runner(
        config,
        weights,
        # Whole pictures are of any size, and only equal ones go together.
        batch_size=BATCH if cropped and device != "cpu" else 1,
        device=device,
        max_individuals=1 if cropped else None,
    )


def _fetched(manifest: Manifest) -> Path:
    from deeplabcut.pose_estimation_pytorch.modelzoo import get_super_animal_snapshot_path

    if "config" in manifest.options:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} names no snapshot of its project.",
            hint="Name one (file, sha256): a snapshot-….pt beside the pytorch_config.yaml.",
        )
    options = manifest.options
    return Path(get_super_animal_snapshot_path(options["superanimal"], options["model"]))
