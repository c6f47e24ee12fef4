"""Places for results in buckets, that several people name at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grange.db import Database
from grange.errors import OutputInUse
from grange.runs import queries, submission
from tests.runs.ledgers import new_items, spec_of

PLACE = "s3://results/spring"


def _begun(database: Database, out: str, owner: str | None) -> submission.Opened:
    """Begin a submission as far as it is written down, and no further."""
    spec = replace(spec_of(Path("/nowhere"), owner=owner), out=out)
    opened = submission.open_run(database, spec)
    submission.add_items(database, opened, new_items(2))
    return opened


def _sealed(database: Database, opened: submission.Opened) -> bool:
    """Whether it may be; nothing of it is left otherwise."""
    try:
        submission.seal(database, opened)
    except OutputInUse:
        assert queries.run_of_id(database, opened.id) is None
        return False
    return True


@pytest.mark.parametrize("other", [f"{PLACE}/a", "s3://results", "s3://results/spring/a/b"])
def test_of_places_that_meet_the_first_one_is_taken(database: Database, other: str) -> None:
    """Both were asked for before either was written down; whichever ends first, one wins."""
    first, second = _begun(database, PLACE, "u1"), _begun(database, other, "u2")

    assert [False, True] == [_sealed(database, second), _sealed(database, first)]


def test_who_is_late_to_be_written_down_gives_way(database: Database) -> None:
    """A run that is whole has its place, however it is numbered."""
    first, second = _begun(database, PLACE, "u1"), _begun(database, "s3://results/autumn", "u2")

    assert [True, True] == [_sealed(database, second), _sealed(database, first)]
    third = _begun(database, f"{PLACE}/a", "u2")
    assert not _sealed(database, third)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((PLACE, "u1"), (f"{PLACE}/a", "u1")),  # one's own
        ((PLACE, "u1"), ("s3://results/springtime", "u2")),  # beside it
        ((PLACE, None), (f"{PLACE}/a", None)),  # no server's
    ],
)
def test_what_is_in_nobodys_way_may_be(database: Database, one: Any, other: Any) -> None:
    """One's own places may lie in each other, and names may begin alike."""
    both = [_begun(database, *one), _begun(database, *other)]

    assert [True, True] == [_sealed(database, opened) for opened in both]


def test_in_one_instant_one_of_several_wins(database: Database) -> None:
    """However their transactions meet; the others are told, and leave nothing."""
    places = [PLACE, f"{PLACE}/a", f"{PLACE}/a/b", "s3://results"]
    begun = [_begun(database, out, f"u{number}") for number, out in enumerate(places)]
    won: list[bool] = []
    ready = threading.Barrier(len(begun))

    def seal(opened: submission.Opened) -> None:
        ready.wait()
        won.append(_sealed(database, opened))

    threads = [threading.Thread(target=seal, args=(opened,)) for opened in begun]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [False, False, False, True] == sorted(won)
