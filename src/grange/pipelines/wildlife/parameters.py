"""What the wildlife pipeline is told: models, sampling, thresholds, what to make."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grange.pipelines.base import INCIDENTAL, Parameters


class WildlifeParameters(Parameters):
    """The parameters of `grange run wildlife`."""

    detector: str = Field("reference-detector", description="The model that finds animals.")
    classifier: str = Field(
        "reference-classifier", description="The model that names the species, or none."
    )
    pose: str = Field("reference-pose", description="The model that finds keypoints, or none.")
    sample_fps: float | Literal["all"] | None = Field(
        None, description="How many frames of each second are analysed, or all; 5 if unset."
    )
    part_seconds: Annotated[float, INCIDENTAL] = Field(
        60.0, gt=0, description="How much of a long video one worker takes at a time."
    )
