"""How a picture gets into a model's input, and how places in that input come back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models.interface import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.graphs import Graph, Port
    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture, Pixels
    from grange.pipelines.wildlife.results import Box

    Array = NDArray[Any]

# The grey around pictures that do not fill a model's input, as YOLO's authors have it.
PAD: Final = 114
CHANNELS: Final = 3
LETTERBOX: Final = "letterbox"
STRETCH: Final = "stretch"

# Pixels, height, width, of a graph's input; those of one with the channels last are moved.
_FIRST = (1, 2, 3)
_LAST = (3, 1, 2)
_RANK: Final = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """The input of a model: how large it is and how pixels are written into it."""

    name: str
    kind: str
    height: int
    width: int
    # Where the graph takes so many pictures at once and no other number; 0 where it takes any.
    batch: int
    channels_last: bool
    letterbox: bool
    reverse: bool
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    # Inputs that want the size to which boxes refer, as RT-DETR's exports have one.
    sizes: tuple[Port, ...] = ()

    def prepare_whole(self, picture: Picture) -> Prepared:
        """The whole picture, scaled to fit."""
        width, height = self._fitting(picture.width, picture.height)
        pixels = picture.scaled(width, height)
        return self._placed(pixels, (0.0, 0.0, 1.0, 1.0))

    def prepare_part(self, picture: Picture, box: Box, grown: float) -> Prepared:
        """The part of a picture in a box that has grown by a factor, scaled to fit."""
        left, top, right, bottom = part_of(picture.width, picture.height, box, grown)
        pixels = picture.cropped(left, top, right, bottom)
        size = self._fitting(right - left, bottom - top)
        region = (
            left / picture.width,
            top / picture.height,
            (right - left) / picture.width,
            (bottom - top) / picture.height,
        )
        return self._placed(_resized(pixels, size), region)

    def feeds(self, batch: Sequence[Prepared]) -> dict[str, Array]:
        """The pictures as the graph takes them; where its batch is larger, the rest is empty."""
        pictures = self._laid_out(batch)
        size = [self.width, self.height]
        told = {port.name: np.array([size] * len(pictures), port.kind) for port in self.sizes}
        return {self.name: pictures} | told

    def _laid_out(self, batch: Sequence[Prepared]) -> Array:
        shape = [self.batch or len(batch), CHANNELS, self.height, self.width]
        held = np.empty(shape, self.kind if self.kind != "float16" else "float32")
        for number, one in enumerate(batch):
            self._lay(held[number], one)
        held[len(batch) :] = 0
        if self.channels_last:
            held = np.ascontiguousarray(held.transpose(0, 2, 3, 1))
        return held.astype(self.kind, copy=False)

    def _lay(self, held: Array, one: Prepared) -> None:
        high, wide = one.pixels.shape[:2]
        shown = held[:, one.top : one.top + high, one.left : one.left + wide]
        # Laid out anew before it is computed with: that is quicker than both at once.
        planes = np.ascontiguousarray(one.pixels.transpose(2, 0, 1))
        if self.reverse:
            planes = planes[::-1]
        if shown.shape != held.shape:
            held[...] = self._grey(held)
        if held.dtype == np.uint8:
            shown[...] = planes
            return
        np.multiply(planes, _by_channel(self.scale, held), out=shown)
        if any(self.shift):
            shown += _by_channel(self.shift, held)

    def _grey(self, held: Array) -> Array:
        if held.dtype == np.uint8:
            return np.full((CHANNELS, 1, 1), PAD, held.dtype)
        return PAD * _by_channel(self.scale, held) + _by_channel(self.shift, held)

    def _fitting(self, width: int, height: int) -> tuple[int, int]:
        """The size in which a picture of this size goes into the input."""
        if not self.letterbox:
            return self.width, self.height
        scale = min(self.width / width, self.height / height)
        return (
            min(self.width, max(1, round(width * scale))),
            min(self.height, max(1, round(height * scale))),
        )

    def _placed(self, pixels: Pixels, region: Box) -> Prepared:
        high, wide = pixels.shape[:2]
        return Prepared(pixels, (self.width - wide) // 2, (self.height - high) // 2, region)


def frame_of(graph: Graph, manifest: Manifest) -> Frame:
    """How pictures get into this graph.

    Raises:
        ModelInvalid: It takes no pictures, or how large they are is said nowhere, or differently.
    """
    port = picture_input(graph)
    if port is None or not port.kind or port.kind.startswith("int"):
        raise ModelInvalid(
            f"The graph of the model {manifest.name} takes no pictures: {graph.shown()}.",
            hint="One input must be [N, 3, height, width] or [N, height, width, 3].",
        )
    others = tuple(one for one in graph.inputs if one is not port)
    if any(len(one.shape) != 2 or one.shape[1] != 2 or not one.kind for one in others):  # noqa: PLR2004
        raise ModelInvalid(
            f"The graph of the model {manifest.name} wants more than pictures: {graph.shown()}.",
            hint="Export it without what belongs around it, such as its own preparation.",
        )
    last = port.shape[1] != CHANNELS and port.shape[3] == CHANNELS
    _, high, wide = (port.shape[axis] for axis in (_LAST if last else _FIRST))
    height, width = _size(manifest, (high, wide), graph.metadata.get("imgsz"))
    reverse = manifest.channels == "bgr"
    mean = manifest.mean[::-1] if reverse else manifest.mean
    std = manifest.std[::-1] if reverse else manifest.std
    return Frame(
        name=port.name,
        kind=port.kind,
        height=height,
        width=width,
        batch=port.shape[0] or _said_batch(manifest),
        channels_last=last,
        letterbox=manifest.resize != STRETCH,
        reverse=reverse,
        scale=tuple(1 / 255 / one for one in std),
        shift=tuple(-by / one for by, one in zip(mean, std, strict=True)),
        sizes=others,
    )


def picture_input(graph: Graph) -> Port | None:
    """The input of a graph that takes pictures, if one does."""
    for port in graph.inputs:
        if len(port.shape) == _RANK and {port.shape[1], port.shape[3]} & {CHANNELS, None}:
            return port
    return None


def _by_channel(values: tuple[float, ...], held: Array) -> Array:
    return np.array(values, held.dtype).reshape(CHANNELS, 1, 1)


def part_of(width: int, height: int, box: Box, grown: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels of a box that has grown, within the picture."""
    x, y, wide, high = box
    beside, above = wide * (grown - 1) / 2, high * (grown - 1) / 2
    left = _within(math.floor((x - beside) * width), width - 1)
    top = _within(math.floor((y - above) * height), height - 1)
    right = _within(math.ceil((x + wide + beside) * width), width)
    bottom = _within(math.ceil((y + high + above) * height), height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _within(place: int, most: int) -> int:
    return min(max(place, 0), most)


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    from PIL import Image

    if pixels.shape[1::-1] == size:
        # A view would hold on to all of the picture.
        return pixels.copy()
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def _said_batch(manifest: Manifest) -> int:
    said = manifest.options.get("batch", 0)
    if not isinstance(said, int) or not 0 <= said <= 1024:  # noqa: PLR2004
        raise ModelInvalid(f"The model {manifest.name} says batch = {said!r}, which is no number.")
    return said


def _size(
    manifest: Manifest, sides: tuple[int | None, int | None], told: object
) -> tuple[int, int]:
    """Height and width: of the graph, else said in the manifest, else by the exporter."""
    if isinstance(told, int):
        told = (told, told)
    if not (isinstance(told, list | tuple) and len(told) == 2 and all(map(_is_side, told))):  # noqa: PLR2004
        told = (0, 0)
    found = [
        side or said or int(hinted)
        for side, said, hinted in zip(sides, manifest.input, told, strict=True)
    ]
    if not all(found):
        raise ModelInvalid(
            f"The graph of the model {manifest.name} takes pictures of any size, and its manifest "
            "does not say which.",
            hint="Say it: --input HEIGHTxWIDTH, or input = [height, width] in the manifest.",
        )
    if manifest.input != (0, 0) and tuple(found) != manifest.input:
        raise ModelInvalid(
            f"The graph of the model {manifest.name} takes pictures of {found[0]}x{found[1]}, not "
            f"of {manifest.input[0]}x{manifest.input[1]} (height x width), as its manifest says."
        )
    return found[0], found[1]


def _is_side(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= 8192  # noqa: PLR2004
