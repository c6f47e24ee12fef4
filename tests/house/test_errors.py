"""The one exception tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from grange import errors


def _tree(error: type[errors.GrangeError], depth: int = 0) -> Iterator[tuple[int, str]]:
    yield depth, error.__name__
    for child in error.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from _tree(child, depth + 1)


def _drawn_tree() -> list[tuple[int, str]]:
    """Read the tree from the docstring: each level is drawn four columns further right."""
    drawing = re.compile(r"^ {4}([│├└─ ]*)([A-Z]\w+)", re.MULTILINE)
    found = drawing.findall(errors.__doc__ or "")
    return [(len(lines) // 4, name) for lines, name in found]


def _ancestries(tree: Iterable[tuple[int, str]]) -> list[tuple[str, ...]]:
    """Each class with those above it, whatever the order of siblings."""
    found: list[tuple[str, ...]] = []
    path: list[str] = []
    for depth, name in tree:
        path = [*path[:depth], name]
        found.append(tuple(path))
    return found


def _classes() -> list[type[errors.GrangeError]]:
    return [getattr(errors, name) for _, name in _tree(errors.GrangeError)]


def test_the_drawn_tree_is_the_real_one() -> None:
    """Who reads the docstring knows every error, and below which other one it stands."""
    drawn = _ancestries(_drawn_tree())

    assert len(drawn) == len(set(drawn))
    assert set(_ancestries(_tree(errors.GrangeError))) == set(drawn)


def test_every_error_has_a_code_of_its_own() -> None:
    """A program can match on a code without knowing Python's classes."""
    codes = [error.__dict__.get("code") for error in _classes()]

    assert len(_classes()) == len(set(codes))
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", str(code)) for code in codes)


def test_every_error_says_what_it_means() -> None:
    """Each class carries one sentence, which the reference page shows."""
    assert [] == [error.__name__ for error in _classes() if "__doc__" not in error.__dict__]
    assert all((error.__doc__ or "").splitlines()[0].endswith((".", ":")) for error in _classes())


def test_nothing_else_stands_in_the_module() -> None:
    """Every public class of the package is in the tree."""
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__.startswith(errors.__name__)
    }

    assert {name for _, name in _tree(errors.GrangeError)} == public
