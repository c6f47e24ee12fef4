"""The canonical format: nothing is lost in it, and MegaDetector's own validator agrees."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.formats import cocoframes, jsontext, md, naming
from grange.pipelines.wildlife.formats.dialects import export
from grange.pipelines.wildlife.formats.md import (
    ResultsFile,
    read_results,
    write_results,
    write_run,
)
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results
from tests import services
from tests.pipelines.wildlife.formats import made

BOX = (0.1, 0.2, 0.3, 0.4)


@made.few
@given(made.results())
def test_what_is_written_is_read_again(results: Results) -> None:
    """No field of a result is lost or changed in the canonical format."""
    with made.folder() as folder:
        write_results(results, folder / "a.json")

        assert results == read_results(folder / "a.json")


@made.few
@given(made.results())
def test_megadetector_accepts_every_file(results: Results) -> None:
    """The package's own validator finds neither errors nor anything to warn of."""
    validating = _validating()
    with made.folder() as folder:
        write_results(results, folder / "a.json")
        found = validating.validate_batch_results(str(folder / "a.json"))

    assert [] == found["validation_results"]["errors"]
    assert [] == found["validation_results"]["warnings"]


def test_a_picture_that_is_called_a_video_stays_a_picture(tmp_path: Path) -> None:
    """The format's readers go by the name; ours knows better."""
    box = (0.1, 0.1, 0.5, 0.5)
    still = Media(file="oops.MP4", width=4, height=3, detections=(Detection("1", 0.5, box),))
    write_results(Results(media=(still,)), tmp_path / "a.json")

    found = _validating().validate_batch_results(str(tmp_path / "a.json"))

    assert [] == found["validation_results"]["errors"]
    assert (still,) == read_results(tmp_path / "a.json").media


