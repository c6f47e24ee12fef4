"""How the models in a folder were trained, stage by stage: kept beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "history.json"


@dataclass(frozen=True)
class Stage:
    """One training: its rate rises to the highest one, and falls to zero over the planned steps."""

    steps: int
    planned: int
    batch: int
    rate: float
    processes: int
    note: str = ""


def recorded(folder: Path) -> dict[str, list[Stage]]:
    """Return the stages of each model in the folder, the first one first."""
    path = folder / NAME
    kept = json.loads(path.read_text()) if path.exists() else {}
    return {task: [Stage(**stage) for stage in stages] for task, stages in kept.items()}


def note(folder: Path, task: str, stage: Stage, *, further: bool) -> None:
    """Write down a stage; one that is not `further` starts anew."""
    stages = recorded(folder)
    stages[task] = [*(stages.get(task, []) if further else []), stage]
    kept = {name: [asdict(each) for each in several] for name, several in stages.items()}
    (folder / NAME).write_text(json.dumps(kept, indent=1) + "\n")
