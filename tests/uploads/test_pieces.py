"""Uploads in pieces: nothing lost, nothing doubled, one writer, one content."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1, sha256
from pathlib import Path

import pytest

from grange import errors
from grange.db import Database
from grange.uploads import models, parts, quotas
from grange.uploads.arrivals import Proof
from grange.uploads.tables import uploads
from tests import aside
from tests.uploads.rig import ADA, MIA, OTTO, Gone, Rig, digest, person

DATA = os.urandom(2_500_000)
MEBIBYTE = 1 << 20


def test_a_file_in_pieces_becomes_one_content(rig: Rig) -> None:
    """Whatever the pieces are, the digest is that of the whole, and the bytes are kept once."""
    begun = rig.uploads.begin(MIA, size=len(DATA), name="x")
    assert 1 == rig.receive(begun.id, DATA[:1]).offset
    assert 1_500_000 == rig.receive(begun.id, DATA[1:1_500_000], at=1).offset
    whole = rig.receive(begun.id, DATA[1_500_000:], at=1_500_000)

    assert (len(DATA), digest(DATA)) == (whole.offset, whole.sha256)
    assert {digest(DATA)} == rig.contents()
    blob = rig.home / "blobs" / digest(DATA)[:2] / digest(DATA)
    assert DATA == blob.read_bytes()
    assert 0o444 == blob.stat().st_mode & 0o777
    assert [] == rig.leftovers()


def test_an_empty_file_is_whole_at_once(rig: Rig) -> None:
    """Nothing has to be sent of nothing."""
    assert digest(b"") == rig.uploads.begin(MIA, size=0).sha256


def test_a_broken_connection_keeps_what_came(rig: Rig) -> None:
    """The client goes on from where the bytes on disk end."""
    begun = rig.uploads.begin(MIA, size=len(DATA))
    with pytest.raises(Gone):
        rig.receive(begun.id, DATA[:1_234_567], breaks=True)

    assert 1_234_567 == rig.uploads.find(MIA, begun.id).offset
    assert digest(DATA) == rig.receive(begun.id, DATA[1_234_567:], at=1_234_567).sha256


def test_a_restart_between_parts_costs_no_byte(rig: Rig, db: Database) -> None:
    """Another process that knows nothing of the first part says the same digest."""
    begun = rig.uploads.begin(MIA, size=len(DATA))
    rig.receive(begun.id, DATA[:1_000_000])
    other = Rig(db, rig.home)

    assert digest(DATA) == other.receive(begun.id, DATA[1_000_000:], at=1_000_000).sha256
    other.close()


def test_a_part_begins_where_the_last_one_ended(rig: Rig) -> None:
    """A part from anywhere else is refused, and changes nothing."""
    begun = rig.uploads.begin(MIA, size=10)
    rig.receive(begun.id, b"12345")
    for offset in (0, 4, 6, 10):
        with pytest.raises(errors.UploadConflict, match="at 5"):
            rig.receive(begun.id, b"67890", at=offset)

    assert digest(b"1234567890") == rig.receive(begun.id, b"67890", at=5).sha256


def test_more_than_was_announced_is_refused(rig: Rig) -> None:
    """A longer file than announced never takes more room than its owner has reserved."""
    begun = rig.uploads.begin(MIA, size=5)
    with pytest.raises(errors.TooLarge):
        rig.receive(begun.id, b"123456")

    assert 0 == rig.uploads.find(MIA, begun.id).offset


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_part_that_is_not_what_was_sent_is_dropped(rig: Rig, algorithm: str) -> None:
    """With a checksum, a part counts as a whole or not at all."""
    hashing = {"sha256": sha256, "sha1": sha1}[algorithm]
    begun = rig.uploads.begin(MIA, size=len(DATA))
    rig.receive(begun.id, DATA[:1000])
    wrong = Proof(algorithm, hashing(DATA).digest())
    right = Proof(algorithm, hashing(DATA[1000:]).digest())
    with pytest.raises(errors.ChecksumWrong):
        rig.receive(begun.id, DATA[1000:], at=1000, proof=wrong)
    with pytest.raises(Gone):
        rig.receive(begun.id, DATA[1000:5000], at=1000, proof=right, breaks=True)

    assert 1000 == rig.uploads.find(MIA, begun.id).offset
    assert digest(DATA) == rig.receive(begun.id, DATA[1000:], at=1000, proof=right).sha256


def test_bytes_that_were_never_proven_do_not_count_after_a_crash(rig: Rig) -> None:
    """What a killed server has written of a part with a checksum is dropped by the next one."""
    begun = rig.uploads.begin(MIA, size=8)
    rig.receive(begun.id, b"1234")
    (rig.home / "uploads" / f"{begun.id}.unproven").write_text("4")
    with (rig.home / "uploads" / begun.id).open("ab") as file:
        file.write(b"xx")

    assert 4 == rig.uploads.find(MIA, begun.id).offset
    assert digest(b"12345678") == rig.receive(begun.id, b"5678", at=4).sha256


class Slow:
    """A client that sends a piece and then waits until it is told to go on."""

    def __init__(self, rig: Rig, upload: str, first: bytes) -> None:
        self.sent = threading.Event()
        self.go_on = threading.Event()
        self.rig = rig
        self.upload = upload
        self.first = first

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self.first
        self.sent.set()
        await asyncio.to_thread(self.go_on.wait, 30)
        yield b"late"

    def run(self) -> models.Upload:
        return aside.run(self.rig.uploads.receive(MIA, self.upload, 0, self._pieces()))


def test_of_two_clients_one_writes(rig: Rig) -> None:
    """A second sender is turned away while the first one is at it, also by another process."""
    begun = rig.uploads.begin(MIA, size=MEBIBYTE + 4)
    slow = Slow(rig, begun.id, bytes(MEBIBYTE))
    other = Rig(rig.db, rig.home)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(slow.run)
        assert slow.sent.wait(30)
        for second in (rig, other):
            with pytest.raises(errors.UploadConflict, match="Another connection"):
                second.receive(begun.id, b"x", at=MEBIBYTE)
        slow.go_on.set()

        assert digest(bytes(MEBIBYTE) + b"late") == first.result(30).sha256
    other.close()


def test_a_client_that_has_gone_silent_gives_way(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes back over a new line need not wait for the old one, whose bytes no longer count."""
    begun = rig.uploads.begin(MIA, size=MEBIBYTE + 4)
    slow = Slow(rig, begun.id, bytes(MEBIBYTE))
    monkeypatch.setattr(parts, "SILENT_SECONDS", 0.0)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(slow.run)
        assert slow.sent.wait(30)
        deadline = time.monotonic() + 30
        while rig.uploads.find(MIA, begun.id).offset < MEBIBYTE:
            assert time.monotonic() < deadline
        whole = rig.receive(begun.id, b"soon", at=MEBIBYTE)
        slow.go_on.set()

        assert digest(bytes(MEBIBYTE) + b"soon") == whole.sha256
        with pytest.raises(errors.UploadConflict):
            first.result(30)
    assert digest(bytes(MEBIBYTE) + b"soon") == rig.uploads.find(MIA, begun.id).sha256


