"""What people see of runs, as plain data for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grange.cli.words import iso

if TYPE_CHECKING:
    from grange.runs.models import RunView

Record = dict[str, Any]


def record(view: Any) -> Record:  # noqa: ANN401  # any of the dataclasses of runs.models
    """A view's fields by name. Times become text in UTC, numbers of the database are left out."""
    names = [name for name in view.__dataclass_fields__ if name not in {"number", "id", "task"}]
    told = {name: _told(name, getattr(view, name)) for name in names}
    return ({"id": view.id} if isinstance(getattr(view, "id", None), str) else {}) | told


def run_record(run: RunView) -> Record:
    """A run; `interrupted` says that it is unfinished and nobody works on it."""
    from grange.core.resources import needs_to_json

    own = {"counts": counts_record(run), "interrupted": run.interrupted}
    return record(run) | own | {"needs": needs_to_json(run.needs)}


def counts_record(run: RunView) -> Record:
    """How many items are in which state."""
    return record(run.counts) | {"left": run.counts.left}


def answer_record(answer: Any) -> Record:  # noqa: ANN401  # any answer of a server
    """A server's answer as plain data, with its times as text in UTC."""
    return {name: _answered(name, value) for name, value in answer.model_dump(mode="json").items()}


def _answered(name: str, value: Any) -> Any:  # noqa: ANN401  # whatever a field holds
    if isinstance(value, dict):
        return {inner: _answered(inner, one) for inner, one in value.items()}
    return iso(value) if name.endswith("_at") and isinstance(value, float) else value


def _told(name: str, value: Any) -> Any:  # noqa: ANN401  # whatever a field holds
    return iso(value) if name.endswith("_at") and value is not None else value
