"""Text that people and browsers send: what is refused, and how the rest is made harmless."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from grange import errors
from grange.accounts.models import JSON

EMAIL_LENGTH = 254
NAME_LENGTH = 200
# A value nested deeper than this is told as text.
DETAIL_DEPTH = 6
DETAIL_ENTRIES = 100
DETAIL_TEXT_LENGTH = 1000

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
    cleaned = _plain_value(detail, DETAIL_DEPTH)
    return cleaned if isinstance(cleaned, dict) else {}


def _plain_value(value: JSON, depth: int) -> JSON:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no infinity.
        return value if value - value == 0 else str(value)
    if depth > 0 and isinstance(value, Mapping):
        some = list(value.items())[:DETAIL_ENTRIES]
        return {plain(str(name), NAME_LENGTH): _plain_value(one, depth - 1) for name, one in some}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(one, depth - 1) for one in list(value)[:DETAIL_ENTRIES]]
    return plain(str(value), DETAIL_TEXT_LENGTH)


def _is_harmful(letter: str) -> bool:
    return unicodedata.category(letter) in _HARMFUL


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"
