"""Who may see, run and change what: pure rules, and the words of their refusals."""

from __future__ import annotations

from grange.accounts.models import Actor, Role, Scope
from grange.errors import GroupNotFound, NotAllowed, RunNotFound
from grange.runs.models import RunView
from grange.runs.pages import Sight

# Pipelines that run whatever program they are given.
ANY_PROGRAM = frozenset({"command"})


def sight_of(actor: Actor) -> Sight:
    """Which runs an actor sees: an administrator all, others their own and those of their groups.

    What was begun without the server belongs to nobody, so only administrators see it.
    """
    return Sight(
        everything=actor.is_admin, owner=actor.user.id, groups=tuple(sorted(actor.user.groups))
    )


def not_there(reference: str) -> RunNotFound:
    """What to say of a run that is not there, or not for this actor to see: the very same."""
    return RunNotFound(f"There is no run {reference[:100]!r}.", hint="See the list of your runs.")


def may_change(actor: Actor, run: RunView) -> bool:
    """Whether the actor may say what becomes of the run: its owner and administrators may."""
    return actor.may(Scope.RUN) and (actor.is_admin or run.owner == actor.user.id)


def check_change(actor: Actor, run: RunView) -> None:
    """Refuse whoever may not change a run that they see.

    Raises:
        NotAllowed: Says who may.
    """
    check_running(actor)
    if not may_change(actor, run):
        raise NotAllowed(
            f"Run {run.id} belongs to somebody else.", hint="Ask its owner or an administrator."
        )


def check_running(actor: Actor) -> None:
    """Refuse whoever may have no runs at all.

    Raises:
        NotAllowed: The role or the token is for looking only.
    """
    if not actor.may(Scope.RUN):
        token = actor.token is not None and Scope.RUN not in actor.scopes
        raise NotAllowed(
            "This token is for looking only." if token else "Viewers can't run or change anything.",
            hint="Use a token with the scope run." if token else "Ask an administrator.",
        )


def is_own_code(reference: str) -> bool:
    """Whether a pipeline runs programs of the caller's choice, rather than installed ones."""
    a_place = reference.endswith(".py") or any(mark in reference for mark in "/\\:~")
    return reference in ANY_PROGRAM or a_place


def may_run(actor: Actor, reference: str, *, commands: str) -> bool:
    """Whether the actor may run this pipeline; `commands` is the setting of that name."""
    if not actor.may(Scope.RUN):
        return False
    return not is_own_code(reference) or commands == str(Role.MEMBER) or actor.is_admin


def check_pipeline(actor: Actor, reference: str, *, commands: str) -> None:
    """Refuse a pipeline that the actor may not run.

    Raises:
        NotAllowed: Says who can help.
    """
    check_running(actor)
    if not may_run(actor, reference, commands=commands):
        raise NotAllowed(
            "Commands and pipelines of one's own are for administrators on this server.",
            hint="Use an installed pipeline, or ask an administrator: the setting commands=member "
            "allows it to everyone.",
        )


def check_group(actor: Actor, group: str) -> None:
    """Refuse to share a run with a group that the actor is not in.

    Raises:
        GroupNotFound: It is none of theirs, whether there is one or not.
    """
    if not actor.is_admin and group not in actor.user.groups:
        raise GroupNotFound(f"You are in no group {group!r}.", hint="See your groups.")
