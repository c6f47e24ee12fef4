"""Files that come into a staging folder from another machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from grange import errors
from grange.storage import Stored, seal
from grange.storage.arrivals import Arrival, Arrivals

CONTENT = b"0123456789" * 1000


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Arrival]:
    """Give a function that begins a file, or a piece of one, of the same staging folder."""
    folder, aside = _folders(tmp_path)
    arrivals = Arrivals()
    return lambda path, **options: arrivals.begin(folder, aside, path, **options)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, place: Callable[..., Arrival]) -> None:
    """Before its last byte is there, nothing is in the staging folder."""
    with place("a/b.bin", size=len(CONTENT)) as arrival:
        arrival.write([CONTENT[:5000]])
        assert [] == os.listdir(tmp_path / "staging")
        arrival.write([CONTENT[5000:]])
        stored = arrival.end(_digest(CONTENT))

    assert CONTENT == (tmp_path / "staging" / "a" / "b.bin").read_bytes()
    assert stored is not None
    assert (len(CONTENT), _digest(CONTENT)) == (stored.size, stored.sha256)
    assert [] == os.listdir(tmp_path / "aside")


def test_pieces_make_one_file(tmp_path: Path, place: Callable[..., Arrival]) -> None:
    """Each piece may be cut off and sent again, and the digest is that of the whole."""
    size = len(CONTENT)
    assert _send(place, CONTENT[:4000], size=size) is None
    with place("big", offset=4000, size=size) as cut:
        cut.write([CONTENT[4000:4444]])
    assert _send(place, CONTENT[4000:8000], offset=4000, size=size) is None
    stored = _send(place, CONTENT[8000:], offset=8000, size=size, digest=_digest(CONTENT))

    assert CONTENT == (tmp_path / "staging" / "big").read_bytes()
    assert stored is not None
    assert _digest(CONTENT) == stored.sha256


def test_another_process_goes_on(tmp_path: Path, place: Callable[..., Arrival]) -> None:
    """A server that was started again takes the digest of what was there before."""
    size = len(CONTENT)
    _send(place, CONTENT[:4000], size=size)
    folder, aside = _folders(tmp_path)

    def begin(path: str, offset: int, size: int) -> Arrival:
        return Arrivals().begin(folder, aside, path, offset=offset, size=size)

    stored = _send(begin, CONTENT[4000:], offset=4000, size=size, digest=_digest(CONTENT))

    assert stored is not None
    assert CONTENT == (folder / "big").read_bytes()


def test_the_last_piece_may_come_twice(place: Callable[..., Arrival]) -> None:
    """Its answer may have been lost: the file stays, with the time that it has."""
    size = len(CONTENT)
    _send(place, CONTENT[:4000], size=size)
    first = _send(place, CONTENT[4000:], offset=4000, size=size, digest=_digest(CONTENT))
    again = _send(place, CONTENT[4000:], offset=4000, size=size, digest=_digest(CONTENT))

    assert first == again
    with pytest.raises(errors.ChecksumWrong):
        _send(place, CONTENT[4000:], offset=4000, size=size, digest=_digest(b"other"))


def test_what_was_not_sent_is_not_kept(tmp_path: Path, place: Callable[..., Arrival]) -> None:
    """Bytes that changed on the way are told, and leave nothing."""
    with pytest.raises(errors.ChecksumWrong):
        _send(place, b"garbled", size=7, digest=_digest(b"precise"))

    assert [] == os.listdir(tmp_path / "staging")
    assert [] == os.listdir(tmp_path / "aside")


def test_a_piece_needs_those_before(place: Callable[..., Arrival]) -> None:
    """Whoever begins in the middle is told to begin anew."""
    with pytest.raises(errors.UploadConflict):
        place("big", offset=10, size=100)


def test_a_file_comes_in_once_at_a_time(place: Callable[..., Arrival]) -> None:
    """A request that was given up and still runs can't mix its bytes into its successor's."""
    with place("big", size=10), pytest.raises(errors.UploadConflict):
        place("big", size=10)


def test_a_file_may_not_be_longer_than_it_was_said(place: Callable[..., Arrival]) -> None:
    """Whoever says ten bytes may send ten."""
    with place("big", size=10) as arrival, pytest.raises(errors.TooLarge):
        arrival.write([b"0123456789a"])


@pytest.mark.parametrize("path", ["", "../a", "/etc/passwd", "a//b", "a/../../b", "a\0b", "./a"])
def test_no_path_leads_out(path: str, place: Callable[..., Arrival]) -> None:
    """Only plain relative paths are taken."""
    with pytest.raises(errors.StorePathRefused):
        place(path, size=1)


def test_paths_have_a_depth(place: Callable[..., Arrival]) -> None:
    """As deep as may be published, and no deeper."""
    with pytest.raises(errors.TooLarge):
        place("/".join("d" * 70), size=1)


def test_a_file_in_the_way_of_a_folder_is_told(place: Callable[..., Arrival]) -> None:
    """An output can't be a file and a folder."""
    _send(place, b"1", path="a", size=1)
    with pytest.raises(errors.StorePathRefused):
        _send(place, b"1", path="a/b", size=1)
    _send(place, b"1", path="c/d", size=1)
    with pytest.raises(errors.StorePathRefused):
        _send(place, b"1", path="c", size=1)


def test_what_is_thrown_away_does_not_come_back(
    tmp_path: Path, place: Callable[..., Arrival]
) -> None:
    """A late file makes no folder anew that the end of its attempt has removed."""
    with place("late", size=4) as arrival:
        arrival.write([b"late"])
        (tmp_path / "staging").rmdir()
        with pytest.raises(errors.StoreMissing):
            arrival.end()

    assert not (tmp_path / "staging").exists()


def test_a_full_disk_keeps_no_part(small_disk: Path) -> None:
    """What does not fit is told, and takes no room from others."""
    folder, aside = _folders(small_disk)
    with Arrivals().begin(folder, aside, "big", size=4 << 20) as arrival:
        with pytest.raises(errors.StoreFull):
            arrival.write([bytes(1 << 20) for _ in range(4)])
        assert [0] == [one.stat().st_size for one in aside.iterdir()]


def test_sealing_reads_nothing_that_came_by(tmp_path: Path) -> None:
    """What is known is believed while size and time are the same, and read when they are not."""
    folder, aside = _folders(tmp_path)
    arrivals = Arrivals()
    with arrivals.begin(folder, aside, "a", size=3) as arrival:
        arrival.write([b"abc"])
        stored = arrival.end()
    assert stored is not None
    claimed = Stored("a", 3, "f" * 64, stored.mtime_ns)

    assert [claimed] == seal(folder, known={"a": claimed})
    assert {"a": stored} == arrivals.known(folder)
    (folder / "a").write_bytes(b"abcd")
    assert [_digest(b"abcd")] == [one.sha256 for one in seal(folder, known={"a": claimed})]
    arrivals.forget(folder)
    assert {} == arrivals.known(folder)


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("staging", "aside"):
        (tmp_path / name).mkdir(exist_ok=True)
    return tmp_path / "staging", tmp_path / "aside"


def _send(
    begin: Callable[..., Arrival],
    piece: bytes,
    *,
    size: int,
    offset: int = 0,
    digest: str | None = None,
    path: str = "big",
) -> Stored | None:
    with begin(path, offset=offset, size=size) as arrival:
        arrival.write([piece])
        return arrival.end(digest)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
