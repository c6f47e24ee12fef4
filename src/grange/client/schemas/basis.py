"""What all requests and answers have in common."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

JSON = Any
T = TypeVar("T")

# A name that people give: one line, no control characters.
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=ONE_LINE)
]
# A secret that somebody types or pastes.
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{10}$")]


class Request(BaseModel):
    """A request's body: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer's body: a client passes over what it does not know."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Page(Answer, Generic[T]):
    """A part of a list; `next` is the `after` of the part that follows, or nothing."""

    items: list[T]
    next: str | None = None
    total: int | None = None


class Problem(Answer):
    """Why a request failed, as RFC 9457 says."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | None = None
    errors: list[dict[str, JSON]] = Field(default_factory=list)
