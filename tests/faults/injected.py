"""The command line with a fault built in: `python injected.py FAULT STRUCK WORDS…`.

FAULT is `who:when:module:function:number:signal`, as in
`driver:after:grange.runs.claims:claim:2:SIGKILL`: the driver (or a worker)
sends itself the signal before or after that call of that function. It happens
once: the file STRUCK says that it has. Nothing in the product knows of it.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

# What imports a function by name has to be loaded before the function is replaced.
DRIVER_MODULES = ("grange.bootstrap.embedded", "grange.runs.dispatch", "grange.runs.report")
WORKER_MODULES = ("grange.worker.__main__", "grange.pipelines.command.pipeline")
AS_WORKER = "--as-worker"


def main(fault: str, struck: str, *words: str) -> None:
    """Run the command line, or as one of its workers."""
    who, when, module, function, number, name = fault.split(":")
    blow = functools.partial(strike, struck, signal.Signals[name])
    as_worker = words[:1] == (AS_WORKER,)
    for needed in WORKER_MODULES if as_worker else DRIVER_MODULES:
        importlib.import_module(needed)
    if (who == "worker") == as_worker:
        inject(module, function, when=when, number=int(number), blow=blow)
    if as_worker:
        sys.argv = ["worker", *words[1:]]
        importlib.import_module("grange.worker.__main__").main()
        return
    if who == "worker":
        bootstrap = importlib.import_module("grange.bootstrap.embedded")
        command = [sys.executable, __file__, fault, struck, AS_WORKER]
        bootstrap.worker_command = lambda **_options: command  # type: ignore[attr-defined]
    sys.argv = ["grange", *words]
    importlib.import_module("grange.cli.main").main()


def inject(module: str, function: str, *, when: str, number: int, blow: Callable[[], None]) -> None:
    """Replace the function, wherever it was imported to, by one that strikes."""
    owner: Any = importlib.import_module(module)
    *classes, name = function.split(".")
    for one in classes:
        owner = getattr(owner, one)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def struck(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls == number
        if mine and when == "before":
            blow()
        result = original(*args, **options)
        if mine and when == "after":
            blow()
        return result

    setattr(owner, name, struck)
    for other in [one for key, one in sys.modules.items() if key.startswith("grange.")]:
        if getattr(other, name, None) is original:
            setattr(other, name, struck)


def strike(struck: str, number: signal.Signals) -> None:
    """Send the signal to this process, if that was not done before."""
    try:
        os.close(os.open(struck, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main(*sys.argv[1:])
