"""The review of a run, in a real browser over a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request, expect

from tests.pipelines.wildlife.looking import scene as looking
from tests.server import scene
from tests.server.scene import Cast, Serving
from tests.web import looks, runs
from tests.web.conftest import NARROW, WIDE, Site
from tests.web.test_looks import AXE, MOST_PAGE_BYTES, MOST_STYLE_BYTES
from tests.web.test_runs import weight

CARDS = ".look-grid a"


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the server sees."""
    return tmp_path_factory.mktemp("share")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, share: Path) -> Iterator[Serving]:
    """Share one server with a pipeline that has a review of its own."""
    installed = looks.install(tmp_path_factory.mktemp("installed"))
    more = {"GRANGE_WORKERS": "1", "GRANGE_RETRIES": "0", "PYTHONPATH": str(installed)}
    home = tmp_path_factory.mktemp("review") / "home"
    with scene.serving(home, "--shares", str(share), **more) as server:
        yield server


def submit(cast: Cast, prepared: looks.Prepared, **params: object) -> str:
    """Start a run that gives the prepared results."""
    body = {
        "pipeline": looks.NAME,
        "inputs": [{"share": str(prepared.inputs)}],
        "params": {"folder": str(prepared.folder), **params},
        "name": "Spring 2026",
    }
    answer = cast.admin.post("/runs", json=body)
    assert 201 == answer.status_code, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def reviewed(cast: Cast, share: Path) -> str:
    """Give a run that has ended, with items of all kinds and odd names."""
    run = submit(cast, looks.prepare(share / "reviewed"))
    ended = runs.ended(cast.admin, run)
    assert {"total": 10, "done": 9, "failed": 1} == {
        name: ended["counts"][name] for name in ("total", "done", "failed")
    }
    return run


def _open(site: Site, run: str, rest: str = "", **more: object) -> Page:
    page = site.open(f"/runs/{run}/review{rest}", site.cast.admin, **more)  # type: ignore[arg-type]
    expect(page.locator(".look-kinds")).to_be_visible()
    return page


def _names(page: Page) -> list[str]:
    return [one.rpartition("/")[2] for one in page.locator(f"{CARDS} > b").all_inner_texts()]


def test_the_tab_is_there_for_pipelines_that_have_a_review(
    site: Site, reviewed: str, share: Path
) -> None:
    """Whoever brings a review along gets the tab, and nobody else does."""
    page = site.open(f"/runs/{reviewed}", site.cast.admin)
    page.get_by_role("link", name="Review", exact=True).click()
    expect(page.locator(CARDS)).to_have_count(10)
    plain = runs.submit(site.cast.admin, runs.fill(share / "plain", good=1))
    page.goto(f"/runs/{plain}")
    html = {"Accept": "text/html"}

    assert 0 == page.get_by_role("link", name="Review", exact=True).count()
    path = f"{site.url}/runs/{plain}/review"
    assert 404 == site.cast.admin.get(path, headers=html).status_code
    assert 404 == site.cast.other.get(f"{site.url}/runs/{reviewed}/review/records").status_code
    runs.ended(site.cast.admin, plain)


def test_items_are_filtered_by_what_was_found(site: Site, reviewed: str) -> None:
    """Kind, species, folder, name and confidence choose; the choice stands in the address."""
    page = _open(site, reviewed)
    kinds = page.locator(".look-kinds")
    expect(kinds).to_contain_text(re.compile(r"All 10.*Animals 7.*People 1.*Vehicles 1.*Empty 1"))
    kinds.get_by_role("button", name="Failed").click()
    expect(page.locator(CARDS)).to_have_count(1)
    expect(page.locator(CARDS)).to_contain_text("The video has no frame that can be read.")
    kinds.get_by_role("button", name="Animals").click()
    page.get_by_label("Species").select_option("fox")
    expect(page.locator(CARDS)).to_have_count(1)
    assert ["fox and walker.mp4"] == _names(page)
    page.reload()
    expect(page.locator(CARDS)).to_have_count(1)
    page.get_by_label("Species").select_option("")
    page.get_by_label("Camera folder").select_option("ridge")
    expect(page.locator(CARDS)).to_have_count(1)
    assert ["boar.mp4"] == _names(page)
    page.get_by_label("At least this sure").fill("0.5")
    expect(page.get_by_text("No item fits this filter.")).to_be_visible()
    page.get_by_role("button", name="Show all items").click()
    expect(page.locator(CARDS)).to_have_count(10)
    expect(kinds).to_contain_text(re.compile("Animals 6.*Empty 2"))
    page.get_by_placeholder("Part of a name").fill("WALK")

    expect(page.locator(CARDS)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="1 item")).to_be_visible()


