"""Requests that come again make the same thing once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from grange import errors
from grange.accounts.repeats import Begun, Repeats
from grange.accounts.tables import repeats
from grange.core.ids import looks_like_id
from grange.db import Database
from tests.accounts.sites import Clock, at_once

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    """Give a time in the test's hands."""
    return Clock()


@pytest.fixture
def kept(database: Database, clock: Clock) -> Repeats:
    """Give what remembers requests, on each of the databases."""
    return Repeats(database, clock=clock)


def test_a_repeat_finds_the_same_id_and_the_answer(kept: Repeats) -> None:
    """Before the answer the id alone, so that a retry after a crash makes the very same thing."""
    first = kept.begin("u1", "key", "POST /runs {}")
    assert looks_like_id(first.resource_id)
    assert first == kept.begin("u1", "key", "POST /runs {}")

    kept.finish("u1", "key", {"id": first.resource_id, "name": "Füchse"})

    answer = {"id": first.resource_id, "name": "Füchse"}
    again = kept.begin("u1", "key", "POST /runs {}")
    assert Begun(resource_id=first.resource_id, answer=answer) == again


def test_another_request_under_the_key_is_refused(kept: Repeats) -> None:
    """A key stands for one request; another user's key is another one."""
    first = kept.begin("u1", "key", "POST /runs {}")

    with pytest.raises(errors.RepeatedDifferently):
        kept.begin("u1", "key", 'POST /runs {"a": 1}')

    assert first.resource_id != kept.begin("u2", "key", "POST /runs {}").resource_id
    assert first.resource_id != kept.begin("u1", "Key", "POST /runs {}").resource_id
    assert first.resource_id != kept.begin("u1", "key ", "POST /runs {}").resource_id


def test_twenty_at_once_get_one_id(kept: Repeats) -> None:
    """A client that sends the same again before the answer doubles nothing."""
    results = at_once(lambda _: kept.begin("u1", "key", "x"))

    assert 1 == len({one.resource_id for one in results if isinstance(one, Begun)})
    assert [] == [one for one in results if isinstance(one, errors.GrangeError)]


def test_a_key_that_was_taken_back_is_free(kept: Repeats) -> None:
    """Who was refused may mend the request; an answer that was given stays."""
    kept.begin("u1", "key", "x")
    kept.forget("u1", "key")
    kept.begin("u1", "key", "y")
    kept.finish("u1", "key", {"done": True})
    kept.forget("u1", "key")

    assert {"done": True} == kept.begin("u1", "key", "y").answer


def test_keys_are_kept_for_a_day(kept: Repeats, clock: Clock, database: Database) -> None:
    """Then the same key is new, whether it was swept away or not."""
    first = kept.begin("u1", "key", "x")
    clock.forward(seconds=DAY)
    assert first == kept.begin("u1", "key", "x")

    clock.forward(seconds=1)

    assert first != kept.begin("u1", "key", "y")
    clock.forward(seconds=DAY + 1)
    kept.sweep()
    with database.read() as connection:
        assert [] == connection.execute(select(repeats)).all()


def test_any_text_may_be_a_key(kept: Repeats) -> None:
    """However long and strange: what is kept of it is a digest."""
    for key in ("", "\x00", "\ud800", "x" * 100_000, "'; DROP TABLE repeats; --"):
        assert kept.begin("u1", key, key) == kept.begin("u1", key, key)
