"""The command `grange serve`: the API and the pages, with workers inside."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal
from grange.cli.options import Engine, Json, Workers, examples, settings_with

if TYPE_CHECKING:
    from grange.bootstrap.serving import Server

EXAMPLES = examples(
    "grange serve",
    "grange serve --host 0.0.0.0 --tls cert.pem,key.pem",
    "grange serve --database postgresql://grange@db/grange --sessions redis://cache:6379/0",
    "grange serve --public-url https://grange.example.org    # behind a proxy that speaks HTTPS",
)


def _option(name: str, metavar: str, told: str) -> object:
    return typer.Option(f"--{name}", metavar=metavar, show_default=False, help=told)


Host = Annotated[str | None, _option("host", "ADDRESS", "The address to listen on (127.0.0.1).")]
Port = Annotated[int | None, _option("port", "N", "The port (4050); 0 takes a free one.")]
Tls = Annotated[str | None, _option("tls", "CERT,KEY", "Speak HTTPS with these two files.")]
PublicUrl = Annotated[
    str | None, _option("public-url", "URL", "How people reach it, if it is behind a proxy.")
]
PlainHttp = Annotated[
    bool | None,
    typer.Option(
        "--plain-http", show_default=False, help="Let other machines speak to it unencrypted."
    ),
]
Database = Annotated[str | None, _option("database", "URL", "Where accounts and runs are kept.")]
Sessions = Annotated[
    str | None,
    _option("sessions", "URL", "Where logins are cached: memory, redis://…, memcached://…"),
]
Shares = Annotated[
    str | None, _option("shares", "DIR[:DIR]", "Folders that people may use as inputs.")
]
Commands = Annotated[
    str | None, _option("commands", "WHO", "Who may run commands: admin, or each member.")
]
Quota = Annotated[str | None, _option("quota-bytes", "SIZE", "How much a user may keep (100GiB).")]


def serve(
    *,
    host: Host = None,
    port: Port = None,
    tls: Tls = None,
    public_url: PublicUrl = None,
    plain_http: PlainHttp = None,
    database: Database = None,
    sessions: Sessions = None,
    shares: Shares = None,
    commands: Commands = None,
    quota_bytes: Quota = None,
    engine: Engine = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Serve the API and the pages to a group, and work on its runs.

    It prints its address and, until there is an administrator, the one-time
    link with which the first one is made. SIGTERM or Ctrl-C end it.
    """
    from grange.bootstrap.serving import open_server

    settings = settings_with(
        host=host,
        port=port,
        tls=tls,
        public_url=public_url,
        plain_http=plain_http,
        database=database,
        sessions=sessions,
        shares=shares,
        commands=commands,
        quota_bytes=quota_bytes,
        engine=engine,
        workers=workers,
    )
    _log_to_stderr(debug=settings.debug)
    with open_server(settings) as server:
        server.serve(lambda: _announce(server, as_json=as_json))


def _announce(server: Server, *, as_json: bool) -> None:
    link = server.setup_link()
    if as_json:
        here = server.listener.url
        terminal.put_json({"url": server.url, "listening": here, "setup": link})
    else:
        terminal.put(f"Grange serves at {server.url}")
        if link:
            terminal.put(
                f"Make the first administrator with this link, which works once:\n  {link}"
            )
    sys.stdout.flush()


def _log_to_stderr(*, debug: bool) -> None:
    from grange.server.serving.lines import Lines

    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(handlers=[Lines(sys.stderr)], level=level)
    # What these say of each start and of each request says nothing new.
    for name in ("uvicorn", "alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
