"""The workers of a server: who may join, and how they get to its engine."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from grange.bootstrap.engines import is_brokered
from grange.errors import SettingInvalid

if TYPE_CHECKING:
    from grange.accounts.service import Accounts
    from grange.db import Database
    from grange.pool.models import EngineAccess
    from grange.pool.service import Workers
    from grange.settings import Settings

# Where workers reach the server of a home, with the mark of its certificate.
ADDRESS_NAME = "serve.address"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def make_workers(
    settings: Settings, database: Database, accounts: Accounts, *, url: Callable[[], str]
) -> Workers:
    """The workers of the site of these settings; `url` is where they reach the server."""
    from grange.pool.models import site_word
    from grange.pool.probes import place
    from grange.pool.service import Workers

    return Workers(
        database,
        accounts,
        _access(settings, site_word(accounts.site()), url()),
        address=lambda: f"{url()}#{fingerprint(settings)}",
        probes=lambda: place(shared_folders(settings)),
    )


def shared_folders(settings: Settings) -> list[Path]:
    """The folders with inputs and outputs that workers may share with the server."""
    shares = [Path(share) for share in (settings.shares or "").split(":") if share]
    return [*(settings.home / name for name in ("outputs", "folders")), *shares]


def fingerprint(settings: Settings) -> str:
    """The SHA-256 of the server's own certificate; empty where it has none.

    Raises:
        SettingInvalid: The certificate can't be read.
    """
    if settings.tls is None:
        return ""
    file = settings.tls.partition(",")[0]
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        _, _, rest = Path(file).read_text(encoding="ascii").partition(begin)
        certificate = ssl.PEM_cert_to_DER_cert(f"{begin}{rest.partition(end)[0]}{end}")
    except (OSError, ValueError) as error:
        raise SettingInvalid(
            f"The certificate in {file} can't be read: {error}.", hint="It has to be a PEM file."
        ) from error
    return hashlib.sha256(certificate).hexdigest()


def examine_access(settings: Settings) -> None:
    """See that machines which join can be given access to the broker of these settings.

    Raises:
        BrokerUnreachable: Its management API does not answer.
        BrokerRefused: The server's own user may not make users there.
    """
    _access(settings, "doctor", "").examine()


def _access(settings: Settings, site: str, url: str) -> EngineAccess:
    """How workers get to the engine, as the settings say."""
    from grange.pool.access import NoEngine, SharedAddress

    if not is_brokered(settings):
        return NoEngine(settings.engine.partition("://")[0])
    address = settings.workers_engine or ""
    if "@" in urlsplit(address).netloc:
        return SharedAddress(address)
    from grange.engines.rabbit.management import WorkerUsers

    return WorkerUsers(
        settings.engine,
        site=site,
        address=address or _from_outside(settings.engine, url),
        management=settings.engine_management or "",
    )


def _from_outside(engine: str, url: str) -> str:
    """The broker's address for other machines: one on the server's own is where the server is."""
    parts = urlsplit(engine)
    server = urlsplit(url).hostname or ""
    if parts.hostname not in _LOOPBACK or server in {*_LOOPBACK, ""}:
        return engine
    host = f"[{server}]" if ":" in server else server
    where = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, where, parts.path, "", ""))


def keep_address(settings: Settings, url: str) -> None:
    """Note in the home where workers reach its server, for commands on the same machine."""
    file = settings.home / ADDRESS_NAME
    with suppress(OSError):  # The commands then go by the settings.
        file.write_text(f"{url}#{fingerprint(settings)}\n", encoding="utf-8")


def operators_workers(settings: Settings, database: Database, accounts: Accounts) -> Workers:
    """The workers of this machine's own home, for who operates it beside a server that may run."""
    from grange.bootstrap.operating import base_url
    from grange.pool.access import Elsewhere
    from grange.pool.models import site_word
    from grange.pool.service import Workers

    try:
        address = (settings.home / ADDRESS_NAME).read_text(encoding="utf-8").strip()
    except OSError:
        address = f"{base_url(settings)}#{fingerprint(settings)}"
    # The server may have been told on its command line what its engine is.
    known = settings.engine != "local"
    site = site_word(accounts.site())
    access = _access(settings, site, address.partition("#")[0]) if known else Elsewhere()
    return Workers(database, accounts, access, address=lambda: address)
