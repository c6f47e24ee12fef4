"""The one table of settings, and the places where they may be said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from grange.errors import SettingInvalid
from grange.settings import SETTINGS, Settings, load, usable_cores

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations" / "settings.md"

# For each setting a value as text, and what it becomes.
GOOD = {
    "home": ("/srv/grange", Path("/srv/grange")),
    "database": ("postgresql://me@host/grange", "postgresql://me@host/grange"),
    "workers": ("3", 3),
    "retries": ("0", 0),
    "retry_delay_seconds": ("0.5", 0.5),
    "timeout_seconds": ("90", 90.0),
    "lease_seconds": ("30", 30.0),
    "recycle_bytes": ("500MB", 500_000_000),
    "kept_bytes": ("0", 0),
    "engine": ("amqps://me:word@broker/site", "amqps://me:word@broker/site"),
    "workers_engine": ("amqp://broker", "amqp://broker"),
    "cache_bytes": ("1GiB", 1 << 30),
    "buckets": ("s3://videos/, s3://more/in", "s3://videos,s3://more/in"),
    "store": ("s3://results/of/runs/", "s3://results/of/runs"),
    "metrics": ("local", "local"),
    "node_port": ("9101", 9101),
    "debug": ("yes", True),
}
BAD = {
    "home": "a?b",
    "database": "oracle://host/grange",
    "workers": "0",
    "retries": "1.5",
    "retry_delay_seconds": "-1",
    "timeout_seconds": "0",
    "lease_seconds": "nan",
    "recycle_bytes": "1 parsec",
    "kept_bytes": "all",
    "engine": "carrier pigeons",
    "workers_engine": "ray://broker",
    "cache_bytes": "much",
    "buckets": "videos",
    "store": "/srv/results",
    "debug": "perhaps",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which nothing of Grange is set."""
    return {"HOME": str(tmp_path)}


def _write(environment: dict[str, str], text: str) -> Path:
    file = Path(environment["HOME"]) / ".config" / "grange" / "grange.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_every_setting_is_an_attribute_and_a_row() -> None:
    """The table and the class name the same settings, in the same order."""
    attributes = [field.name for field in dataclasses.fields(Settings)]

    assert [setting.name for setting in SETTINGS] == attributes[: len(SETTINGS)]
    assert ["file", "sources"] == attributes[len(SETTINGS) :]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_help_and_stands_in_the_docs(setting: object) -> None:
    """Nobody has to read code to know what can be set."""
    assert isinstance(setting, type(SETTINGS[0]))
    assert setting.help.endswith(".")
    assert setting.default
    assert setting.type
    assert f"GRANGE_{setting.name.upper()}" == setting.env
    assert f"`{setting.name}`" in OPERATIONS.read_text()


def test_without_a_word_the_defaults_hold(environment: dict[str, str]) -> None:
    """Grange works on a machine on which nobody has set anything."""
    settings = load(environment=environment)

    home = Path(environment["HOME"]) / ".local/share/grange"
    assert home == settings.home
    assert f"sqlite:///{home}/grange.db" == settings.database
    assert usable_cores() == settings.workers
    assert settings.timeout_seconds is None
    assert settings.file is None
    assert {"default"} == {settings.source(setting.name) for setting in SETTINGS}


def test_the_xdg_folder_decides_where_the_state_lies(environment: dict[str, str]) -> None:
    """Who keeps data elsewhere has said so to all programs at once."""
    settings = load(environment=environment | {"XDG_DATA_HOME": "/data"})

    assert Path("/data/grange") == settings.home


@pytest.mark.parametrize(("name", "value"), list(GOOD.items()), ids=list(GOOD))
def test_each_setting_is_read_from_the_environment(
    environment: dict[str, str], name: str, value: tuple[str, object]
) -> None:
    """Text becomes the setting's type."""
    settings = load(environment=environment | {f"GRANGE_{name.upper()}": value[0]})

    assert value[1] == getattr(settings, name)
    assert "environment" == settings.source(name)


@pytest.mark.parametrize(("name", "value"), list(BAD.items()), ids=list(BAD))
def test_a_refused_value_is_named_with_its_place_and_what_is_allowed(
    environment: dict[str, str], name: str, value: str
) -> None:
    """The message is enough to mend it."""
    with pytest.raises(SettingInvalid) as caught:
        load(environment=environment | {f"GRANGE_{name.upper()}": value})

    allowed = next(setting for setting in SETTINGS if setting.name == name).kind.allowed
    assert f"GRANGE_{name.upper()}" in caught.value.message
    assert value in caught.value.message
    assert allowed in caught.value.hint


def test_the_engine_is_shown_without_its_password(environment: dict[str, str]) -> None:
    """Neither where settings are shown nor in the error about one that is no engine."""
    settings = load({"engine": "amqp://me:hunter2@broker:5672/site"}, environment=environment)
    with pytest.raises(SettingInvalid) as caught:
        load({"engine": "amqpx://me:hunter2@broker/site"}, environment=environment)

    assert "amqp://me:***@broker:5672/site" == settings.shown("engine")
    assert "hunter2" not in str(caught.value) + caught.value.hint + repr(settings)


