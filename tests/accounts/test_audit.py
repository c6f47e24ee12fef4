"""The audit log: it tells what was done, in one chain that nobody can change unseen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from grange import errors
from grange.accounts import auditing
from grange.accounts.models import Actor, Place, Role, UserChange
from grange.accounts.tables import audit, audit_head, groups
from grange.db import Database
from tests.accounts.sites import ADMIN, HERE, Site, at_once

TRIGGERS = {
    "sqlite": ["audit_no_update", "audit_no_delete"],
    "mysql": ["audit_no_update", "audit_no_delete"],
    "postgresql": ["audit_no_change"],
}


def _unprotect(database: Database) -> None:
    """Do what an attacker with all rights on the database would do first."""
    on = " ON audit" if database.dialect_name == "postgresql" else ""
    with database.write() as connection:
        for trigger in TRIGGERS[database.dialect_name]:
            connection.execute(text(f"DROP TRIGGER {trigger}{on}"))


def _fill(site: Site, lines: int = 10) -> None:
    for number in range(lines):
        site.accounts.record(None, "test.line", f"line {number}", place=HERE, detail={"n": number})


def test_a_line_says_who_what_when_and_where(site: Site, admin: Actor) -> None:
    """All of what was given, as it was, beside the time of the site's clock."""
    site.clock.forward(seconds=0.123456)
    site.accounts.record(
        admin,
        "run.submitted",
        "run 3k9",
        detail={"items": 7, "name": "Füchse", "f": 0.1, "n": None},
    )

    line = site.accounts.audit(admin).items[0]

    assert (admin.user.id, ADMIN, HERE.address) == (line.user, line.who, line.address)
    assert ("run.submitted", "run 3k9", "done") == (line.action, line.target, line.outcome)
    assert {"items": 7, "name": "Füchse", "f": 0.1, "n": None} == line.detail
    assert round(site.clock.now, 6) == line.at
    assert site.accounts.verify_audit(admin).whole


def test_whatever_is_done_is_told(small_site: Site) -> None:
    """Every change of accounts, every login, and what was refused has its line."""
    site = small_site
    accounts, admin = site.accounts, site.admin()
    member = site.member(admin, "bea@example.org")
    with pytest.raises(errors.CredentialsInvalid):
        accounts.log_in(ADMIN, "wrong password", place=HERE)
    made = accounts.make_token(member, name="t", scopes=["read"])
    accounts.revoke_token(member, made.token.id)
    accounts.change_password(member, old="seven quiet herons", new="nine loud cranes")
    accounts.change_user(admin, member.user.id, UserChange(disabled=True))
    group = accounts.make_group(admin, "Lab")
    accounts.add_member(admin, group.id, member.user.id)
    accounts.remove_member(admin, group.id, member.user.id)
    accounts.delete_group(admin, group.id)
    accounts.reset(admin, member.user.id)
    accounts.delete_user(admin, member.user.id)
    accounts.log_out(admin)

    told = [(line.action, line.outcome) for line in accounts.audit(admin).items][::-1]

    done = (
        "site.set_up session.opened user.invited password.chosen session.opened - token.made "
        "token.revoked password.changed user.changed group.made group.joined group.left "
        "group.deleted user.reset user.deleted session.ended"
    )
    assert [
        ("session.opened", "refused") if action == "-" else (action, "done")
        for action in done.split()
    ] == told


def test_what_is_undone_is_not_told(site: Site, admin: Actor) -> None:
    """A line is written with what it tells, or neither is."""
    before = site.accounts.verify_audit(None)

    def work(connection: Connection) -> None:
        row = {"id": "g", "name": "G", "created_at": 1.0}
        connection.execute(insert(groups).values(**row))
        site.accounts.record(admin, "group.made", "group g", connection=connection)
        raise errors.RequestInvalid("no")

    with pytest.raises(errors.RequestInvalid):
        site.database.transact(work)
    with pytest.raises(errors.NameTaken):
        site.accounts.invite(admin, email=ADMIN, name="Ada", role=Role.ADMIN)

    assert before == site.accounts.verify_audit(None)


def test_the_log_is_listed_in_pages(site: Site, admin: Actor) -> None:
    """The newest line first, each once, though lines are added between the pages."""
    _fill(site)
    first = site.accounts.audit(admin, limit=4, action="test")
    _fill(site, 1)
    second = site.accounts.audit(admin, limit=4, action="test", after=int(first.next or 0))
    third = site.accounts.audit(admin, limit=4, action="test.line", after=int(second.next or 0))

    numbers = [line.detail["n"] for page in (first, second, third) for line in page.items]
    assert [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] == numbers
    assert third.next is None


