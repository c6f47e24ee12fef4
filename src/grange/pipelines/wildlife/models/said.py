"""What a manifest may say, field by field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models.manifest import MOST_NAME, NAME, Manifest, Task

MOST_CLASSES: Final = 100_000
MOST_KEYPOINTS: Final = 1000
MOST_SIDE: Final = 8192

_LINE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(max_length=500, pattern=_LINE)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
Side = Annotated[int, Field(ge=0, le=MOST_SIDE)]
Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Said(BaseModel):
    """The fields of a manifest's file."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    name: Annotated[str, StringConstraints(max_length=MOST_NAME, pattern=f"^{NAME.pattern}$")]
    task: Task
    file: Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=_LINE)]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    version: Line = "1"
    licence: Line = ""
    source: Annotated[str, StringConstraints(max_length=5000)] = ""
    layout: Line = ""
    input: tuple[Side, Side] = (0, 0)
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Spread, Spread, Spread] = (1.0, 1.0, 1.0)
    resize: Literal["", "letterbox", "stretch"] = ""
    activation: Literal["", "none", "sigmoid", "softmax"] = ""
    classes: Annotated[tuple[Label, ...], Field(max_length=MOST_CLASSES)] = ()
    counts_as: Annotated[tuple[Label, ...], Field(max_length=MOST_CLASSES)] = ()
    keypoints: Annotated[tuple[Label, ...], Field(max_length=MOST_KEYPOINTS)] = ()
    skeleton: Annotated[tuple[tuple[Label, Label], ...], Field(max_length=MOST_KEYPOINTS)] = ()
    crop_scale: Annotated[float, Field(ge=0.5, le=4)] = 1.0
    typical_threshold: Share = 0.2
    conservative_threshold: Share = 0.05
    iou_threshold: Share = 0.45
    backend: Literal["onnx", "pytorch-wildlife", "deeplabcut"] = "onnx"
    options: Annotated[dict[str, Any], Field(max_length=100)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse fields that contradict each other."""
        if self.counts_as and len(self.counts_as) != len(self.classes):
            raise ValueError("counts_as must have one name for each of the classes")
        if len(set(self.keypoints)) != len(self.keypoints):
            raise ValueError("keypoints must not name one twice")
        if strange := {one for bone in self.skeleton for one in bone} - set(self.keypoints):
            raise ValueError(f"skeleton names {min(strange)!r}, which is none of the keypoints")
        return self


def checked(said: Mapping[str, Any], what: str, folder: Path) -> Manifest:
    """A manifest of what was said, where it makes sense; the file is meant from the folder.

    Raises:
        ModelInvalid: A field is missing, unknown or wrong; `what` begins the sentence.
    """
    if strange := next(iter(said.keys() - Said.model_fields.keys()), None):
        near = difflib.get_close_matches(strange, Said.model_fields, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Fields: {', '.join(Said.model_fields)}."
        raise ModelInvalid(f"{what} has an unknown field, {strange}.", hint=hint)
    try:
        fields = dict(Said.model_validate(said))
    except ValidationError as error:
        raise ModelInvalid(f"{what} {_fault(error)}.") from None
    return Manifest(**fields | {"file": (folder / fields["file"]).absolute()})


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(one) for one in first["loc"])
    is_missing = first["type"] == "missing"
    if is_missing and len(first["loc"]) == 1:
        return f"does not say {place}"
    reason = "it is missing" if is_missing else first["msg"].removeprefix("Value error, ")
    return f"is wrong in {place}: {reason}" if place else f"is wrong: {reason}"
