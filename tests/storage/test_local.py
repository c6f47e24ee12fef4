"""What a store in a folder promises besides: links, rights, disks and memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from grange import errors
from grange.storage import Store, Stored, file_uri, open_store, seal
from grange.storage.oserrors import store_error

# Any user but root that no file belongs to.
NOBODY = 65534

MEASURE = """
import sys
from pathlib import Path
from grange.storage import digest_file, file_uri, open_store, seal

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

root = Path(sys.argv[1])
store = open_store(file_uri(root / "store"))
(root / "in").mkdir()
with open(root / "in" / "sparse", "wb") as file:
    file.truncate(1 << 30)
before = peak_bytes()
assert digest_file(root / "in" / "sparse")[1] == 1 << 30
inputs = open_store(file_uri(root / "in"))
assert sum(map(len, inputs.read("sparse"))) == 1 << 30
stored = store.write("copy", inputs.read("sparse", length=128 << 20))
assert stored.size == 128 << 20
assert seal(root / "store")[0].size == 128 << 20
print(peak_bytes() - before)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Name the store's folder, with a folder beside it that is no part of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def local(root: Path) -> Store:
    """Give the store in that folder."""
    return open_store(file_uri(root))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let the block run without root's rights."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def stage(store: Store, token: str, **files: bytes) -> list[Stored]:
    """Write files into a staging folder and seal it."""
    folder = store.staging(token)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return seal(folder)


@pytest.mark.parametrize("link", ["../outside", "/etc", "sub/../../outside", "up"])
def test_a_link_never_leads_out(local: Store, root: Path, link: str) -> None:
    """Nothing is read, written or deleted through a link that leaves the store."""
    (root / "sub").mkdir()
    (root / "up").symlink_to("../outside")
    (root / "link").symlink_to(link)
    sealed = stage(local, "1-1", file=b"x")
    attempts: list[Callable[[str], object]] = [
        lambda path: local.write(path, [b"x"]),
        lambda path: list(local.read(path)),
        local.stat,
        local.delete,
        local.delete_tree,
        lambda path: list(local.list(path)),
        lambda path: local.publish("1-1", path, expect=sealed),
    ]
    for path in ("link/secret", "link/new/deep", "link"):
        for attempt in attempts:
            with pytest.raises(errors.StorePathRefused, match="leads out"):
                attempt(path)
    assert (root.parent / "outside" / "secret").read_bytes() == b"secret"
    assert list(local.list()) == []


def test_a_tree_is_deleted_without_following_its_links(local: Store, root: Path) -> None:
    """Deleting, replacing and discarding remove a link, never what it leads to."""
    for place in (root / "item", local.staging("1-1")):
        place.mkdir(exist_ok=True)
        (place / "file").touch()
        (place / "link").symlink_to("../../outside")
        (place / "absolute").symlink_to(root.parent / "outside")
    local.delete_tree("item")
    local.discard("1-1")
    assert (root.parent / "outside" / "secret").read_bytes() == b"secret"
    assert not (root / "item").exists()


def test_a_link_within_the_store_is_followed(local: Store, root: Path) -> None:
    """A user's own link from one folder of the store to another works."""
    local.write("data/file", [b"x"])
    (root / "link").symlink_to("data")
    assert b"".join(local.read("link/file")) == b"x"
    local.write("link/other", [b"y"])
    assert [stored.path for stored in local.list()] == ["data/file", "data/other"]


def test_a_circle_of_links_is_refused(local: Store, root: Path) -> None:
    """A circle ends as an error that says so."""
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.raises(errors.StorePathRefused, match="links"):
        local.write("one/file", [b"x"])


@pytest.mark.parametrize("own", [".grange", ".grange/staging", ".grange/tmp"])
def test_the_own_folder_must_not_be_a_link(local: Store, root: Path, own: str) -> None:
    """Nobody can have outputs staged, or files written, somewhere else."""
    (root / own).parent.mkdir(exist_ok=True)
    (root / own).symlink_to(root.parent / "outside")
    with pytest.raises(errors.StorePathRefused, match="link"):
        local.staging("1-1") if own != ".grange/tmp" else local.write("file", [b"x"])
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]


