"""Whom a driver believes to be who it says it is."""

from __future__ import annotations

from grange.engines.rabbit.names import Names
from grange.engines.rabbit.speakers import Speakers


def test_a_worker_speaks_for_itself_alone() -> None:
    """The broker vouches for users, and a user has its worker's name."""
    speakers = Speakers(Names("site"))

    assert speakers.believed("rack", "grange.site.rack")
    assert not speakers.believed("attic", "grange.site.rack")
    assert speakers.believed("attic", "grange.site.attic")


def test_whoever_names_no_user_is_believed_until_one_has_proved_it() -> None:
    """Earlier versions name none, and where all share a user there is nothing to prove."""
    speakers = Speakers(Names("site"))
    for user in ("", "shared", "grange.other.rack"):
        assert speakers.believed("rack", user)
    assert speakers.believed("rack", "grange.site.rack")

    for user in ("", "shared", "grange.other.rack", "grange.site.attic"):
        assert not speakers.believed("rack", user)
    assert speakers.believed("", "shared")
