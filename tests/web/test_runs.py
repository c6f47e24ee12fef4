"""The pages of runs, in a real browser over a real server with real work."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Request, expect

from tests.server import scene
from tests.server.scene import Cast, Serving
from tests.web import runs
from tests.web.conftest import NARROW, WIDE, Site

AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
MOST_PAGE_BYTES = 150_000
# A plot, a page that wants to run a script, data, and a table.
MANY_KINDS = """
printf 'a,b\\n"x, y",2\\n' > {output}/table.csv
printf '<!doctype html><h1>Report</h1><script>parent.document.title=1</script>' > {output}/page.html
printf '%s' '[42]' > {output}/data.json
(echo iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q
echo DwADhgGAWjR9awAAAABJRU5ErkJggg==) | base64 -d > {output}/plot.png
"""


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the server sees."""
    return tmp_path_factory.mktemp("share")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, share: Path) -> Iterator[Serving]:
    """Share one server that sees a folder, and tries nothing twice."""
    home = tmp_path_factory.mktemp("runs") / "home"
    flags = ("--shares", str(share))
    with scene.serving(home, *flags, GRANGE_WORKERS="2", GRANGE_RETRIES="0") as server:
        yield server


@pytest.fixture(scope="module")
def mixed(cast: Cast, share: Path) -> str:
    """Give a run that has ended, with items that are done and items that failed."""
    run = runs.submit(cast.admin, runs.fill(share / "mixed", good=6, bad=2), name="Mixed")
    runs.ended(cast.admin, run)
    return run


@pytest.fixture(scope="module")
def pictures(cast: Cast, share: Path) -> str:
    """Give a run whose outputs can be looked at."""
    inputs = runs.fill(share / "pictures", good=2)
    run = runs.submit(cast.admin, inputs, MANY_KINDS, name="Pictures")
    assert "done" == runs.ended(cast.admin, run)["state"]
    return run


PAGES = (
    "/runs",
    "/runs?q=nothing+is+called+so",
    "/runs/new",
    "/runs/new?pipeline=command",
    "/runs/{mixed}",
    "/runs/{mixed}/items",
    "/runs/{mixed}/items/{failed}",
    "/runs/{pictures}/outputs",
    "/runs/{pictures}/outputs?view=gallery",
    "/runs/{mixed}/events",
    "/runs/{mixed}/settings",
    "/runs/{mixed}/delete",
)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_runs_can_be_used_by_everyone(
    site: Site, mixed: str, pictures: str, path: str
) -> None:
    """No fault of WCAG A or AA, light and dark, wide and narrow; nothing runs off the side."""
    failed = site.cast.admin.get(f"/runs/{mixed}/items?state=failed").json()["items"][0]["id"]
    page = site.open(path.format(mixed=mixed, pictures=pictures, failed=failed), site.cast.admin)
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


@pytest.mark.parametrize("path", ["/runs", "/runs/new?pipeline=command", "/runs/{mixed}"])
def test_a_page_of_runs_is_light(site: Site, mixed: str, path: str) -> None:
    """A page weighs less than 150 kB before pictures, nothing packed."""
    page = site.open("/me", site.cast.admin)
    # What the page before still asks for is none of this one's.
    page.goto("about:blank")
    made: list[Request] = []
    page.on("requestfinished", lambda one: made.append(one))  # noqa: PLW0108  # it marks what it is given
    page.goto(path.format(mixed=mixed))
    page.wait_for_load_state("load")
    expect(page.locator("main")).to_be_visible()
    sizes = {one.url: weight(one) for one in made}

    assert 5 < len(sizes)
    assert sum(sizes.values()) < MOST_PAGE_BYTES


def weight(made: Request) -> int:
    """How many bytes have come for it."""
    answer = made.response()
    return len(answer.body()) if answer else 0


def test_the_list_is_filtered_by_its_address(site: Site, mixed: str, pictures: str) -> None:
    """A filter is an address that can be sent to somebody."""
    page = site.open("/runs?state=failed&q=mix", site.cast.admin)

    expect(page.locator("tr[data-run]")).to_have_count(1)
    assert "failed" == page.locator("select[name=state]").input_value()
    page.select_option("select[name=state]", "done")
    page.wait_for_url(re.compile("state=done"))
    expect(page.get_by_text("No run fits this filter.")).to_be_visible()


def test_a_new_run_and_its_progress_appear_by_themselves(
    site: Site, share: Path, mixed: str
) -> None:
    """Who has the list open sees another person's run come, run and end."""
    page = site.open("/runs", site.cast.admin)
    run = runs.submit(site.cast.admin, runs.fill(share / "live", good=3), name="Comes by itself")

    row = page.locator(f"tr[data-run='{run}']")
    expect(row).to_contain_text("Comes by itself")
    expect(row.locator("[data-part=state]")).to_have_text("Done", timeout=30_000)
    expect(row).to_contain_text("3 of 3 items")


