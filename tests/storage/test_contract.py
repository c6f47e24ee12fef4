"""What every store promises, whatever it keeps its bytes in."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from grange import errors
from grange.storage import Store, Stored, open_store, seal

Stage = Callable[..., list[Stored]]

ODD_NAMES = [
    "with space",
    " ",
    "line\nbreak",
    'quote\'d "twice" `and` $HOME',
    "-rf",
    "--",
    "*?[a]",
    "back\\slash",
    "%41%2F",
    "ünïcödé 中文 🦊",
    "e\u0301",
    "...",
    "x" * 255,
    "中" * 85,
    "#fragment?query=1",
]


def content(store: Store, path: str) -> bytes:
    """Read a whole file."""
    return b"".join(store.read(path))


def paths(store: Store, prefix: str = "") -> list[str]:
    """List what is below a prefix."""
    return [stored.path for stored in store.list(prefix)]


def test_what_was_written_is_read(store: Store) -> None:
    """A file comes back byte for byte, and writing tells its size and digest."""
    stored = store.write("folder/file", [b"one ", b"", b"two"])
    assert content(store, "folder/file") == b"one two"
    assert stored.path == "folder/file"
    assert stored.size == 7
    assert stored.sha256 == hashlib.sha256(b"one two").hexdigest()
    assert store.stat("folder/file") == Stored(path="folder/file", size=7, mtime_ns=stored.mtime_ns)


def test_a_file_may_be_empty(store: Store) -> None:
    """No bytes are a file like any other."""
    assert store.write("empty", []).size == 0
    assert content(store, "empty") == b""
    assert store.stat("empty") is not None


def test_writing_replaces(store: Store) -> None:
    """The last writer's bytes are what is read."""
    store.write("file", [b"a longer old content"])
    store.write("file", [b"new"])
    assert content(store, "file") == b"new"


def test_a_range_is_read_alone(store: Store) -> None:
    """A range gives its bytes and stops at the end of the file."""
    store.write("file", [bytes(range(256)) * 8192])
    whole = content(store, "file")
    for start, length in [(0, 0), (0, 1), (5, 1_500_000), (2_097_000, 4096), (9_999_999, 10)]:
        got = b"".join(store.read("file", start=start, length=length))
        assert got == whole[start : start + length]
    assert b"".join(store.read("file", start=2_000_000)) == whole[2_000_000:]
    assert all(len(chunk) <= 1 << 20 for chunk in store.read("file"))


def test_what_is_not_there_is_missing(store: Store) -> None:
    """Absence is an answer for stat, list and delete, and an error for read."""
    store.write("file", [b"x"])
    for path in ("absent", "absent/below", "file/below"):
        assert store.stat(path) is None
        assert paths(store, path) == []
        store.delete(path)
        store.delete_tree(path)
    with pytest.raises(errors.StoreMissing, match="absent"):
        content(store, "absent")


def test_a_store_that_was_never_written_is_empty(store: Store) -> None:
    """Asking makes nothing, and needs nothing to be there."""
    assert paths(store) == []
    assert list(store.staged()) == []
    assert store.stat("file") is None
    store.delete("file")
    store.delete_tree("folder")
    store.discard("1-1")
    store.clean()
    assert paths(store) == []


def test_a_folder_is_no_file(store: Store) -> None:
    """A folder can't be read, looked at, overwritten or deleted as a file."""
    store.write("folder/file", [b"x"])
    assert store.stat("folder") is None
    for attempt in (
        lambda: content(store, "folder"),
        lambda: store.write("folder", [b"y"]),
        lambda: store.delete("folder"),
    ):
        with pytest.raises(errors.StoreError):
            attempt()
    assert content(store, "folder/file") == b"x"


def test_a_file_is_no_folder(store: Store) -> None:
    """Nothing can be written, published or deleted as a tree where a file is."""
    store.write("file", [b"x"])
    with pytest.raises(errors.StoreError):
        store.write("file/below", [b"y"])
    with pytest.raises(errors.StoreError):
        store.delete_tree("file")
    assert content(store, "file") == b"x"


def test_a_listing_is_sorted_by_path(store: Store) -> None:
    """Files come in the order of their whole paths, as a key-value store has them."""
    names = ["a!/x", "a-b", "a.txt", "a/b", "a/b.c", "a0", "b/c/d/e", "é", "中", "b/c.d", "A"]
    for name in names:
        store.write(name, [b"x"])
    assert paths(store) == sorted(names)


def test_a_listing_stays_below_its_prefix(store: Store) -> None:
    """A prefix is a folder: names that only begin like it are not in it."""
    for path in ("item/one", "item/sub/two", "item.txt", "items/three"):
        store.write(path, [b"x"])
    assert paths(store, "item") == ["item/one", "item/sub/two"]
    assert paths(store, "item/sub") == ["item/sub/two"]
    assert paths(store, "item.txt") == []


