"""Pipelines, runs, items, attempts, outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import httpx

from grange.client.connection import Connection
from grange.client.downloads import pieces
from grange.client.events import Following
from grange.client.paging import every, quoted
from grange.client.schemas.basis import Page
from grange.client.schemas.runs import (
    Attempt,
    Cells,
    FailureGroup,
    Item,
    NewRun,
    OutputFile,
    Pipeline,
    Run,
    RunChange,
    RunPlan,
    TimeLine,
)

# The largest part of a list that one request brings.
PART = 1000


class Runs:
    """What the API says and does about runs; a run is named by id, a part of one, name, or last."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def list_pipelines(self) -> Page[Pipeline]:
        """The pipelines that are installed there."""
        return self._at.get(Page[Pipeline], "pipelines")

    def show_pipeline(self, name: str) -> Pipeline:
        """One pipeline, with the JSON schema of its parameters."""
        return self._at.get(Pipeline, f"pipelines/{quoted(name)}")

    def submit_run(self, new: NewRun, *, key: str | None = None) -> Run:
        """Put a run on the server's disk; with a key, only once."""
        return self._at.post(Run, "runs", new, key=key)

    def plan_run(self, new: NewRun) -> RunPlan:
        """What a run would do."""
        return self._at.post(RunPlan, "runs/plan", new)

    def list_runs(  # each is a filter of the API
        self,
        *,
        state: str = "",
        pipeline: str = "",
        owner: str = "",
        group: str = "",
        q: str = "",
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        """A part of the runs, the newest first."""
        query = {
            "state": state,
            "pipeline": pipeline,
            "owner": owner,
            "group": group,
            "q": q,
            "after": after,
            "limit": limit,
        }
        return self._at.get(Page[Run], "runs", query)

    def every_run(self, *, state: str = "", part: int | None = None) -> Iterator[Run]:
        """All runs, page by page; `part` is how many will do at first."""
        limit = min(part or PART, PART)
        return every(lambda after: self.list_runs(state=state, after=after, limit=limit))

    def show_run(self, run: str) -> Run:
        """One run."""
        return self._at.get(Run, _run(run))

    def change_run(self, run: str, change: RunChange) -> Run:
        """Change a run's name, priority or group."""
        return self._at.patch(Run, _run(run), change)

    def delete_run(self, run: str) -> None:
        """Forget a run, with its outputs on the server."""
        self._at.send("DELETE", _run(run))

    def cancel_run(self, run: str) -> Run:
        """Call a run off."""
        return self._at.post(Run, f"{_run(run)}/cancel")

    def pause_run(self, run: str) -> Run:
        """Let a run stand still."""
        return self._at.post(Run, f"{_run(run)}/pause")

    def resume_run(self, run: str) -> Run:
        """Let a paused run go on."""
        return self._at.post(Run, f"{_run(run)}/resume")

    def retry_run(self, run: str) -> Run:
        """Open a run's failed and cancelled items again."""
        return self._at.post(Run, f"{_run(run)}/retry")

    def list_items(
        self,
        run: str,
        *,
        state: str = "",
        code: str = "",
        q: str = "",
        after: str | None = None,
        limit: int = PART,
    ) -> Page[Item]:
        """A part of a run's items, in the order of submission."""
        query = {"state": state, "code": code, "q": q, "after": after, "limit": limit}
        return self._at.get(Page[Item], f"{_run(run)}/items", query)

    def every_item(self, run: str, *, state: str = "", q: str = "") -> Iterator[Item]:
        """All items of a run, page by page."""
        return every(lambda after: self.list_items(run, state=state, q=q, after=after))

    def show_item(self, run: str, item: int) -> Item:
        """One item, with its outputs."""
        return self._at.get(Item, f"{_run(run)}/items/{item}")

    def list_attempts(self, run: str, item: int) -> Page[Attempt]:
        """The ended attempts at an item."""
        return self._at.get(Page[Attempt], f"{_run(run)}/items/{item}/attempts")

    def show_log(  # the parts of a log's name
        self, run: str, item: int, task: int, epoch: int, stream: str, /
    ) -> Iterator[bytes]:
        """What an attempt wrote to `out` or `err`, as it comes."""
        return self.read_path(f"{_run(run)}/items/{item}/attempts/{task}/{epoch}/{stream}")

    def read_path(self, path: str) -> Iterator[bytes]:
        """Any text of the API by its path, as it comes."""
        try:
            with self._at.stream(path) as response:
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._at.told(error) from error

    def list_failures(self, run: str) -> Page[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return self._at.get(Page[FailureGroup], f"{_run(run)}/failures")

    def show_cells(self, run: str) -> Cells:
        """All items of a run at a glance."""
        return self._at.get(Cells, f"{_run(run)}/cells")

    def show_timeline(self, run: str) -> TimeLine:
        """Which worker did what when: the newest ended attempts."""
        return self._at.get(TimeLine, f"{_run(run)}/timeline")

    def list_outputs(
        self, run: str, *, after: str | None = None, limit: int = PART
    ) -> Page[OutputFile]:
        """A part of the files that a run has published."""
        query = {"after": after, "limit": limit}
        return self._at.get(Page[OutputFile], f"{_run(run)}/outputs", query)

    def every_output(self, run: str) -> Iterator[OutputFile]:
        """All files that a run has published, page by page."""
        return every(lambda after: self.list_outputs(run, after=after))

    def download_output(self, run: str, path: str, *, start: int = 0) -> Iterator[bytes]:
        """The bytes of an output from `start` on; goes on by itself where it was cut off."""
        return pieces(self._at, self.output_path(run, path), start=start)

    def download_all(self, run: str) -> Iterator[bytes]:
        """All outputs in one archive, as it comes."""
        return self.read_path(f"{_run(run)}/outputs.zip")

    def export_run(self, run: str, dialect: str, options: Mapping[str, str]) -> Iterator[bytes]:
        """The results in another format, in one archive, as it comes."""
        query = f"?{urlencode(options)}" if options else ""
        return self.read_path(f"{_run(run)}/exports/{quoted(dialect)}{query}")

    def follow_events(self, run: str, *, after: str = "") -> Following:
        """Follow a run as it goes, over every cut; `after="start"` begins with its first item."""
        return Following(self._at, run, after=after)

    def output_path(self, run: str, path: str) -> str:
        """Where the API has an output."""
        return f"{_run(run)}/outputs/{quoted(path, safe='/')}"


def _run(run: str) -> str:
    return f"runs/{quoted(run)}"
