"""The one mapping of errors to HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grange import errors
from grange.server.problems import STATUS, http_status, problem


def _all(kind: type[errors.GrangeError]) -> Iterator[type[errors.GrangeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all(child)


@pytest.mark.parametrize("kind", list(_all(errors.GrangeError)), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_of_an_error(kind: type[errors.GrangeError]) -> None:
    """No error is told as a success."""
    assert 400 <= http_status(kind("It broke.")) <= 599


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ParameterInvalid("x"), 422),
        (errors.RunNotFound("x"), 404),
        (errors.OutputInUse("x"), 409),
        (errors.StoreFull("x"), 507),
        (errors.DatabaseBusy("x"), 503),
        (errors.PipelineFailed("x"), 422),
    ],
)
def test_the_nearest_class_decides(error: errors.GrangeError, status: int) -> None:
    """A class without a row of its own has the status of its parent."""
    assert status == http_status(error)


def test_every_row_differs_from_what_would_be_inherited() -> None:
    """The table holds no row that says what its parent says already."""
    repeated = [
        kind.__name__
        for kind, status in STATUS.items()
        if kind is not errors.GrangeError
        and status == next(STATUS[one] for one in kind.__mro__[1:] if one in STATUS)
    ]

    assert [] == repeated


def test_a_problem_says_what_happened_and_what_to_do() -> None:
    """The body is a problem document as RFC 9457 has it."""
    error = errors.RunNotFound("There is no run 'x'.", hint="See them all.")

    assert {
        "type": "urn:grange:error:run.not_found",
        "title": "No run has this id or name",
        "status": 404,
        "detail": "There is no run 'x'.",
        "code": "run.not_found",
        "hint": "See them all.",
    } == problem(error)


def test_a_problem_without_a_hint_has_no_empty_one() -> None:
    """What can't be said is left out."""
    assert "hint" not in problem(errors.StoreFull("Full."))
