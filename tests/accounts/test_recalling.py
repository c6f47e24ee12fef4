"""What is remembered of people for seconds: who asks, without waiting, and their names."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import event

from grange import errors
from grange.accounts.models import Actor, UserChange
from grange.accounts.names import Names
from grange.accounts.sessions import open_cache
from grange.db import Database
from tests.accounts.sites import HERE, Site
from tests.services import CacheServer


def test_who_was_here_a_moment_ago_is_known_without_waiting(small_site: Site) -> None:
    """Nothing is said of a token before its first use, and from then on what the database says."""
    accounts, admin = small_site.accounts, small_site.admin()
    made = accounts.make_token(admin, name="t", scopes=["read"])

    assert accounts.recalled_token(made.text, place=HERE) is None
    first = accounts.actor_of_token(made.text, place=HERE)

    assert first == accounts.recalled_token(made.text, place=HERE)


def test_a_session_is_known_without_waiting(small_site: Site) -> None:
    """It comes with the same proof against forgery as from the database."""
    admin = small_site.admin()
    opened = small_site.accounts.open_session(admin.user, place=HERE)

    assert small_site.accounts.recalled_session(opened.secret, place=HERE) is None
    first = small_site.accounts.actor_of_session(opened.secret, place=HERE)

    assert first == small_site.accounts.recalled_session(opened.secret, place=HERE)
    assert opened.session.csrf == first[1].csrf


def test_what_has_ended_is_not_recalled(small_site: Site) -> None:
    """A revoked token is unknown at once, one that has expired is refused."""
    accounts, admin = small_site.accounts, small_site.admin()
    revoked = accounts.make_token(admin, name="t", scopes=["read"])
    expired = accounts.make_token(admin, name="t", scopes=["read"], expires_seconds=10)
    for made in (revoked, expired):
        accounts.actor_of_token(made.text, place=HERE)

    accounts.revoke_token(admin, revoked.token.id)
    small_site.clock.forward(seconds=10)

    assert accounts.recalled_token(revoked.text, place=HERE) is None
    with pytest.raises(errors.CredentialsInvalid):
        accounts.recalled_token(expired.text, place=HERE)


@pytest.mark.redis
def test_nobody_waits_for_a_cache_elsewhere(
    small_database: Database, redis_server: CacheServer
) -> None:
    """What lies in Redis is not asked for where nothing may wait."""
    with closing(open_cache(redis_server.url)) as cache:
        site = Site(small_database, cache)
        made = site.accounts.make_token(site.admin(), name="t", scopes=["read"])
        site.accounts.actor_of_token(made.text, place=HERE)

        assert site.accounts.recalled_token(made.text, place=HERE) is None


def test_names_are_asked_for_once(small_site: Site) -> None:
    """The second list of the same people asks the database nothing."""
    admin = small_site.admin()
    asked: list[str] = []
    engine = small_site.database._engine
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    found = [small_site.accounts.names([admin.user.id, "nobody"]) for _ in range(2)]
    before = len(asked)
    found.append(small_site.accounts.names([admin.user.id]))

    assert [{admin.user.id: "Ada"}] * 3 == found
    assert before == len(asked)


def test_a_new_name_is_told_at_once(site: Site, admin: Actor) -> None:
    """Whoever is renamed, chooses another name or is deleted is not told of by the old one."""
    bea = site.user(admin, "bea@example.org")
    accounts = site.accounts
    names = [accounts.names([bea.id])]
    accounts.change_user(admin, bea.id, UserChange(name="Beatrix"))
    names.append(accounts.names([bea.id]))
    key = accounts.reset(admin, bea.id).key
    accounts.welcome(key, password="nine quiet herons", name="Bix", place=HERE)
    names.append(accounts.names([bea.id]))
    accounts.delete_user(admin, bea.id)
    names.append(accounts.names([bea.id]))

    assert [{bea.id: "bea"}, {bea.id: "Beatrix"}, {bea.id: "Bix"}, {}] == names


def test_so_many_names_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site of very many people takes no more memory for it."""
    monkeypatch.setattr("grange.accounts.names.MOST_NAMES", 3)
    names = Names()
    names.keep({"a": "A", "b": "B", "c": "C"})
    names.keep({"d": "D"})

    assert {"d": "D"} == names.find("abcd")
