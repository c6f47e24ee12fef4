"""Manifests as a user writes them, read as Grange reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from grange.pipelines.wildlife.models.manifest import Manifest, read_manifest


def manifest_of(
    weights: Path, backend: str, task: str, *, options: str, more: str = ""
) -> Manifest:
    """The manifest beside a file of weights."""
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    path = weights.with_name(f"{weights.stem}.toml")
    path.write_text(
        f'name = "{weights.stem}"\ntask = "{task}"\nfile = "{weights.name}"\nsha256 = "{digest}"\n'
        f'backend = "{backend}"\n{more}\n[options]\n{options}\n'
    )
    return read_manifest(path)
