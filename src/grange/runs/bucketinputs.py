"""Buckets as inputs of a run: each object below a prefix is an item, in the order of keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from grange.errors import InputsInvalid, StorePathRefused
from grange.runs.models import NewItem
from grange.storage import check_path, display_path
from grange.storage.s3client import S3Client, S3Object, S3Place, parse_s3
from grange.storage.s3urls import is_plain, object_uri, uri_object

# A server that is away for a moment is no reason to lose a list of a million objects.
PATIENCE_SECONDS = 15.0
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which objects of a folder are wanted, by their paths below it."""

    wanted: Callable[[str], object]
    unwanted: Callable[[str], object] | None
    pattern: Callable[[str], object] | None
    hidden: bool

    def refuses(self, path: str) -> str:
        """Why the object of this path is left out; empty when it is wanted."""
        if not self.hidden and any(name.startswith(".") for name in path.split("/")):
            return "hidden"
        if self.pattern is not None and not self.pattern(path):
            return "not matched by the glob"
        if not self.wanted(path):
            return "not of a wanted kind"
        if self.unwanted is not None and self.unwanted(path):
            return "excluded"
        return ""


def expand(text: str) -> Iterator[tuple[str, str | None]]:
    """What an `s3://` URL stands for: an object, or a folder (ends in `/`) and a glob below it.

    Raises:
        InputsInvalid: There is nothing of that name.
        SettingInvalid, ExtraMissing, StoreError: The bucket can't be read.
    """
    place = parse_s3(text)
    client = _client(place.bucket)
    key = place.prefix.rstrip("/")
    if key and not text.endswith("/") and client.find(key) is not None:
        yield object_uri(place.bucket, key), None
        return
    if not key or next(client.list(place.prefix), None) is not None:
        client.check()
        yield _folder(place), None
        return
    if not _GLOB.search(key):
        message = f"The input {text} does not exist."
        raise InputsInvalid(message, hint="Check the bucket's name, and what is in it.")
    parts = key.split("/")
    first = next(index for index, part in enumerate(parts) if _GLOB.search(part))
    fixed = "".join(f"{part}/" for part in parts[:first])
    yield _folder(S3Place(place.bucket, fixed)), "/".join(parts[first:])


def shown(path: str, pattern: str | None) -> str:
    """How a person named what `expand` gave."""
    if not path.endswith("/"):
        bucket, key = uri_object(path)
        return display_path(f"s3://{bucket}/{key}")
    return display_path(path + (pattern or "") if pattern else path.rstrip("/"))


def find(path: str, label: str, skipped: Counter[str]) -> Iterator[NewItem]:
    """The item of a single object."""
    bucket, key = uri_object(path)
    found = _client(bucket).find(key)
    if found is None:
        raise InputsInvalid(f"The input {shown(path, None)} does not exist.")
    if _sayable(label, key):
        yield _item(bucket, found, label)
    else:
        skipped["keys that no path can hold"] += 1


def walk(
    path: str, label: str, choice: Choice, skipped: Counter[str], *, out: str
) -> Iterator[NewItem]:
    """The items of a folder. What lies below `out` is none; memory stays flat.

    An object that has others below its own name, as no file can, is one; the others are none.
    """
    place = parse_s3(path)
    own = _below(place, out)
    above: list[str] = []
    for found in _client(place.bucket).list(place.prefix):
        below = found.key[len(place.prefix) :]
        if not below or below.endswith("/") or (own and found.key.startswith(own)):
            continue  # What stands for a folder, or was written by runs.
        if below.split("/", 1)[0] == ".grange":
            continue
        reason = choice.refuses(below) if _sayable(below, found.key) else _UNSAYABLE
        above = [key for key in above if found.key.startswith(key)]
        if not reason and any(found.key.startswith(f"{key}/") for key in above):
            reason = "below the name of another object"
        if reason:
            skipped[reason] += 1
            continue
        above.append(found.key)
        yield _item(place.bucket, found, f"{label}{below}")


_UNSAYABLE = "keys that no path can hold"


def _item(bucket: str, found: S3Object, path: str) -> NewItem:
    uri = object_uri(bucket, found.key)
    return NewItem(display_path(path), uri, found.size, found.stamp_ns)


def _sayable(path: str, key: str) -> bool:
    """Whether a file can have this path, and a client can ask for this key."""
    try:
        check_path(path)
    except StorePathRefused:
        return False
    return is_plain(key)


def _below(place: S3Place, out: str) -> str:
    """Where outputs go, if that is below the folder that is looked at."""
    if not out.startswith("s3://"):
        return ""
    results = parse_s3(out)
    inside = results.bucket == place.bucket and results.prefix.startswith(place.prefix)
    return results.prefix if inside and results.prefix != place.prefix else ""


def _folder(place: S3Place) -> str:
    return f"{place.url}/"


@lru_cache(maxsize=16)
def _client(bucket: str) -> S3Client:
    return S3Client(bucket, patience_seconds=PATIENCE_SECONDS)
