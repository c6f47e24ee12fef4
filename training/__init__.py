"""The reference models: synthetic animals to learn from, and the scripts that train on them.

`training.scenes` and `training.clips` need numpy, Pillow and PyAV; the rest needs PyTorch.
"""

from __future__ import annotations

import os

# ONNX Runtime reports to its makers unless it is told not to before its first import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