def test_items_are_sorted(site: Site, reviewed: str) -> None:
    """By name, by time, by how sure the detector was."""
    page = _open(site, reviewed, "#folder=creek")
    sort = page.get_by_label("Sort by")
    expect(page.locator(CARDS)).to_have_count(2)
    assert ["deer.mp4", "fox and walker.mp4"] == _names(page)
    sort.select_option("unsure")
    assert ["fox and walker.mp4", "deer.mp4"] == _names(page)
    sort.select_option("sure")
    assert ["deer.mp4", "fox and walker.mp4"] == _names(page)
    sort.select_option("newest")

    assert ["fox and walker.mp4", "deer.mp4"] == _names(page)


def test_charts_say_what_they_show(site: Site, reviewed: str) -> None:
    """Confidence and hours are pictures with words."""
    page = _open(site, reviewed)
    expect(page.locator(CARDS)).to_have_count(10)
    charts = page.locator(".look-chart svg")

    expect(charts.nth(0)).to_have_attribute("aria-label", re.compile("8 items at 25 % or more"))
    expect(charts.nth(1)).to_have_attribute("aria-label", re.compile("05:00 1, 22:00 2"))
    expect(page.get_by_text("8 items without a time are left out.")).to_be_visible()
    page.locator(".look-kinds").get_by_role("button", name="People").click()
    expect(charts.nth(1)).to_have_attribute("aria-label", re.compile("taken: 22:00 1."))
    expect(page.locator(".look-legend")).to_have_text("person")


def test_a_video_plays_in_time_with_its_poses(site: Site, reviewed: str) -> None:
    """The video moves, the frame that is told moves with it, a lane leads to its time."""
    page = _open(site, reviewed)
    page.get_by_role("link", name="deer.mp4").first.click()
    dialog = page.locator(".look-item")
    expect(dialog.locator(".look-lanes li")).to_have_count(4)
    expect(dialog).to_contain_text("Track 1 deer")
    readout = dialog.locator(".look-readout")
    expect(readout).to_have_text("Frame 0 · 0:00.00 · 2 × deer")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.9")
    page.keyboard.press(" ")
    expect(readout).not_to_contain_text("Frame 0 ")
    lane = dialog.locator(".look-lanes svg").first
    box = lane.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(readout).to_contain_text("Frame 35 · 0:01.40")
    page.keyboard.press(".")
    expect(readout).to_contain_text("Frame 40 · 0:01.60")
    dialog.get_by_role("button", name="Track 2 deer").click()
    expect(readout).to_contain_text("Frame 0 ")
    stage = dialog.locator("canvas")

    assert 0 < stage.evaluate(
        "one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data"
        ".filter((value, place) => place % 4 === 3 && value).length"
    )
    page.wait_for_function(
        "() => [...document.querySelectorAll('.look-figures img')].length === 4 &&"
        "[...document.querySelectorAll('.look-figures img')].every(one => one.src)"
    )


def test_what_is_less_sure_than_the_run_says_does_not_count(site: Site, reviewed: str) -> None:
    """Until somebody says otherwise: then it counts, in the list and beside the video."""
    page = _open(site, reviewed, "#folder=ridge&kind=person")
    least = page.get_by_label("At least this sure")
    expect(least).to_have_attribute("aria-valuetext", "25 %")
    expect(page.locator(CARDS)).to_have_count(0)
    least.fill("0.08")
    expect(page.locator(CARDS)).to_have_count(1)
    page.locator(CARDS).click()
    dialog = page.locator(".look-item")
    expect(dialog.locator(".look-lanes li")).to_have_count(4)
    expect(dialog).to_contain_text("The video breaks off after 3 s.")
    page.keyboard.press("Escape")
    page.locator(".look-kinds").get_by_role("button", name="All").click()
    least.fill("0.25")
    page.get_by_role("link", name="boar.mp4").click()

    expect(dialog.locator(".look-lanes li")).to_have_count(3)
    expect(dialog).to_contain_text("Track 1 boar")


