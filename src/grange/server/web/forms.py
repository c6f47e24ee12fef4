"""Forms: what was sent, what is wrong with it, and what to show again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from grange import errors
from grange.server.web.texts import texts
from grange.settings import kinds

# More than any page of ours sends.
MOST_FIELDS = 1000
MOST_LETTERS = 1 << 20

Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Form:
    """A form as a page shows it: what stands in its fields, and what is wrong with them."""

    values: Mapping[str, Any] = field(default_factory=dict)
    mistakes: dict[str, str] = field(default_factory=dict)
    refused: str = ""  # what is wrong with the whole
    hint: str = ""
    code: str = ""
    several: Mapping[str, list[str]] = field(
        default_factory=dict
    )  # fields that come more than once

    def text(self, name: str) -> str:
        """A field's text, without the blanks around it; empty if it was not sent."""
        return str(self.values.get(name, "")).strip()

    def size(self, name: str) -> object:
        """A number of bytes, with or without a unit; None if empty, the text if it is none."""
        text = self.text(name)
        try:
            return kinds.size(0).parse(text.replace(" ", "")) if text else None
        except ValueError:
            return text

    def refuse(self, error: errors.GrangeError, name: str = "") -> Form:
        """The same form, with the error beside the field that it concerns, or above them all."""
        if name:
            self.mistakes[name] = f"{error.message} {error.hint}".strip()
        else:
            self.refused, self.hint, self.code = error.message, error.hint, error.code
        return self

    def read(self, model: type[Model], **values: object) -> Model | None:
        """What the fields mean, or None with the mistakes noted; `values` win over fields."""
        wanted = {name: self.values[name] for name in model.model_fields if name in self.values}
        try:
            return model.model_validate(wanted | values)
        except ValidationError as invalid:
            for one in invalid.errors(
                include_url=False, include_context=False, include_input=False
            ):
                name = str(one["loc"][0]) if one["loc"] else ""
                self.mistakes.setdefault(name, _words(name, one["type"], one["msg"]))
            return None


async def sent(request: Request) -> Form:
    """The form that the request brings."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS, max_part_size=MOST_LETTERS)
    texts_only = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    several: dict[str, list[str]] = {}
    for name, value in texts_only:
        several.setdefault(name, []).append(value)
    return Form(values=dict(texts_only), several=several)


Sent = Annotated[Form, Depends(sent)]

_KINDS = {
    "missing": "missing",
    "string_too_short": "missing",
    "too_short": "missing",
    "string_too_long": "too_long",
    "literal_error": "choice",
    "int_parsing": "number",
    "float_parsing": "number",
}


def _words(name: str, kind: str, said: str) -> str:
    t = texts()
    if name == "email" and kind == "string_pattern_mismatch":
        return t("frame.mistake.email")
    if name.endswith("_bytes"):
        return t("frame.mistake.size")
    if kind in _KINDS:
        return t(f"frame.mistake.{_KINDS[kind]}")
    return t("frame.mistake.other", said=said)
