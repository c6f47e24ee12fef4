"""What was found in the frames of one item, as the review's scripts take it."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from grange.pipelines.wildlife.results import Detection, Media

JSON = Any

# Of more detections than this a page shows every second, third, … and no poses.
MOST_ROWS: Final = 20_000
MOST_POSED: Final = 4000


def details_of(media: Media) -> JSON:
    """The frames' times, and a row for each detection: what, how sure, where, whose, which pose.

    A row is [frame, category, conf, [x, y, width, height], track, species, its conf, pose];
    `every` says that only each so manieth is there.
    """
    step = -(-len(media.detections) // MOST_ROWS) or 1
    posed = len(media.detections) <= MOST_POSED
    kept = islice(media.detections, 0, None, step)
    rows = [_row(one, posed=posed) for one in kept]
    return {
        "rate": float(media.frame_rate) if media.frame_rate else 0,
        "processed": list(media.processed)
        if media.times or len(media.processed) < MOST_ROWS
        else [],
        "times": list(media.times),
        "every": step,
        "rows": rows,
    }


def _row(one: Detection, *, posed: bool) -> JSON:
    species, sure = one.guesses[0] if one.guesses else (None, None)
    pose = [number for point in one.pose for number in point] if posed else []
    return [one.frame, one.category, one.conf, list(one.box), one.track, species, sure, pose]
