"""The one table of settings: what can be set, where it may be said, and what wins.

A flag of the command line wins over the environment (`GRANGE_<NAME>`), the
environment over the settings file, the file over the default. The file is
TOML, one `name = value` per setting: `$GRANGE_CONFIG`, or else
`$XDG_CONFIG_HOME/grange/grange.toml` (`~/.config/grange/grange.toml`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from grange.errors import SettingInvalid

PREFIX = "GRANGE_"
FILE_VARIABLE = "GRANGE_CONFIG"

# Upper-case variables of ours that are no settings: the mark that a worker puts on what it starts.
OTHER_VARIABLES = frozenset({FILE_VARIABLE, "GRANGE_WORKER"})

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_UNIT_BYTES = {
    unit: factor**power
    for factor, ending in ((1000, "B"), (1024, "iB"))
    for power, unit in enumerate(("B", f"K{ending}", f"M{ending}", f"G{ending}", f"T{ending}"))
}
_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
_DAY_SECONDS = 86_400.0


class Kind(NamedTuple):
    """A type of value: its name, what is allowed, and how it is read from text or TOML."""

    name: str
    allowed: str
    parse: Callable[[object], object]  # raises ValueError for what is not allowed


class Setting(NamedTuple):
    """A row of the table. `fallback` is the default, or None where the environment decides."""

    name: str
    kind: Kind
    fallback: object
    default: str  # in words
    help: str

    @property
    def type(self) -> str:
        """The name of the type."""
        return self.kind.name

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or set(str(value)) & {"\0", "?"}:
        raise ValueError
    return Path(value).expanduser()


def _database(value: object) -> str:
    if not isinstance(value, str) or re.split(r"[+:]", value, maxsplit=1)[0] not in _DATABASES:
        raise ValueError
    if "://" not in value:
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _YES | _NO:
        raise ValueError
    return value.lower() in _YES


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError  # noqa: TRY004  # the caller knows one way to say that a value is not allowed
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _count(low: int, high: int) -> Kind:
    def parse(value: object) -> int:
        number = _number(value)
        if number != int(number) or not low <= number <= high:
            raise ValueError
        return int(number)

    return Kind("whole number", f"a whole number from {low} to {high}", parse)


def _seconds(low: float, high: float) -> Kind:
    def parse(value: object) -> float:
        number = _number(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind("seconds", f"a number of seconds from {low:g} to {high:.0f}", parse)


def _size(low: int) -> Kind:
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


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "home",
        Kind("path", "the path of a folder, without '?'", _path),
        None,
        "$XDG_DATA_HOME/grange, else ~/.local/share/grange",
        "The folder in which Grange keeps its own state on this machine.",
    ),
    Setting(
        "database",
        Kind("URL", "a URL that begins with sqlite, postgresql, mysql or mariadb", _database),
        None,
        "sqlite:///<home>/grange.db",
        "Where the ledger is kept. PostgreSQL and MySQL need an extra each.",
    ),
    Setting(
        "workers",
        _count(1, 1024),
        None,
        "the number of cores that this process may use",
        "How many worker processes work on a run.",
    ),
    Setting(
        "retries",
        _count(0, 100),
        2,
        "2",
        "How often a failed item is tried again before it counts as failed.",
    ),
    Setting(
        "retry_delay_seconds",
        _seconds(0, _DAY_SECONDS),
        1.0,
        "1",
        "How long the first retry waits; each further one waits twice as long.",
    ),
    Setting(
        "timeout_seconds",
        _seconds(0.001, 365 * _DAY_SECONDS),
        None,
        "none",
        "How long one attempt at an item may take before it is killed.",
    ),
    Setting(
        "lease_seconds",
        _seconds(1, _DAY_SECONDS),
        60.0,
        "60",
        "How long a worker may stay silent before others take over its work.",
    ),
    Setting(
        "recycle_bytes",
        _size(16 << 20),
        1 << 30,
        "1GiB",
        "How much a worker's memory may grow before a fresh one takes its place.",
    ),
    Setting(
        "debug",
        Kind("yes or no", "true or false", _flag),
        fallback=False,
        default="false",
        help="Whether an error shows where in the code it happened.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force: an attribute for each row of `SETTINGS`."""

    home: Path
    database: str
    workers: int
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    lease_seconds: float
    recycle_bytes: int
    debug: bool
    file: Path | None = None  # the settings file that was read
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, name: str) -> str:
        """Where the value comes from: `default`, `file`, `environment` or `flag`."""
        return self.sources.get(name, "default")

    def shown(self, name: str) -> str:
        """The value as text for people, without a password."""
        return _shown(getattr(self, name))


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """The settings in force, from all places where they may be said.

    Args:
        flags: Values by the names of settings; None stands for a flag not given.
        environment: What stands for the process's environment in tests.
        file: A settings file in place of the usual one.

    Raises:
        SettingInvalid: A value is refused, or a name is unknown.
    """
    environment = os.environ if environment is None else environment
    path = _settings_file(environment, file)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    said = (
        ("file", path.parent if path else Path(), _from_file(path) if path else ()),
        ("environment", Path.cwd(), _from_environment(environment)),
        ("flag", Path.cwd(), _from_flags(flags or {})),
    )
    for source, folder, entries in said:
        for setting, value, place in entries:
            parsed = _parsed(setting, value, place)
            values[setting.name] = folder / parsed if isinstance(parsed, Path) else parsed
            sources[setting.name] = source
    return Settings(**_completed(values, environment), file=path, sources=sources)


