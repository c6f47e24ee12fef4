"""The site in numbers for Prometheus, and where the numbers of its machines are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from grange.client.schemas.system import TargetGroup, Targets
from grange.server import metering, scraping
from grange.server.api.basis import Router
from grange.server.visitors import Here, Scraper
from grange.telemetry.exposition import CONTENT_TYPE
from grange.telemetry.targets import TargetKind

router = Router(tags=["system"])
# Where scrapers look unless they are told otherwise; no part of the API.
plain = APIRouter(include_in_schema=False)


@plain.get("/metrics")
def tell_metrics(_scraper: Scraper, here: Here) -> Response:
    """All numbers of the site, in the text that Prometheus reads."""
    return Response(metering.meter_of(here).text(), media_type=CONTENT_TYPE)


@router.get("/prometheus/targets")
def list_targets(
    request: Request,
    _scraper: Scraper,
    here: Here,
    kind: Annotated[TargetKind | None, Query(description="Only what is of this kind.")] = None,
) -> Targets:
    """What Prometheus may scrape: the server, workers, node exporters, the broker.

    In the words of its HTTP service discovery: a list of groups, each of `targets` and `labels`.
    """
    found = scraping.targets(here, host=request.headers["host"], scheme=request.url.scheme)
    wanted = [TargetGroup(**one) for one in found if kind in {None, one["labels"]["kind"]}]
    return Targets(wanted)
