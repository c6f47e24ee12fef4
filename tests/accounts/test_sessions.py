"""Sessions: who is logged in, for how long, and how quickly that ends."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from grange import errors
from grange.accounts.models import Actor, Place, Role, Scope, UserChange
from grange.accounts.recall import TRUST_SECONDS
from grange.accounts.tables import sessions, users
from grange.db import Database
from tests.accounts.sites import ADMIN, HERE, Site, at_once


def test_a_session_says_who_is_there(site: Site, admin: Actor) -> None:
    """The cookie leads to the user with all rights of the role, from wherever it comes."""
    opened = site.log_in(ADMIN)
    elsewhere = Place(address="::1", agent="curl")

    for _ in ("from the database", "from the cache"):
        actor, session = site.accounts.actor_of_session(opened.secret, place=elsewhere)

        assert (opened.user.id, elsewhere) == (actor.user.id, actor.place)
        assert (frozenset(Scope), opened.session.id) == (actor.scopes, actor.session)
        assert opened.session == session


@pytest.mark.parametrize("secret", ["", "x", "ä\x00\ud800", "a" * 100_000])
def test_forged_cookies_open_nothing(small_site: Site, secret: str) -> None:
    """Whatever stands in a cookie, it is a session or nothing."""
    small_site.admin()
    assert not small_site.is_open(secret)


def test_a_session_of_another_site_opens_nothing(
    site: Site, admin: Actor, small_database: Database
) -> None:
    """Two sites that share a cache don't take each other's sessions and tokens for their own."""
    opened = site.log_in(ADMIN)
    made = site.accounts.make_token(admin, name="t", scopes=["read"])
    assert site.is_open(opened.secret)
    assert site.works(made.text)

    other = Site(small_database, site.cache)
    other.admin()

    assert not other.is_open(opened.secret)
    assert not other.works(made.text)


def test_whoever_writes_to_the_cache_is_not_believed(small_site: Site) -> None:
    """An entry that the site itself did not make is looked up in the database instead."""
    site = small_site
    admin = site.admin()
    member = site.member(admin, "bea@example.org", Role.VIEWER)
    opened = site.log_in("bea@example.org")
    site.actor(opened)
    entries = site.cache._entries  # type: ignore[attr-defined]
    for key, (until, text) in list(entries.items()):
        entries[key] = (until, text and text.replace('"viewer"', '"admin"'))

    assert member.user.role is site.actor(opened).user.role


def test_a_session_ends_after_thirty_days(small_site: Site) -> None:
    """Even one that is used every day."""
    site = small_site
    site.admin()
    opened = site.log_in(ADMIN)
    for _ in range(29):
        site.clock.forward(days=1)
        assert site.is_open(opened.secret)

    site.clock.forward(days=1)

    assert not site.is_open(opened.secret)


def test_a_session_ends_after_a_week_of_rest(small_site: Site) -> None:
    """A browser that nobody uses is logged out; one that is used stays."""
    site = small_site
    site.admin()
    opened, used = site.log_in(ADMIN), site.log_in(ADMIN)
    for _ in range(6):
        site.clock.forward(days=1)
        site.actor(used)
    site.clock.forward(days=1)

    assert (False, True) == (site.is_open(opened.secret), site.is_open(used.secret))
    site.accounts.sweep()
    with site.database.read() as connection:
        assert [used.session.id] == list(connection.execute(select(sessions.c.id)).scalars())


def test_a_cached_session_ends_on_time(small_site: Site) -> None:
    """The cache prolongs nothing."""
    site = small_site
    site.admin()
    opened = site.log_in(ADMIN)
    site.clock.forward(days=6)
    site.actor(opened)
    for _ in range(3):
        site.clock.forward(days=6)
        site.actor(opened)
    site.clock.forward(days=6, seconds=-1)
    site.actor(opened)

    site.clock.forward(seconds=1)

    assert not site.is_open(opened.secret)


def test_signs_of_life_are_written_once_a_minute(small_site: Site) -> None:
    """A busy page doesn't write to the database at each request."""
    site = small_site
    admin = site.admin()
    opened = site.log_in(ADMIN)
    seen = []
    for _ in range(8):
        site.clock.forward(seconds=20)
        site.actor(opened)
        with site.database.read() as connection:
            query = select(sessions.c.seen_at).where(sessions.c.id == opened.session.id)
            seen.append(round(connection.execute(query).scalar_one() - opened.session.created_at))
            query = select(users.c.seen_at).where(users.c.id == admin.user.id)
            assert seen[-1] == round(connection.execute(query).scalar_one() - site.clock.now) + (
                site.clock.now - opened.session.created_at
            )

    assert [0, 0, 60, 60, 60, 120, 120, 120] == seen


