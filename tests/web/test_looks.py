"""Every page of accounts and of the site: for everyone to read, light, and talking to nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from grange.server.web.assets import FOLDER
from tests.server import scene
from tests.server.scene import Cast, Serving
from tests.web.conftest import NARROW, WIDE, Site

AXE = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"],
    },
    "resultTypes": ["violations"],
}
MOST_STYLE_BYTES = 30_000
MOST_PAGE_BYTES = 150_000

OPEN = ("/setup?key=some", "/login", "/welcome?key=unknown", "/nowhere")
# {person} and {group} are filled in by the test.
CLOSED = (
    "/",
    "/search?q=a",
    "/people",
    "/people?q=nobody+is+called+so",
    "/people/invite",
    "/people/{person}",
    "/people/{person}/delete",
    "/people/groups",
    "/people/groups/{group}",
    "/me",
    "/me/tokens",
    "/me/sessions",
    "/audit?verify=true",
    "/settings",
    "/health",
    "/people/nobodyhere",
)


@pytest.fixture(scope="module")
def places(cast: Cast, server: Serving) -> dict[str, str]:
    """Fill the site, so that no list is empty; gives what stands for places in addresses."""
    person = scene.user_id(cast.member)
    group = cast.admin.post("/groups", json={"name": "Field team"}).json()["id"]
    cast.admin.put(f"/groups/{group}/members/{person}")
    cast.admin.patch(f"/users/{scene.user_id(cast.other)}", json={"disabled": True})
    cast.admin.post("/users", json={"email": "new@example.org", "name": "New One"})
    scene.with_token(cast.admin, server.url, "read").close()
    return {"person": person, "group": group}


def _told(violation: dict[str, Any]) -> str:
    places = [node["target"] for node in violation["nodes"]]
    return f"{violation['id']} {places}"


def _violations(site: Site, path: str, *, admin: bool) -> list[str]:
    """Look at a page in both colours and both widths."""
    found = []
    page = site.open(path, site.cast.admin if admin else None)
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            seen = Axe().run(page, options=AXE).response["violations"]
            found += [f"{size['width']} {colours}: {_told(one)}" for one in seen]
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            found.append(f"{size['width']}: the page is wider than the window")
    return found


@pytest.mark.parametrize("path", OPEN)
def test_a_page_for_everyone_can_be_used_by_everyone(site: Site, path: str) -> None:
    """No fault of WCAG A or AA, light and dark, wide and narrow."""
    assert [] == _violations(site, path, admin=False)


@pytest.mark.parametrize("path", CLOSED)
def test_a_page_can_be_used_by_everyone(site: Site, places: dict[str, str], path: str) -> None:
    """No fault of WCAG A or AA, light and dark, wide and narrow."""
    assert [] == _violations(site, path.format(**places), admin=True)


def test_the_examination_finds_faults(site: Site) -> None:
    """A picture without words and a field without label would fail these tests."""
    page = site.open("/login")
    page.evaluate("document.querySelectorAll('label').forEach(one => one.remove())")
    page.evaluate("document.querySelector('img').removeAttribute('alt')")

    found = Axe().run(page, options=AXE).response["violations"]

    assert {"label", "image-alt"} <= {one["id"] for one in found}


def test_what_opens_can_be_used_by_everyone(site: Site, places: dict[str, str]) -> None:
    """Menu, help and question pass the same examination."""
    page = site.open(f"/people/{places['person']}", site.cast.admin)

    page.click(".menu:not(#activity) summary")
    assert [] == Axe().run(page, options=AXE).response["violations"]
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    assert [] == Axe().run(page, options=AXE).response["violations"]
    page.keyboard.press("Escape")
    page.click("a[href$='/delete']")
    page.wait_for_selector("#asking[open]")
    assert [] == Axe().run(page, options=AXE).response["violations"]


@pytest.mark.parametrize("path", ["/", "/people", "/audit", "/health", "/login"])
def test_a_page_is_light(site: Site, path: str) -> None:
    """A page weighs less than 150 kB before pictures, nothing packed, and its style under 30 kB."""
    page = site.open("/login")
    sizes: dict[str, int] = {}
    page.on("response", lambda got: sizes.update({got.url: len(got.body())}))
    if path != "/login":
        page.context.add_cookies(
            [
                {"name": one.name, "value": str(one.value), "url": site.url}
                for one in site.cast.admin.cookies.jar
            ]
        )
    page.goto(path, wait_until="networkidle")

    assert 3 < len(sizes)
    assert sum(sizes.values()) < MOST_PAGE_BYTES
    assert sum(size for url, size in sizes.items() if url.endswith(".css")) < MOST_STYLE_BYTES


def test_all_style_sheets_together_are_small() -> None:
    """No page can load more than 30 kB of style, whatever it is about."""
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.css")) < MOST_STYLE_BYTES


def test_what_browsers_keep_is_sent_once(site: Site) -> None:
    """Static files have their content's digest in the address, are kept for good, and packed."""
    page = site.cast.admin.get(f"{site.url}/", headers={"Accept": "text/html"}).text
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))

    assert len(addresses) >= 3
    for address in addresses:
        answer = site.cast.nobody.get(site.url + address)
        assert 200 == answer.status_code
        assert "immutable" in answer.headers["Cache-Control"]
    style = next(one for one in addresses if one.endswith(".css"))
    assert "gzip" == site.cast.nobody.get(site.url + style).headers["Content-Encoding"]
    plain = site.cast.nobody.get(site.url + style, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    other = site.cast.nobody.get(site.url + re.sub(r"/static/\w+/", "/static/old/", style))
    assert "no-cache" == other.headers["Cache-Control"]
    assert 404 == site.cast.nobody.get(f"{site.url}/static/old/../../app.py").status_code


def test_a_page_runs_no_script_of_others(site: Site) -> None:
    """Even text that got into a page unescaped could do nothing: scripts come from files alone."""
    page = site.open("/login")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = true";
            document.body.append(script);
        }"""
    )
    policy = site.cast.nobody.get(f"{site.url}/login").headers["Content-Security-Policy"]

    assert page.evaluate("window.broken") is None
    assert "unsafe" not in policy
    assert site.watch.faults, "the browser said nothing of the script that it refused"
    site.watch.faults.clear()


def test_colours_are_remembered_without_a_flash(site: Site) -> None:
    """Whoever chooses dark gets dark pages from the server, not light ones that turn dark."""
    page = site.open("/login")
    page.click("button[value=dark]")

    assert "dark" == page.evaluate("document.documentElement.dataset.theme")
    page.reload()
    answer = page.request.get(f"{site.url}/login").text()
    assert 'data-theme="dark"' in answer
    background = "getComputedStyle(document.body).backgroundColor"
    assert "rgb(18, 21, 24)" == page.evaluate(background)
