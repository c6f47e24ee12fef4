"""A model's manifest: what it is, what it takes, what its numbers mean, and whose it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.results import ANIMAL, CATEGORIES, PERSON, VEHICLE

MOST_BYTES: Final = 1024 * 1024

# Safe as a file's name everywhere, and never taken for a path.
NAME: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
MOST_NAME: Final = 64
# So many digits of a digest make a name with it stand for one file.
PIN_DIGITS: Final = 12

ONNX: Final = "onnx"
PYTORCH_WILDLIFE: Final = "pytorch-wildlife"
DEEPLABCUT: Final = "deeplabcut"
BACKENDS: Final = (ONNX, PYTORCH_WILDLIFE, DEEPLABCUT)

Triple = tuple[float, float, float]

# What the classes of usual detectors are in the words of results; others stand for themselves.
KNOWN_CLASSES: Final = {
    ANIMAL: [
        *("animal", "bird", "cat", "dog", "horse", "sheep", "cow"),
        *("elephant", "bear", "zebra", "giraffe"),
    ],
    PERSON: ["person", "human", "people"],
    VEHICLE: ["vehicle", "bicycle", "car", "motorcycle", "motorbike", "bus", "truck"],
}


class Task(StrEnum):
    """What a model is for."""

    DETECTOR = "detector"
    CLASSIFIER = "classifier"
    POSE = "pose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a model.

    `file` is absolute: the graph, or another package's weights; where that package fetches them
    by itself, it is the manifest's own file. An empty `layout`, `resize` or `activation`, and an
    `input` of (0, 0), are told from the graph.
    """

    name: str
    task: Task
    file: Path
    sha256: str
    version: str = "1"
    licence: str = ""
    source: str = ""
    layout: str = ""
    # height, width
    input: tuple[int, int] = (0, 0)
    channels: str = "rgb"
    # of values between 0 and 1
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    resize: str = ""
    activation: str = ""
    classes: tuple[str, ...] = ()
    # What each class counts as, one for one; where it is empty, known names decide.
    counts_as: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    crop_scale: float = 1.0
    typical_threshold: float = 0.2
    conservative_threshold: float = 0.05
    iou_threshold: float = 0.45
    backend: str = ONNX
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pinned(self) -> str:
        """The name together with the beginning of the digest: this file and no other."""
        return f"{self.name}@{self.sha256[:PIN_DIGITS]}"

    @property
    def digest(self) -> str:
        """All that the manifest says and its file's digest, as one sha256 in hex."""
        return hashlib.sha256(as_toml(self, "model").encode()).hexdigest()

    @property
    def sealed(self) -> str:
        """As pinned, with the beginning of `digest`: this file, and what is said of it now."""
        return f"{self.pinned}.{self.digest[:PIN_DIGITS]}"

    @property
    def has_file(self) -> bool:
        """Whether there is a file of the model's own, besides its manifest."""
        return self.backend == ONNX or self.file.suffix.lower() != ".toml"

    @property
    def category_ids(self) -> tuple[str, ...]:
        """For each class of a detector, the key of `categories` that its finds carry."""
        by_name = {name: number for number, name in self.categories.items()}
        return tuple(by_name[name] for name in self._counted())

    @property
    def categories(self) -> dict[str, str]:
        """What a detector's results are named, as MegaDetector numbers them; others follow."""
        names = dict(CATEGORIES)
        for name in self._counted():
            if name not in names.values():
                names[str(len(names) + 1)] = name
        return names

    def _counted(self) -> tuple[str, ...]:
        return self.counts_as or tuple(map(counts_as, self.classes))


def counts_as(name: str) -> str:
    """What a class counts as: animal, person or vehicle where its name says so, or itself."""
    for category, known in KNOWN_CLASSES.items():
        if name.lower() in known:
            return CATEGORIES[category]
    return name


def read_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file; its model's file is not opened.

    Raises:
        ModelInvalid: It can't be read, or a field is missing, unknown or wrong.
    """
    import tomllib

    from grange.pipelines.wildlife.models.said import checked

    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ModelInvalid(f"The manifest {path} is larger than 1 MiB.")
        said = tomllib.loads(data.decode())
    except OSError as error:
        raise ModelInvalid(f"The manifest {path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        message = f"The manifest {path} is no TOML: {error}."
        raise ModelInvalid(message, hint="See the guide to models for an example.") from error
    if said.get("backend", ONNX) != ONNX and "file" not in said:
        said |= {"file": path.name, "sha256": hashlib.sha256(data).hexdigest()}
    return checked(said, f"The manifest {path}", path.absolute().parent)


def as_toml(manifest: Manifest, file: str) -> str:
    """The manifest as its file says it; `file` is the model's, empty without one."""
    told = {one.name: getattr(manifest, one.name) for one in fields(manifest)} | {"file": file}
    always = {"name", "task"} | ({"file", "sha256"} if file else set())
    kept = {
        name: value
        for name, value in told.items()
        if name in always or (name not in _OF_FILE and value != _default(name))
    }
    return "".join(f"{name} = {_toml(value)}\n" for name, value in kept.items())


_OF_FILE: Final = {"file", "sha256"}


def _default(name: str) -> object:
    return {} if name == "options" else Manifest.__dataclass_fields__[name].default


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # What JSON writes, TOML reads, but for one letter that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
