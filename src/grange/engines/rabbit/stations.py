"""The stations that a driver hears of, and how many tasks they could do at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from grange.core.resources import Capacity, Needs, Room, capacity_from_json
from grange.engines.rabbit.messages import Beat
from grange.engines.rabbit.names import BEAT_SECONDS

# A station that has said nothing for some beats is not counted on.
SILENT_SECONDS = 5 * BEAT_SECONDS
# What a machine may say of itself: of whoever says more, so much is believed.
MOST_SLOTS = 1024
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Station:
    """What a station says of itself, and when that was, as `time.monotonic` says it."""

    beat: Beat
    heard: float
    capacity: Capacity | None


class Stations:
    """Written by one thread, read by any."""

    def __init__(self) -> None:
        """None are known."""
        self._known: dict[str, Station] = {}
        self._names: dict[str, str] = {}  # also of those that fell silent

    def beat(self, beat: Beat, now: float) -> bool:
        """Take note of a station's own beat; whether it is a new one."""
        is_new = beat.session not in self._known
        here = {
            session: one
            for session, one in self._known.items()
            if _is_heard(one, now) and one.beat.station != beat.station
        }
        here[beat.session] = Station(beat, now, _capacity(beat))
        self._known = here
        self._names[beat.station] = str(beat.about.get("name") or beat.station)[:LONGEST_NAME]
        return is_new

    def called(self, station: str) -> str:
        """What people call the station of this id."""
        return self._names.get(station, station)

    def here(self, now: float) -> Sequence[Station]:
        """Those that gave a sign of life lately."""
        return [one for one in self._known.values() if _is_heard(one, now)]

    def slots(self, needs: Needs, now: float) -> list[int]:
        """How many tasks that need this much each of those could do at once that can do any."""
        every = [_slots(one.capacity, needs, one.beat.slots) for one in self.here(now)]
        return [slots for slots in every if slots > 0]


@lru_cache(maxsize=1024)
def _slots(capacity: Capacity | None, needs: Needs, most: int) -> int:
    """Asked again and again, and the same as long as a station stays as it is."""
    most = min(max(0, most), MOST_SLOTS)
    return most if capacity is None else Room(capacity).count(needs, most=most)


def _is_heard(station: Station, now: float) -> bool:
    return now - station.heard < SILENT_SECONDS


def _capacity(beat: Beat) -> Capacity | None:
    try:
        return capacity_from_json(beat.about["capacity"])
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
