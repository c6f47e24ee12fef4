"""Users: who sees, changes and deletes whom."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from sqlalchemy import select

from grange import errors
from grange.accounts.models import Actor, Page, Role, User, UserChange
from grange.accounts.service import Accounts
from grange.accounts.tables import members, one_time_keys, sessions, tokens
from tests.accounts.sites import ADMIN, HERE, PASSWORD, Site, at_once


def _all_pages(site: Site, actor: Actor, limit: int) -> list[Page[User]]:
    pages = [site.accounts.users(actor, limit=limit)]
    while (after := pages[-1].next) is not None:
        pages.append(site.accounts.users(actor, after=after, limit=limit))
    return pages


def test_users_are_listed_in_pages(site: Site, admin: Actor) -> None:
    """Each user once, by address, though some are deleted between the pages."""
    ids = {}
    for letter in "fedcb":
        invited = site.accounts.invite(
            admin, email=f"{letter}@example.org", name=letter, role=Role.MEMBER
        )
        ids[letter] = invited.user.id

    pages = _all_pages(site, admin, 2)
    first = site.accounts.users(admin, limit=2)
    site.accounts.delete_user(admin, ids["b"])
    second = site.accounts.users(admin, limit=2, after=first.next)

    assert ["Ada", "b", "c", "d", "e", "f"] == [user.name for page in pages for user in page.items]
    assert {6} == {page.total for page in pages}
    assert ["c", "d"] == [user.name for user in second.items]
    with pytest.raises(errors.RequestInvalid):
        site.accounts.users(admin, after="ÿ")


def test_users_are_found_by_a_part_of_name_or_address(site: Site, admin: Actor) -> None:
    """In any case of letters; signs of the database's own language are plain letters."""
    site.accounts.invite(admin, email="bea_x@lab.org", name="Bea 100% Müller", role=Role.MEMBER)
    site.accounts.invite(admin, email="cid@lab.org", name="Cid", role=Role.MEMBER)

    def found(query: str) -> list[str]:
        return [user.name[:3] for user in site.accounts.users(admin, query=query).items]

    assert ["Bea", "Cid"] == found("LAB")
    assert ["Bea"] == found(" 100% ")
    assert ["Bea"] == found("_x")
    assert [] == found("_y")
    assert ["Bea"] == found("bea 100")
    assert [] == found("' OR 1=1 --")


def test_others_see_the_names_of_their_fellows_alone(site: Site, admin: Actor) -> None:
    """Who shares a group is seen by name; all others are not even there."""
    bea = site.member(admin, "bea@example.org")
    cid, dan = site.user(admin, "cid@example.org"), site.user(admin, "dan@example.org")
    lab, other = site.accounts.make_group(admin, "Lab"), site.accounts.make_group(admin, "Other")
    for user in (bea.user, cid):
        site.accounts.add_member(admin, lab.id, user.id)
    site.accounts.add_member(admin, other.id, cid.id)
    bea = site.actor(site.log_in("bea@example.org"))

    listed = site.accounts.users(bea)

    assert {("bea@example.org", "bea"), ("", "cid")} == {(u.email, u.name) for u in listed.items}
    fellow = site.accounts.user(bea, cid.id)
    assert ((lab.id,), None, None) == (fellow.groups, fellow.seen_at, fellow.quota_bytes)
    assert bea.user.id == site.accounts.user(bea, bea.user.id).id
    for hidden in (dan.id, admin.user.id, "0000000000", ""):
        with pytest.raises(errors.UserNotFound):
            site.accounts.user(bea, hidden)
    assert [] == site.accounts.users(bea, query="ada").items


