"""Machines join by a token that serves once, and have a key of their own from then on."""

from __future__ import annotations

import json

import pytest

from grange.accounts.models import Role
from grange.accounts.secret import new_secret
from grange.errors import (
    CredentialsInvalid,
    NotAllowed,
    ProtocolMismatch,
    RequestInvalid,
    TokenNotFound,
)
from grange.pool.models import Facts, WorkerState
from grange.pool.tables import worker_tokens, workers
from tests.accounts.sites import at_once
from tests.pool.crews import ADDRESS, HERE, Crew


def test_a_machine_joins_by_a_token(crew_anywhere: Crew) -> None:
    """Who brings a token is a worker from then on, and gets its way to the engine."""
    joined = crew_anywhere.join("rack-1", token=crew_anywhere.token(labels=["gpu", "big"]))

    assert ("rack-1", WorkerState.ACTIVE) == (joined.worker.name, joined.worker.state)
    assert ("big", "gpu") == joined.worker.labels
    assert ADDRESS == joined.engine
    assert [joined.worker.id] == [one.id for one in crew_anywhere.workers.all()]
    assert [
        ("ada@example.org", "worker.token.made"),
        ("", "worker.joined"),
    ] == crew_anywhere.said()


def test_a_token_serves_once(crew: Crew) -> None:
    """A second machine with the same token is refused, and told why."""
    token = crew.token()
    crew.join(token=token)
    with pytest.raises(CredentialsInvalid, match="used by a machine already") as caught:
        crew.join(token=token)

    assert "grange workers token" in caught.value.hint


def test_a_token_serves_as_many_as_it_was_made_for(crew_anywhere: Crew) -> None:
    """Of ten machines that come at once with a token for three, three join."""
    token = crew_anywhere.token(uses=3)
    ends = at_once(lambda number: crew_anywhere.join(f"rack-{number}", token=token), threads=10)

    refused = [end for end in ends if isinstance(end, CredentialsInvalid)]
    assert (7, 3) == (len(refused), len(crew_anywhere.workers.all()))


def test_a_token_ends(crew: Crew) -> None:
    """After its time it serves nobody."""
    token = crew.token(seconds=60.0)
    crew.clock.forward(seconds=61)
    with pytest.raises(CredentialsInvalid, match="expired"):
        crew.join(token=token)


def test_a_revoked_token_serves_nobody(crew: Crew) -> None:
    """It ends at once, and is gone from the list; who has joined by it stays."""
    token = crew.token(uses=2)
    joined = crew.join(token=token)
    crew.workers.revoke_token(crew.admin, token.partition(".")[0])

    with pytest.raises(CredentialsInvalid, match="revoked"):
        crew.join(token=token)
    assert [] == crew.workers.tokens(crew.admin)
    assert [joined.worker.id] == [one.id for one in crew.workers.all()]
    with pytest.raises(TokenNotFound):
        crew.workers.revoke_token(crew.admin, token.partition(".")[0])


@pytest.mark.parametrize("seconds", [0.0, -1.0, 31 * 86_400.0, float("nan")])
def test_a_token_has_a_reasonable_life(crew: Crew, seconds: float) -> None:
    """What would live for ever, or never, is refused."""
    with pytest.raises(RequestInvalid):
        crew.workers.make_token(crew.admin, seconds=seconds)


@pytest.mark.parametrize("text", ["", ".", "x", "0000000000.secret", "0" * 4000, "🦊.🦊"])
def test_a_token_of_nobody_is_refused(crew: Crew, text: str) -> None:
    """What is no token opens nothing, and breaks nothing."""
    with pytest.raises(CredentialsInvalid):
        crew.workers.join(text, new_secret(), Facts(name="rack"), HERE)


def test_an_answer_that_got_lost_costs_nothing(crew: Crew) -> None:
    """The same token and secret again find the same worker, and use the token no further."""
    token, secret = crew.token(uses=2), new_secret()
    first, again = (crew.join(token=token, secret=secret) for _ in range(2))

    assert (first.worker.id, first.engine) == (again.worker.id, again.engine)
    assert [1] == [one.used for one in crew.workers.tokens(crew.admin)]


