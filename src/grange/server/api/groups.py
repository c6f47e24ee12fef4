"""Groups: users who may see each other's runs."""

from __future__ import annotations

from grange.client.schemas.accounts import Group, GroupChange, NewGroup
from grange.client.schemas.basis import Page
from grange.server.api.basis import IdInPath, Router
from grange.server.idempotency import Repeatable
from grange.server.visitors import Administrator, Here, Visitor

router = Router(prefix="/groups", tags=["groups"])


@router.get("")
def list_groups(visitor: Visitor, here: Here) -> Page[Group]:
    """The groups: all of them to administrators, their own to others."""
    items = [Group.model_validate(one) for one in here.accounts.groups(visitor)]
    return Page[Group](items=items, total=len(items))


@router.post("", status_code=201)
def make_group(body: NewGroup, admin: Administrator, here: Here, once: Repeatable) -> Group:
    """Make a group."""
    make = here.accounts.make_group
    return once.make(
        Group, body, lambda own: Group.model_validate(make(admin, body.name, group_id=own))
    )


@router.get("/{group}")
def show_group(group: IdInPath, visitor: Visitor, here: Here) -> Group:
    """A group and who is in it."""
    return Group.model_validate(here.accounts.group(visitor, group))


@router.patch("/{group}")
def rename_group(group: IdInPath, body: GroupChange, admin: Administrator, here: Here) -> Group:
    """Give a group another name."""
    return Group.model_validate(here.accounts.rename_group(admin, group, body.name))


@router.delete("/{group}", status_code=204)
def delete_group(group: IdInPath, admin: Administrator, here: Here) -> None:
    """Delete a group; its members stay, and runs that were shared with it are not any longer."""
    here.accounts.delete_group(admin, group)


@router.put("/{group}/members/{user}", status_code=204)
def add_member(group: IdInPath, user: IdInPath, admin: Administrator, here: Here) -> None:
    """Put a user into a group."""
    here.accounts.add_member(admin, group, user)


@router.delete("/{group}/members/{user}", status_code=204)
def remove_member(group: IdInPath, user: IdInPath, admin: Administrator, here: Here) -> None:
    """Take a user out of a group."""
    here.accounts.remove_member(admin, group, user)
