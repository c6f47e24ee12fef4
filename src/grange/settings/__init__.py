"""The one table of settings: what can be set, where it may be said, and what wins.

A flag of the command line wins over the environment (`GRANGE_<NAME>`), the
environment over the settings file, the file over the default (which for
`server` is what `grange login` has kept, if it has). The file is
TOML, one `name = value` per setting: `$GRANGE_CONFIG`, or else
`$XDG_CONFIG_HOME/grange/grange.toml` (`~/.config/grange/grange.toml`).
"""

from grange.settings.credentials import (
    TOKEN_VARIABLE,
    Credentials,
    credentials_file,
    forget_credentials,
    read_credentials,
    write_credentials,
)
from grange.settings.loading import (
    FILE_VARIABLE,
    OTHER_VARIABLES,
    Settings,
    load,
    settings_file,
    usable_cores,
)
from grange.settings.table import PREFIX, SETTINGS, Setting

__all__ = [
    "FILE_VARIABLE",
    "OTHER_VARIABLES",
    "PREFIX",
    "SETTINGS",
    "TOKEN_VARIABLE",
    "Credentials",
    "Setting",
    "Settings",
    "credentials_file",
    "forget_credentials",
    "load",
    "read_credentials",
    "settings_file",
    "usable_cores",
    "write_credentials",
]
