"""Every store under test, and what tests do to the ground under them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grange.storage import Store, Stored, file_uri, folders, open_store, seal
from tests.buckets import Bucket


def _local(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    return open_store(file_uri(folder / "store"))


def _local_without_exchange(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    # As on NFS, and with a C library that lacks the call.
    monkeypatch.setattr(folders, "_renameat2", lambda: None)
    return open_store(file_uri(folder / "store"))


# The next store joins the contract here.
STORES: dict[str, Callable[[Path, pytest.MonkeyPatch], Store]] = {
    "local": _local,
    "local without exchange": _local_without_exchange,
}
S3 = "s3"


@pytest.fixture(params=[*sorted(STORES), pytest.param(S3, marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give an empty store of each kind."""
    if request.param == S3:
        bucket: Bucket = request.getfixturevalue("bucket")
        # Where it stages when nobody says where.
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return open_store(f"{bucket.url}/a folder/store")
    return STORES[request.param](tmp_path, monkeypatch)


@pytest.fixture
def stage(store: Store) -> Callable[..., list[Stored]]:
    """Write files into a staging folder and seal it."""

    def stage(token: str, **files: bytes) -> list[Stored]:
        folder = store.staging(token)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return seal(folder)

    return stage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"a small disk needs the right to mount: {error}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
