"""A model as people and programs are told of it: plain data, without where its file lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grange.pipelines.wildlife.models.manifest import Task

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.registry import Entry

_TOLD = (
    "version",
    "licence",
    "source",
    "sha256",
    "backend",
    "layout",
    "channels",
    "resize",
    "keypoints",
    "skeleton",
)


def described(entry: Entry) -> dict[str, Any]:
    """What is told of a model, by the names that the API has for it."""
    told: dict[str, Any] = {"name": entry.name, "shipped": entry.shipped, "error": entry.error}
    manifest = entry.manifest
    if manifest is None:
        return told
    told |= {name: getattr(manifest, name) for name in _TOLD}
    told |= {"task": manifest.task.value, "input": list(manifest.input)}
    told["classes"] = manifest.classes
    if manifest.task is Task.DETECTOR:
        told["categories"] = manifest.categories
        told["typical_threshold"] = manifest.typical_threshold
        told["conservative_threshold"] = manifest.conservative_threshold
    return told
