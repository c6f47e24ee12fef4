"""An item's result as a program takes it: an object, a flat record, a row of a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grange.core.states import ItemState
from grange.errors import ExtraMissing
from grange.runs.manifest import published_path
from grange.runs.models import ItemView

JSON = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What came of one input.

    `failure` is None, or says `code`, `message` and `evidence`. `result` is what
    the pipeline returned, when it returns something. `outputs` are files.
    """

    path: str
    state: ItemState
    seconds: float
    attempts: int
    outputs: tuple[Path, ...]
    failure: dict[str, JSON] | None
    result: JSON
    reused: bool
    size: int
    input_sha256: str | None

    @property
    def ok(self) -> bool:
        """Whether the item is done."""
        return self.state is ItemState.DONE

    def record(self) -> dict[str, JSON]:
        """The result as one flat row of plain values; a result's own fields are `result.NAME`."""
        failure = self.failure or {}
        row: dict[str, JSON] = {
            "path": self.path,
            "state": self.state.value,
            "seconds": self.seconds,
            "attempts": self.attempts,
            "reused": self.reused,
            "size": self.size,
            "input_sha256": self.input_sha256,
            "failure_code": failure.get("code"),
            "failure_message": failure.get("message"),
            "outputs": [str(path) for path in self.outputs],
        }
        if isinstance(self.result, dict):
            row.update({f"result.{name}": value for name, value in self.result.items()})
        elif self.result is not None:
            row["result"] = self.result
        return row


def result_of(item: ItemView, out: Path) -> ItemResult:
    """What the ledger says of an item, with its outputs as files below `out`."""
    folder = out / published_path(item.path)
    failure = None
    if item.failure is not None:
        failure = {name: item.failure.get(name) for name in ("code", "message", "evidence")}
    return ItemResult(
        path=item.path,
        state=item.state,
        seconds=item.seconds,
        attempts=item.attempts,
        outputs=tuple(folder / output["path"] for output in item.outputs),
        failure=failure,
        result=item.result,
        reused=item.reused,
        size=item.size,
        input_sha256=item.sha256,
    )


def frame_of(records: Iterable[dict[str, JSON]]) -> Any:  # noqa: ANN401  # pandas may be missing
    """The records as a `pandas.DataFrame`.

    Raises:
        ExtraMissing: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        message = "A frame needs pandas, which is not installed."
        raise ExtraMissing(message, hint="pip install 'grange[pandas]'") from error
    return pd.DataFrame(list(records))
