"""Opens models: the one place that knows what runs which of them.

Models of other packages than ONNX Runtime are imported when one is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models.manifest import DEEPLABCUT, ONNX, PYTORCH_WILDLIFE, Task

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.interface import Classifier, Detector, PoseModel
    from grange.pipelines.wildlife.models.manifest import Manifest


def open_detector(manifest: Manifest, *, threads: int = 1) -> Detector:
    """The detector of a manifest, loaded; `threads` is how many cores one inference may use.

    Raises:
        ModelInvalid: It is none, its file is not the one that the manifest means, or can't be used.
        ExtraMissing: What runs it is not installed.
    """
    _require(manifest, Task.DETECTOR)
    if manifest.backend == PYTORCH_WILDLIFE:
        from grange.pipelines.wildlife.models import pytorch_wildlife

        return pytorch_wildlife.open_detector(manifest, threads=threads)
    _require_onnx(manifest)
    from grange.pipelines.wildlife.models import detecting

    return detecting.open_detector(manifest, threads=threads)


def open_classifier(manifest: Manifest, *, threads: int = 1) -> Classifier:
    """The classifier of a manifest, loaded; see `open_detector`.

    Raises:
        ModelInvalid: It is none, its file is not the one that the manifest means, or can't be used.
    """
    _require(manifest, Task.CLASSIFIER)
    _require_onnx(manifest)
    from grange.pipelines.wildlife.models import classifying

    return classifying.open_classifier(manifest, threads=threads)


def open_pose(manifest: Manifest, *, threads: int = 1) -> PoseModel:
    """The pose model of a manifest, loaded; see `open_detector`.

    Raises:
        ModelInvalid: It is none, its file is not the one that the manifest means, or can't be used.
        ExtraMissing: What runs it is not installed.
    """
    _require(manifest, Task.POSE)
    if manifest.backend == DEEPLABCUT:
        from grange.pipelines.wildlife.models import deeplabcut

        return deeplabcut.open_pose(manifest, threads=threads)
    _require_onnx(manifest)
    from grange.pipelines.wildlife.models import posing

    return posing.open_pose(manifest, threads=threads)


def _require(manifest: Manifest, task: Task) -> None:
    if manifest.task is not task:
        said = f"The model {manifest.name} is no {task}: its manifest says {manifest.task}."
        raise ModelInvalid(said, hint="See the models that there are: grange models list")


def _require_onnx(manifest: Manifest) -> None:
    if manifest.backend != ONNX:
        raise ModelInvalid(
            f"The model {manifest.name} is a {manifest.task}, which {manifest.backend} has none of."
        )
