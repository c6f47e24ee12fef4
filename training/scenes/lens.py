"""The camera over level ground."""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes.shape import View


@dataclass(frozen=True)
class Lens:
    """Picture size, focal length and horizon in pixels, and the camera's height in metres."""

    size: tuple[int, int]
    focal: float
    horizon: float
    height: float

    def view(self, right: float, away: float, heading: float = 0.0) -> View:
        """Return how the camera sees what stands so many metres to the right and away."""
        scale = self.focal / away
        return View(
            self.size[0] / 2 + right * scale,
            self.horizon + self.height * scale,
            scale,
            heading,
            self.height / away,
        )
