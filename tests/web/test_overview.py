"""The first page, as work comes and goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.server import scene
from tests.server.scene import Serving
from tests.web.conftest import NARROW, Site
from tests.web.test_looks import AXE

if TYPE_CHECKING:
    import httpx

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give a server that sees a folder with two files."""
    share = tmp_path_factory.mktemp("share")
    (share / "good.txt").write_text("good")
    (share / "bad.txt").write_text("bad")
    home = tmp_path_factory.mktemp("web") / "home"
    with scene.serving(home, "--shares", str(share), GRANGE_RETRIES="0") as server:
        yield server


def _run(admin: httpx.Client, share: Path, name: str, line: str) -> str:
    body = {
        "pipeline": "command",
        "inputs": [{"share": str(share)}],
        "params": {"shell": line},
        "name": name,
    }
    made = admin.post("/runs", json=body)
    assert 201 == made.status_code, made.text
    run: str = made.json()["id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while admin.get(f"/runs/{run}").json()["state"] not in {"done", "failed"}:
        assert time.monotonic() < deadline, "the run does not end"
        time.sleep(0.05)
    return run


def test_the_overview_shows_what_ended(site: Site) -> None:
    """Failures stand apart from what went well, and each leads to its run."""
    page = site.open("/", site.cast.admin)
    assert "Welcome" in page.inner_text("h1")
    share = Path(site.cast.admin.get("/shares").json()["items"][0]["path"])
    good = _run(site.cast.admin, share, "All good", "cp {input} {output}/")
    bad = _run(site.cast.admin, share, "Half bad", "grep good {input}")

    page.goto("/")
    assert page.locator(f"section:has-text('finished lately') a[href='/runs/{good}']").is_visible()
    assert page.locator(f"section:has-text('failed lately') a[href='/runs/{bad}']").is_visible()
    assert "1 of 2 failed" in page.inner_text("section:has-text('failed lately')")
    assert "Last hour: 4 items ended" == page.get_attribute("svg.chart", "aria-label")
    for size in (page.viewport_size, NARROW):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            assert [] == Axe().run(page, options=AXE).response["violations"]


def test_the_overview_is_live(site: Site) -> None:
    """A run comes, goes on and ends before one's eyes, by the page's one stream of events alone."""
    page = site.open("/", site.cast.admin)
    page.wait_for_selector("html[data-live=on]", state="attached")
    streams: list[str] = []
    page.on("request", lambda one: streams.append(one.url) if "/events?" in one.url else None)
    page.reload()
    share = Path(site.cast.admin.get("/shares").json()["items"][0]["path"])

    line = f"until [ -e {share.parent}/go ]; do sleep 0.1; done; cp {{input}} {{output}}/seen.png"
    body = {
        "pipeline": "command",
        "inputs": [{"share": str(share / "good.txt")}],
        "params": {"shell": line},
        "name": "Comes and goes",
    }
    run = site.cast.admin.post("/runs", json=body).json()["id"]
    page.wait_for_selector(f"section:has-text('What goes on') #now-{run}")
    assert "Ada" in page.inner_text("section:has-text('Who holds it')")
    (share.parent / "go").touch()
    page.wait_for_selector(f"section:has-text('finished lately') a[href='/runs/{run}']")

    picture = page.wait_for_selector(f"img[src^='/api/v1/runs/{run}/outputs/'][src$='inline=true']")
    assert picture is not None
    assert (picture.get_attribute("alt") or "").endswith("seen.png")
    assert 1 == len(streams)


def test_a_viewer_sees_only_what_is_shared(site: Site) -> None:
    """The runs of others are neither on the overview nor found."""
    page = site.open("/", site.cast.viewer)

    assert "Nothing is shared with you yet." in page.inner_text("main")
    page.goto("/search?q=good")
    assert "Nothing was found." in page.inner_text("main")
