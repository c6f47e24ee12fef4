"""What a file is, by its first bytes: a name or a client's word proves nothing."""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 4096
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"

ZIP = "application/zip"
GZIP = "application/gzip"
BZIP2 = "application/x-bzip2"
XZ = "application/x-xz"
TAR = "application/x-tar"

_TAR_MAGIC_AT = 257
_TAR_MAGIC = b"ustar"
_EBML = b"\x1aE\xdf\xa3"

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\x1f\x8b", GZIP),
    (b"BZh", BZIP2),
    (b"\xfd7zXZ\0", XZ),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/x-msdownload"),
    (b"#!", "text/x-script"),
)
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}
_NEVER_IN_TEXT = frozenset(range(0x20)) - frozenset(b"\t\n\f\r\x1b")
# What a browser would run or show as a page, wherever it stands in leading space.
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<title")


def kind_of(head: bytes) -> str:
    """The media type of a file that begins with these bytes, of which 4096 are enough."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head.startswith(_EBML):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        return TAR
    return _kind_of_text(head)


def kind_of_file(path: Path) -> str:
    """The media type that a file's first bytes say."""
    with path.open("rb") as file:
        return kind_of(file.read(HEAD_BYTES))


def _kind_of_text(head: bytes) -> str:
    if not head:
        return "application/x-empty"
    if not _is_text(head):
        return UNKNOWN
    begun = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begun.startswith(_PAGES):
        return "text/html"
    if begun.startswith(b"<svg"):
        return "image/svg+xml"
    if begun.startswith(b"<?xml"):
        return "image/svg+xml" if b"<svg" in begun else "text/xml"
    if begun.startswith((b"{", b"[")):
        return "application/json"
    return TEXT


def _is_text(head: bytes) -> bool:
    if any(byte in _NEVER_IN_TEXT for byte in head):
        return False
    # A character may be cut at the end of what was read.
    for cut in range(4):
        try:
            head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False
