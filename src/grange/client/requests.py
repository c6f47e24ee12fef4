"""Requests made of what people typed."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from grange.client.schemas.basis import Request
from grange.errors import RequestInvalid

R = TypeVar("R", bound=Request)


def request(model: type[R], **values: object) -> R:
    """A request of these values; those that are None are left out, and so stay as they are.

    Raises:
        RequestInvalid: A value is refused; the message says which and why.
    """
    try:
        return model.model_validate({name: one for name, one in values.items() if one is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "The request"
        raise RequestInvalid(f"{name}: {first['msg']}.") from error
