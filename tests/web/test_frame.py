"""What surrounds every page: found by all who are logged in, and true when they no longer are."""

from __future__ import annotations

import contextlib
import re

import pytest

from tests.server import scene
from tests.web.conftest import Site

HTML = {"Accept": "text/html"}
# A window of 1280 pixels at 200 %, and what WCAG asks of reflow at 400 %.
ENLARGED = ({"width": 640, "height": 450}, {"width": 320, "height": 256})
PAGES = (
    *("/", "/runs", "/people", "/people/invite", "/me"),
    *("/me/tokens", "/audit", "/settings", "/health"),
)


@pytest.mark.parametrize("path", ["/nowhere", "/people/groups/x/y/z", "/static/none.css"])
def test_an_unknown_address_has_the_frame_around_it(site: Site, path: str) -> None:
    """Who is logged in finds the way on; who is not sees no navigation."""
    inside = site.cast.member.get(site.url + path, headers=HTML)
    outside = site.cast.nobody.get(site.url + path, headers=HTML)

    assert (404, 404) == (inside.status_code, outside.status_code)
    assert 'id="nav"' in inside.text
    assert 'id="nav"' not in outside.text


def test_the_api_keeps_its_own_answers(site: Site) -> None:
    """Unknown addresses and wrong methods of the API are problems, whoever asks in what way."""
    for path, method, status in (("/nothing", "GET", 404), ("/health", "DELETE", 405)):
        answer = site.cast.admin.request(method, path, headers=HTML)
        assert status == answer.status_code
        assert "application/problem+json" == answer.headers["Content-Type"]
    wrong = site.cast.admin.get(f"{site.url}/logout", headers=HTML)
    assert 405 == wrong.status_code
    assert 'id="nav"' in wrong.text


def test_a_session_that_ended_is_said_on_the_open_page(site: Site) -> None:
    """The page stays as it is, says so at the top, and the login leads back to the same place."""
    member = scene.invite(site.cast.admin, site.url, "ended", role="admin")
    page = site.open("/people?q=mia", member)
    with contextlib.closing(member):
        for session in member.get("/sessions").json()["items"]:
            member.delete(f"/sessions/{session['id']}")

    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('grange:lost'))")
    page.wait_for_selector("#offline:has-text('lost')")
    page.context.set_offline(False)
    page.evaluate("document.dispatchEvent(new Event('grange:lost'))")
    page.wait_for_selector("#out:has-text('not logged in any more')")
    assert "mia" == page.input_value("main input[name=q]")
    page.click("#out a")
    page.fill("[name=email]", "ended@example.org")
    page.fill("[name=password]", scene.PASSWORD)
    page.click("main button")

    page.wait_for_url("**/people?q=mia")


def test_a_form_sent_without_session_leads_back_to_it(site: Site) -> None:
    """After the login one stands before the same form, not at the beginning."""
    sent_from = f"{site.url}/people/invite?x=1"
    answer = site.cast.nobody.post(
        f"{site.url}/people/invite",
        data={"name": "a"},
        headers={**HTML, "Referer": sent_from, "Origin": site.url},
        follow_redirects=False,
    )
    foreign = site.cast.nobody.post(
        f"{site.url}/people/invite",
        data={"name": "a"},
        headers={**HTML, "Referer": "http://elsewhere.example/people", "Origin": site.url},
        follow_redirects=False,
    )

    assert "/login?next=%2Fpeople%2Finvite%3Fx%3D1" == answer.headers["Location"]
    assert "/login" == foreign.headers["Location"]


def test_a_reload_makes_no_second_link(site: Site) -> None:
    """Who reloads the page with a one-time link is told so; the link that was shown stays good."""
    page = site.open("/people/invite", site.cast.admin)
    page.fill("[name=name]", "Once Only")
    page.fill("[name=email]", "once@example.org")
    page.click("main button.primary")
    link = page.input_value("#secret")
    page.reload()
    assert "sent before" in page.inner_text("main")
    assert 200 == site.cast.nobody.get(link, headers=HTML).status_code

    user = site.cast.admin.get("/users?q=once@example.org").json()["items"][0]["id"]
    page.goto(f"/people/{user}")
    page.click("main form[action$='/reset'] button")
    second = page.input_value("#secret")
    page.reload()

    assert "sent before" in page.inner_text("main")
    assert second != link
    assert 1 == len(site.cast.admin.get("/users?q=once@example.org").json()["items"])
    key = scene.key_in(second)
    assert site.cast.nobody.post(
        "/welcome", json={"key": key, "password": scene.PASSWORD}
    ).is_success


def test_a_reload_makes_no_second_token(site: Site) -> None:
    """The token that was shown stays the only one, and works."""
    page = site.open("/me/tokens", site.cast.other)
    page.fill("[name=name]", "once")
    page.click("main form button.primary")
    text = page.input_value("#secret")
    page.reload()

    assert "sent before" in page.inner_text("main")
    assert 1 == len(site.cast.other.get("/tokens").json()["items"])
    bearer = {"Authorization": f"Bearer {text}"}
    assert 200 == site.cast.nobody.get("/runs", headers=bearer).status_code


