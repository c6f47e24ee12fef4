"""What a report is made of: pictures, the look at all items, charts, words."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grange.core.states import ItemState
from grange.runs.models import Counts, ItemView
from grange.runs.report import charts, pictures, words
from grange.runs.report.pictures import thumbnails
from grange.runs.report.survey import Picture, Sample, Survey, TimeLine
from grange.storage import Store, file_uri, open_store
from tests.runs.factories import START, make_failed, make_item, make_run, surveyed

seconds = st.floats(1e-4, 1e6)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a folder with no pictures in it yet."""
    return open_store(file_uri(tmp_path))


def _thumbnail(store: Store, data: bytes, name: str = "a.png") -> Image.Image | None:
    stored = store.write(name, [data])
    ((_, uri),) = thumbnails(store, [Picture(name, name, stored.size)])
    if uri is None:
        return None
    return Image.open(io.BytesIO(b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def _written(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_picture_becomes_a_small_one(store: Store, kind: str) -> None:
    """It fits 256 pixels, keeps its shape and its colours."""
    small = _thumbnail(store, _written(Image.new("RGB", (1000, 500), (200, 40, 40)), kind))

    assert small is not None
    assert small.size == (256, 128)
    pixel = small.convert("RGB").getpixel((100, 60))
    assert isinstance(pixel, tuple)
    assert all(abs(got - meant) < 12 for got, meant in zip(pixel, (200, 40, 40), strict=True))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_kind_of_pixel_can_be_shown(store: Store, mode: str) -> None:
    """Greys, palettes, transparency and deep scientific pictures all have a thumbnail."""
    kind = "TIFF" if mode in {"CMYK", "I", "F"} else "PNG"

    assert _thumbnail(store, _written(Image.new(mode, (300, 300)), kind)) is not None


def test_a_deep_grey_picture_shows_its_range(store: Store) -> None:
    """Twelve bits of a camera are not all black, nor all white."""
    deep = Image.new("I;16", (64, 64), 1000)
    deep.paste(3000, (0, 0, 32, 64))

    small = _thumbnail(store, _written(deep))

    assert small is not None
    assert small.convert("L").getpixel((8, 8)) == pytest.approx(255, abs=5)
    assert small.convert("L").getpixel((56, 8)) == pytest.approx(0, abs=5)


def test_a_photo_stands_upright(store: Store) -> None:
    """The camera's note which side is up is heeded."""
    exif = Image.Exif()
    exif[0x0112] = 6

    small = _thumbnail(store, _written(Image.new("RGB", (400, 200)), "JPEG", exif=exif))

    assert small is not None
    assert small.size == (128, 256)


def test_transparent_places_are_white(store: Store) -> None:
    """A chart without background is readable on any page."""
    small = _thumbnail(store, _written(Image.new("RGBA", (64, 64), (0, 0, 0, 0))))

    assert small is not None
    assert small.convert("L").getpixel((30, 30)) == 255


def _bomb() -> bytes:
    """A PNG of 900 megapixels in 70 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        _written(Image.new("RGB", (500, 500)))[:200],
        _bomb(),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["empty", "text", "header", "cut", "bomb", "program"],
)
def test_what_is_no_good_picture_is_left_out(store: Store, data: bytes) -> None:
    """Broken, hostile and misnamed files cost nothing but their own thumbnail."""
    assert _thumbnail(store, data) is None


def test_a_picture_that_is_gone_or_too_large_is_left_out(store: Store) -> None:
    """A file that was deleted since, or is larger than the limit, is not even opened."""
    store.write("large.png", [_written(Image.new("RGB", (9, 9)))])
    asked = [Picture("gone.png", "gone", 100), Picture("large.png", "large", 65 << 20)]

    assert [(asked[0], None), (asked[1], None)] == list(thumbnails(store, asked))


def test_pictures_weigh_no_more_than_their_share(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the page is heavy enough, further pictures go without."""
    monkeypatch.setattr(pictures, "MAX_EMBEDDED_BYTES", 2000)
    stored = store.write("a.png", [_written(Image.new("RGB", (300, 300)))])

    found = list(thumbnails(store, [Picture("a.png", "a", stored.size)] * 20))

    weights = [len(uri) for _, uri in found if uri]
    assert 0 < len(weights) < 20
    assert sum(weights) <= 2000


@given(st.integers(0, 3000), st.integers(1, 60))
def test_a_sample_is_even(offered: int, limit: int) -> None:
    """Of however many, no more than wanted are chosen, in order, none far from its place."""
    sample = Sample(limit)
    for number in range(offered):
        sample.offer(Picture(str(number), "", 0))

    chosen = [int(picture.path) for picture in sample.chosen()]
    assert len(chosen) <= limit
    assert len(chosen) >= min(offered, limit)
    assert chosen == sorted(set(chosen))
    gaps = [later - earlier for earlier, later in itertools.pairwise(chosen)]
    assert max(gaps, default=0) <= 4 * max(1, offered / limit)


@given(st.lists(seconds, min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1.0]))
def test_quantiles_are_right_within_a_percent(taken: list[float], share: float) -> None:
    """Groups of durations give the same median as the durations themselves, to a percent."""
    found = _survey(taken)

    exact = sorted(taken)[max(0, -int(-share * len(taken) // 1) - 1)]
    assert found.quantile(share) == pytest.approx(exact, rel=0.011)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=100))
def test_a_time_line_loses_nothing(ends: list[float]) -> None:
    """However the bins had to widen, every end is counted once and there are few bins."""
    line = TimeLine(START)
    for end in ends:
        line.add(START + end, done=end > 10)

    assert len(ends) == line.done.total() + line.failed.total()
    assert max(line.done | line.failed) < 240
    assert (max(line.done | line.failed) + 1) * line.width_seconds >= max(ends)


@given(st.lists(st.tuples(seconds, st.floats(0, 1e6), st.booleans()), max_size=120))
def test_charts_stay_within_their_frame(items: list[tuple[float, float, bool]]) -> None:
    """No bar, tick or line lies outside, and no two bars on each other."""
    found = _surveyed(
        (
            (make_failed if failed else make_item)(n, seconds=taken, ended_at=START + end)
            for n, (taken, end, failed) in enumerate(items)
        ),
        total=len(items),
    )

    for chart in (charts.histogram(found), charts.throughput(found)):
        assert (chart is None) == (len(items) < charts.LEAST_ITEMS)
        if chart is None:
            continue
        assert all(0 <= bar.x and bar.x + bar.width <= 100.001 for bar in chart.bars)
        assert all(0 <= bar.extra <= bar.height <= 100 for bar in chart.bars)
        assert all(
            one.x + one.width <= two.x + 0.001
            for one, two in zip(chart.bars, chart.bars[1:], strict=False)
        )
        assert all(-0.001 <= mark.x <= 100.001 for mark in [*chart.ticks, *chart.lines])
        assert 1 <= len(chart.ticks) <= 12


def test_every_item_falls_into_a_cell() -> None:
    """Grouped or not, the cells' counts add up to all items."""
    found = _surveyed((make_item(n) for n in range(12_345)), total=12_345)

    assert len(found.cells) <= 2000
    assert sum(cell.counts.total() for cell in found.cells) == 12_345


def test_items_that_were_not_worked_on_have_no_duration() -> None:
    """Known results and cancelled items say nothing about how long work takes."""
    items = [
        make_item(0, reused=True),
        make_item(1, state=ItemState.CANCELLED, attempts=0),
        make_item(2, seconds=4.0),
    ]

    found = _surveyed(items, total=3)

    assert found.durations.total() == 1
    assert [row.seconds for row in found.slowest] == [4.0]


def test_the_slowest_items_come_first() -> None:
    """Out of many, the ten that took longest, in that order."""
    found = _survey([float(n * 37 % 101) for n in range(101)])

    assert [row.seconds for row in found.slowest] == [float(n) for n in range(100, 90, -1)]


def _surveyed(items: Iterable[ItemView], total: int) -> Survey:
    run = make_run(counts=Counts(total=total), started_at=START)
    return surveyed(run, items)


def _survey(taken: list[float]) -> Survey:
    items = (make_item(n, seconds=one) for n, one in enumerate(taken))
    return _surveyed(items, total=len(taken))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 ms"),
        (0.0042, "4.2 ms"),
        (0.25, "250 ms"),
        (4.2, "4.20 s"),
        (42.0, "42.0 s"),
        (60.0, "1 min"),
        (185.0, "3 min 5 s"),
        (7805.0, "2 h 10 min"),
        (90_000.0, "1 d 1 h"),
    ],
)
def test_durations_are_told_in_two_units_at_most(value: float, said: str) -> None:
    """A person reads the duration without counting digits."""
    assert said == words.duration(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (2, "2 s"), (2.5, "2.5 s"), (0.25, "250 ms"), (30, "30 s"), (90, "1 min 30 s")],
)
def test_round_durations_have_no_empty_decimals(value: float, said: str) -> None:
    """A label of an axis says 2 s, not 2.00 s."""
    assert said == words.round_duration(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (9.9e15, "9.9 PB")],
)
def test_sizes_are_told_in_their_unit(value: float, said: str) -> None:
    """A person reads the size without counting digits."""
    assert said == words.size(value)


@given(st.text(max_size=50), st.integers(3, 40))
def test_a_shortened_text_keeps_its_ends(text: str, limit: int) -> None:
    """It is never longer than the limit, and what fits is left alone."""
    short = words.shortened(text, limit)

    assert len(short) <= limit
    assert (short == text) == (len(text) <= limit)
    assert short[0:1] == text[0:1]
    assert short[-1:] == text[-1:]


def test_an_item_is_shown_by_the_picture_that_its_pipeline_names() -> None:
    """Of several, the one that is recorded as its thumb; else the first."""
    outputs = tuple({"path": name, "size": 9} for name in ("plots/hist.png", "thumb.jpg"))
    items = [
        make_item(0, path="a.mp4", outputs=outputs, result={"thumb": "thumb.jpg"}),
        make_item(1, path="b.mp4", outputs=outputs),
    ]

    found = _surveyed(items, total=2).pictures.chosen()

    assert ["a.mp4/thumb.jpg", "b.mp4/plots/hist.png"] == [one.path for one in found]
