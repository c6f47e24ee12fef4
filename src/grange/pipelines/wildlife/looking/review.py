"""`review.html`: all items of a run to look at, in a browser alone.

The page opens from the disk, without a server and without a network. A page of
that kind may load no data but scripts, so its data are scripts: each hands one
piece of JSON to the page, and is loaded when it is needed. Names of files are
whatever people and their cameras call them; they are data here and never markup.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from grange.pipelines.base import Review
from grange.pipelines.wildlife.looking.details import details_of
from grange.pipelines.wildlife.looking.texts import texts
from grange.pipelines.wildlife.results import Media, Results

JSON = Any

STATIC: Final = Path(__file__).parent / "static"
SCRIPTS: Final = ("entries.js", "charts.js", "review.js")
# Loaded by these with the first item that somebody opens.
LATER: Final = ("stage.js", "documents.js", "item.js")
STYLE: Final = "review.css"
# The same page on a server.
VIEWER: Final = Review(STATIC, SCRIPTS, STYLE, texts)

PAGE: Final = "review.html"
FOLDER: Final = "review"
# Only in the page on the disk: the frame that a server's page brings along itself.
_FRAME: Final = ("frame.css", "frame.js")
# So many items in one piece of the list, and bytes in one of what is known of each of them.
ITEMS: Final = 500
DETAILS_BYTES: Final = 1_000_000
# A name that is no text in any encoding is still a name.
_ERRORS: Final = "surrogateescape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An item as the review shows it.

    `folder` is that of its outputs, below the run's; `result` what the pipeline recorded
    of it, `failure` why there is no result. `media` is what was found in each frame.
    """

    path: str
    folder: str
    result: JSON = None
    failure: str = ""
    media: Media | None = None
    outputs: Sequence[str] = ()


def write_review(folder: Path, entries: Iterable[Entry], head: Results, *, title: str = "") -> None:
    """Write `review.html` and the folder `review` beside it; `folder` lies in the run's outputs.

    Items are taken as they come: memory stays flat however many there are.
    """
    with ReviewWriter(folder, head, title=title) as writer:
        for entry in entries:
            writer.add(entry)


class ReviewWriter:
    """Writes a review an item at a time; leaving it makes it whole."""

    def __init__(self, folder: Path, head: Results, *, title: str = "") -> None:
        """Begin; `head` says what the numbers in the items' media mean, its own don't count."""
        self._page, self._folder = folder / PAGE, folder / FOLDER
        self._head, self._title = head, title
        self._folder.mkdir(parents=True, exist_ok=True)
        self._items: list[str] = []
        self._details: list[str] = []
        self._details_bytes = 0
        self._count = 0
        self._pieces = 0
        self._details_pieces = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def add(self, entry: Entry) -> None:
        """Take one more item."""
        shown = self._shown(entry)
        if entry.media is not None and entry.media.detections:
            shown["details"] = self._detail(entry.media)
        self._items.append(script_text(shown))
        self._count += 1
        if len(self._items) == ITEMS:
            self._write_items()

    def close(self) -> None:
        """Write what is left, and the page."""
        self._write_items()
        self._write_details()
        about = {
            "title": self._title,
            "count": self._count,
            "pieces": self._pieces,
            "names": names_of(self._head),
            "texts": texts(),
        }
        self._write("about.js", "about", script_text(about))
        for name in (*SCRIPTS, *LATER, STYLE, *_FRAME):
            shutil.copyfile(STATIC / name, self._folder / name)
        page = (STATIC / PAGE).read_text(encoding="utf-8")
        said = page.replace("$noscript", html.escape(texts()["noscript"]))
        self._page.write_text(said, encoding="utf-8", newline="\n")

    def _shown(self, entry: Entry) -> dict[str, JSON]:
        return {
            "id": self._count,
            "path": entry.path,
            "href": quote(entry.folder, safe="/", errors=_ERRORS),
            "result": entry.result,
            "failure": entry.failure,
            "outputs": [quote(one, safe="/", errors=_ERRORS) for one in plots_among(entry.outputs)],
        }

    def _detail(self, media: Media) -> int:
        """Keep what is known of an item; gives the number of the piece that it is in."""
        text = script_text([self._count, details_of(media)])
        if self._details and self._details_bytes + len(text) > DETAILS_BYTES:
            self._write_details()
        self._details.append(text)
        self._details_bytes += len(text)
        return self._details_pieces

    def _write_items(self) -> None:
        if self._items:
            self._write(f"items-{self._pieces:06d}.js", "items", _list_of(self._items))
            self._pieces += 1
            self._items = []

    def _write_details(self) -> None:
        if self._details:
            name = f"details-{self._details_pieces:06d}.js"
            self._write(name, "details", _list_of(self._details))
            self._details_pieces += 1
            self._details, self._details_bytes = [], 0

    def _write(self, name: str, what: str, text: str) -> None:
        given = f"grangeReviewData.{what}({text});\n"
        (self._folder / name).write_text(given, encoding="ascii", newline="\n")


def names_of(head: Results) -> dict[str, JSON]:
    """What the numbers of a result mean."""
    return {
        "categories": head.categories,
        "species": head.species,
        "keypoints": list(head.keypoints),
        "skeleton": [list(bone) for bone in head.skeleton],
        "typical": head.source.typical_threshold,
        "models": [one for one in _models(head) if one],
    }


def plots_among(outputs: Iterable[str]) -> list[str]:
    """The plots among an item's outputs."""
    return [one for one in outputs if one.startswith("plot-poses/") and one.endswith(".png")]


def script_text(value: Mapping[str, JSON] | Sequence[JSON]) -> str:
    """The value as it may stand in a script: plain ASCII that ends no element and opens none."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _models(head: Results) -> tuple[str, str, str]:
    return head.source.detector, head.source.classifier, head.source.pose


def _list_of(texts: Iterable[str]) -> str:
    return "[\n" + ",\n".join(texts) + "\n]"
