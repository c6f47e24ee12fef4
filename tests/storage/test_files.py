"""Digests of inputs, and the sealing of what a task has written."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from grange import errors
from grange.storage import Stored, digest_file, seal

ABC = hashlib.sha256(b"abc").hexdigest()


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    """The digest and the size are right whatever the chunks are."""
    content = os.urandom(300_000)
    (tmp_path / "file").write_bytes(content)
    wanted = (hashlib.sha256(content).hexdigest(), len(content))
    for chunk_bytes in (1, 4096, 1 << 20):
        size = 300 if chunk_bytes == 1 else len(content)
        (tmp_path / "file").write_bytes(content[:size])
        wanted = (hashlib.sha256(content[:size]).hexdigest(), size)
        assert digest_file(tmp_path / "file", chunk_bytes=chunk_bytes) == wanted


def test_an_empty_file_has_a_digest(tmp_path: Path) -> None:
    """No bytes are an input like any other."""
    (tmp_path / "file").touch()
    assert digest_file(tmp_path / "file") == (hashlib.sha256().hexdigest(), 0)


def test_an_input_may_be_a_link_with_any_name(tmp_path: Path) -> None:
    """Inputs are the user's: links are followed, and names need not be UTF-8."""
    odd = tmp_path / os.fsdecode(b"\xff\n'")
    odd.write_bytes(b"abc")
    (tmp_path / "link").symlink_to(odd)
    assert digest_file(odd) == digest_file(tmp_path / "link") == (ABC, 3)


def test_an_input_that_is_gone_is_missing(tmp_path: Path) -> None:
    """A file that vanished, a folder above it that did, or a link to nothing."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("absent", "absent/below", "file/below", "link"):
        with pytest.raises(errors.InputMissing):
            digest_file(tmp_path / name)


def test_an_input_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    """A folder, a pipe, a device, a socket, a circle of links: named, and never waited for."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, tmp_path / "socket")
        for name in ("folder", "pipe", "device", "socket", "circle", "x" * 300):
            with pytest.raises(errors.InputUnreadable, match=name):
                digest_file(tmp_path / name)


def test_sealing_says_what_was_written(tmp_path: Path) -> None:
    """Every file with its path, size, digest and time, sorted by path."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("b.txt", "b/c/z", "b/a", "a"):
        (tmp_path / name).write_bytes(b"abc")
    sealed = seal(tmp_path)
    assert [stored.path for stored in sealed] == ["a", "b.txt", "b/a", "b/c/z"]
    for stored in sealed:
        mtime_ns = (tmp_path / stored.path).stat().st_mtime_ns
        assert stored == Stored(path=stored.path, size=3, sha256=ABC, mtime_ns=mtime_ns)


def test_sealing_nothing_makes_nothing(tmp_path: Path) -> None:
    """A folder that is empty or was never made has no files."""
    assert seal(tmp_path / "absent") == []
    assert list(tmp_path.iterdir()) == []
    assert seal(tmp_path) == []


def test_hard_links_are_files(tmp_path: Path) -> None:
    """Two names of one file are two outputs."""
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert [stored.sha256 for stored in seal(tmp_path)] == [ABC, ABC]


@pytest.mark.parametrize("target", ["file", "/etc/passwd", "..", "nowhere"])
def test_links_are_no_outputs(tmp_path: Path, target: str) -> None:
    """A link is refused by name, wherever it leads."""
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to(target)
    with pytest.raises(errors.OutputRefused, match=r"'sub/link' is a symbolic link"):
        seal(tmp_path)


def test_a_staging_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    """A task can't have a folder of somebody else's published in the place of its own."""
    (tmp_path / "else").mkdir()
    (tmp_path / "staged").symlink_to("else")
    with pytest.raises(errors.OutputRefused):
        seal(tmp_path / "staged")


def test_pipes_and_sockets_are_no_outputs(tmp_path: Path) -> None:
    """What only lives while a process does is refused by name, without waiting."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.OutputRefused, match="'pipe' is a pipe"):
        seal(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, tmp_path / "socket")
        with pytest.raises(errors.OutputRefused, match="'socket' is a socket"):
            seal(tmp_path)


def test_devices_are_no_outputs(tmp_path: Path) -> None:
    """A device is refused by name."""
    try:
        os.mknod(tmp_path / "device", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError as error:
        pytest.skip(f"making a device needs root: {error}")
    with pytest.raises(errors.OutputRefused, match="'device' is a device"):
        seal(tmp_path)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """No store path could say it; the message shows it as text."""
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    with pytest.raises(errors.OutputRefused, match=r"caf\\udce9.*not UTF-8") as refusal:
        seal(tmp_path)
    assert str(refusal.value).encode()


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    for number in range(5):
        (tmp_path / str(number)).touch()
    assert len(seal(tmp_path, max_files=5)) == 5
    with pytest.raises(errors.OutputRefused, match="More than 4 files"):
        seal(tmp_path, max_files=4)


def test_folders_too_deep_are_refused(tmp_path: Path) -> None:
    """A file's path may have as many components as the limit says, and no more."""
    folder = tmp_path / "1" / "2"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    assert len(seal(tmp_path, max_depth=3)) == 1
    with pytest.raises(errors.OutputRefused, match="'1/2' is 2 folders deep"):
        seal(tmp_path, max_depth=2)


def test_a_file_that_is_still_written_is_refused(tmp_path: Path) -> None:
    """A digest of half a file is never told: a process that goes on writing is found."""
    script = (
        "import sys\n"
        "with open(sys.argv[1], 'wb', buffering=0) as file:\n"
        "    file.write(b'x' * (64 << 20))\n"
        "    print(flush=True)\n"
        "    while True: file.write(b'y' * 4096)\n"
    )
    path = tmp_path / "file"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        try:
            with pytest.raises(errors.OutputRefused, match="still being written"):
                seal(tmp_path)
        finally:
            writer.kill()


def _bind(listener: socket.socket, path: Path) -> None:
    # A socket's path has to be short, which a test's folder is not.
    folder = os.open(path.parent, os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
