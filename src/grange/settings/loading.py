"""Settings in force, from all the places where they may be said."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grange.errors import SettingInvalid
from grange.settings.credentials import TOKEN_VARIABLE, read_credentials
from grange.settings.places import xdg_folder
from grange.settings.table import PREFIX, SETTINGS, Setting

FILE_VARIABLE = "GRANGE_CONFIG"

# Upper-case variables of ours that are no settings: a token is a secret, and shown nowhere;
# the others are the marks that workers put on what they start.
_MARKERS = frozenset({"GRANGE_CLUSTER", "GRANGE_STATION", "GRANGE_WORKER"})
OTHER_VARIABLES = frozenset({FILE_VARIABLE, TOKEN_VARIABLE}) | _MARKERS

# Runs worked on at once: each has all workers of this machine, or its share of many machines.
_RUNS_HERE = 2
_RUNS_ELSEWHERE = 8


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The settings in force: an attribute for each row of `SETTINGS`. Its text has no password."""

    home: Path
    database: str
    workers: int
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    lease_seconds: float
    recycle_bytes: int
    kept_bytes: int
    server: str | None
    host: str
    port: int
    tls: str | None
    public_url: str | None
    plain_http: bool
    sessions: str
    shares: str | None
    buckets: str | None
    out_buckets: str | None
    store: str | None
    commands: str
    quota_bytes: int
    engine: str
    workers_engine: str | None
    engine_management: str | None
    cache_bytes: int
    runs_at_once: int
    streams: int
    metrics: str
    node_port: int
    debug: bool
    file: Path | None = None  # the settings file that was read
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, name: str) -> str:
        """Where the value comes from: `default`, `login`, `file`, `environment` or `flag`."""
        return self.sources.get(name, "default")

    def shown(self, name: str) -> str:
        """The value as text for people, without a password."""
        return _shown(getattr(self, name))

    def __repr__(self) -> str:
        """Say each setting as it may be shown."""
        return f"Settings({', '.join(f'{one.name}={self.shown(one.name)}' for one in SETTINGS)})"


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
    if "server" not in values and (credentials := read_credentials(environment)):
        values["server"], sources["server"] = credentials.server, "login"
    return Settings(**_completed(values, environment), file=path, sources=sources)


def settings_file(environment: Mapping[str, str]) -> Path:
    """The settings file that is read when it is there."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named).expanduser().absolute()
    folder = xdg_folder(environment, "XDG_CONFIG_HOME", ".config")
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
        values["home"] = xdg_folder(environment, "XDG_DATA_HOME", ".local/share") / "grange"
    if values["database"] is None:
        values["database"] = f"sqlite:///{values['home'] / 'grange.db'}"
    if values["workers"] is None:
        values["workers"] = usable_cores()
    if values["runs_at_once"] is None:
        values["runs_at_once"] = _RUNS_HERE if values["engine"] == "local" else _RUNS_ELSEWHERE
    return values


def _settings_file(environment: Mapping[str, str], file: Path | None) -> Path | None:
    """The file to read; one that was asked for must be there, the usual one need not be."""
    path = (file or settings_file(environment)).absolute()
    asked_for = file is not None or environment.get(FILE_VARIABLE)
    try:
        return path if asked_for or path.exists() else None
    except OSError as error:
        raise SettingInvalid(
            f"Nobody can say whether there is a settings file {path}: {error.strerror}.",
            hint="Is HOME that of another account? Set HOME or XDG_CONFIG_HOME, or name a file in "
            f"{FILE_VARIABLE}.",
        ) from error


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
