"""What is going on, at the top of every page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.server import scene
from tests.server.scene import Serving
from tests.web import runs
from tests.web.conftest import NARROW, Site
from tests.web.test_looks import AXE


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with inputs that the server sees."""
    return runs.fill(tmp_path_factory.mktemp("share") / "in", good=2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, share: Path) -> Iterator[Serving]:
    """Give a server that sees the folder."""
    home = tmp_path_factory.mktemp("web") / "home"
    with scene.serving(home, "--shares", str(share.parent), GRANGE_RETRIES="0") as server:
        yield server


def test_runs_at_work_stand_at_the_top_of_every_page(site: Site, share: Path) -> None:
    """They come, move and end without a reload, reached by keyboard and told to screen readers."""
    page = site.open("/audit", site.cast.admin)
    summary = page.locator("#activity summary")
    assert "What is going on: 0 things" == summary.get_attribute("aria-label")
    go = share.parent / "go"

    run = runs.submit(
        site.cast.admin,
        share,
        f"until [ -e {go} ]; do sleep 0.1; done; cp {{input}} {{output}}/",
        name="Night videos",
    )
    page.wait_for_selector("#activity summary[aria-label='What is going on: 1 thing']")
    assert "1" == page.inner_text("#activity [data-count]")
    summary.focus()
    page.keyboard.press("Enter")
    row = page.wait_for_selector("#activity li:has-text('of 2 items')")
    assert row is not None
    assert "Night videos" in row.inner_text()
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        assert [] == Axe().run(page, options=AXE).response["violations"]
    page.keyboard.press("Tab")
    assert f"/runs/{run}" == page.evaluate("document.activeElement.getAttribute('href')")
    go.touch()
    page.wait_for_selector("#activity li:has-text('Done')")

    # The row is the same one: who was on it still is.
    assert f"/runs/{run}" == page.evaluate("document.activeElement.getAttribute('href')")
    page.wait_for_selector("#activity summary[aria-label='What is going on: 0 things']")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('#activity summary')")
    assert page.locator("#activity [data-count]").is_hidden()


def test_others_runs_are_not_shown(site: Site, share: Path) -> None:
    """Whoever may not see a run does not learn here that there is one."""
    page = site.open("/me", site.cast.viewer)
    go = share.parent / "gone"
    line = f"until [ -e {go} ]; do sleep 0.1; done; cp {{input}} {{output}}/"
    own = site.open("/me", site.cast.admin)

    runs.submit(site.cast.admin, share, line, name="Secret")
    own.wait_for_selector("#activity summary[aria-label='What is going on: 1 thing']")

    assert "What is going on: 0 things" == page.get_attribute("#activity summary", "aria-label")
    go.touch()


def test_files_on_their_way_are_told_to_all_tabs(site: Site) -> None:
    """A tab that sends files says so in the others of the same browser, until it is done."""
    sender = site.open("/runs", site.cast.member)
    other = sender.context.new_page()
    other.goto("/me")
    other.click("#activity summary")
    tell = """([going, sent]) => document.dispatchEvent(new CustomEvent("grange:sending", {
        detail: { going, files: 3, sent, size: 4_000_000 } }))"""

    sender.evaluate(tell, [True, 1_000_000])
    other.wait_for_selector("#activity li:has-text('Sending 3 files')")
    assert "1.0 MB of 4.0 MB" in other.inner_text("#activity li")
    sender.evaluate(tell, [False, 4_000_000])

    other.wait_for_selector("#activity li", state="detached")
    assert "Nothing runs" in other.inner_text("#activity")


def test_a_page_has_one_stream_for_everything(site: Site, share: Path) -> None:
    """A run's page and the list at the top share what the server tells."""
    go = share.parent / "stop"
    line = f"until [ -e {go} ]; do sleep 0.1; done; cp {{input}} {{output}}/"
    run = runs.submit(site.cast.admin, share, line, name="Followed")
    page = site.open("/me", site.cast.admin)
    page.goto(f"/runs/{run}")
    page.wait_for_selector("#activity summary[aria-label='What is going on: 1 thing']")

    ended = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((one) => one.name.includes("/events?")).length"""
    )
    assert ended <= 1
    go.touch()
    page.wait_for_selector("#state:has-text('Done')")
    page.wait_for_selector("#activity summary[aria-label='What is going on: 0 things']")


def test_the_list_fits_a_phone(site: Site) -> None:
    """What opens stays within the window."""
    page = site.open("/", site.cast.admin, size=NARROW)
    page.click("#activity summary")

    box = page.locator("#activity .sheet").bounding_box()

    assert box is not None
    assert 0 <= box["x"]
    assert box["x"] + box["width"] <= NARROW["width"]