def test_what_the_stage_shows_is_what_the_video_shows(site: Site, reviewed: str) -> None:
    """At each frame of the video the frame that is told is that of the original."""
    page = _open(site, reviewed)
    page.get_by_role("link", name="fox and walker.mp4").click()
    readout = page.locator(".look-readout")
    expect(readout).to_contain_text("Frame 0 ")
    for frame in (5, 10, 15, 20):
        page.keyboard.press(".")
        expect(readout).to_contain_text(f"Frame {frame} · ")
        seconds = page.evaluate("document.querySelector('video').currentTime")
        assert abs(seconds - frame / 25) < 0.04


def test_the_review_is_led_by_keyboard_alone(site: Site, reviewed: str) -> None:
    """Arrows walk, Enter opens, arrows go on inside, Escape leads back to what was seen."""
    page = _open(site, reviewed, "#folder=creek")
    expect(page.locator(CARDS)).to_have_count(2)
    page.locator(CARDS).first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(CARDS).nth(1)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    title = page.locator("#look-item-title")
    expect(title).to_have_text("deer.mp4")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("fox and walker.mp4")
    page.keyboard.press("Escape")
    expect(page.locator(".look-item")).to_be_hidden()

    expect(page.locator(CARDS).nth(1)).to_be_focused()
    page.go_back()
    expect(page.locator(".look-item")).to_be_hidden()


def test_names_do_no_harm(site: Site, reviewed: str) -> None:
    """Whatever an item is called, its picture is seen, its video plays, and nothing runs."""
    page = _open(site, reviewed, "#sort=sure")
    expect(page.locator(CARDS)).to_have_count(10)
    for name in looking.ODD_NAMES:
        card = page.get_by_role("link", name=name.rpartition("/")[2]).first
        card.scroll_into_view_if_needed()
        picture = card.locator("img").element_handle()
        page.wait_for_function("one => one.naturalWidth === 320", arg=picture)
        card.click()
        page.wait_for_function("() => document.querySelector('.look-item video')?.duration > 0.5")
        expect(page.locator(".look-lanes li")).to_have_count(3)
        page.keyboard.press("Escape")

    assert 0 == page.locator("img[src=x]").count()


def test_items_appear_while_the_run_goes_on(site: Site, share: Path) -> None:
    """Who looks at the review sees items come as they end."""
    prepared = looks.prepare(share / "live", looks.SAMPLES[:3])
    run = submit(site.cast, prepared, turns=True)
    page = _open(site, run)
    expect(page.get_by_text("No item has ended yet.")).to_be_visible()
    for number in (1, 2, 3):
        prepared.let(number)
        expect(page.locator(CARDS)).to_have_count(number, timeout=30_000)

    expect(page.locator(".look-kinds")).to_contain_text("Animals 3")
    runs.ended(site.cast.admin, run)


@pytest.mark.parametrize("rest", ["", "#kind=failed", "#text=nothing+is+called+so", "#item={item}"])
def test_the_review_can_be_used_by_everyone(site: Site, reviewed: str, rest: str) -> None:
    """No fault of WCAG A or AA, light and dark, wide and narrow; nothing runs off the side."""
    items = site.cast.admin.get(f"/runs/{reviewed}/items?q=deer.mp4").json()["items"]
    page = _open(site, reviewed, rest.format(item=items[0]["id"]))
    if "item" in rest:
        expect(page.locator(".look-lanes li")).to_have_count(4)
    found = []
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            found += [
                f"{size['width']} {colours}: {one['id']} {[at['target'] for at in one['nodes']]}"
                for one in Axe().run(page, options=AXE).response["violations"]
            ]
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            found.append(f"{size['width']}: the page is wider than the window")

    assert [] == found


