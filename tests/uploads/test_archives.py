"""Archives: plain files come out, and nothing else ever does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from grange import errors
from grange.uploads import archives, tars, zips
from tests.uploads.rig import MIA, Rig, person

FILES = {"a.txt": b"alpha", "sub/b c é 🦊.bin": bytes(range(256)) * 500, "sub/empty": b""}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.mkdir("folder")
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w", **options: str) -> bytes:
    """Pack a tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, **options) as archive:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def unusual(**fields: object) -> bytes:
    """Pack a tar with a plain file and then one unusual member."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        plain = tarfile.TarInfo("plain")
        plain.size = 5
        archive.addfile(plain, io.BytesIO(b"plain"))
        member = tarfile.TarInfo("odd")
        for name, value in fields.items():
            setattr(member, name, value)
        archive.addfile(member)
    return packed.getvalue()


def zip_link() -> bytes:
    """Pack a zip with a symbolic link."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return packed.getvalue()


def zip_locked() -> bytes:
    """Pack a zip that says that its member needs a password."""
    packed = bytearray(zipped({"secret": b"x" * 100}, zipfile.ZIP_STORED))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = packed.rfind(magic) + at
        packed[place] |= 1
    return bytes(packed)


def zip_lying(size: int) -> bytes:
    """Pack a zip whose member is said to have another size than it has."""
    packed = bytearray(zipped({"x": b"y" * 1000}))
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = packed.rfind(magic) + at
        packed[place : place + 4] = struct.pack("<L", size)
    return bytes(packed)


