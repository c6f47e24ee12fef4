"""Who holds what: each attempt comes back once, and none is waited for in vain."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from grange.core.tasks import Outcome, OutcomeState
from grange.engines.base import Holder
from grange.engines.rabbit.holdings import Holdings
from grange.engines.rabbit.messages import Beat, Held

LEASE = 10.0
STATIONS = ("a", "b")


def _beat(station: str, *held: Held) -> Beat:
    return Beat(station, f"session-{station}", 0.0, 1, held)


def _reached(now: float = 0.0) -> Holdings:
    """Holdings whose first lease of grace is over."""
    holdings = Holdings(LEASE)
    holdings.reached(now - LEASE)
    return holdings


def _watch(holdings: Holdings, since: float, until: float) -> list[Outcome]:
    """Judge as often as an engine does."""
    came: list[Outcome] = []
    now = since
    while now <= until:
        came += holdings.judge(now)
        now += 0.5
    return came


def _twice(holdings: Holdings) -> list[Holder]:
    """Who has what, as two looks tell it."""
    return [*holdings.holders(), *holdings.holders()]


def _brief(outcomes: list[Outcome]) -> list[tuple[int, int, str]]:
    return [(one.task, one.epoch, str(one.state)) for one in outcomes]


def test_an_outcome_is_waited_for_once() -> None:
    """A message that comes twice ends a task once; one of an old attempt ends none."""
    holdings = _reached()
    holdings.publish("m", [(1, 2)], 0.0)

    assert not holdings.end(1, 1)
    assert holdings.end(1, 2)
    assert not holdings.end(1, 2)


def test_what_another_station_says_of_an_attempt_is_not_believed() -> None:
    """An attempt has one station for all its time, and that alone ends it or keeps it alive."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)

    assert [] == holdings.beat(_beat("b", Held(1, 1, 5.0)), 9.0)
    assert ["a"] == [one.worker for one in _twice(holdings)]
    assert [] == holdings.views(9.0)
    assert not holdings.end(1, 1, "b")
    assert [(1, 1, "returned")] == _brief(_watch(holdings, 9.0, 11.0))


