"""How tasks reach workers: the interface, and the engines by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from grange.engines.base import Engine, WorkerView
from grange.errors import EngineError

__all__ = ["Engine", "WorkerView", "make_engine"]

# Name, or scheme of an address: the module and the function in it that makes the engine.
ENGINES: Final = {
    "amqp": "grange.engines.rabbit.engine:open_rabbit",
    "amqps": "grange.engines.rabbit.engine:open_rabbit",
    "housed": "grange.engines.housed:open_housed",
    "local": "grange.engines.local:open_local",
    "ray": "grange.engines.ray:open_ray",
}
# These are told where to go: their function's first argument is the whole address.
_ADDRESSED: Final = frozenset({"amqp", "amqps", "ray"})


def make_engine(name: str, *args: Any, **options: Any) -> Engine:  # noqa: ANN401  # each its own
    """Make the engine of this name or address. Nothing is started yet.

    Raises:
        EngineError: There is none of this name.
    """
    scheme = name.partition("://")[0]
    place = ENGINES.get(scheme)
    if place is None:
        known = ", ".join(sorted(ENGINES))
        raise EngineError(f"There is no engine {scheme!r}.", hint=f"There are: {known}.")
    module, _, function = place.partition(":")
    if scheme in _ADDRESSED:
        args = (name, *args)
    engine: Engine = getattr(import_module(module), function)(*args, **options)
    return engine
