"""Coroutines of tests, each with a loop in a thread of its own.

Where a browser was driven before, the main thread has a running loop already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")
_PATIENCE_SECONDS = 120.0


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end."""
    return call(lambda: asyncio.run(work))


def call(function: Callable[[], _T]) -> _T:
    """Call what has a loop of its own inside."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(function).result(_PATIENCE_SECONDS)
