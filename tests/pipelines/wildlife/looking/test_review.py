"""What is written for the review's page on the disk."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from grange.pipelines.wildlife.looking import review
from grange.pipelines.wildlife.looking.details import MOST_POSED, MOST_ROWS, details_of
from grange.pipelines.wildlife.looking.review import Entry, write_review
from grange.pipelines.wildlife.looking.texts import texts
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results
from tests.pipelines.wildlife.looking import scene
from tests.pipelines.wildlife.looking.scene import Sample

JSON = Any
MEBIBYTE = 1 << 20


def _read(folder: Path, name: str) -> JSON:
    """The data of a script: it calls one function with JSON, and that is all of it."""
    text = (folder / "review" / name).read_text()
    found = re.fullmatch(r"grangeReviewData\.[a-z]+\((.*)\);\n", text, re.DOTALL)
    assert found is not None, text[:200]
    return json.loads(found[1])


def _pieces(folder: Path, what: str) -> list[JSON]:
    names = sorted(one.name for one in (folder / "review").glob(f"{what}-*.js"))
    return [_read(folder, name) for name in names]


def test_a_review_is_a_page_and_a_folder(tmp_path: Path) -> None:
    """Everything that the page names is there, and nothing of it lies elsewhere."""
    write_review(tmp_path, [], Results(()), title="Empty & <b>odd</b>")
    page = (tmp_path / "review.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert all((tmp_path / name).is_file() for name in named)
    assert all((tmp_path / "review" / name).is_file() for name in review.LATER)
    assert "$" not in page
    assert "http:" not in page
    assert "https:" not in page
    about = _read(tmp_path, "about.js")
    assert ("Empty & <b>odd</b>", 0, 0) == (about["title"], about["count"], about["pieces"])
    assert texts() == about["texts"]


def test_items_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, each once; what is known of their frames is apart from the list."""
    monkeypatch.setattr(review, "ITEMS", 2)
    monkeypatch.setattr(review, "DETAILS_BYTES", 5000)
    samples = [
        Sample(path=f"cam/{number}.mp4", found={"1": 0.9}, species="fox") for number in range(5)
    ]
    entries = [
        Entry(
            path=one.path,
            folder=one.path,
            result=scene.record_of(one, results := scene.results_of(one)),
            media=results.media[0],
            outputs=scene.outputs_of(one),
        )
        for one in samples
    ]
    write_review(tmp_path, entries, scene.replace_media())
    pieces = _pieces(tmp_path, "items")
    items = [item for piece in pieces for item in piece]
    details = _pieces(tmp_path, "details")

    assert [2, 2, 1] == [len(piece) for piece in pieces]
    assert [one.path for one in samples] == [item["path"] for item in items]
    assert [0, 1, 2, 3, 4] == [item["id"] for item in items]
    assert 1 < len(details)
    for item in items:
        known = dict(map(tuple, details[item["details"]]))
        assert 15 == len(known[item["id"]]["rows"])
        assert 4 == len(item["outputs"])


def test_names_are_data_and_never_markup(tmp_path: Path) -> None:
    """No name ends a script or opens an element, and each leads to the item's own folder."""
    entries = [
        Entry(path=name, folder=name, failure=f"{name} </script><b>") for name in scene.ODD_NAMES
    ]
    write_review(tmp_path, entries, Results(()), title="</script><script>alert(1)</script>")
    written = [
        (tmp_path / "review" / name).read_bytes() for name in ("items-000000.js", "about.js")
    ]

    assert all(b"<" not in one and one.isascii() for one in written)
    items = _pieces(tmp_path, "items")[0]
    assert list(scene.ODD_NAMES) == [item["path"] for item in items]
    assert list(scene.ODD_NAMES) == [unquote(item["href"]) for item in items]
    assert all(re.fullmatch(r"[\w%./~-]+", item["href"], re.ASCII) for item in items)


def test_a_name_in_no_encoding_leads_to_its_folder(tmp_path: Path) -> None:
    """Even a byte that is no letter is written as what it is."""
    write_review(tmp_path, [Entry(path="a", folder="cam/\udcff.mp4")], Results(()))

    assert "cam/%FF.mp4" == _pieces(tmp_path, "items")[0][0]["href"]


def test_details_say_what_was_found_in_each_frame() -> None:
    """Times are exact, and species, track and pose are those of the detection."""
    results = scene.results_of(Sample(path="a.mp4", found={"1": 0.9}, species="fox", frames=3))
    details = details_of(results.media[0])

    assert (25.0, [0, 5, 10], 1) == (details["rate"], details["processed"], details["every"])
    frame, category, conf, box, track, species, sure, pose = details["rows"][1]
    assert (5, "1", 1, "2", 0.9) == (frame, category, track, species, sure)
    assert (0.87, 4, 3 * len(scene.KEYPOINTS)) == (conf, len(box), len(pose))


@pytest.mark.parametrize(
    ("count", "rows", "posed"),
    [
        (MOST_POSED, MOST_POSED, True),
        (MOST_POSED + 1, MOST_POSED + 1, False),
        (50_000, 16_667, False),
    ],
)
def test_details_have_a_bound(count: int, rows: int, posed: bool) -> None:
    """Of very many detections some are shown, evenly over the time, and the page is told so."""
    one = Detection("1", 0.9, (0.1, 0.1, 0.2, 0.2), 0, 1, (), ((0.1, 0.2, 0.9),))
    details = details_of(Media("a.mp4", Kind.VIDEO, detections=[one] * count))

    assert rows == len(details["rows"]) <= MOST_ROWS
    assert posed == bool(details["rows"][0][-1])
    assert -(-count // MOST_ROWS) == details["every"]


def test_memory_stays_flat_however_many_items_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been written is forgotten."""
    monkeypatch.setattr(review, "ITEMS", 10)
    monkeypatch.setattr(review, "DETAILS_BYTES", 20_000)
    sample = Sample(path="cam/a.mp4", found={"1": 0.9}, species="fox", frames=25)
    results = scene.results_of(sample)
    record = scene.record_of(sample, results)

    def entries(count: int) -> Iterator[Entry]:
        for number in range(count):
            path = f"cam/{number}.mp4"
            yield Entry(path=path, folder=path, result=record, media=results.media[0])

    peaks = []
    for count in (40, 400):
        tracemalloc.start()
        write_review(tmp_path / str(count), entries(count), scene.replace_media())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + MEBIBYTE // 8


def test_every_word_of_the_scripts_is_there() -> None:
    """A key that a script asks for by name is one of the texts."""
    known = set(texts())
    stems = {one.rsplit(".", 1)[0] for one in known if one.endswith((".one", ".other"))}
    for name in (*review.SCRIPTS, *review.LATER):
        script = (review.STATIC / name).read_text(encoding="utf-8")
        assert set(re.findall(r'\bsay\("([^"]+)"', script)) <= known, name
        assert set(re.findall(r'\bsay\.n\("([^"]+)"', script)) <= stems, name
