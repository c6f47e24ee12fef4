"""Stills of any kind: upright, in RGB, dated; or refused in one sentence."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, features

from grange.errors import InputUnreadable
from grange.pipelines.wildlife.media.probe import kind_of
from grange.pipelines.wildlife.media.stills import open_still
from grange.pipelines.wildlife.results import Kind

# Half red, half blue, and wider than high, so that its orientation shows.
PLAIN = np.zeros((40, 60, 3), np.uint8)
PLAIN[:, :30] = (200, 30, 30)
PLAIN[:, 30:] = (30, 30, 200)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "AVIF"])
def test_pictures_of_every_usual_format_are_read(tmp_path: Path, kind: str) -> None:
    """The content tells the format; the pixels are what was saved."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    path = tmp_path / "picture.mp4"
    Image.fromarray(PLAIN).save(path, kind, quality=95)

    still = open_still(path)

    assert Kind.IMAGE == kind_of(path)
    assert (60, 40, None) == (still.picture.width, still.picture.height, still.taken)
    assert np.abs(still.picture.pixels()[:, 4:26].astype(int) - PLAIN[:, 4:26]).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_however_the_camera_was_held(tmp_path: Path, orientation: int) -> None:
    """Each of the eight orientations of EXIF is undone."""
    undone = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    marked = PLAIN.copy()
    marked[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(undone[orientation](marked))).save(path, exif=exif)

    assert np.array_equal(marked, open_still(path).picture.pixels())


def test_colours_are_rgb_whatever_was_stored(tmp_path: Path) -> None:
    """CMYK, grey, palettes, single bits and transparency come as plain colours."""
    picture = Image.fromarray(PLAIN)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    picture.convert("L").save(tmp_path / "grey.png")
    picture.quantize(4).save(tmp_path / "palette.png")
    picture.convert("1").save(tmp_path / "bits.png")
    picture.convert("LA").save(tmp_path / "grey-alpha.png")
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")

    found = {path.name: open_still(path).picture.pixels() for path in tmp_path.iterdir()}

    assert {(40, 60, 3)} == {pixels.shape for pixels in found.values()}
    assert np.abs(found["cmyk.jpg"][20, 10].astype(int) - PLAIN[20, 10]).max() < 25
    assert [81, 81, 81] == found["grey.png"][20, 10].tolist()
    assert np.array_equal(found["grey.png"], found["grey-alpha.png"])
    assert np.abs(found["palette.png"].astype(int) - PLAIN).max() < 30
    assert (found["clear.png"] == 255).all()


def test_deep_pictures_take_little_memory(tmp_path: Path) -> None:
    """Of a few hundred kB, a hundred million pixels can be made."""
    Image.fromarray(np.zeros((1000, 1000), np.uint16)).save(tmp_path / "deep.png")

    tracemalloc.start()
    open_still(tmp_path / "deep.png")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 12 * 1000 * 1000


@pytest.mark.parametrize(("top", "kind"), [(65535, "PNG"), (4095, "TIFF"), (255, "PNG")])
def test_deep_pictures_keep_their_uppermost_bits(tmp_path: Path, top: int, kind: str) -> None:
    """Of 16 bits, or of the 12 that a sensor used of them, the brightest is bright."""
    ramp = np.linspace(0, top, 60).astype(np.uint16)[None].repeat(40, axis=0)
    Image.fromarray(ramp).save(tmp_path / "deep", kind)

    pixels = open_still(tmp_path / "deep").picture.pixels()

    assert (40, 60, 3) == pixels.shape
    assert (0, 255) == (pixels.min(), pixels.max())
    assert 127 == pytest.approx(int(pixels[0, 30, 0]), abs=4)


def test_of_several_pictures_the_first_is_taken(tmp_path: Path) -> None:
    """Animations and pages are no videos: the first picture stands for them."""
    pages = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "TIFF", "WEBP"):
        pages[0].save(tmp_path / kind, kind, save_all=True, append_images=pages[1:])
        still = open_still(tmp_path / kind)
        assert (20, 10) == (still.picture.width, still.picture.height)
        assert still.picture.pixels()[5, 5, 0] > 200


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({0x9003: "2026:05:04 06:12:33"}, "2026-05-04T06:12:33"),
        ({0x9003: "2026:05:04 06:12:33", 0x9011: "+02:00"}, "2026-05-04T06:12:33+02:00"),
        ({0x9003: "2026-05-04 06:12:33"}, "2026-05-04T06:12:33"),
        ({0x9004: "2026:05:04 06:12:33"}, "2026-05-04T06:12:33"),
        ({0x9003: "0000:00:00 00:00:00"}, None),
        ({0x9003: "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_moment_comes_from_the_exif(
    tmp_path: Path, tags: dict[int, str], expected: str | None
) -> None:
    """As the camera's clock showed it, with a zone only if the camera knew one."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    Image.fromarray(PLAIN).save(tmp_path / "dated.jpg", exif=exif)

    taken = open_still(tmp_path / "dated.jpg").taken

    assert expected == (taken.isoformat() if taken else None)


@pytest.mark.parametrize("filled_up", [False, True])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_a_picture_that_was_cut_off_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, filled_up: bool
) -> None:
    """Half a picture is none, even where another package lets Pillow fill it up with grey."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", filled_up)
    path = tmp_path / "half"
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(InputUnreadable, match=f"'half' .* {kind} picture"):
        open_still(path)


def test_a_picture_larger_than_any_camera_takes_is_refused(tmp_path: Path) -> None:
    """A few bytes that claim billions of pixels cost no memory."""
    for side in (12_000, 60_000):
        path = tmp_path / f"{side}.png"
        path.write_bytes(_png(side, side))
        with pytest.raises(InputUnreadable, match="more than 120,000,000 pixels"):
            open_still(path)


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_a_picture_gives_its_whole_and_its_parts(tmp_path: Path) -> None:
    """Any size can be asked for; parts end at the picture's edge."""
    path = tmp_path / "still.png"
    Image.fromarray(PLAIN).save(path)
    picture = open_still(path).picture

    assert np.array_equal(PLAIN, picture.pixels())
    assert (7, 31, 3) == picture.scaled(31, 7).shape
    assert np.array_equal(PLAIN[30:, 50:], picture.cropped(50, 30, 90, 90))
    assert np.array_equal(PLAIN[:5, :5], picture.cropped(-5, -5, 5, 5))
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels()[0, 0] = 0
