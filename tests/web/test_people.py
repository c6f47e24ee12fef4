"""Looking after people, tokens and sessions in the browser."""

from __future__ import annotations

import pytest

from tests.server import scene
from tests.web.conftest import NARROW, Site


def test_the_keyboard_walks_through_a_list(site: Site) -> None:
    """`j` and `k` go from row to row, enter opens, `/` searches, `?` helps."""
    page = site.open("/people", site.cast.admin)

    for key in "jjk":
        page.keyboard.press(key)
    assert "Ada" in page.inner_text("tr.here th")
    page.keyboard.press("j")
    name = page.inner_text("tr.here th a")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"h1:has-text('{name}')")
    page.keyboard.press("/")
    page.keyboard.type("otto")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=otto")
    assert page.locator("main a:has-text('Otto')").is_visible()


def test_a_list_shown_whole_is_sorted_in_place(site: Site) -> None:
    """A click on a column's head sorts by it, another one the other way round."""
    page = site.open("/people", site.cast.admin)
    names = "[...document.querySelectorAll('tbody th a')].map(one => one.textContent)"

    page.click("thead th:nth-child(2) button")
    ascending = page.evaluate(names)
    page.click("thead th:nth-child(2) button")

    assert sorted(ascending) == ascending
    assert ascending[::-1] == page.evaluate(names)
    assert "descending" == page.get_attribute("thead th:nth-child(2)", "aria-sort")


def test_somebody_is_shut_out_and_let_in_again(site: Site) -> None:
    """The question names what happens; whoever is shut out can't do a thing at once."""
    page = site.open(f"/people/{scene.user_id(site.cast.other)}", site.cast.admin)

    page.click("a[href$='/disable']")
    page.wait_for_selector("#asking[open]")
    assert "data-keep" in (page.evaluate("document.activeElement.outerHTML"))
    page.click("#asking [data-keep]")
    assert 200 == site.cast.other.get("/session").status_code
    page.click("a[href$='/disable']")
    page.click("#asking button.danger")
    page.wait_for_selector(".notice.good")
    assert "done=" not in page.url
    assert 401 == site.cast.other.get("/session").status_code
    page.click("text=Let in again")
    page.wait_for_selector("h1 >> text=Active")


def test_the_last_administrator_stays(site: Site) -> None:
    """A site is never left without anybody to look after it, and the page says why."""
    page = site.open(f"/people/{scene.user_id(site.cast.admin)}/delete", site.cast.admin)

    page.click("main button.danger")

    assert "last administrator" in page.inner_text(".notice.bad")


def test_a_person_is_changed(site: Site) -> None:
    """Name, role and room are saved; what is no size is said beside its field."""
    page = site.open(f"/people/{scene.user_id(site.cast.viewer)}", site.cast.admin)

    page.fill("#quota_bytes", "much")
    page.click("main button.primary")
    assert page.locator(".field:has(#quota_bytes) .mistake").is_visible()
    page.fill("#quota_bytes", "5 GB")
    page.fill("#name", "<b>Vera</b> & Co")
    page.click("main button.primary")
    page.wait_for_selector(".notice.good")
    assert "<b>Vera</b> & Co" in page.inner_text("h1")
    known = site.cast.viewer.get("/session").json()
    assert 5_000_000_000 == known["quota_bytes"]


def test_a_group_is_made_and_filled(site: Site) -> None:
    """A group has a page of its own, where members come and go."""
    page = site.open("/people/groups", site.cast.admin)

    page.fill("#name", "Owls")
    page.click("main button.primary")
    page.wait_for_selector("h1:has-text('Owls')")
    page.fill("#email", "nobody@example.org")
    page.click("button:has-text('Add a member')")
    assert page.locator(".field:has(#email) .mistake").is_visible()
    page.fill("#email", scene.email("mia"))
    page.click("button:has-text('Add a member')")
    page.wait_for_selector("main li:has-text('Mia')")
    page.click("button[aria-label^='Remove Mia']")
    page.wait_for_selector("text=Nobody is in this group yet.")
    page.click("a[href$='/delete']")
    page.click("#asking button.danger")
    page.wait_for_url("**/people/groups")
    assert 0 == page.locator("text=Owls").count()