def test_equal_contents_are_kept_once_for_all(rig: Rig) -> None:
    """Twelve uploads at once by two people become one file, and each of them knows it."""
    folders = {actor: rig.uploads.make_folder(actor, "x").id for actor in (MIA, OTTO)}

    def send(number: int) -> str | None:
        actor = (MIA, OTTO)[number % 2]
        folder = folders[actor]
        return rig.send(DATA, actor=actor, folder=folder, path=f"{number % 4}").sha256

    with ThreadPoolExecutor(6) as threads:
        assert {digest(DATA)} == set(threads.map(send, range(12)))

    assert {digest(DATA)} == rig.contents()
    assert [] == rig.leftovers()
    for actor, folder in folders.items():
        assert len(DATA) == rig.uploads.used_bytes(actor.user.id)
        assert (2, 2 * len(DATA)) == (
            rig.uploads.folder(actor, folder).files,
            rig.uploads.folder(actor, folder).bytes,
        )


def test_the_quota_counts_what_is_announced(rig: Rig) -> None:
    """Room is taken when an upload begins, given back when it is dropped, and never taken twice."""
    small = person("smmmmmmmmm", quota_bytes=100)
    first = rig.uploads.begin(small, size=60)
    with pytest.raises(errors.QuotaExceeded, match="40 B of your 100 B are left"):
        rig.uploads.begin(small, size=41)
    rig.uploads.drop(small, first.id)
    whole = rig.send(b"a" * 60, actor=small)
    same = rig.send(b"b" * 40, actor=small)

    assert 100 == rig.uploads.used_bytes(small.user.id)
    rig.uploads.drop(small, whole.id)
    rig.uploads.drop(small, same.id)
    assert 0 == rig.uploads.used_bytes(small.user.id)
    assert set() == rig.contents()


def test_two_that_begin_at_once_never_share_the_last_room(rig: Rig) -> None:
    """Of ten beginnings for which there is room for three, three succeed."""
    small = person("smmmmmmmmm", quota_bytes=35)

    def begin(_: int) -> bool:
        try:
            rig.uploads.begin(small, size=10)
        except errors.QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(5) as threads:
        assert 3 == sum(threads.map(begin, range(10)))


