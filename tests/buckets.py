"""A real S3 server for tests: Ceph's gateway over a cluster of one, all of it in memory.

It listens on free ports of 127.0.0.1, keeps its few files in a folder of its own under
/tmp, and dies with the process that started it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import services

PACKAGES = "ceph-mon, ceph-osd and radosgw"
_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
# Who may do what, as Ceph's tools write it.
_ALL = {"mon": "allow *", "osd": "allow *"}


@dataclass
class S3Server:
    """One S3 server, and the only user that it knows."""

    port: int
    folder: Path
    access_key: str = field(default_factory=lambda: secrets.token_hex(10).upper())
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20))
    gateway: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment with which programs use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, inputs: Mapping[str, bytes] | None = None) -> Bucket:
        """Make a bucket of a name that no other has, with these files below `in`."""
        bucket = Bucket(self, f"bucket-{secrets.token_hex(6)}")
        self.ask("PUT", f"/{bucket.name}")
        for name, content in (inputs or {}).items():
            bucket.put(f"in/{name}", content)
        return bucket

    def ask(self, method: str, path: str, body: bytes = b"", *, query: str = "") -> bytes:
        """Send one signed request, and return the answer's body."""
        url = f"{self.url}{path}?{query}" if query else self.url + path
        signed = urllib.request.Request(url, data=body, method=method)  # noqa: S310
        for name, value in self._signature(method, path, query, body).items():
            signed.add_header(name, value)
        with urllib.request.urlopen(signed, timeout=services.START_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content

    def _signature(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        """Sign as AWS's version 4 has it."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        content = hashlib.sha256(body).hexdigest()
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "x-amz-content-sha256": content,
            "x-amz-date": now,
        }
        names = ";".join(headers)
        lines = [method, path, query, *(f"{name}:{headers[name]}" for name in headers)]
        asked = hashlib.sha256("\n".join([*lines, "", names, content]).encode()).hexdigest()
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        key = f"AWS4{self.secret_key}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        said = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{asked}"
        signature = hmac.digest(key, said.encode(), "sha256").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}"
        mark = f"{credential}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "authorization": mark, "content-type": "application/octet-stream"}

    def start_gateway(self) -> None:
        """Start what speaks S3, or start it again over the same objects."""
        command = ["radosgw", "-f", "-n", "client.rgw", "-c", str(self.folder / "ceph.conf")]
        self.gateway = services.spawn(command, "ceph", self.folder)
        deadline = time.monotonic() + services.START_SECONDS
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=5).close()  # noqa: S310
            except urllib.error.HTTPError:
                return  # An answer, though it says that nobody is logged in.
            except OSError as error:
                if self.gateway.poll() is not None or time.monotonic() > deadline:
                    message = f"the S3 server did not start: {_end_of(self.folder / 'log')}"
                    raise RuntimeError(message) from error
                time.sleep(0.1)
            else:
                return

    def stop_gateway(self) -> None:
        """Let nobody be at the endpoint any more; the objects stay."""
        if self.gateway is not None:
            services.kill_group(self.gateway)
            self.gateway = None


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of a test's own."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        """Return how it is named."""
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes) -> None:
        """Keep an object under exactly this key, whatever clients would make of it."""
        self.server.ask("PUT", f"/{self.name}/{_quoted(key)}", content)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.server.ask("DELETE", f"/{self.name}/{_quoted(key)}")


@contextlib.contextmanager
def s3() -> Iterator[S3Server]:
    """Run an S3 server of our own for as long as the block lasts."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    for name in _PROGRAMS:
        services.find_program(name, search, package=PACKAGES)
    with services.server_folder("ceph") as folder, contextlib.ExitStack() as daemons:
        server = S3Server(services.free_port(), folder)
        _write_configuration(server)
        cluster = _Cluster(folder)
        for command in (["ceph-mon", "-i", "a"], ["ceph-osd", "-i", "0"]):
            cluster.prepare(command[0])
            daemon = services.spawn([*command, "-f", *cluster.options], "ceph", folder)
            daemons.callback(services.kill_group, daemon)
        cluster.tell(
            "radosgw-admin",
            *("user", "create", "--uid=tests", "--display-name=tests"),
            *(f"--access-key={server.access_key}", f"--secret-key={server.secret_key}"),
        )
        server.start_gateway()
        daemons.callback(server.stop_gateway)
        yield server


class _Cluster:
    """What the gateway stands on: a monitor, and one disk in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = ["-c", str(folder / "ceph.conf")]

    def prepare(self, program: str) -> None:
        """Make what the program needs to find when it starts for the first time."""
        if program == "ceph-mon":
            mapped = ["--create", "--clobber", "--fsid", _read_id(self.folder)]
            mapped += ["--addv", "a", _read_line(self.folder, "mon_host ="), "monmap"]
            self.tell("monmaptool", *mapped, configured=False)
            self.tell("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        elif program == "ceph-osd":
            name = str(uuid.uuid4())
            self.tell("ceph", "osd", "new", name)
            self.tell("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", name)

    def tell(self, *words: str, configured: bool = True) -> None:
        """Run one of Ceph's programs to its end."""
        command = [*words, *(self.options if configured else ())]
        process = services.spawn(command, "ceph", self.folder)
        if process.wait(services.START_SECONDS) != 0:
            message = f"{' '.join(words)} failed: {_end_of(self.folder / 'log')}"
            raise RuntimeError(message)


def _write_configuration(server: S3Server) -> None:
    folder = server.folder
    first, second = services.free_port(), services.free_port()
    (folder / "ceph.conf").write_text(f"""\
[global]
fsid = {uuid.uuid4()}
mon_host = [v2:127.0.0.1:{first},v1:127.0.0.1:{second}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {folder}/keyring
run_dir = {folder}
admin_socket =
pid_file =
log_file = {folder}/ceph.log
mon_cluster_log_file = {folder}/cluster.log
crash_dir = {folder}
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data = {folder}/mon
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
mon_data_avail_crit = 1
mon_data_avail_warn = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.02
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{server.port}
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_thread_pool_size = 32
rgw_data = {folder}/rgw
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_run_sync_thread = false
""")
    who = {
        "mon.": {"mon": "allow *"},
        "client.admin": _ALL,
        "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
        "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
    }
    lines = []
    for name, rights in who.items():
        lines += [f"[{name}]", f"key = {_new_key()}"]
        lines += [f'caps {what} = "{which}"' for what, which in rights.items()]
    (folder / "keyring").write_text("\n".join(lines) + "\n")
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    for path in folder.iterdir():
        if os.geteuid() == 0:
            shutil.chown(path, "ceph", "ceph")


def _quoted(key: str) -> str:
    return urllib.parse.quote(key, safe="/~")


def _new_key() -> str:
    """Make a key as Ceph writes them: type, time, length, and random bytes."""
    secret = os.urandom(16)
    return base64.b64encode(struct.pack("<HIIH", 1, 0, 0, len(secret)) + secret).decode()


def _read_id(folder: Path) -> str:
    return _read_line(folder, "fsid =")


def _read_line(folder: Path, begins: str) -> str:
    lines = (folder / "ceph.conf").read_text().splitlines()
    return next(line for line in lines if line.startswith(begins)).removeprefix(begins).strip()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
