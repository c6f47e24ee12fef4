"""Whom a driver believes to be who it says it is."""

from __future__ import annotations

from grange.engines.rabbit.names import Names
from grange.engines.rabbit.speakers import PROOF_SECONDS, Speakers

# No user at all, one that all workers share, and a worker's of another site.
OTHERS = ("", "shared", "grange.other.rack")


def test_a_worker_speaks_for_itself_alone() -> None:
    """The broker vouches for users, and a user has its worker's name."""
    speakers = Speakers(Names("site"))

    assert speakers.believed("rack", "grange.site.rack")
    assert not speakers.believed("attic", "grange.site.rack")
    assert speakers.believed("attic", "grange.site.attic")


def test_whoever_names_no_user_is_believed_until_one_has_proved_it() -> None:
    """Earlier versions name none, and where all share a user there is nothing to prove."""
    speakers = Speakers(Names("site"))
    for user in OTHERS:
        assert speakers.believed("rack", user)
    assert speakers.believed("rack", "grange.site.rack")

    for user in (*OTHERS, "grange.site.attic"):
        assert not speakers.believed("rack", user)
    assert speakers.believed("cellar", "shared")
    assert not speakers.believed("", "shared")


def test_a_worker_may_go_back_to_an_earlier_version() -> None:
    """It proves nothing any more then; but as long as it does, nobody else passes for it."""
    times = [0.0]
    speakers = Speakers(Names("site"), clock=lambda: times[0])
    for _ in range(3):
        assert speakers.believed("rack", "grange.site.rack")
        times[0] += PROOF_SECONDS
        assert not speakers.believed("rack", "")

    times[0] += 1.0
    assert speakers.believed("rack", "")
