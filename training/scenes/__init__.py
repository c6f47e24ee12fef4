"""Landscapes with animals, people and vehicles in them, and the truth about what is to be seen.

The same seed gives the same pixels on the same versions of numpy and Pillow.
"""

from __future__ import annotations

from training.scenes.bodies import Truth
from training.scenes.quadruped import KEYPOINTS, SKELETON, SPECIES
from training.scenes.scene import CATEGORIES, Frame, Scene

__all__ = ["CATEGORIES", "KEYPOINTS", "SKELETON", "SPECIES", "Frame", "Scene", "Truth"]
