"""Which pipelines there are, and how each is found: by name, or in a file of the user's own."""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from grange.errors import PipelineInvalid, PipelineNotFound
from grange.pipelines.base import INCIDENTAL, Parameters, Pipeline
from grange.pipelines.interface import concrete_pipelines, faults_of
from grange.pipelines.parameters import ParameterInfo, check_params, describe, parse_settings

__all__ = [
    "ParameterInfo",
    "PipelineInfo",
    "absolute",
    "check_params",
    "describe",
    "find",
    "function_key",
    "names",
    "parse_settings",
]

GROUP: Final = "grange.pipelines"

# Those that come with Grange are found even where its metadata is not installed.
BUILT_IN: Final = {
    "command": "grange.pipelines.command:CommandPipeline",
    "wildlife": "grange.pipelines.wildlife:WildlifePipeline",
}

# How much of a file's sha256 its pipeline's version shows.
VERSION_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class PipelineInfo:
    """A pipeline as a list shows it; `error` says why it can't be used, empty when it can."""

    name: str
    version: str
    summary: str
    source: str
    error: str = ""


def find(reference: str) -> Pipeline[Any]:
    """The pipeline of this name, or of this file: `name`, `file.py` or `file.py:Class`.

    The same object for the same reference, as long as the file's bytes are
    the same. The version of a pipeline from a file ends in `+` and the
    beginning of the file's sha256, so that an edited file is another version.

    Raises:
        PipelineNotFound: No installed pipeline has the name, or there is no such file.
        PipelineInvalid: Its code can't be loaded, or it breaks the interface.
    """
    file, class_name = _as_file(reference)
    if file is None:
        return _find_installed(reference)
    try:
        source = file.read_bytes()
    except OSError as error:
        raise _no_file(file, error) from None
    return _find_in_file(file.resolve(), class_name, source)


def names() -> list[PipelineInfo]:
    """All installed pipelines, by name; each is loaded, and `error` is set where that fails."""
    return [_info(entry, source) for entry, source in sorted(_installed().values())]


def absolute(reference: str, *, cwd: Path | None = None) -> str:
    """The reference as it is understood from any folder: files by their absolute path."""
    file, class_name = _as_file(reference)
    if file is None:
        return reference
    path = str(((cwd or Path.cwd()) / file).resolve())
    return f"{path}:{class_name}" if class_name else path


