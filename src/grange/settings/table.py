"""The one table of settings."""

from __future__ import annotations

from typing import NamedTuple

from grange.settings import kinds
from grange.settings.kinds import Kind

PREFIX = "GRANGE_"


class Setting(NamedTuple):
    """A row of the table. `fallback` is the default, or None where the environment decides."""

    name: str
    kind: Kind
    fallback: object
    default: str  # in words
    help: str

    @property
    def type(self) -> str:
        """The name of the type."""
        return self.kind.name

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "home",
        Kind("path", "the path of a folder, without '?'", kinds.path),
        None,
        "$XDG_DATA_HOME/grange, else ~/.local/share/grange",
        "The folder in which Grange keeps its own state on this machine.",
    ),
    Setting(
        "database",
        Kind("URL", "a URL that begins with sqlite, postgresql, mysql or mariadb", kinds.database),
        None,
        "sqlite:///<home>/grange.db",
        "Where the ledger is kept. PostgreSQL and MySQL need an extra each.",
    ),
    Setting(
        "workers",
        kinds.count(1, 1024),
        None,
        "the number of cores that this process may use",
        "How many worker processes work on a run.",
    ),
    Setting(
        "retries",
        kinds.count(0, 100),
        2,
        "2",
        "How often a failed item is tried again before it counts as failed.",
    ),
    Setting(
        "retry_delay_seconds",
        kinds.seconds(0, kinds.DAY_SECONDS),
        1.0,
        "1",
        "How long the first retry waits; each further one waits twice as long.",
    ),
    Setting(
        "timeout_seconds",
        kinds.seconds(0.001, 365 * kinds.DAY_SECONDS),
        None,
        "none",
        "How long one attempt at an item may take before it is killed.",
    ),
    Setting(
        "lease_seconds",
        kinds.seconds(1, kinds.DAY_SECONDS),
        60.0,
        "60",
        "How long a worker may stay silent before others take over its work.",
    ),
    Setting(
        "recycle_bytes",
        kinds.size(16 << 20),
        1 << 30,
        "1GiB",
        "How much a worker's memory may grow before a fresh one takes its place.",
    ),
    Setting(
        "kept_bytes",
        kinds.size(0),
        2 << 30,
        "2GiB",
        "How much of what pipelines find is kept in the home for runs that differ a little.",
    ),
    Setting(
        "server",
        Kind("URL", "a URL that begins with http or https", kinds.url("http", "https")),
        None,
        "none",
        "The server that commands talk to; `grange login` sets it. Without one they work here.",
    ),
    Setting(
        "host",
        Kind("address", "an address or the name of a machine", kinds.host),
        "127.0.0.1",
        "127.0.0.1",
        "The address that `grange serve` listens on.",
    ),
    Setting(
        "port", kinds.count(0, 65_535), 4050, "4050", "The port that `grange serve` listens on."
    ),
    Setting(
        "tls",
        Kind("files", "the files of a certificate and of its key: cert.pem,key.pem", kinds.tls),
        None,
        "none",
        "The certificate with which `grange serve` speaks HTTPS.",
    ),
    Setting(
        "public_url",
        Kind("URL", "a URL that begins with http or https", kinds.url("http", "https")),
        None,
        "none",
        "How people reach the server, where that differs from host and port: behind a proxy.",
    ),
    Setting(
        "plain_http",
        Kind("yes or no", "true or false", kinds.flag),
        fallback=False,
        default="false",
        help="Whether other machines may speak to the server unencrypted.",
    ),
    Setting(
        "sessions",
        Kind("URL", "memory, or a URL that begins with redis, rediss or memcached", kinds.sessions),
        "memory",
        "memory",
        "Where logins are cached; the database stays their truth. Redis and memcached are extras.",
    ),
    Setting(
        "shares",
        Kind("folders", "absolute paths, with colons between them", kinds.folders),
        None,
        "none",
        "Folders that the server sees itself and people may use as inputs, with colons between.",
    ),
    Setting(
        "buckets",
        Kind("buckets", "URLs such as s3://bucket/folder, with commas between", kinds.buckets),
        None,
        "none",
        "Buckets, or folders in them, that people may use as inputs on the server, with commas.",
    ),
    Setting(
        "out_buckets",
        Kind("buckets", "URLs such as s3://bucket/folder, with commas between", kinds.buckets),
        None,
        "none",
        "Buckets, or folders in them, where people may have results of the server's runs put.",
    ),
    Setting(
        "store",
        Kind("bucket", "a URL such as s3://bucket/folder", kinds.bucket),
        None,
        "<home>/outputs",
        "The bucket, or folder in one, in which the server keeps the results of runs.",
    ),
    Setting(
        "commands",
        kinds.choice("admin", "member"),
        "admin",
        "admin",
        "Who may run commands and pipelines of their own on the server: admin, or each member.",
    ),
    Setting(
        "quota_bytes",
        kinds.size(1 << 20),
        100 << 30,
        "100GiB",
        "How much a user may keep on the server, unless the user has a quota of their own.",
    ),
    Setting(
        "engine",
        Kind("engine", "local, ray, or a URL that begins with amqp, amqps or ray", kinds.engine),
        "local",
        "local",
        "How work reaches workers: those of this machine, those behind a broker, or a Ray cluster.",
    ),
    Setting(
        "workers_engine",
        Kind("URL", "a URL that begins with amqp or amqps", kinds.url("amqp", "amqps")),
        None,
        "none",
        "How workers reach the broker, where the server can't make a user for each of them there.",
    ),
    Setting(
        "engine_management",
        Kind("URL", "a URL that begins with http or https", kinds.url("http", "https")),
        None,
        "http://<the broker's host>:15672, with amqps https and 15671",
        "The broker's management API, with which the server makes a user for each worker.",
    ),
    Setting(
        "cache_bytes",
        kinds.size(0),
        20 << 30,
        "20GiB",
        "How much of inputs a worker keeps that shares no disk with them.",
    ),
    Setting(
        "runs_at_once",
        kinds.count(1, 64),
        None,
        "2; with another engine than local 8",
        "How many runs the server works on at the same time, each with all workers.",
    ),
    Setting(
        "streams",
        kinds.count(1, 100_000),
        1000,
        "1000",
        "How many open pages and clients may follow the server's events at once.",
    ),
    Setting(
        "metrics",
        kinds.choice("token", "local"),
        "token",
        "token",
        "Who may read /metrics: who sends a token for it, or this machine too without one: local.",
    ),
    Setting(
        "node_port",
        kinds.count(0, 65_535),
        9100,
        "9100",
        "The port of node exporters on this machine and on workers, of which Prometheus is told.",
    ),
    Setting(
        "debug",
        Kind("yes or no", "true or false", kinds.flag),
        fallback=False,
        default="false",
        help="Whether an error shows where in the code it happened.",
    ),
)
