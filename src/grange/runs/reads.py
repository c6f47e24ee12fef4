"""What a server asks of a ledger: pages, glances, and what moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grange.runs import itempages, pages, queries

if TYPE_CHECKING:
    from grange.core.states import RunState
    from grange.db import Database
    from grange.runs.cells import Glance
    from grange.runs.itempages import ItemFilter
    from grange.runs.models import ItemView, RunView
    from grange.runs.pages import Part, RunFilter, Sight


class Reads:
    """The reading half of `Runs`. Safe to use from several threads at once."""

    def __init__(self, database: Database) -> None:
        """Read from this ledger."""
        from grange.runs.cells import Glances

        self._database = database
        self._glances = Glances(database)

    def of_id(self, run: str) -> RunView | None:
        """The run of exactly this id, if there is one."""
        return queries.run_of_id(self._database, run)

    def seen(self, sight: Sight, name: str) -> RunView | None:
        """The newest run of a name that `sight` sees; of any name for an empty one."""
        return pages.find_seen(self._database, sight, name)

    def beginning(self, sight: Sight, text: str) -> list[RunView]:
        """At most two runs that `sight` sees and whose ids begin so."""
        return pages.seen_by_id(self._database, sight, text)

    def page(self, sight: Sight, wanted: RunFilter, *, after: str | None, limit: int) -> Part:
        """A page of the runs that `sight` sees, the newest first."""
        return pages.page_of_runs(self._database, sight, wanted, after=after, limit=limit)

    def count_states(self, sight: Sight) -> dict[RunState, int]:
        """How many of the runs that `sight` sees are in which unfinished state."""
        return pages.count_states(self._database, sight)

    def now(self, numbers: Sequence[int]) -> list[RunView]:
        """These runs as they are now, without those that are gone."""
        return pages.runs_now(self._database, numbers)

    def moving(self, *, since: float) -> list[RunView]:
        """Unfinished runs, and those made since then."""
        return pages.moving_runs(self._database, since=since)

    def waiting(self) -> list[RunView]:
        """The server's runs that nobody drives, the next one first."""
        return pages.waiting_runs(self._database)

    def page_of_items(
        self, run: RunView, wanted: ItemFilter, *, after: str | None, limit: int
    ) -> Part:
        """A page of a run's items, in the order of submission."""
        return itempages.page_of_items(self._database, run, wanted, after=after, limit=limit)

    def item_by_id(self, run: RunView, item: int) -> ItemView:
        """The run's item of this id."""
        return itempages.item_by_id(self._database, run, item)

    def page_of_outputs(self, run: RunView, *, after: str | None, limit: int) -> Part:
        """A page of what a run's items have published."""
        return itempages.page_of_outputs(self._database, run, after=after, limit=limit)

    def digest_of(self, run: RunView, path: str) -> str | None:
        """The sha256 of a published file, where the ledger finds it quickly."""
        return itempages.digest_of(self._database, run, path)

    def cells(self, run: RunView) -> Glance:
        """All items of a run at a glance; a moving run's may be a few seconds old."""
        return self._glances.at(run)