def function_key(pipeline: Pipeline[Any], params: Parameters) -> str:
    """The address of what decides a result besides the input: sha256, in hex.

    It is made of the pipeline's name and version, its models, and all
    parameters but those marked `INCIDENTAL`.

    Raises:
        PipelineInvalid: The pipeline can't name its models, or a parameter is not plain data.
    """
    told = {
        name
        for name, one in type(params).model_fields.items()
        if not any(mark is INCIDENTAL for mark in one.metadata)
    }
    try:
        decisive = {
            "name": pipeline.name,
            "version": pipeline.version,
            "models": pipeline.models(params),
            "params": params.model_dump(mode="json", include=told),
        }
        text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    except Exception as error:
        raise PipelineInvalid(
            f"pipeline {pipeline.name} can't say what decides its results: {_what(error)}",
            hint="See its models() and the types of its parameters.",
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def _as_file(reference: str) -> tuple[Path | None, str]:
    """The file that a reference names, and the class in it; no file where it is a plain name."""
    path, colon, class_name = reference.rpartition(":")
    if not colon or not path.endswith(".py"):
        path, class_name = reference, ""
    return (Path(path).expanduser(), class_name) if path.endswith(".py") else (None, "")


# ---- installed pipelines


@functools.cache
def _find_installed(name: str) -> Pipeline[Any]:
    installed = _installed()
    if name not in installed:
        raise PipelineNotFound(
            f"no pipeline is called {name!r}", hint=_suggestion(name, list(installed))
        )
    entry, source = installed[name]
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        raise _not_loadable(f"pipeline {name} ({source})", error) from error
    pipeline = _instance(loaded, f"pipeline {name} ({entry.value})")
    if pipeline.name != name:
        raise PipelineInvalid(f"{source} installs {name!r}, but it calls itself {pipeline.name!r}")
    return pipeline


def _installed() -> dict[str, tuple[metadata.EntryPoint, str]]:
    """Entry points by name, each with words for where it comes from."""
    found = {
        name: (metadata.EntryPoint(name, target, GROUP), "built in")
        for name, target in BUILT_IN.items()
    }
    for entry in metadata.entry_points(group=GROUP):
        source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
        found.setdefault(entry.name, (entry, source))
    return found


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    if Path(f"{name}.py").exists():
        close.append(f"./{name}.py")
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return (
        f"Installed: {', '.join(sorted(known))}. "
        "A pipeline of your own is named by its file, which ends in .py."
    )


def _info(entry: metadata.EntryPoint, source: str) -> PipelineInfo:
    try:
        pipeline = _find_installed(entry.name)
    except PipelineInvalid as error:
        return PipelineInfo(entry.name, "", "", source, error.message)
    return PipelineInfo(entry.name, pipeline.version, pipeline.summary, source)


# ---- pipelines in files


def _no_file(file: Path, error: OSError) -> PipelineNotFound:
    if isinstance(error, FileNotFoundError):
        near = difflib.get_close_matches(file.name, _python_files(file.parent), n=3)
        hint = (
            f"Did you mean {' or '.join(str(file.parent / one) for one in near)}?" if near else ""
        )
        return PipelineNotFound(f"there is no file {str(file)!r}", hint=hint)
    return PipelineNotFound(f"the file {str(file)!r} can't be read: {error.strerror}")


def _python_files(folder: Path) -> list[str]:
    try:
        return [one.name for one in folder.glob("*.py")]
    except OSError:
        return []


@functools.lru_cache(maxsize=64)
def _find_in_file(path: Path, class_name: str, source: bytes) -> Pipeline[Any]:
    digest = hashlib.sha256(source).hexdigest()
    place = hashlib.sha256(os.fsencode(f"{path}:{class_name}")).hexdigest()
    # The name is the file's and its content's own: an edited file is another
    # module, and its classes can be found by their module while both live.
    module = ModuleType(f"grange_file_{place[:8]}_{digest[:VERSION_DIGITS]}")
    module.__file__ = str(path)
    _execute(module, path, source)
    chosen = _choose(module, path, class_name)
    pipeline = _instance(chosen, f"{path}:{chosen.__name__}")
    chosen.version = f"{chosen.version}+{digest[:VERSION_DIGITS]}"
    return pipeline


def _execute(module: ModuleType, path: Path, source: bytes) -> None:
    # Classes look their module up by name (dataclasses and pydantic do).
    sys.modules[module.__name__] = module
    try:
        # The bytes that were digested are those that run; no __pycache__ is left beside them.
        code = compile(source, str(path), "exec", dont_inherit=True)
        with _importable(path.parent):
            exec(code, module.__dict__)  # noqa: S102  # running the user's own file is the purpose
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise _not_loadable(f"the pipeline in {path}", error, file=str(path)) from error


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours while it is loaded, as a script can."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _choose(module: ModuleType, path: Path, class_name: str) -> type[Pipeline[Any]]:
    found = {one.__name__: one for one in concrete_pipelines(module)}
    if class_name:
        if class_name in found:
            return found[class_name]
        if isinstance(chosen := getattr(module, class_name, None), type) and (
            issubclass(chosen, Pipeline) and chosen.__module__ == module.__name__
        ):
            return chosen
        raise PipelineInvalid(
            f"{path} defines no pipeline {class_name}",
            hint=f"It defines {', '.join(found)}." if found else "",
        )
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise PipelineInvalid(
            f"{path} defines no pipeline",
            hint="Write a class that extends grange.pipelines.Pipeline and has a process method.",
        )
    raise PipelineInvalid(
        f"{path} defines several pipelines: {', '.join(found)}",
        hint=f"Say which one: {path.name}:{next(iter(found))}",
    )


# ---- both


def _instance(loaded: object, where: str) -> Pipeline[Any]:
    faults = faults_of(loaded)
    if faults or not isinstance(loaded, type):
        raise PipelineInvalid(f"{where}: {'; '.join(faults)}")
    try:
        pipeline: Pipeline[Any] = loaded()
    except Exception as error:
        raise PipelineInvalid(
            f"{where} can't be made: {_what(error)}",
            hint="Its __init__ must need no arguments; costly things belong into load().",
        ) from error
    return pipeline


def _not_loadable(what: str, error: BaseException, *, file: str = "") -> PipelineInvalid:
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"If it is a package, install it: {sys.executable} -m pip install {error.name}"
    place = _place(error, file)
    return PipelineInvalid(
        f"{what} can't be loaded: {f'{place}: ' if place else ''}{_what(error)}", hint=hint
    )


def _place(error: BaseException, file: str) -> str:
    """Where the code went wrong, as file:line; in the user's own file if it shows there at all."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    frames_there = [one for one in frames if one.filename == file]
    outside = [one for one in frames if one.filename != __file__ and "<frozen" not in one.filename]
    for frame in reversed(frames_there or outside):
        return f"{frame.filename}:{frame.lineno}"
    return ""


def _what(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {error}".rstrip(": ")
