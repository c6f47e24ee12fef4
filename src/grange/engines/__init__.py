"""How tasks reach workers: the interface, and the engines by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from grange.engines.base import Engine, WorkerView
from grange.errors import EngineError

__all__ = ["Engine", "WorkerView", "make_engine"]

# Name: the module and the function in it that makes the engine.
ENGINES: Final = {
    "local": "grange.engines.local:open_local",
}


def make_engine(name: str, *args: Any, **options: Any) -> Engine:  # noqa: ANN401  # each its own
    """Make the engine of this name. Nothing is started yet.

    Raises:
        EngineError: There is none of this name.
    """
    place = ENGINES.get(name)
    if place is None:
        known = ", ".join(sorted(ENGINES))
        raise EngineError(f"There is no engine {name!r}.", hint=f"There are: {known}.")
    module, _, function = place.partition(":")
    engine: Engine = getattr(import_module(module), function)(*args, **options)
    return engine