def test_addresses_that_are_not_shown_are_not_found_out_either(site: Site, admin: Actor) -> None:
    """Neither by looking for parts of them, nor by the order or the cursor of a list."""
    lab = site.accounts.make_group(admin, "Lab")
    for email in ("bea@example.org", "zed@example.org", "cid@secret.example", "abe@secret.example"):
        site.member(admin, email)
        found = site.accounts.find_user(admin, email)
        site.accounts.add_member(admin, lab.id, found.id)
    bea = site.actor(site.log_in("bea@example.org"))

    assert [] == site.accounts.users(bea, query="secret").items
    assert ["bea"] == [one.name for one in site.accounts.users(bea, query="bea@example").items]
    assert 1 == len(site.accounts.users(bea, query="cid").items)
    pages = [site.accounts.users(bea, limit=1)]
    while (after := pages[-1].next) is not None:
        assert b"example" not in base64.urlsafe_b64decode(after + "=" * (-len(after) % 4))
        pages.append(site.accounts.users(bea, after=after, limit=1))
    ids = [page.items[0].id for page in pages]
    assert (4, sorted(ids)) == (len(ids), ids)


def test_names_are_told_for_lists(small_site: Site) -> None:
    """Each id that is somebody's, once."""
    site = small_site
    admin = site.admin()
    bea = site.user(admin, "bea@example.org")
    asked = [bea.id, admin.user.id, bea.id, "0000000000"]

    assert {bea.id: "bea", admin.user.id: "Ada"} == site.accounts.names(asked)
    assert {} == site.accounts.names([])


def test_users_are_found_by_id_or_address(small_site: Site) -> None:
    """As people write them on the command line; others can't try addresses out."""
    site = small_site
    admin = site.admin()
    bea = site.member(admin, "bea@example.org")

    assert bea.user.id == site.accounts.find_user(admin, "Bea@Example.org").id
    assert bea.user.id == site.accounts.find_user(bea, bea.user.id).id
    with pytest.raises(errors.UserNotFound):
        site.accounts.find_user(bea, ADMIN)


@pytest.mark.parametrize(
    "ask",
    [
        lambda accounts, actor, _: accounts.invite(
            actor, email="x@example.org", name="X", role=Role.ADMIN
        ),
        lambda accounts, actor, user: accounts.reset(actor, user),
        lambda accounts, actor, user: accounts.change_user(actor, user, UserChange(name="X")),
        lambda accounts, actor, _: accounts.change_user(
            actor, actor.user.id, UserChange(role=Role.ADMIN)
        ),
        lambda accounts, actor, _: accounts.change_user(
            actor, actor.user.id, UserChange(quota_bytes=None)
        ),
        lambda accounts, actor, user: accounts.delete_user(actor, user),
        lambda accounts, actor, _: accounts.delete_user(actor, actor.user.id),
        lambda accounts, actor, _: accounts.make_group(actor, "G"),
        lambda accounts, actor, _: accounts.rename_group(actor, "0000000000", "G"),
        lambda accounts, actor, _: accounts.delete_group(actor, "0000000000"),
        lambda accounts, actor, user: accounts.add_member(actor, "0000000000", user),
        lambda accounts, actor, user: accounts.remove_member(actor, "0000000000", user),
        lambda accounts, actor, user: accounts.tokens(actor, user),
        lambda accounts, actor, _: accounts.audit(actor),
        lambda accounts, actor, _: accounts.verify_audit(actor),
    ],
)
@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_only_administrators_look_after_the_site(
    small_site: Site, role: Role, ask: Callable[[Accounts, Actor, str], object]
) -> None:
    """Everybody else is refused, and the audit log says that they tried."""
    site = small_site
    admin = site.admin()
    actor = site.member(admin, "bea@example.org", role)

    with pytest.raises(errors.NotAllowed):
        ask(site.accounts, actor, admin.user.id)

    line = site.accounts.audit(admin).items[0]
    assert ("refused", "bea@example.org") == (line.outcome, line.who)


def test_everybody_changes_their_own_name(small_site: Site) -> None:
    """It holds at once for open sessions."""
    site = small_site
    admin = site.admin()
    site.user(admin, "bea@example.org")
    opened = site.log_in("bea@example.org")

    site.accounts.change_user(site.actor(opened), opened.user.id, UserChange(name=" Beatrix "))

    assert "Beatrix" == site.actor(opened).user.name


