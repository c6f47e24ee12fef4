"""What a run's page says of slow and failing inputs while the run goes on."""

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

# One input takes long, one takes for ever, and one fails.
WORK = (
    "case {name} in slow*) sleep 2.5;; stuck*) sleep 600;; "
    'wrong*) echo "no header" >&2; exit 3;; esac'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give a server whose retries wait for minutes, and whose longest input comes last."""
    share = tmp_path_factory.mktemp("share")
    runs.fill(share, good=9)
    for name, length in (("wrong.txt", 9000), ("slow.txt", 8000), ("stuck.txt", 1)):
        (share / name).write_text("x" * length)
    home = tmp_path_factory.mktemp("watched") / "home"
    with scene.serving(
        home, "--shares", str(share), GRANGE_RETRIES="3", GRANGE_RETRY_DELAY_SECONDS="240"
    ) as server:
        yield server


def test_a_run_tells_what_is_slow_and_what_fails(site: Site) -> None:
    """Each with its words, its reason and a way to it, by itself as the run goes on."""
    share = Path(site.cast.admin.get("/shares").json()["items"][0]["path"])
    run = runs.submit(site.cast.admin, share, WORK, retries=3)
    page = site.open(f"/runs/{run}", site.cast.admin)

    # Nobody loads the page again.
    slow = page.locator("#troubles li:has-text('slow.txt')")
    slow.wait_for(timeout=60_000)
    wrong = page.locator("#troubles li:has-text('wrong.txt')")
    stuck = page.locator("#troubles li:has-text('stuck.txt')")
    stuck.wait_for(timeout=60_000)

    assert "took" in slow.inner_text()
    assert "failed once" in wrong.inner_text()
    assert "tried again in" in wrong.inner_text()
    assert "exit code 3" in wrong.inner_text()
    assert "at it for" in stuck.inner_text()
    assert 3 == page.locator("#troubles li").count()
    for size in (page.viewport_size, NARROW):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert [] == Axe().run(page, options=AXE).response["violations"]
    wrong.locator("a").click()
    page.wait_for_url("**/items/*")
    site.cast.admin.post(f"/runs/{run}/cancel")
    runs.ended(site.cast.admin, run)


def test_the_overview_tells_what_is_at_work(site: Site) -> None:
    """How many workers are busy, how fast items end and how many are left."""
    share = Path(site.cast.admin.get("/shares").json()["items"][0]["path"])
    run = runs.submit(site.cast.admin, share, "sleep 600", name="long")
    runs.reached(site.cast.admin, run, lambda found: found["state"] == "running")
    page = site.open("/", site.cast.admin)
    busy = page.locator("dl.numbers > div:has(dt:text-is('Workers')) dd:has-text('1 of 1')")

    # What drives runs tells its numbers every two seconds.
    for _ in range(60):
        if busy.count():
            break
        page.reload()
    assert "100 % at work" in busy.inner_text()
    assert "12 left" in page.inner_text("dl.numbers > div:has(dt:text-is('Items a minute')) dd")
    assert [] == Axe().run(page, options=AXE).response["violations"]
    site.cast.admin.post(f"/runs/{run}/cancel")
