"""What a command has asked of a server, kept beside the results: the same command goes on with it.

It is written before the server is asked for anything, and its token makes the
keys of what is made there. So a command that is cut off at any point finds what
it has made already, when it is given again.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from grange.errors import SettingInvalid
from grange.runs.models import RunRequest
from grange.storage.s3urls import is_s3

# Beside the results, in the folder that stores leave alone.
FOLDER = ".grange"
FILE = "remote.json"
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request made of a server; `run` is its id once that is known."""

    server: str
    request: str  # a digest of what was asked for
    token: str
    run: str = ""

    def key(self, what: str) -> str:
        """The idempotency key of one thing that is made for this order."""
        return f"{self.token}-{what}"


def fingerprint(request: RunRequest, roots: list[str]) -> str:
    """A digest of all that is asked for; how many workers there are is no part of it."""
    asked: dict[str, object] = {
        **asdict(request),
        "inputs": roots,
        "workers": None,
        "cwd": None,
        "out": None,
    }
    # What a command had no word for before must not make an order of then another one.
    if not request.needs:
        del asked["needs"]
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def folder_of(out: str, server: str, kept: Path) -> Path:
    """The folder that an order is kept in: that of its results, or one below `kept`.

    Of results that go to a bucket nothing is written there by this machine.
    """
    if not is_s3(out):
        return Path(out)
    return kept / sha256(f"{server}\0{out}".encode()).hexdigest()[:32]


def read_order(out: Path) -> Order | None:
    """The order whose results are wanted in `out`, and have not all come yet."""
    try:
        with (out / FOLDER / FILE).open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
        return Order(**{name: str(said[name]) for name in ("server", "request", "token", "run")})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        # Half written or of another version: what it ordered may be made anew.
        return None


def new_order(server: str, request: str) -> Order:
    """An order that nobody has made before."""
    return Order(server=server, request=request, token=secrets.token_hex(16))


def with_run(order: Order, run: str) -> Order:
    """The order, now that its run is known."""
    return replace(order, run=run)


def write_order(out: Path, order: Order) -> None:
    """Keep the order, durably."""
    folder = out / FOLDER
    temporary = folder / f"{FILE}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(order), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / FILE)
    except OSError as error:
        message = f"The folder {out} can't be written to: {error.strerror}."
        raise SettingInvalid(message, hint="Name another --out.") from error


def drop_order(out: Path) -> None:
    """Forget the order: all that it asked for is there."""
    with suppress(OSError):
        (out / FOLDER / FILE).unlink(missing_ok=True)
        (out / FOLDER).rmdir()
