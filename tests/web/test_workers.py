"""The pages of workers: what each does, live, and how one joins, drains and is removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from grange.accounts.secret import new_secret
from grange.client.schemas.workers import Beat, Capacity, Facts, TaskNow
from grange.client.workers import Me, join
from grange.server.web.texts import texts
from tests.server import scene
from tests.server.scene import Serving
from tests.web.conftest import NARROW, WIDE, Site
from tests.web.test_looks import AXE

# Nobody listens there: the pages say so, and work all the same.
ENGINE = {
    "GRANGE_ENGINE": "amqp://drive:secret@127.0.0.1:1/",
    "GRANGE_WORKERS_ENGINE": "amqp://all:shared@127.0.0.1:1/",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share a server with an engine for workers."""
    with scene.serving(tmp_path_factory.mktemp("web") / "home", **ENGINE) as server:
        yield server


@pytest.fixture
def crew(site: Site) -> Iterator[dict[str, Me]]:
    """Give three workers, one at work; they are gone after the test."""
    found = {name: _worker(site.cast.admin, name) for name in ("rack-1", "rack-2", "attic")}
    found["rack-1"].beat(_beat(3))
    yield found
    for worker in site.cast.admin.get("/workers").json()["items"]:
        site.cast.admin.delete(f"/workers/{worker['id']}")
    for me in found.values():
        me.close()


def test_an_empty_page_shows_the_two_commands(site: Site) -> None:
    """Who has no workers yet is told what to type where; an administrator gets a button too."""
    page = site.open("/workers", site.cast.admin)
    words = page.inner_text("#workers")

    assert "grange workers token --expires 15m" in words
    assert f"grange worker '{site.url}#" in words
    assert page.locator("main a[href='/workers/add']").count()
    member = site.open("/workers", site.cast.member)
    assert not member.locator("main a[href='/workers/add']").count()


def test_the_pages_can_be_used_by_everyone(site: Site, crew: dict[str, Me]) -> None:
    """No fault of WCAG A or AA, light and dark, wide and narrow, and nothing sticks out."""
    faults = []
    for path in ("/workers", "/workers/rack-1", "/workers/add"):
        page = site.open(path, site.cast.admin)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for colours in ("light", "dark"):
                page.emulate_media(color_scheme=colours)
                seen = Axe().run(page, options=AXE).response["violations"]
                faults += [f"{path} {size['width']} {colours}: {one['id']}" for one in seen]
            if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                faults.append(f"{path} {size['width']}: wider than the window")

    assert [] == faults


def test_what_workers_do_is_seen_without_a_reload(site: Site, crew: dict[str, Me]) -> None:
    """Slots and state change in their rows within seconds; what is chosen stays chosen."""
    page = site.open("/workers", site.cast.admin)
    row = page.locator("tr", has_text="rack-1")
    expect(row).to_contain_text("3/4")
    row.locator("input").check()
    crew["rack-1"].beat(_beat(1))
    crew["rack-2"].beat(_beat(0, engine_up=False))

    expect(row).to_contain_text("1/4")
    expect(page.locator("tr", has_text="rack-2")).to_contain_text(
        texts()("workers.standing.cut_off")
    )
    expect(row.locator("input")).to_be_checked()
    expect(page.locator(".selection")).to_be_visible()


def test_one_worker_is_live_too(site: Site, crew: dict[str, Me]) -> None:
    """Its page tells what it is at, and in words what its state means."""
    page = site.open("/workers/rack-1", site.cast.admin)
    expect(page.locator("#workers li")).to_have_count(3)
    crew["rack-1"].beat(_beat(0, leaving=True))

    expect(page.locator("#workers li")).to_have_count(0)
    expect(page.locator("#standing")).to_contain_text(texts()("workers.standing.left"))
    expect(page.locator("#means")).to_contain_text("stopped")


def test_the_page_of_a_worker_that_was_removed_leads_back(site: Site, crew: dict[str, Me]) -> None:
    """Whoever looks at it when somebody else removes it sees the others, and no broken page."""
    page = site.open("/workers/attic", site.cast.member)
    assert 204 == site.cast.admin.delete("/workers/attic").status_code

    page.wait_for_url("**/workers")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_the_list_goes_by_keyboard(site: Site, crew: dict[str, Me]) -> None:
    """`j` moves, `x` selects, and Enter opens, while rows are put in place."""
    page = site.open("/workers", site.cast.admin)
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator(".selection [data-count]")).to_have_text("1")
    crew["rack-1"].beat(_beat(2))
    expect(page.locator("tr", has_text="rack-1")).to_contain_text("2/4")
    page.keyboard.press("Enter")

    page.wait_for_url("**/workers/*")
    assert "rack-1" == page.inner_text("h1").split()[0]


