"""Which models there are on this machine: those that ship with Grange, and those added to it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grange.errors import ModelInvalid, ModelNotFound, NameTaken, UsageError
from grange.pipelines.wildlife.models.manifest import PIN_DIGITS, Manifest, Task, read_manifest

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.interface import Check

SHIPPED: Final = Path(__file__).parents[1] / "reference"
MANIFEST: Final = "manifest.toml"
# The beginnings of the file's digest and, where it stands there, of the manifest's.
_PIN: Final = re.compile(rf"[0-9a-f]{{{PIN_DIGITS}}}(?:\.[0-9a-f]{{{PIN_DIGITS}}})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as a list shows it; `error` says why it can't be used, and then there is no more."""

    name: str
    shipped: bool
    manifest: Manifest | None = None
    error: str = ""


class Models:
    """The models of a folder, with those that ship with Grange."""

    def __init__(self, folder: Path | None) -> None:
        """Look into this folder, which need not be there; None for what ships alone."""
        self._folder = folder

    def entries(self) -> list[Entry]:
        """All models by name; one whose manifest is damaged is told, and hides no other."""
        return sorted(self._entries(), key=lambda one: one.name)

    def list(self) -> list[Manifest]:
        """All whose manifests can be read, by name."""
        return [one.manifest for one in self.entries() if one.manifest]

    def find(self, reference: str, *, task: Task | None = None, files: bool = True) -> Manifest:
        """The model of this name, or of the manifest (.toml) or graph (.onnx) at this path.

        A name or path may end in `@` and the first 12 digits of the sha256 that its file must
        have; and then in `.` and those of the digest that its manifest must have.

        Args:
            reference: The name, or the path.
            task: What it must be for.
            files: Whether paths are allowed; without, they are names of no model.

        Raises:
            ModelNotFound: There is none of this name, or no such file.
            ModelInvalid: It is damaged, for another task, or not the one that was pinned.
        """
        name, pin = unpinned(reference)
        manifest = self._at_path(Path(name), task) if files and is_path(name) else self._of(name)
        found = unpinned(manifest.sealed)[1]
        if not found.startswith(pin):
            raise ModelInvalid(
                f"The model {manifest.name} is another than was asked for: "
                f"{found[: len(pin)]}, not {pin}.",
                hint="Its file or its manifest was changed since. Bring the older one back, or "
                "submit the work again.",
            )
        if task and manifest.task is not task:
            raise ModelInvalid(
                f"The model {manifest.name} is no {task}, but for another task: {manifest.task}.",
                hint="See the models that there are: grange models list",
            )
        return manifest

    def entry(self, reference: str, *, files: bool = True) -> Entry:
        """The model of a name or path as a list shows it, even one that can't be used.

        Raises:
            ModelNotFound: There is none of this name, or no such file.
            ModelInvalid: The file at the path is no model.
        """
        name = unpinned(reference)[0]
        for one in self._entries():
            if one.name == name and (one.name == reference or one.manifest is None):
                return one
        manifest = self.find(reference, files=files)
        return Entry(manifest.name, manifest.file.parent == SHIPPED, manifest)

    def add(self, path: Path, said: Mapping[str, Any] | None = None) -> Manifest:
        """Add the model of a manifest (.toml) or graph (.onnx), copied, with nothing left open.

        Adding the same again changes nothing.

        Args:
            path: The file.
            said: Fields of the manifest that the file does not say, or says otherwise.

        Raises:
            ModelInvalid: It fits no layout, or something must be said of it.
            NameTaken: Another model has the name.
        """
        from grange.pipelines.wildlife.models import adding

        manifest = adding.told_from(path, said or {})
        if any(one.name == manifest.name and one.shipped for one in self._entries()):
            hint = "Give this one another name: --name NAME"
            raise NameTaken(f"A model that ships with Grange is called {manifest.name}.", hint=hint)
        return adding.add(manifest, self._own_folder())

    def remove(self, name: str) -> None:
        """Remove a model that was added, its files with it.

        Raises:
            ModelNotFound: There is none of this name.
            UsageError: It ships with Grange.
        """
        from grange.pipelines.wildlife.models import adding

        found = [one for one in self._entries() if one.name == name]
        if not found:
            raise self._not_found(name)
        if all(one.shipped for one in found):
            raise UsageError(f"The model {name} ships with Grange and can't be removed.")
        adding.remove(name, self._own_folder())

    def check(self, reference: str) -> Check:
        """Look at a model as a run would use it, with a trial; see `checking.check`.

        Raises:
            ModelNotFound: There is none of this name, or no such file.
        """
        from grange.pipelines.wildlife.models.checking import check
        from grange.pipelines.wildlife.models.interface import Check, Finding

        try:
            manifest = self.find(reference)
        except ModelInvalid as error:
            finding = Finding("manifest", good=False, said=error.message, hint=error.hint)
            return Check(reference, (finding,))
        return check(manifest)

    def _own_folder(self) -> Path:
        if self._folder is None:
            raise UsageError("There is no folder for models.")
        return self._folder

    def _not_found(self, name: str) -> ModelNotFound:
        names = [one.name for one in self._entries()]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else _all(names)
        return ModelNotFound(f"No model is called {name[:200]!r}.", hint=hint)

    def _of(self, name: str) -> Manifest:
        found = {one.name: one for one in self._entries()}
        if name not in found:
            raise self._not_found(name)
        entry = found[name]
        if entry.manifest is None:
            raise ModelInvalid(entry.error, hint=f"Remove it: grange models remove {name}")
        return entry.manifest

    def _at_path(self, path: Path, task: Task | None) -> Manifest:
        path = path.expanduser()
        if not path.is_file():
            raise ModelNotFound(f"There is no file {str(path)!r}.", hint=_all([]))
        from grange.pipelines.wildlife.models.adding import told_from

        # A manifest says itself what it is for.
        is_graph = path.suffix.lower() != ".toml"
        return told_from(path, {"task": task} if task and is_graph else {})

    def _entries(self) -> Iterator[Entry]:
        for path in sorted(SHIPPED.glob("*.toml")):
            yield _entry(path.stem, path, shipped=True)
        if self._folder is None or not self._folder.is_dir():
            return
        for folder in sorted(self._folder.iterdir()):
            if not folder.name.startswith(".") and folder.is_dir():
                yield _entry(folder.name, folder / MANIFEST, shipped=False)


def default_models() -> Models:
    """The models of this machine's home, as the settings have it."""
    from grange import settings

    return Models(settings.load().home / "models")


def is_path(reference: str) -> bool:
    """Whether a reference means a file rather than a name."""
    return os.sep in reference or reference.lower().endswith((".toml", ".onnx"))


def unpinned(reference: str) -> tuple[str, str]:
    """A reference without its pin, and the pin; empty where it has none."""
    name, at, pin = reference.rpartition("@")
    return (name, pin) if at and _PIN.fullmatch(pin) else (reference, "")


def _entry(name: str, path: Path, *, shipped: bool) -> Entry:
    try:
        manifest = read_manifest(path)
    except ModelInvalid as error:
        return Entry(name, shipped, error=error.message)
    if not shipped and manifest.name != name:
        said = f"The manifest {path} calls its model {manifest.name}, and its folder {name}."
        return Entry(name, shipped, error=said)
    return Entry(manifest.name, shipped, manifest)


def _all(names: list[str]) -> str:
    told = f"There are: {', '.join(names)}. " if names else ""
    return f"{told}Add one: grange models add FILE.onnx"