def settings_file(environment: Mapping[str, str]) -> Path:
    """The settings file that is read when it is there."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named).expanduser().absolute()
    folder = _xdg_folder(environment, "XDG_CONFIG_HOME", ".config")
    return folder / "grange" / "grange.toml"


def usable_cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _completed(values: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The values with the defaults of what was not set."""
    for setting in SETTINGS:
        values.setdefault(setting.name, setting.fallback)
    if values["home"] is None:
        values["home"] = _xdg_folder(environment, "XDG_DATA_HOME", ".local/share") / "grange"
    if values["database"] is None:
        values["database"] = f"sqlite:///{values['home'] / 'grange.db'}"
    if values["workers"] is None:
        values["workers"] = usable_cores()
    return values


def _settings_file(environment: Mapping[str, str], file: Path | None) -> Path | None:
    """The file to read; one that was asked for must be there, the usual one need not be."""
    path = (file or settings_file(environment)).absolute()
    asked_for = file is not None or environment.get(FILE_VARIABLE)
    return path if asked_for or path.exists() else None


def _xdg_folder(environment: Mapping[str, str], variable: str, default: str) -> Path:
    # The XDG specification says that a relative path is to be ignored.
    folder = Path(environment.get(variable) or "")
    if folder.is_absolute():
        return folder
    return Path(environment.get("HOME") or Path.home()) / default


def _from_file(path: Path) -> Iterator[tuple[Setting, object, str]]:
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingInvalid(
            f"The settings file {path} can't be read: {reason}.",
            hint=f"Mend it, or name another file in {FILE_VARIABLE}.",
        ) from error
    for name, value in content.items():
        yield _known(name, f"the settings file {path}"), value, f"the setting {name} in {path}"


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[Setting, object, str]]:
    by_variable = {setting.env: setting for setting in SETTINGS}
    for variable, value in environment.items():
        if setting := by_variable.get(variable):
            if value:
                yield setting, value, f"the environment variable {variable}"
        elif _looks_like_ours(variable) and (meant := _nearest(variable, by_variable)):
            raise SettingInvalid(
                f"The environment variable {variable} is no setting.",
                hint=f"Did you mean {meant}? If not, unset it.",
            )


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[Setting, object, str]]:
    for name, value in flags.items():
        if value is not None:
            flag = "--" + name.removesuffix("_seconds").replace("_", "-")
            yield _known(name, "the command line"), value, flag


def _looks_like_ours(variable: str) -> bool:
    """Lower-case names are what commands are told of their item, so they are no slips."""
    named = variable.startswith(PREFIX) and variable.isupper()
    return named and variable not in OTHER_VARIABLES


def _known(name: str, place: str) -> Setting:
    by_name = {setting.name: setting for setting in SETTINGS}
    if name in by_name:
        return by_name[name]
    meant = _nearest(name, by_name)
    raise SettingInvalid(
        f"There is no setting {name!r}, which {place} sets.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(by_name)}.",
    )


def _nearest(name: str, known: Mapping[str, Setting]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.8)), None)


def _parsed(setting: Setting, value: object, place: str) -> object:
    if setting.default == "none" and value == "none":
        return None
    try:
        return setting.kind.parse(value)
    except (ValueError, OverflowError, RuntimeError) as error:
        raise SettingInvalid(
            f"{place[0].upper()}{place[1:]} can't be {_shown(value)!r}.",
            hint=f"Allowed is {setting.kind.allowed}.",
        ) from error


def _shown(value: object) -> str:
    if value is None:
        return "none"
    # Rather too much is hidden than a part of a password shown.
    return re.sub(r"^((?:[\w+]*://)?[^:/?]*:).*@", r"\1***@", str(value))
