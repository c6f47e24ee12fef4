"""The interface of a pipeline: how an input becomes parts, parts results, results outputs.

    split(item) → process(part) × n → merge(item) → report(run)

A pipeline whose inputs are small writes `process` alone. All methods run in
worker processes; none is told about the ledger or the engine.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from grange.core.resources import Needs

JSON = Any


class Parameters(BaseModel):
    """Base of a pipeline's parameters: typed, checked, frozen, with defaults and help.

    Write `Field(default, description=…)` for each; unknown names are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Parameters)


class Incidental:
    """The type of `INCIDENTAL`."""


# Marks a parameter that cannot change a result (a memory limit, a number of
# threads): `threads: Annotated[int, INCIDENTAL] = 1`. Another value of it
# makes no work new.
INCIDENTAL: Final = Incidental()

# The folder of whoever asks from afar: parameters that are paths have to be whole ones there.
NOWHERE: Final = Path("/nowhere")


def parse_bytes(given: object) -> object:
    """The number of bytes that a text such as `500MB`, `2GiB` or `4096` means.

    Raises:
        ValueError: The text is no size.
    """
    if not isinstance(given, str):
        return given
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", given.strip().lower())
    if found is None or (found[3] and not found[2]):
        raise ValueError("should be a size, such as 500MB, 2GiB or 4096")
    return round(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " "))


# A parameter that is a number of bytes, and is given as people write sizes.
Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(ge=0),
    WithJsonSchema({"type": "integer", "format": "bytes", "minimum": 0}),
]


@dataclass(frozen=True, slots=True)
class Item:
    """One input: its path in the run (what outputs are named after) and where its bytes are."""

    path: str
    file: Path
    size: int

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return Path(self.name).stem


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an item; `data` is whatever `split` said of it (plain JSON data)."""

    item: Item
    number: int = 0
    data: JSON = None


@dataclass(frozen=True, slots=True)
class PartResult:
    """What `process` returned for a part, and the folder of the files that it wrote."""

    number: int
    data: JSON
    folder: Path


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Why an item has no result: a stable code, and words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An ended item, as `report` sees it. `failure` is there when it failed."""

    path: str
    state: str
    result: JSON
    folder: Path
    outputs: Sequence[str] = field(default_factory=tuple)
    failure: ItemFailure | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A pipeline's own way of looking at a run's results in a browser.

    The server shows it as a tab of the run's page. `folder` holds the files;
    `scripts` are classic ones, loaded in this order, which together define
    `grangeReview.show(place, source)`; `texts` gives their words by keys.
    """

    folder: Path
    scripts: tuple[str, ...]
    style: str
    texts: Callable[[], Mapping[str, str]]


class Work(Protocol):
    """What a pipeline's method may do besides computing. One for each call."""

    @property
    def output(self) -> Path:
        """A private folder: what is written here is published, whole, when the method returns.

        Made on first use.
        """

    @property
    def scratch(self) -> Path:
        """A private folder for what nobody needs later. Made on first use, removed at the end."""

    @property
    def logs(self) -> tuple[Path, Path]:
        """The files that keep this attempt's stdout and stderr."""

    @property
    def timeout_seconds(self) -> float | None:
        """How long this attempt may take; the engine kills it then."""

    @property
    def marker(self) -> dict[str, str]:
        """Environment variables for every program started, by which stray ones are found."""

    def progress(self, fraction: float) -> None:
        """Say how far this is, from 0 to 1; cheap, call it as often as you like."""

    def peak(self, peak_bytes: int) -> None:
        """Say how much memory the programs that this attempt started have held at most."""

    def count(self, name: str, amount: float = 1.0) -> None:
        """Count something for those who watch: frames, seconds of a stage. No result knows of it.

        Cheap, but not for thousands of names.
        """

    def known(self, key: str) -> bytes | None:
        """What any attempt of any run has kept under this key, if it is still there."""

    def keep(self, key: str, data: bytes) -> None:
        """Keep what a stage of this work has found, for runs that differ in later stages alone.

        The key has to tell all that decides the data. What is not used for
        long goes when the room is needed.
        """


class Pipeline(ABC, Generic[P]):
    """A kind of analysis. Subclass it, name it, and write `process`.

    Results must depend on the item's bytes, the version, the parameters and
    the models alone, so that equal work is done once.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    Parameters: ClassVar[type[Parameters]] = Parameters
    # What `grange run` takes from a folder when nobody says otherwise: globs on file names.
    accepts: ClassVar[tuple[str, ...]] = ("*",)
    # Whether the item's name can show in its result; if not, a renamed copy is known already.
    reads_name: ClassVar[bool] = True
    # How people look at a run's results, where there is a better way than a list of files.
    review: ClassVar[Review | None] = None
    # The formats besides its own outputs that `export` writes a run's results in.
    exports: ClassVar[tuple[str, ...]] = ()
    # Those among them that ask people for more than a click, so that no page offers them.
    exports_asking: ClassVar[tuple[str, ...]] = ()
    # Which of the run's own outputs they are made of: paths in the folder of its outputs.
    exports_from: ClassVar[tuple[str, ...]] = ()
    # Which outputs of an item its report reads; None for all. Others need not be at hand then.
    report_reads: ClassVar[tuple[str, ...] | None] = None

    def models(self, params: P) -> dict[str, str]:
        """The models that decide the result: name to sha256.

        Recorded with the run, and part of the work's address.
        """
        return {}

    def needs(self, params: P) -> Needs:
        """What each task takes of a worker; whoever starts a run may say otherwise."""
        return Needs()

    def load(self, params: P) -> Any:  # noqa: ANN401  # the pipeline's own type, kept for it
        """Load what is costly (a model): called once per worker, kept warm, given to `process`."""
        return None

    def split(self, item: Item, params: P, work: Work) -> Iterator[JSON]:
        """Say what the parts of an item are. Overriding it makes the pipeline a splitting one."""
        raise NotImplementedError

    @abstractmethod
    def process(self, part: Part, params: P, model: Any, work: Work) -> JSON:  # noqa: ANN401
        """Work on one part: write files into `work.output`, return a small record (JSON data)."""

    def merge(self, item: Item, parts: Iterator[PartResult], params: P, work: Work) -> JSON:
        """Make one result of all parts, given in order. A splitting pipeline must override it."""
        raise NotImplementedError

    def report(self, items: Iterator[ItemRecord], params: P, work: Work) -> None:
        """Write files about the whole run into `work.output`. Overriding it makes it be called."""
        raise NotImplementedError

    def export(
        self, dialect: str, results: Path, target: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """Write a run's results in another format; whoever names `exports` must override it.

        Args:
            dialect: One of `exports`.
            results: The folder of the run's outputs; nothing is written there.
            target: An empty folder for what is written.
            options: What else was said, by name; `template` is what the names of files begin with
                that people have to fill in, where there is a place for them.

        Returns:
            Remarks for people, in words.

        Raises:
            ExportRefused: The format demands what is in neither the results nor the options.
        """
        raise NotImplementedError

    @classmethod
    def splits(cls) -> bool:
        """Whether items become parts."""
        return cls.split is not Pipeline.split

    @classmethod
    def reports(cls) -> bool:
        """Whether the pipeline has a report of its own."""
        return cls.report is not Pipeline.report
