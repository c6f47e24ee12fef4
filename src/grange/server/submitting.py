"""From a request over HTTP to a run: the pipeline, its parameters, and the inputs behind names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grange.client.schemas import runs as schemas
from grange.core.resources import asked_for
from grange.errors import InputsInvalid, OutputInUse, ParameterInvalid
from grange.pipelines import catalog, parameters
from grange.pipelines.base import NOWHERE
from grange.runs.inputs import Root, Scan, is_folder
from grange.runs.models import NewItem, RunSpec
from grange.server import access, buckets
from grange.storage import file_uri, uri_path
from grange.storage.s3urls import is_s3

if TYPE_CHECKING:
    from grange.accounts.models import Actor
    from grange.pipelines.base import Pipeline
    from grange.server.parts import Parts

# How many item paths a dry run shows.
EXAMPLES = 10


@dataclass(frozen=True)
class Prepared:
    """A request made exact, and the walk over its inputs."""

    spec: RunSpec
    scan: Scan
    shares: Sequence[str]

    def items(self) -> Iterator[NewItem]:
        """The inputs that are found; a link that leads out of a shared folder is none."""
        for item in self.scan:
            if self.shares and self._leads_out(item):
                self.scan.skipped["links that lead out of the shared folder"] += 1
            else:
                yield item

    def _leads_out(self, item: NewItem) -> bool:
        if is_s3(item.uri):
            return False
        path = str(uri_path(item.uri))
        if not os.path.islink(path):
            return False
        real = os.path.realpath(path)
        return not any(real.startswith(f"{share}/") for share in self.shares)


def prepare(parts: Parts, actor: Actor, new: schemas.NewRun, run: str) -> Prepared:
    """Check everything that can be checked before anything is made.

    Raises:
        NotAllowed: The pipeline, the group, or the place for results is not for this actor.
        OutputInUse: Somebody else's results are there.
        NotFound: There is no such pipeline, folder or shared folder.
        ParameterInvalid: A parameter is refused.
    """
    access.check_pipeline(actor, new.pipeline, commands=parts.settings.commands)
    if new.group:
        access.check_group(actor, new.group)
        parts.accounts.group(actor, new.group)
    reference = catalog.absolute(new.pipeline, cwd=NOWHERE)
    pipeline = catalog.find(reference)
    params = _parameters(pipeline, new)
    roots, shown, shares = _roots(parts, actor, new)
    spec = RunSpec(
        pipeline=reference,
        version=pipeline.version,
        params=params.model_dump(mode="json"),
        function_key=catalog.function_key(pipeline, params),
        out=out_of(parts, actor, new, run),
        inputs={"roots": shown, "include": list(new.include), "exclude": list(new.exclude)},
        models=pipeline.models(params),
        splits=pipeline.splits(),
        reports=pipeline.reports(),
        reads_name=pipeline.reads_name,
        retries=parts.settings.retries if new.retries is None else new.retries,
        timeout_seconds=new.timeout_seconds or parts.settings.timeout_seconds,
        name=new.name.strip(),
        priority=new.priority,
        needs=asked_for(pipeline.needs(params), new.needs.model_dump() if new.needs else {}),
        roots=[(root.label, root.path) for root in roots],
        owner=actor.user.id,
        shared_with=new.group,
    )
    if any(root.path.rstrip("/") == spec.out for root in roots):
        message = f"The results would lie among the inputs in {spec.out}."
        raise InputsInvalid(message, hint="Name another place for them; a folder below is fine.")
    scan = Scan(
        roots=roots,
        include=new.include,
        exclude=new.exclude,
        accepts=tuple(pipeline.accepts),
        out=spec.out,
    )
    return Prepared(spec, scan, shares)


def out_of(parts: Parts, actor: Actor, new: schemas.NewRun, run: str) -> str:
    """The URL of the folder in which the results of a run of the server go.

    Raises:
        NotAllowed, OutputInUse: Not into the one that was named.
    """
    if new.out is None:
        store = parts.settings.store
        return f"{store}/{run}" if store else file_uri(parts.outputs / run)
    place = buckets.place_of_results(parts.settings, new.out)
    if parts.runs.is_taken(place, actor.user.id):
        message = f"Results of somebody else's run lie in {place}, or around it."
        raise OutputInUse(message, hint="Name another folder.")
    return place


def plan(prepared: Prepared) -> schemas.RunPlan:
    """What the run would do: counts its inputs, writes nothing."""
    spec = prepared.spec
    stream = prepared.items()
    first = list(islice(stream, EXAMPLES))
    number, size = len(first), sum(item.size for item in first)
    for item in stream:
        number, size = number + 1, size + item.size
    return schemas.RunPlan(
        pipeline=spec.pipeline,
        version=spec.version,
        params=dict(spec.params),
        models=dict(spec.models),
        items=number,
        bytes=size,
        skipped=dict(prepared.scan.skipped),
        examples=[item.path for item in first],
    )


def _parameters(pipeline: Pipeline[Any], new: schemas.NewRun) -> Any:  # noqa: ANN401  # the pipeline's
    for setting in new.settings:
        value = setting.partition("=")[2]
        if value.startswith("@") and not value.startswith("@@"):
            raise ParameterInvalid(
                f"{setting.partition('=')[0][:100]} takes its value from a file, which the server "
                "does not read.",
                hint="Send the value itself.",
            )
    given = parameters.parse_settings(pipeline, new.settings, cwd=NOWHERE)
    return parameters.check_params(pipeline, {**given, **new.params}, cwd=NOWHERE)


def _roots(
    parts: Parts, actor: Actor, new: schemas.NewRun
) -> tuple[list[Root], list[str], list[str]]:
    """Where the inputs lie, how they are called, and the shared folders that they are in."""
    from grange.uploads import shares

    found: dict[str, str] = {}  # path: how people call it
    globs: dict[str, str | None] = {}  # path: what is left of a glob
    inside: list[str] = []
    shared = [Path(share) for share in (parts.settings.shares or "").split(":") if share]
    for one in new.inputs:
        if isinstance(one, schemas.FolderInput):
            path = str(parts.uploads.path_of(actor, one.folder))
            found[path] = parts.uploads.folder(actor, one.folder).name or one.folder
        elif is_s3(one.share):
            path, pattern = buckets.resolve(parts.settings.buckets, one.share)
            found[path], globs[path] = one.share, pattern
        else:
            path = str(shares.resolve(shared, one.share))
            found[path] = one.share
            inside = [os.path.realpath(share) for share in shared]
    alone = len(found) == 1
    roots: list[Root] = []
    taken: set[str] = set()
    for path, called in found.items():
        label = _free_label(called, taken)
        if is_folder(path):
            label = "" if alone else f"{label}/"
        roots.append(Root(path, label, globs.get(path)))
    return roots, list(found.values()), inside


def _free_label(called: str, taken: set[str]) -> str:
    """The last part of a name, told from those before it by a number."""
    plain = called.rstrip("/").rpartition("/")[2].strip()
    base = plain if plain not in {"", ".", ".."} else "inputs"
    label, number = base, 1
    while label in taken:
        number += 1
        label = f"{base} {number}"
    taken.add(label)
    return label