def test_the_filter_stands_in_the_address(site: Site, crew: dict[str, Me]) -> None:
    """A filtered list can be shared; when nothing fits, it says how to get out."""
    page = site.open("/workers?q=rack&state=working", site.cast.admin)
    assert ["rack-1"] == page.locator("tbody th a").all_inner_texts()
    page.select_option("select[name=state]", "idle")
    expect(page.locator("tbody th a")).to_have_text("rack-2")
    assert "rack" == page.input_value("#filter input")
    page.goto("/workers?q=nobody")
    page.click(".empty a")

    expect(page.locator("tbody tr")).to_have_count(3)


def test_several_drain_and_are_removed(site: Site, crew: dict[str, Me]) -> None:
    """What is lost is named before it is done."""
    page = site.open("/workers", site.cast.admin)
    _choose(page, "rack-1", "rack-2")
    page.click("button[value=drain]")
    page.wait_for_selector(".notice.good")
    assert {"draining"} == {_state(site.cast.admin, name) for name in ("rack-1", "rack-2")}
    _choose(page, "rack-1", "attic")
    page.click("button[value=remove]")
    assert "3 tasks" in page.inner_text("main")
    page.click("main button.danger")
    page.wait_for_selector(".notice.good")

    assert ["rack-2"] == [one["name"] for one in site.cast.admin.get("/workers").json()["items"]]


def test_one_drains_is_renamed_and_removed(site: Site, crew: dict[str, Me]) -> None:
    """Each by a button of its page; a name that is taken is said beside the field."""
    page = site.open("/workers/rack-1", site.cast.admin)
    page.click(".head .actions button")
    page.wait_for_selector(".notice.good")
    assert "draining" == _state(site.cast.admin, "rack-1")
    page.fill("#name", "attic")
    page.click("main form:has(#name) button")
    assert page.locator(".field:has(#name) .mistake").is_visible()
    page.fill("#name", "<b>cellar</b>")
    page.click("main form:has(#name) button")
    page.wait_for_selector(".notice.good")
    assert "<b>cellar</b>" in page.inner_text("h1")
    page.click("a[href$='/remove']")
    page.click("#asking button.danger")
    page.wait_for_url("**/workers?done=*")

    assert 404 == site.cast.admin.get("/workers/cellar").status_code


def test_a_line_is_shown_once(site: Site) -> None:
    """The page gives a line that lets a machine join; a reload makes no second one."""
    page = site.open("/workers/add", site.cast.admin)
    page.fill("#labels", "Not A Label!")
    page.click("main button.primary")
    assert page.locator(".field:has(#labels) .mistake").is_visible()
    page.fill("#labels", "gpu, big")
    page.click("main button.primary")
    line = page.input_value("#secret").removeprefix("grange worker '").removesuffix("'")
    joined = join(line, Facts(name="pasted"), secret=new_secret()).joined
    page.reload()

    assert ["big", "gpu"] == joined.labels
    assert not page.locator("#secret").count()
    assert 204 == site.cast.admin.delete(f"/workers/{joined.worker}").status_code


def test_members_look_and_viewers_do_not(site: Site, crew: dict[str, Me]) -> None:
    """A member sees who works, without a button; a viewer finds no such page."""
    page = site.open("/workers", site.cast.member)
    expect(page.locator("tbody tr")).to_have_count(3)
    assert not page.locator("main .pick, main a.primary").count()
    page.goto("/workers/rack-1")
    assert not page.locator("main form").count()
    viewer = site.open("/", site.cast.viewer)

    assert not viewer.locator(".nav a[href='/workers']").count()
    viewer.goto("/workers")
    assert "Viewers" in viewer.inner_text("main")


def _worker(admin: httpx.Client, name: str) -> Me:
    line = admin.post("/workers/tokens", json={}).json()["line"]
    facts = Facts(name=name, capacity=Capacity(slots=4, cores=4), version="0.1.0")
    member = join(line, facts, secret=new_secret())
    return Me(member.server, member.key)


def _beat(busy: int, **more: Any) -> Beat:
    tasks = [TaskNow(run="0" * 10, task=one, seconds=2.0, progress=0.5) for one in range(busy)]
    return Beat(busy=busy, tasks=tasks, cpu=0.5, memory_bytes=8, memory_used_bytes=4, **more)


def _choose(page: Page, *names: str) -> None:
    page.goto("/workers")
    for name in names:
        page.locator("tr", has_text=name).locator("input").check()


def _state(admin: httpx.Client, name: str) -> str:
    found: str = admin.get(f"/workers/{name}").json()["state"]
    return found
