"""An inbox, and `grange watch` over it as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.invocations import COMMAND

# A busy machine is slow, but what is waited for comes.
PATIENCE_SECONDS = 60.0

# Counts words, and says in a file beside it when a worker loads its model.
WORDS = '''
"""Counts the words of texts."""

import os
import time
from pathlib import Path

from grange.pipelines import Parameters, Part, Pipeline, Work


class WordParameters(Parameters):
    loads: str = ""
    slow: float = 0.0


class Words(Pipeline[WordParameters]):
    name = "words"
    version = "1"
    summary = "Counts the words of texts."
    accepts = ("*.txt",)
    Parameters = WordParameters

    def load(self, params):
        if params.loads:
            with open(params.loads, "a") as file:
                file.write(f"{os.getpid()}\\n")

    def process(self, part, params, model, work):
        deadline = time.monotonic() + params.slow
        while time.monotonic() < deadline:
            time.sleep(0.05)
        text = part.item.file.read_text()
        if "bad" in text:
            raise ValueError("a bad word")
        (work.output / "count").write_text(str(len(text.split())))
        return len(text.split())

    def report(self, items, params, work):
        lines = sorted(f"{one.path} {one.state}" for one in items)
        (work.output / "all.txt").write_text("\\n".join(lines))
'''


@dataclass
class Watched:
    """A watch that runs, and what it has said so far."""

    process: subprocess.Popen[str]
    said: list[dict[str, Any]] = field(default_factory=list)
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def until(self, event: str, *, seconds: float = PATIENCE_SECONDS, **wanted: Any) -> dict:
        """Wait for an event with these values, and give it."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                line = self.lines.get(timeout=max(left, 0.001))
            except queue.Empty:
                message = f"no {event} {wanted} came; there were {self.said}"
                raise AssertionError(message) from None
            one = json.loads(line)
            self.said.append(one)
            if one.get("event") == event and wanted.items() <= one.items():
                return one

    def item(self, path: str, **wanted: Any) -> dict:
        """Wait for the end of an item."""
        return self.until("item", path=path, **wanted)

    def items(self, *paths: str) -> None:
        """Wait until these items are done, in whatever order."""
        left = set(paths)
        while left:
            left.discard(self.until("item", state="done")["path"])

    def note(self, words: str) -> dict:
        """Wait for a note with these words in it."""
        while True:
            one = self.until("note")
            if words in one["text"]:
                return one

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and say how it did."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would; its workers end by themselves."""
        self.process.kill()
        self.process.wait()

    def rest(self) -> list[dict[str, Any]]:
        """Give all that it has said, once it has ended."""
        while not self.lines.empty():
            self.said.append(json.loads(self.lines.get()))
        return self.said

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)


@dataclass
class Place:
    """A folder with an inbox, an output folder, and a pipeline."""

    folder: Path
    started: list[Watched] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = self.folder / "in"
        self.inbox.mkdir()
        self.out = self.folder / "out"
        self.pipeline = self.folder / "words.py"
        self.pipeline.write_text(WORDS)
        self.loads = self.folder / "loads"

    def drop(self, name: str, text: str = "one two three") -> Path:
        """Let a file arrive, whole at once."""
        target = self.inbox / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}")
        partial.write_text(text)
        partial.replace(target)
        return target

    def words(self, *more: str, inbox: str = "") -> list[str]:
        """Give the command."""
        given = ["watch", str(self.pipeline), inbox or str(self.inbox), "--out", str(self.out)]
        return [*COMMAND, *given, "--set", f"loads={self.loads}", "--json", *more]

    def watch(self, *more: str, inbox: str = "", quick: bool = True) -> Watched:
        """Begin to watch; `quick` as tests want it, who write files whole."""
        speed = ["--every", "0.1", "--settle", "0.2"] if quick else []
        process = subprocess.Popen(
            self.words(*speed, *more, inbox=inbox),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "GRANGE_WORKERS": "1", "GRANGE_RETRIES": "0"},
        )
        watched = Watched(process)
        self.started.append(watched)
        watched.until("watching")
        return watched

    def once(self, *more: str, inbox: str = "") -> list[dict[str, Any]]:
        """Take what is there, to the end."""
        watched = self.watch("--once", *more, inbox=inbox)
        watched.process.wait(PATIENCE_SECONDS)
        watched.until("finished")
        return watched.said

    def count(self, name: str) -> str:
        """Give an item's result."""
        return (self.out / name / "count").read_text()

    def items(self) -> dict[str, dict[str, Any]]:
        """Read the account beside the results."""
        lines = (self.out / "items.jsonl").read_text().splitlines()
        return {one["path"]: one for one in map(json.loads, lines)}


@contextlib.contextmanager
def place_in(folder: Path) -> Iterator[Place]:
    """Make a place, and leave no process behind."""
    place = Place(folder)
    try:
        yield place
    finally:
        for watched in place.started:
            if watched.process.poll() is None:
                watched.process.kill()
            watched.process.wait()
            for pipe in (watched.process.stdout, watched.process.stderr):
                if pipe:
                    pipe.close()


def listed(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Read `runs list --json`."""
    return [json.loads(line) for line in run.stdout.splitlines()]
