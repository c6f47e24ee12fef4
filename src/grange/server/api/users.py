"""Users: who may use the site, and as what."""

from __future__ import annotations

from grange.accounts import models
from grange.client.schemas import accounts as schemas
from grange.client.schemas.basis import Page
from grange.server import links
from grange.server.api.basis import After, IdInPath, Limit, Router, Words, page
from grange.server.idempotency import Repeatable
from grange.server.parts import Parts
from grange.server.visitors import Administrator, Here, Oneself, Visitor

router = Router(prefix="/users", tags=["users"])


@router.get("")
def list_users(
    visitor: Visitor, here: Here, after: After = None, limit: Limit = 50, q: Words = ""
) -> Page[schemas.User]:
    """The users, by their names."""
    found = here.accounts.users(visitor, after=after, limit=limit, query=q)
    return page(found, schemas.User.model_validate)


@router.post("", status_code=201)
def invite_user(
    body: schemas.NewUser, admin: Administrator, here: Here, once: Repeatable
) -> schemas.Invited:
    """Invite somebody: the answer holds the one-time link to send them. Repeated: a fresh link."""
    return once.make_secret(
        body,
        lambda: _invited(
            here,
            here.accounts.invite(
                admin,
                email=body.email,
                name=body.name,
                role=models.Role(body.role),
                quota_bytes=body.quota_bytes,
            ),
        ),
        again=lambda user: _invited(here, here.accounts.reset(admin, user)),
        of=lambda invited: invited.user.id,
    )


@router.get("/{user}")
def show_user(user: IdInPath, visitor: Visitor, here: Here) -> schemas.User:
    """A user."""
    return schemas.User.model_validate(here.accounts.user(visitor, user))


@router.patch("/{user}")
def change_user(
    user: IdInPath, body: schemas.UserChange, visitor: Oneself, here: Here
) -> schemas.User:
    """Change a user's name, role or quota, or shut them out. Your own name you may change too."""
    keep = "quota_bytes" not in body.model_fields_set
    change = models.UserChange(
        name=body.name,
        role=models.Role(body.role) if body.role else None,
        disabled=body.disabled,
        quota_bytes=models.Keep.KEEP if keep else body.quota_bytes,
    )
    return schemas.User.model_validate(here.accounts.change_user(visitor, user, change))


@router.delete("/{user}", status_code=204)
def delete_user(user: IdInPath, admin: Administrator, here: Here) -> None:
    """Delete a user with their sessions, tokens and sent files; their runs and audit log stay."""
    here.accounts.delete_user(admin, user)
    here.uploads.forget_user(user)


@router.post("/{user}/reset", status_code=201)
def reset_password(user: IdInPath, admin: Administrator, here: Here) -> schemas.Invited:
    """Make a one-time link with which the user chooses a new password."""
    return _invited(here, here.accounts.reset(admin, user))


def _invited(here: Parts, invited: models.Invited) -> schemas.Invited:
    return schemas.Invited(
        user=schemas.User.model_validate(invited.user),
        link=links.welcome(here, invited.key),
        expires_at=invited.expires_at,
    )
