"""What the wildlife pipeline is told: models, sampling, thresholds, what to make."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from grange.errors import GrangeError
from grange.pipelines.base import INCIDENTAL, NOWHERE, Parameters
from grange.pipelines.wildlife.models.digests import verify
from grange.pipelines.wildlife.models.manifest import Task
from grange.pipelines.wildlife.models.registry import default_models, is_path, unpinned
from grange.pipelines.wildlife.sampling import ALL, USUAL_FPS, Sampling, parse_fps

# In a model's place: that stage is left out.
NONE: Final = "none"

_TASKS: Final = {
    "detector": Task.DETECTOR,
    "classifier": Task.CLASSIFIER,
    "pose": Task.POSE,
}

Fps = Annotated[str, BeforeValidator(parse_fps)]
Threshold = Annotated[float, Field(ge=0, le=1)]


class WildlifeParameters(Parameters):
    """The parameters of `grange run wildlife`.

    A model's name is pinned to what it means when the run is submitted:
    `name@` and the beginnings of the sha256 of its file and of its manifest.
    """

    detector: str = Field(
        default="reference-detector",
        validate_default=True,
        description="The model that finds animals, people and vehicles: a name that "
        "grange models list shows, or the path of a manifest or of an .onnx file.",
    )
    classifier: str = Field(
        default="reference-classifier",
        validate_default=True,
        description="The model that names the species of animals; none leaves them unnamed.",
    )
    pose: str = Field(
        default="reference-pose",
        validate_default=True,
        description="The model that finds the keypoints of animals; none leaves poses out.",
    )
    sample_fps: Fps | None = Field(
        default=None,
        description="How many frames of each second are analysed, such as 5, 0.5 or 1/3, or all. "
        "If neither this nor sample_every is set, it is 5.",
    )
    sample_every: int | None = Field(
        default=None, ge=1, description="Every so-manieth frame is analysed, instead of sample_fps."
    )
    threshold: Threshold | None = Field(
        default=None,
        description="Detections of less confidence are left out. If unset, the detector's "
        "manifest says it: its conservative threshold.",
    )
    label_threshold: Threshold | None = Field(
        default=None,
        description="Detections of at least this confidence are painted, named, posed and begin "
        "tracks. If unset, the detector's manifest says it: its typical threshold.",
    )
    pcutoff: Threshold = Field(
        default=0.6, description="Points of poses of less confidence are neither painted nor drawn."
    )
    labelled: bool = Field(
        default=True, description="Whether videos and pictures with boxes and poses are made."
    )
    plots: bool = Field(
        default=True, description="Whether the poses of a video are drawn as plots."
    )
    part_seconds: Annotated[float, INCIDENTAL] = Field(
        default=30.0,
        gt=0,
        description="About how much of a long video a worker takes at a time, in seconds.",
    )

    @property
    def sampling(self) -> Sampling:
        """Which frames of a video are analysed."""
        if self.sample_every is not None:
            return Sampling(every=self.sample_every)
        if self.sample_fps == ALL:
            return Sampling()
        return Sampling(fps=Fraction(self.sample_fps) if self.sample_fps else USUAL_FPS)

    @field_validator("detector", "classifier", "pose")
    @classmethod
    def _pin(cls, given: str, info: ValidationInfo) -> str:
        name = str(info.field_name)
        if given == NONE and name != "detector":
            return NONE
        cwd = (info.context or {}).get("cwd")
        afar = cwd == NOWHERE
        if is_path(given) and not afar:
            given = os.path.join(cwd or os.getcwd(), os.path.expanduser(given))
        try:
            # Whoever asks from afar must not find out what other files there are here.
            found = default_models().find(given, task=_TASKS[name], files=not afar)
            if found.has_file and given == found.name:
                # Asked for anew. Later whoever loads it compares it again.
                verify(found)
        except GrangeError as error:
            raise ValueError(str(error)) from None
        pin = unpinned(found.sealed)[1]
        return f"{unpinned(given)[0]}@{pin}" if is_path(given) else found.sealed

    @model_validator(mode="after")
    def _check(self) -> WildlifeParameters:
        if self.sample_fps is not None and self.sample_every is not None:
            raise ValueError("give either sample_fps or sample_every")
        return self