def test_the_log_is_searched_by_user_and_action(site: Site, admin: Actor) -> None:
    """By address or id; by one action, or a whole topic, and by nothing that only begins so."""
    bea = site.member(admin, "bea@example.org")
    site.accounts.record(bea, "users.other")

    def actions(who: str = "", action: str = "") -> list[str]:
        return [line.action for line in site.accounts.audit(admin, who=who, action=action).items]

    assert ["users.other", "session.opened", "password.chosen"] == actions(who=bea.user.email)
    assert actions(who=bea.user.email) == actions(who=bea.user.id)
    assert ["user.invited"] == actions(action="user")
    assert ["session.opened"] == actions(who=bea.user.email, action="session")
    assert [] == actions(action="use%")


def test_log_lines_cannot_be_forged(site: Site, admin: Actor) -> None:
    """Ends of lines, colours of terminals and turned-around writing come out as plain letters."""
    evil = "x\r\n2026 admin \x1b[31mdone\x00\u202e\u2028\ud800"
    place = Place(address=evil * 9, agent=evil)
    site.accounts.record(
        None, evil, evil * 99, outcome=evil, place=place, detail={evil: [evil, {"deep": evil}]}
    )

    line = site.accounts.audit(admin).items[0]

    shown = r"x\u000d\u000a2026 admin \u001b[31mdone\u0000\u202e\u2028\ud800"
    assert shown == line.action
    assert {shown: [shown, {"deep": shown}]} == line.detail
    assert (300, 64, 16) == (len(line.target), len(line.address), len(line.outcome))
    everything = "".join([line.action, line.target, line.outcome, line.address, str(line.detail)])
    assert everything.isprintable()
    assert site.accounts.verify_audit(admin).whole


def test_details_are_bounded(site: Site, admin: Actor) -> None:
    """However much and however deep somebody sends, a line stays a line."""
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    wide: list[object] = [7]
    for _ in range(5):
        wide = [wide] * 1000
    detail = {"deep": deep, "long": "x" * 10**6, "inf": float("inf"), "big": 10**9999}
    site.accounts.record(admin, "test.line", detail=detail | {"object": object, "wide": wide})

    line = site.accounts.audit(admin).items[0]

    assert (1000, "inf", "…") == (len(line.detail["long"]), line.detail["inf"], line.detail["big"])
    assert "[[[[['…']]]]]" == str(line.detail["deep"])
    assert len(str(line.detail)) < 10_000
    assert site.accounts.verify_audit(admin).whole


@pytest.mark.parametrize(
    "change",
    [
        update(audit).values(who="somebody else"),
        update(audit).where(audit.c.number == 1).values(number=99),
        delete(audit),
        delete(audit).where(audit.c.number == 1),
    ],
    ids=["update", "renumber", "delete all", "delete one"],
)
def test_the_database_refuses_to_change_the_log(
    site: Site, admin: Actor, change: Callable[[], object]
) -> None:
    """Even to whoever has the server's own rights, short of taking the guard away."""
    with pytest.raises(errors.DatabaseError), site.database.write() as connection:
        connection.execute(change)  # type: ignore[call-overload]

    assert site.accounts.verify_audit(admin).whole


def test_the_back_doors_of_databases_are_shut(site: Site, admin: Actor) -> None:
    """A row can't be replaced on SQLite and MariaDB, nor PostgreSQL's table be emptied."""
    row = "INTO audit VALUES (1, 1.0, NULL, 'x', 'x', 'x', 'done', '', '{}', 'x')"
    doors = {
        "sqlite": [f"REPLACE {row}", f"INSERT OR REPLACE {row}"],
        "mysql": [f"REPLACE {row}"],
        "postgresql": ["TRUNCATE TABLE audit"],
    }
    for statement in doors[site.database.dialect_name]:
        with pytest.raises(errors.DatabaseError), site.database.write() as connection:
            connection.execute(text(statement))

    assert site.accounts.verify_audit(admin).whole


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 1.0),
        ("user", None),
        ("who", "mallory@example.org"),
        ("action", "nothing.happened"),
        ("target", ""),
        ("outcome", "refused"),
        ("address", "::1"),
        ("detail", {}),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_line_is_found(small_site: Site, column: str, value: object) -> None:
    """Whatever is changed in it, the check names the line."""
    site = small_site
    admin = site.admin()
    site.accounts.record(admin, "test.line", "target", detail={"n": 1})
    number = site.accounts.verify_audit(None).entries
    _fill(site)
    _unprotect(site.database)
    with site.database.write() as connection:
        where = audit.c.number == number
        connection.execute(update(audit).where(where).values(**{column: value}))

    verdict = site.accounts.verify_audit(admin)

    assert (False, number, number - 1) == (verdict.whole, verdict.broken_at, verdict.entries)