@pytest.mark.parametrize("path", [".grange", ".grange/tmp/x", "link/staging"])
def test_the_own_folder_is_out_of_reach(local: Store, root: Path, path: str) -> None:
    """No path names what the store keeps for itself."""
    stage(local, "1-1", file=b"x")
    (root / "link").symlink_to(".grange")
    for attempt in (
        lambda: local.write(path, [b"x"]),
        lambda: local.delete_tree(path),
        lambda: list(local.list(path)),
    ):
        with pytest.raises(errors.StorePathRefused, match="own"):
            attempt()
    local.write("sub/.grange/file", [b"x"])
    assert [stored.path for stored in local.list()] == ["sub/.grange/file"]


def test_a_root_may_be_a_link(root: Path) -> None:
    """Where the store lies is the user's to say; links above it are not its concern."""
    (root.parent / "here").symlink_to(root)
    store = open_store(file_uri(root.parent / "here"))
    store.write("file", [b"x"])
    assert (root / "file").read_bytes() == b"x"


def test_foreign_things_are_left_out_of_a_listing(local: Store, root: Path) -> None:
    """Links, pipes and names that are not UTF-8 are no files of the store."""
    local.write("folder/file", [b"x"])
    (root / "link").symlink_to("folder/file")
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"caf\xe9")).touch()
    assert [stored.path for stored in local.list()] == ["folder/file"]
    with pytest.raises(errors.StoreMissing, match="pipe"):
        list(local.read("pipe"))


def test_a_folder_called_by_any_bytes_holds_a_store(tmp_path: Path) -> None:
    """The root's own name need not be UTF-8, and its errors are still text."""
    store = open_store(file_uri(tmp_path / os.fsdecode(b"caf\xe9 \n")))
    store.write("file", [b"x"])
    assert b"".join(open_store(store.url).read("file")) == b"x"
    with pytest.raises(errors.StoreMissing) as missing:
        list(store.read("absent"))
    assert str(missing.value).encode()


def test_published_folders_have_the_usual_rights(local: Store, root: Path) -> None:
    """Staging is private, and what is published is as open as the user's other folders."""
    sealed = stage(local, "1-1", file=b"x")
    assert local.staging("1-1").stat().st_mode & 0o777 == 0o700
    local.publish("1-1", "item", expect=sealed)
    (root / "usual").mkdir()
    assert (root / "item").stat().st_mode == (root / "usual").stat().st_mode
    local.write("file", [b"x"])
    (root / "touched").touch()
    assert (root / "file").stat().st_mode == (root / "touched").stat().st_mode


def test_a_path_is_never_absent_while_it_is_replaced(local: Store) -> None:
    """A reader always finds the old folder or the new one."""
    local.publish("0-1", "item", expect=stage(local, "0-1", file=b"x"))
    done = threading.Event()

    def watch() -> int:
        seen = 0
        while not done.is_set():
            assert local.stat("item/file") is not None
            seen += 1
        return seen

    with ThreadPoolExecutor(1) as pool:
        watcher = pool.submit(watch)
        for number in range(1, 40):
            sealed = stage(local, f"{number}-1", file=b"x" * number)
            local.publish(f"{number}-1", "item", expect=sealed)
        done.set()
        assert watcher.result() > 0


def test_cleaning_leaves_no_trace(local: Store, root: Path) -> None:
    """When all is published and discarded, the store's own folder is gone."""
    for token in ("1-1", "1-2"):
        local.publish(token, "item", expect=stage(local, token, file=token.encode()))
    local.write("file", [b"x"])
    stage(local, "2-1", file=b"x")
    local.clean()
    assert sorted(path.name for path in (root / ".grange").iterdir()) == ["staging"]
    local.discard("2-1")
    local.clean()
    assert sorted(path.name for path in root.iterdir()) == ["file", "item"]


