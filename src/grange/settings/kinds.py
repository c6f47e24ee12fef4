"""The types that a setting may have, each with how it is read from text or TOML."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_UNIT_BYTES = {
    unit: factor**power
    for factor, ending in ((1000, "B"), (1024, "iB"))
    for power, unit in enumerate(("B", f"K{ending}", f"M{ending}", f"G{ending}", f"T{ending}"))
}
_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
_ENGINES = ("local", "ray")
DAY_SECONDS = 86_400.0


class Kind(NamedTuple):
    """A type of value: its name, what is allowed, and how it is read from text or TOML."""

    name: str
    allowed: str
    parse: Callable[[object], object]  # raises ValueError for what is not allowed


def path(value: object) -> Path:
    """A folder or a file; `~` is the user's home."""
    if not isinstance(value, str | Path) or not str(value) or set(str(value)) & {"\0", "?"}:
        raise ValueError
    return Path(value).expanduser()


def database(value: object) -> str:
    """The URL of a database that Grange knows."""
    if not isinstance(value, str) or re.split(r"[+:]", value, maxsplit=1)[0] not in _DATABASES:
        raise ValueError
    if "://" not in value:
        raise ValueError
    return value


def flag(value: object) -> bool:
    """Yes or no, in the usual words."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _YES | _NO:
        raise ValueError
    return value.lower() in _YES


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return Kind("choice", f"one of {', '.join(allowed)}", parse)


def url(*schemes: str) -> Callable[[object], str]:
    """A URL of one of these schemes."""

    def parse(value: object) -> str:
        text = str(value)
        scheme, found, rest = text.partition("://")
        if scheme not in schemes or not found or not rest or re.search(r"[\s\x00-\x1f]", text):
            raise ValueError
        return text.rstrip("/")

    return parse


def sessions(value: object) -> str:
    """Where logins are cached."""
    return "memory" if value == "memory" else url("redis", "rediss", "memcached")(value)


def engine(value: object) -> str:
    """An engine by its name or by the URL of what it works with."""
    return str(value) if value in _ENGINES else url("amqp", "amqps", "ray")(value)


def host(value: object) -> str:
    """An address or a name to listen on."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:-]+", value):
        raise ValueError
    return value


def tls(value: object) -> str:
    """A certificate and its key, with a comma between them."""
    parts = str(value).split(",")
    if len(parts) != 2 or not all(parts):  # noqa: PLR2004  # a certificate and its key
        raise ValueError
    return ",".join(str(Path(part).expanduser().absolute()) for part in parts)


def folders(value: object) -> str:
    """Absolute paths, with colons between them."""
    parts = [Path(part).expanduser() for part in str(value).split(":") if part]
    if not parts or not all(part.is_absolute() for part in parts):
        raise ValueError
    return ":".join(map(str, parts))


def bucket(value: object) -> str:
    """A bucket, or a folder in one; nothing that looks like a password is in it."""
    text = str(value).rstrip("/")
    if not re.fullmatch(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,62}(/[^\x00-\x1f,]+)?", text):
        raise ValueError
    return text


def buckets(value: object) -> str:
    """Buckets, or folders in them, with commas between."""
    parts = [part.strip() for part in str(value).split(",") if part.strip()]
    if not parts:
        raise ValueError
    return ",".join(map(bucket, parts))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError  # noqa: TRY004  # the caller knows one way to say that a value is not allowed
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def count(low: int, high: int) -> Kind:
    """A whole number within bounds."""

    def parse(value: object) -> int:
        number = _number(value)
        if number != int(number) or not low <= number <= high:
            raise ValueError
        return int(number)

    return Kind("whole number", f"a whole number from {low} to {high}", parse)


def seconds(low: float, high: float) -> Kind:
    """A duration within bounds."""

    def parse(value: object) -> float:
        number = _number(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind("seconds", f"a number of seconds from {low:g} to {high:.0f}", parse)


def size(low: int) -> Kind:
    """A number of bytes, with or without a unit."""

    def parse(value: object) -> int:
        found = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", str(value))
        if isinstance(value, bool) or found is None:
            raise ValueError
        units = {unit.lower(): factor for unit, factor in _UNIT_BYTES.items()} | {"": 1}
        if (unit := found[2].lower()) not in units:
            raise ValueError
        size = int(float(found[1]) * units[unit])
        if size < low:
            raise ValueError
        return size

    return Kind("size", f"a size such as 500MB or 1GiB, at least {low >> 20}MiB", parse)
