"""A run as a program holds it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from grange.core.states import ItemState, RunState
from grange.errors import GrangeError, ItemsFailed, UsageError
from grange.live import bars
from grange.live.background import Background
from grange.live.place import Place
from grange.live.results import ItemResult, frame_of, result_of
from grange.runs.models import REPORT_FILE, Counts, FailureGroup, ItemView, RunView
from grange.storage import uri_path

JSON = Any

# How long to wait for a change that nobody announces: one by another process.
LOOK_SECONDS = 0.5


class Run:
    """A run: how it stands, its items as they end, and what may be done with it.

    The work goes on in the background of this program. When the program ends,
    or `stop` is called, the run stands still and can be resumed, from here, from
    another program, or by `grange runs resume`.
    """

    def __init__(self, place: Place, view: RunView, *, workers: int | None = None) -> None:
        """Use `grange.run` or `grange.find_run`."""
        self._site = place.site
        self._work = Background(place, view.id, workers=workers)
        self._out = uri_path(view.out)
        self._id = view.id
        self._name = view.name

    @property
    def id(self) -> str:
        """Its short id, by which the commands know it too."""
        return self._id

    @property
    def name(self) -> str:
        """The name it was given, or nothing."""
        return self._name

    @property
    def state(self) -> RunState:
        """Where it is now; compares equal to the word: `run.state == "done"`."""
        return self._view().state

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""
        return self.state.is_finished()

    @property
    def counts(self) -> Counts:
        """How many items there are, and how many in which end."""
        return self._view().counts

    @property
    def out(self) -> Path:
        """The folder of its outputs."""
        return self._out

    @property
    def report(self) -> Path | None:
        """The page to look at; None as long as there is none."""
        page = self._out / REPORT_FILE
        return page if page.is_file() else None

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = False) -> Run:
        """Wait until it has ended, or nobody works on it any more; failed items raise nothing.

        Ctrl-C stops the work and leaves the run to be resumed.

        Args:
            timeout: Go on after so many seconds, with the run unfinished.
            raise_on_failure: Raise when the run ends and not all of its items are done.

        Raises:
            GrangeError: What stopped the work, such as a full disk.
        """
        deadline = inf if timeout is None else monotonic() + timeout
        with self._interruptible():
            while self._is_worked_on() and (left := deadline - monotonic()) > 0:
                if self._work.is_alive():
                    self._work.join(min(LOOK_SECONDS, left))
                else:
                    sleep(min(LOOK_SECONDS, left))
        self._raise_error()
        if raise_on_failure:
            self._raise_failure()
        return self

    def __iter__(self) -> Iterator[ItemResult]:
        """Give the items as they end, those that have ended first; stop when the run does.

        Each iteration begins from the start.
        """
        given = array("q")
        after = (0.0, 0)
        while True:
            with self._interruptible():
                # Asked before looking, so that what ended in between is seen by the next look.
                worked_on = self._is_worked_on()
                ended = self._site.ended(self._id, after=after)
            for item in ended:
                given.append(item.id)
                yield self._result(item)
            if ended:
                after = (ended[-1].ended_at or 0.0, ended[-1].id)
            elif worked_on:
                with self._interruptible():
                    self._work.sleep(LOOK_SECONDS)
            else:
                break
        yield from self._overlooked(given)
        self._raise_error()

    def items(self, state: ItemState | str | None = None) -> Iterator[ItemResult]:
        """All items as they are now, in the order of the inputs, or those of one state."""
        try:
            wanted = None if state is None else ItemState(state)
        except ValueError:
            known = ", ".join(ItemState)
            message = f"No item is ever {state!r}."
            raise UsageError(message, hint=f"States are {known}.") from None
        return map(self._result, self._site.items(self._id, state=wanted))

    def records(self) -> list[dict[str, JSON]]:
        """All items as flat dictionaries of plain values."""
        return [item.record() for item in self.items()]

    def frame(self) -> Any:  # noqa: ANN401  # pandas may be missing
        """All items as a `pandas.DataFrame`, one row each.

        Raises:
            ExtraMissing: pandas is not installed.
        """
        return frame_of(item.record() for item in self.items())

    def failures(self) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return self._site.failures(self._id)

    def cancel(self) -> Run:
        """Call it off for good; the work stops within seconds."""
        self._site.cancel(self._id)
        return self

    def retry(self, *, progress: bool | None = None) -> Run:
        """Open its failed and cancelled items again, and work on them."""
        self._site.retry(self._id)
        return self.resume(progress=progress)

    def resume(self, *, progress: bool | None = None) -> Run:
        """Go on with it in the background, unless that is done already or it has ended."""
        if not self._work.is_alive() and not self.finished:
            self._work.start(bars.bar_for(self._title, progress=progress))
        return self

    def stop(self) -> Run:
        """Let the work here come to rest; the run can be resumed."""
        self._work.stop()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for its end; an exception stops the work and leaves the run to be resumed."""
        if kind is None:
            self.wait()
        else:
            self.stop()

    def __repr__(self) -> str:
        try:
            view = self._view()
        except GrangeError as error:
            return f"<Run {self._id}: {error.message}>"
        name = f" {view.name!r}" if view.name else ""
        return f"<Run {view.id}{name}: {view.state.value}, {bars.told(view.counts)}>"

    def _repr_html_(self) -> str:
        view = self._view()
        return bars.html(self._title, view.state, view.counts, bars.told(view.counts))

    @property
    def _title(self) -> str:
        return self._name or f"Run {self._id}"

    def _view(self) -> RunView:
        return self._site.find_run(self._id)

    def _is_worked_on(self) -> bool:
        """Whether it may still move: by this program's work, or by another's."""
        if self._work.is_alive():
            return True
        if self._work.error is not None:
            return False
        view = self._view()
        return not view.state.is_finished() and view.driver is not None

    def _result(self, item: ItemView) -> ItemResult:
        return result_of(item, self._out)

    def _overlooked(self, given: array[int]) -> Iterator[ItemResult]:
        """Items that ended at a time that had passed already: clocks are set back at times."""
        if len(given) >= self.counts.ended:
            return
        known = set(given)
        for item in self._site.items(self._id):
            if item.state.is_finished() and item.id not in known:
                yield self._result(item)

    def _raise_error(self) -> None:
        if self._work.error is not None and not self._work.is_alive():
            raise self._work.error

    def _raise_failure(self) -> None:
        view = self._view()
        if view.state.is_finished() and view.state is not RunState.DONE:
            message = f"Run {view.id} is {view.state.value}: {bars.told(view.counts)}."
            raise ItemsFailed(message, hint="See failures() for the reasons; retry() tries again.")

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C inside of it stops the work before it goes on its way."""
        try:
            yield
        except KeyboardInterrupt:
            self.stop()
            raise
