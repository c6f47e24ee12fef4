"""How a station gets its papers: by a pasted line once, and later by what it has kept."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import string
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from grange.client.schemas.workers import Facts, Joined
from grange.client.workers import join, parse_line
from grange.errors import CredentialsInvalid, GrangeError, RequestInvalid, SettingInvalid
from grange.worker.station.home import Home
from grange.worker.station.link import Link
from grange.worker.station.papers import Papers, forget_papers, read_papers, write_papers

_ATTEMPT_NAME = "joining.json"
_SECRET_LENGTH = 43
_LETTERS = string.ascii_letters + string.digits


def papers_of(home: Home, line: str, facts: Facts) -> Papers:
    """The station's papers, as fresh as can be.

    Papers that are here go before a line: so the line may stay in a script that
    starts the station again and again. A line of another server goes before papers.

    Raises:
        RequestInvalid: There are no papers, and no line either.
        CredentialsInvalid: The line is used up, or the worker was removed.
        ServerError: There are no papers, and the server can't be reached.
    """
    known = read_papers(home.folder)
    if known is not None and (not line or parse_line(line).server == known.server):
        try:
            return _renewed(home, known)
        except CredentialsInvalid:
            if not line:
                forget_papers(home.folder)
                raise CredentialsInvalid(
                    f"The worker {known.name} of this machine was removed from {known.server}.",
                    hint="Join again with a new line: grange workers token, on the server.",
                ) from None
    if not line:
        raise RequestInvalid(
            "This machine has joined no server.",
            hint="Paste the line of grange workers token: grange worker 'https://…#…'",
        )
    return _joined(home, line, facts)


def _renewed(home: Home, known: Papers) -> Papers:
    link = Link(known)
    try:
        joined = link.renew()
    except CredentialsInvalid:
        raise
    except GrangeError:
        # The server is away, or its broker is: what is known may do all the same.
        return known
    finally:
        link.close()
    papers = replace(known, **_told(joined))  # type: ignore[arg-type]
    if papers != known:
        write_papers(home.folder, papers)
    return papers


def _joined(home: Home, line: str, facts: Facts) -> Papers:
    told = parse_line(line)
    membership = join(line, facts, secret=_secret(home.folder, told.token))
    papers = Papers(
        server=membership.server,
        pin=membership.pin,
        worker=membership.joined.worker,
        key=membership.key,
        **_told(membership.joined),  # type: ignore[arg-type]
    )
    write_papers(home.folder, papers)
    with suppress(OSError):
        (home.folder / _ATTEMPT_NAME).unlink()
    return papers


def _told(joined: Joined) -> dict[str, object]:
    return {
        "name": joined.name,
        "engine": joined.engine,
        "site": joined.site,
        "labels": tuple(joined.labels),
        "probes": tuple((probe.path, probe.content) for probe in joined.probes),
        "lease_seconds": joined.lease_seconds,
        "beat_seconds": joined.beat_seconds,
    }


def _secret(folder: Path, token: str) -> str:
    """The secret for joining by this token: the same again, if the answer got lost."""
    path = folder / _ATTEMPT_NAME
    mark = hashlib.sha256(token.encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(path.read_bytes())
        if said["token"] == mark:
            return str(said["secret"])
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
            json.dump({"token": mark, "secret": secret}, file)
    except OSError as error:
        message = f"The folder {folder} can't be written: {error.strerror}."
        raise SettingInvalid(message, hint="Choose another home: GRANGE_HOME") from error
    return secret
