"""What tasks need, said on the page as on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.server import scene
from tests.server.scene import Serving
from tests.web import runs
from tests.web.conftest import NARROW, Site
from tests.web.test_looks import AXE

# Nobody listens there: runs wait, and pages work all the same.
ENGINE = {
    "GRANGE_ENGINE": "amqp://drive:secret@127.0.0.1:1/",
    "GRANGE_WORKERS_ENGINE": "amqp://all:shared@127.0.0.1:1/",
    "GRANGE_OUT_BUCKETS": "s3://results/people",
}

# What is typed beside a label, and what is said of it.
WRONG = {
    "Cores": ("9000", "less than or equal to 1024"),
    "Memory": ("-1", "greater than or equal to 0"),
    "GPUs": ("1.5", "valid integer"),
    "Labels": ("fast, No_Label", "small letters, digits and dashes"),
}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the server sees."""
    return runs.fill(tmp_path_factory.mktemp("share") / "few", good=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, share: Path) -> Iterator[Serving]:
    """Share a server with an engine for workers, and a folder that it sees."""
    home = tmp_path_factory.mktemp("needs") / "home"
    with scene.serving(home, "--shares", str(share), **ENGINE) as server:
        yield server


def _form(site: Site, share: Path) -> Page:
    page = site.open("/runs/new?pipeline=command", site.cast.admin)
    page.get_by_label("Files on the server").check()
    page.fill("#share", str(share))
    page.fill("#p-shell", "cp {input} {output}")
    page.get_by_text("What each task needs").click()
    return page


def _start(page: Page) -> None:
    page.get_by_role("button", name="Start run").click()


def test_the_place_for_results_is_found_by_its_label(site: Site, share: Path) -> None:
    """Nothing else on the page has the name of a field, so that label and style are its own."""
    page = _form(site, share)
    page.get_by_label("Bucket for the results").fill("s3://results/people/ana")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")

    assert "s3://results/people/ana" == page.input_value("input[name=out]")
    assert [] == sorted(one for one in set(ids) if ids.count(one) > 1)


def _run(site: Site, page: Page) -> dict[str, Any]:
    """Give the run whose page the form has led to."""
    page.wait_for_url(re.compile(r"/runs/[0-9a-z]{8,}$"))
    found: dict[str, Any] = site.cast.admin.get(f"/runs/{page.url.rpartition('/')[2]}").json()
    return found


def test_a_run_asks_for_what_the_form_says(site: Site, share: Path) -> None:
    """As --cores, --memory, --gpu and --label do; the run's page says it again."""
    page = _form(site, share)
    page.get_by_label("Cores").fill("2.5")
    page.get_by_label("Memory", exact=True).fill("1.5")
    page.get_by_label("GPUs").fill("1")
    page.get_by_label("Memory of a GPU", exact=True).fill("512")
    page.get_by_label("Unit of: Memory of a GPU").select_option("MB")
    page.get_by_label("Labels").fill("fast, attic")
    _start(page)

    run = _run(site, page)
    assert {
        "cores": 2.5,
        "memory_bytes": 1_500_000_000,
        "gpus": 1,
        "gpu_memory_bytes": 512_000_000,
        "labels": ["attic", "fast"],
    } == run["needs"]
    page.goto(f"/runs/{run['id']}/settings")
    expect(page.locator("main")).to_contain_text("2.5 cores")
    expect(page.locator("main")).to_contain_text("labels attic, fast")


def test_what_nobody_says_is_as_the_pipeline_has_it(site: Site, share: Path) -> None:
    """An empty form asks for nothing of its own."""
    page = _form(site, share)
    _start(page)

    assert {} == _run(site, page)["needs"]


def test_what_no_machine_could_have_is_said_beside_its_field(site: Site, share: Path) -> None:
    """Nothing that was typed is lost, and the first such field is in view."""
    page = _form(site, share)
    fields = {label: page.get_by_label(label, exact=True) for label in WRONG}
    for label, (text, _) in WRONG.items():
        fields[label].fill(text)
    _start(page)

    for label, (text, words) in WRONG.items():
        expect(page.locator(".field", has=fields[label]).locator(".mistake")).to_contain_text(words)
        expect(fields[label]).to_have_attribute("aria-invalid", "true")
        assert text == fields[label].input_value()
    expect(fields["Cores"]).to_be_focused()


def test_memory_of_a_gpu_needs_a_gpu(site: Site, share: Path) -> None:
    """The page refuses what the command line does, in the same words."""
    page = _form(site, share)
    page.get_by_label("Memory of a GPU", exact=True).fill("8")
    _start(page)

    expect(page.get_by_role("alert").first).to_contain_text("has to ask for a GPU")


def test_the_form_can_be_used_by_everyone(site: Site, share: Path) -> None:
    """With all of it open: no fault of WCAG A or AA, wide and narrow, light and dark."""
    page = _form(site, share)
    faults = []
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        faults += [one["id"] for one in Axe().run(page, options=AXE).response["violations"]]
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]

    assert [] == faults
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
