"""What programs find at the top of an output folder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grange.runs.manifest import published_path

_OWN = ("run.json", "items.jsonl", "report.html", ".grange")
_names = st.one_of(
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8),
    st.builds(lambda own, more: own + ".item" * more, st.sampled_from(_OWN), st.integers(0, 3)),
)
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)


@given(_paths, _paths)
def test_no_two_items_share_a_folder(one: str, other: str) -> None:
    """Different items are published under different paths."""
    assert (one == other) == (published_path(one) == published_path(other))


@given(_paths)
def test_an_item_is_never_published_under_a_name_of_our_own(path: str) -> None:
    """Whatever an input is called, it leaves run.json and its like alone."""
    assert published_path(path).split("/")[0] not in _OWN


@given(_paths)
def test_below_the_top_a_path_stays_as_it_is(path: str) -> None:
    """Only the first component can collide, so only it ever changes."""
    assert path.split("/")[1:] == published_path(path).split("/")[1:]


def test_an_ordinary_item_keeps_its_path() -> None:
    """People find their outputs where their inputs were."""
    assert published_path("day 1/run.json") == "day 1/run.json"
    assert published_path("run.jsonx") == "run.jsonx"