def test_whoever_had_it_last_ends_it() -> None:
    """Its own outcome counts; so does that of who can only give it back."""
    holdings = _reached()
    holdings.publish("m", [(1, 1), (2, 1), (3, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)

    assert holdings.end(1, 1, "a")
    assert holdings.end(2, 1)
    holdings.publish("n", [(3, 2)], 1.0)
    assert holdings.end(3, 2, "b")


def test_who_has_what_is_told_once_and_only_of_what_stays() -> None:
    """Tasks that come back at once cost no word; an adopted one is told of anew."""
    holdings = _reached()
    holdings.publish("m", [(1, 1), (2, 1)], 0.0)
    holdings.adopt([(3, 4)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)
    holdings.beat(_beat("b", Held(3, 4, 5.0)), 0.0)
    assert [] == holdings.holders()
    assert holdings.end(2, 1, "a")

    assert [Holder(1, 1, "a"), Holder(3, 4, "b")] == holdings.holders()
    holdings.beat(_beat("a", Held(1, 1)), 1.0)
    assert [] == _twice(holdings)


def test_what_waits_in_the_queue_is_alive() -> None:
    """However long nobody takes a task, it is not given up."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    for second in range(0, 1000, 2):
        assert [] == holdings.judge(float(second))
        holdings.depth(1, second + 0.5)

    assert [1] == holdings.alive(1000.0)


def test_what_an_empty_queue_does_not_hold_comes_back() -> None:
    """A message that was lost on its way is no attempt; it is given out again."""
    holdings = _reached()
    holdings.publish("m", [(1, 1), (2, 1)], 0.0)
    holdings.depth(0, 1.0)

    assert [] == _watch(holdings, 0.0, 5.5)
    assert [(1, 1, "returned"), (2, 1, "returned")] == _brief(holdings.judge(6.5))


def test_a_look_before_it_was_published_says_nothing() -> None:
    """An answer that was on its way while a message was sent is not held against it."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 2.0)
    holdings.depth(0, 1.0)

    assert [] == _watch(holdings, 2.0, 50.0)


def test_what_was_overtaken_comes_back() -> None:
    """A queue keeps its order: what later messages have passed is not in it any more."""
    holdings = _reached()
    holdings.publish("first", [(1, 1)], 0.0)
    holdings.publish("second", [(2, 1)], 0.0)
    holdings.take("second", "a", "session-a", 1.0)

    came = _watch(holdings, 0.0, 7.0)

    assert [(1, 1, "returned")] == _brief(came)


def test_a_station_that_falls_silent_loses_what_it_was_at() -> None:
    """Its task counts as an attempt, since it may have been what killed the station."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)
    holdings.beat(_beat("a", Held(1, 1, 0.5)), 2.0)

    assert [] == _watch(holdings, 0.0, 11.5)
    assert [1] == holdings.alive(6.9)
    assert [] == holdings.alive(7.1)
    assert [(1, 1, "lost")] == _brief(holdings.judge(12.1))


def test_what_a_silent_station_had_not_begun_is_spared_once() -> None:
    """Waiting at a station that dies is no fault; doing so again and again is a suspicion."""
    holdings = _reached()
    states = []
    for epoch in (1, 2):
        start = 100.0 * epoch
        holdings.publish("m", [(1, epoch)], start)
        holdings.take("m", "a", f"session-{epoch}", start)
        states += [one.state for one in _watch(holdings, start, start + 11)]
        holdings.judge(start + 20)

    assert [OutcomeState.RETURNED, OutcomeState.LOST] == states


def test_what_a_living_station_does_not_name_comes_back() -> None:
    """An outcome that was lost with the broker's disk costs no attempt."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)
    came = []
    for tick in range(30):
        holdings.beat(_beat("a"), tick * 0.5)
        came += holdings.judge(tick * 0.5)

    assert [(1, 1, "returned")] == _brief(came)


def test_what_a_living_station_never_names_counts_in_the_end() -> None:
    """It may be what silences worker processes: it is not given out for ever."""
    holdings = Holdings(LEASE, str.upper)
    states = []
    for epoch in (1, 2):
        start = 100.0 * epoch
        holdings.reached(start - LEASE)
        holdings.publish("m", [(1, epoch)], start)
        holdings.beat(_beat("a", Held(1, epoch, 0.5)), start)
        for tick in range(30):
            holdings.beat(_beat("a"), start + tick * 0.5)
            states += [(one.state, one.worker) for one in holdings.judge(start + tick * 0.5)]

    assert [(OutcomeState.RETURNED, "A"), (OutcomeState.LOST, "A")] == states


def test_what_others_have_overtaken_comes_back() -> None:
    """Messages of all runs with tasks of a shape wait in one queue, which keeps its order."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.publish("n", [(2, 1)], 5.0)
    holdings.overtake(4.0, 6.0)

    assert [(1, 1, "returned")] == _brief(_watch(holdings, 6.0, 30.0))
    assert [2] == holdings.alive(30.0)


def test_nothing_is_given_up_while_the_broker_is_away() -> None:
    """Who can't hear of anybody can't tell that they are gone; back, everybody gets a lease."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)
    holdings.cut_off()

    assert [] == _watch(holdings, 0.0, 500.0)
    assert [1] == holdings.alive(500.0)

    holdings.reached(500.0)

    assert [1] == holdings.alive(509.0)
    assert [] == _watch(holdings, 500.5, 509.5)
    assert [(1, 1, "returned")] == _brief(_watch(holdings, 509.5, 511.0))


def test_nothing_is_given_up_after_a_standstill() -> None:
    """A driver that was stopped itself does not blame its stations."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.beat(_beat("a", Held(1, 1, 0.0)), 0.0)
    holdings.judge(0.0)

    assert [] == holdings.judge(3600.0)
    assert [1] == holdings.alive(3601.0)


def test_what_the_broker_lost_comes_back_at_once() -> None:
    """An empty disk gives out again what waited, and leaves alone what is being worked on."""
    holdings = _reached()
    holdings.publish("m", [(1, 1)], 0.0)
    holdings.publish("n", [(2, 1)], 0.0)
    holdings.take("m", "a", "session-a", 0.0)

    assert [(2, 1, "returned")] == _brief(holdings.wiped())
    assert [1] == holdings.alive(1.0)


def test_what_nobody_wants_is_named() -> None:
    """A station at an abandoned attempt, or one with a later one, is told to stop."""
    holdings = _reached()
    holdings.publish("m", [(1, 1), (2, 5)], 0.0)

    assert [(1, 1)] == holdings.abandon([1, 77])
    unwanted = holdings.beat(_beat("a", Held(1, 1), Held(2, 4), Held(2, 5)), 1.0)
    assert [(1, 1), (2, 4)] == unwanted


def test_adopted_tasks_live_on_beats_or_in_the_queue() -> None:
    """What an earlier driver has published is waited for, wherever it is."""
    holdings = _reached()
    holdings.adopt([(1, 1), (2, 1)], 0.0)
    assert [] == holdings.beat(_beat("a", Held(1, 1, 3.0)), 1.0)
    holdings.depth(0, 1.0)

    came = []
    for tick in range(20):
        holdings.beat(_beat("a", Held(1, 1, 3.0)), tick * 0.5)
        came += holdings.judge(tick * 0.5)

    assert [(2, 1, "returned")] == _brief(came)
    assert [1] == holdings.alive(10.0)


def test_what_stations_are_at_is_shown() -> None:
    """People see who does what, how long, and how far it is; what waits is at nobody."""
    holdings = _reached()
    holdings.publish("m", [(1, 1), (2, 1)], 0.0)
    holdings.beat(_beat("a", Held(1, 1, 3.0, 0.5), Held(2, 1)), 1.0)

    (view,) = holdings.views(2.0)

    assert ("a", 1, 4.0, 0.5, False) == (
        view.name,
        view.task,
        view.seconds,
        view.progress,
        view.silent,
    )
    assert holdings.views(100.0)[0].silent


class Anything(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing is lost, doubled or resurrected."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.holdings = Holdings(LEASE)
        self.out: dict[int, int] = {}
        self.epochs: dict[int, int] = {}
        self.messages: list[str] = []

    def _came(self, outcomes: list[Outcome]) -> None:
        for one in outcomes:
            assert one.epoch == self.out.pop(one.task)

    @rule(tasks=st.sets(st.integers(1, 6), min_size=1), adopt=st.booleans())
    def publish(self, tasks: set[int], adopt: bool) -> None:
        attempts = []
        for task in sorted(tasks):
            self.epochs[task] = self.out[task] = self.epochs.get(task, 0) + 1
            attempts.append((task, self.epochs[task]))
        if adopt:
            self.holdings.adopt(attempts, self.now)
        else:
            self.messages.append(f"m{len(self.messages)}")
            self.holdings.publish(self.messages[-1], attempts, self.now)

    @rule(number=st.integers(0, 30), station=st.sampled_from(STATIONS))
    def take(self, number: int, station: str) -> None:
        name = self.messages[number % len(self.messages)] if self.messages else "?"
        self.holdings.take(name, station, f"session-{station}", self.now)

    @rule(task=st.integers(1, 6), back=st.integers(0, 2))
    def end(self, task: int, back: int) -> None:
        epoch = self.epochs.get(task, 0) - back
        waited = self.out.get(task) == epoch
        assert waited == self.holdings.end(task, epoch)
        if waited:
            del self.out[task]

    @rule(
        station=st.sampled_from(STATIONS),
        tasks=st.sets(st.integers(1, 6)),
        back=st.integers(0, 1),
        begun=st.booleans(),
    )
    def beat(self, station: str, tasks: set[int], back: int, begun: bool) -> None:
        held = [
            Held(task, self.epochs.get(task, 0) - back, 1.0 if begun else None) for task in tasks
        ]
        unwanted = self.holdings.beat(_beat(station, *held), self.now)
        expected = {(one.task, one.epoch) for one in held if self.out.get(one.task) != one.epoch}
        assert expected == set(unwanted)

    @rule(tasks=st.sets(st.integers(1, 6)))
    def abandon(self, tasks: set[int]) -> None:
        expected = {(task, self.out.pop(task)) for task in tasks if task in self.out}
        assert expected == set(self.holdings.abandon(tasks))

    @rule(number=st.integers(0, 30))
    def unsent(self, number: int) -> None:
        if self.messages:
            self._came(self.holdings.unsent(self.messages[number % len(self.messages)]))

    @rule(count=st.integers(0, 1))
    def depth(self, count: int) -> None:
        self.holdings.depth(count, self.now)

    @rule(wiped=st.booleans())
    def reconnect(self, wiped: bool) -> None:
        self.holdings.cut_off()
        assert sorted(self.out) == sorted(self.holdings.alive(self.now))
        if wiped:
            self._came(self.holdings.wiped())
        self.holdings.reached(self.now)

    @rule(seconds=st.floats(0.1, 8))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._came(self.holdings.judge(self.now))

    @invariant()
    def only_what_is_out_is_alive(self) -> None:
        assert len(self.out) == len(self.holdings)
        assert set(self.out) >= set(self.holdings.alive(self.now))

    def teardown(self) -> None:
        """Left alone, with an empty queue and no beats, everything comes back."""
        self.holdings.reached(self.now)
        for _ in range(int(4 * LEASE)):
            self.now += 0.5
            self.holdings.depth(0, self.now)
            self._came(self.holdings.judge(self.now))
        assert {} == self.out


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
