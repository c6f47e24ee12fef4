"""Groups: who sees each other's runs where these say so."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from grange import errors
from grange.accounts.models import Actor, Group
from grange.client.schemas.accounts import GroupChange, NewGroup
from grange.server.api.basis import IdInPath
from grange.server.parts import Parts
from grange.server.problems import http_status
from grange.server.visitors import Administrator, Here
from grange.server.web.forms import Form, Sent
from grange.server.web.questions import Question, ask
from grange.server.web.templating import render
from grange.server.web.texts import texts

router = APIRouter(prefix="/people/groups", include_in_schema=False)


@router.get("")
def list_groups(request: Request, admin: Administrator, here: Here) -> Response:
    """All groups, and the form for another one."""
    return _groups(request, here, admin, Form())


@router.post("")
def make_group(request: Request, admin: Administrator, here: Here, form: Sent) -> Response:
    """Make a group; people are put into it on its page."""
    wanted = form.read(NewGroup)
    if wanted is None:
        return _groups(request, here, admin, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        made = here.accounts.make_group(admin, wanted.name)
    except (errors.NameTaken, errors.RequestInvalid) as error:
        return _groups(request, here, admin, form.refuse(error, "name"), http_status(error))
    return _to(f"/people/groups/{made.id}?done=group_made")


@router.get("/{group}")
def show_group(request: Request, group: IdInPath, admin: Administrator, here: Here) -> Response:
    """A group and its members."""
    found = here.accounts.group(admin, group)
    return _group(request, here, found, Form(values={"name": found.name}))


@router.post("/{group}")
def rename_group(
    request: Request, group: IdInPath, admin: Administrator, here: Here, form: Sent
) -> Response:
    """Give the group another name."""
    found = here.accounts.group(admin, group)
    wanted = form.read(GroupChange)
    if wanted is None:
        return _group(request, here, found, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        here.accounts.rename_group(admin, group, wanted.name)
    except (errors.NameTaken, errors.RequestInvalid) as error:
        form.refuse(error, "name")
        return _group(request, here, found, form, http_status(error))
    return _to(f"/people/groups/{group}?done=saved")


@router.post("/{group}/members")
def add_member(
    request: Request, group: IdInPath, admin: Administrator, here: Here, form: Sent
) -> Response:
    """Put a user into the group, by the e-mail address."""
    found = here.accounts.group(admin, group)
    try:
        user = here.accounts.find_user(admin, form.text("email"))
        here.accounts.add_member(admin, group, user.id)
    except errors.UserNotFound as error:
        form.values = {"name": found.name, "email": form.text("email")}
        form.refuse(error, "email")
        return _group(request, here, found, form, http_status(error))
    return _to(f"/people/groups/{group}?done=member_added")


@router.post("/{group}/members/{user}/remove")
def remove_member(group: IdInPath, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Take a user out of the group."""
    here.accounts.remove_member(admin, group, user)
    return _to(f"/people/groups/{group}?done=member_removed")


@router.get("/{group}/delete")
def ask_to_delete(request: Request, group: IdInPath, admin: Administrator, here: Here) -> Response:
    """Ask whether the group should be deleted."""
    t, found = texts(), here.accounts.group(admin, group)
    question = Question(
        title=t("groups.delete.title", name=found.name),
        text=t("groups.delete.text"),
        verb=t("groups.delete.verb"),
        path=f"/people/groups/{group}/delete",
        back=f"/people/groups/{group}",
        losses=(t.n("groups.delete.members", len(found.members)), t("groups.delete.runs")),
    )
    return ask(request, question)


@router.post("/{group}/delete")
def delete_group(group: IdInPath, admin: Administrator, here: Here) -> Response:
    """Delete the group."""
    here.accounts.delete_group(admin, group)
    return _to("/people/groups?done=group_deleted")


def _groups(
    request: Request, here: Parts, admin: Actor, form: Form, status: int = HTTPStatus.OK
) -> Response:
    groups = here.accounts.groups(admin)
    return render(request, "people/groups.html", status=status, groups=groups, form=form)


def _group(
    request: Request,
    here: Parts,
    group: Group,
    form: Form,
    status: int = HTTPStatus.OK,
) -> Response:
    names = here.accounts.names(group.members)
    members = sorted(names.items(), key=lambda member: member[1].casefold())
    return render(
        request, "people/group.html", status=status, group=group, members=members, form=form
    )


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
