"""The ways in: the set-up, invitations, resets, and passwords."""

from __future__ import annotations

import argon2
import pytest
from sqlalchemy import select

from grange import errors
from grange.accounts.models import Actor, KeyKind, Place, Role, UserChange
from grange.accounts.passwords import Passwords
from grange.accounts.service import Accounts
from grange.accounts.tables import login_failures, one_time_keys, sessions, users
from tests.accounts.sites import ADMIN, HERE, PASSWORD, Site, at_once


def _fail(site: Site, email: str = ADMIN, place: Place = HERE) -> errors.GrangeError:
    with pytest.raises((errors.CredentialsInvalid, errors.TooMany)) as caught:
        site.accounts.log_in(email, "wrong" * 3, place=place)
    return caught.value


def test_the_first_administrator_comes_by_the_key(site: Site) -> None:
    """With the key that the operator has, somebody becomes administrator and can log in."""
    key = site.accounts.setup_key()
    assert key is not None
    assert (False, KeyKind.SETUP) == (site.accounts.is_set_up(), site.accounts.key_kind(key))

    user = site.accounts.set_up(
        key, email=" Ada@Example.org", name="Ada", password=PASSWORD, place=HERE
    )

    assert (ADMIN, "Ada", Role.ADMIN, False) == (user.email, user.name, user.role, user.invited)
    assert site.accounts.is_set_up()
    assert site.accounts.setup_key() is None
    assert site.actor(site.log_in("ADA@example.org")).is_admin


def test_a_fresh_setup_key_replaces_the_old_one(site: Site) -> None:
    """Only the link that was printed last works."""
    old, new = site.accounts.setup_key(), site.accounts.setup_key()
    assert old
    assert new

    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.key_kind(old)
    assert KeyKind.SETUP == site.accounts.key_kind(new)


def test_a_setup_happens_once_however_many_try(site: Site) -> None:
    """Of 20 who hold the link and click at once, one becomes administrator."""
    key = site.accounts.setup_key()
    assert key

    results = at_once(
        lambda number: site.accounts.set_up(
            key, email=f"u{number}@example.org", name="U", password=PASSWORD, place=HERE
        )
    )

    refused = [one for one in results if isinstance(one, errors.GrangeError)]
    assert 19 == len(refused)
    assert {errors.SetUpAlready, errors.CredentialsInvalid} >= {type(one) for one in refused}
    assert 1 == site.accounts.users(Accounts.operator()).total


def test_a_refused_password_leaves_the_key_unused(small_site: Site) -> None:
    """Who chose badly tries again with the same link."""
    site = small_site
    key = site.accounts.setup_key()
    assert key
    with pytest.raises(errors.PasswordRefused):
        site.accounts.set_up(key, email=ADMIN, name="Ada", password="short", place=HERE)

    user = site.accounts.set_up(key, email=ADMIN, name="Ada", password=PASSWORD, place=HERE)
    assert Role.ADMIN is user.role


def test_an_invitation_lets_a_user_choose_a_password(site: Site, admin: Actor) -> None:
    """The invited user can't log in before, and can after; the link then is used up."""
    invited = site.accounts.invite(
        admin, email="bea@example.org", name="Bea", role=Role.MEMBER, quota_bytes=5
    )
    assert invited.user.invited
    assert isinstance(_fail(site, "bea@example.org"), errors.CredentialsInvalid)

    user = site.accounts.welcome(invited.key, password=PASSWORD, name="Beatrix", place=HERE)

    assert ("Beatrix", False, 5) == (user.name, user.invited, user.quota_bytes)
    assert Role.MEMBER == site.log_in("bea@example.org").user.role
    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.welcome(invited.key, password=PASSWORD, name=None, place=HERE)


