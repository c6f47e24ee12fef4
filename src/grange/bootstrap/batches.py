"""A folder that is worked on batch by batch: `input`, `input_done`, `output`.

What lies in `input` is produced as one run, whose results go to `output`. An
input is moved to `input_done` once its item is done, and not before; one that
failed stays, and a file below `input_failed` says why. Whatever is cut off, the
next command finds out from the ledger what was done, and goes on from there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grange.bootstrap import embedded
from grange.bootstrap.moving import fresh_files, is_same, move, stamp_of, write_reason
from grange.core.states import ItemState, RunState
from grange.errors import Conflict, GrangeError, InputsInvalid, RunNotFound, SettingInvalid

if TYPE_CHECKING:
    from grange.bootstrap.sites import Site
    from grange.core.events import Observer
    from grange.runs.models import ItemView, RunRequest, RunView, Submitted

INPUT, DONE, FAILED, OUTPUT = "input", "input_done", "input_failed", "output"
# What programs call a file until it is whole.
PARTIAL = ("*.part", "*.partial", "*.tmp", "*.temp", "*.crdownload", "*.filepart", "*.aria2", "*~")
SETTLE_SECONDS = 2.0
LONGEST_SETTLING_SECONDS = 600.0
# How soon an input is moved after its item is done.
MOVE_SECONDS = 1.0
# Among so many runs the newest one of a folder is looked for.
MOST_RUNS = 1000
_REQUEST = "produce.json"


@dataclass(frozen=True)
class Tidied:
    """What became of a run's inputs: how many were moved, and how many stay since they failed."""

    moved: int = 0
    failed: int = 0

    def __add__(self, other: Tidied) -> Tidied:
        """Both together."""
        return Tidied(self.moved + other.moved, self.failed + other.failed)


