"""What is asked of a ledger: runs, items, pages of them, and all at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from grange.runs import itempages, pages, queries, walking

if TYPE_CHECKING:
    from grange.core.states import ItemState, RunState
    from grange.db import Database
    from grange.runs.cells import Glance
    from grange.runs.itempages import ItemFilter
    from grange.runs.models import FailureGroup, ItemView, RunSpec, RunView
    from grange.runs.pages import Part, RunFilter, Sight
    from grange.runs.standing import Standing
    from grange.runs.timeline import Span
    from grange.runs.troubles import Troubles


class Reads:
    """The reading half of `Runs`. Safe to use from several threads at once."""

    def __init__(self, database: Database) -> None:
        """Read from this ledger."""
        from grange.runs.cells import Glances

        self._database = database
        self._glances = Glances(database)

    def unfinished(self, spec: RunSpec) -> str | None:
        """The id of the unfinished run that a submission of `spec` would go on with."""
        from grange.runs.keys import request_key

        return queries.unfinished_run(self._database, request_key=request_key(spec))

    def find(self, text: str) -> RunView:
        """The run of an id, of the beginning of one, or of a name; `last` is the newest."""
        return queries.find_run(self._database, text)

    def recent(self, *, state: RunState | None = None, limit: int | None = 50) -> list[RunView]:
        """The newest runs first."""
        return queries.list_runs(self._database, state=state, limit=limit)

    def items(self, run: RunView, *, state: ItemState | None = None) -> Iterator[ItemView]:
        """A run's items in the order of submission, streaming."""
        return walking.iterate_items(self._database, run.number, state=state)

    def ended(self, run: RunView, *, after: tuple[float, int], limit: int = 1000) -> list[ItemView]:
        """Items that ended after one of this (time, id), in the order of their ends."""
        return queries.ended_since(self._database, run.number, after=after, limit=limit)

    def last_ended(self, run: RunView) -> tuple[float, int]:
        """The (time, id) of the item that ended last; what `ended` goes on after."""
        return queries.last_ended(self._database, run.number)

    def item(self, run: RunView, path: str) -> ItemView:
        """The item of a path, or of the end of one."""
        return walking.find_item(self._database, run.number, path)

    def failures(self, run: RunView) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return queries.failures(self._database, run.number)

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

    def waiting(self, *, beside: int = 0) -> list[RunView]:
        """The server's runs that nobody drives, the next one first; see `pages.waiting_runs`."""
        return pages.waiting_runs(self._database, beside=beside)

    def ended_lately(self, *, since: float) -> list[str]:
        """The ids of runs that have ended since then, the latest first."""
        return pages.ended_runs(self._database, since=since)

    def unfinished_over(self, folder: str) -> str | None:
        """The id of an unfinished run of the server whose inputs lie in this very folder."""
        return pages.unfinished_over(self._database, folder)

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

    def is_taken(self, out: str, owner: str) -> bool:
        """Whether another one's run has results in this place of a bucket, or around it."""
        from grange.runs import places

        return places.is_taken(self._database, out, owner)

    def digest_of(self, run: RunView, path: str) -> str | None:
        """The sha256 of a published file, where the ledger finds it quickly."""
        return itempages.digest_of(self._database, run, path)

    def newest_ended(self, run: RunView, *, limit: int) -> list[ItemView]:
        """The items that ended last, the newest first."""
        from grange.runs import timeline

        return timeline.newest_ended(self._database, run.number, limit=limit)

    def newest_spans(self, run: RunView, *, limit: int) -> list[Span]:
        """What workers did for the items that ended last, in the order of time."""
        from grange.runs import timeline

        return timeline.newest_spans(self._database, run.number, limit=limit)

    def ended_by_minute(self, numbers: Sequence[int], *, since: float) -> dict[int, int]:
        """How many items of these runs ended in which minute."""
        from grange.runs import pace

        return pace.ended_by_minute(self._database, numbers, since=since)

    def standing(self, *, now: float) -> dict[str, Standing]:
        """How the runs that have not ended stand, by the pipelines' names."""
        from grange.runs import standing

        return standing.standing(self._database, now=now)

    def troubles(self, run: RunView, *, limit: int = 5) -> Troubles:
        """Which inputs take far longer than others, and which are tried again."""
        from grange.runs import troubles

        return troubles.troubles(self._database, run.number, limit=limit)

    def cells(self, run: RunView) -> Glance:
        """All items of a run at a glance; a moving run's may be a few seconds old."""
        return self._glances.at(run)
