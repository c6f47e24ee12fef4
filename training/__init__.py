"""The reference models: synthetic animals to learn from, and the scripts that train on them.

`training.scenes` and `training.clips` need numpy, Pillow and PyAV; the rest needs PyTorch.
"""
