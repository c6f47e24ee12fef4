"""Numbers, times and names as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.cli import words


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e9, "2.0 GB"), (231e9, "231 GB")),
        *((3.2e15, "3.2 PB"), (5e18, "5,000 PB")),
    ],
)
def test_sizes_are_humane(count: float, text: str) -> None:
    """A size has three digits and a unit."""
    assert text == words.size(count)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600 * 2 + 7 * 60, "2 h 07 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_durations_are_humane(seconds: float, text: str) -> None:
    """The two largest units say enough."""
    assert text == words.duration(seconds)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ä 日本.txt", "plain ä 日本.txt"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff.bin", r"\udcff.bin"),
    ],
)
def test_what_would_not_show_is_escaped(name: str, shown: str) -> None:
    """A file's name can't move the cursor, break a table or pose as another."""
    assert shown == words.visible(name)


@given(st.text())
def test_a_shown_name_is_always_one_line_of_printable_text(name: str) -> None:
    """Whatever a file is called."""
    assert words.visible(name).isprintable()


def test_a_folder_below_this_one_is_named_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path reads as people would type it here."""
    monkeypatch.chdir(tmp_path)

    assert "a b" == words.place((tmp_path / "a b").as_uri())
    assert "/srv/x" == words.place("file:///srv/x")
    assert "s3://bucket/x" == words.place("s3://bucket/x")
