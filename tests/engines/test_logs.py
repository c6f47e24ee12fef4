"""What workers print becomes logs of bounded size."""

from __future__ import annotations

from pathlib import Path

from grange.engines.logs import KEPT_BYTES, keep_log


def test_nothing_printed_makes_no_log(tmp_path: Path) -> None:
    """Neither the file nor its folder."""
    (tmp_path / "out").touch()

    keep_log(tmp_path / "out", tmp_path / "logs" / "1-1.out")

    assert not (tmp_path / "logs").exists()


def test_a_log_is_added_to(tmp_path: Path) -> None:
    """What an attempt has kept already stays."""
    (tmp_path / "out").write_text("more\n")
    (tmp_path / "log").write_text("some\n")

    keep_log(tmp_path / "out", tmp_path / "log")

    assert (tmp_path / "log").read_text() == "some\nmore\n"


def test_of_very_much_both_ends_are_kept(tmp_path: Path) -> None:
    """The middle is left out, and the log says how much of it."""
    with open(tmp_path / "out", "wb") as file:
        file.write(b"begin")
        file.truncate(3 * KEPT_BYTES)
        file.seek(0, 2)
        file.write(b"end")

    keep_log(tmp_path / "out", tmp_path / "log")

    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"begin")
    assert kept.endswith(b"end")
    assert f"[… {2 * KEPT_BYTES + 3} bytes left out …]".encode() in kept
    assert len(kept) < KEPT_BYTES + 100
