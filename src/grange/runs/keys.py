"""Addresses: what makes two pieces of work, two requests, or two places the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from grange.runs.models import RunSpec


def request_key(spec: RunSpec) -> str:
    """The whole request: the same command has the same one, whatever its number of workers."""
    return _digest(
        {
            "function": spec.function_key,
            "inputs": dict(spec.inputs),
            "out": spec.out,
            "pipeline": spec.pipeline,
        }
    )


def out_key(out: str) -> str:
    """The place that outputs go to."""
    return _digest({"out": out})


def work_key(function_key: str, sha256: str, name: str | None) -> int:
    """What decides the bytes of an item's result, as a number of 63 bits to look it up by.

    So short that its index stays small; whoever finds something by it compares
    the parts themselves. `name` is None for pipelines whose results don't depend on it.
    """
    text = f"{function_key}\0{sha256}" if name is None else f"{function_key}\0{sha256}/{name}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def weight(size: int) -> int:
    """The size's class, four to each doubling: enough to put the longest first."""
    if size < 4:  # noqa: PLR2004  # below, a quarter of a doubling is less than a byte
        return size
    doublings = size.bit_length()
    return 4 * doublings + ((size >> (doublings - 3)) & 3)


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
