"""API tokens: what they may, how long, and how they end."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from grange import errors
from grange.accounts.models import Actor, Role, Scope, UserChange
from grange.accounts.service import Accounts
from grange.accounts.tables import tokens
from tests.accounts.sites import HERE, Site, at_once

DAY = 86_400


def test_a_token_says_who_is_there_and_what_it_may(site: Site, admin: Actor) -> None:
    """It is its user with its scopes, from the database as from the cache."""
    member = site.member(admin, "bea@example.org")
    made = site.accounts.make_token(member, name=" cron ", scopes=["read"])

    for _ in ("from the database", "from the cache"):
        actor = site.accounts.actor_of_token(made.text, place=HERE)

        assert (member.user.id, made.token.id, None) == (actor.user.id, actor.token, actor.session)
        assert frozenset({Scope.READ}) == actor.scopes
        assert not actor.may(Scope.RUN)
    assert re.fullmatch(r"grange_[0-9a-z]{10}_[0-9A-Za-z]{43}", made.text)
    assert ("cron", site.clock.now + 90 * DAY) == (made.token.name, made.token.expires_at)


def test_forged_tokens_open_nothing(small_site: Site) -> None:
    """Neither nonsense, nor a token of which a letter differs, nor one with another's id."""
    site = small_site
    admin = site.admin()
    made = [site.accounts.make_token(admin, name="t", scopes=["read"]).text for _ in range(2)]
    assert site.works(made[0])
    other_id = "_".join((*made[1].split("_")[:2], made[0].split("_")[2]))
    for text in (
        "",
        "grange",
        "grange__",
        "_" * 1000,
        "grange_\x00_x",
        "grange_\ud800_x",
        "a" * 1_000_000,
        made[0][:-1],
        made[0] + "a",
        made[0].upper(),
        made[0].replace("grange", "other"),
        other_id,
        made[0].split("_")[2],
    ):
        assert not site.works(text), text


def test_a_token_expires(site: Site, admin: Actor) -> None:
    """To the second, though it is cached; a year and a day is the longest."""
    made = site.accounts.make_token(admin, name="t", scopes=["read"], expires_seconds=10)
    site.clock.forward(seconds=9)
    assert site.works(made.text)
    site.clock.forward(seconds=1)
    assert not site.works(made.text)

    longest = site.accounts.make_token(admin, name="t", scopes=["read"], expires_seconds=366 * DAY)
    assert site.clock.now + 366 * DAY == longest.token.expires_at
    for seconds in (0, -1, 366 * DAY + 1, float("nan"), float("inf")):
        with pytest.raises(errors.RequestInvalid):
            site.accounts.make_token(admin, name="t", scopes=["read"], expires_seconds=seconds)


def test_a_revoked_token_ends_at_once(site: Site, admin: Actor) -> None:
    """The next request is refused, though the token was cached; it stays in the list."""
    member = site.member(admin, "bea@example.org")
    made = site.accounts.make_token(member, name="t", scopes=["read", "run"])
    assert site.works(made.text)

    site.accounts.revoke_token(member, made.token.id)

    assert not site.works(made.text)
    assert [True] == [one.revoked for one in site.accounts.tokens(member)]


def test_nobody_revokes_anothers_token(small_site: Site) -> None:
    """It is not even there for them; an administrator sees and revokes it."""
    site = small_site
    admin = site.admin()
    one, other = site.member(admin, "bea@example.org"), site.member(admin, "cid@example.org")
    made = site.accounts.make_token(one, name="t", scopes=["read"])

    with pytest.raises(errors.TokenNotFound):
        site.accounts.revoke_token(other, made.token.id)
    with pytest.raises(errors.NotAllowed):
        site.accounts.tokens(other, one.user.id)
    assert [] == site.accounts.tokens(other)
    assert [made.token] == site.accounts.tokens(admin, one.user.id)
    site.accounts.revoke_token(admin, made.token.id)
    assert not site.works(made.text)


@pytest.mark.parametrize(
    ("role", "scopes", "allowed"),
    [
        (Role.MEMBER, ["read", "run"], True),
        (Role.MEMBER, ["admin"], False),
        (Role.VIEWER, ["read"], True),
        (Role.VIEWER, ["read", "run"], False),
    ],
)
def test_a_token_may_no_more_than_its_user(
    small_site: Site, role: Role, scopes: list[str], allowed: bool
) -> None:
    """Scopes beyond the role are refused."""
    actor = small_site.member(small_site.admin(), "bea@example.org", role)
    if allowed:
        made = small_site.accounts.make_token(actor, name="t", scopes=scopes)
        assert set(scopes) == made.token.scopes
    else:
        with pytest.raises(errors.NotAllowed):
            small_site.accounts.make_token(actor, name="t", scopes=scopes)


@pytest.mark.parametrize("scopes", [[], ["all"], ["read", "everything"]])
def test_unknown_scopes_are_refused(small_site: Site, scopes: list[str]) -> None:
    """A token is for something that there is."""
    admin = small_site.admin()
    with pytest.raises(errors.RequestInvalid):
        small_site.accounts.make_token(admin, name="t", scopes=scopes)


