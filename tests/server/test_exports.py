"""Exports that a server is asked for and does not make."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from grange.errors import ExportRefused
from grange.server.exports import Export
from tests.runs.factories import make_run


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"pipeline": "command"}, "no other formats"),
        ({"pipeline": "wildlife"}, "no report yet"),
    ],
)
def test_a_refusal_leaves_nothing_and_is_no_trouble(
    tmp_path: Path, run: dict[str, str], words: str
) -> None:
    """Nothing is on the disk, and nothing is said in the log of what was never there."""
    with pytest.raises(ExportRefused, match=words) as caught:
        Export(make_run(**{"out": (tmp_path / "out").as_uri(), **run}), "md", {}, below=tmp_path)
    del caught
    gc.collect()

    assert [] == list(tmp_path.iterdir())
