"""What is said of graphs that can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models import layouts
from grange.pipelines.wildlife.models.manifest import Manifest, Task

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.graphs import Graph, Shape


def unknown_layout(manifest: Manifest) -> ModelInvalid:
    """A detector says a layout that nothing here can read."""
    return ModelInvalid(
        f"The model {manifest.name} says a layout that is not known: {manifest.layout}.",
        hint=f"Known are {', '.join([*layouts.READERS, *layouts.ALIASES])}.",
    )


def other_task(manifest: Manifest, task: str) -> ModelInvalid:
    """The exporter says that a detector is none."""
    return ModelInvalid(
        f"The graph of the model {manifest.name} is for another task than finding: its file says "
        f"{task[:40]}.",
        hint="Export a model that only detects.",
    )


def check_layout(manifest: Manifest, known: set[str]) -> None:
    """Refuse a layout that is none of the task's.

    Raises:
        ModelInvalid: It is said, and not among those known.
    """
    if manifest.layout and manifest.layout not in known:
        raise ModelInvalid(
            f"The model {manifest.name} says a layout that no {manifest.task} has: "
            f"{manifest.layout}.",
            hint=f"Known are {', '.join(sorted(known))}.",
        )


def no_layout(graph: Graph, manifest: Manifest, shapes: Sequence[Shape], said: str) -> ModelInvalid:
    """A graph's outputs are not what any layout has, or not what the one that is said has."""
    seen = ", ".join(
        f"{port.name} [{', '.join('?' if side is None else str(side) for side in shape)}]"
        for port, shape in zip(graph.outputs[:6], shapes, strict=False)
    )
    which = f"the layout {said}, which its manifest says" if said else "no known layout"
    fits = "does not fit" if said else "fits"
    if manifest.task is Task.DETECTOR:
        known = "; ".join(f"{name}: {shape}" for name, shape in layouts.DESCRIBED.items())
    elif manifest.task is Task.CLASSIFIER:
        known = "classifier: [N, classes]"
    else:
        known = (
            "heatmap: [N, keypoints, height, width]; simcc: [N, keypoints, x], [N, keypoints, y]"
        )
    return ModelInvalid(
        f"The graph of the model {manifest.name} {fits} {which} of a {manifest.task}: "
        f"it gives {seen}.",
        hint=f"Known are {known}.",
    )


def wrong_count(manifest: Manifest, what: str, graph: int, named: int) -> ModelInvalid:
    """There are more names than things that the graph tells apart, or fewer."""
    return ModelInvalid(
        f"The graph of the model {manifest.name} has {graph} {what}, and {named} are named.",
        hint=f"Name all of them in their order: --{what} NAME,NAME,…, or {what} in the manifest.",
    )


def no_names(manifest: Manifest, what: str, count: int) -> ModelInvalid:
    """Neither manifest nor graph says what things are called."""
    many = f"its {count} {what}" if count else f"its {what}"
    return ModelInvalid(
        f"Nothing says what the model {manifest.name} calls {many}.",
        hint=f"Name them in their order: --{what} NAME,NAME,…, or {what} in the manifest.",
    )
