"""What a class must have to be a pipeline, checked before anything is run with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from grange.pipelines.base import Parameters, Pipeline, Review

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def concrete_pipelines(module: ModuleType) -> Iterator[type[Pipeline[Any]]]:
    """The pipelines that a module itself defines; an unfinished one is a base and doesn't count."""
    for one in vars(module).values():
        if not isinstance(one, type) or not issubclass(one, Pipeline):
            continue
        if one.__module__ == module.__name__ and not inspect.isabstract(one):
            yield one


def faults_of(loaded: object) -> list[str]:
    """What is wrong with a would-be pipeline, in words; empty when nothing is."""
    if not isinstance(loaded, type) or not issubclass(loaded, Pipeline):
        return ["it is no class that extends Pipeline"]
    return [*_identity_faults(loaded), *_method_faults(loaded), *_parameter_faults(loaded)]


def _identity_faults(cls: type[Pipeline[Any]]) -> Iterator[str]:
    name, version = getattr(cls, "name", None), getattr(cls, "version", None)
    if name is None:
        yield "it has no name"
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"its name {name!r} is not made of lower-case letters, digits, '-' and '_'"
    if version is None:
        yield "it has no version"
    elif not isinstance(version, str) or not _VERSION.fullmatch(version):
        yield f"its version {version!r} is no text such as '1' or '2.0.1'"
    summary = getattr(cls, "summary", None)
    if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
        yield "it has no summary of one line"


def _method_faults(cls: type[Pipeline[Any]]) -> Iterator[str]:
    for missing in sorted(getattr(cls, "__abstractmethods__", ())):
        yield f"it has no {missing} method"
    if cls.splits() and cls.merge is Pipeline.merge:
        yield "it splits items, but has no merge method"
    if not cls.splits() and cls.merge is not Pipeline.merge:
        yield "it has a merge method, but no split method"
    if cls.exports and cls.export is Pipeline.export:
        yield "it names formats in exports, but has no export method"
    accepts: object = cls.accepts
    if not isinstance(accepts, tuple) or not all(isinstance(one, str) for one in accepts):
        yield "its accepts is no tuple of globs, such as ('*.jpg', '*.png')"
    review: object = cls.review
    if review is not None and not isinstance(review, Review):
        yield "its review is no grange.pipelines.Review"


def _parameter_faults(cls: type[Pipeline[Any]]) -> Iterator[str]:
    given: object = cls.Parameters
    if not isinstance(given, type) or not issubclass(given, Parameters):
        yield "its Parameters do not extend grange.pipelines.Parameters"
