"""Globs: what they match, and that none of them can stop a server."""

from __future__ import annotations

import random
import re
import time

import pytest

from grange.errors import InputsInvalid
from grange.runs import globs

SEED = 20260101
PIECES = ("a", "b", "/", "*", "**", "**/", "?", "[ab]", "[!a]", ".")
MEANINGS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"} | {
    "[ab]": "[ab]",
    "[!a]": "[^a]",
}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.mp4", "cam/1.mp4", True),
        ("*.mp4", "cam/1.avi", False),
        ("cam/*.mp4", "cam/deep/1.mp4", False),
        ("cam/**/*.mp4", "cam/1.mp4", True),
        ("cam/**/*.mp4", "cam/deep/deeper/1.mp4", True),
        ("**/day*/cam?/*_[0-9]*.mp4", "site/day12/cam3/clip_07.mp4", True),
        ("**/day*/cam?/*_[!0-9]*.mp4", "site/day12/cam3/clip_07.mp4", False),
        ("**/a*b*c/**", "x/a1b2c/anything/below", True),
    ],
)
def test_a_glob_matches_what_its_stars_say(pattern: str, path: str, expected: bool) -> None:
    """One star stops at a slash, two don't, and `**/` is any folder or none."""
    assert expected == globs.matcher([pattern])(path)


def test_globs_of_many_stars_match_what_their_expression_would() -> None:
    """However a glob is looked at, it means the same."""
    chance = random.Random(SEED)  # no secret
    for _ in range(3000):
        pieces = chance.choices(PIECES, k=chance.randint(1, 9))
        pattern = "".join(pieces)
        found = re.findall(r"\*\*/|\*\*|\*|\?|\[!?[ab]+\]|.", pattern.removeprefix("./"))
        plain = "".join(MEANINGS.get(one) or re.escape(one) for one in found)
        path = "".join(chance.choices("aab//.", k=chance.randint(1, 9)))
        expected = re.fullmatch(plain, path, re.DOTALL) is not None
        assert expected == bool(globs.compiled(pattern)(path)), (pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 20 + "b", "a" * 250),
        ("**/" + "*a" * 20 + "b", "a" * 250 + "/" + "a" * 250),
        ("**a" * 20 + "b", "a/" * 2000),
        ("**/a/" * 20 + "b", "a/" * 2000),
        ("**/*b", "a/" * 2000),
    ],
)
def test_no_glob_takes_longer_than_its_path_is_long(pattern: str, path: str) -> None:
    """A path that nearly matches in many ways is looked at once, not once for each way."""
    began = time.process_time()
    assert not globs.compiled(pattern)(path)
    assert time.process_time() - began < 5.0


def test_a_glob_of_too_many_stars_is_refused() -> None:
    """There is a limit, and the error says so."""
    with pytest.raises(InputsInvalid, match="more than 32 stars"):
        globs.compiled("*a" * 33)
    assert globs.compiled("*a" * 32)("a" * 40)
