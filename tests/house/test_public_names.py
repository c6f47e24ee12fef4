"""What `import grange` offers is a promise, and changes on purpose only."""

from __future__ import annotations

import grange


def test_the_public_names_are_listed_in_order() -> None:
    """`__all__` is sorted, short, and names what is there."""
    assert sorted(grange.__all__) == list(grange.__all__)
    assert len(grange.__all__) < 40
    assert [] == [name for name in grange.__all__ if not hasattr(grange, name)]


def test_every_public_name_is_explained() -> None:
    """Whoever asks for help on a public name gets an answer."""
    callables = [name for name in grange.__all__ if callable(getattr(grange, name))]

    assert [] == [name for name in callables if not getattr(grange, name).__doc__]
