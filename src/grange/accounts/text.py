"""Text that people and browsers send: what is refused, and how the rest is made harmless."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Collection, Mapping

from grange import errors
from grange.accounts.models import JSON

EMAIL_LENGTH = 254
NAME_LENGTH = 200
# What is nested deeper, and what comes after so many values, is not told.
DETAIL_DEPTH = 6
DETAIL_VALUES = 100
DETAIL_TEXT_LENGTH = 1000
LARGEST_NUMBER = 2**63
CUT = "…"

# Control characters, formats (those that turn the writing around are among them), halves of
# surrogate pairs, and separators of lines and paragraphs.
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def email_of(text: str) -> str:
    """The address in the one way that it is kept and looked for.

    Raises:
        RequestInvalid: It is none.
    """
    email = unicodedata.normalize("NFC", text.strip()).lower()
    local, _, domain = email.rpartition("@")
    fits = local and domain and "@" not in local and len(email) <= EMAIL_LENGTH
    if not fits or any(_is_harmful(letter) or letter.isspace() for letter in email):
        raise errors.RequestInvalid(
            "This is no e-mail address.", hint="Write it like name@example.org."
        )
    return email


def name_of(text: str) -> str:
    """A name on one line, without what could make it look like something else.

    Raises:
        RequestInvalid: It is empty, too long, or has control characters.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not 0 < len(name) <= NAME_LENGTH or any(map(_is_harmful, name)):
        raise errors.RequestInvalid(
            "This is no name.",
            hint=f"Give one line of at most {NAME_LENGTH} characters, without control characters.",
        )
    return name


def plain(text: str, length: int) -> str:
    r"""The text cut to a length, with whatever could forge a line of a log written as \u….

    Tabs and ends of lines are among that; it never fails, and what comes out is left
    alone when it comes again.
    """
    shown = "".join(_escaped(letter) if _is_harmful(letter) else letter for letter in text[:length])
    return shown[:length]


def plain_detail(detail: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same for every text in a JSON object, which is bounded in depth and size too."""
    cleaned = _Cleaning().value(detail, DETAIL_DEPTH)
    return cleaned if isinstance(cleaned, dict) else {}


class _Cleaning:
    """Takes what it gets for one value, until there are too many."""

    def __init__(self) -> None:
        self._left = DETAIL_VALUES

    def value(self, value: JSON, depth: int) -> JSON:
        """The value as it may be written, or what stands for it."""
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= LARGEST_NUMBER else CUT
        if isinstance(value, float):
            # JSON has no infinity.
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._inside(value, depth - 1) if depth > 0 else CUT
        return plain(str(value), DETAIL_TEXT_LENGTH)

    def _inside(self, value: Collection[JSON], depth: int) -> JSON:
        some = itertools.islice(value, max(self._left, 0))
        if isinstance(value, Mapping):
            return {plain(str(one), NAME_LENGTH): self.value(value[one], depth) for one in some}
        return [self.value(one, depth) for one in some]


def _is_harmful(letter: str) -> bool:
    return unicodedata.category(letter) in _HARMFUL


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"