def test_others_uploads_are_not_there(rig: Rig) -> None:
    """Whoever guesses an id learns nothing, and changes nothing; an administrator sees it."""
    begun = rig.uploads.begin(MIA, size=4)
    for tried in (
        lambda: rig.uploads.find(OTTO, begun.id),
        lambda: rig.receive(begun.id, b"1234", actor=OTTO),
        lambda: rig.uploads.drop(OTTO, begun.id),
        lambda: rig.uploads.find(OTTO, "../../etc"),
        lambda: rig.uploads.find(MIA, "nothere"),
    ):
        with pytest.raises(errors.UploadNotFound):
            tried()

    assert 0 == rig.uploads.find(ADA, begun.id).offset


def test_a_disk_that_fills_up_keeps_what_fits(
    db: Database, small_disk: Callable[[int], Path]
) -> None:
    """The error says so, and with room the upload goes on to the right digest."""
    disk = small_disk(8 * MEBIBYTE)
    rig = Rig(db, disk / "home")
    data = os.urandom(4 * MEBIBYTE)
    begun = rig.uploads.begin(MIA, size=len(data))
    filler = disk / "filler"
    filler.write_bytes(bytes(6 * MEBIBYTE))
    with pytest.raises(errors.StoreFull):
        rig.receive(begun.id, data)
    offset = rig.uploads.find(MIA, begun.id).offset
    assert 0 < offset < len(data)
    with pytest.raises(errors.StoreFull, match="too little for"):
        rig.uploads.begin(MIA, size=len(data))

    filler.unlink()
    assert digest(data) == rig.receive(begun.id, data[offset:], at=offset).sha256
    rig.close()


def test_an_upload_without_progress_expires(rig: Rig) -> None:
    """After its time it is gone with what came of it, but not while somebody sends it."""
    old = rig.uploads.begin(MIA, size=10)
    rig.receive(old.id, b"12345")
    fresh = rig.uploads.begin(MIA, size=10)
    whole = rig.send(b"whole")
    _age(rig, old.id, whole.id)

    assert 2 == rig.uploads.sweep().uploads
    with pytest.raises(errors.UploadNotFound):
        rig.uploads.find(MIA, old.id)
    assert 0 == rig.uploads.find(MIA, fresh.id).offset
    assert [fresh.id] == rig.leftovers()
    assert set() == rig.contents()
    assert 10 == rig.uploads.used_bytes(MIA.user.id)


def test_files_that_no_row_names_are_swept(rig: Rig) -> None:
    """What crashes have left goes; what is named stays."""
    kept = rig.send(b"kept")
    stray = rig.home / "blobs" / "ab" / ("ab" + "0" * 62)
    stray.parent.mkdir()
    stray.write_bytes(b"stray")
    (rig.home / "uploads" / "bcdfghjkmn").write_bytes(b"stray")
    (rig.home / "folders" / "bcdfghjkmn").mkdir()
    (rig.home / "blobs" / ".new" / "bcdfghjkmn").mkdir()
    swept = rig.uploads.sweep()

    assert (1, 1) == (swept.contents, swept.folders)
    assert {kept.sha256} == rig.contents()
    assert [] == rig.leftovers()
    assert [] == list((rig.home / "folders").iterdir())


def test_a_sweep_never_takes_what_is_just_being_kept(rig: Rig) -> None:
    """Sweeps, deletions and uploads of one and the same content go on beside each other."""
    ended = threading.Event()

    def sweep() -> None:
        while not ended.is_set():
            rig.uploads.sweep()

    def send(number: int) -> bool:
        folder = rig.uploads.make_folder(MIA, str(number)).id
        upload = rig.send(b"the same", folder=folder, path="x")
        found = rig.content(folder) == {"x": b"the same"}
        rig.uploads.delete_folder(MIA, folder)
        rig.uploads.sweep() if number % 5 == 0 else None
        return found and upload.is_whole

    with ThreadPoolExecutor(4) as threads:
        sweeping = threads.submit(sweep)
        try:
            assert [True] * 24 == list(threads.map(send, range(24)))
        finally:
            ended.set()
        sweeping.result(30)
    rig.uploads.sweep()
    assert set() == rig.contents()


def _age(rig: Rig, *ids: str) -> None:
    with rig.db.write() as connection:
        old = uploads.update().where(uploads.c.id.in_(ids))
        connection.execute(old.values(progress_at=uploads.c.progress_at - 8 * models.DAY_SECONDS))


def test_there_are_so_many_unfinished_uploads(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even of no bytes that count; one that is given up or finished makes room for another."""
    monkeypatch.setattr(quotas, "MOST_UNFINISHED", 2)
    first, second = (rig.uploads.begin(MIA, size=1).id for _ in range(2))

    with pytest.raises(errors.QuotaExceeded, match="not finished"):
        rig.uploads.begin(MIA, size=1)
    rig.uploads.begin(OTTO, size=1)
    rig.uploads.drop(MIA, first)
    rig.uploads.begin(MIA, size=1)
    rig.receive(second, b"2")
    rig.uploads.begin(MIA, size=1)
