"""The review's page on the disk, opened from there in a real browser: no server, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from grange.pipelines.wildlife.looking.review import Entry, write_review
from tests.pipelines.wildlife.looking import scene
from tests.web import looks
from tests.web.conftest import NARROW, PATIENCE_MILLISECONDS, WIDE, Watch
from tests.web.test_looks import AXE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CARDS = ".look-grid a"
MANY = 10_000
# It would read the style sheets once more by itself, which the page's policy refuses.
DISK_AXE = {**AXE, "preload": False}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the page of a run with items of all kinds, in a folder of an odd name."""
    return scene.write_run(tmp_path_factory.mktemp("out") / "50% & #1 ?", looks.SAMPLES)


@pytest.fixture
def disk(chromium: Browser) -> Iterator[Page]:
    """Give a page of a browser that has no network; whatever goes wrong in it fails the test."""
    context = chromium.new_context(viewport=WIDE, reduced_motion="reduce", offline=True)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    watch = Watch("nowhere")
    watch.over(page)
    yield page
    context.close()

    assert [] == watch.faults


def test_the_page_opens_from_the_disk(disk: Page, written: Path) -> None:
    """All items are there, with their pictures, counts and the models that found them."""
    disk.goto(written.as_uri())
    expect(disk.locator(CARDS)).to_have_count(10)

    expect(disk.locator("h1")).to_have_text("Spring 2026")
    expect(disk.locator("#models")).to_contain_text("sample-detector, sample-classifier")
    expect(disk.locator(".look-kinds")).to_contain_text("Animals 7")
    picture = disk.get_by_role("link", name="deer.mp4").locator("img").element_handle()
    disk.wait_for_function("one => one.naturalWidth === 320", arg=picture)
    assert "Spring 2026 · Review" == disk.title()


def test_items_are_filtered_and_sorted_on_the_disk(disk: Page, written: Path) -> None:
    """The same as on the server; the choice stands in the address and holds after a reload."""
    disk.goto(written.as_uri())
    disk.locator(".look-kinds").get_by_role("button", name="Animals").click()
    disk.get_by_label("Sort by").select_option("unsure")
    expect(disk.locator(CARDS).first).to_contain_text("boar")
    disk.reload()
    expect(disk.locator(CARDS)).to_have_count(7)
    expect(disk.locator(CARDS).first).to_contain_text("boar")
    disk.get_by_label("At least this sure").fill("0.9")

    expect(disk.locator(CARDS)).to_have_count(1)
    expect(disk.locator(CARDS)).to_contain_text("deer 95 %")


def test_a_video_plays_from_the_disk(disk: Page, written: Path) -> None:
    """With its poses beside it, its tracks below, and its plots."""
    disk.goto(written.as_uri())
    disk.get_by_role("link", name="deer.mp4").first.click()
    dialog = disk.locator(".look-item")
    expect(dialog.locator(".look-lanes li")).to_have_count(4)
    disk.keyboard.press(" ")
    disk.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
    expect(dialog.locator(".look-readout")).not_to_contain_text("Frame 0 ")
    plot = dialog.get_by_role("img", name="Where each body part went")
    plot.scroll_into_view_if_needed()
    disk.wait_for_function("one => one.naturalWidth === 720", arg=plot.element_handle())

    expect(dialog).to_contain_text("Animals: 95 % at best, 30 detections, 2 tracks")
    expect(dialog).to_contain_text("15 of 75 frames")


@pytest.mark.parametrize("name", scene.ODD_NAMES)
def test_odd_names_are_found_on_the_disk(disk: Page, written: Path, name: str) -> None:
    """Whatever a folder is called, what is in it is seen."""
    disk.goto(written.as_uri())
    disk.get_by_role("link", name=name.rpartition("/")[2]).first.click()
    disk.wait_for_function("() => document.querySelector('.look-item video')?.duration > 0.5")

    expect(disk.locator(".look-lanes li")).to_have_count(3)
    expect(disk.locator("#look-item-title")).to_have_text(name.rpartition("/")[2].strip())


def test_the_page_on_the_disk_can_be_used_by_everyone(disk: Page, written: Path) -> None:
    """No fault of WCAG A or AA, with and without an open item, in both colours and widths."""
    found = []
    for rest in ("", "#item=0"):
        disk.goto("about:blank")
        disk.goto(written.as_uri() + rest)
        expect(disk.locator(CARDS).first).to_be_attached()
        if "item" in rest:
            expect(disk.locator(".look-lanes li")).to_have_count(4)
        for size in (WIDE, NARROW):
            disk.set_viewport_size(size)  # type: ignore[arg-type]
            for colours in ("light", "dark"):
                disk.emulate_media(color_scheme=colours)
                found += [
                    f"{rest} {size['width']} {colours}: {one['id']}"
                    f" {[at['target'] for at in one['nodes']]}"
                    for one in Axe().run(disk, options=DISK_AXE).response["violations"]
                ]
            if disk.evaluate("document.documentElement.scrollWidth") > size["width"]:
                found.append(f"{rest} {size['width']}: the page is wider than the window")

    assert [] == found


def test_ten_thousand_items_stay_quick(disk: Page, written: Path, tmp_path: Path) -> None:
    """They are there in seconds, and a choice among them takes a fraction of one."""
    sample = looks.SAMPLES[0]
    results = scene.results_of(sample)
    record = scene.record_of(sample, results)
    one = Entry(path="", folder="", result=record)
    entries = (
        replace(one, path=f"camera {number % 50}/clip {number}.mp4", folder=f"{number}")
        for number in range(MANY)
    )
    missing = tmp_path / "report"
    missing.mkdir()
    write_review(missing, entries, scene.replace_media())
    disk.goto((missing / "review.html").as_uri())
    expect(disk.locator(".total")).to_have_text("10,000 items", timeout=30_000)
    milliseconds = disk.evaluate(
        """() => {
            const field = document.querySelector("input[type=search]");
            const began = performance.now();
            field.value = "clip 99";
            field.dispatchEvent(new Event("input"));
            document.body.offsetHeight;
            return performance.now() - began;
        }"""
    )

    expect(disk.locator(".total")).to_have_text("111 items")
    assert milliseconds < 1000
    assert disk.locator(CARDS).count() < 200


def test_a_printed_review_has_its_pictures(disk: Page, written: Path) -> None:
    """On paper there are the items, and no buttons."""
    disk.goto(written.as_uri())
    expect(disk.locator(CARDS)).to_have_count(10)
    disk.emulate_media(media="print")

    expect(disk.get_by_placeholder("Part of a name")).to_be_hidden()
    expect(disk.get_by_role("link", name="deer.mp4")).to_be_visible()
    assert len(disk.pdf()) > 10_000
