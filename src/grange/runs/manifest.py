"""What lies at the top of an output folder for programs: run.json and items.jsonl."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from grange.runs.models import (
    ITEMS_FILE,
    REPORT_FILE,
    REPORT_FOLDER,
    RUN_FILE,
    ItemView,
    RunView,
)
from grange.storage.base import Store

JSON = Any

# Changes when a reader of run.json would have to change.
FORMAT = "grange.run/1"

# Packages whose version may show in results or in how a run went.
_PACKAGES = ("numpy", "onnxruntime", "pillow", "pydantic", "sqlalchemy")

# Lines are handed to the store in pieces of about this size.
_CHUNK_BYTES = 256 * 1024

# The folder in which a store keeps what is its own.
_STORE_FOLDER = ".grange"
_OWN_NAMES = (RUN_FILE, ITEMS_FILE, REPORT_FILE, REPORT_FOLDER, _STORE_FOLDER)
_OWN = re.compile(f"(?:{'|'.join(map(re.escape, _OWN_NAMES))})(?:\\.item)*")


def published_path(item_path: str) -> str:
    """The folder of an item's outputs, relative to the output folder.

    It is the item's path, but never a name of Grange's own: `run.json` becomes
    `run.json.item`, and that one `run.json.item.item`. No two items share one.
    """
    first, slash, rest = item_path.partition("/")
    return f"{first}.item{slash}{rest}" if _OWN.fullmatch(first) else item_path


def write_manifests(
    store: Store, run: RunView, items: Iterable[ItemView], software: Mapping[str, JSON]
) -> None:
    """Write `items.jsonl`, then `run.json`; each is whole or not there.

    Items are streamed: memory stays flat however many there are.
    """
    store.write(ITEMS_FILE, _lines(items))
    text = json.dumps(run_record(run, software), indent=2, ensure_ascii=False)
    store.write(RUN_FILE, [text.encode(errors="backslashreplace"), b"\n"])


def run_record(run: RunView, software: Mapping[str, JSON]) -> dict[str, JSON]:
    """The run as `run.json` says it."""
    return {
        "format": FORMAT,
        "grange": software.get("grange"),
        "run": run.id,
        "name": run.name,
        "pipeline": {"name": run.pipeline, "version": run.version},
        "parameters": run.params,
        "models": run.models,
        "inputs": run.inputs,
        # Where a server keeps its files is its own.
        "out": None if run.owner else run.out,
        "state": run.state.value,
        "counts": asdict(run.counts),
        "created_at": iso_time(run.created_at),
        "started_at": iso_time(run.started_at),
        "finished_at": iso_time(run.finished_at),
        "software": dict(software),
    }


def item_record(item: ItemView) -> dict[str, JSON]:
    """The item as a line of `items.jsonl` says it; paths of outputs begin at the output folder."""
    folder = published_path(item.path)
    record: dict[str, JSON] = {
        "path": item.path,
        "input_sha256": item.sha256,
        "state": item.state.value,
        "attempts": item.attempts,
        "seconds": round(item.seconds, 6),
        "outputs": [_output(folder, output) for output in item.outputs],
        "failure": _failure(item.failure),
        "reused": item.reused,
    }
    if item.result is not None:
        record["result"] = item.result
    return record


def software() -> dict[str, JSON]:
    """What this process runs on: versions of Python, Grange and the packages that matter."""
    found = {name: _version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        "grange": _version("grange"),
        "platform": platform.platform(),
        "packages": {name: number for name, number in found.items() if number},
    }


def iso_time(timestamp: float | None) -> str | None:
    """A time in ISO 8601, in UTC."""
    if timestamp is None:
        return None
    text = datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _lines(items: Iterable[ItemView]) -> Iterator[bytes]:
    # Plain ASCII, so that no reader takes a separator inside a name for a line's end.
    encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
    pending: list[str] = []
    size = 0
    for item in items:
        line = encode(item_record(item))
        pending.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield _joined(pending)
            pending, size = [], 0
    if pending:
        yield _joined(pending)


def _joined(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _output(folder: str, output: Mapping[str, JSON]) -> dict[str, JSON]:
    return {
        "path": f"{folder}/{output['path']}",
        "size": output["size"],
        "sha256": output["sha256"],
    }


def _failure(failure: Mapping[str, JSON] | None) -> dict[str, JSON] | None:
    if failure is None:
        return None
    return {
        "code": failure.get("code", "unknown"),
        "message": failure.get("message", ""),
        "evidence": failure.get("evidence") or {},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