def test_a_very_deep_tree_is_deleted(local: Store) -> None:
    """Folders that go deeper than a path can say are refused, and removed all the same."""
    staging = local.staging("1-1")
    place = os.open(staging, os.O_DIRECTORY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=place)
        below = os.open("deeper", os.O_DIRECTORY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    with pytest.raises(errors.OutputRefused, match="deep"):
        seal(staging)
    local.discard("1-1")
    assert not staging.exists()


def test_folders_that_were_locked_are_deleted() -> None:
    """A task that takes away its own folders' rights can still be discarded."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        with as_nobody():
            store = open_store(file_uri(Path(folder) / "store"))
            staging = store.staging("1-1")
            (staging / "sub" / "deep").mkdir(parents=True)
            (staging / "sub" / "deep" / "file").touch()
            (staging / "sub" / "deep").chmod(0)
            (staging / "sub").chmod(0o500)
            with pytest.raises(errors.OutputRefused, match="'sub/deep' can't be read"):
                seal(staging)
            store.discard("1-1")
            assert not staging.exists()


def test_a_store_without_rights_is_denied(root: Path, local: Store) -> None:
    """Every operation says which folder this user has no rights in."""
    local.write("folder/file", [b"x"])
    root.chmod(0)
    try:
        with as_nobody():
            for attempt in (
                lambda: local.write("new", [b"x"]),
                lambda: list(local.read("folder/file")),
                lambda: list(local.list()),
                lambda: local.delete("folder/file"),
                lambda: local.staging("1-1"),
            ):
                with pytest.raises(errors.StoreDenied) as denial:
                    attempt()
                assert str(root) in denial.value.hint
    finally:
        root.chmod(0o700)


def test_a_full_disk_is_said_and_leaves_nothing_half(small_disk: Path) -> None:
    """The error names the disk; the old file stays, room comes back, and writing goes on."""
    store = open_store(file_uri(small_disk / "store"))
    store.write("file", [b"old"])
    free = store.free_bytes()
    for path in ("file", "folder/new"):
        with pytest.raises(errors.StoreFull) as full:
            store.write(path, (b"x" * (1 << 20) for _ in range(8)))
        assert str(small_disk) in full.value.hint
    assert [stored.path for stored in store.list()] == ["file"]
    assert b"".join(store.read("file")) == b"old"
    assert store.free_bytes() == free
    store.write("file", [b"new"])
    assert b"".join(store.read("file")) == b"new"


def test_a_full_disk_can_be_freed(small_disk: Path) -> None:
    """What is staged can be published, and trees deleted, with not one byte left."""
    store = open_store(file_uri(small_disk / "store"))
    store.publish("1-1", "old", expect=stage(store, "1-1", file=b"x" * 1000))
    store.clean()
    sealed = stage(store, "1-2", file=b"y" * 1000)
    filler = os.open(small_disk / "filler", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(filler, bytes(4096)):
            pass
    os.close(filler)
    assert store.free_bytes() == 0
    store.publish("1-2", "old", expect=sealed)
    assert store.published("old", sealed)
    store.delete_tree("old")
    assert list(store.list()) == []


def test_a_read_only_disk_is_denied(small_disk: Path) -> None:
    """The error names the mount, and what is there can still be read."""
    store = open_store(file_uri(small_disk / "store"))
    store.write("file", [b"x"])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for attempt in (lambda: store.write("new", [b"x"]), lambda: store.delete("file")):
        with pytest.raises(errors.StoreDenied) as denial:
            attempt()
        assert f"{small_disk} is mounted read-only" in denial.value.hint
    assert b"".join(store.read("file")) == b"x"


def test_every_refusal_of_the_system_is_a_store_error(tmp_path: Path) -> None:
    """No errno escapes, and each message holds the system's own words."""
    for number, name in errno.errorcode.items():
        error = store_error(OSError(number, name), action="write", path="a", root=tmp_path)
        assert isinstance(error, errors.StoreError)
        assert name in error.message
        assert "'a'" in error.message
    unknown = store_error(OSError("odd"), action="seal", path="", root=tmp_path)
    assert "odd" in unknown.message


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Files of any size are digested, sealed, read and written in a few megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 16 << 20


def test_importing_storage_is_cheap() -> None:
    """Nothing from outside the standard library comes along, nor what is slow in it."""
    script = (
        "import sys, grange.storage\n"
        "slow = {'ctypes', 'subprocess', 'shutil', 'pydantic', 'sqlalchemy', 'asyncio'}\n"
        "print(slow & set(sys.modules), 'grange.storage.local' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "set() False"
