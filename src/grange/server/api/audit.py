"""The audit log, and whether it is whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from grange.client.schemas.accounts import AuditEntry, AuditVerdict
from grange.client.schemas.basis import Page
from grange.server.api.basis import Limit, Router, Words, page
from grange.server.visitors import Administrator, Here

router = Router(prefix="/audit", tags=["audit"])

Number = Annotated[int | None, Query(ge=0, lt=1 << 62, description="`next` of the part before.")]


@router.get("")
def list_audit(
    admin: Administrator,
    here: Here,
    *,
    after: Number = None,
    limit: Limit = 100,
    who: Words = "",
    action: Words = "",
) -> Page[AuditEntry]:
    """Who did what to what, when, from where: the newest first."""
    found = here.accounts.audit(admin, after=after, limit=limit, who=who, action=action)
    return page(found, AuditEntry.model_validate)


@router.get("/verdict")
def verify_audit(admin: Administrator, here: Here) -> AuditVerdict:
    """Check the chain of the whole log: has anything been changed or taken out?"""
    return AuditVerdict.model_validate(here.accounts.verify_audit(admin))
