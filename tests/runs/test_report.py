"""The page that a run leaves behind for people."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from grange.core.states import ItemState, RunState
from grange.runs.models import Counts, FailureGroup, ItemView
from grange.runs.report import write_report
from grange.storage import file_uri, open_store
from tests.runs.factories import START, make_failed, make_item, make_run, surveyed

NASTY = ["<script>alert(1)</script>", "a\"b'c", "new\nline", "🐦 & co", "a:b", "#?%41", "\u202eabc"]
_VOID = {"meta", "link", "img", "input", "br", "rect"}

_MANY = """
import resource, sys
from pathlib import Path
from grange.runs.models import Counts
from grange.runs.report import write_report
from grange.storage import file_uri, open_store
from tests.runs.factories import make_failed, make_item, make_run, surveyed

def write(number):
    run = make_run(counts=Counts(total=number, done=number))
    items = (make_failed(n) if n % 1000 == 7 else make_item(n) for n in range(number))
    write_report(open_store(file_uri(Path(sys.argv[1]))), run, surveyed(run, items), [])

write(10_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(120_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


class Page(HTMLParser):
    """What a page holds; fails where tags are not closed in order."""

    def __init__(self, folder: Path, items: list[ItemView], **changes: object) -> None:
        super().__init__()
        self.folder = folder
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        failures = changes.pop("failures", [])
        states = [item.state for item in items]
        counts = Counts(
            total=len(items),
            done=states.count(ItemState.DONE),
            failed=states.count(ItemState.FAILED),
            cancelled=states.count(ItemState.CANCELLED),
            reused=sum(item.reused for item in items),
        )
        run = make_run(**{"counts": counts, **changes})
        seen = surveyed(run, items)
        write_report(open_store(file_uri(folder)), run, seen, failures)  # type: ignore[arg-type]
        self.html = (folder / "report.html").read_text(encoding="utf-8")
        self.feed(self.html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]

    def count(self, tag: str, **wanted: str) -> int:
        return sum(
            tag == name and all(value in (attrs.get(key) or "") for key, value in wanted.items())
            for name, attrs in self.tags
        )


def _group(items: list[ItemView]) -> FailureGroup:
    failed = [item for item in items if item.failure]
    failure = failed[0].failure or {}
    return FailureGroup(failure["code"], len(failed), failure["message"], failed[0].path)


def _typed(command: str) -> list[str]:
    """The words that `grange` is given when a shell runs the command."""
    script = f'grange() {{ printf "%s\\n" "$@"; }}\n{command}'
    answer = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()


@pytest.mark.wheel
def test_the_page_says_how_the_run_went(tmp_path: Path) -> None:
    """Name, state, counts and duration are in its first lines."""
    items = [make_failed(0), *(make_item(number) for number in range(1, 10))]

    page = Page(tmp_path, items, state=RunState.FAILED, failures=[_group(items)])

    assert "spring Finished with failures" in page.text
    assert "9 of 10 items done, 1 failed, in 1 min." in page.text
    assert "started 2025-11-21 09:00 UTC" in page.text


def test_what_failed_is_told_with_its_evidence(tmp_path: Path) -> None:
    """The reason, each item, and the last lines of what the command said are there, as text."""
    items = [make_failed(number) for number in range(3)]

    page = Page(tmp_path, items, state=RunState.FAILED, failures=[_group(items)])

    assert "3 The command ended with exit code 2. command.failed" in page.text
    assert page.text.count("line one line two <b>") == 3
    assert page.count("details") >= 3


def test_reasons_that_name_their_files_share_a_heading(tmp_path: Path) -> None:
    """Where every message is another, the group is called by what they mean."""
    items = [
        make_failed(n, failure={"code": "input.missing", "message": f"/data/{n} is not there."})
        for n in range(2)
    ]

    page = Page(tmp_path, items, state=RunState.FAILED, failures=[_group(items)])

    assert "2 The item's input is no longer there. input.missing" in page.text
    assert "/data/0 is not there." in page.text
    assert "/data/1 is not there." in page.text


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    """No address leads anywhere but into the folder of the outputs or the page itself."""
    page = Page(tmp_path, [make_item(number) for number in range(20)])

    addresses = page.values("src") + page.values("href")
    assert not [one for one in addresses if re.match(r"(?!data:)[a-z]+:|//|/", one)]
    assert not re.search(r"url\(|@import", page.html)
    assert page.count("link") == 0


@pytest.mark.parametrize("name", NASTY)
def test_names_are_text_and_never_markup(tmp_path: Path, name: str) -> None:
    """Whatever an input, an output or a run is called, the page stays the page."""
    outputs = ({"path": f"{name}.txt", "size": 1, "sha256": "a"},)
    items = [make_item(0, path=name, outputs=outputs), make_failed(1, path=f"x {name}")]

    page = Page(tmp_path, items, name=name, params={name: name}, failures=[_group(items[1:])])

    assert page.count("script") == 0
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )
    assert page.text.count(" ".join(shown.split())) >= 4


@pytest.mark.parametrize("name", NASTY)
def test_links_lead_to_the_outputs(tmp_path: Path, name: str) -> None:
    """A link, taken from the page's folder, is the file."""
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "out.txt").write_text("x")

    page = Page(tmp_path, [make_item(path=name)])

    links = [unquote(one) for one in page.values("href") if one.endswith("out.txt")]
    assert links
    assert all((page.folder / link).is_file() for link in links)
    assert not [one for one in page.values("href") if ":" in one]


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    """A run without items says so, and draws no empty pictures."""
    page = Page(tmp_path, [])

    assert "no input was found" in page.text
    assert page.count("svg") == 0
    assert page.count("figure") == 0