def test_a_secret_belongs_to_one_token(crew: Crew) -> None:
    """Who comes with another's secret and a token of their own learns nothing."""
    secret = new_secret()
    crew.join(secret=secret)
    with pytest.raises(CredentialsInvalid):
        crew.join(secret=secret)


def test_a_name_that_is_taken_gets_a_number(crew: Crew) -> None:
    """Machines that are called alike are told apart."""
    names = [crew.join("rack").worker.name for _ in range(3)]

    assert ["rack", "rack-2", "rack-3"] == names


def test_versions_that_do_not_fit_say_so(crew: Crew) -> None:
    """A worker of another protocol is refused with both versions, and its token is not used."""
    token = crew.token()
    facts = Facts(name="rack", version="9.9", protocol=2)
    with pytest.raises(ProtocolMismatch, match=r"9\.9.*protocol 2.*speaks 1"):
        crew.workers.join(token, new_secret(), facts, HERE)

    assert "rack-1" == crew.join(token=token).worker.name


def test_a_key_opens_one_workers_things(crew: Crew) -> None:
    """The key that a worker made is known; a changed or foreign one is not."""
    worker, key = crew.joined()
    other, _ = crew.joined("rack-2")

    assert worker.id == crew.workers.worker_of(key).id
    assert worker.id == crew.process().worker_of(key).id
    wrong = [
        f"{key}x",
        key[:-1],
        key.replace(worker.id, other.id),
        "grangeworker__",
        "",
        "🦊" * 300,
    ]
    for text in wrong:
        with pytest.raises(CredentialsInvalid):
            crew.workers.worker_of(text)


def test_a_removed_workers_key_opens_nothing(crew: Crew) -> None:
    """Here at once, in other processes within seconds."""
    worker, key = crew.joined()
    elsewhere = crew.process()
    assert worker.id == elsewhere.worker_of(key).id
    crew.workers.remove(crew.admin, "rack-1")

    with pytest.raises(CredentialsInvalid):
        crew.workers.worker_of(key)
    crew.clock.forward(seconds=3)
    with pytest.raises(CredentialsInvalid):
        elsewhere.worker_of(key)
    assert [] == crew.workers.all()


def test_no_secret_is_kept(crew: Crew) -> None:
    """Neither a token nor a worker's secret stands in any table or line of the audit log."""
    token, secret = crew.token(), new_secret()
    crew.join(token=token, secret=secret)
    with crew.database.read() as connection:
        kept = [connection.execute(table.select()).all() for table in (worker_tokens, workers)]
    lines = crew.site.accounts.audit(crew.admin).items

    text = f"{kept}{json.dumps([vars(line) for line in lines])}"
    assert secret not in text
    assert token.partition(".")[2] not in text


def test_only_administrators_let_machines_in(crew: Crew) -> None:
    """A member makes no token and lets no worker drain; the refusal is written down."""
    crew.joined()
    member = crew.site.member(crew.admin, "mia@example.org")
    for refused in (
        lambda: crew.workers.make_token(member),
        lambda: crew.workers.tokens(member),
        lambda: crew.workers.drain(member, "rack-1"),
        lambda: crew.workers.rename(member, "rack-1", "mine"),
        lambda: crew.workers.remove(member, "rack-1"),
    ):
        with pytest.raises(NotAllowed):
            refused()

    assert 5 == sum(who == "mia@example.org" for who, _ in crew.said())
    assert ["rack-1"] == [one.name for one in crew.workers.workers(member)]


def test_viewers_do_not_see_workers(crew: Crew) -> None:
    """What runs on them is not theirs to see."""
    viewer = crew.site.member(crew.admin, "vera@example.org", Role.VIEWER)
    with pytest.raises(NotAllowed):
        crew.workers.workers(viewer)
    with pytest.raises(NotAllowed):
        crew.workers.find(viewer, "rack-1")