def test_the_review_is_light(site: Site, reviewed: str) -> None:
    """It weighs less than 150 kB before pictures and records, and its style under 30 kB."""
    page = site.open("/me", site.cast.admin)
    # What the page before still asks for is none of this one's.
    page.goto("about:blank")
    made: list[Request] = []
    page.on("requestfinished", lambda one: made.append(one))  # noqa: PLW0108  # it marks what it is given
    with page.expect_request_finished(lambda one: "/pipelines/looks/review.js" in one.url):
        page.goto(f"/runs/{reviewed}/review#kind=failed")
    expect(page.locator(CARDS)).to_have_count(1)
    loaded = {one.url: weight(one) for one in made if "/outputs/" not in one.url}

    assert sum(loaded.values()) < MOST_PAGE_BYTES
    assert sum(size for url, size in loaded.items() if url.endswith(".css")) < MOST_STYLE_BYTES


def test_files_of_a_review_are_kept_and_lead_nowhere_else(site: Site, reviewed: str) -> None:
    """They have their content's digest in the address; no other file of the package is served."""
    page = site.cast.admin.get(
        f"{site.url}/runs/{reviewed}/review", headers={"Accept": "text/html"}
    ).text
    addresses = re.findall(r'(?:src|href)="(/static/\w+/pipelines/looks/[^"]+)"', page)

    assert len(addresses) >= 4
    for address in addresses:
        answer = site.cast.nobody.get(site.url + address)
        assert (200, True) == (answer.status_code, "immutable" in answer.headers["Cache-Control"])
    base = addresses[0].rpartition("/")[0]
    for wrong in (f"{base}/..%2freview.py", "/static/old/pipelines/nothing/review.js"):
        assert 404 == site.cast.nobody.get(site.url + wrong).status_code
    for name in ("command", "%2ftmp%2fx.py"):
        address = f"{site.url}/static/old/pipelines/{name}/review.js"
        assert 404 == site.cast.nobody.get(address).status_code


def test_a_labelled_video_is_shown_in_place_and_piece_by_piece(site: Site, reviewed: str) -> None:
    """Browsers get what they show as what it is, any range of it, and nothing that runs."""
    for name, kind in (("labelled.mp4", "video/mp4"), ("thumb.jpg", "image/jpeg")):
        path = f"/runs/{reviewed}/outputs/creek/deer.mp4/{name}?inline=true"
        answer = site.cast.admin.get(path, headers={"Range": "bytes=100-199"})
        assert (206, kind, 100) == (
            answer.status_code,
            answer.headers["Content-Type"],
            len(answer.content),
        )
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]


def test_the_old_address_of_plots_shows_them(site: Site, reviewed: str) -> None:
    """All four, the trajectory first, as large as there is room."""
    page = site.open("/plot/deer", site.cast.admin)
    pictures = page.locator("main img")
    expect(pictures).to_have_count(4)

    assert (pictures.first.get_attribute("src") or "").endswith("trajectory.png?inline=true")
    page.wait_for_function("one => one.naturalWidth === 720", arg=pictures.first.element_handle())
    assert 400 < pictures.first.evaluate("one => one.clientWidth")
    where = site.cast.admin.get(f"{site.url}/output/deer", follow_redirects=False)
    assert where.headers["Location"].endswith("/outputs/creek/deer.mp4/labelled.mp4")


def test_an_items_page_leads_to_its_review(site: Site, reviewed: str) -> None:
    """And back again."""
    item = site.cast.admin.get(f"/runs/{reviewed}/items?q=deer.mp4").json()["items"][0]["id"]
    page = site.open(f"/runs/{reviewed}/items/{item}", site.cast.admin)
    page.get_by_role("link", name="Look at it").click()
    expect(page.locator("#look-item-title")).to_have_text("deer.mp4")
    page.get_by_role("link", name="Attempts, logs and files").click()

    page.wait_for_url(f"**/runs/{reviewed}/items/{item}")