def test_a_listing_is_lazy(store: Store) -> None:
    """A listing can be given up after its first file."""
    for number in range(20):
        store.write(f"folder{number}/file", [b"x"])
    listing = store.list()
    assert next(listing).path == "folder0/file"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_names(store: Store, stage: Stage, name: str) -> None:
    """Whatever a file may be called is written, listed, read, published and deleted."""
    store.write(f"{name}/{name}", [b"x"])
    assert content(store, f"{name}/{name}") == b"x"
    assert paths(store) == [f"{name}/{name}"]
    sealed = stage("1-1", **{name: b"published"})
    assert [stored.path for stored in sealed] == [name]
    store.publish("1-1", name, expect=sealed)
    assert store.published(name, sealed)
    assert content(store, f"{name}/{name}") == b"published"
    store.delete(f"{name}/{name}")
    store.delete_tree(name)
    assert paths(store) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "a/../b", "../a", "a/..", ".", "./a", "a//b", "a/", "a\0b"],
)
def test_a_path_never_leads_out(store: Store, stage: Stage, path: str) -> None:
    """Every operation refuses a path that is no store path, and does nothing."""
    sealed = stage("1-1", file=b"x")
    attempts: list[Callable[[], object]] = [
        lambda: store.write(path, [b"x"]),
        lambda: list(store.read(path)),
        lambda: store.stat(path),
        lambda: store.delete(path),
        lambda: store.delete_tree(path),
        lambda: store.publish("1-1", path, expect=sealed),
        lambda: list(store.list(path or "..")),
    ]
    for attempt in attempts:
        with pytest.raises(errors.StorePathRefused):
            attempt()
    assert seal(store.staging("1-1")) == sealed


@pytest.mark.parametrize("token", ["", "..", ".", "a/b", "../x", "-", "a\n", "x" * 129, "é"])
def test_a_token_is_plain(store: Store, token: str) -> None:
    """A token that could be a path or an option is refused everywhere."""
    for attempt in (store.staging, store.discard):
        with pytest.raises(errors.StorePathRefused):
            attempt(token)
    with pytest.raises(errors.StorePathRefused):
        store.publish(token, "item", expect=[Stored(path="x", size=1)])


def test_a_failed_write_leaves_what_was_there(store: Store) -> None:
    """When the bytes stop coming, the old file stays and the reason passes unchanged."""
    store.write("file", [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"x" * (3 << 20)
        raise OSError(5, "the camera fell into the river")

    for path in ("file", "folder/new"):
        with pytest.raises(OSError, match="river"):
            store.write(path, broken())
    assert content(store, "file") == b"old"
    assert paths(store) == ["file"]


def test_of_many_writers_one_wins_whole(store: Store) -> None:
    """Readers and the end see one writer's bytes, never a mixture and never nothing."""
    letters = [bytes([65 + number]) for number in range(4)]
    whole = {letter * 300_000 for letter in letters}
    store.write("file", [letters[0] * 300_000])
    done = threading.Event()

    def watch() -> int:
        seen = 0
        while not done.is_set():
            assert content(store, "file") in whole
            seen += 1
        return seen

    def write(letter: bytes) -> None:
        for _ in range(8):
            store.write("file", (letter * 100_000 for _ in range(3)))

    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(watch)
        list(pool.map(write, letters))
        done.set()
        assert watcher.result() > 0
    assert content(store, "file") in whole


def test_publishing_makes_a_path_what_was_staged(store: Store, stage: Stage) -> None:
    """A staged folder appears under its path, and the staging is used up."""
    folder = store.staging("1-1")
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "deep" / "two").write_bytes(b"22")
    sealed = stage("1-1", one=b"1")
    assert list(store.staged()) == ["1-1"]
    store.publish("1-1", "a/b/item", expect=sealed)
    assert paths(store) == ["a/b/item/one", "a/b/item/sub/deep/two"]
    assert content(store, "a/b/item/sub/deep/two") == b"22"
    assert store.published("a/b/item", sealed)
    assert list(store.staged()) == []


def test_publishing_replaces_a_whole_folder(store: Store, stage: Stage) -> None:
    """Nothing of an earlier folder stays."""
    store.publish("1-1", "item", expect=stage("1-1", old=b"1", both=b"2"))
    sealed = stage("1-2", both=b"new", new=b"3")
    store.publish("1-2", "item", expect=sealed)
    assert paths(store) == ["item/both", "item/new"]
    assert content(store, "item/both") == b"new"
    assert store.published("item", sealed)


def test_publishing_twice_is_publishing_once(store: Store, stage: Stage) -> None:
    """A repeated call succeeds while the path holds what it says, and fails after."""
    sealed = stage("1-1", file=b"x")
    store.publish("1-1", "item", expect=sealed)
    store.publish("1-1", "item", expect=sealed)
    assert content(store, "item/file") == b"x"
    store.publish("1-2", "item", expect=stage("1-2", file=b"another"))
    with pytest.raises(errors.StoreMissing, match="1-1"):
        store.publish("1-1", "item", expect=sealed)
    assert content(store, "item/file") == b"another"


def test_what_was_never_staged_is_missing(store: Store) -> None:
    """Publishing out of nothing is an error, not an empty folder."""
    with pytest.raises(errors.StoreMissing, match="1-1"):
        store.publish("1-1", "item", expect=[Stored(path="file", size=1)])
    assert paths(store) == []


def test_publishing_nothing_leaves_nothing(store: Store, stage: Stage) -> None:
    """A task without outputs empties its path, whether it made its folder or not."""
    for token in ("1-2", "1-3"):
        store.publish("1-1", "item", expect=stage("1-1", old=b"x"))
        if token == "1-2":
            (store.staging(token) / "empty").mkdir()
        store.publish(token, "item", expect=[])
        store.publish(token, "item", expect=[])
        assert paths(store) == []
        assert list(store.staged()) == []
        assert store.published("item", [])


def test_a_file_is_not_published_over(store: Store, stage: Stage) -> None:
    """A file at the path, or above it, stops publishing; both sides stay as they are."""
    store.write("item", [b"mine"])
    sealed = stage("1-1", file=b"x")
    for path in ("item", "item/below"):
        with pytest.raises(errors.StoreError) as refusal:
            store.publish("1-1", path, expect=sealed)
        assert refusal.value.hint
    assert content(store, "item") == b"mine"
    assert seal(store.staging("1-1")) == sealed


def test_of_many_publishers_one_wins_whole(store: Store) -> None:
    """Whoever publishes to one path at once, one folder is there in the end, unmixed."""

    def publish(number: int) -> None:
        folder = store.staging(f"{number}-1")
        for name in range(5):
            (folder / f"{number}.{name}").write_bytes(b"x" * number)
        store.publish(f"{number}-1", "item", expect=seal(folder))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(1, 25)))
    winner = paths(store)[0].removeprefix("item/").partition(".")[0]
    assert paths(store) == [f"item/{winner}.{name}" for name in range(5)]
    assert list(store.staged()) == []


