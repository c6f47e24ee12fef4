"""Folders: checked paths, hard links that last, what is known from before."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange import errors
from grange.db import open_database
from grange.uploads import blobs, quotas
from grange.uploads.models import NamedFile
from tests.uploads.rig import ADA, MIA, OTTO, Rig, digest

ODD = [
    "with space.txt",
    "fuchs 🦊/größe 'n' \\ \"more\".csv",
    unicodedata.normalize("NFD", "é/è.txt"),
    "é/è.txt",
    "-rf",
    "CON",
    "%2e%2e/%00",
    "a" * 255,
    "/".join(["b" * 200] * 15),
    "..hidden/...",
]
REFUSED = [
    "",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "two\nlines",
    "bell\x07",
    "\x7f",
    "c" * 256,
    "/".join(["d"] * 65),
    "/".join(["e" * 255] * 17),
    "\udcff",
]


@pytest.fixture
def everywhere(prepared_url: str, tmp_path: Path) -> Iterator[Rig]:
    """Give the service on each of the three databases."""
    with closing(open_database(prepared_url)) as db, closing(Rig(db, tmp_path / "home")) as rig:
        yield rig


def named(path: str, data: bytes) -> NamedFile:
    """Name a file by its content."""
    return NamedFile(path=path, size=len(data), sha256=digest(data))


def test_files_land_under_their_names(everywhere: Rig) -> None:
    """Odd names are kept to the byte, listed in pages in one order, and counted."""
    rig = everywhere
    folder = rig.uploads.make_folder(MIA, "odd").id
    for number, path in enumerate(ODD):
        rig.send(str(number).encode(), folder=folder, path=path)

    assert {path: str(number).encode() for number, path in enumerate(ODD)} == rig.content(folder)
    listed, after = [], None
    while True:
        page = rig.uploads.files(MIA, folder, after, 3)
        listed += [one.path for one in page.items]
        after = page.next
        if after is None:
            break
    assert sorted(ODD) == sorted(listed)
    assert len(ODD) == len(listed) == page.total
    assert len(ODD) == rig.uploads.folder(MIA, folder).files


@pytest.mark.parametrize("path", REFUSED, ids=repr)
def test_a_path_that_could_lead_out_is_refused(rig: Rig, path: str) -> None:
    """Neither an upload nor a known content gets there, and nothing is written."""
    folder = rig.uploads.make_folder(MIA).id
    rig.send(b"known")
    with pytest.raises(errors.StorePathRefused):
        rig.uploads.begin(MIA, size=5, folder=folder, path=path)
    with pytest.raises(errors.StorePathRefused):
        rig.uploads.add_known(MIA, folder, [named("fine", b"known"), named(path, b"known")])

    assert {} == rig.content(folder)


def test_the_same_path_again_replaces_the_file(everywhere: Rig) -> None:
    """Readers find the old or the new content; the counts follow."""
    rig = everywhere
    folder = rig.uploads.make_folder(MIA).id
    rig.send(b"old and long", folder=folder, path="a/x")
    with (rig.uploads.path_of(MIA, folder) / "a" / "x").open("rb") as reading:
        rig.send(b"new", folder=folder, path="a/x")
        assert b"old and long" == reading.read()
    rig.send(b"new", folder=folder, path="a/x")

    assert {"a/x": b"new"} == rig.content(folder)
    found = rig.uploads.folder(MIA, folder)
    assert (1, 3) == (found.files, found.bytes)


def test_a_file_where_a_folder_is_is_refused(rig: Rig) -> None:
    """The content is not lost by that: it is known, and can be put elsewhere."""
    folder = rig.uploads.make_folder(MIA).id
    rig.send(b"inner", folder=folder, path="a/b")
    for path in ("a", "a/b/c"):
        begun = rig.uploads.begin(MIA, size=5, folder=folder, path=path)
        with pytest.raises(errors.StorePathRefused):
            rig.receive(begun.id, b"outer")
        assert rig.uploads.find(MIA, begun.id).is_whole

    added = rig.uploads.add_known(MIA, folder, [named("c", b"outer")])
    assert (1, []) == (added.added, added.missing)
    assert {"a/b": b"inner", "c": b"outer"} == rig.content(folder)


def test_naming_a_digest_proves_nothing(everywhere: Rig) -> None:
    """Only what this very user has sent is known, and only by its right size."""
    rig = everywhere
    rig.send(b"of mia")
    own, others = (rig.uploads.make_folder(actor).id for actor in (MIA, OTTO))
    files = [named("x", b"of mia"), named("y", b"of nobody")]

    assert ["x", "y"] == rig.uploads.add_known(OTTO, others, files).missing
    assert ["y"] == rig.uploads.add_known(MIA, own, files).missing
    wrong = NamedFile(path="z", size=5, sha256=digest(b"of mia"))
    assert ["z"] == rig.uploads.add_known(MIA, own, [wrong]).missing
    assert {} == rig.content(others, OTTO)


def test_others_folders_are_not_there(rig: Rig) -> None:
    """An administrator may look and delete, not fill; others find nothing."""
    folder = rig.uploads.make_folder(MIA).id
    rig.send(b"x", folder=folder, path="x")
    for tried in (
        lambda: rig.uploads.folder(OTTO, folder),
        lambda: rig.uploads.files(OTTO, folder),
        lambda: rig.uploads.path_of(OTTO, folder),
        lambda: rig.uploads.delete_folder(OTTO, folder),
        lambda: rig.uploads.add_known(OTTO, folder, [named("y", b"y")]),
        lambda: rig.uploads.begin(OTTO, size=1, folder=folder, path="y"),
        lambda: rig.uploads.unpack(OTTO, folder, "x"),
        lambda: rig.uploads.make_folder(OTTO, id=folder),
        lambda: rig.uploads.folder(MIA, "../../etc"),
    ):
        with pytest.raises(errors.FolderNotFound):
            tried()

    assert 1 == rig.uploads.files(ADA, folder).total
    with pytest.raises(errors.NotAllowed):
        rig.uploads.begin(ADA, size=1, folder=folder, path="y")
    rig.uploads.delete_folder(ADA, folder)
    with pytest.raises(errors.FolderNotFound):
        rig.uploads.folder(MIA, folder)


def test_making_the_same_folder_again_finds_it(rig: Rig) -> None:
    """A client that got no answer asks again for the same id, and gets the same folder."""
    first = rig.uploads.make_folder(MIA, "x", "bcdfghjkmn")

    assert first == rig.uploads.make_folder(MIA, "x", "bcdfghjkmn")
    assert [first] == rig.uploads.folders(MIA).items


def test_folders_are_listed_the_newest_first(rig: Rig) -> None:
    """Everybody sees their own, in pages."""
    made = [rig.uploads.make_folder(MIA, str(number)).id for number in range(5)]
    rig.uploads.make_folder(OTTO, "other")
    page = rig.uploads.folders(MIA, None, 3)
    rest = rig.uploads.folders(MIA, page.next, 3)

    assert made[::-1] == [one.id for one in (*page.items, *rest.items)]
    assert rest.next is None


def test_a_deleted_folder_takes_its_contents_and_uploads_along(everywhere: Rig) -> None:
    """What nothing else holds goes at once, from disk and quota; what is held elsewhere stays."""
    rig = everywhere
    one, two = (rig.uploads.make_folder(MIA).id for _ in range(2))
    of_otto = rig.uploads.make_folder(OTTO).id
    rig.send(b"only here", folder=one, path="a")
    for folder, actor in ((one, MIA), (of_otto, OTTO)):
        rig.send(b"everywhere", folder=folder, path="b", actor=actor)
    rig.send(b"in both", folder=one, path="c")
    rig.send(b"in both", folder=two, path="c")
    coming = rig.uploads.begin(MIA, size=10, folder=one, path="d")
    for upload in _finished(rig):
        rig.uploads.drop(ADA, upload)
    rig.uploads.delete_folder(MIA, one)

    assert {digest(b"everywhere"), digest(b"in both")} == rig.contents()
    assert len(b"in both") == rig.uploads.used_bytes(MIA.user.id)
    assert not (rig.home / "folders" / one).exists()
    with pytest.raises(errors.UploadNotFound):
        rig.receive(coming.id, b"1234567890")
    assert {"b": b"everywhere"} == rig.content(of_otto, OTTO)


def test_ten_thousand_files_take_seconds(rig: Rig) -> None:
    """Known contents get into a folder in batches of a thousand."""
    data = [str(number).encode() for number in range(10)]
    for one in data:
        rig.send(one)
    folder = rig.uploads.make_folder(MIA).id
    begun = time.monotonic()
    for first in range(0, 10_000, 1000):
        files = [
            named(f"{first // 3000}/{number:05}.jpg", data[number % 10])
            for number in range(first, first + 1000)
        ]
        rig.uploads.add_known(MIA, folder, files)
    seconds = time.monotonic() - begun

    assert 10_000 == rig.uploads.folder(MIA, folder).files
    assert 10_000 == len(rig.content(folder))
    assert seconds < 20


def test_more_links_than_a_file_system_takes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no further link can be made, the file is a copy."""
    link = os.link

    def refusing(source: object, target: object) -> None:
        if b"/folders/" in os.fsencode(target) or b"/.new/" in os.fsencode(target):  # type: ignore[arg-type]
            raise OSError(31, "Too many links")
        link(source, target)  # type: ignore[arg-type]

    folder = rig.uploads.make_folder(MIA).id
    monkeypatch.setattr(os, "link", refusing)
    rig.send(b"x", folder=folder, path="x")

    assert {"x": b"x"} == rig.content(folder)
    assert 0o444 == (rig.home / "folders" / folder / "x").stat().st_mode & 0o777


