"""Tables: every detection, track and item has its row, with the numbers that it should have."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given

from grange.pipelines.wildlife.formats import md, tables
from grange.pipelines.wildlife.formats.trackrows import TRACKS
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results
from tests.pipelines.wildlife.formats import made

BOX = (0.1, 0.2, 0.3, 0.4)
DEER = Media(
    file="cam1/a.mp4",
    kind=Kind.VIDEO,
    width=640,
    height=360,
    frame_rate=Fraction(30000, 1001),
    frames=60,
    processed=(0, 6, 12),
    detections=(
        Detection("1", 0.9, BOX, 0, 1, (("0", 0.6), ("1", 0.4))),
        Detection("2", 0.3, BOX, 0),
        Detection("1", 0.5, (0.2, 0.2, 0.3, 0.4), 12, 1, (("1", 0.9),)),
    ),
)
HEAD = Results(media=(), species={"0": "deer", "1": "fox"})


@made.few
@given(made.results())
def test_each_detection_has_a_row_that_holds_it(results: Results) -> None:
    """Who reads the table finds each detection, with box, track, frame and best guess."""
    rows = _written(tables.write_detections, results)
    found = [
        (
            *(row["file"], row["category"], float(row["confidence"])),
            *(float(row[f"{side}_fraction"]) for side in ("x", "y", "width", "height")),
            *(int(row[key]) if row[key] else None for key in ("frame_number", "track")),
            row["species"],
        )
        for row in rows
    ]
    expected = [
        (
            *(media.file, results.categories[one.category], one.conf, *one.box),
            *(one.frame, one.track),
            results.species[one.guesses[0][0]] if one.guesses else "",
        )
        for media in results.media
        for one in media.detections
    ]

    assert expected == found


@made.few
@given(made.results())
def test_each_item_has_one_row_in_the_summary(results: Results) -> None:
    """No item is missing, and those that failed say why."""
    rows = _written(tables.write_summary, results)

    assert [(one.file, one.failure) for one in results.media] == [
        (row["file"], row["failure"]) for row in rows
    ]


@made.few
@given(made.results())
def test_each_track_has_one_row(results: Results) -> None:
    """Tracks are rows, and their detections are counted."""
    rows = _written(tables.write_tracks, results)
    expected = {
        (media.file, one.track): sum(other.track == one.track for other in media.detections)
        for media in results.media
        for one in media.detections
        if one.track is not None
    }

    assert expected == {(row["file"], int(row["track"])): int(row["detections"]) for row in rows}


def test_a_track_says_what_its_sightings_speak_for() -> None:
    """Votes count as far as the detector and the classifier are sure."""
    (row,) = _written(tables.write_tracks, Results(media=(DEER,), species=HEAD.species))

    # fox: 0.9·0.4 + 0.5·0.9 = 0.81 of 1.4; deer: 0.54
    assert ("fox", "0.579") == (row["species"], row["species_confidence"])
    assert ("0.0", "0.4004") == (row["start_seconds"], row["end_seconds"])
    assert ("0.9", "0.7", "64.0") == tuple(
        row[key] for key in ("max_confidence", "mean_confidence", "path_pixels")
    )


def test_the_summary_is_the_same_from_the_record_of_an_item(tmp_path: Path) -> None:
    """The run's report has the records alone, and says the same."""
    record = tables.record_of(DEER, HEAD)
    with tables.TableWriter(tmp_path / "a.csv", tables.SUMMARY) as table:
        table.add(tables.summary_row(DEER.file, record, typical=0.2))
        table.add(tables.summary_row("b.mp4", {}, "The file is cut off.", typical=0.2))
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))

    assert "animal person" == rows[0]["found"]
    assert ("2.002", "60", "3") == tuple(
        rows[0][key] for key in ("duration_seconds", "frames", "analysed_frames")
    )
    assert ("3", "1", "fox", "0.9") == tuple(
        rows[0][key] for key in ("detections", "tracks", "species", "species_confidence")
    )
    assert ("failed", "The file is cut off.") == (rows[1]["found"], rows[1]["failure"])


