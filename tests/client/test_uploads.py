"""Sending files: only what the server lacks, and on from where it was cut off."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from grange.client.api import Client
from grange.client.known import Known
from grange.client.schemas.files import NewFolder
from grange.client.uploads import PIECE_BYTES, LocalFile, Sender, Sent
from grange.errors import InputMissing, ServerUnreachable
from tests.client.wire import Wire
from tests.server.scene import Serving

MEGABYTE = 1 << 20


def _send(client: Client, known: Known, files: list[LocalFile], folder: str = "") -> Sent:
    folder = folder or client.files.make_folder(NewFolder(name="sent")).id
    return Sender(client.connection, known, folder).send(files)


def _file(path: Path, content: bytes) -> LocalFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return _found(path)


def _found(path: Path) -> LocalFile:
    status = path.stat()
    return LocalFile(path.name, path, status.st_size, status.st_mtime_ns)


def test_what_was_sent_is_what_is_there(client: Client, known: Known, tmp_path: Path) -> None:
    """Large and small, empty and oddly named: the server has each under its path, byte for byte."""
    files = [
        _file(tmp_path / "large.bin", os.urandom(3 * MEGABYTE)),
        _file(tmp_path / "small.txt", b"small\n"),
        _file(tmp_path / "empty", b""),
        _file(tmp_path / 'ä "日本" \'', b"odd"),
    ]
    folder = client.files.make_folder(NewFolder()).id

    sent = _send(client, known, files, folder)

    there = {one.path: one.size for one in client.files.every_file(folder)}
    assert {one.path: one.size for one in files} == there
    assert len(files) == sent.files
    assert sent.bytes == sum(there.values())


def test_an_upload_that_was_cut_goes_on_where_it_was(
    wire: Wire, wired: Client, known: Known, tmp_path: Path
) -> None:
    """After a cut in the middle, no more than a piece travels twice."""
    size = 3 * PIECE_BYTES
    file = _file(tmp_path / "long.bin", os.urandom(size))
    wire.cut_after_up = 2 * PIECE_BYTES + MEGABYTE

    _send(wired, known, [file])

    assert 1 == wire.cuts
    assert size <= wire.up_bytes < size + PIECE_BYTES + MEGABYTE


def test_another_command_goes_on_with_an_upload(
    wire: Wire, wired: Client, client: Client, known: Known, tmp_path: Path
) -> None:
    """What an ended command has sent of a file need not be sent again."""
    size = 3 * PIECE_BYTES
    file = _file(tmp_path / "long.bin", os.urandom(size))
    folder = wired.files.make_folder(NewFolder()).id
    wire.cut_after_up = 2 * PIECE_BYTES + MEGABYTE
    patience, wired.connection.patience_seconds = wired.connection.patience_seconds, 0
    with pytest.raises(ServerUnreachable):
        _send(wired, known, [file], folder)
    wired.connection.patience_seconds = patience
    before = wire.up_bytes

    _send(wired, known, [file], folder)

    assert wire.up_bytes - before < PIECE_BYTES + MEGABYTE
    assert [size] == [one.size for one in client.files.every_file(folder)]


def test_known_content_is_not_sent_twice(
    wire: Wire, wired: Client, known: Known, tmp_path: Path
) -> None:
    """The same bytes under another name, in another folder, cost a few hundred bytes."""
    content = os.urandom(2 * MEGABYTE)
    _send(wired, known, [_file(tmp_path / "one.bin", content), _file(tmp_path / "a.txt", b"abc")])
    before = wire.up_bytes

    sent = _send(
        wired, known, [_file(tmp_path / "other.bin", content), _file(tmp_path / "b.txt", b"abc")]
    )

    assert 0 == sent.sent_bytes
    assert 2 == sent.files
    assert wire.up_bytes - before < 10_000


def test_a_file_that_has_not_changed_is_not_read_again(
    client: Client, known: Known, tmp_path: Path
) -> None:
    """Its size and time tell that it is the same: a second submission reads nothing."""
    file = _file(tmp_path / "a.bin", b"x" * 1000)
    _send(client, known, [file])
    with file.file.open("r+b") as changed:
        changed.write(b"y")
    os.utime(file.file, ns=(file.mtime_ns, file.mtime_ns))

    sent = _send(client, known, [file])

    assert 0 == sent.sent_bytes


def test_many_small_files_travel_together(
    server: Serving, client: Client, known: Known, tmp_path: Path
) -> None:
    """3,000 files need a few requests, not thousands."""
    files = [_file(tmp_path / f"{number}.txt", b"%d" % number) for number in range(3000)]
    folder = client.files.make_folder(NewFolder()).id
    before = len(server.log.read_text().splitlines())

    sent = _send(client, known, files, folder)

    said = "\n".join(server.log.read_text().splitlines()[before:])
    requests = len(re.findall(r"(POST|PATCH|HEAD|GET) /api/v1/", said))
    assert 3000 == sent.files
    assert 3000 == client.files.show_folder(folder).files
    assert 0 < requests < 30


def test_a_file_that_is_gone_is_said(client: Client, known: Known, tmp_path: Path) -> None:
    """The name of the file is in the one line that is said."""
    file = _file(tmp_path / "gone.txt", b"soon")
    file.file.unlink()

    with pytest.raises(InputMissing, match=r"gone\.txt"):
        _send(client, known, [file])
