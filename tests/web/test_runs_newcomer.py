"""A newcomer's way through the pages, and what a browser sends, under faults too."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.server import scene
from tests.web import runs
from tests.web.conftest import Site, browsing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FileChooser

LATER_MILLISECONDS = 60_000
# The server's own fault while it is down; everything else is the page's.
DOWN = re.compile("ERR_CONNECTION|Failed to fetch|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|tus")


class Restarting:
    """A server that can be killed and started again over the same home, at the same address."""

    def __init__(self, home: Path) -> None:
        """Start it."""
        self.home = home
        self.server = self._launch(0)

    def again(self) -> None:
        """Start it where it was."""
        assert self.server.process.stdout is not None
        self.server.process.stdout.close()
        self.server = self._launch(self.server.port)

    def _launch(self, port: int) -> scene.Serving:
        flags = ("--port", str(port))
        return scene.launch(self.home, *flags, GRANGE_WORKERS="2", GRANGE_RETRIES="0")


@pytest.fixture
def restarting(tmp_path: Path) -> Iterator[Restarting]:
    """Give a server of this test's own."""
    found = Restarting(tmp_path / "home")
    yield found
    scene.end(found.server)


@pytest.fixture
def alone(restarting: Restarting, chromium: Browser) -> Iterator[Site]:
    """Give that server with its people, and a browser."""
    cast = scene.cast(restarting.server)
    with browsing(restarting.server, cast, chromium) as site:
        yield site
        site.watch.faults[:] = [one for one in site.watch.faults if not DOWN.search(one)]
    cast.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder to be sent, with folders in it."""
    found = runs.fill(tmp_path / "night videos", good=4, bad=1)
    runs.fill(found / "second card", good=2)
    (found / ".DS_Store").write_text("litter")
    return found


def _fill_in(page: Page, shell: str = runs.SOMETIMES, name: str = "First run") -> None:
    page.fill("#p-shell", shell)
    page.fill("#name", name)


def _drop(page: Page, path: Path) -> None:
    """Drop a file or folder of this machine onto the page, as the system does it."""
    box = page.locator("#drop").bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 12}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def test_a_newcomer_gets_from_the_set_up_link_to_results(
    tmp_path: Path, folder: Path, chromium: Browser
) -> None:
    """Set-up, a dropped folder, a live run, a failure and its log, results, a retry; no docs."""
    with scene.serving(tmp_path / "new", GRANGE_WORKERS="2", GRANGE_RETRIES="0") as server:
        nobody = server.client()
        cast = scene.Cast(nobody, nobody, nobody, nobody, nobody)
        with browsing(server, cast, chromium) as site:
            page = site.open(server.setup or "")
            page.fill("#email", scene.email("ada"))
            page.fill("#name", "Ada")
            page.fill("#password", scene.PASSWORD)
            page.locator("main form button").last.click()
            page.get_by_role("link", name="Runs", exact=True).click()
            page.get_by_role("link", name="Start your first run").click()
            page.get_by_role("link", name="command").click()
            _drop(page, folder)
            expect(page.locator("#total-said")).to_contain_text("All 7 files are on the server")
            _fill_in(page)
            expect(page.locator("#review")).to_contain_text("Run command over 7 files")
            page.get_by_role("button", name="Start run").click()

            page.wait_for_url(re.compile(r"/runs/[0-9a-z]{10}$"))
            expect(page.locator("h1")).to_contain_text("First run")
            expect(page.locator("#state")).to_have_text("Failed", timeout=LATER_MILLISECONDS)
            expect(page.locator("[data-part=progress]")).to_contain_text("7 of 7 items1 failed")
            page.get_by_role("link", name="See the item").click()
            page.get_by_role("link", name="wrong0.txt").click()
            expect(page.locator("ol.log")).to_contain_text("bad header at byte 12")
            page.get_by_role("link", name="Outputs").click()
            with page.expect_download() as download:
                page.get_by_label("Download second card/good1.txt/copy.txt").click()
            assert "good 1\n" == Path(download.value.path()).read_text()
            page.get_by_role("button", name="Retry failed items").click()
            expect(page.get_by_text("The failed items are tried again.")).to_be_visible()
            expect(page.locator("#state")).to_have_text("Failed", timeout=LATER_MILLISECONDS)
        nobody.close()


def test_a_folder_is_chosen_by_keyboard_as_well(alone: Site, folder: Path) -> None:
    """The picker gives the same as a drop: paths within the folder, and no litter."""
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    expect(page.locator("#new-run[data-ready]")).to_be_attached()
    page.bring_to_front()
    choosers: list[FileChooser] = []
    # From here on the browser hands its choosers over; it takes the word a moment to get there.
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108  # it takes no built-in
    page.locator("#pick-folder").focus()
    expect(page.locator("#pick-folder")).to_be_focused()
    deadline = time.monotonic() + LATER_MILLISECONDS / 1000
    while not choosers and time.monotonic() < deadline:
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
    choosers[0].set_files(folder)
    expect(page.locator("#total-said")).to_contain_text("All 7 files are on the server")
    sent = alone.cast.admin.get("/folders").json()["items"][0]
    files = alone.cast.admin.get(f"/folders/{sent['id']}/files").json()["items"]

    assert "night videos" == sent["name"]
    assert {"good0.txt", "second card/good0.txt"} <= {one["path"] for one in files}
    assert 7 == len(files)


def test_an_archive_is_unpacked_on_the_server(alone: Site, tmp_path: Path) -> None:
    """One .zip is as good as the folder that it holds."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "card.zip", "w") as archive:
        archive.writestr("a.txt", "good\n")
        archive.writestr("b/c.txt", "good\n")
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    page.set_input_files("#files-input", tmp_path / "card.zip")
    expect(page.locator("#total-said")).to_contain_text("All 1 files are on the server")
    _fill_in(page)
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-z]{10}$"))

    assert 2 == runs.ended(alone.cast.admin, page.url.rpartition("/")[2])["counts"]["done"]