def test_more_runs_are_worked_on_at_once_on_more_machines(environment: dict[str, str]) -> None:
    """Two on this machine, as ever; eight on others; what somebody has said in any case."""
    with_broker = {"engine": "amqp://broker"}

    assert 2 == load(environment=environment).runs_at_once
    assert 8 == load(with_broker, environment=environment).runs_at_once
    assert 3 == load({**with_broker, "runs_at_once": 3}, environment=environment).runs_at_once


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    environment: dict[str, str],
) -> None:
    """The order is always the same."""
    file = _write(environment, "workers = 2\nretries = 3\nlease_seconds = 20\n")
    environment |= {"GRANGE_WORKERS": "4", "GRANGE_RETRIES": "5"}

    settings = load({"workers": 6, "timeout_seconds": None}, environment=environment)

    assert (6, 5, 20.0) == (settings.workers, settings.retries, settings.lease_seconds)
    assert "flag" == settings.source("workers")
    assert "environment" == settings.source("retries")
    assert "file" == settings.source("lease_seconds")
    assert "default" == settings.source("timeout_seconds")
    assert file == settings.file


def test_the_file_takes_toml_values_and_text(environment: dict[str, str]) -> None:
    """A number may be written as TOML has it or as it is written elsewhere."""
    _write(environment, 'workers = "2"\nrecycle_bytes = "2GiB"\ndebug = true\n')

    settings = load(environment=environment)

    assert (2, 2 << 30, True) == (settings.workers, settings.recycle_bytes, settings.debug)


def test_a_relative_folder_is_meant_from_where_it_is_written(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the file from the file's folder, in the environment from the working folder."""
    file = _write(environment, 'home = "state"\n')
    monkeypatch.chdir(tmp_path)

    assert file.parent / "state" == load(environment=environment).home
    assert tmp_path / "here" == load(environment=environment | {"GRANGE_HOME": "here"}).home


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("worker = 2", "'worker'"),
        ("colour = 'blue'", "'colour'"),
        ("workers = true", "workers in"),
        ("workers = [1]", "workers in"),
        ("[workers]\ncount = 2", "workers in"),
        ("workers = ", "can't be read"),
    ],
)
def test_a_slip_in_the_file_is_an_error_that_names_the_file(
    environment: dict[str, str], text: str, words: str
) -> None:
    """No setting is left out silently."""
    file = _write(environment, text)

    with pytest.raises(SettingInvalid) as caught:
        load(environment=environment)

    assert words in caught.value.message
    assert str(file) in caught.value.message


def test_an_unknown_name_in_the_file_suggests_the_known_one(environment: dict[str, str]) -> None:
    """A slip of the finger is told what was meant."""
    _write(environment, "retry = 2\ntimeout_second = 3")

    with pytest.raises(SettingInvalid):
        load(environment=environment)

    file = Path(environment["HOME"]) / "own.toml"
    file.write_text("timeout_second = 3")
    with pytest.raises(SettingInvalid) as caught:
        load(environment=environment, file=file)

    assert "timeout_seconds" in caught.value.hint


def test_a_home_that_cannot_be_looked_into_is_told_with_its_remedy(
    environment: dict[str, str],
) -> None:
    """So it is when a program is started for another account, and HOME stays as it was."""
    # A name that is too long can't be looked up either, not even by root.
    environment["HOME"] += "/" + 300 * "x"

    with pytest.raises(SettingInvalid, match="settings file") as refused:
        load(environment=environment)

    assert "HOME" in (refused.value.hint or "")


def test_a_file_that_was_asked_for_must_be_there(environment: dict[str, str]) -> None:
    """A wrong path in GRANGE_CONFIG does not quietly mean the defaults."""
    with pytest.raises(SettingInvalid, match=r"/nowhere\.toml can't be read"):
        load(environment=environment | {"GRANGE_CONFIG": "/nowhere.toml"})


def test_a_near_miss_in_the_environment_is_an_error(environment: dict[str, str]) -> None:
    """A slip in a variable's name has no silent default as its result."""
    with pytest.raises(SettingInvalid) as caught:
        load(environment=environment | {"GRANGE_RETRYS": "2"})

    assert "GRANGE_RETRIES" in caught.value.hint


@pytest.mark.parametrize("name", ["GRANGE_WORKER", "GRANGE_input", "GRANGE_home", "GRANGER_HOME"])
def test_what_commands_are_told_of_their_item_is_no_slip(
    environment: dict[str, str], name: str
) -> None:
    """A command that Grange runs may run Grange itself."""
    assert load(environment=environment | {name: "x"}) == load(environment=environment)


def test_an_empty_variable_is_not_set(environment: dict[str, str]) -> None:
    """Shell scripts unset a variable by making it empty."""
    assert 2 == load(environment=environment | {"GRANGE_RETRIES": ""}).retries


def test_none_takes_a_limit_back(environment: dict[str, str]) -> None:
    """What the file limits, a flag can set free."""
    _write(environment, "timeout_seconds = 5")

    assert load({"timeout_seconds": "none"}, environment=environment).timeout_seconds is None


@pytest.mark.parametrize(
    "url", ["postgresql://me:se:c@ret@host/db", "oracle://me:se:c@ret@host/db", "me:se:c@ret@host"]
)
def test_a_password_is_never_shown(environment: dict[str, str], url: str) -> None:
    """Neither where settings are listed nor where one is refused."""
    try:
        shown = load({"database": url}, environment=environment).shown("database")
    except SettingInvalid as error:
        shown = str(error)

    assert "ret" not in shown
    assert "***@" in shown