def test_published_compares_names_sizes_and_times(store: Store, stage: Stage) -> None:
    """Any difference that a look can find is found; an unknown time is none."""
    sealed = stage("1-1", a=b"1", b=b"22")
    store.publish("1-1", "item", expect=sealed)
    first, second = sealed
    assert store.published("item", [second, first])
    assert store.published("item", [Stored(path="a", size=1), Stored(path="b", size=2)])
    assert not store.published("item", [first])
    assert not store.published("item", [])
    assert not store.published("item", [*sealed, Stored(path="c", size=0)])
    assert not store.published("item", [first, Stored(path="c", size=2)])
    assert not store.published("item", [first, Stored(path="b", size=3)])
    assert not store.published("item", [first, Stored(path="b", size=2, mtime_ns=1)])
    assert not store.published("elsewhere", sealed)


def test_staging_is_kept_until_it_is_discarded(store: Store) -> None:
    """Staging is found again as it was left, by anyone who opens the store."""
    (store.staging("1-1") / "file").write_bytes(b"x")
    again = open_store(store.url)
    assert (again.staging("1-1") / "file").read_bytes() == b"x"
    again.clean()
    assert list(store.staged()) == ["1-1"]
    again.discard("1-1")
    again.discard("1-1")
    assert list(store.staged()) == []
    assert list(again.staging("1-1").iterdir()) == []


def test_what_is_staged_gets_another_name_as_a_whole(store: Store) -> None:
    """Unless that is taken: then both are left as they are."""
    (store.staging("1-1.of-a") / "file").write_bytes(b"a")
    (store.staging("1-1.of-b") / "file").write_bytes(b"b")

    assert [True, False] == [store.restage(one, "1-1") for one in ("1-1.of-a", "1-1.of-b")]

    assert ["1-1", "1-1.of-b"] == sorted(store.staged())
    assert b"a" == (store.staging("1-1") / "file").read_bytes()
    assert b"b" == (store.staging("1-1.of-b") / "file").read_bytes()


def test_staging_is_no_part_of_the_store(store: Store, stage: Stage) -> None:
    """What is being built is not listed."""
    stage("1-1", file=b"x")
    assert paths(store) == []


def test_a_tree_is_deleted_whole(store: Store) -> None:
    """All below a prefix goes, and nothing beside it."""
    for path in ("item/one", "item/sub/two", "item.txt", "other/item"):
        store.write(path, [b"x"])
    store.delete_tree("item")
    store.delete_tree("item")
    assert paths(store) == ["item.txt", "other/item"]


def test_cleaning_never_disturbs_a_writer(store: Store) -> None:
    """A file that is being written survives a clean in the middle of it."""

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * (1 << 20)
            store.clean()

    store.write("file", chunks())
    assert len(content(store, "file")) == 3 << 20


def test_the_url_opens_the_same_store(store: Store) -> None:
    """A store can be passed on by its URL."""
    store.write("file", [b"x"])
    assert content(open_store(store.url), "file") == b"x"


def test_room_is_known(store: Store) -> None:
    """The room is a number of bytes, or unknown; the store need not be there."""
    free = store.free_bytes()
    assert free is None or free > 0


@pytest.mark.parametrize("url", ["", "/srv/data", "gs://bucket", "data", "://x", "C:\\data"])
def test_an_unknown_kind_of_store_is_refused(url: str) -> None:
    """The error names what there is."""
    with pytest.raises(errors.StoreError, match="file://"):
        open_store(url)
