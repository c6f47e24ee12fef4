"""Shared folders: what lies in them is found, and nothing else is told apart from nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grange.errors import InputsInvalid
from grange.uploads.shares import Sample, listed, matches, resolve


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Give a shared folder with a secret beside it."""
    share = tmp_path / "share"
    (share / "night 1").mkdir(parents=True)
    (share / "night 1" / "a.jpg").write_bytes(b"fox")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s").write_bytes(b"secret")
    (share / "out").symlink_to(tmp_path / "secret")
    (share / "inner").symlink_to(share / "night 1")
    os.mkfifo(share / "pipe")
    return share


def test_what_lies_in_a_share_is_found(share: Path) -> None:
    """The share itself, its folders and its files."""
    for path in (share, share / "night 1", share / "night 1" / "a.jpg"):
        assert path == resolve([Path("/nowhere"), share], str(path))
    assert share == resolve([share], f"{share}/")


@pytest.mark.parametrize(
    "below",
    [
        "/../secret/s",
        "/night 1/../../secret",
        "/out",
        "/out/s",
        "/inner/a.jpg",
        "/pipe",
        "/missing",
        "/night 1/a.jpg/x",
        "//night 1",
        "/./night 1",
        "/night 1\0",
        "2",
    ],
)
def test_nothing_else_is(share: Path, below: str) -> None:
    """What is outside, behind a link or not there is refused in the very same words."""
    asked = f"{share}{below}"
    with pytest.raises(InputsInvalid) as refused:
        resolve([share], asked)
    with pytest.raises(InputsInvalid) as missing:
        resolve([share], "/not/there")

    assert missing.value.message == refused.value.message.replace(repr(asked), "'/not/there'")
    with pytest.raises(InputsInvalid):
        resolve([share], "night 1")


def test_samples_match_by_size_and_time(share: Path) -> None:
    """Only the very same files match; a link, a folder or another time does not."""
    status = (share / "night 1" / "a.jpg").stat()
    right = Sample(path="night 1/a.jpg", size=status.st_size, mtime_ns=status.st_mtime_ns)

    assert matches(share, [right])
    assert matches(
        share / "night 1" / "a.jpg",
        [Sample(path="", size=status.st_size, mtime_ns=status.st_mtime_ns)],
    )
    for path, size, later in (
        ("night 1/a.jpg", 4, 0),
        ("night 1/a.jpg", 3, 1),
        ("night 1/b.jpg", 3, 0),
        ("inner/a.jpg", 3, 0),
        ("../share/night 1/a.jpg", 3, 0),
        ("night 1", 3, 0),
    ):
        wrong = Sample(path=path, size=size, mtime_ns=status.st_mtime_ns + later)
        assert not matches(share, [right, wrong])


def test_the_setting_names_folders() -> None:
    """Colons stand between; nothing is none."""
    assert [Path("/a"), Path("/b c")] == listed("/a:/b c")
    assert [] == listed(None)
