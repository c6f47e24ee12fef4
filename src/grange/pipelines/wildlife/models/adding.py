"""How a model comes into a folder of models: its file and its manifest, whole or not at all."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from grange.errors import ModelInvalid, NameTaken
from grange.pipelines.wildlife.models.digests import MOST_BYTES, digest_of, read_verified, verify
from grange.pipelines.wildlife.models.manifest import (
    MOST_NAME,
    ONNX,
    Manifest,
    as_toml,
    read_manifest,
)
from grange.pipelines.wildlife.models.said import checked

MANIFEST: Final = "manifest.toml"
# A file of another package's that its options name, and its digest.
SIDE_FILE: Final = "config"
SIDE_DIGEST: Final = "config_sha256"
# A side file is a table of settings.
MOST_SIDE_BYTES: Final = 16 * 1024 * 1024


def told_from(path: Path, said: Mapping[str, Any]) -> Manifest:
    """The manifest of an ONNX file or of a manifest's file, with nothing left open.

    Args:
        path: The file; a `.toml` is a manifest.
        said: Fields of the manifest, which win over those of a file.

    Raises:
        ModelInvalid: The graph can't be loaded, fits no layout, or something must be said.
    """
    try:
        known = path.stat()
    except OSError as error:
        raise ModelInvalid(f"The file {path} can't be read: {error.strerror}.") from error
    told = json.dumps(said, sort_keys=True)
    return _told(path.absolute(), (known.st_mtime_ns, known.st_size), told)


def add(manifest: Manifest, folder: Path) -> Manifest:
    """Copy a model into a folder of models, under its name.

    Raises:
        NameTaken: Another model has the name; the same one again is fine.
        ModelInvalid: Its file is not what the manifest means.
    """
    target = folder / manifest.name
    if (target / MANIFEST).exists():
        return _same(manifest, read_manifest(target / MANIFEST))
    folder.mkdir(parents=True, exist_ok=True)
    with _fresh(folder) as fresh:
        file = _copied(manifest, fresh)
        written = _with_side_file(manifest, fresh)
        (fresh / MANIFEST).write_text(as_toml(written, file), encoding="utf-8")
        _move(fresh, target, manifest.name)
    return read_manifest(target / MANIFEST)


def remove(name: str, folder: Path) -> None:
    """Take a model out of a folder of models."""
    gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=folder))
    (folder / name).rename(gone / name)
    shutil.rmtree(gone)


@functools.lru_cache(maxsize=32)
def _told(path: Path, _state: tuple[int, int], told: str) -> Manifest:
    """Opened once for each state of the file: a large graph takes a while to load."""
    said = json.loads(told)
    if path.suffix.lower() == ".toml":
        manifest = read_manifest(path)
        manifest = _checked({**_fields(manifest), **said}, path)
    else:
        manifest = _of_graph(path, said)
    if manifest.backend != ONNX:
        return manifest
    from grange.pipelines.wildlife.models.completing import completed
    from grange.pipelines.wildlife.models.graphs import Graph

    return completed(Graph(read_verified(manifest), manifest.name), manifest).manifest


def _of_graph(path: Path, said: dict[str, Any]) -> Manifest:
    """A manifest as far as an ONNX file and what is said of it give one."""
    found = {"name": name_of(path), "file": str(path), "sha256": digest_of(path)} | said
    if "task" in found:
        return _checked(found, path)
    from grange.pipelines.wildlife.models.completing import task_of
    from grange.pipelines.wildlife.models.graphs import Graph

    graph = Graph(path.read_bytes(), str(found["name"]))
    return _checked(found | {"task": task_of(graph)}, path)


def name_of(path: Path) -> str:
    """A name for the model in a file, made of the file's."""
    plain = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return plain[:MOST_NAME].strip("-") or "model"


def _checked(fields: Mapping[str, Any], path: Path) -> Manifest:
    return checked(fields, f"What is said of {path.name}", path.parent)


def _fields(manifest: Manifest) -> dict[str, Any]:
    found = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    return found | {"file": str(manifest.file), "options": dict(manifest.options)}


def _same(wanted: Manifest, there: Manifest) -> Manifest:
    sha256 = wanted.sha256 if there.has_file else there.sha256
    # The side file was given another name when it came here.
    beside = {name: there.options[name] for name in {SIDE_FILE, SIDE_DIGEST} & there.options.keys()}
    if (
        replace(wanted, file=there.file, sha256=sha256, options={**wanted.options, **beside})
        == there
    ):
        return there
    raise NameTaken(
        f"Another model is called {there.name} already.",
        hint=f"Give this one another name: --name NAME, or: grange models remove {there.name}",
    )


def _copied(manifest: Manifest, fresh: Path) -> str:
    """The name of the copy of the model's file; empty where it has none."""
    if not manifest.has_file:
        return ""
    suffix = manifest.file.suffix if re.fullmatch(r"\.\w{1,10}", manifest.file.suffix) else ""
    copy = fresh / f"model{suffix.lower()}"
    _copy(manifest.file, copy, MOST_BYTES)
    verify(replace(manifest, file=copy))
    return copy.name


def _with_side_file(manifest: Manifest, fresh: Path) -> Manifest:
    """The manifest with the file that its options name beside the weights."""
    named = manifest.options.get(SIDE_FILE) if manifest.backend != ONNX else None
    if not isinstance(named, str):
        return manifest
    source = manifest.file.parent / named
    # Never in the place of another of the model's files.
    name = f"config{source.suffix.lower()}"
    _copy(source, fresh / name, MOST_SIDE_BYTES)
    digest = digest_of(fresh / name)
    if manifest.options.get(SIDE_DIGEST, digest) != digest:
        raise ModelInvalid(f"The file {source} is not the one that the manifest means.")
    options = {**manifest.options, SIDE_FILE: name, SIDE_DIGEST: digest}
    return replace(manifest, options=options)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """A folder beside the others that is not listed, and gone at the end if it is still there."""
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy(source: Path, target: Path, most_bytes: int) -> None:
    try:
        if source.stat().st_size > most_bytes:
            raise ModelInvalid(f"The file {source} is too large: {source.stat().st_size:,} bytes.")
        with source.open("rb") as read, target.open("xb") as written:
            shutil.copyfileobj(read, written, 1024 * 1024)
            written.flush()
            os.fsync(written.fileno())
    except OSError as error:
        raise ModelInvalid(f"The file {source} can't be copied: {error.strerror}.") from error


def _move(fresh: Path, target: Path, name: str) -> None:
    # The folder was made for its owner alone; workers of other accounts may have to read it.
    fresh.chmod(0o755)
    try:
        fresh.rename(target)
    except OSError as error:
        message = f"Another model is called {name} already, or its folder can't be made."
        raise NameTaken(message, hint=f"See {target}.") from error
