"""Who may use the site: users, and the one-time links that bring them in."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from grange import errors
from grange.accounts.models import Actor, Invited, Role, User, UserChange
from grange.client.schemas.accounts import NewUser
from grange.client.schemas.accounts import UserChange as UserFields
from grange.runs.report import words
from grange.server import links
from grange.server.api.basis import After, IdInPath, Words
from grange.server.parts import Parts
from grange.server.problems import http_status
from grange.server.visitors import Administrator, Here
from grange.server.web.forms import Form, Sent
from grange.server.web.lists import Address
from grange.server.web.once import once
from grange.server.web.questions import Question, ask
from grange.server.web.templating import render
from grange.server.web.texts import texts

router = APIRouter(prefix="/people", include_in_schema=False)

PAGE = 50


@router.get("")
def list_people(
    request: Request, admin: Administrator, here: Here, q: Words = "", after: After = None
) -> Response:
    """All users, or those whose name or address has a text in it."""
    page = here.accounts.users(admin, after=after, limit=PAGE, query=q)
    groups = {group.id: group.name for group in here.accounts.groups(admin)}
    address = Address("/people", {"q": q}, after)
    return render(request, "people/list.html", page=page, groups=groups, address=address, q=q)


@router.get("/invite")
def show_invitation(request: Request, _admin: Administrator) -> Response:
    """Ask whom to invite."""
    return _invitation(request, Form(values={"role": Role.MEMBER}))


@router.post("/invite")
def invite(request: Request, admin: Administrator, here: Here, form: Sent) -> Response:
    """Make the user, and show the link to send them: this once."""
    wanted = form.read(NewUser, quota_bytes=form.size("quota_bytes"))
    if wanted is None:
        return _invitation(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with once(here, admin, form):
            invited = here.accounts.invite(
                admin,
                email=wanted.email,
                name=wanted.name,
                role=Role(wanted.role),
                quota_bytes=wanted.quota_bytes,
            )
    except (errors.NameTaken, errors.RequestInvalid) as error:
        return _invitation(request, form.refuse(error, "email"), http_status(error))
    return _link(request, here, invited)


@router.get("/{user}")
def show_person(request: Request, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """A user, with what may be changed of them."""
    found = here.accounts.user(admin, user)
    return _person(request, here, admin, found, _form_of(found))


@router.post("/{user}")
def change_person(
    request: Request, user: IdInPath, admin: Administrator, here: Here, form: Sent
) -> Response:
    """Change name, role and quota."""
    wanted = form.read(UserFields, quota_bytes=form.size("quota_bytes"))
    found = here.accounts.user(admin, user)
    if wanted is None:
        return _person(request, here, admin, found, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    change = UserChange(
        name=wanted.name,
        role=Role(wanted.role) if wanted.role else None,
        quota_bytes=wanted.quota_bytes,
    )
    try:
        here.accounts.change_user(admin, user, change)
    except (errors.LastAdmin, errors.RequestInvalid) as error:
        return _person(request, here, admin, found, form.refuse(error), status=http_status(error))
    return _to(f"/people/{user}?done=saved")


@router.post("/{user}/reset")
def reset(
    request: Request, user: IdInPath, admin: Administrator, here: Here, form: Sent
) -> Response:
    """Show a new one-time link for the user: this once."""
    with once(here, admin, form):
        invited = here.accounts.reset(admin, user)
    return _link(request, here, invited)


@router.get("/{user}/disable")
def ask_to_disable(request: Request, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Ask whether the user should be shut out."""
    t, found = texts(), here.accounts.user(admin, user)
    question = Question(
        title=t("people.disable.title", name=found.name),
        text=t("people.disable.text"),
        verb=t("people.disable.verb"),
        path=f"/people/{user}/disable",
        back=f"/people/{user}",
    )
    return ask(request, question)


@router.post("/{user}/disable")
def disable(request: Request, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Shut the user out, at once."""
    change = UserChange(disabled=True)
    return _try(
        request, here, admin, user, lambda: here.accounts.change_user(admin, user, change)
    ) or _to(f"/people/{user}?done=disabled")


@router.post("/{user}/enable")
def enable(user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Let the user in again."""
    here.accounts.change_user(admin, user, UserChange(disabled=False))
    return _to(f"/people/{user}?done=enabled")


@router.get("/{user}/delete")
def ask_to_delete(request: Request, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Ask whether the user should be deleted, naming what goes with them."""
    t, found = texts(), here.accounts.user(admin, user)
    tokens = [one for one in here.accounts.tokens(admin, user) if not one.revoked]
    used = words.size(here.uploads.used_bytes(user))
    losses = [t("people.delete.login", email=found.email)]
    if tokens:
        losses.append(t.n("people.delete.tokens", len(tokens)))
    if found.groups:
        losses.append(t.n("people.delete.groups", len(found.groups)))
    question = Question(
        title=t("people.delete.title", name=found.name),
        text=t("people.delete.text"),
        verb=t("people.delete.verb"),
        path=f"/people/{user}/delete",
        back=f"/people/{user}",
        losses=tuple(losses),
        stays=t("people.delete.stays", size=used),
    )
    return ask(request, question)


@router.post("/{user}/delete")
def delete(request: Request, user: IdInPath, admin: Administrator, here: Here) -> Response:
    """Delete the user."""
    return _try(request, here, admin, user, lambda: here.accounts.delete_user(admin, user)) or _to(
        "/people?done=user_deleted"
    )


def _try(
    request: Request, here: Parts, admin: Actor, user: str, change: Callable[[], object]
) -> Response | None:
    """The user's page with the reason, where the site would be left without administrator."""
    try:
        change()
    except errors.LastAdmin as error:
        found = here.accounts.user(admin, user)
        form = _form_of(found).refuse(error)
        return _person(request, here, admin, found, form, status=http_status(error))
    return None


def _person(
    request: Request,
    here: Parts,
    admin: Actor,
    user: User,
    form: Form,
    *,
    status: int = HTTPStatus.OK,
) -> Response:
    groups = [group for group in here.accounts.groups(admin) if user.id in group.members]
    quota = here.settings.quota_bytes if user.quota_bytes is None else user.quota_bytes
    return render(
        request,
        "people/person.html",
        status=status,
        user=user,
        form=form,
        groups=groups,
        tokens=[one for one in here.accounts.tokens(admin, user.id) if not one.revoked],
        used=here.uploads.used_bytes(user.id),
        quota=quota,
        itself=user.id == admin.user.id,
    )


def _form_of(user: User) -> Form:
    quota = "" if user.quota_bytes is None else words.size(user.quota_bytes)
    return Form(values={"name": user.name, "role": user.role, "quota_bytes": quota})


def _invitation(request: Request, form: Form, status: int = HTTPStatus.OK) -> Response:
    return render(request, "people/invite.html", status=status, form=form)


def _link(request: Request, here: Parts, invited: Invited) -> Response:
    link = links.welcome(here, invited.key)
    return render(request, "people/link.html", invited=invited, link=link)


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