def test_links_that_a_crash_took_are_mended(rig: Rig) -> None:
    """A run finds in a folder what its rows say."""
    folder = rig.uploads.make_folder(MIA).id
    for name in "abc":
        rig.send(name.encode(), folder=folder, path=f"in/{name}")
    (rig.home / "folders" / folder / "in" / "b").unlink()

    assert {"in/a": b"a", "in/b": b"b", "in/c": b"c"} == rig.content(folder)


def test_a_damaged_content_is_replaced_by_a_whole_one(rig: Rig) -> None:
    """Bytes that were proven just now count more than a file of another size."""
    rig.send(b"content")
    path = rig.home / "blobs" / digest(b"content")[:2] / digest(b"content")
    path.chmod(0o600)
    path.write_bytes(b"con")
    rig.send(b"content")

    assert b"content" == path.read_bytes()
    assert 64 == blobs.DIGEST_LENGTH == len(path.name)


def test_what_is_done_is_recorded(rig: Rig) -> None:
    """The audit log hears of folders that are made and deleted."""
    folder = rig.uploads.make_folder(MIA).id
    rig.uploads.delete_folder(MIA, folder)

    said = [("folder.created", f"folder {folder}"), ("folder.deleted", f"folder {folder}")]
    assert said == rig.records


def _finished(rig: Rig) -> list[str]:
    from sqlalchemy import select

    from grange.uploads.tables import uploads

    with rig.db.read() as connection:
        query = select(uploads.c.id).where(uploads.c.sha256.is_not(None))
        return list(connection.execute(query).scalars())


