"""A work of a test: it really makes its folders, and keeps what it is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from grange.pipelines import Item, Part


class FolderWork:
    """What a worker offers to a pipeline, in a folder of the test's own."""

    def __init__(self, root: Path, *, timeout_seconds: float | None = None) -> None:
        self.root = root
        self.timeout_seconds = timeout_seconds
        self.marker = {"GRANGE_WORKER": root.name}
        self.logs = (root / "logs" / "1-1.out", root / "logs" / "1-1.err")
        self.peak_bytes = 0
        self.fraction = 0.0
        self.kept: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()

    @property
    def output(self) -> Path:
        return self._folder("output")

    @property
    def scratch(self) -> Path:
        return self._folder("scratch")

    @property
    def out(self) -> str:
        return _text(self.logs[0])

    @property
    def err(self) -> str:
        return _text(self.logs[1])

    def progress(self, fraction: float) -> None:
        self.fraction = fraction

    def peak(self, peak_bytes: int) -> None:
        self.peak_bytes = peak_bytes

    def count(self, name: str, amount: float = 1.0) -> None:
        self.counts[name] += amount  # type: ignore[assignment]

    def known(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def keep(self, key: str, data: bytes) -> None:
        self.kept[key] = data

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def part_of(file: Path) -> Part:
    """The only part of an item that lies at the top of its inputs."""
    return Part(Item(path=file.name, file=file, size=file.stat().st_size))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
