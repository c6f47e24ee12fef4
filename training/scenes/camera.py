"""What the camera adds to what it sees: the banner below, noise, and softness."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.scenes.light import Bytes, Light
from training.scenes.noise import Floats

STARTED = datetime(2026, 5, 4, 6, 12, 31)  # noqa: DTZ001 - a trail camera knows no time zone


class Sensor:
    """Noise over frames: drawn once a clip, and laid on each frame at another place."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], light: Light) -> None:
        """Draw the noise of a clip."""
        self._size = size
        width, height = size
        shape = (min(height, 360) + 64, min(width, 640) + 64, 3)
        noise = rng.standard_normal(shape, np.float32)
        if light.grey:
            noise = np.repeat(noise[..., :1], 3, axis=-1)
        # A codec has smoothed real footage: neighbours share some of their noise.
        noise = 0.7 * noise + 0.5 * np.roll(noise, 1, 0) + 0.5 * np.roll(noise, 1, 1)
        self._noise = np.rint(noise * light.noise).astype(np.int16)

    def expose(self, picture: Bytes, rng: np.random.Generator) -> Bytes:
        """Return the picture with its noise."""
        height, width = picture.shape[:2]
        rows = (np.arange(height) + int(rng.integers(64))) % self._noise.shape[0]
        columns = (np.arange(width) + int(rng.integers(64))) % self._noise.shape[1]
        noise = self._noise[rows[:, None], columns[None, :]]
        noisy: Bytes = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return noisy


class Banner:
    """The strip at the bottom: date and time, temperature, moon, and the camera's name."""

    def __init__(self, size: tuple[int, int], camera: str, started: datetime, celsius: int) -> None:
        """Prepare the strip; a second's strip is drawn once."""
        self._width = size[0]
        self.height = max(10, round(size[1] * 0.055))
        self._camera, self._started, self._celsius = camera, started, celsius
        self._second = -1
        self._strip = np.zeros((self.height, self._width, 3), np.uint8)

    def put(self, picture: Bytes, seconds: float) -> None:
        """Write the strip over the lower edge."""
        if int(seconds) != self._second:
            self._second = int(seconds)
            self._strip = self._drawn()
        picture[-self.height :] = self._strip

    def _drawn(self) -> Bytes:
        strip = Image.new("RGB", (self._width, self.height), (12, 12, 12))
        brush = ImageDraw.Draw(strip)
        font = ImageFont.load_default(self.height * 0.66)
        now = self._started + timedelta(seconds=self._second)
        white = (236, 236, 236)
        middle = self.height / 2
        brush.text((self._width * 0.015, middle), f"{now:%Y-%m-%d  %H:%M:%S}", white, font, "lm")
        fahrenheit = round(self._celsius * 1.8 + 32)
        degrees = f"{self._celsius}°C  {fahrenheit}°F"
        brush.text((self._width * 0.47, middle), degrees, white, font, "lm")
        radius = self.height * 0.28
        x = self._width * 0.70
        brush.ellipse((x - radius, middle - radius, x + radius, middle + radius), fill=white)
        brush.ellipse((x, middle - radius, x + 2 * radius, middle + radius), fill=(12, 12, 12))
        brush.text((self._width * 0.985, middle), self._camera, white, font, "rm")
        return np.asarray(strip)


def as_bytes(picture: Floats) -> Bytes:
    """Return a picture of 0..255 as bytes."""
    return np.clip(picture, 0, 255).astype(np.uint8)
