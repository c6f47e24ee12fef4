"""Pictures of poses over time, named and meant as DeepLabCut's users know them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.pipelines.wildlife.looking.axes import Axis, Chart, axis_of
from grange.pipelines.wildlife.looking.colours import Colour, ramp
from grange.pipelines.wildlife.results import Media, Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

NAMES: Final = ("trajectory.png", "plot.png", "plot-likelihood.png", "hist.png")
# Finer than this a line of 700 pixels can't be seen; so many dots in a picture are a cloud.
MOST_POINTS: Final = 1400
MOST_DOTS: Final = 12_000
# Of a longer video every second, third, … analysed frame is in the plots.
MOST_FRAMES: Final = 3_000
BINS: Final = 60


def write_plots(folder: Path, results: Results, pcutoff: float) -> None:
    """Write `trajectory`, `plot`, `plot-likelihood` and `hist` (.png) of one video's poses.

    `trajectory` is where each body part went in the picture, `plot` its x (dashed) and
    y over the frames, `plot-likelihood` how sure the model was, `hist` how far it moved
    from one analysed frame to the next. Where a likelihood is below `pcutoff` the place is
    left out. All individuals are in the same pictures. The folder is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    media = results.media[0]
    tracks = list(_tracks(media, len(results.keypoints), pcutoff))
    paint = _Paint(results.keypoints, ramp(len(results.keypoints)), tracks, media)
    drawings = (_trajectory(paint), _plot(paint), _likelihood(paint, pcutoff), _hist(paint))
    for name, drawn in zip(NAMES, drawings, strict=True):
        chart, note = drawn
        chart.save(folder / name, paint.legend, note)


@dataclass(frozen=True, slots=True)
class _Track:
    """One individual: frames, and for each frame and body part x, y in pixels and likelihood."""

    frames: Values
    x: Values
    y: Values
    likelihood: Values


@dataclass(frozen=True, slots=True)
class _Paint:
    names: Sequence[str]
    colours: Sequence[Colour]
    tracks: Sequence[_Track]
    media: Media

    @property
    def legend(self) -> list[tuple[str, Colour]]:
        return list(zip(self.names, self.colours, strict=True))

    def frames(self) -> Axis:
        import numpy as np

        every = [track.frames for track in self.tracks]
        return axis_of("Frame", np.concatenate(every) if every else np.array([0.0]), whole=True)


def _tracks(media: Media, parts: int, pcutoff: float) -> Iterator[_Track]:
    """One for each individual; a frame in which it was not seen breaks its lines."""
    import numpy as np

    every = list(media.processed[:: _step(media)])
    places = {frame: place for place, frame in enumerate(every)}
    # As numbers, not as objects: a video of hours has thousands of poses.
    found: dict[int, tuple[array[int], array[float]]] = {}
    for one in media.detections:
        if len(one.pose) == parts and one.frame in places:
            seen, points = found.setdefault(one.track or 0, (array("q"), array("d")))
            seen.append(places[one.frame])
            points.extend(chain.from_iterable(one.pose))
    for _, (seen, points) in sorted(found.items(), key=lambda one: one[0]):
        first = min(seen)
        frames = np.array(every[first : max(seen) + 1], dtype=float)
        whole = np.full((len(frames), parts, 3), np.nan)
        # Of two in one frame the later one stays.
        whole[np.asarray(seen) - first] = np.asarray(points).reshape(-1, parts, 3)
        sure = whole[..., 2] >= pcutoff
        x = np.where(sure, whole[..., 0] * media.width, np.nan)
        y = np.where(sure, whole[..., 1] * media.height, np.nan)
        yield _Track(frames, x, y, whole[..., 2])


