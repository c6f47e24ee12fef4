"""Submitting to a server: what it sees itself is named, the rest is sent, and the run is made."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grange.bootstrap.remote import order as orders
from grange.bootstrap.results import check_out, place_of
from grange.client.schemas.files import NewFolder, ShareProbe, ShareSample
from grange.client.schemas.runs import FolderInput, NewNeeds, NewRun, ShareInput
from grange.client.uploads import LocalFile, Sender, Sent
from grange.errors import (
    GroupNotFound,
    InputsInvalid,
    OutputInUse,
    ParameterInvalid,
    PipelineNotFound,
    RunNotFound,
)
from grange.runs.inputs import Root, Scan, find_roots
from grange.storage import uri_path
from grange.storage.s3urls import is_s3, parse_s3

if TYPE_CHECKING:
    from grange.bootstrap.remote.order import Order
    from grange.client.api import Client
    from grange.client.known import Known
    from grange.client.schemas.runs import Pipeline, Run
    from grange.runs.models import NewItem, RunRequest

# What is sent was chosen here: the server is to leave nothing of it out.
EVERYTHING = ["*", ".*"]
# Files that are compared to know whether the server sees the same folder, and among how many.
_SAMPLES = 20
_LOOKED_AT = 2000
_TOLD_SECONDS = 5.0
_MOST_FILE_BYTES = 1 << 20

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, looked at from this machine."""

    request: RunRequest
    pipeline: Pipeline
    roots: Sequence[Root]
    scan: Scan
    out: str  # the path of a folder of this machine, or the URL of a bucket's
    kept: Path  # where the order is kept that asks for this


def look_at(client: Client, request: RunRequest, kept: Path) -> Asked:
    """Check what can be checked here, and find the inputs. Nothing is written.

    Orders whose results come to no folder of this machine are kept below `kept`.

    Raises:
        PipelineNotFound: The server has no such pipeline.
        InputsInvalid: An input names nothing.
    """
    cwd = Path(request.cwd or Path.cwd())
    out = place_of(request.out, cwd)
    pipeline = _pipeline(client, request.pipeline)
    roots = _bucket_roots(request) or find_roots(request.inputs, cwd=str(cwd))
    check_out(out, [root.path for root in roots], is_here=False)
    scan = Scan(
        roots=[root for root in roots if not is_s3(root.path)],
        include=request.include,
        exclude=request.exclude,
        accepts=pipeline.accepts,
        out=out,
    )
    beside = orders.folder_of(out, client.server, kept)
    return Asked(request=request, pipeline=pipeline, roots=roots, scan=scan, out=out, kept=beside)


def unfinished(client: Client, asked: Asked) -> tuple[Order, Run | None]:
    """The order to go on with, and its run if there is one already.

    Raises:
        OutputInUse: The folder waits for the results of another request.
    """
    digest = orders.fingerprint(asked.request, [root.shown for root in asked.roots])
    order = orders.read_order(asked.kept)
    if order is None or order.server != client.server:
        return orders.new_order(client.server, digest), None
    run = _run_of(client, order)
    if order.request == digest and (run is not None or not order.run):
        return order, run
    if run is not None and run.finished_at is None:
        raise OutputInUse(
            f"The results of run {run.id}, which is unfinished, are wanted in {asked.out}.",
            hint=f"Go on with it (grange runs resume {run.id}), call it off "
            f"(grange runs cancel {run.id}), or choose another --out.",
        )
    return orders.new_order(client.server, digest), None


def submit(client: Client, known: Known, asked: Asked, order: Order, told: Told) -> Run:
    """Send what the server can't see, and put the run on its disk.

    Raises:
        InputsInvalid: There is no input.
    """
    request = asked.request
    group = _group(client, request.group) if request.group else None
    if _are_seen(client, asked):
        new = seen_run(asked, group)
    else:
        sent = FolderInput(folder=_send(client, known, asked, order, told))
        new = _new_run(request, [sent], group, (EVERYTHING, ()))
    return client.runs.submit_run(new, key=order.key("run"))


def is_of_buckets(asked: Asked) -> bool:
    """Whether the inputs lie in buckets, which the server looks at, and not this machine."""
    return all(is_s3(root.path) for root in asked.roots)


def seen_run(asked: Asked, group: str | None) -> NewRun:
    """The request as a server is told that sees the inputs itself."""
    places = [one.path.rstrip("/") if is_s3(one.path) else one.path for one in asked.roots]
    request = asked.request
    inputs = [ShareInput(share=place) for place in places]
    return _new_run(request, inputs, group, (request.include, request.exclude))


def _bucket_roots(request: RunRequest) -> list[Root]:
    """The inputs, if they lie in buckets.

    Raises:
        InputsInvalid: Only some of them do.
    """
    found = [Root(f"{text.rstrip('/')}/", "") for text in request.inputs if is_s3(text)]
    if found and len(found) != len(request.inputs):
        message = "Inputs in buckets and files of this machine can't go together to a server."
        raise InputsInvalid(message, hint="Make a run of each.")
    return found


