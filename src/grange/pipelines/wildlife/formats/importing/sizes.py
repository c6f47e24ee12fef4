"""The sizes of pictures, for formats that say boxes in pixels and no sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grange.errors import FormatInvalid, InputUnreadable
from grange.pipelines.wildlife.results import Box

# How EXIF says that a picture lies: turned, mirrored, or both.
_ORIENTATION: Final = 274
_UPRIGHT: Final = 1
# Finer than the pixels of any picture.
_DIGITS: Final = 6
# From here on it lies on its side.
_ON_ITS_SIDE: Final = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a picture as its pixels lie in the file, and how it has to be turned."""

    width: int
    height: int
    orientation: int = _UPRIGHT

    @property
    def shown(self) -> tuple[int, int]:
        """The width and height as it is shown."""
        if self.orientation >= _ON_ITS_SIDE:
            return self.height, self.width
        return self.width, self.height

    def fractions(self, left: float, top: float, right: float, bottom: float) -> Box:
        """The box of these corners, in pixels as they lie, as fractions of the picture as shown.

        What lies outside of the picture is cut off.
        """
        corners = [
            self._shown(min(max(x / self.width, 0.0), 1.0), min(max(y / self.height, 0.0), 1.0))
            for x, y in ((left, top), (right, bottom))
        ]
        (x1, x2), (y1, y2) = (sorted(one) for one in zip(*corners, strict=True))
        x, y, width, height = (round(one, _DIGITS) for one in (x1, y1, x2 - x1, y2 - y1))
        return x, y, width, height

    def _shown(self, x: float, y: float) -> tuple[float, float]:
        turned = {
            2: (1 - x, y),
            3: (1 - x, 1 - y),
            4: (x, 1 - y),
            5: (y, x),
            6: (1 - y, x),
            7: (1 - y, 1 - x),
            8: (y, 1 - x),
        }
        return turned.get(self.orientation, (x, y))


class Sizes:
    """Finds out the size of a picture or video: from what was said, or from the file itself."""

    def __init__(self, folder: Path | None, said: tuple[int, int] | None) -> None:
        """Look below `folder`; `said` is the size of all that are not there."""
        self._folder = folder
        self._said = said

    def of(self, file: str) -> Shape:
        """The size of an item.

        Raises:
            FormatInvalid: Nobody knows it.
        """
        found = self._find(file) if self._folder is not None else None
        if found is not None:
            return _read(found)
        if self._said is not None:
            return Shape(*self._said)
        where = "" if self._folder is None else f", and it is not below {self._folder}"
        raise FormatInvalid(
            f"The boxes are in pixels, and nothing says the size of {file!r}{where}.",
            hint="Name the pictures' folder: --images FOLDER, or their size: --size 1920x1080",
        )

    def _find(self, file: str) -> Path | None:
        """The item below the folder: by its path, by the end of its path, or by its name."""
        assert self._folder is not None  # noqa: S101  # asked only then
        root = os.path.realpath(self._folder)
        parts = [one for one in file.replace("\\", "/").split("/") if one not in {"", ".", ".."}]
        for first in range(len(parts)):
            path = os.path.join(root, *parts[first:])
            if os.path.isfile(path) and os.path.realpath(path).startswith(f"{root}{os.sep}"):
                return Path(path)
        return None


def _read(path: Path) -> Shape:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            orientation = picture.getexif().get(_ORIENTATION, _UPRIGHT)
            return Shape(picture.width, picture.height, int(orientation))
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError):
        return _read_video(path)


def _read_video(path: Path) -> Shape:
    from grange.pipelines.wildlife.media.probe import index_video

    try:
        info = index_video(path)
    except InputUnreadable as error:
        raise FormatInvalid(
            f"The size of {path.name!r} can't be read: {error.message}", hint=error.hint
        ) from error
    return Shape(info.width, info.height)
