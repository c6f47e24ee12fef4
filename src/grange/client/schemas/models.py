"""Models of pipelines."""

from __future__ import annotations

from pydantic import Field

from grange.client.schemas.basis import Answer


class Model(Answer):
    """A model that pipelines can use by its name.

    `error` says why it can't be used; then little else is known of it. `input` is height and
    width, 0 where any will do. `shipped` ones come with Grange, the others were added.
    """

    name: str
    task: str = ""
    version: str = ""
    licence: str = ""
    source: str = ""
    sha256: str = ""
    shipped: bool = False
    backend: str = ""
    layout: str = ""
    input: list[int] = Field(default_factory=list)
    channels: str = ""
    resize: str = ""
    classes: list[str] = Field(default_factory=list)
    categories: dict[str, str] = Field(default_factory=dict)  # of a detector's results
    keypoints: list[str] = Field(default_factory=list)
    skeleton: list[list[str]] = Field(default_factory=list)
    typical_threshold: float | None = None
    conservative_threshold: float | None = None
    error: str = ""
