"""Day, dusk and night as a trail camera records them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes.noise import Floats

Bytes = NDArray[np.uint8]
LIGHTS = ("day", "dusk", "night")
GREY = np.array([0.35, 0.50, 0.15], np.float32)


@dataclass(frozen=True)
class Light:
    """How a scene is lit: in which colours, how far one sees, how noisy the picture is."""

    name: str
    gain: tuple[float, float, float]
    haze: tuple[float, float, float]
    clear: float  # metres at which a third of the colour is left
    noise: float
    shadow: float
    vignette: float
    reach: float  # metres that the camera's own light reaches; endless by day

    @property
    def grey(self) -> bool:
        """Whether the camera has switched to infra-red light."""
        return self.name == "night"

    @classmethod
    def draw_lots(cls, name: str, rng: np.random.Generator) -> Light:
        """Make the light of one day, dusk or night."""
        if name == "night":
            return cls(
                name,
                gain=(1.0, 1.0, 1.0),
                haze=(8.0, 8.0, 8.0),
                clear=200.0,
                noise=float(rng.uniform(5, 10)),
                shadow=0.0,
                vignette=float(rng.uniform(0.55, 0.85)),
                reach=float(rng.uniform(12, 22)),
            )
        if name == "dusk":
            level = float(rng.uniform(0.42, 0.68))
            warm = float(rng.uniform(-0.10, 0.16))
            return cls(
                name,
                gain=(level * (1.04 + warm), level * 0.96, level * (1.06 - warm)),
                haze=(168.0 + 60 * warm, 150.0, 158.0 - 90 * warm),
                clear=float(rng.uniform(50, 140)),
                noise=float(rng.uniform(3, 6.5)),
                shadow=0.18,
                vignette=float(rng.uniform(0.1, 0.3)),
                reach=np.inf,
            )
        sunny = float(rng.uniform(0, 1))
        return cls(
            name,
            gain=(0.94 + 0.12 * sunny, 0.95 + 0.09 * sunny, 0.98 + 0.02 * sunny),
            haze=(196.0, 206.0, 214.0),
            clear=float(rng.uniform(90, 420)),
            noise=float(rng.uniform(1.2, 3.0)),
            shadow=0.22 + 0.28 * sunny,
            vignette=float(rng.uniform(0.02, 0.15)),
            reach=np.inf,
        )

    def through_air(self, colour: Floats, metres: Floats | float) -> Floats:
        """Return colours as seen over a distance, which must broadcast against them."""
        left = np.exp(-np.asarray(metres, np.float32) / self.clear)
        seen = colour * left + np.asarray(self.haze, np.float32) * (1 - left)
        if np.isfinite(self.reach):
            seen = seen * np.minimum(1.25, (self.reach / np.maximum(metres, 1.5)) ** 1.25) * 0.75
        through: Floats = seen.astype(np.float32)
        return through

    def graded(self, colour: Floats) -> Floats:
        """Return colours as the sensor sees them."""
        if self.grey:
            grey: Floats = np.repeat((colour @ GREY)[..., None], 3, axis=-1)
            return grey
        return (colour * np.asarray(self.gain, np.float32)).astype(np.float32)

    def falloff(self, size: tuple[int, int]) -> Floats:
        """Return the height x width x 1 factor by which a picture is darker towards its edges."""
        width, height = size
        x = (np.arange(width, dtype=np.float32) / width - 0.5) * 2
        y = (np.arange(height, dtype=np.float32) / height - 0.5) * 2
        far = x[None, :] ** 2 * 0.8 + y[:, None] ** 2 * 0.6
        hot = 1.12 if self.grey else 1.0
        return (hot / (1 + self.vignette * far * (1.4 if self.grey else 1.0)))[..., None].astype(
            np.float32
        )