def test_a_key_is_used_once_however_many_try(site: Site, admin: Actor) -> None:
    """Of 20 who come with one invitation at a time, one chooses the password."""
    invited = site.accounts.invite(admin, email="bea@example.org", name="B", role=Role.MEMBER)

    results = at_once(
        lambda number: site.accounts.welcome(
            invited.key, password=f"{PASSWORD} {number}", name=None, place=HERE
        )
    )

    winners = [n for n, one in enumerate(results) if not isinstance(one, errors.GrangeError)]
    assert 1 == len(winners)
    site.accounts.log_in("bea@example.org", f"{PASSWORD} {winners[0]}", place=HERE)


def test_a_reset_ends_the_sessions_once_it_is_used(site: Site, admin: Actor) -> None:
    """The old password works until the new one is chosen; then old sessions are over."""
    member = site.user(admin, "bea@example.org")
    invited = site.accounts.reset(admin, member.id)
    assert KeyKind.RESET == site.accounts.key_kind(invited.key)
    before = site.log_in("bea@example.org")

    site.accounts.welcome(invited.key, password="nine loud cranes", name=None, place=HERE)

    assert not site.is_open(before.secret)
    assert isinstance(_fail(site, "bea@example.org"), errors.CredentialsInvalid)
    site.accounts.log_in("bea@example.org", "nine loud cranes", place=HERE)


@pytest.mark.parametrize(("kind", "days"), [("setup", 1), ("invitation", 7), ("reset", 1)])
def test_keys_expire(small_site: Site, kind: str, days: float) -> None:
    """Each kind of link works until its time, and is swept away after it."""
    site = small_site
    key = site.accounts.setup_key() if kind == "setup" else None
    if key is None:
        admin = site.admin()
        invited = site.accounts.invite(admin, email="b@example.org", name="B", role=Role.MEMBER)
        if kind == "reset":
            site.accounts.welcome(invited.key, password=PASSWORD, name=None, place=HERE)
            invited = site.accounts.reset(admin, invited.user.id)
        key = invited.key
    site.clock.forward(days=days, seconds=-1)
    assert kind == site.accounts.key_kind(key)

    site.clock.forward(seconds=1)

    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.key_kind(key)
    site.accounts.sweep()
    with site.database.read() as connection:
        assert [] == connection.execute(select(one_time_keys)).all()


def test_a_key_opens_only_what_it_is_for(small_site: Site) -> None:
    """A set-up key gives nobody a password, and a disabled user's invitation is worth nothing."""
    site = small_site
    key = site.accounts.setup_key()
    assert key
    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.welcome(key, password=PASSWORD, name=None, place=HERE)
    admin = site.admin()
    invited = site.accounts.invite(admin, email="b@example.org", name="B", role=Role.MEMBER)
    site.accounts.change_user(admin, invited.user.id, UserChange(disabled=True))

    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.welcome(invited.key, password=PASSWORD, name=None, place=HERE)
    with pytest.raises(errors.SetUpAlready):
        site.accounts.set_up(invited.key, email="x@y", name="X", password=PASSWORD, place=HERE)


def test_no_secret_is_in_the_database(small_site: Site) -> None:
    """Neither passwords nor keys, cookies or tokens can be read from it."""
    site = small_site
    admin = site.admin()
    opened = site.log_in(ADMIN)
    made = site.accounts.make_token(admin, name="t", scopes=["read"])
    invited = site.accounts.invite(admin, email="b@example.org", name="B", role=Role.MEMBER)
    assert site.database.file is not None

    kept = b"".join(
        path.read_bytes() for path in site.database.file.parent.glob(f"{site.database.file.name}*")
    )

    assert b"ada@example.org" in kept
    secret = made.text.rpartition("_")[2]
    for hidden in (PASSWORD, opened.secret, opened.session.csrf, secret, invited.key):
        assert hidden.encode() not in kept