def test_a_change_is_found_on_every_database(site: Site, admin: Actor) -> None:
    """A changed line, and one that is gone, wherever the log is kept."""
    _fill(site)
    _unprotect(site.database)
    with site.database.write() as connection:
        connection.execute(update(audit).where(audit.c.number == 7).values(target="line 99"))
    assert 7 == site.accounts.verify_audit(admin).broken_at

    with site.database.write() as connection:
        connection.execute(delete(audit).where(audit.c.number == 5))

    verdict = site.accounts.verify_audit(admin)
    assert (5, "The line is gone.") == (verdict.broken_at, verdict.reason)


def test_a_cut_off_end_is_found(small_site: Site) -> None:
    """The newest lines can't be taken away without the head telling."""
    site = small_site
    admin = site.admin()
    _fill(site)
    entries = site.accounts.verify_audit(admin).entries
    _unprotect(site.database)
    with site.database.write() as connection:
        connection.execute(delete(audit).where(audit.c.number > entries - 3))

    verdict = site.accounts.verify_audit(admin)

    assert (entries - 2, entries - 3) == (verdict.broken_at, verdict.entries)


def test_a_cut_off_end_with_its_head_shows_in_the_hash(small_site: Site) -> None:
    """Who also turns the head back leaves a whole chain, but not the hash kept elsewhere."""
    site = small_site
    admin = site.admin()
    _fill(site)
    kept = site.accounts.verify_audit(admin)
    _unprotect(site.database)
    with site.database.write() as connection:
        last = connection.execute(select(audit).where(audit.c.number == kept.entries - 1)).one()
        connection.execute(delete(audit).where(audit.c.number == kept.entries))
        connection.execute(update(audit_head).values(number=last.number, hash=last.hash))

    verdict = site.accounts.verify_audit(admin)

    assert verdict.whole
    assert kept.head != verdict.head


def test_a_line_beyond_the_head_is_found(small_site: Site) -> None:
    """A line that nobody wrote through the log is no part of it."""
    site = small_site
    admin = site.admin()
    entries = site.accounts.verify_audit(admin).entries
    with site.database.write() as connection:
        row = connection.execute(select(audit).where(audit.c.number == 1)).one()._asdict()
        connection.execute(insert(audit).values(**{**row, "number": entries + 1}))

    assert entries + 1 == site.accounts.verify_audit(admin).broken_at


@pytest.mark.parametrize("values", [{"hash": "0" * 64}, {"genesis": "0" * 64}, None])
def test_a_changed_head_is_found(small_site: Site, values: dict[str, str] | None) -> None:
    """Or one that is gone."""
    site = small_site
    admin = site.admin()
    with site.database.write() as connection:
        connection.execute(
            delete(audit_head) if values is None else update(audit_head).values(values)
        )

    assert not site.accounts.verify_audit(admin).whole


def test_a_line_that_is_no_json_is_shown_and_found(small_site: Site) -> None:
    """What somebody wrote into the file by hand breaks the check, and neither page nor command."""
    site = small_site
    admin = site.admin()
    _fill(site, 3)
    _unprotect(site.database)
    with site.database.write() as connection:
        connection.execute(text("UPDATE audit SET detail = '{', at = 'noon' WHERE number = 3"))

    assert 3 == site.accounts.verify_audit(admin).broken_at
    assert {"unreadable": True} == site.accounts.audit(admin).items[-3].detail


def test_a_long_log_is_checked_in_pages(small_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a page, each line is looked at."""
    site = small_site
    admin = site.admin()
    _fill(site, 25)
    entries = site.accounts.verify_audit(admin).entries
    for size in (1, 2, entries - 1, entries):
        monkeypatch.setattr(auditing, "CHECKED_AT_ONCE", size)
        assert entries == site.accounts.verify_audit(admin).entries
    _unprotect(site.database)
    with site.database.write() as connection:
        connection.execute(update(audit).where(audit.c.number == 20).values(who="x"))
    monkeypatch.setattr(auditing, "CHECKED_AT_ONCE", 4)

    assert 20 == site.accounts.verify_audit(admin).broken_at


def test_twenty_writers_make_one_chain(site: Site, admin: Actor) -> None:
    """No line is lost, none is doubled, and checks at the same time find it whole."""
    before = site.accounts.verify_audit(None).entries

    def write(number: int) -> bool:
        whole = True
        for turn in range(5):
            site.accounts.record(admin, "test.line", f"{number}.{turn}")
            whole = whole and (number % 5 > 0 or site.accounts.verify_audit(None).whole)
        return whole

    assert [True] * 20 == at_once(write)
    verdict = site.accounts.verify_audit(None)
    assert (True, before + 100) == (verdict.whole, verdict.entries)
    lines = site.accounts.audit(admin, action="test.line", limit=200).items
    assert {f"{n}.{t}" for n in range(20) for t in range(5)} == {line.target for line in lines}
