"""Groups: who is in them, and who sees them."""

from __future__ import annotations

import pytest

from grange import errors
from grange.accounts.models import Actor, Group
from tests.accounts.sites import Site, at_once


def test_a_group_is_made_filled_renamed_and_deleted(site: Site, admin: Actor) -> None:
    """Each step is seen by the next one; its members stay users."""
    accounts, bea = site.accounts, site.user(admin, "bea@example.org")

    lab = accounts.make_group(admin, " Lab ")
    assert Group(id=lab.id, name="Lab", created_at=site.clock.now) == lab
    assert (bea.id,) == accounts.add_member(admin, lab.id, bea.id).members
    assert (bea.id,) == accounts.add_member(admin, lab.id, bea.id).members
    assert ("Labor", (bea.id,)) == (
        (renamed := accounts.rename_group(admin, lab.id, "Labor")).name,
        renamed.members,
    )
    assert (lab.id,) == accounts.groups_of(bea.id)
    assert () == accounts.remove_member(admin, lab.id, bea.id).members
    assert () == accounts.remove_member(admin, lab.id, bea.id).members
    accounts.delete_group(admin, lab.id)

    assert [] == accounts.groups(admin)
    assert bea == accounts.user(admin, bea.id)
    actions = [line.action for line in accounts.audit(admin, action="group").items]
    assert ["deleted", "left", "renamed", "joined", "made"] == [a[6:] for a in actions]


def test_others_see_their_own_groups_alone(site: Site, admin: Actor) -> None:
    """A foreign group is not even there."""
    bea = site.member(admin, "bea@example.org")
    names = ("Zoo", "Lab", "Other")
    zoo, lab, other = (site.accounts.make_group(admin, name) for name in names)
    for group in (zoo, lab):
        site.accounts.add_member(admin, group.id, bea.user.id)

    assert ["Lab", "Zoo"] == [group.name for group in site.accounts.groups(bea)]
    assert "Lab" == site.accounts.group(bea, lab.id).name
    assert 3 == len(site.accounts.groups(admin))
    for hidden in (other.id, "0000000000"):
        with pytest.raises(errors.GroupNotFound):
            site.accounts.group(bea, hidden)


def test_joining_and_leaving_hold_at_once(site: Site, admin: Actor) -> None:
    """An open session knows its user's groups as they are, though it was cached."""
    site.user(admin, "bea@example.org")
    opened = site.log_in("bea@example.org")
    lab = site.accounts.make_group(admin, "Lab")
    assert () == site.actor(opened).user.groups

    site.accounts.add_member(admin, lab.id, opened.user.id)
    assert (lab.id,) == site.actor(opened).user.groups
    site.accounts.remove_member(admin, lab.id, opened.user.id)
    assert () == site.actor(opened).user.groups
    site.accounts.add_member(admin, lab.id, opened.user.id)
    assert (lab.id,) == site.actor(opened).user.groups
    site.accounts.delete_group(admin, lab.id)
    assert () == site.actor(opened).user.groups


def test_who_is_not_there_joins_nothing(small_site: Site) -> None:
    """Neither an unknown user a group, nor a user an unknown group."""
    site = small_site
    admin = site.admin()
    lab = site.accounts.make_group(admin, "Lab")
    with pytest.raises(errors.UserNotFound):
        site.accounts.add_member(admin, lab.id, "0000000000")
    with pytest.raises(errors.GroupNotFound):
        site.accounts.add_member(admin, "0000000000", admin.user.id)
    with pytest.raises(errors.GroupNotFound):
        site.accounts.delete_group(admin, "0000000000")


def test_a_name_is_one_groups(site: Site, admin: Actor) -> None:
    """Of 20 who make it at once one succeeds; another group can't be renamed to it."""
    results = at_once(lambda _: site.accounts.make_group(admin, "Lab"))

    refused = [one for one in results if isinstance(one, errors.GrangeError)]
    assert [errors.NameTaken] * 19 == [type(one) for one in refused]
    other = site.accounts.make_group(admin, "Other")
    with pytest.raises(errors.NameTaken):
        site.accounts.rename_group(admin, other.id, "Lab")


def test_a_repeat_finds_the_group_that_it_made(site: Site, admin: Actor) -> None:
    """With an id that was chosen before, making it again makes nothing."""
    made = site.accounts.make_group(admin, "Lab", group_id="abcdefgh01")

    assert made == site.accounts.make_group(admin, "Lab", group_id="abcdefgh01")
    assert 1 == len(site.accounts.audit(admin, action="group.made").items)


def test_twenty_join_at_once(site: Site, admin: Actor) -> None:
    """None is lost, and who is put in twice is in once."""
    lab = site.accounts.make_group(admin, "Lab")
    ids = [site.user(admin, f"u{number}@example.org").id for number in range(10)]

    results = at_once(lambda number: site.accounts.add_member(admin, lab.id, ids[number // 2]))

    assert [] == [one for one in results if isinstance(one, errors.GrangeError)]
    assert sorted(ids) == sorted(site.accounts.group(admin, lab.id).members)
    assert 10 == len(site.accounts.audit(admin, action="group.joined").items)