def test_a_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    """Names of files are bytes; the odd ones come back as they were."""
    odd = Media(file=b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    write_results(Results(media=(odd,)), tmp_path / "a.json")

    assert (odd,) == read_results(tmp_path / "a.json").media


def test_a_run_is_written_and_read_in_little_memory(tmp_path: Path) -> None:
    """Thousands of items need no more memory than a few."""
    detection = Detection("1", 0.5, (0.1, 0.1, 0.5, 0.5), guesses=())
    items = (Media(file=f"{n}.jpg", detections=(detection,) * 3) for n in range(3_000))
    tracemalloc.start()
    write_run(tmp_path / "a.json", Results(media=()), items)
    count = sum(len(one.detections) for one in ResultsFile(tmp_path / "a.json"))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 9_000 == count
    assert peak_bytes < 2_000_000


def _many(count: int) -> Results:
    """Give the result of a long video in which something was always seen."""
    pose = ((0.1, 0.2, 0.9),) * 10
    found = (Detection("1", n % 10 / 10, BOX, n // 2, n % 2, (), pose) for n in range(count))
    video = Media(
        file="a.mp4",
        kind=Kind.VIDEO,
        width=640,
        height=360,
        frame_rate=Fraction(10),
        frames=count,
        processed=tuple(range(count // 2)),
        detections=tuple(found),
    )
    still = Media(file="b.jpg", detections=(Detection("2", 0.5, BOX),))
    return Results(media=(video, still), keypoints=tuple(f"k{n}" for n in range(10)))


@pytest.mark.parametrize("dialect", ["md", "coco-ct"])
def test_an_item_of_many_detections_is_exported_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    """They are read from their place each time, and what is written is the same."""
    (tmp_path / "report").mkdir()
    write_results(_many(1500), tmp_path / "report" / "detections.json")
    for name in ("whole", "pieces"):
        (tmp_path / name).mkdir()
    export(dialect, tmp_path, tmp_path / "whole", {"threshold": "0.3"})
    monkeypatch.setattr(naming, "HELD", 100)
    monkeypatch.setattr(md, "HELD", 100)
    monkeypatch.setattr(cocoframes, "HELD", 100)
    tracemalloc.start()
    export(dialect, tmp_path, tmp_path / "pieces", {"threshold": "0.3"})
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    for whole in (tmp_path / "whole").iterdir():
        assert whole.read_bytes() == (tmp_path / "pieces" / whole.name).read_bytes()
    # All of them at once take more than ten times as much.
    assert peak_bytes < 2_000_000


def test_many_detections_are_a_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for places and lengths gets them too, more slowly."""
    results = _many(30)
    write_results(results, tmp_path / "a.json")
    monkeypatch.setattr(md, "HELD", 10)
    video, still = ResultsFile(tmp_path / "a.json")

    assert results.media[1] == still
    assert not isinstance(video.detections, tuple)
    assert (30, list(results.media[0].detections)) == (
        len(video.detections),
        list(video.detections),
    )
    assert results.media[0].detections[7:9] == video.detections[7:9]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_many_detections_are_found_again_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    """Wherever in the file that is, with letters of any length before it."""
    monkeypatch.setattr(jsontext, "CHUNK_CHARACTERS", 300)
    monkeypatch.setattr(md, "HELD", 3)
    names = ["Füchse/ä.jpg", "狐/🦊.jpg", "plain.jpg"]
    found = [{"category": "1", "conf": n / 10, "bbox": [0, 0, 1, 1]} for n in range(9)]
    entries = [{"file": name, "species": name, "detections": found} for name in names]
    document = {"ß": "🦊", "images": entries, "detection_categories": {"1": "animal"}}
    text = mark + json.dumps(document, ensure_ascii=False, indent=1)
    (tmp_path / "a.json").write_text(text, encoding="utf-8")

    media = list(ResultsFile(tmp_path / "a.json"))

    assert names == [one.file for one in media]
    for one in media:
        assert not isinstance(one.detections, tuple)
        assert [n / 10 for n in range(9)] == [each.conf for each in one.detections]


def test_a_rate_with_digits_is_the_exact_one(tmp_path: Path) -> None:
    """Other programs write 29.97… for 30000/1001."""
    entry = {"file": "a.mp4", "frame_rate": 30000 / 1001, "frames_processed": [0]}
    (tmp_path / "a.json").write_text(_file(entry | {"detections": []}))

    (video,) = read_results(tmp_path / "a.json").media

    assert Fraction(30000, 1001) == video.frame_rate
    assert Kind.VIDEO is video.kind


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"detections": []}, "images[0].file is missing"),
        ({"file": "a", "detections": 3}, "images[0].detections is no list"),
        ({"file": "a", "detections": [4]}, "images[0].detections[0] is no object"),
        ({"file": "a", "detections": [{"category": "9"}]}, "detections[0].category is '9'"),
        ({"file": "a", "detections": [{"category": "1", "conf": "x"}]}, ".conf is no number"),
        ({"file": "a", "detections": [{"category": "1", "conf": 7}]}, "between 0 and 1"),
        (
            {"file": "a", "detections": [{"category": "1", "conf": 1, "bbox": [1, 2]}]},
            "has not four numbers",
        ),
        ({"file": "a", "frame_rate": 5, "times": [1.0]}, "one time for each processed frame"),
        ({"file": "a", "frame_rate": 5, "frame_rate_exact": "1/0"}, "is no fraction"),
        ({"file": "a", "failure": 4}, "images[0].failure is no text"),
        ({"file": "a", "kind": "sound"}, "neither 'image' nor 'video'"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, entry: dict[str, Any], why: str) -> None:
    """Who reads a file that breaks the rules learns where."""
    (tmp_path / "a.json").write_text(_file(entry))

    with pytest.raises(FormatInvalid) as refused:
        read_results(tmp_path / "a.json")

    assert why in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b'{"images": [',
        b'{"images": [{"file": "a"',
        b'{"images": 3}',
        b'{"images": [NaN]}',
        b'{"images": [' + b"[" * 100_000,
        b'{"images": []} more',
        b'{"images": [' + b"9" * 5000 + b"]}",
        b'{"images": [], "info": 4}',
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: bytes) -> None:
    """Neither a cut, nor nonsense, nor malice does more than one clear error."""
    (tmp_path / "a.json").write_bytes(text)

    with pytest.raises(FormatInvalid):
        read_results(tmp_path / "a.json")


def test_values_are_read_whole_wherever_the_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read in pieces, whose ends may lie in any word or number."""
    results = Results(
        media=tuple(
            Media(
                file=f"{'é' * n}.jpg", detections=(Detection("1", n / 1000, (0.1, 0.25, 0.5, 1)),)
            )
            for n in range(40)
        )
    )
    write_results(results, tmp_path / "a.json")
    for size in (1, 2, 3, 7, 64, 65):
        monkeypatch.setattr("grange.pipelines.wildlife.formats.jsontext.CHUNK_CHARACTERS", size)

        assert results == read_results(tmp_path / "a.json")


def test_the_same_result_is_the_same_file(tmp_path: Path) -> None:
    """Bytes depend on the result alone; the order of the files of a run does too."""
    results = Results(media=(Media(file="b.jpg"), Media(file="a.jpg")))
    write_results(results, tmp_path / "one.json")
    write_results(replace(results), tmp_path / "two.json")

    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def _file(entry: dict[str, Any]) -> str:
    categories = {"1": "animal", "2": "person", "3": "vehicle"}
    info = {"format_version": "1.6"}
    return json.dumps({"info": info, "detection_categories": categories, "images": [entry]})


def _validating() -> Any:
    try:
        from megadetector.postprocessing import validate_batch_results
    except ImportError as error:
        services.unavailable(f"the package megadetector is not installed ({error})")
    return validate_batch_results