def test_wrong_logins_look_all_the_same(small_site: Site) -> None:
    """Nobody learns from an answer which addresses have an account, or are disabled."""
    site = small_site
    admin = site.admin()
    member = site.user(admin, "bea@example.org")
    site.accounts.change_user(admin, member.id, UserChange(disabled=True))

    said = {str(_fail(site, email)) for email in (ADMIN, "nobody@example.org", "bea@example.org")}
    with pytest.raises(errors.CredentialsInvalid) as disabled:
        site.log_in("bea@example.org")

    assert {str(disabled.value)} == said


def test_users_who_are_not_there_cost_a_hash_too(
    small_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of an answer says nothing: an unknown address is checked against a hash as well."""
    checked: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counting(self: argon2.PasswordHasher, kept: str, password: bytes) -> bool:
        checked.append(kept)
        return verify(self, kept, password)

    small_site.admin()
    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    _fail(small_site, ADMIN)
    _fail(small_site, "nobody@example.org")

    assert 2 == len(checked)
    assert (
        checked[0].rpartition("$")[0].rpartition("$")[0]
        == checked[1].rpartition("$")[0].rpartition("$")[0]
    )


@pytest.mark.parametrize("network", ["192.0.2.{}", "2001:db8::{}", "::ffff:192.0.2.{}"])
def test_an_email_address_is_guessed_ten_times(small_site: Site, network: str) -> None:
    """After ten failures from a network one waits, whatever the password, each time for longer."""
    site = small_site
    site.admin()
    others = [Place(address=network.format(number)) for number in range(20)]
    for number in range(10):
        assert isinstance(_fail(site, place=others[number]), errors.CredentialsInvalid)

    waits = []
    for number in range(10, 15):
        limited = _fail(site, place=others[number])
        assert isinstance(limited, errors.TooMany)
        waits.append(limited.retry_seconds)
        with pytest.raises(errors.TooMany):
            site.accounts.log_in(ADMIN, PASSWORD, place=others[number])
        site.clock.forward(seconds=limited.retry_seconds)
        assert isinstance(_fail(site, place=others[number]), errors.CredentialsInvalid)

    assert [60, 120, 240, 480, 900] == waits


def test_guesses_elsewhere_lock_nobody_out(site: Site, admin: Actor) -> None:
    """Whoever guesses at a user's password has to wait; the user, elsewhere, comes in."""
    guesser = Place(address="192.0.2.1")
    for _ in range(10):
        _fail(site, place=guesser)

    assert isinstance(_fail(site, place=guesser), errors.TooMany)
    site.accounts.log_in(ADMIN, PASSWORD, place=Place(address="198.51.100.1"))
    assert isinstance(_fail(site, place=guesser), errors.TooMany)


def test_an_email_address_is_guessed_a_hundred_times_from_everywhere(small_site: Site) -> None:
    """Guessing from many networks ends as well, for one e-mail address."""
    site = small_site
    site.admin()
    for number in range(100):
        place = Place(address=f"192.0.{number}.1")
        assert isinstance(_fail(site, place=place), errors.CredentialsInvalid)

    assert isinstance(_fail(site, place=Place(address="198.51.100.1")), errors.TooMany)
    other = _fail(site, "bea@example.org", Place(address="198.51.100.1"))
    assert isinstance(other, errors.CredentialsInvalid)


def test_a_success_clears_the_email_address(small_site: Site) -> None:
    """Who remembers the password at last may err again later."""
    site = small_site
    site.admin()
    for _ in range(9):
        _fail(site)
    site.log_in(ADMIN)

    for _ in range(9):
        assert isinstance(_fail(site), errors.CredentialsInvalid)


def test_a_network_address_guesses_fifty_times(small_site: Site) -> None:
    """One machine can't try the same password on everybody; its neighbours can still log in."""
    site = small_site
    site.admin()
    for number in range(50):
        assert isinstance(_fail(site, f"u{number}@example.org"), errors.CredentialsInvalid)

    with pytest.raises(errors.TooMany) as caught:
        site.log_in(ADMIN)

    assert 60 == caught.value.retry_seconds
    site.accounts.log_in(ADMIN, PASSWORD, place=Place(address="192.0.2.8"))
    site.clock.forward(seconds=60)
    site.log_in(ADMIN)


def test_one_ipv6_network_counts_as_one_address(small_site: Site) -> None:
    """Whoever has 2^64 addresses has no more tries."""
    for number in range(50):
        _fail(small_site, f"u{number}@example.org", Place(address=f"2001:db8::{number:x}"))

    limited = _fail(small_site, "x@example.org", Place(address="2001:db8::ffff"))
    assert isinstance(limited, errors.TooMany)
    other = _fail(small_site, "x@example.org", Place(address="2001:db8:0:1::1"))
    assert isinstance(other, errors.CredentialsInvalid)


def test_failures_of_a_quarter_hour_ago_count_no_more(small_site: Site) -> None:
    """Nine errors a while ago leave ten today; what is over is swept away."""
    site = small_site
    site.admin()
    for _ in range(9):
        _fail(site)
    site.clock.forward(seconds=15 * 60 + 1)
    for _ in range(9):
        assert isinstance(_fail(site), errors.CredentialsInvalid)
    site.log_in(ADMIN)

    site.clock.forward(days=1)
    site.accounts.sweep()
    with site.database.read() as connection:
        assert [] == connection.execute(select(login_failures)).all()


def test_twenty_guesses_at_once_count_as_twenty(site: Site, admin: Actor) -> None:
    """Guessing in parallel gains nothing: hardly more than ten are looked at."""
    results = at_once(lambda _: _fail(site))

    looked_at = [one for one in results if isinstance(one, errors.CredentialsInvalid)]
    assert 10 <= len(looked_at) <= 11
    assert isinstance(_fail(site), errors.TooMany)


def test_changing_the_password_ends_the_other_sessions(site: Site, admin: Actor) -> None:
    """Whoever was logged in elsewhere with the old one is out; this browser stays."""
    here, elsewhere = site.log_in(ADMIN), site.log_in(ADMIN)

    site.accounts.change_password(site.actor(here), old=PASSWORD, new="nine loud cranes")

    assert (True, False) == (site.is_open(here.secret), site.is_open(elsewhere.secret))
    site.accounts.log_in(ADMIN, "nine loud cranes", place=HERE)


def test_changing_the_password_takes_the_old_one(site: Site, admin: Actor) -> None:
    """A borrowed browser is no way to a new password, and guessing there is counted as well."""
    for _ in range(10):
        with pytest.raises(errors.CredentialsInvalid):
            site.accounts.change_password(admin, old="guess", new="nine loud cranes")

    with pytest.raises(errors.TooMany):
        site.accounts.change_password(admin, old=PASSWORD, new="nine loud cranes")


def test_a_password_is_hashed_anew_when_the_costs_change(small_site: Site) -> None:
    """Logging in is enough for a user's hash to become as strong as new ones."""
    site = small_site
    site.admin()
    stronger = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    accounts = Accounts(site.database, site.cache, clock=site.clock, passwords=stronger)

    accounts.log_in(ADMIN, PASSWORD, place=HERE)

    with site.database.read() as connection:
        kept = connection.execute(select(users.c.password)).scalar_one()
    assert "m=128,t=2" in kept
    accounts.log_in(ADMIN, PASSWORD, place=HERE)


def test_logins_at_once_survive_a_change_of_costs(small_site: Site) -> None:
    """A hash that is replaced while others check the old one lets all of them in."""
    site = small_site
    site.admin()
    stronger = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    accounts = Accounts(site.database, site.cache, clock=site.clock, passwords=stronger)

    results = at_once(lambda _: accounts.log_in(ADMIN, PASSWORD, place=HERE))

    assert [] == [one for one in results if isinstance(one, errors.GrangeError)]
    with site.database.read() as connection:
        assert 21 == len(connection.execute(select(sessions)).all())