def _new_run(
    request: RunRequest,
    inputs: Sequence[FolderInput | ShareInput],
    group: str | None,
    chosen: tuple[Sequence[str], Sequence[str]],
) -> NewRun:
    include, exclude = chosen
    return NewRun(
        pipeline=request.pipeline,
        inputs=list(inputs),
        params=dict(request.params),
        settings=list(settings_sent(request)),
        include=list(include),
        exclude=list(exclude),
        retries=request.retries,
        timeout_seconds=request.timeout_seconds,
        name=request.name,
        priority=request.priority,
        group=group,
        needs=NewNeeds(**request.needs) if request.needs else None,
        out=parse_s3(request.out).url if is_s3(request.out) else None,
    )


def _group(client: Client, text: str) -> str:
    """The id of the group of this id or name."""
    for one in client.accounts.list_groups().items:
        if text in {one.id, one.name}:
            return one.id
    raise GroupNotFound(f"There is no group {text!r}.", hint="See them: grange groups list")


def settings_sent(request: RunRequest) -> Iterator[str]:
    """The NAME=VALUE texts, with what NAME=@FILE means: the server can't read our files.

    Raises:
        ParameterInvalid: A file can't be read.
    """
    for setting in request.settings:
        name, _, value = setting.partition("=")
        if not value.startswith("@") or value.startswith("@@"):
            yield setting
            continue
        path = Path(request.cwd or ".") / Path(value[1:]).expanduser()
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_MOST_FILE_BYTES)
        except (OSError, ValueError) as error:
            message = f"The file {str(path)!r} for {name} can't be read."
            raise ParameterInvalid(message, hint="Is it there, and is it text?") from error
        text = text.removesuffix("\n").removesuffix("\r")
        yield f"{name}={'@' if text.startswith('@') else ''}{text}"


def _pipeline(client: Client, name: str) -> Pipeline:
    if name.rpartition(":")[0].endswith(".py") or name.endswith(".py"):
        raise PipelineNotFound(
            f"The pipeline {name} is a file of this machine, and {client.server} runs its own.",
            hint="Install it there, or work on this machine: GRANGE_SERVER=none grange run …",
        )
    return client.runs.show_pipeline(name)


def _run_of(client: Client, order: Order) -> Run | None:
    if not order.run:
        return None
    try:
        return client.runs.show_run(order.run)
    except RunNotFound:
        return None


def _are_seen(client: Client, asked: Asked) -> bool:
    """Whether the server sees all of the inputs itself, at the same places."""
    if is_of_buckets(asked):
        return True
    if any(root.pattern is not None for root in asked.roots):
        return False
    shares = [share.path.rstrip("/") for share in client.files.list_shares().items]
    below = [
        root for root in asked.roots if any(f"{root.path}/".startswith(f"{one}/") for one in shares)
    ]
    if not shares or len(below) < len(asked.roots):
        return False
    return all(client.files.probe_share(probe).same for probe in map(_probe, below))


def _probe(root: Root) -> ShareProbe:
    """What we see at a path: some of its files, spread over the first of them."""
    seen = list(itertools.islice(Scan(roots=[Root(root.path, "")]), _LOOKED_AT))
    chosen = seen[:: max(len(seen) // _SAMPLES, 1)][:_SAMPLES]
    return ShareProbe(path=root.path, samples=[_sample(root, one) for one in chosen])


def _sample(root: Root, item: NewItem) -> ShareSample:
    below = os.path.relpath(uri_path(item.uri), root.path)
    path = "" if below == "." else below
    return ShareSample(path=path, size=item.size, mtime_ns=item.mtime_ns)


def _send(client: Client, known: Known, asked: Asked, order: Order, told: Told) -> str:
    """Fill a folder with the inputs; returns its id. The same order fills the same folder."""
    stream = iter(asked.scan)
    first = next(stream, None)
    if first is None:
        raise InputsInvalid(
            "The inputs hold no file to work on.",
            hint="Check the folder, and what --include and --exclude leave of it.",
        )
    orders.write_order(asked.kept, order)
    name = ", ".join(Path(root.path).name or root.path for root in asked.roots)
    folder = client.files.make_folder(NewFolder(name=_title(name)), key=order.key("folder")).id
    sender = Sender(client.connection, known, folder, told=_Teller(told))
    sender.send(_local(itertools.chain([first], stream)))
    return folder


def _local(items: Iterable[NewItem]) -> Iterator[LocalFile]:
    for item in items:
        yield LocalFile(item.path, uri_path(item.uri), item.size, item.mtime_ns)


def _title(name: str) -> str:
    """A name as one line."""
    return "".join(one for one in name if one.isprintable())[:200]


class _Teller:
    """Says now and then how the sending stands."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._at = time.monotonic()

    def __call__(self, sent: Sent) -> None:
        now = time.monotonic()
        if now - self._at < _TOLD_SECONDS:
            return
        self._at = now
        known = f"{sent.files:,} files are there"
        self._told(f"Sending the inputs: {known}, {sent.sent_bytes / 1e6:,.0f} MB sent …")