def test_what_a_user_has_sent_goes_with_the_user(everywhere: Rig) -> None:
    """Folders, contents and what is on its way; what others have sent too stays theirs."""
    for actor in (MIA, OTTO):
        folder = everywhere.uploads.make_folder(actor).id
        everywhere.send(b"the same", actor=actor, name="a", folder=folder)
    everywhere.send(b"her own", name="b")
    everywhere.uploads.begin(MIA, size=10, name="c")

    everywhere.uploads.forget_user(MIA.user.id)
    everywhere.uploads.sweep()

    assert (0, 8) == tuple(everywhere.uploads.used_bytes(one.user.id) for one in (MIA, OTTO))
    assert {digest(b"the same")} == everywhere.contents()
    assert {"a": b"the same"} == everywhere.content(folder, OTTO)
    assert [] == everywhere.leftovers()


def test_a_user_has_so_many_folders(everywhere: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are not counted; one that is there already is returned; a deleted one makes room."""
    rig = everywhere
    monkeypatch.setattr(quotas, "MOST_FOLDERS", 2)
    first, second = (rig.uploads.make_folder(MIA).id for _ in range(2))

    with pytest.raises(errors.QuotaExceeded, match="2 folders"):
        rig.uploads.make_folder(MIA)
    assert second == rig.uploads.make_folder(MIA, id=second).id
    rig.uploads.make_folder(OTTO)
    rig.uploads.delete_folder(MIA, first)
    rig.uploads.make_folder(MIA)


def test_a_user_has_so_many_files(everywhere: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """All folders together, however the files come, and though their contents take no room."""
    rig = everywhere
    monkeypatch.setattr(quotas, "MOST_FILES", 3)
    first, second = (rig.uploads.make_folder(MIA).id for _ in range(2))
    rig.send(b"x", folder=first, path="a")
    late = rig.uploads.begin(MIA, size=1, folder=second, path="late").id
    rig.uploads.add_known(MIA, second, [named("b", b"x"), named("c", b"x")])

    with pytest.raises(errors.QuotaExceeded, match="0 are left"):
        rig.uploads.add_known(MIA, first, [named("d", b"x")])
    with pytest.raises(errors.QuotaExceeded):
        rig.uploads.begin(MIA, size=1, folder=first, path="e")
    with pytest.raises(errors.QuotaExceeded):
        rig.receive(late, b"y")

    assert digest(b"y") == rig.uploads.find(MIA, late).sha256
    assert {"a"} == set(rig.content(first))
    assert {"b", "c"} == set(rig.content(second))
    rig.uploads.delete_folder(MIA, second)
    rig.send(b"z", folder=first, path="f")
