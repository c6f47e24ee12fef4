"""Where runs come from: new ones, and earlier ones found again."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grange.core.states import RunState
from grange.errors import PipelineInvalid, UsageError
from grange.live.handle import Run
from grange.live.place import open_place
from grange.runs.models import RunRequest

if TYPE_CHECKING:
    from grange.pipelines import Pipeline

PathText = str | PathLike[str]


def run(  # noqa: PLR0913  # each is an option of the command too
    pipeline: PathText | type[Pipeline[Any]],
    inputs: PathText | Sequence[PathText],
    *,
    out: PathText,
    workers: int | None = None,
    retries: int | None = None,
    timeout: float | None = None,
    name: str = "",
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    progress: bool | None = None,
    home: PathText | None = None,
    params: Mapping[str, object] | None = None,
    **more_params: object,
) -> Run:
    """Apply a pipeline to inputs, in the background; the run comes back at once.

    It is on disk before this returns. The same call again goes on with an
    unfinished run, and takes over results that are known already.

    Args:
        pipeline: The name of an installed one, a `.py` file, or a class that a file defines.
        inputs: Files, folders and globs.
        out: The folder for outputs.
        workers: How many processes work at once; as many as there are cores by default.
        retries: How often an item is tried again.
        timeout: How many seconds an attempt may take.
        name: What to call the run.
        include: Take only what matches one of these globs.
        exclude: Leave out what matches one of these globs.
        progress: Show a bar. By default in notebooks only.
        home: Where Grange keeps its state; `GRANGE_HOME` by default. Models that were added are
            looked for in `GRANGE_HOME` alone.
        params: The pipeline's parameters, where their names are also names of arguments here.
        **more_params: The pipeline's parameters.

    Raises:
        UsageError: The request makes no sense: no such input, a parameter that is refused.
        NotFound: There is no such pipeline.
        OutputInUse: An unfinished run of another request writes to the same folder.
    """
    place = open_place(home, workers=workers, retries=retries, timeout_seconds=timeout)
    request = RunRequest(
        pipeline=_reference(pipeline),
        inputs=_texts(inputs),
        out=fspath(out),
        params={**(params or {}), **more_params},
        include=_texts(include),
        exclude=_texts(exclude),
        workers=workers,
        retries=place.settings.retries,
        timeout_seconds=place.settings.timeout_seconds,
        name=name,
        cwd=str(Path.cwd()),
    )
    with _one_at_a_time():
        submitted = place.site.submit(request)
    made = Run(place, submitted.run, workers=workers)
    return made.resume(progress=progress)


def find_run(run: str = "last", *, home: PathText | None = None) -> Run:
    """The run of an id, of the beginning of one, or of a name; the newest by default.

    Raises:
        RunNotFound: There is none.
    """
    place = open_place(home)
    return Run(place, place.site.find_run(run))


def list_runs(
    state: RunState | str | None = None, *, limit: int = 50, home: PathText | None = None
) -> list[Run]:
    """The newest runs first, or those in one state."""
    place = open_place(home)
    try:
        wanted = None if state is None else RunState(state)
    except ValueError:
        message = f"No run is ever {state!r}."
        raise UsageError(message, hint=f"States are {', '.join(RunState)}.") from None
    return [Run(place, view) for view in place.site.list_runs(state=wanted, limit=limit)]


def _texts(given: PathText | Sequence[PathText]) -> list[str]:
    if isinstance(given, str | PathLike):
        return [fspath(given)]
    return [fspath(one) for one in given]


def _reference(pipeline: PathText | type[Pipeline[Any]]) -> str:
    """What a worker finds the pipeline by."""
    if not isinstance(pipeline, type):
        return fspath(pipeline)
    place = f"{pipeline.__module__}:{pipeline.__qualname__}"
    for entry in entry_points(group="grange.pipelines"):
        if entry.value == place:
            return entry.name
    try:
        file = inspect.getsourcefile(pipeline)
    except (TypeError, OSError):
        file = None
    if file is None or not file.endswith(".py") or "." in pipeline.__qualname__:
        message = f"Workers can't find the pipeline {pipeline.__qualname__}: no file defines it."
        hint = "Write it at the top of a .py file (in a notebook: %%writefile), and name the file."
        raise PipelineInvalid(message, hint=hint)
    return f"{file}:{pipeline.__name__}"


_submitting = threading.local()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Refuse a run that is started by loading the pipeline of another one: it would never end."""
    if getattr(_submitting, "now", False):
        message = "The file of a pipeline starts a run when it is loaded."
        hint = 'Put the call of grange.run below: if __name__ == "__main__":'
        raise PipelineInvalid(message, hint=hint)
    _submitting.now = True
    try:
        yield
    finally:
        _submitting.now = False