class Batches:
    """The batches of one folder."""

    def __init__(self, site: Site, folder: Path) -> None:
        """Work on what lies in `folder`; nothing is made or moved yet."""
        self._site = site
        self._folder = folder.expanduser().absolute()

    @property
    def input(self) -> Path:
        """Where inputs come to."""
        return self._folder / INPUT

    @property
    def out(self) -> Path:
        """Where results go."""
        return (self._folder / OUTPUT).resolve()

    def produce(
        self,
        request: RunRequest,
        *,
        settle_seconds: float = SETTLE_SECONDS,
        told: Callable[[str], None] = lambda _: None,
    ) -> Submitted | None:
        """Make a run of what lies in `input`; what is produced already is not produced again.

        While another process works on a run of this folder, the request is kept, and that
        process goes on with it: None then.

        Raises:
            InputsInvalid: There is no folder `input`, or nothing in it.
            Conflict: A file there does not stop changing.
        """
        self._make()
        self.tidy()
        self._wait_until_still(settle_seconds, told)
        request = replace(
            request,
            inputs=[str(self.input)],
            out=str(self.out),
            exclude=[*request.exclude, *PARTIAL],
            cwd=str(self._folder),
        )
        submitted = None if self._coming() else self._site.submit(request, told=told)
        if submitted is None or (submitted.driver is not None and self._is_here):
            self._keep(request)
            return None
        return submitted

    def next_run(self) -> RunView | None:
        """The run that is to be worked on, made of a request that was kept if need be."""
        run = self._unfinished()
        if run is None and (request := self._kept()) is not None:
            with suppress(InputsInvalid):
                # All that it was for may have been done by the run before.
                run = self._site.submit(request).run
            (self._own / _REQUEST).unlink(missing_ok=True)
        return run

    def work(
        self,
        run: RunView,
        *,
        workers: int | None,
        observer: Observer,
        stop: threading.Event,
    ) -> tuple[RunView, Tidied]:
        """Bring a run to its end, and move its inputs as they are done."""
        with self._tidying(run):
            run = self._site.drive(run.id, workers=workers, observer=observer, stop=stop)
        return run, self.tidy(run)

    def tidy(self, run: RunView | None = None) -> Tidied:
        """Move the inputs that are done in a run, or in the newest one, and name those that failed.

        Doing it again changes nothing.

        Raises:
            SettingInvalid: An input can't be moved.
        """
        run = run or self._newest()
        if run is None or run.state is RunState.SUBMITTING or self._coming():
            return Tidied()
        total = Tidied()
        for state in (ItemState.DONE, ItemState.FAILED):
            for item in self._site.items(run.id, state=state):
                total += self._tidy(run, item)
        return total

    @property
    def _is_here(self) -> bool:
        return not self._site.server

    @property
    def _own(self) -> Path:
        return self._folder / ".grange"

    def check(self) -> None:
        """Make sure that this is a folder of batches, and no slip in its name.

        Raises:
            InputsInvalid: There is no folder `input`.
        """
        if not self.input.is_dir():
            raise InputsInvalid(
                f"There is no folder {INPUT!r} in {self._folder}.",
                hint=f"Make it, and put into it what is to be worked on: {self.input}",
            )

    def _make(self) -> None:
        self.check()
        try:
            for name in (DONE, OUTPUT):
                (self._folder / name).mkdir(exist_ok=True)
        except OSError as error:
            message = f"The folder {self._folder} can't be written to: {error.strerror}."
            raise SettingInvalid(message, hint="It takes the right to write there.") from error

    def _coming(self) -> RunView | None:
        """The server's run whose results have not all come here."""
        from grange.bootstrap.remote.order import read_order

        order = None if self._is_here else read_order(self.out)
        if order is None or not order.run:
            return None
        try:
            return self._site.find_run(order.run)
        except RunNotFound:
            return None  # Somebody has deleted it: nothing will come.

    def _unfinished(self) -> RunView | None:
        if (coming := self._coming()) is not None:
            return coming
        for state in RunState:
            if state.is_finished():
                continue
            for run in self._site.list_runs(state=state, limit=MOST_RUNS):
                if self._is_mine(run):
                    return run
        return None

    def _newest(self) -> RunView | None:
        found = self._site.list_runs(limit=MOST_RUNS)
        return next((run for run in found if self._is_mine(run)), None)

    def _is_mine(self, run: RunView) -> bool:
        from grange.storage import file_uri

        return run.out == file_uri(self.out)

    # ---- moving inputs

    @contextmanager
    def _tidying(self, run: RunView) -> Iterator[None]:
        """While the block lasts, inputs are moved soon after their items are done."""
        site = self._site
        if not isinstance(site, embedded.Site):
            # Results of a server have to come first: all is moved at the end.
            yield
            return
        over = threading.Event()

        def follow() -> None:
            last = (0.0, 0)
            while not over.wait(MOVE_SECONDS):
                # What can't be done now is done, or said, at the end.
                with suppress(GrangeError):
                    while ended := site.ended(run.id, after=last):
                        for item in ended:
                            self._tidy(run, item)
                        last = (ended[-1].ended_at or 0.0, ended[-1].id)

        thread = threading.Thread(target=follow, name="moving inputs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _tidy(self, run: RunView, item: ItemView) -> Tidied:
        file, path = self._file_of(item)
        reason = self._folder / FAILED / f"{path}.txt"
        try:
            if item.state is ItemState.FAILED:
                if file.exists():
                    write_reason(reason, run, item)
                return Tidied(failed=1)
            if item.state is not ItemState.DONE or not is_same(file, item):
                return Tidied()
            moved = move(file, self._folder / DONE / path)
            reason.unlink(missing_ok=True)
        except OSError as error:
            message = f"The input {str(file)!r} is done, and can't be moved: {error.strerror}."
            hint = f"Mend that, then: grange consume {self._folder}"
            raise SettingInvalid(message, hint=hint) from error
        return Tidied(moved=int(moved))

    def _file_of(self, item: ItemView) -> tuple[Path, str]:
        """Where an item's input lies, and its path below `input`."""
        from grange.storage import uri_path

        if item.uri.startswith("file://"):
            file = uri_path(item.uri)
            for root in (self.input, self.input.resolve()):
                if file.is_relative_to(root):
                    return file, str(file.relative_to(root))
        return self.input / item.path, item.path

    # ---- what waits

    def _wait_until_still(self, settle_seconds: float, told: Callable[[str], None]) -> None:
        deadline = time.monotonic() + LONGEST_SETTLING_SECONDS
        said = False
        fresh = fresh_files(self.input, settle_seconds)
        while fresh:
            if time.monotonic() > deadline:
                name = min(fresh)
                raise Conflict(f"{name!r} is still being written.", hint="Produce when it is done.")
            if not said:
                told("Waiting until nobody writes into the folder any more …")
                said = True
            time.sleep(settle_seconds)
            now = {name: stamp_of(name) for name in fresh}
            fresh = {name: stamp for name, stamp in now.items() if stamp != fresh[name]}
            fresh = {name: stamp for name, stamp in fresh.items() if stamp is not None}

    def _keep(self, request: RunRequest) -> None:
        """Keep a request for the process that works on this folder."""
        self._own.mkdir(exist_ok=True)
        fresh = self._own / f"{_REQUEST}.{os.getpid()}"
        fresh.write_text(json.dumps(asdict(request)), encoding="utf-8")
        fresh.replace(self._own / _REQUEST)

    def _kept(self) -> RunRequest | None:
        from grange.runs.models import RunRequest

        try:
            said: Mapping[str, Any] = json.loads((self._own / _REQUEST).read_bytes())
            return RunRequest(**said)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            # Of another version, or damaged: whoever produces again asks for the same.
            return None
