"""One site for all faults, put in order between them, and made anew when that can't be done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.faults.machines.stage import Machines, machines


class Lender:
    """Has at most one site at a time."""

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._site: Machines | None = None

    def lend(self) -> Machines:
        """A site on which everybody is at work."""
        if self._site is None:
            self._site = self._opened.enter_context(machines())
        self._site.settle()
        return self._site

    def close(self) -> None:
        """Take the site away."""
        self._site = None
        self._opened.close()


@pytest.fixture(scope="session")
def _lender() -> Iterator[Lender]:
    lender = Lender()
    yield lender
    lender.close()


@pytest.fixture
def site(_lender: Lender, request: pytest.FixtureRequest) -> Iterator[Machines]:
    """Lend the site; after a test that has failed the next one gets a fresh one."""
    failed = request.session.testsfailed
    try:
        yield _lender.lend()
    except BaseException:
        _lender.close()
        raise
    if request.session.testsfailed > failed:
        _lender.close()