def test_what_is_chosen_stays_chosen_while_the_list_changes(
    site: Site, share: Path, mixed: str
) -> None:
    """A new run in the list takes nobody's choice, place or focus away."""
    page = site.open("/runs", site.cast.admin)
    before = page.locator("tr[data-run]").count()
    page.keyboard.press("j")
    page.keyboard.press("x")
    chosen = page.locator("tr.here").get_attribute("data-run")
    inputs = runs.fill(share / "another", good=1)
    run = runs.submit(site.cast.admin, inputs, name="One more")
    expect(page.locator("tr[data-run]")).to_have_count(before + 1)
    expect(page.locator(".selection")).to_contain_text("1 selected")

    assert chosen == page.locator("tr.here").get_attribute("data-run")
    assert chosen == page.locator("tr:has(:focus)").get_attribute("data-run")
    runs.ended(site.cast.admin, run)


def test_a_run_is_led_by_keyboard_alone(site: Site, mixed: str) -> None:
    """J and x choose rows, Enter opens one, arrow keys walk through all items at once."""
    page = site.open("/runs?q=Mixed", site.cast.admin)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(".selection")).to_contain_text("1 selected")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{mixed}")
    canvas = page.locator("#cells canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("2 Failed, 6 Done"))
    canvas.focus()
    page.keyboard.press("End")
    expect(page.locator("#cells-tip")).to_contain_text("Item 8 · Failed wrong1.txt")
    page.keyboard.press("Enter")
    page.wait_for_url("**/items/*")
    expect(page.locator("h1")).to_contain_text("wrong1.txt")


def test_a_failure_leads_to_its_items_and_to_a_line_of_a_log(site: Site, mixed: str) -> None:
    """From the reason to the items, from an item to its log, and a line has an address."""
    page = site.open(f"/runs/{mixed}", site.cast.admin)
    page.get_by_role("link", name="See 2 items").click()
    expect(page.locator("tr[data-item]")).to_have_count(2)
    page.get_by_role("link", name="wrong0.txt").click()
    expect(page.get_by_role("heading", name="Why it failed")).to_be_visible()
    line = page.locator("ol.log li").nth(1)
    expect(line).to_contain_text("bad header at byte 12")
    line.locator("a").click()
    address = page.url

    assert address.endswith("-L2")
    page.goto("/runs")
    page.goto(address)
    expect(page.locator("li.meant")).to_contain_text("bad header at byte 12")


def test_outputs_are_looked_at_in_place(site: Site, pictures: str) -> None:
    """A picture, a table, data, and a page whose script does not run."""
    page = site.open(f"/runs/{pictures}/outputs", site.cast.admin)
    dialog = page.locator("#preview")
    for name, shown in (("table.csv", "td >> text='x, y'"), ("data.json", "pre >> text=42")):
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(dialog.locator(shown)).to_be_visible()
        page.keyboard.press("Escape")
    page.get_by_role("link", name="plot.png", exact=True).first.click()
    page.wait_for_function("() => document.querySelector('#preview img')?.naturalWidth === 1")
    page.keyboard.press("Escape")
    title = page.title()
    page.get_by_role("link", name="page.html", exact=True).first.click()
    expect(dialog.frame_locator("iframe").locator("h1")).to_have_text("Report")

    assert title == page.title()
    assert all("sandbox" in fault for fault in site.watch.faults)
    site.watch.faults.clear()


def test_all_outputs_come_as_one_archive(site: Site, pictures: str) -> None:
    """The button on the run's page brings everything."""
    page = site.open(f"/runs/{pictures}", site.cast.admin)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    names = zipfile.ZipFile(download.value.path()).namelist()

    assert "good0.txt/plot.png" in names
    assert "good1.txt/table.csv" in names


def test_two_pages_follow_one_run_to_its_cancelled_end(site: Site, share: Path) -> None:
    """What one person does, another sees at once; cancelling is asked about and can be undone."""
    inputs = runs.fill(share / "slow", good=4)
    run = runs.submit(site.cast.admin, inputs, "sleep 30", name="Slow")
    first = site.open(f"/runs/{run}", site.cast.admin)
    second = site.open(f"/runs/{run}", site.cast.admin, size=NARROW)
    for page in (first, second):
        expect(page.locator("#state")).to_have_text("Running", timeout=30_000)
        expect(page.locator("#workers")).to_contain_text("good")

    first.get_by_role("link", name="Cancel run").click()
    expect(first.locator("#asking")).to_contain_text("4 items are not done yet")
    first.get_by_role("button", name="Cancel run").click()
    expect(first.get_by_text("The run is being cancelled.")).to_be_visible()
    for page in (first, second):
        expect(page.locator("#state")).to_have_text("Cancelled", timeout=30_000)
        expect(page.get_by_role("button", name="Go on with the rest")).to_be_visible()


def test_a_run_is_renamed_and_deleted(site: Site, share: Path) -> None:
    """Settings are changed in place; deleting names what is lost, and then it is gone."""
    run = runs.submit(site.cast.admin, runs.fill(share / "gone", good=2), name="Old name")
    runs.ended(site.cast.admin, run)
    page = site.open(f"/runs/{run}/settings", site.cast.admin)
    page.fill("#name", "New name")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_contain_text("New name")
    page.get_by_role("link", name="Delete run").click()
    expect(page.locator("#asking")).to_contain_text("the results of 2 items on the server")
    page.get_by_role("button", name="Delete run").click()

    expect(page.get_by_text("The run is deleted.")).to_be_visible()
    assert 404 == site.cast.admin.get(f"/runs/{run}").status_code


def test_several_runs_are_deleted_at_once(site: Site, share: Path) -> None:
    """What is chosen in the list goes after one question that names all of them."""
    inputs = runs.fill(share / "several", good=1)
    chosen = [runs.submit(site.cast.admin, inputs, name=f"Several {n}") for n in range(2)]
    for run in chosen:
        runs.ended(site.cast.admin, run)
    page = site.open("/runs?q=Several", site.cast.admin)
    page.get_by_label("Select all runs of this page").check()
    page.get_by_role("button", name="Delete runs").click()
    expect(page.locator("main")).to_contain_text("Several 0")
    page.get_by_role("button", name="Delete runs").click()

    expect(page.get_by_text("The runs are deleted.")).to_be_visible()
    assert [404, 404] == [site.cast.admin.get(f"/runs/{run}").status_code for run in chosen]


def test_others_do_not_see_a_run_and_viewers_change_nothing(site: Site, mixed: str) -> None:
    """A run that is not shared is not there for others, on every page of it."""
    html = {"Accept": "text/html"}
    for path in ("", "/items", "/outputs", "/events", "/settings", "/delete", "/cancel"):
        answer = site.cast.other.get(f"{site.url}/runs/{mixed}{path}", headers=html)
        assert 404 == answer.status_code, path
    assert 403 == site.cast.viewer.get(f"{site.url}/runs/new", headers=html).status_code
    page = site.open("/runs", site.cast.viewer)
    expect(
        page.get_by_text("Runs that somebody shares with your groups appear here.")
    ).to_be_visible()
    assert 0 == page.get_by_role("link", name="New run").count()


def test_old_addresses_lead_to_the_same_things_as_before(
    site: Site, mixed: str, pictures: str
) -> None:
    """/Log is how it goes, /output/<name> the item's output, /plot/<name> its plot."""

    def get(path: str) -> tuple[int, str]:
        answer = site.cast.admin.get(site.url + path, follow_redirects=False)
        return answer.status_code, answer.headers.get("Location", "")

    newest = site.cast.admin.get("/runs?limit=1").json()["items"][0]["id"]
    assert (303, f"/runs/{newest}") == get("/Log")
    status, where = get("/plot/good0")
    assert (303, f"/api/v1/runs/{pictures}/outputs/good0.txt/plot.png?inline=true") == (
        status,
        where,
    )
    assert get("/output/good5")[1].endswith("/outputs/good5.txt/copy.txt")
    assert 404 == get("/output/wrong0")[0]
    assert 404 == get("/plot/nothing")[0]
    assert 422 == get("/output/" + "a" * 300)[0]
    nobody = site.cast.nobody.get(f"{site.url}/Log", headers={"Accept": "text/html"})
    assert "/login" in nobody.headers["Location"]


def test_a_mistake_stands_beside_its_field(site: Site, share: Path) -> None:
    """What the server refuses is said where it can be mended; nothing that was typed is lost."""
    page = site.open("/runs/new?pipeline=command", site.cast.admin)
    page.get_by_label("Files on the server").check()
    page.fill("#share", str(share / "mixed"))
    page.fill("#p-shell", "cp {input} {outputs}")
    page.fill("#p-memory", "much")
    page.get_by_role("button", name="Start run").click()
    expect(page.locator(".field:has(#p-memory) .mistake")).to_contain_text("should be a size")
    page.fill("#p-memory", "")
    page.get_by_role("button", name="Start run").click()
    expect(page.locator("#new-run")).to_contain_text("outputs")

    assert "cp {input} {outputs}" == page.input_value("#p-shell")