def _trajectory(paint: _Paint) -> tuple[Chart, str]:
    media = paint.media
    chart = Chart(
        "Trajectory",
        Axis("x position in pixels", 0, max(media.width, 1), whole=True),
        Axis("y position in pixels", 0, max(media.height, 1), whole=True, falling=True),
        paint.names,
    )
    dots = sum(track.x.size for track in paint.tracks)
    step = max(1, dots // MOST_DOTS)
    for track in paint.tracks:
        for part, colour in enumerate(paint.colours):
            chart.dots(track.x[::step, part], track.y[::step, part], colour)
    return chart, _counted(paint)


def _plot(paint: _Paint) -> tuple[Chart, str]:
    import numpy as np

    every = [values.ravel() for track in paint.tracks for values in (track.x, track.y)]
    places = axis_of("Position in pixels", np.concatenate(every) if every else np.zeros(1))
    chart = Chart("Position over time", paint.frames(), places, paint.names)
    for track in paint.tracks:
        for part, colour in enumerate(paint.colours):
            chart.line(*_thinned(track.frames, track.x[:, part]), colour, dashed=True)
            chart.line(*_thinned(track.frames, track.y[:, part]), colour)
    return chart, "x dashed, y solid"


def _likelihood(paint: _Paint, pcutoff: float) -> tuple[Chart, str]:
    chart = Chart(
        "Likelihood over time", paint.frames(), Axis("Likelihood", 0.0, 1.03), paint.names
    )
    chart.level(pcutoff)
    for track in paint.tracks:
        for part, colour in enumerate(paint.colours):
            chart.line(*_thinned(track.frames, track.likelihood[:, part]), colour)
    return chart, f"left out elsewhere below {pcutoff:g}"


def _hist(paint: _Paint) -> tuple[Chart, str]:
    import numpy as np

    steps = [_steps([track], part) for part in range(len(paint.names)) for track in paint.tracks]
    every = np.concatenate(steps) if steps else np.zeros(0)
    # The farthest few leaps would press all others into one column.
    reach = _most(np.abs(every), 0.99) if every.size else 1.0
    edges = np.linspace(-max(reach, 1.0), max(reach, 1.0), BINS + 1)
    counts = [
        np.histogram(_steps(paint.tracks, part), edges)[0].astype(float)
        for part in range(len(paint.names))
    ]
    most = max((float(one.max()) for one in counts), default=0.0)
    chart = Chart(
        "Movement between frames",
        Axis("Change of x and of y in pixels", float(edges[0]), float(edges[-1])),
        Axis("Count", 0.0, max(most, 1.0) * 1.05, whole=True),
        paint.names,
    )
    for heights, colour in zip(counts, paint.colours, strict=True):
        chart.outline(edges, heights, colour)
    return chart, _counted(paint)


def _most(values: Values, share: float) -> float:
    """What so many of the values do not exceed; numpy's own would import much for it."""
    import numpy as np

    values = np.sort(values)
    place = share * (len(values) - 1)
    below, above = values[int(place)], values[min(int(place) + 1, len(values) - 1)]
    return float(below + (above - below) * (place - int(place)))


def _steps(tracks: Sequence[_Track], part: int) -> Values:
    """How far a body part moved, in both directions, wherever two neighbours are known."""
    import numpy as np

    ways = [np.diff(values[:, part]) for track in tracks for values in (track.x, track.y)]
    every = np.concatenate(ways) if ways else np.zeros(0)
    kept: Values = every[np.isfinite(every)]
    return kept


def _thinned(frames: Values, values: Values) -> tuple[Values, Values]:
    """As many points as can be seen: of each stretch the lowest and the highest."""
    import numpy as np

    if len(frames) <= MOST_POINTS:
        return frames, values
    size = -(-len(frames) // (MOST_POINTS // 2))
    whole = np.full(-(-len(frames) // size) * size, np.nan)
    whole[: len(values)] = values
    blocks = whole.reshape(-1, size)
    empty = ~np.isfinite(blocks).any(axis=1)
    low = np.where(empty, np.nan, np.min(np.where(np.isfinite(blocks), blocks, np.inf), axis=1))
    high = np.where(empty, np.nan, np.max(np.where(np.isfinite(blocks), blocks, -np.inf), axis=1))
    return np.repeat(frames[::size], 2), np.column_stack((low, high)).ravel()


def _step(media: Media) -> int:
    return max(1, -(-len(media.processed) // MOST_FRAMES))


def _counted(paint: _Paint) -> str:
    count = len(paint.tracks)
    said = f"{count} individual{'' if count == 1 else 's'}"
    step = _step(paint.media)
    return said if step == 1 else f"{said}, one of {step} analysed frames"