def test_a_token_makes_no_stronger_or_longer_one(site: Site, admin: Actor) -> None:
    """Who finds a token gains nothing by making more: neither rights, nor time."""
    member = site.member(admin, "bea@example.org")
    strong = site.accounts.make_token(member, name="run", scopes=["read", "run"])
    found = site.accounts.make_token(member, name="t", scopes=["read"], expires_seconds=60)
    actor = site.accounts.actor_of_token(found.text, place=HERE)

    with pytest.raises(errors.NotAllowed):
        site.accounts.make_token(actor, name="t", scopes=["run"])
    with pytest.raises(errors.NotAllowed):
        site.accounts.revoke_token(actor, strong.token.id)
    child = site.accounts.make_token(actor, name="t", scopes=["read"], expires_seconds=9999)
    assert found.token.expires_at == child.token.expires_at
    site.accounts.revoke_token(actor, found.token.id)
    assert not site.works(found.text)


def test_a_lower_role_holds_for_tokens_at_once(small_site: Site) -> None:
    """A member who becomes a viewer submits nothing any more, with any token."""
    site = small_site
    admin = site.admin()
    member = site.member(admin, "bea@example.org")
    made = site.accounts.make_token(member, name="t", scopes=["read", "run"])
    assert site.accounts.actor_of_token(made.text, place=HERE).may(Scope.RUN)

    site.accounts.change_user(admin, member.user.id, UserChange(role=Role.VIEWER))

    actor = site.accounts.actor_of_token(made.text, place=HERE)
    assert (True, False) == (actor.may(Scope.READ), actor.may(Scope.RUN))


def test_an_administrators_token_without_the_scope_is_none(small_site: Site) -> None:
    """A token that may only read can't look after users, whoever made it."""
    site = small_site
    admin = site.admin()
    made = site.accounts.make_token(admin, name="t", scopes=["read", "run"])
    actor = site.accounts.actor_of_token(made.text, place=HERE)

    with pytest.raises(errors.NotAllowed, match="administrators") as caught:
        site.accounts.invite(actor, email="b@example.org", name="B", role=Role.ADMIN)

    assert "scope `admin`" in caught.value.hint


def test_use_is_written_down_once_a_minute(small_site: Site) -> None:
    """A busy program doesn't write to the database at each request."""
    site = small_site
    admin = site.admin()
    made = site.accounts.make_token(admin, name="t", scopes=["read"])
    start = site.clock.now
    used = []
    for _ in range(8):
        assert site.works(made.text)
        used.append(round((site.accounts.tokens(admin)[0].used_at or 0) - start))
        site.clock.forward(seconds=20)

    assert [0, 0, 0, 60, 60, 60, 120, 120] == used


def test_the_operator_makes_tokens_for_users(small_site: Site) -> None:
    """On the server's machine a token comes without logging in, for a user, and within the role."""
    site = small_site
    member = site.member(site.admin(), "bea@example.org")
    operator = Accounts.operator()

    made = site.accounts.make_token(operator, name="t", scopes=["run"], user=member.user.id)

    assert member.user.id == site.accounts.actor_of_token(made.text, place=HERE).user.id
    with pytest.raises(errors.NotAllowed):
        site.accounts.make_token(operator, name="t", scopes=["admin"], user=member.user.id)
    with pytest.raises(errors.RequestInvalid):
        site.accounts.make_token(operator, name="t", scopes=["read"])


def test_nobody_makes_a_token_for_somebody_else(small_site: Site) -> None:
    """Not even an administrator can act in another's name."""
    admin = small_site.admin()
    member = small_site.member(admin, "bea@example.org")
    with pytest.raises(errors.NotAllowed):
        small_site.accounts.make_token(admin, name="t", scopes=["read"], user=member.user.id)


def test_there_are_at_most_a_hundred_tokens(small_site: Site) -> None:
    """One that is revoked makes room, and long after its end it is forgotten."""
    site = small_site
    admin = site.admin()
    made = [site.accounts.make_token(admin, name="t", scopes=["read"]) for _ in range(100)]
    with pytest.raises(errors.Conflict):
        site.accounts.make_token(admin, name="t", scopes=["read"])

    site.accounts.revoke_token(admin, made[0].token.id)
    site.accounts.make_token(admin, name="t", scopes=["read"])
    site.clock.forward(days=121)
    site.accounts.sweep()
    with site.database.read() as connection:
        assert [] == connection.execute(select(tokens)).all()


def test_a_token_that_is_revoked_while_it_is_used_stays_revoked(site: Site, admin: Actor) -> None:
    """A request that looked it up just before can't bring it back into the cache."""
    for _ in range(5):
        made = site.accounts.make_token(admin, name="t", scopes=["read"])

        def use(number: int, made: object = made) -> bool:
            if number == 10:
                site.accounts.revoke_token(admin, made.token.id)  # type: ignore[attr-defined]
                return False
            return site.works(made.text)  # type: ignore[attr-defined]

        at_once(use)

        assert not site.works(made.text)
