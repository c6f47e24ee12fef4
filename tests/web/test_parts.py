"""What pages are made from: static files, filters, lists, charts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from grange import errors
from grange.server.web import assets, templating
from grange.server.web.charts import HEIGHT, WIDTH, columns
from grange.server.web.filters import ago, browser, initials, prose, relative
from grange.server.web.forms import Form
from grange.server.web.lists import Address
from grange.server.web.texts import texts

WEB = Path(templating.__file__).parent
DAY = 86_400.0
NOW = 1_790_000_000.0


@pytest.mark.wheel
@pytest.mark.parametrize("name", templating.environment().list_templates(extensions=["html"]))
def test_a_template_is_well_formed(name: str) -> None:
    """No page fails for a mistake in the writing of its template."""
    assert name == templating.environment().get_template(name).name


@pytest.mark.wheel
def test_the_browser_libraries_are_there() -> None:
    """What is installed brings the libraries that pages load, with their licences."""
    names = ["htmx.js", "tus.js", "LICENCES.txt"]

    assert all((assets.FOLDER / "vendor" / name).stat().st_size > 1000 for name in names)
    assert "htmx" in (assets.FOLDER / "vendor" / "LICENCES.txt").read_text()


def test_without_the_libraries_the_server_does_not_start(tmp_path: Path) -> None:
    """Whoever runs a Grange that was not built whole is told so, and how to mend it."""
    (tmp_path / "style.css").write_text("body {}")

    with pytest.raises(errors.ExtraMissing, match=r"vendor/htmx\.js") as caught:
        assets.Assets(tmp_path)

    assert "make install" in caught.value.hint


def test_the_lock_file_names_versions_and_no_registry() -> None:
    """Every machine builds the same libraries from the registry that it uses itself."""
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    lock = json.loads((WEB / "package-lock.json").read_text())["packages"]

    assert all(version[0].isdigit() for version in wanted.values())
    assert wanted == lock[""]["dependencies"]
    assert [] == [name for name, one in lock.items() if "resolved" in one]
    assert [] == [name for name, one in lock.items() if name and "integrity" not in one]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "just now"),
        (-61, "1 minute ago"),
        (-119, "1 minute ago"),
        (-7200, "2 hours ago"),
        (-40 * DAY, "1 month ago"),
        (-800 * DAY, "2 years ago"),
        (89.9 * DAY, "in 3 months"),
        (29.99 * DAY, "in 1 month"),
        (59.9, "in 1 minute"),
    ],
)
def test_times_are_told_from_here(seconds: float, words: str) -> None:
    """What is over is told by what is full, what comes by what is nearest."""
    assert words == relative(texts(), seconds)


def test_a_time_carries_the_exact_one() -> None:
    """The exact time is on hover, and there for scripts."""
    shown = ago(texts(), NOW)

    assert 'datetime="2026-09-21T14:13:20+00:00"' in shown
    assert "2026-09-21 14:13 UTC" in shown
    assert "never" in ago(texts(), None)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Run `a <b>` now.", "Run <code>a &lt;b&gt;</code> now."),
        ("<script>", "&lt;script&gt;"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` alone", "<code>a</code> and ` alone"),
        ("", ""),
    ],
)
def test_sentences_show_code_and_nothing_else(text: str, html: str) -> None:
    """What errors put between backticks is code; whatever else they hold is text."""
    assert html == prose(text)


def test_people_have_initials() -> None:
    """However a name is written, there is something to show for it."""
    assert ["AL", "A", "?"] == [initials(name) for name in ("Ada King Lovelace", "ada", " ")]


def test_browsers_are_told_by_their_names() -> None:
    """What a browser says of itself becomes what people call it."""
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"

    assert "Firefox, Linux" == browser(texts(), firefox)
    assert "curl/8" == browser(texts(), "curl/8")
    assert "Unknown browser" == browser(texts(), "")


def test_a_list_keeps_its_filter_from_page_to_page() -> None:
    """The address of the next page asks for the same, and what is empty is left out."""
    address = Address("/people", {"q": "a&b", "role": ""}, "x")

    assert "/people?q=a%26b&after=y" == address.next("y")
    assert "/people?q=a%26b" == address.first()
    assert address.is_filtered
    assert "/people" == Address("/people", {"q": ""}).first()


@pytest.mark.parametrize(("text", "value"), [("", None), ("50 GB", 50 * 10**9), ("lots", "lots")])
def test_sizes_are_read_as_people_write_them(text: str, value: object) -> None:
    """A size may have a unit and blanks; what is none is kept, to be refused with its words."""
    assert value == Form(values={"quota_bytes": text}).size("quota_bytes")


def test_a_chart_stays_in_its_frame() -> None:
    """The highest column fits, the lowest is seen, and nothing has no column."""
    path = columns([10_000, 1, 0, 5])

    found = re.findall(r"M([\d.]+) ([\d.]+)v-([\d.]+)h([\d.]+)V([\d.]+)z", path)
    assert path == "".join(f"M{x} {y}v-{high}h{wide}V{end}z" for x, y, high, wide, end in found)
    heights = [float(high) for _, _, high, _, _ in found]
    assert 3 == len(heights)
    assert HEIGHT == heights[0]
    assert all(1 <= high <= HEIGHT for high in heights)
    assert max(float(x) + float(wide) for x, _, _, wide, _ in found) <= WIDTH


def test_no_numbers_are_an_empty_chart() -> None:
    """A site on which nothing has happened yet draws nothing, and breaks nothing."""
    assert "" == columns([])
    assert "" == columns([0, 0])