def test_logging_out_ends_the_session_at_once(site: Site, admin: Actor) -> None:
    """The cookie is worth nothing the moment after, though it was cached; others stay."""
    one, other = site.log_in(ADMIN), site.log_in(ADMIN)
    actor = site.actor(one)
    site.actor(other)

    site.accounts.log_out(actor)

    assert (False, True) == (site.is_open(one.secret), site.is_open(other.secret))


def test_one_sees_and_ends_ones_own_sessions(site: Site, admin: Actor) -> None:
    """Each with address and browser; nobody else's can be seen or ended."""
    member = site.member(admin, "bea@example.org")
    site.clock.forward(seconds=1)
    opened = site.accounts.log_in(
        "bea@example.org", "seven quiet herons", place=Place(address="::1", agent="a\r\nb" * 99)
    )

    listed = site.accounts.sessions(member)

    assert [opened.session.id, member.session] == [one.id for one in listed]
    assert ("::1", "a\\u000d\\u000a") == (listed[0].address, listed[0].agent[:13])
    assert {""} == {one.csrf for one in listed}
    assert admin.session is not None
    for foreign in (admin.session, "0000000000"):
        with pytest.raises(errors.TokenNotFound):
            site.accounts.end_session(member, foreign)
    site.accounts.end_session(member, opened.session.id)
    assert not site.is_open(opened.secret)


def test_an_administrator_ends_anybodys_session(site: Site, admin: Actor) -> None:
    """It is over at once, and the audit log says whose it was."""
    site.user(admin, "bea@example.org")
    opened = site.log_in("bea@example.org")
    site.actor(opened)

    site.accounts.end_session(admin, opened.session.id)

    assert not site.is_open(opened.secret)
    line = site.accounts.audit(admin, action="session.ended").items[0]
    assert {"user": opened.user.id} == line.detail


def test_other_processes_agree_within_seconds(small_site: Site) -> None:
    """A process with a cache of its own lets an ended session in for 15 seconds at most."""
    site = small_site
    site.admin()
    opened = site.log_in(ADMIN)
    other = site.process()
    other.actor_of_session(opened.secret, place=HERE)

    site.accounts.log_out(site.actor(opened))
    site.clock.forward(seconds=TRUST_SECONDS)

    assert 15 == TRUST_SECONDS
    with pytest.raises(errors.CredentialsInvalid):
        other.actor_of_session(opened.secret, place=HERE)


def test_processes_that_share_a_cache_agree_at_once(small_site: Site) -> None:
    """What one process ends is over for the others, too."""
    site = small_site
    admin = site.admin()
    opened = site.log_in(ADMIN)
    other = site.process(site.cache)
    other.actor_of_session(opened.secret, place=HERE)

    other.change_user(
        other.operator(), site.member(admin, "b@example.org").user.id, UserChange(role=Role.ADMIN)
    )
    other.change_user(other.operator(), admin.user.id, UserChange(role=Role.VIEWER))

    assert Role.VIEWER is site.actor(opened).user.role


def test_the_proof_against_forgery_belongs_to_the_session(small_site: Site) -> None:
    """Each session has its own, the same each time, and it tells nothing of the cookie."""
    small_site.admin()
    one, other = small_site.log_in(ADMIN), small_site.log_in(ADMIN)

    again = small_site.accounts.actor_of_session(one.secret, place=HERE)[1].csrf

    assert one.session.csrf == again
    assert other.session.csrf != again
    assert one.secret not in again


def test_nobody_has_endless_sessions(small_site: Site) -> None:
    """The fifty-first login ends the session that rested longest."""
    site = small_site
    site.admin()
    opened = []
    for _ in range(51):
        site.clock.forward(seconds=1)
        opened.append(site.log_in(ADMIN))

    assert not site.is_open(opened[0].secret)
    assert all(site.is_open(one.secret) for one in opened[1:])


def test_twenty_may_log_in_and_out_at_once(site: Site, admin: Actor) -> None:
    """None gets in another's way, and each ends its own session alone."""

    def visit(number: int) -> str:
        opened = site.log_in(ADMIN)
        if number % 2:
            site.accounts.log_out(site.actor(opened))
        return opened.secret

    secrets = at_once(visit)

    assert [number % 2 == 0 for number in range(20)] == [site.is_open(str(one)) for one in secrets]
    assert site.accounts.verify_audit(None).whole