def test_a_page_goes_on_where_it_was_after_the_server_was_killed(
    alone: Site, restarting: Restarting, tmp_path: Path
) -> None:
    """A lost connection is said at the top and heals itself; no item is missed or counted twice."""
    runs.fill(tmp_path / "in", good=8)
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    page.set_input_files("#folder-input", tmp_path / "in")
    _fill_in(page, "sleep 1.5; cp {input} {output}/")
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-z]{10}$"))
    expect(page.locator("[data-count=done]")).not_to_have_text("0", timeout=LATER_MILLISECONDS)
    restarting.server.kill()
    expect(page.locator("#offline")).to_contain_text("The connection to the server is lost")
    restarting.again()

    expect(page.locator("#offline")).not_to_contain_text("lost", timeout=LATER_MILLISECONDS)
    expect(page.locator("#state")).to_have_text("Done", timeout=LATER_MILLISECONDS)
    expect(page.locator("[data-count=done]")).to_have_text("8")
    expect(page.locator("#cells canvas")).to_have_attribute("aria-label", re.compile("8 Done"))


def test_an_upload_goes_on_after_the_server_was_killed(
    alone: Site, restarting: Restarting, tmp_path: Path
) -> None:
    """What was sent stays sent, the rest follows, and the content is the file's own."""
    content = bytes(range(256)) * (40 << 12)
    (tmp_path / "long.bin").write_bytes(content)
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    session = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 6 << 20})
    page.set_input_files("#files-input", tmp_path / "long.bin")
    expect(page.locator("#total-said")).to_contain_text(re.compile(r"of 1 files, [89]\.|, 1\d\."))
    restarting.server.kill()
    expect(page.locator("#total-said")).to_contain_text("trying again")
    session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    restarting.again()
    expect(page.locator("#total-said")).to_contain_text("All", timeout=LATER_MILLISECONDS)

    # As the browser: its session outlives the server.
    sent = alone.cast.admin.get("/folders").json()["items"][0]
    (file,) = alone.cast.admin.get(f"/folders/{sent['id']}/files").json()["items"]
    assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])


def test_a_closed_tab_loses_nothing_that_was_sent(alone: Site, folder: Path) -> None:
    """Who comes back chooses the folder once more, and only what is missing is sent."""
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    page.set_input_files("#folder-input", folder)
    expect(page.locator("#total-said")).to_contain_text("All 7 files are on the server")
    page.close()
    (folder / "one more.txt").write_text("good\n")
    again = page.context.new_page()
    sent: list[str] = []
    again.on("request", lambda made: sent.append(made.url) if "/uploads" in made.url else None)
    again.goto("/runs/new?pipeline=command")
    expect(again.locator("#earlier")).to_contain_text("night videos")
    again.get_by_role("button", name="Go on with it").click()
    again.set_input_files("#folder-input", folder)
    expect(again.locator("#total-said")).to_contain_text("All 8 files are on the server")

    assert 1 == len(sent)


def test_thousands_of_files_are_sent_without_a_row_for_each(alone: Site, tmp_path: Path) -> None:
    """A page stays quick: a few hundred rows at most, and the rest as a number."""
    runs.fill(tmp_path / "many", good=700)
    page = alone.open("/runs/new?pipeline=command", alone.cast.admin)
    page.set_input_files("#folder-input", tmp_path / "many")
    expect(page.locator("#more-files")).to_have_text("and 500 more files")
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator("#total-said")).to_contain_text("Paused.")
    page.get_by_role("button", name="Go on sending").click()
    expect(page.locator("#total-said")).to_contain_text(
        "All 700 files are on the server", timeout=LATER_MILLISECONDS
    )

    assert 200 == page.locator("#files li").count()
