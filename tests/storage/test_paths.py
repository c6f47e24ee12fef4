"""Store paths, and names of files as text."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.errors import StorePathRefused
from grange.storage import check_path, display_path, file_uri, uri_key, uri_path

names = st.binary(min_size=1, max_size=255).filter(
    lambda name: not set(name) & {0, 0x2F} and name not in {b".", b".."}
)
# Bytes that come close to the escape, so that a collision would be found.
near_escapes = st.lists(
    st.sampled_from([b"\\", b"\\\\", b"u", b"udc80", b"udcff", b"dcff", b"\x80", b"\xff", b"a"]),
    min_size=1,
    max_size=40,
).map(b"".join)
os_paths = st.lists(names | near_escapes, min_size=1, max_size=5).map(b"/".join)
uris = st.text("abc/%#0123", min_size=180, max_size=300).map("file:///".__add__)


@given(st.text())
def test_a_path_is_refused_or_safe(path: str) -> None:
    """What passes stays below any folder that it is joined to, and fits a file system."""
    try:
        assert check_path(path) == path
    except StorePathRefused:
        return
    root = "/some/root"
    joined = os.path.normpath(f"{root}/{path}")
    assert joined == f"{root}/{path}"
    assert all(0 < len(part.encode()) <= 255 for part in path.split("/"))


@given(st.lists(names, min_size=1, max_size=8))
def test_every_relative_utf_8_path_is_allowed(parts: list[bytes]) -> None:
    """No name that UTF-8 can say is refused for what it says."""
    path = b"/".join(parts).decode(errors="replace")
    if all(len(part.encode()) <= 255 for part in path.split("/")):
        assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/a", "empty component"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("a/./b", r"'\.'"),
        ("..", r"'\.\.'"),
        ("a\0", "NUL"),
        ("\udcff", "Unicode"),
        ("é" * 128, "255 bytes"),
        ("a/" * 2048 + "a", "4096"),
    ],
)
def test_a_refusal_says_why(path: str, reason: str) -> None:
    """The message names the rule that the path breaks, in text that can be printed."""
    with pytest.raises(StorePathRefused, match=reason) as refusal:
        check_path(path)
    assert str(refusal.value).encode()


def test_the_limits_themselves_are_allowed() -> None:
    """255 bytes in a component and 4096 in all are not too many."""
    component = "é" * 127 + "x"
    assert check_path(component) == component
    path = "/".join(["x" * 255] * 16)
    assert len(check_path(path)) == 4095
    assert check_path("y/" * 2047 + "yy")


@given(os_paths)
def test_every_name_is_displayed_as_text_of_its_own(name: bytes) -> None:
    """The display is valid text from which the name can be told; UTF-8 is left alone."""
    shown = display_path(name)
    assert display_path(os.fsdecode(name)) == shown
    shown.encode()
    if b"\\" not in name and name == name.decode(errors="ignore").encode():
        assert shown == name.decode()
    if "\\udc00" not in shown:
        assert b"/".join(_undisplay(part) for part in shown.split("/")) == name


@given(names, names)
def test_two_names_never_look_the_same(one: bytes, other: bytes) -> None:
    """Names differ in display, also where a display had to be cut."""
    long = [b"\xff" * 200 + one[:50], b"\xff" * 200 + other[:50]]
    for first, second in [(one, other), (long[0], long[1])]:
        assert (first == second) == (display_path(first) == display_path(second))


@given(names | near_escapes)
def test_a_displayed_name_is_a_store_path(name: bytes) -> None:
    """Whatever a file of 255 bytes is called, a store can hold its name."""
    assert check_path(display_path(name[:255]))


def test_a_file_called_like_an_escape_is_told_from_it() -> None:
    """A name that spells the escape is not the name that it escapes."""
    assert display_path(b"\xff") == "\\udcff"
    assert display_path(b"\\udcff") == "\\\\udcff"
    assert display_path(b"\\udcf") == "\\udcf"


@given(os_paths)
def test_a_uri_brings_the_path_back(name: bytes) -> None:
    """Every name that a file can have survives its URI, which is plain ASCII."""
    path = Path(os.fsdecode(b"/" + name))
    uri = file_uri(path)
    assert uri.isascii()
    assert uri.startswith("file:///")
    assert uri_path(uri) == path


@pytest.mark.parametrize(
    "uri", ["", "/a", "http://host/a", "file://other.host/a", "file:/a", "file:///a%00b", "file://"]
)
def test_a_uri_of_another_kind_is_refused(uri: str) -> None:
    """What names no file of this machine is refused."""
    with pytest.raises(StorePathRefused):
        uri_path(uri)


def test_a_uri_needs_an_absolute_path() -> None:
    """A relative path would mean something else in every process."""
    with pytest.raises(StorePathRefused, match="absolute"):
        file_uri(Path("a/b"))


@given(st.lists(uris, min_size=2, max_size=6, unique=True))
def test_keys_are_bounded_distinct_and_sorted(many: list[str]) -> None:
    """A key fits its column, belongs to one URI, and sorts as that one's beginning does."""
    keys = {uri: uri_key(uri) for uri in many}
    assert all(len(key) <= 255 and key.isascii() for key in keys.values())
    assert len(set(keys.values())) == len(many)
    for one, other in pairwise(sorted(many)):
        if one[:190] != other[:190]:
            assert keys[one] < keys[other]


def test_a_uri_that_fits_is_its_own_key() -> None:
    """Only a URI of more than 255 characters is cut."""
    assert uri_key("x" * 255) == "x" * 255
    assert re.fullmatch(r"x{190}#[0-9a-f]{64}", uri_key("x" * 256))
    with pytest.raises(StorePathRefused):
        uri_key("file:///é")


def _undisplay(shown: str) -> bytes:
    def restore(match: re.Match[str]) -> str:
        slashes, code = match[1], match[2]
        if len(slashes) % 2:
            return slashes[: len(slashes) // 2] + chr(int(code, 16))
        return slashes[: len(slashes) // 2] + "u" + code

    return re.sub(r"(\\+)u(dc[0-9a-f]{2})", restore, shown).encode("utf-8", "surrogateescape")