def test_an_unfinished_run_can_be_looked_at(tmp_path: Path) -> None:
    """Items that have not ended are shown as such, never as done."""
    waiting = [
        make_item(n, state=state, attempts=0, ended_at=None, outputs=(), seconds=0.0)
        for n, state in enumerate((ItemState.WAITING, ItemState.RUNNING, ItemState.PUBLISHING))
    ]

    page = Page(tmp_path, waiting, state=RunState.RUNNING, finished_at=None, started_at=None)

    assert "0 of 3 items done, 3 left" in page.text
    assert page.count("a", **{"class": "s waiting"}) == 1
    assert page.count("a", **{"class": "s running"}) == 2


def test_every_item_has_a_cell(tmp_path: Path) -> None:
    """The picture of all items shows each, by its state, and leads to its row."""
    items = [make_item(number) for number in range(30)]
    items += [make_failed(30), make_item(31, state=ItemState.CANCELLED)]

    page = Page(tmp_path, items, failures=[_group(items)])

    assert page.count("a", **{"class": "s done", "href": "#i"}) == 30
    assert page.count("a", **{"class": "s failed", "href": "#i30"}) == 1
    assert page.count("a", **{"class": "s cancelled"}) == 1
    assert page.count("tr", id="i30") == 1


def test_many_items_share_cells(tmp_path: Path) -> None:
    """With tens of thousands of items the page stays small, and a single failure shows."""
    items = [make_failed(n) if n == 9000 else make_item(n) for n in range(20_000)]

    page = Page(tmp_path, items, failures=[_group(items)])

    assert page.count("i", **{"class": "mixed"}) == 1
    assert page.count("i", title="8,991 to 9,000") + page.count("i", title="9,001 to 9,010") == 2
    assert "The first 1,000 of 20,000" in page.text
    assert len(page.html) < 2_000_000


def test_long_names_and_much_evidence_keep_the_page_small(tmp_path: Path) -> None:
    """Names of 4,000 characters and megabytes of output can't blow the page up."""
    path = "/".join(["n" * 250] * 15)
    noise = {"stderr": "x" * 1_000_000, "lines": ["y" * 9000] * 100}
    items = [
        make_failed(
            n,
            path=f"{path}/{n}",
            failure={"code": f"c{n % 60}", "message": "No.", "evidence": noise},
        )
        for n in range(2000)
    ]
    groups = [FailureGroup(f"c{n}", 66, "No.", path) for n in range(60)]

    page = Page(tmp_path, items, failures=groups)

    assert len(page.html.encode()) < 10_000_000


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Twelve times the items take hardly more memory."""
    answer = subprocess.run(
        [sys.executable, "-c", _MANY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert int(answer.stdout) < 16 * 1024  # KiB


def test_the_command_to_run_it_again_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    """What people copy from the page are the words that were meant, whatever is in them."""
    page = Page(
        tmp_path,
        [make_item()],
        params={"shell": "cp {input} 'it''s' > {output}/x", "memory": None, "values": {"a": "b c"}},
        inputs={"roots": ["/data/my photos"], "include": ["*.jpg"], "exclude": []},
        timeout_seconds=30.0,
    )

    command = next(text for text in page.texts if text.startswith("grange map"))
    assert _typed(command) == [
        *("map", "cp {input} 'it''s' > {output}/x", "/data/my photos"),
        *("--out", "/data/out", "--include", "*.jpg", "--set", 'values={"a": "b c"}'),
        *("--timeout", "30"),
    ]


def test_another_pipeline_is_run_by_its_name(tmp_path: Path) -> None:
    """Parameters are options of `grange run`."""
    page = Page(tmp_path, [make_item()], pipeline="crops", params={"size": 256, "model": "v3"})

    command = next(text for text in page.texts if text.startswith("grange run"))
    assert _typed(command) == [
        *("run", "crops", "/data/photos", "--out", "/data/out"),
        *("--set", "size=256", "--set", "model=v3"),
    ]


def test_the_pipelines_own_report_is_linked(tmp_path: Path) -> None:
    """Its files can be opened from the page, pages first; what belongs to a page is no news."""
    (tmp_path / "report" / "review").mkdir(parents=True)
    for name in ("species table.csv", "review.html", "review/review.js"):
        (tmp_path / "report" / name).write_text("a,b")

    page = Page(tmp_path, [make_item()])

    own = [one for one in page.values("href") if one.startswith("report/")]
    # At the top of the page, and among all files that the pipeline made of the run.
    assert [*2 * ["report/review.html"], "report/species%20table.csv"] == own


def test_timings_are_told_in_words_and_drawn(tmp_path: Path) -> None:
    """Whoever can't see the charts reads the same."""
    items = [make_item(n, seconds=(n + 1) / 10, ended_at=START + n) for n in range(20)]

    page = Page(tmp_path, items)

    labels = page.values("aria-label")
    assert any("Half of the items took at most 1.0" in label for label in labels)
    assert any(label.startswith("When items ended.") for label in labels)


def test_the_page_can_be_read_aloud(tmp_path: Path) -> None:
    """Headings descend, tables say what their cells are headed by, shapes are silent."""
    items = [make_failed(0), *(make_item(number) for number in range(1, 30))]

    page = Page(tmp_path, items, failures=[_group(items)])

    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert page.count("th") == page.count("th", scope="")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    assert all(attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg")
    assert page.count("html", lang="en") == 1
