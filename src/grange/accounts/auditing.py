"""Reading the audit log, and checking that nobody changed it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Text, func, or_, select, true, type_coerce

from grange.accounts.audit import line_hash
from grange.accounts.basis import MOST_PER_PAGE, Basis
from grange.accounts.models import JSON, Actor, AuditEntry, AuditVerdict, Page
from grange.accounts.tables import Record, audit, audit_head

# Lines checked in one transaction, so that a log of millions holds nothing up.
CHECKED_AT_ONCE = 5_000

_FIELDS = ("number", "at", "user", "who", "action", "target", "outcome", "address")
# As it is kept: what somebody has put there need not be JSON.
_DETAIL = type_coerce(audit.c.detail, Text).label("text")
_LINE = select(*(audit.c[name] for name in _FIELDS), audit.c.hash, _DETAIL)


@dataclass
class _Walk:
    """How far a check has come."""

    number: int
    hash: str


class Auditing(Basis):
    """Shows the audit log to administrators, and checks its chain."""

    def audit(
        self,
        actor: Actor,
        *,
        after: int | None = None,
        limit: int = 100,
        who: str = "",
        action: str = "",
    ) -> Page[AuditEntry]:
        """The newest lines before the one of number `after`.

        Args:
            actor: An administrator.
            after: The `next` of the page before.
            limit: How many at most.
            who: Only what this user did: an e-mail address or an id.
            action: Only this action, or all of this topic: `user` is every `user.…`.

        Raises:
            NotAllowed: The actor is no administrator.
        """
        self.require_admin(actor, "audit.read")
        limit = min(max(limit, 1), MOST_PER_PAGE)
        query = _LINE.where(_who(who), _action(action)).order_by(audit.c.number.desc())
        if after is not None:
            query = query.where(audit.c.number < after)
        with self.database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        following = str(rows[limit - 1].number) if len(rows) > limit else None
        return Page(items=[_entry(row) for row in rows[:limit]], next=following)

    def verify_audit(self, actor: Actor | None) -> AuditVerdict:
        """Follow the chain from the first line to the newest one, and say where it breaks.

        Lines that are written meanwhile are not looked at. None as actor is the
        operator at the machine itself.

        Raises:
            NotAllowed: The actor is no administrator.
        """
        if actor is not None:
            self.require_admin(actor, "audit.verified")
        with self.database.read() as connection:
            heads = connection.execute(select(audit_head)).all()
            newest = connection.execute(select(func.max(audit.c.number))).scalar() or 0
        if len(heads) != 1:
            return AuditVerdict(
                entries=0, head="", broken_at=newest, reason="The head of the chain is missing."
            )
        head, walk = heads[0], _Walk(number=0, hash=heads[0].genesis)
        reason = self._follow(walk, head)
        broken_at = walk.number + 1
        if not reason and newest > head.number:
            reason = "There are lines beyond the head of the chain."
        return AuditVerdict(
            entries=walk.number,
            head=walk.hash,
            broken_at=broken_at if reason else None,
            reason=reason,
        )

    def _follow(self, walk: _Walk, head: Record) -> str:
        """Go on to the head; say what is wrong with the line after the last good one."""
        while walk.number < head.number:
            with self.database.read() as connection:
                rows = _lines(connection, after=walk.number, last=head.number)
            for row in rows:
                if row.number != walk.number + 1:
                    return "The line is gone."
                if row.hash != _hash(walk.hash, row):
                    return "The line was changed, or put there."
                walk.number, walk.hash = row.number, row.hash
            if not rows:
                return "The line is gone."
        return "" if walk.hash == head.hash else "The head does not match the newest line."


def _lines(connection: Connection, *, after: int, last: int) -> list[Record]:
    query = _LINE.where(audit.c.number > after, audit.c.number <= last)
    found = connection.execute(query.order_by(audit.c.number).limit(CHECKED_AT_ONCE))
    return list(found)


def _hash(previous: str, row: Record) -> str:
    line: dict[str, JSON] = {name: getattr(row, name) for name in _FIELDS}
    return line_hash(previous, {**line, "detail": row.text})


def _entry(row: Record) -> AuditEntry:
    fields = {name: getattr(row, name) for name in _FIELDS}
    return AuditEntry(**fields, detail=_detail(row.text), hash=row.hash)


def _detail(text: str) -> dict[str, JSON]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": True}


def _who(text: str) -> ColumnElement[bool]:
    return or_(audit.c.who == text, audit.c.user == text) if text else true()


def _action(text: str) -> ColumnElement[bool]:
    if not text:
        return true()
    topic = audit.c.action.startswith(f"{text}.", autoescape=True)
    return or_(audit.c.action == text, topic)