def test_a_change_leaves_the_rest_alone(site: Site, admin: Actor) -> None:
    """What is not given stays; None as quota is the site's default again."""
    bea = site.user(admin, "bea@example.org")
    change = site.accounts.change_user

    change(admin, bea.id, UserChange(quota_bytes=2**50, role=Role.VIEWER))
    assert 2**50 == change(admin, bea.id, UserChange(name="B")).quota_bytes
    after = change(admin, bea.id, UserChange(quota_bytes=None))

    assert (None, Role.VIEWER, "B") == (after.quota_bytes, after.role, after.name)


def test_a_disabled_user_is_out_at_once(site: Site, admin: Actor) -> None:
    """Sessions and tokens stop working, cached or not, and work again once they are let in."""
    site.user(admin, "bea@example.org")
    opened = site.log_in("bea@example.org")
    made = site.accounts.make_token(site.actor(opened), name="t", scopes=["read"])
    assert (True, True) == (site.is_open(opened.secret), site.works(made.text))

    site.accounts.change_user(admin, opened.user.id, UserChange(disabled=True))

    assert (False, False) == (site.is_open(opened.secret), site.works(made.text))
    with pytest.raises(errors.CredentialsInvalid):
        site.log_in("bea@example.org")
    site.accounts.change_user(admin, opened.user.id, UserChange(disabled=False))
    assert (True, True) == (site.is_open(opened.secret), site.works(made.text))


def test_a_lower_role_holds_at_once(small_site: Site) -> None:
    """An administrator who is none any more changes nothing with a session that is open."""
    site = small_site
    admin = site.admin()
    bea = site.user(admin, "bea@example.org", Role.ADMIN)
    opened = site.log_in("bea@example.org")
    assert site.actor(opened).is_admin

    site.accounts.change_user(admin, bea.id, UserChange(role=Role.MEMBER))

    assert not site.actor(opened).is_admin


def test_a_deleted_user_leaves_nothing_but_the_audit_log(site: Site, admin: Actor) -> None:
    """Sessions, tokens, keys and memberships go; what they did stays, by name."""
    site.user(admin, "bea@example.org")
    opened = site.log_in("bea@example.org")
    actor = site.actor(opened)
    made = site.accounts.make_token(actor, name="t", scopes=["read"])
    assert site.works(made.text)
    site.accounts.add_member(admin, site.accounts.make_group(admin, "G").id, opened.user.id)
    site.accounts.reset(admin, opened.user.id)

    site.accounts.delete_user(admin, opened.user.id)

    assert (False, False) == (site.is_open(opened.secret), site.works(made.text))
    with site.database.read() as connection:
        for table in (sessions, tokens, one_time_keys, members):
            theirs = select(table).where(table.c.user == opened.user.id)
            assert [] == connection.execute(theirs).all()
    assert "token.made" == site.accounts.audit(admin, who="bea@example.org").items[0].action
    assert site.accounts.verify_audit(admin).whole
    with pytest.raises(errors.UserNotFound):
        site.accounts.delete_user(admin, opened.user.id)
    site.user(admin, "bea@example.org")


def test_the_last_administrator_stays(site: Site, admin: Actor) -> None:
    """No way leads to a site without one: nor does an invited or disabled one count."""
    site.accounts.invite(admin, email="new@example.org", name="New", role=Role.ADMIN)
    bea = site.user(admin, "bea@example.org", Role.ADMIN)
    site.accounts.change_user(admin, bea.id, UserChange(disabled=True))
    own = admin.user.id

    for change in (UserChange(role=Role.MEMBER), UserChange(disabled=True)):
        with pytest.raises(errors.LastAdmin):
            site.accounts.change_user(admin, own, change)
    with pytest.raises(errors.LastAdmin):
        site.accounts.delete_user(Accounts.operator(), own)

    assert site.accounts.user(admin, own).role is Role.ADMIN
    site.accounts.change_user(admin, bea.id, UserChange(disabled=False))
    site.accounts.delete_user(admin, own)


