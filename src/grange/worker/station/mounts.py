"""Which folders of the server this machine sees too: proved by files that the server has put there.

That a folder of the same name is here proves nothing: what is mounted may be
something else, or nothing at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grange.errors import GrangeError, UsageError
from grange.storage import file_uri, uri_path

_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of looking for one of the server's files.

    `there` is the folder's name on the server, `here` its name on this machine;
    `trouble` is what people should know, if it is not the same folder.
    """

    there: str
    here: str
    seen: bool
    trouble: str = ""


class Mounts:
    """The folders that are shared, as the last look has found. Looking blocks; asking doesn't."""

    def __init__(
        self, probes: Sequence[tuple[str, str]], elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """Take the server's probe files, path and content, and what has another name here."""
        self._probes = tuple(probes)
        self._elsewhere = dict(elsewhere or {})
        self._shared: tuple[tuple[str, str], ...] = ()
        # What URIs of shared folders begin with that have the same name here.
        self._same: tuple[str, ...] = ()

    @property
    def shared(self) -> tuple[str, ...]:
        """The folders that are, by the server's names."""
        return tuple(there for there, _ in self._shared)

    def prove(self) -> list[Proof]:
        """Look for all probe files again."""
        proofs = [self._proof(path, words) for path, words in self._probes]
        self._shared = tuple((one.there, one.here) for one in proofs if one.seen)
        self._same = tuple(
            os.path.join(file_uri(Path(there)), "") for there, here in self._shared if there == here
        )
        return proofs

    def here(self, uri: str) -> Path | None:
        """Where this machine sees what a `file://` URI of the server names; None if it doesn't."""
        try:
            path = os.fspath(uri_path(uri))
        except GrangeError:
            return None
        return self.here_path(path)

    def here_path(self, path: str) -> Path | None:
        """The same for a path of the server."""
        # Nothing may lead out of a shared folder: what is beside it here is something else.
        plain = os.path.normpath(path)
        for there, here in self._shared:
            if plain == there or plain.startswith(os.path.join(there, "")):
                return Path(here + plain[len(there.rstrip("/")) :])
        return None

    def uri_here(self, uri: str, *, write: bool = False) -> str | None:
        """The URI under which this machine sees it; None where it doesn't, or can't write there."""
        if not write and uri.startswith(self._same) and "/." not in uri and "%2" not in uri:
            # The usual case, of which there are very many: nothing in it can lead elsewhere.
            return uri
        path = self.here(uri)
        if path is None or (write and not _writable(path)):
            return None
        return file_uri(path)

    def writable_path(self, path: str) -> Path | None:
        """Where this machine sees a path of the server, if it can write there."""
        here = self.here_path(path)
        return here if here is not None and _writable(here) else None

    def _proof(self, path: str, words: str) -> Proof:
        there = os.path.dirname(os.path.normpath(path))
        here = self._name_here(there)
        probe = os.path.join(here, os.path.basename(path))
        try:
            with open(probe, "rb") as file:
                found = file.read(_MOST_BYTES).decode(errors="replace").strip()
        except OSError as error:
            if not os.path.isdir(here):
                return Proof(there, here, seen=False)
            trouble = f"{here} is not the server's {there}: its probe file is not in it"
            if not isinstance(error, FileNotFoundError):
                trouble = f"{here} can't be read: {error.strerror}"
            return Proof(there, here, seen=False, trouble=trouble)
        if found != words.strip():
            trouble = f"{here} is another folder than the server's {there}: look at what is mounted"
            return Proof(there, here, seen=False, trouble=trouble)
        return Proof(there, here, seen=True)

    def _name_here(self, there: str) -> str:
        for server, machine in self._elsewhere.items():
            if there == server or there.startswith(os.path.join(server, "")):
                return machine.rstrip("/") + there[len(server.rstrip("/")) :]
        return there


def parse_mounts(given: Sequence[str]) -> dict[str, str]:
    """What `--mount THERE=HERE` says: names on the server, and those on this machine.

    Raises:
        UsageError: That is no pair of absolute paths.
    """
    found = {}
    for text in given:
        there, equals, here = text.partition("=")
        if not equals or not os.path.isabs(there) or not os.path.isabs(here):
            message = f"{text!r} names no folder of the server and one of this machine."
            raise UsageError(message, hint="Two absolute paths: --mount /srv/data=/mnt/data")
        found[os.path.normpath(there)] = os.path.normpath(here)
    return found


def _writable(path: Path) -> bool:
    """Whether this user may make something below the path, or where it will be."""
    try:
        while not path.exists():
            if path.parent == path:
                return False
            path = path.parent
    except OSError:
        return False  # Nobody may look into it, or what is mounted there has gone.
    return os.access(path, os.W_OK | os.X_OK)