def test_several_people_are_shut_out_and_let_in(site: Site) -> None:
    """The question names them all; nobody but they are changed, and one step undoes it."""
    sessions = contextlib.ExitStack()
    clients = [
        sessions.enter_context(
            contextlib.closing(scene.invite(site.cast.admin, site.url, name, role="member"))
        )
        for name in ("pia", "pit")
    ]
    page = site.open("/people?q=p", site.cast.admin)
    for name in ("Pia", "Pit"):
        page.check(f"tr:has-text('{name}') input")
    assert "2" == page.inner_text(".selection [data-count]")
    page.click(".selection button[value=disable]")
    assert "Shut 2 people out?" == page.inner_text("h1").strip()
    page.click("main button.danger")
    assert "shut out" in page.inner_text(".notice")
    assert [401, 401] == [one.get("/session").status_code for one in clients]
    sessions.close()

    page.goto("/people?q=p")
    for name in ("Pia", "Pit"):
        page.check(f"tr:has-text('{name}') input")
    page.click(".selection button[value=enable]")
    assert "log in again" in page.inner_text(".notice")
    assert 0 == page.locator("tbody tr:has-text('Shut out')").count()


def test_the_last_administrator_is_not_shut_out_with_others(site: Site) -> None:
    """A site that nobody can look after is not made by a list of ticks either."""
    page = site.open("/people", site.cast.admin)
    csrf = page.get_attribute("meta[name=csrf-token]", "content") or ""
    admins = [
        one["id"]
        for one in site.cast.admin.get("/users?limit=100").json()["items"]
        if one["role"] == "admin"
    ]
    data = {"csrf": csrf, "action": "disable", "sure": "yes", "user": [*admins[1:], admins[0]]}
    answer = site.cast.admin.post(
        f"{site.url}/people/bulk", data=data, headers=HTML, follow_redirects=False
    )

    assert "/people?done=people_some" == answer.headers["Location"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_enlarged(site: Site, path: str) -> None:
    """At twice and four times its size nothing has to be scrolled sideways."""
    page = site.open(path, site.cast.admin)
    for size in ENLARGED:
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize("path", PAGES)
def test_everything_that_can_be_pressed_has_a_name_and_a_size(site: Site, path: str) -> None:
    """Icons say in words what they do, and nothing is smaller than a finger's tip."""
    page = site.open(path, site.cast.admin)
    faults = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, .button")].filter((one) => {
            if (!one.checkVisibility()) return false;
            const box = one.getBoundingClientRect();
            const name = (one.getAttribute("aria-label") ?? one.innerText).trim();
            return !name || box.width < 24 || box.height < 24;
        }).map((one) => one.outerHTML)"""
    )

    assert [] == faults


def test_the_focus_is_seen_wherever_it_goes(site: Site) -> None:
    """The first two dozen stops of the keyboard each have an outline, from the skip link on."""
    page = site.open("/people", site.cast.admin)
    for number in range(24):
        page.keyboard.press("Tab")
        outline, label = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                return [style.outlineStyle + style.outlineWidth, document.activeElement.outerHTML];
            }"""
        )
        assert "solid2px" == outline, label
        if number == 0:
            assert 'href="#main"' in label


def test_a_question_gives_the_focus_back(site: Site) -> None:
    """Who closes a question stands where they asked it."""
    user = scene.user_id(site.cast.member)
    page = site.open(f"/people/{user}", site.cast.admin)
    page.focus("a[href$='/disable']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#asking[open]")
    assert page.evaluate("document.activeElement.matches('[data-keep]')")
    page.keyboard.press("Escape")

    assert page.evaluate("document.activeElement.matches(\"a[href$='/disable']\")")


def test_states_are_seen_where_colours_are_forced(site: Site) -> None:
    """Shapes keep their own colours when the machine chooses all others."""
    page = site.open("/people", site.cast.admin)
    page.emulate_media(forced_colors="active")

    assert "none" == page.evaluate(
        "getComputedStyle(document.querySelector('.s')).forcedColorAdjust"
    )


def test_nothing_moves_for_those_who_want_rest(site: Site) -> None:
    """With reduced motion no rule animates or fades."""
    page = site.open("/", site.cast.admin)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i class=\"s running\"></i>')")

    assert "none" == page.evaluate(
        "getComputedStyle(document.querySelector('i.s.running')).animationName"
    )
    page.emulate_media(reduced_motion="no-preference")
    assert "breathe" == page.evaluate(
        "getComputedStyle(document.querySelector('i.s.running')).animationName"
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light_however_it_came(site: Site, path: str) -> None:
    """Document, scripts and styles, all unpacked, stay below 150 kB."""
    text = site.cast.admin.get(site.url + path, headers=HTML).text
    page = site.open("/login")
    page.context.add_cookies(
        [
            {"name": one.name, "value": str(one.value), "url": site.url}
            for one in site.cast.admin.cookies.jar
        ]
    )
    sizes = {path: len(text)}
    page.on(
        "response",
        lambda got: sizes.update({got.url: len(got.body())}) if "/static/" in got.url else None,
    )
    page.goto(path)
    page.wait_for_selector("html[data-live=on]", state="attached")

    assert len(re.findall(r"\.js", " ".join(sizes))) > 3
    assert sum(sizes.values()) < 150_000
