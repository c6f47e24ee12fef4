"""The one mapping of errors and ended runs to exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grange import errors
from grange.cli import exits


def _all(kind: type[errors.GrangeError]) -> Iterator[type[errors.GrangeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all(child)


@pytest.mark.parametrize("kind", list(_all(errors.GrangeError)), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code(kind: type[errors.GrangeError]) -> None:
    """What is wrong with the request is 2, everything else 1; never a success."""
    wanted = exits.USAGE if issubclass(kind, errors.UsageError) else exits.ERROR

    assert wanted == exits.exit_code(kind("It broke."))


def test_every_code_is_explained() -> None:
    """Each named code has words, which the reference page shows."""
    named = {value for name, value in vars(exits).items() if name.isupper() and name != "EXITS"}

    assert named == exits.EXITS.keys()


def test_an_error_of_another_kind_is_an_error() -> None:
    """What nobody foresaw is no success either."""
    assert exits.ERROR == exits.exit_code(OSError(str(Path())))
