"""Inputs are checked and digested while they are worked on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from grange.core.tasks import Task, TaskKind
from grange.errors import InputChanged, InputMissing, InputUnreadable
from grange.storage import file_uri
from grange.worker.inputs import SMALL_BYTES, Input

SIZES = [0, 1, SMALL_BYTES - 1, SMALL_BYTES, 3 * SMALL_BYTES + 1]


def _task(file: Path) -> Task:
    status = file.stat()
    return Task(
        id=1,
        epoch=1,
        kind=TaskKind.PROCESS,
        uri=file_uri(file),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


@pytest.mark.parametrize("size", SIZES)
def test_an_input_is_digested(tmp_path: Path, size: int) -> None:
    """Whatever its size: none is left open."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    before = len(os.listdir("/proc/self/fd"))

    source = Input(_task(file))

    assert source.wait() == hashlib.sha256(file.read_bytes()).hexdigest()
    source.check()
    assert source.path == file
    # What earlier tests have left may be closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_known_digest_is_believed(tmp_path: Path) -> None:
    """Bytes whose digest is known are not read again."""
    file = tmp_path / "file"
    file.write_bytes(b"x")
    task = _task(file)
    task.sha256 = "known"

    assert Input(task).wait() == "known"


@pytest.mark.parametrize("size", SIZES)
def test_an_input_may_be_deleted_by_its_work(tmp_path: Path, size: int) -> None:
    """It was opened before, so its digest is that of what was worked on."""
    content = os.urandom(size)
    file = tmp_path / "file"
    file.write_bytes(content)

    source = Input(_task(file))
    file.unlink()

    assert source.wait() == hashlib.sha256(content).hexdigest()
    source.check()


@pytest.mark.parametrize("size", SIZES)
def test_an_input_changed_by_its_work_is_refused(tmp_path: Path, size: int) -> None:
    """Whatever was worked on, it is not what was digested."""
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    source = Input(_task(file))
    with file.open("ab") as more:
        more.write(b"x")
    source.wait()

    with pytest.raises(InputChanged):
        source.check()


def test_an_input_replaced_during_its_work_is_refused(tmp_path: Path) -> None:
    """Same size, but another file under the name."""
    file = tmp_path / "file"
    file.write_bytes(b"one")
    source = Input(_task(file))
    (tmp_path / "other").write_bytes(b"two")
    os.utime(tmp_path / "other", ns=(0, 1))
    (tmp_path / "other").replace(file)

    with pytest.raises(InputChanged):
        source.check()


def test_an_input_changed_since_its_submission_is_refused(tmp_path: Path) -> None:
    """The error says how to take the new one."""
    file = tmp_path / "file"
    file.write_bytes(b"one")
    task = _task(file)
    os.utime(file, ns=(0, 1))

    with pytest.raises(InputChanged, match="same command") as caught:
        Input(task)

    assert caught.value.retryable


def test_a_vanished_input_is_missing(tmp_path: Path) -> None:
    """The file, or a folder on its way."""
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "file"
    file.touch()
    task = _task(file)
    file.unlink()
    with pytest.raises(InputMissing):
        Input(task)
    (tmp_path / "folder").rmdir()
    with pytest.raises(InputMissing):
        Input(task)
    (tmp_path / "folder").touch()
    with pytest.raises(InputMissing):
        Input(task)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop"])
def test_what_is_no_readable_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to is not waited for."""
    file = tmp_path / "file"
    file.touch()
    task = _task(file)
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "device":
            file.symlink_to("/dev/zero")
        case "loop":
            file.symlink_to(file)

    with pytest.raises(InputUnreadable) as caught:
        Input(task)

    assert not caught.value.retryable
    assert str(file) in caught.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_input_is_unreadable(tmp_path: Path) -> None:
    """The words say what the system said."""
    file = tmp_path / "file"
    file.touch(mode=0)

    with pytest.raises(InputUnreadable, match="Permission denied"):
        Input(_task(file))


@pytest.mark.parametrize(
    "name", ["a b", "new\nline", "'\"", "ünï", "-rf", "%41", "x" * 255, "\udcff", "#?"]
)
def test_any_name_is_opened(tmp_path: Path, name: str) -> None:
    """What URIs make of names is undone exactly."""
    file = tmp_path / name
    file.write_bytes(b"x")

    source = Input(_task(file))

    assert source.path == file
    assert source.wait() == hashlib.sha256(b"x").hexdigest()
