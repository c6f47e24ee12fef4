"""A run's items: their list, and everything about one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from grange.client.schemas import runs as schemas
from grange.core.states import ItemState
from grange.runs.itempages import ItemFilter
from grange.runs.report import words
from grange.server.desk import DeskOf
from grange.server.web.lists import Address
from grange.server.web.pages.runs_detail import about
from grange.server.web.templating import render

JSON = Any

ITEM_ROWS = 100
# Of evidence, this stands in one line.
_SHORT_LETTERS = 100
_MOST_LETTERS = 20_000

router = APIRouter(include_in_schema=False)

ItemNumber = Annotated[int, Path(ge=0, lt=1 << 62)]


@router.get("/runs/{ref}/items")
def items_page(  # each is a filter in the address
    request: Request,
    desk: DeskOf,
    ref: str,
    *,
    state: Annotated[str, Query(max_length=20)] = "",
    code: Annotated[str, Query(max_length=100)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The run's items, in the order of submission."""
    context = about(desk, ref)
    run = context["run"]
    wanted = ItemFilter(state=_state(state), code=code, text=q.strip())
    wanted_words = {"state": state, "code": code, "q": q}
    return render(
        request,
        "runs/items.html",
        page=desk.items(run.id, wanted, after=after or None, limit=ITEM_ROWS),
        address=Address(f"/runs/{run.id}/items", wanted_words, after),
        states=[one.value for one in ItemState],
        codes=[one.code for one in desk.failures(run.id)] if run.counts.failed else [],
        **context,
    )


@router.get("/runs/{ref}/items/{item}")
def item_page(request: Request, desk: DeskOf, ref: str, item: ItemNumber) -> Response:
    """One item: what became of it, each attempt with its log, what it made."""
    context = about(desk, ref)
    run = context["run"]
    found = desk.item(run.id, item)
    attempts = desk.attempts(run.id, item)
    return render(
        request,
        "runs/item.html",
        item=found,
        attempts=attempts,
        evidence=list(_evidence(found.failure)),
        result=_result(found),
        logs=_logs,
        log_address=f"/api/v1/runs/{run.id}/items/{item}/attempts",
        is_last=lambda one: one is attempts[-1],
        **context,
    )


def _state(text: str) -> ItemState | None:
    return ItemState(text) if text in set(ItemState) else None


def _logs(attempt: schemas.Attempt) -> list[tuple[str, int]]:
    """The logs that an attempt has left: out, err, and their sizes; errors come first."""
    both = (("err", attempt.err_bytes), ("out", attempt.out_bytes))
    return [(stream, size) for stream, size in both if size]


def _result(item: schemas.Item) -> str:
    if item.result in (None, "", [], {}):
        return ""
    return json.dumps(item.result, indent=2, ensure_ascii=False)[:_MOST_LETTERS]


def _evidence(failure: Mapping[str, JSON] | None) -> Iterator[tuple[str, str, bool]]:
    """What is known of a failure: (what, the text of it, whether that is long)."""
    for name, value in ((failure or {}).get("evidence") or {}).items():
        if value in (None, "", [], {}):
            continue
        text = _evidence_text(name, value)[-_MOST_LETTERS:]
        yield _named(name), text, "\n" in text or len(text) > _SHORT_LETTERS


def _named(name: str) -> str:
    """What a piece of evidence is called; its unit stands with the value."""
    words = name.replace("_", " ")
    return words.removesuffix("bytes").removesuffix("seconds").strip() or words


def _evidence_text(name: str, value: JSON) -> str:
    if name.endswith("bytes") and isinstance(value, int):
        return words.size(value)
    if name.endswith("seconds") and isinstance(value, int | float):
        return words.duration(value)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
