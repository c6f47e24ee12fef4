"""What `grange login` keeps: which server, and the token for it, for its owner's eyes alone.

The file is `$XDG_CONFIG_HOME/grange/credentials.toml`
(`~/.config/grange/credentials.toml`). `GRANGE_TOKEN` stands in for its token.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grange.errors import SettingInvalid
from grange.settings import kinds
from grange.settings.places import xdg_folder

TOKEN_VARIABLE = "GRANGE_TOKEN"  # noqa: S105  # a name
_MOST_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who one is at which server. The token shows in no text that is made of this."""

    server: str
    token: str
    ca: Path | None = None
    email: str = ""

    def __repr__(self) -> str:
        return f"Credentials(server={self.server!r}, email={self.email!r})"


def credentials_file(environment: Mapping[str, str] | None = None) -> Path:
    """Where they are kept."""
    environment = os.environ if environment is None else environment
    return xdg_folder(environment, "XDG_CONFIG_HOME", ".config") / "grange" / "credentials.toml"


def read_credentials(environment: Mapping[str, str] | None = None) -> Credentials | None:
    """Those of the last login; None when there is none.

    Raises:
        SettingInvalid: The file can't be read or makes no sense.
    """
    path = credentials_file(environment)
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    import tomllib

    try:
        said = tomllib.loads(text)
        ca = said.get("ca")
        return Credentials(
            server=kinds.url("http", "https")(said["server"]),
            token=str(said["token"]),
            ca=Path(ca) if ca else None,
            email=str(said.get("email", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(path, error) from error


def write_credentials(credentials: Credentials) -> Path:
    """Keep them, in the place of earlier ones; no one else can read the file at any moment."""
    path = credentials_file()
    said = {
        "server": credentials.server,
        "email": credentials.email,
        "token": credentials.token,
        "ca": str(credentials.ca) if credentials.ca else "",
    }
    # A JSON text is a TOML text too, as long as it is ASCII.
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in said.items() if value]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made with the mode 0600.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise _unusable(path, error) from error
    return path


def forget_credentials() -> None:
    """Delete the file. That there is none is fine."""
    path = credentials_file()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> SettingInvalid:
    # What is in the file is not said: a token may be there.
    words = error.strerror if isinstance(error, OSError) else "it makes no sense"
    return SettingInvalid(
        f"The login kept in {path} can't be used: {words}.",
        hint="Delete the file and log in again: grange login URL",
    )