def test_a_token_is_shown_once_and_revoked(site: Site) -> None:
    """The text opens the site until the token is revoked, and is on no later page."""
    page = site.open("/me/tokens", site.cast.member)
    assert 0 == page.locator("input[value=admin]").count()

    page.fill("#name", "of a script")
    page.click("main button.primary")
    text = page.input_value("#secret")
    with site.server.client(headers={"Authorization": f"Bearer {text}"}) as script:
        assert 200 == script.get("/session").status_code
        page.goto("/me/tokens")
        assert text not in page.content()
        page.click("tr:has-text('of a script') a[data-ask]")
        page.click("#asking button.danger")
        page.wait_for_selector(".notice.good")
        assert 401 == script.get("/session").status_code


def test_a_token_needs_a_purpose_and_a_right(site: Site) -> None:
    """A token for nothing is not made, and the page says what is missing."""
    page = site.open("/me/tokens", site.cast.member)

    page.fill("#name", "for nothing")
    for box in page.locator("input[name=scopes]").all():
        box.uncheck()
    page.click("main button.primary")

    assert page.locator("fieldset .mistake").is_visible()


def test_another_browser_is_logged_out(site: Site) -> None:
    """One's own sessions are listed, and each other one can be ended."""
    scene.log_in(site.url, "mia").close()
    page = site.open("/me/sessions", site.cast.member)
    before = page.locator("tbody tr").count()

    page.locator("tbody button").first.click()
    page.wait_for_selector(".notice.good")

    assert before - 1 == page.locator("tbody tr").count()


def test_a_password_is_changed(site: Site) -> None:
    """The old one has to be known, and the new one opens the site."""
    page = site.open("/me", site.cast.viewer)

    page.fill("#old", "a guess at it")
    page.fill("#new", "nine grey geese glide")
    page.click("button:has-text('Change password')")
    assert page.locator(".field:has(#old) .mistake").is_visible()
    page.fill("#old", scene.PASSWORD)
    page.fill("#new", "nine grey geese glide")
    page.click("button:has-text('Change password')")
    page.wait_for_selector(".notice.good")
    scene.log_in(site.url, "vera", "nine grey geese glide").close()


@pytest.mark.parametrize("path", ["/people", "/people/groups", "/audit", "/settings", "/health"])
def test_what_is_for_administrators_is_for_them_alone(site: Site, path: str) -> None:
    """Others neither see the noun nor get the page."""
    page = site.open(path, site.cast.member)

    assert "You may not do this" in page.inner_text("h1")
    assert 0 == page.locator(f"nav.nav a[href='{path}']").count()


def test_the_audit_log_is_read_and_checked(site: Site) -> None:
    """Lines can be filtered by person, and the chain's verdict is said in words."""
    page = site.open("/audit", site.cast.admin)

    page.fill("input[name=who]", scene.email("mia"))
    page.click("button:has-text('Filter')")
    page.wait_for_url("**who=*")
    who = page.locator("tbody td:nth-child(2)").all_inner_texts()
    assert {scene.email("mia")} == set(who)
    page.click("text=Check the chain")
    page.wait_for_selector("text=The log is whole.")


def test_health_refreshes_itself(site: Site) -> None:
    """The page asks again by itself, and says when the server does not answer."""
    page = site.open("/health", site.cast.admin)

    with page.expect_response(lambda answer: answer.url.endswith("/health")) as again:
        pass
    assert 200 == again.value.status
    assert "<html" not in again.value.text()
    page.context.set_offline(True)
    page.wait_for_selector("#offline:not(:empty)")
    page.context.set_offline(False)
    page.wait_for_selector("#offline.back")


def test_the_navigation_is_a_drawer_on_a_phone(site: Site) -> None:
    """It opens, takes the focus, and closes with escape."""
    page = site.open("/people", site.cast.admin, size=NARROW)

    assert not page.locator("#nav").is_visible()
    page.click("#menu")
    page.wait_for_selector("#nav", state="visible")
    assert page.evaluate("document.activeElement.closest('#nav') !== null")
    page.keyboard.press("Escape")
    page.wait_for_selector("#nav", state="hidden")
    assert "menu" == page.evaluate("document.activeElement.id")


def test_the_drawer_opens_without_scripts(site: Site) -> None:
    """Nobody on a phone is locked out of the navigation."""
    page = site.open("/people", site.cast.admin, size=NARROW, scripts=False)

    page.click("#menu")

    assert page.locator("#nav a[href='/audit']").is_visible()


def test_text_is_copied(site: Site) -> None:
    """The button puts the text where it says, and tells that it did."""
    page = site.open("/me/tokens", site.cast.admin)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill("#name", "to copy")
    page.click("main button.primary")

    page.click(".secret button")
    page.wait_for_selector(".secret button.copied")

    copied = page.evaluate("navigator.clipboard.readText()")
    assert page.input_value("#secret") == copied