def test_administrators_cannot_all_go_at_once(site: Site, admin: Actor) -> None:
    """Twenty of them who all leave at the same moment leave one behind."""
    others = [site.user(admin, f"a{number}@example.org", Role.ADMIN).id for number in range(19)]
    ids = [admin.user.id, *others]
    change = UserChange(role=Role.MEMBER)

    def leave(number: int) -> None:
        if number % 2:
            site.accounts.delete_user(Accounts.operator(), ids[number])
        else:
            site.accounts.change_user(Accounts.operator(), ids[number], change)

    results = at_once(leave)

    refused = [one for one in results if isinstance(one, errors.GrangeError)]
    assert [errors.LastAdmin] == [type(one) for one in refused]
    left = site.accounts.users(Accounts.operator(), limit=100).items
    assert 1 == sum(user.role is Role.ADMIN for user in left)
    assert site.accounts.verify_audit(None).whole


def test_no_change_of_a_user_is_lost(site: Site, admin: Actor) -> None:
    """Twenty at once, half of the name and half of the quota: both are the last one's."""
    bea = site.user(admin, "bea@example.org")

    def change(number: int) -> User:
        if number % 2:
            return site.accounts.change_user(admin, bea.id, UserChange(name=f"Bea {number}"))
        return site.accounts.change_user(admin, bea.id, UserChange(quota_bytes=number + 1))

    assert [] == [one for one in at_once(change) if isinstance(one, errors.GrangeError)]
    lines = site.accounts.audit(admin, action="user.changed").items
    names = [line.detail["name"] for line in lines if "name" in line.detail]
    quotas = [line.detail["quota_bytes"] for line in lines if "quota_bytes" in line.detail]
    after = site.accounts.user(admin, bea.id)
    assert (10, 10) == (len(names), len(quotas))
    assert (names[0], quotas[0]) == (after.name, after.quota_bytes)


def test_an_address_has_one_account(site: Site, admin: Actor) -> None:
    """However it is written, and however many invite it at once."""
    results = at_once(
        lambda number: site.accounts.invite(
            admin,
            email=("bea@example.org", "BEA@example.org ")[number % 2],
            name="Bea",
            role=Role.MEMBER,
        )
    )

    refused = [one for one in results if isinstance(one, errors.GrangeError)]
    assert [errors.NameTaken] * 19 == [type(one) for one in refused]
    assert 2 == site.accounts.users(admin).total


@pytest.mark.parametrize(
    "email",
    [
        "",
        "x",
        "@",
        "a@",
        "@b",
        "a b@c",
        "a@b\nc",
        "a@b\x00",
        "a@b@c",
        "a\u202e@b",
        "a" * 251 + "@b.c",
    ],
)
def test_what_is_no_address_is_refused(small_site: Site, email: str) -> None:
    """It never gets into the database or a log."""
    admin = small_site.admin()
    with pytest.raises(errors.RequestInvalid):
        small_site.accounts.invite(admin, email=email, name="X", role=Role.MEMBER)


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\x00", "a\u2028b", "a\u202eb", "\ud800", "x" * 201]
)
def test_what_is_no_name_is_refused(small_site: Site, name: str) -> None:
    """For users, groups and tokens alike."""
    accounts, admin = small_site.accounts, small_site.admin()
    for ask in (
        lambda: accounts.invite(admin, email="x@example.org", name=name, role=Role.MEMBER),
        lambda: accounts.change_user(admin, admin.user.id, UserChange(name=name)),
        lambda: accounts.make_group(admin, name),
        lambda: accounts.make_token(admin, name=name, scopes=["read"]),
    ):
        with pytest.raises(errors.RequestInvalid):
            ask()


def test_the_operator_looks_after_the_site_without_logging_in(small_site: Site) -> None:
    """Whoever is on the machine helps an administrator who forgot the password."""
    site = small_site
    admin = site.admin()

    invited = site.accounts.reset(Accounts.operator(), admin.user.id)

    site.accounts.welcome(invited.key, password="nine loud cranes", name=None, place=HERE)
    line = site.accounts.audit(admin, who="operator").items[0]
    assert ("user.reset", None, f"user {ADMIN}") == (line.action, line.user, line.target)
    with pytest.raises(errors.CredentialsInvalid):
        site.accounts.change_password(Accounts.operator(), old=PASSWORD, new=PASSWORD)
