"""Globs over paths, matched in a time that no glob can blow up: people send them to servers.

A glob without a slash looks at the name alone; `*` stops at a slash, `**/` is any folder or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from grange.errors import InputsInvalid

Matches = Callable[[str], object]

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)
_STARS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
MOST_STARS = 32
# An expression tries the places where each star may end, so its time is a path's length to the
# power of the stars; it is the faster way only where that is little.
_FEW_STARS = 2
_SHORT_LETTERS = 500
_MOST_KNOWN_LETTERS = 4096


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path below its root matches one of the globs."""
    if "*" in patterns:
        return lambda _: True
    names = [compiled(pattern) for pattern in patterns if "/" not in pattern]
    paths = [compiled(pattern) for pattern in patterns if "/" in pattern]

    def matches(path: str) -> bool:
        name = path.rsplit("/", 1)[-1]
        return any(one(name) for one in names) or any(one(path) for one in paths)

    return matches


def compiled(pattern: str) -> Matches:
    """What tells of a whole path whether the glob matches it.

    Raises:
        InputsInvalid: It is no glob, or has more stars than anybody needs.
    """
    found = _TOKENS.findall(pattern.removeprefix("./"))
    # Of the same stars in a row, one says it all.
    parts = [one for part, run in groupby(found) for one in ([part] if part in _STARS else run)]
    stars = sum(part in _STARS for part in parts)
    if stars > MOST_STARS:
        message = f"The glob {pattern[:100]!r} has more than {MOST_STARS} stars."
        raise InputsInvalid(message, hint="Give several globs in its place.")
    try:
        expression = re.compile("".join(map(_meaning, parts)), re.DOTALL).fullmatch
    except re.error as error:
        message = f"The glob {pattern!r} can't be understood: {error}."
        raise InputsInvalid(message, hint="Globs know *, ?, [abc] and **/.") from error
    if not stars:
        return expression
    steady = _Steady(parts)
    if stars > _FEW_STARS:
        return steady

    def matches(path: str) -> object:
        return expression(path) if len(path) <= _SHORT_LETTERS else steady(path)

    return matches


def _meaning(part: str) -> str:
    if len(part) > 2 and part.startswith("["):  # noqa: PLR2004  # a class has its brackets
        return part.replace("[!", "[^", 1)
    return _STARS.get(part) or ("[^/]" if part == "?" else re.escape(part))


class _Steady:
    """Follows all ways through a glob at once: a bit for each place in it, a step for each letter.

    Place n is reached where what comes before the n-th part has matched.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self._letters: list[tuple[int, Callable[[str], object]]] = []
        self._skipped = 0  # places whose part may be nothing
        self._any = 0  # places that take any letter and stay
        self._within = 0  # places that take any letter but a slash and stay
        self._folders = 0  # places that a slash leads out of, beside those
        place = 0
        for part in parts:
            bit = 1 << place
            if part == "**/":
                # Between the first letter of a folder and its slash one is at a place of its own.
                self._skipped |= bit
                self._any |= bit << 1
                self._folders |= bit << 1
                place += 1
            elif part in _STARS:
                self._skipped |= bit
                self._any |= bit if part == "**" else 0
                self._within |= bit if part == "*" else 0
            else:
                self._letters.append((bit, re.compile(_meaning(part), re.DOTALL).fullmatch))
            place += 1
        self._end = 1 << place
        self._known: dict[str, int] = {}

    def __call__(self, path: str) -> bool:
        at = self._skip(1)
        for letter in path:
            taken = at & self._taking(letter)
            stay = at & (self._any if letter == "/" else self._any | self._within)
            at = self._skip(taken << 1 | stay)
            if not at:
                return False
        return bool(at & self._end)

    def _skip(self, at: int) -> int:
        """The places as well that are reached without a letter."""
        while True:
            # Past `**/`, and to where its folder begins, which alone does not lead further.
            may = at & self._skipped
            more = at | may << 1 | (may << 1 & self._folders) << 1
            if more == at:
                return at
            at = more

    def _taking(self, letter: str) -> int:
        """The places whose part this letter is."""
        found = self._known.get(letter)
        if found is None:
            found = self._folders if letter == "/" else 0
            for bit, takes in self._letters:
                found |= bit if takes(letter) else 0
            if len(self._known) < _MOST_KNOWN_LETTERS:
                self._known[letter] = found
        return found
