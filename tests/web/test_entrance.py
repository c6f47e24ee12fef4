"""The ways in: set-up, login, invitation, as people take them in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from grange.server.web.refusals import safe_next
from tests.server import scene
from tests.web.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page


def _type(page: Page, **fields: str) -> None:
    """Walk through a form by keyboard: each field has to come when it is expected."""
    for name, text in fields.items():
        assert name == page.evaluate("document.activeElement.name")
        page.keyboard.type(text)
        page.keyboard.press("Tab")


def _tab_to(page: Page, choice: str) -> None:
    for _ in range(40):
        if page.evaluate(f"document.activeElement.matches({choice!r})"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {choice}")


def test_a_site_is_set_up_by_keyboard_alone(fresh: Callable[[], Site]) -> None:
    """From the printed link to the first guest's first page, without a mouse."""
    site = fresh()
    page = site.open(site.server.setup or "")

    assert "key=" not in page.url
    page.focus("#name")
    _type(page, name="Ada Lovelace", email="ada@example.org", password=scene.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Welcome, Ada Lovelace')")

    _tab_to(page, "a[href='/people/invite']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/people/invite")
    _tab_to(page, "#name")
    _type(page, name="Mia", email="mia@example.org")
    _tab_to(page, "main button.primary")
    page.keyboard.press("Enter")
    link = page.input_value("#secret")

    guest = site.open(link)
    assert "key=" not in guest.url
    guest.focus("#password")
    _type(guest, password=scene.PASSWORD)
    guest.keyboard.press("Enter")
    guest.wait_for_selector("h1:has-text('Welcome, Mia')")
    assert 0 == guest.locator("nav a[href='/people']").count()


def test_a_site_without_administrator_asks_for_one(fresh: Callable[[], Site]) -> None:
    """Whoever comes first is led to the set-up; a wrong key is said beside its field."""
    site = fresh()
    page = site.open("/")

    assert page.url.endswith("/setup")
    page.fill("#key", "a guess")
    page.fill("#name", "Eve")
    page.fill("#email", "eve@example.org")
    page.fill("#password", scene.PASSWORD)
    page.click("main button.primary")
    assert page.locator(".field:has(#key) .mistake").is_visible()
    assert "Eve" == page.input_value("#name")
    assert "" == page.input_value("#password")
    page.fill("#key", site.server.setup_key)
    page.fill("#password", "1234567890")
    page.click("main button.primary")
    assert page.locator(".field:has(#password) .mistake").is_visible()
    page.fill("#password", scene.PASSWORD)
    page.click("main button.primary")
    page.wait_for_selector("h1:has-text('Welcome, Eve')")
    page.goto(site.server.setup or "")
    assert page.url.endswith("/")


def test_whoever_logs_in_comes_to_where_they_wanted(site: Site) -> None:
    """The page that asked for the login is the one that follows it; logging out ends it."""
    page = site.open("/people?q=mia")

    assert "/login?next=" in page.url
    page.fill("#email", scene.email("ada"))
    page.fill("#password", "not the password")
    page.click("main button.primary")
    assert page.locator(".notice.bad").is_visible()
    page.fill("#password", scene.PASSWORD)
    page.click("main button.primary")
    page.wait_for_url("**/people?q=mia")
    page.click(".menu:not(#activity) summary")
    page.click("text=Log out")
    page.wait_for_url("**/login")
    assert page.locator(".notice.good").is_visible()
    page.goto("/people")
    assert "/login" in page.url


def test_entrances_work_without_scripts(site: Site) -> None:
    """Login, an invitation and its link are plain forms."""
    page = site.open("/login", scripts=False)
    page.fill("#email", scene.email("ada"))
    page.fill("#password", scene.PASSWORD)
    page.click("main button.primary")
    page.goto("/people/invite")
    page.fill("#name", "Grace")
    page.fill("#email", "grace@example.org")
    page.click("main button.primary")
    link = page.input_value("#secret")
    guest = site.open(link, scripts=False)
    guest.fill("#password", scene.PASSWORD)
    guest.click("main button.primary")

    assert "Welcome, Grace" in guest.inner_text("h1")
    page.goto("/people?q=grace")
    page.click("text=Grace")
    page.click("text=Delete this person")
    page.click("main button.danger")
    assert page.locator(".notice.good").is_visible()


def test_a_site_is_set_up_without_scripts(fresh: Callable[[], Site]) -> None:
    """The set-up is a plain form, its key filled in from the link."""
    site = fresh()
    page = site.open(site.server.setup or "", scripts=False)
    page.fill("#name", "Ada")
    page.fill("#email", "ada@example.org")
    page.fill("#password", scene.PASSWORD)
    page.click("main button.primary")

    assert "Welcome, Ada" in page.inner_text("h1")


def test_too_many_guesses_are_told_as_that(fresh: Callable[[], Site]) -> None:
    """Whoever guesses passwords is told to wait, with the status for it."""
    site = fresh()
    scene.set_up(site.server).close()
    guess = {"email": scene.email("ada"), "password": "a guess"}
    with httpx.Client(base_url=site.url, headers={"Accept": "text/html"}) as guesser:
        answers = [guesser.post("/login", data=guess)]
        while answers[-1].status_code == 401 and len(answers) < 30:
            answers.append(guesser.post("/login", data=guess))

    assert 3 < len(answers)
    assert 429 == answers[-1].status_code
    assert "again" in answers[-1].text.lower()


def test_a_form_of_another_site_is_refused(site: Site) -> None:
    """Neither with a session nor without one does a form of a foreign page do anything."""
    foreign = {"Origin": "https://evil.example", "Accept": "text/html"}
    body = {"email": scene.email("ada"), "password": scene.PASSWORD}

    answer = site.cast.nobody.post(f"{site.url}/login", data=body, headers=foreign)

    assert 403 == answer.status_code
    assert "set-cookie" not in answer.headers
    without = {"X-CSRF-Token": ""}
    answer = site.cast.admin.post(
        f"{site.url}/people/groups", data={"name": "Forged", "csrf": "x"}, headers=without
    )
    assert 403 == answer.status_code
    assert "Forged" not in site.cast.admin.get("/groups").text


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x=y",
        "",
        None,
    ],
)
def test_the_login_leads_nowhere_else(wanted: str | None) -> None:
    """An address that somebody put into the link leads to no other site."""
    assert "/" == safe_next(wanted)


def test_the_login_leads_back_into_the_site() -> None:
    """A page of this site is kept with what was asked for on it."""
    assert "/runs?q=a&state=done" == safe_next("/runs?q=a&state=done")
