"""The media type of a file is what its first bytes say, whatever its name."""

from __future__ import annotations

import pytest

from grange.uploads.sniff import kind_of

KINDS = {
    "image/png": b"\x89PNG\r\n\x1a\n\0\0",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "image/tiff": b"II*\0",
    "video/mp4": b"\0\0\0\x18ftypisom",
    "video/quicktime": b"\0\0\0\x14ftypqt  ",
    "video/x-msvideo": b"RIFF\0\0\0\0AVI LIST",
    "video/x-matroska": b"\x1aE\xdf\xa3\0matroska",
    "video/webm": b"\x1aE\xdf\xa3\0\0webm",
    "application/zip": b"PK\x03\x04",
    "application/gzip": b"\x1f\x8b\x08",
    "application/pdf": b"%PDF-1.7",
    "application/x-executable": b"\x7fELF\x02",
    "text/x-script": b"#!/bin/sh\n",
    "text/html": b"\xef\xbb\xbf \n<!DOCTYPE HTML><p>",
    "image/svg+xml": b'<?xml version="1.0"?><svg onload="x">',
    "text/xml": b'<?xml version="1.0"?><gpx>',
    "application/json": b' {"a": 1}',
    "text/plain": "größe 🦊".encode(),
    "application/x-empty": b"",
    "application/octet-stream": b"\0\1\2",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_told_by_its_bytes(kind: str) -> None:
    """The beginning alone decides."""
    assert kind == kind_of(KINDS[kind])


def test_a_character_cut_in_two_is_still_text() -> None:
    """Only the beginning is looked at, and that may end anywhere."""
    assert "text/plain" == kind_of(("a" + "é" * 3000).encode()[:4096])
    assert "application/octet-stream" == kind_of(b"caf\xe9 and more")
