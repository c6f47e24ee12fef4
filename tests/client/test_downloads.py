"""Bringing files: on from where it was cut off, and never anything but the right bytes."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from grange.client.api import Client
from grange.client.downloads import fetch
from grange.client.known import Known
from grange.client.schemas.files import NewFolder
from grange.client.schemas.runs import FolderInput, NewRun, OutputFile
from grange.client.uploads import LocalFile, Sender
from grange.errors import StoreCorrupt
from tests.client.wire import Wire

MEGABYTE = 1 << 20
SIZE = 8 * MEGABYTE


@pytest.fixture(scope="module")
def content() -> bytes:
    """Give the bytes of the one result."""
    return os.urandom(SIZE)


@pytest.fixture
def result(client: Client, known: Known, content: bytes, tmp_path: Path) -> tuple[str, OutputFile]:
    """Give a run that is done, and its one output."""
    file = tmp_path / "long.bin"
    file.write_bytes(content)
    folder = client.files.make_folder(NewFolder()).id
    Sender(client.connection, known, folder).send([LocalFile("long.bin", file, SIZE, 0)])
    new = NewRun(
        pipeline="command",
        inputs=[FolderInput(folder=folder)],
        settings=["shell=cp {input} {output}/copy"],
    )
    run = client.runs.submit_run(new)
    following = client.runs.follow_events(run.id, after="start")
    for happening in following:
        if getattr(happening, "state", "") == "done":
            break
    following.close()
    output = next(one for one in client.runs.every_output(run.id) if one.item is not None)
    return client.runs.output_path(run.id, output.path), output


def _fetch(client: Client, result: tuple[str, OutputFile], target: Path) -> None:
    path, output = result
    fetch(client.connection, path, target, size=output.size, digest=output.sha256 or "")


def test_a_download_goes_on_over_a_cut_and_over_a_command(
    wire: Wire, wired: Client, result: tuple[str, OutputFile], content: bytes, tmp_path: Path
) -> None:
    """Neither what came before a cut nor what an earlier command left comes twice."""
    target = tmp_path / "target"
    target.write_bytes(content[: 2 * MEGABYTE])
    wire.cut_after_down = 3 * MEGABYTE

    _fetch(wired, result, target)

    assert content == target.read_bytes()
    assert 1 == wire.cuts
    assert wire.down_bytes < SIZE - MEGABYTE


def test_a_file_that_is_whole_is_not_fetched(
    wire: Wire, wired: Client, result: tuple[str, OutputFile], content: bytes, tmp_path: Path
) -> None:
    """Its digest tells."""
    target = tmp_path / "target"
    target.write_bytes(content)

    _fetch(wired, result, target)

    assert 0 == wire.down_bytes


@pytest.mark.parametrize("before", [b"x" * MEGABYTE, b"x" * SIZE, b"x" * (SIZE + 1)])
def test_the_beginning_of_something_else_is_thrown_away(
    client: Client,
    result: tuple[str, OutputFile],
    content: bytes,
    tmp_path: Path,
    before: bytes,
) -> None:
    """What is there in the end has the digest, whatever was there before."""
    target = tmp_path / "target"
    target.write_bytes(before)

    _fetch(client, result, target)

    assert content == target.read_bytes()


def test_other_bytes_than_were_promised_are_refused(
    client: Client, result: tuple[str, OutputFile], tmp_path: Path
) -> None:
    """A result with a wrong digest is an error, and nothing of it stays."""
    path, output = result
    target = tmp_path / "target"

    with pytest.raises(StoreCorrupt):
        fetch(client.connection, path, target, size=output.size, digest=sha256().hexdigest())

    assert not target.exists()
