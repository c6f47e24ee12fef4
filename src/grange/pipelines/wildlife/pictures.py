"""What models and drawings see of a frame or still, whatever library has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class Picture(Protocol):
    """A picture as people see it: upright, in colour.

    All pixels are RGB, one byte a channel, in arrays of (height, width, 3).
    What is asked for is computed then, straight from what the file holds.
    """

    @property
    def width(self) -> int:
        """Its width in pixels, as it is shown."""

    @property
    def height(self) -> int:
        """Its height in pixels, as it is shown."""

    def pixels(self) -> Pixels:
        """The whole picture in its own size."""

    def scaled(self, width: int, height: int) -> Pixels:
        """The whole picture in another size; its proportions are the caller's business."""

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """The pixels of a part of it; what lies outside of the picture is left out."""
