"""Tasks on a Ray cluster: warm actors by resources, each with a worker process of its own.

The ledger is the same as for every other engine; Ray only brings tasks to
machines. Nothing here is imported before somebody asks for this engine, and
Ray itself not before the engine starts.
"""

from __future__ import annotations

from grange.engines.ray.crews import dismiss
from grange.engines.ray.engine import RayEngine, open_ray

__all__ = ["RayEngine", "dismiss", "open_ray"]
