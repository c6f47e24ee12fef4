"""Grange pools the machines you own and runs analyses across them.

    import grange

    run = grange.run("command", "photos/", out="sums/", shell="md5sum {input} > {output}/md5")
    for item in run:
        print(item.path, item.state)

Whatever is named here is stable; everything else may change. Names are loaded
when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grange.errors import GrangeError
    from grange.live import ItemResult, Run, find_run, list_runs, run
    from grange.pipelines import (
        Bytes,
        Item,
        ItemRecord,
        Parameters,
        Part,
        PartResult,
        Pipeline,
        Work,
    )

    __version__: str

__all__ = [
    "Bytes",
    "GrangeError",
    "Item",
    "ItemRecord",
    "ItemResult",
    "Parameters",
    "Part",
    "PartResult",
    "Pipeline",
    "Run",
    "Work",
    "__version__",
    "find_run",
    "list_runs",
    "run",
]

_MODULES = {
    "GrangeError": "grange.errors",
    **dict.fromkeys(["ItemResult", "Run", "find_run", "list_runs", "run"], "grange.live"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name where it is first used."""
        if name not in __all__:
            raise AttributeError(f"module 'grange' has no attribute {name!r}")
        if name == "__version__":
            from importlib.metadata import version

            value: object = version("grange")
        else:
            from importlib import import_module

            value = getattr(import_module(_MODULES.get(name, "grange.pipelines")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__
