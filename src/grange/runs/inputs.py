"""From what a person typed to the items of a run: files, folders and globs, in a steady order."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote

from grange.errors import InputsInvalid
from grange.runs import globs
from grange.runs.models import NewItem
from grange.storage import display_path
from grange.storage.s3urls import is_s3

_GLOB = re.compile(r"[*?\[]")
# Folders of our own inside an output folder: never inputs.
_OWN_FOLDER = ".grange"


@dataclass(frozen=True, slots=True)
class Root:
    """A folder, or a single file, that items come from. `label` begins their paths.

    Of a bucket, `path` is a URL; that of a folder ends in `/`.
    """

    path: str
    label: str
    pattern: str | None = None  # what was left of a glob

    @property
    def shown(self) -> str:
        """What was asked for, in full: two globs over one folder are two requests."""
        if is_s3(self.path):
            from grange.runs import bucketinputs

            return bucketinputs.shown(self.path, self.pattern)
        path = self.path if self.pattern is None else os.path.join(self.path, self.pattern)
        return display_path(path)


@dataclass(slots=True)
class Scan:
    """Walks the roots. `skipped` counts by reason what was left out; complete once walked."""

    roots: Sequence[Root]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    accepts: Sequence[str] = ("*",)
    out: str = ""  # never looked into: outputs are not inputs
    skipped: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[NewItem]:
        """The items, in the order of the roots and of names; reads folders as it goes."""
        self.skipped.clear()
        wanted = globs.matcher(self.include or self.accepts)
        unwanted = globs.matcher(self.exclude) if self.exclude else None
        hidden = any(_name_of(pattern).startswith(".") for pattern in self.include)
        for root in self.roots:
            if is_s3(root.path):
                yield from self._bucket(root, wanted, unwanted, hidden=hidden)
            elif os.path.isdir(root.path):
                yield from self._folder(root, wanted, unwanted, hidden=hidden)
            else:
                yield _item(root.path, root.label, os.stat(root.path))

    def _bucket(
        self,
        root: Root,
        wanted: Callable[[str], bool],
        unwanted: Callable[[str], bool] | None,
        *,
        hidden: bool,
    ) -> Iterator[NewItem]:
        from grange.runs import bucketinputs

        if not root.path.endswith("/"):
            yield from bucketinputs.find(root.path, root.label, self.skipped)
            return
        pattern = globs.compiled(root.pattern) if root.pattern else None
        choice = bucketinputs.Choice(wanted, unwanted, pattern, hidden)
        yield from bucketinputs.walk(root.path, root.label, choice, self.skipped, out=self.out)

    def _folder(
        self,
        root: Root,
        wanted: Callable[[str], bool],
        unwanted: Callable[[str], bool] | None,
        *,
        hidden: bool,
    ) -> Iterator[NewItem]:
        pattern = globs.compiled(root.pattern) if root.pattern else None
        folders = [(root.path, "")]
        while folders:
            folder, prefix = folders.pop()
            base = f"file://{quote_from_bytes(os.fsencode(folder.rstrip('/')))}/"
            below = []
            for entry in self._entries(folder):
                under = f"{prefix}{entry.name}"
                if entry.name.startswith(".") and not hidden:
                    self.skipped["hidden"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name != _OWN_FOLDER and entry.path != self.out:
                        below.append((entry.path, f"{under}/"))
                elif pattern is not None and not pattern(under):
                    self.skipped["not matched by the glob"] += 1
                elif not wanted(under):
                    self.skipped["not of a wanted kind"] += 1
                elif unwanted is not None and unwanted(under):
                    self.skipped["excluded"] += 1
                else:
                    item = self._file(entry, f"{root.label}{under}", base)
                    if item is not None:
                        yield item
            folders.extend(reversed(below))

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            # What can't be listed can't be expected: better to stop than to miss items in silence.
            message = f"The folder {display_path(folder)} can't be read: {error.strerror}."
            raise InputsInvalid(message, hint="Mend its rights, or leave it out.") from error

    def _file(self, entry: os.DirEntry[str], path: str, base: str) -> NewItem | None:
        try:
            status = entry.stat()
        except OSError:
            # A dangling link, or a file that vanished after it was listed.
            self.skipped["links to nothing"] += 1
            return None
        if stat.S_ISDIR(status.st_mode):
            self.skipped["links to folders"] += 1
            return None
        if not stat.S_ISREG(status.st_mode):
            self.skipped["no regular files (pipes, sockets, devices)"] += 1
            return None
        uri = base + quote_from_bytes(os.fsencode(entry.name))
        return NewItem(display_path(path), uri, status.st_size, status.st_mtime_ns)


def find_roots(inputs: Sequence[str], *, cwd: str) -> list[Root]:
    """What the typed inputs stand for, each with the beginning of its items' paths.

    Raises:
        InputsInvalid: One of them names nothing.
    """
    if not inputs:
        raise InputsInvalid("No input was given.", hint="Name a file, a folder or a glob.")
    found: dict[str, str | None] = {}
    for text in inputs:
        for path, pattern in _expand(text, cwd):
            found.setdefault(path, pattern)
    paths = list(found)
    labels = _labels(paths)
    return [Root(path, labels[path], found[path]) for path in paths]


def is_folder(path: str) -> bool:
    """Whether a root's path is a folder's."""
    return path.endswith("/") if is_s3(path) else os.path.isdir(path)


def _expand(text: str, cwd: str) -> Iterator[tuple[str, str | None]]:
    if is_s3(text):
        from grange.runs import bucketinputs

        yield from bucketinputs.expand(text)
        return
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(text)))
    if os.path.lexists(path):
        if not os.path.exists(path):
            message = f"The input {display_path(text)} is a link to nothing."
            raise InputsInvalid(message, hint="Mend the link, or leave it out.")
        if not os.path.isdir(path) and not os.path.isfile(path):
            message = f"The input {display_path(text)} is neither a file nor a folder."
            raise InputsInvalid(message, hint="Pipes, sockets and devices can't be inputs.")
        yield path, None
        return
    if not _GLOB.search(text):
        message = f"The input {display_path(text)} does not exist."
        raise InputsInvalid(message, hint=f"Check the path; it was looked for in {cwd}.")
    fixed, pattern = _split_glob(path)
    if not os.path.isdir(fixed) or next(glob.iglob(path, recursive=True), None) is None:
        message = f"The input {display_path(text)} matches no file."
        raise InputsInvalid(message, hint="Check the glob; quote it, so that the shell leaves it.")
    yield fixed, pattern


def _split_glob(path: str) -> tuple[str, str]:
    parts = path.split("/")
    first = next(index for index, part in enumerate(parts) if _GLOB.search(part))
    return "/".join(parts[:first]) or "/", "/".join(parts[first:])


def _labels(paths: Sequence[str]) -> dict[str, str]:
    """The beginnings of item paths: nothing for a lone folder, names where there are several.

    A file's label is its whole item path.
    """
    if len(paths) == 1 and is_folder(paths[0]):
        return {paths[0]: ""}
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        folder = is_folder(path)
        label = _free_name(_plain(path), taken)
        taken.add(label)
        labels[path] = f"{label}/" if folder else label
    return labels


def _plain(path: str) -> Path:
    """A root as a path whose last parts are names; of a bucket, with its own name first."""
    if not is_s3(path):
        return Path(path)
    rest = path.removeprefix("s3://")
    return Path(rest if path.endswith("/") else unquote(rest))


def _free_name(path: Path, taken: set[str]) -> str:
    """The shortest tail of the path that no other root has."""
    parts = [part for part in path.parts if part != "/"] or ["root"]
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[-count:])
        clashes = any(
            name == other or other.startswith(f"{name}/") or name.startswith(f"{other}/")
            for other in taken
        )
        if not clashes:
            return name
    message = f"The inputs {path} and another one overlap in their names."
    raise InputsInvalid(message, hint="Give their common folder as the one input.")


def _item(path: str, label: str, status: os.stat_result) -> NewItem:
    uri = f"file://{quote_from_bytes(os.fsencode(path))}"
    return NewItem(display_path(label), uri, status.st_size, status.st_mtime_ns)


def _name_of(pattern: str) -> str:
    return pattern.rsplit("/", 1)[-1]
