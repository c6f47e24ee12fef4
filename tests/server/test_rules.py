"""Who may see, run and change what: the rules as tables."""

from __future__ import annotations

import pytest

from grange.accounts.models import Actor, Role, Scope, User
from grange.errors import GroupNotFound, NotAllowed
from grange.server import access
from tests.runs.factories import make_run

ADMIN, MEMBER, VIEWER = Role.ADMIN, Role.MEMBER, Role.VIEWER
RUN, READ = Scope.RUN, Scope.READ


def actor(role: Role, *scopes: Scope, groups: tuple[str, ...] = ()) -> Actor:
    """Give somebody, u1, with all that their role allows unless scopes are named."""
    user = User(id="u1", email="u@x", name="U", role=role, created_at=0.0, groups=groups)
    return Actor(user=user, scopes=frozenset(scopes or Scope), token="t" if scopes else None)


@pytest.mark.parametrize(
    ("who", "owner", "shared_with", "sees", "changes"),
    [
        (actor(ADMIN), "u2", None, True, True),
        (actor(ADMIN), None, None, True, True),
        (actor(ADMIN, RUN, READ), "u2", None, False, False),
        (actor(ADMIN, RUN, READ), "u1", None, True, True),
        (actor(MEMBER), "u1", None, True, True),
        (actor(MEMBER), "u2", None, False, False),
        (actor(MEMBER), None, None, False, False),
        (actor(MEMBER, groups=("g1",)), "u2", "g1", True, False),
        (actor(MEMBER, groups=("g2",)), "u2", "g1", False, False),
        (actor(MEMBER, READ), "u1", None, True, False),
        (actor(VIEWER, groups=("g1",)), "u2", "g1", True, False),
        (actor(VIEWER), "u2", "g1", False, False),
        (actor(VIEWER), "u1", None, True, False),
    ],
)
def test_who_sees_and_changes_a_run(
    who: Actor, owner: str | None, shared_with: str | None, sees: bool, changes: bool
) -> None:
    """Owners and administrators change runs, groups look at those that are shared with them."""
    run = make_run(owner=owner, shared_with=shared_with)

    assert sees == access.sight_of(who).sees(run)
    assert changes == access.may_change(who, run)
    if not changes:
        with pytest.raises(NotAllowed):
            access.check_change(who, run)


@pytest.mark.parametrize(
    ("who", "reference", "commands", "allowed"),
    [
        (actor(ADMIN), "command", "admin", True),
        (actor(ADMIN), "/srv/own.py", "admin", True),
        (actor(ADMIN, RUN), "command", "admin", False),
        (actor(MEMBER), "command", "admin", False),
        (actor(MEMBER), "command", "member", True),
        (actor(MEMBER), "own.py", "admin", False),
        (actor(MEMBER), "./own.py:Own", "admin", False),
        (actor(MEMBER), "package.module:Own", "admin", False),
        (actor(MEMBER), "~/own", "admin", False),
        (actor(MEMBER), "wildlife", "admin", True),
        (actor(MEMBER), "speech-to-text", "admin", True),
        (actor(MEMBER, READ), "wildlife", "admin", False),
        (actor(VIEWER), "wildlife", "member", False),
    ],
)
def test_who_runs_what(who: Actor, reference: str, commands: str, allowed: bool) -> None:
    """Programs of one's own need the setting's leave; installed pipelines are for every member."""
    assert allowed == access.may_run(who, reference, commands=commands)
    if not allowed:
        with pytest.raises(NotAllowed) as refused:
            access.check_pipeline(who, reference, commands=commands)
        assert refused.value.hint


def test_runs_are_shared_with_groups_of_ones_own() -> None:
    """Another group is not there, whether there is one or not; administrators know all."""
    access.check_group(actor(MEMBER, groups=("g1",)), "g1")
    access.check_group(actor(ADMIN), "g2")
    with pytest.raises(GroupNotFound):
        access.check_group(actor(MEMBER, groups=("g1",)), "g2")
