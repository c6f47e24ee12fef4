"""What of a video is missing in its file, told from what the file promises of itself."""

from __future__ import annotations

import re
from typing import Final

from grange.pipelines.wildlife.media.packets import Feed

# Containers that list each frame, so that those which do not come are known.
_MOV: Final = "mov,mp4"
_AVI: Final = "avi"
# Streams end a little apart, and durations are rounded.
_SLACK_SECONDS: Final = 1.0
_SLACK_SHARE: Final = 0.02
_CLOCK: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def loss_of(feed: Feed, end: float) -> str:
    """One sentence on what is missing; empty when nothing is known to be.

    Args:
        feed: The video's packets, read to their end.
        end: When the last frame that was found ends, in seconds of the file's own clock.
    """
    promised = _promised_frames(feed)
    if feed.entries < promised:
        there = f"Only {feed.entries} of its {promised} frames are there"
        return f"{there}: the file is damaged or was cut off."
    lasting = _promised_seconds(feed)
    if lasting - end > max(_SLACK_SECONDS, _SLACK_SHARE * lasting):
        return f"The file ends after {end:.1f} of its {lasting:.1f} seconds: it was cut off."
    if feed.faults or feed.torn:
        return "The file is damaged in places: some of its frames may be lost."
    return ""


def _promised_frames(feed: Feed) -> int:
    kind = feed.container.format.name
    if kind.startswith(_MOV):
        # What an edit list cuts off is not among them, nor should it be.
        return len(feed.stream.index_entries)
    return feed.stream.frames if kind == _AVI else 0


def _promised_seconds(feed: Feed) -> float:
    tags = {key.upper(): value for key, value in feed.stream.metadata.items()}
    if clock := _CLOCK.match(tags.get("DURATION", "")):
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    matroska = feed.container.format.name.startswith("matroska")
    # The whole lasts as long as its longest stream, which with sound need not be the video.
    if matroska and not feed.container.streams.audio and feed.container.duration:
        return feed.container.duration / 1_000_000
    return 0.0