def twice() -> bytes:
    """Pack a zip that holds a path twice."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x", b"2")
    return packed.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        zipped,
        lambda files: zipped(files, zipfile.ZIP_STORED),
        lambda files: zipped(files, zipfile.ZIP_BZIP2),
        tarred,
        lambda files: tarred(files, "w:gz"),
        lambda files: tarred(files, "w:bz2"),
        lambda files: tarred(files, "w:xz"),
        lambda files: tarred({f"./{name}": data for name, data in files.items()}, "w:gz"),
    ],
    ids=["zip", "stored", "bzip2 zip", "tar", "gz", "bz2", "xz", "dotted"],
)
def test_what_was_packed_comes_out(rig: Rig, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    """Each file gets its name and its bytes, and counts as known and in the quota."""
    folder = rig.uploads.make_folder(MIA).id
    packed = pack(FILES)
    unpacked = rig.uploads.unpack(MIA, folder, rig.send(packed).id)

    size = sum(map(len, FILES.values()))
    assert (len(FILES), size) == (unpacked.files, unpacked.bytes)
    assert FILES == rig.content(folder)
    assert size + len(packed) == rig.uploads.used_bytes(MIA.user.id)
    assert ("archive.unpacked", f"folder {folder}") in rig.records
    assert [] == rig.leftovers()


REFUSED = {
    "absolute": (zipped({"/etc/passwd": b"x"}), "'/etc/passwd'"),
    "up": (zipped({"a/../../x": b"x"}), r"'\.\.'"),
    "up with backslashes": (zipped({"a\\..\\..\\x": b"x"}), r"'\.\.'"),
    "newline": (zipped({"a\nb": b"x"}), "control character"),
    "deep": (zipped({"d/" * 70 + "x": b"x"}), "deep"),
    "long": (zipped({"n" * 300: b"x"}), "255"),
    "link in a zip": (zip_link(), "'link' is a symbolic link"),
    "password": (zip_locked(), "password"),
    "lzma": (zipped({"x": b"x" * 100}, zipfile.ZIP_LZMA), "few programs"),
    "shorter than said": (zip_lying(2000), "'x'"),
    "longer than said": (zip_lying(500), "'x'"),
    "tar up": (tarred({"../x": b"x"}), r"'\.\.'"),
    "tar absolute": (tarred({"/x": b"x"}), "empty component"),
    "symbolic link": (unusual(type=tarfile.SYMTYPE, linkname="/etc"), "'odd' is a symbolic link"),
    "hard link": (unusual(type=tarfile.LNKTYPE, linkname="plain"), "'odd' is a link"),
    "device": (unusual(type=tarfile.CHRTYPE), "'odd' is a device"),
    "pipe": (unusual(type=tarfile.FIFOTYPE), "'odd' is a pipe"),
    "holes": (unusual(type=tarfile.GNUTYPE_SPARSE), "holes|damaged"),
    "twice": (unusual(name="plain"), "twice"),
    "cut tar": (tarred({"x": bytes(5000)})[:3000], "damaged"),
    "cut gz": (tarred({"x": bytes(range(250)) * 90}, "w:gz")[:-40], "damaged"),
    "broken gz": (gzip.compress(b"x")[:-4] + b"abcd", "damaged"),
    "cut xz": (tarred({"x": bytes(range(250)) * 90}, "w:xz")[:-40], "damaged"),
    "cut zip": (zipped(FILES)[:-30], "ends too early|damaged"),
    "one file in gz": (gzip.compress(b"just a text" * 500), "damaged"),
    "one file in xz": (lzma.compress(b"just a text" * 500), "damaged"),
    "nothing": (zipped({}), "no files"),
    "a text": (b"hello", "text/plain"),
    "an empty file": (b"", "x-empty"),
    "zeros in gz": (gzip.compress(bytes(100_000)), "no files|damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_come_out_is_refused(rig: Rig, name: str) -> None:
    """The error says what is wrong; nothing of it is in the folder or left beside."""
    packed, said = REFUSED[name]
    folder = rig.uploads.make_folder(MIA).id
    with pytest.raises(errors.ArchiveRefused, match=said):
        rig.uploads.unpack(MIA, folder, rig.send(packed).id)

    assert set(rig.content(folder)) <= {"plain", "x"}
    assert [] == rig.leftovers()


def test_a_path_that_comes_twice_is_refused(rig: Rig) -> None:
    """Neither of two files of one name wins silently."""
    folder = rig.uploads.make_folder(MIA).id
    with pytest.raises(errors.ArchiveRefused, match="'x' twice"):
        rig.uploads.unpack(MIA, folder, rig.send(twice()).id)

    assert {"x": b"1"} == rig.content(folder)


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: zipped({"bomb": data}),
        lambda data: tarred({"bomb": data}, "w:gz"),
        lambda data: tarred({"bomb": data}, "w:bz2"),
        lambda data: tarred({"bomb": data}, "w:xz"),
    ],
    ids=["zip", "gz", "bz2", "xz"],
)
def test_a_bomb_is_refused_before_it_goes_off(
    rig: Rig, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that would grow beyond all measure puts nothing on the disk."""
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    folder = rig.uploads.make_folder(MIA).id
    with pytest.raises(errors.ArchiveRefused, match="unpacks to more than"):
        rig.uploads.unpack(MIA, folder, rig.send(pack(bytes(32 << 20))).id)

    assert {} == rig.content(folder)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_in_what_is_skipped_is_refused(
    rig: Rig, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that belong to no file count too: here those of a header and of a folder."""
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(tars, "OVERHEAD_BYTES", 1 << 20)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    folder = tarfile.TarInfo("x")
    folder.type, folder.size = b"Z", 24 << 20
    for member, said in ((header, "header"), (folder, "far more|odd|special")):
        packed = pack(member.tobuf() + bytes(24 << 20))
        with pytest.raises(errors.ArchiveRefused, match=said):
            rig.uploads.unpack(MIA, rig.uploads.make_folder(MIA).id, rig.send(packed).id)


def test_too_many_members_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a zip by its directory, of a tar at the first one too many."""
    monkeypatch.setattr(zips, "MOST_MEMBERS", 10)
    monkeypatch.setattr(tars, "MOST_MEMBERS", 10)
    files = {str(number): b"" for number in range(11)}
    for pack in (zipped, tarred):
        folder = rig.uploads.make_folder(MIA).id
        with pytest.raises(errors.ArchiveRefused, match="more than 10"):
            rig.uploads.unpack(MIA, folder, rig.send(pack(files)).id)


def test_a_directory_that_would_fill_the_memory_is_not_read(rig: Rig) -> None:
    """What a zip says of its directory is looked at before it is read."""
    packed = bytearray(zipped(FILES))
    place = packed.rfind(b"PK\x05\x06")
    packed[place + 12 : place + 16] = struct.pack("<L", 200 << 20)
    with pytest.raises(errors.ArchiveRefused, match="directory is too large"):
        rig.uploads.unpack(MIA, rig.uploads.make_folder(MIA).id, rig.send(bytes(packed)).id)


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_what_has_no_room_does_not_come_out(
    rig: Rig, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    """The quota holds for what is unpacked too, and what came is counted."""
    packed = pack({str(number): bytes([number]) * 20_000 for number in range(9)})
    upload = rig.send(packed)
    folder = rig.uploads.make_folder(MIA).id
    small = person(MIA.user.id, quota_bytes=upload.size + 50_000)
    with pytest.raises(errors.QuotaExceeded, match=r"as a whole|at '2'"):
        rig.uploads.unpack(small, folder, upload.id)

    came = list(rig.content(folder))
    assert [] == came if pack is zipped else ["0", "1"] == came
    assert upload.size + 20_000 * len(came) == rig.uploads.used_bytes(MIA.user.id)


def test_an_unfinished_upload_is_not_unpacked(rig: Rig) -> None:
    """The error says how much is missing."""
    begun = rig.uploads.begin(MIA, size=10)
    with pytest.raises(errors.UploadConflict, match="0 of 10"):
        rig.uploads.unpack(MIA, rig.uploads.make_folder(MIA).id, begun.id)
