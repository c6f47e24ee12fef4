"""Start a run: choose a pipeline, give inputs, fill in its form."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from grange.client.schemas.runs import Pipeline
from grange.core.resources import MOST_CORES, MOST_GPUS
from grange.errors import NotAllowed
from grange.server import buckets
from grange.server.desk import DeskOf
from grange.server.visitors import Here, Submitter
from grange.server.web.pages.runs_fields import fields_of
from grange.server.web.templating import render
from grange.uploads import shares

MOST_FOLDERS = 100
MOST_ACCEPTED = 24
# How memory is said: as SIZE on the command line.
UNITS = {"MB": 10**6, "GB": 10**9, "GiB": 1 << 30}

router = APIRouter(include_in_schema=False)


@router.get("/runs/new")
def new_run_page(
    request: Request,
    parts: Here,
    desk: DeskOf,
    actor: Submitter,
    pipeline: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """First the pipelines to choose from, then the form of the chosen one."""
    if not pipeline:
        known = desk.pipelines()
        return render(request, "runs/choose.html", pipelines=known, accepted=accepted)
    chosen = desk.pipeline(pipeline)
    if not chosen.allowed:
        raise NotAllowed(
            f"The pipeline {chosen.name} is for administrators on this server.",
            hint="Choose another one, or ask an administrator.",
        )
    fields = fields_of(chosen.parameters)
    return render(
        request,
        "runs/new.html",
        pipeline=chosen,
        accepted=accepted(chosen),
        fields=[one for one in fields if not one.advanced],
        advanced=[one for one in fields if one.advanced],
        folders=parts.uploads.folders(actor, None, MOST_FOLDERS).items,
        shares=[
            *(str(one) for one in shares.listed(parts.settings.shares)),
            *buckets.listed(parts.settings.buckets),
        ],
        places=buckets.listed(parts.settings.out_buckets),
        groups=_groups(parts, actor),
        retries=parts.settings.retries,
        most={"cores": MOST_CORES, "gpus": MOST_GPUS},
        units=UNITS,
        usual_unit="GB",
        labels=_labels(parts),
    )


def accepted(pipeline: Pipeline) -> str:
    """The names of files that a pipeline takes, in a line; empty if it takes any."""
    # Cameras write in capitals what others don't; people need to read it once.
    kinds = list(dict.fromkeys(kind.lower() for kind in pipeline.accepts))
    more = [f"and {len(kinds) - MOST_ACCEPTED} more"] if len(kinds) > MOST_ACCEPTED else []
    return "" if "*" in kinds else ", ".join([*kinds[:MOST_ACCEPTED], *more])


def _labels(parts: Here) -> list[str] | None:
    """The labels that workers have; None where there are no workers but this machine's own."""
    if parts.settings.engine == "local":
        return None
    return sorted({label for worker in parts.workers.all() for label in worker.labels})


def _groups(parts: Here, actor: Submitter) -> list[tuple[str, str]]:
    """The groups that the visitor may share a run with."""
    known = parts.accounts.groups(actor)
    return [(one.id, one.name) for one in known if actor.is_admin or one.id in actor.user.groups]