def test_megadetectors_report_has_a_row_for_each_pair(tmp_path: Path) -> None:
    """The columns and the words are those of its own report."""
    items = (DEER, Media(file="b.jpg"), Media(file="c.jpg", failure="cut off"))
    tables.write_megadetector(tmp_path / "a.csv", HEAD, items, 0.2)
    rows = list(csv.reader((tmp_path / "a.csv").read_text().splitlines()))

    assert list(tables.MEGADETECTOR) == rows[0]
    assert [
        ["cam1/a.mp4", "", "animal", "0.9", "deer", "0.6", "1"],
        ["cam1/a.mp4", "", "person", "0.3", "", "", "1"],
        ["cam1/a.mp4", "", "animal", "0.5", "fox", "0.9", "1"],
        ["b.jpg", "", "empty", "0.0", "", "", ""],
        ["c.jpg", "", "error", "", "cut off", "", ""],
    ] == rows[1:]


def test_files_of_items_join_to_the_file_of_the_run(tmp_path: Path) -> None:
    """What each item has is copied as it stands: the same bytes as if written at once."""
    items = (DEER, Media(file="b.jpg"), Media(file="c.jpg", failure="cut off"))
    whole = Results(media=items, species=HEAD.species)
    with (
        md.RunWriter(tmp_path / "joined.json", whole) as run,
        tables.TableWriter(tmp_path / "joined.csv", tables.DETECTIONS) as table,
    ):
        for number, one in enumerate(items):
            alone = Results(media=(one,), species=HEAD.species)
            md.write_results(alone, tmp_path / f"{number}.json")
            tables.write_detections(tmp_path / f"{number}.csv", alone, alone.media)
            run.add_file(tmp_path / f"{number}.json")
            table.add_file(tmp_path / f"{number}.csv")
    md.write_results(whole, tmp_path / "whole.json")
    tables.write_detections(tmp_path / "whole.csv", whole, items)

    for suffix in ("json", "csv"):
        whole_bytes = (tmp_path / f"whole.{suffix}").read_bytes()
        assert whole_bytes == (tmp_path / f"joined.{suffix}").read_bytes()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_joining_does_not_depend_on_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """An end of the file may lie in any piece."""
    monkeypatch.setattr(md, "_COPIED_CHARACTERS", size)
    whole = Results(media=(DEER, Media(file="b.jpg")), species=HEAD.species)
    md.write_results(whole, tmp_path / "a.json")
    with md.RunWriter(tmp_path / "b.json", whole) as run:
        run.add_file(tmp_path / "a.json")

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("name", ["=1+1.jpg", "-a/b.jpg", "@sum.jpg", "+1.jpg", "\t=a.jpg"])
def test_no_path_is_a_formula(name: str) -> None:
    """A spreadsheet would compute it; the same path, written otherwise, is just text."""
    found = Media(file=name, width=9, height=9, detections=(Detection("1", 0.9, BOX),))
    results = Results(media=(found,))

    (row,) = _written(tables.write_detections, results)
    (summary,) = _written(tables.write_summary, results)

    assert f"./{name}" == row["file"] == summary["file"]


def test_the_columns_are_those_of_the_guide() -> None:
    """Each column of a table is explained."""
    guide = Path(__file__).parents[4] / "docs" / "guides" / "formats.md"
    text = guide.read_text(encoding="utf-8")
    columns = {*tables.DETECTIONS, *tables.SUMMARY, *TRACKS}

    assert [] == sorted(one for one in columns if f"`{one}`" not in text)


def _written(
    write: Callable[[Path, Results, Iterable[Media]], None], results: Results
) -> list[dict[str, str]]:
    with made.folder() as folder:
        write(folder / "a.csv", results, results.media)
        with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
