"""What a station keeps of the server that it has joined, for its own eyes alone."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from grange.errors import SettingInvalid

PAPERS_NAME = "papers.json"
_MOST_BYTES = 1 << 20
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Papers:
    """Who this station is, where, and what proves it. No text that is made of it has a secret.

    `pin` is the digest of the server's certificate where no authority vouches
    for it, `engine` the broker's URL with the station's own password.
    """

    server: str
    pin: str
    worker: str
    name: str
    key: str
    engine: str
    site: str
    probes: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    lease_seconds: float = 60.0
    beat_seconds: float = 10.0

    def with_engine(self, engine: str, site: str) -> Papers:
        """The same with another way to the broker."""
        return replace(self, engine=engine, site=site)

    def __repr__(self) -> str:
        return f"Papers(server={self.server!r}, worker={self.worker!r}, name={self.name!r})"


def read_papers(home: Path) -> Papers | None:
    """Those that the folder holds; None when the station has joined no server.

    Raises:
        SettingInvalid: They can't be read or make no sense.
    """
    path = home / PAPERS_NAME
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
        if said.pop("format") != _FORMAT:
            raise _unusable(path, "another version of Grange has written it")
        said["probes"] = tuple((str(place), str(words)) for place, words in said["probes"])
        said["labels"] = tuple(map(str, said["labels"]))
        return Papers(**said)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        # What is in the file is not said: a key may be there.
        raise _unusable(path, "it makes no sense") from None


def write_papers(home: Path, papers: Papers) -> None:
    """Keep them in the place of earlier ones; no one else can read the file at any moment.

    Raises:
        SettingInvalid: They can't be written.
    """
    path = home / PAPERS_NAME
    try:
        # Made with the mode 0600.
        descriptor, temporary = tempfile.mkstemp(dir=home, prefix=".papers-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"format": _FORMAT, **asdict(papers)}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error


def forget_papers(home: Path) -> None:
    """Delete them. That there are none is fine."""
    with suppress(OSError):
        (home / PAPERS_NAME).unlink()


def _unusable(path: Path, words: str) -> SettingInvalid:
    return SettingInvalid(
        f"What this worker keeps of its server in {path} can't be used: {words}.",
        hint="Delete the file and join again: grange workers token, on the server.",
    )
