"""Bytes over HTTP for workers that share no disk with the server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tarfile import PAX_FORMAT, TarInfo
from tarfile import open as open_tar

import httpx
import pytest

from grange import errors
from grange.accounts.secret import digest, new_secret
from grange.client.connection import Connection
from grange.client.schemas.work import TAR_TYPE, repr_digest
from grange.client.work import Claim, Work
from grange.core.tasks import Output
from grange.db import open_database
from grange.pool import rows
from grange.pool.models import Facts, WorkerToken
from grange.storage import seal
from tests.server import scene, works
from tests.server.scene import Serving
from tests.server.works import Works

# Until the file `go` is there, the local worker holds its attempt.
WAITING = "while [ ! -e {go} ]; do sleep 0.05; done; cp {{input}} {{output}}/copy"


@dataclass
class Crew:
    """A server with a run in hand, and a worker that speaks to it."""

    server: Serving
    works: Works
    admin: httpx.Client
    go: Path
    key: str
    work: Work  # what the worker itself asks by

    @property
    def client(self) -> httpx.Client:
        """A bare client with the worker's key; to be closed."""
        return scene.client(self.server.url, headers={"Authorization": f"Bearer {self.key}"})

    def claim(self, name: str, content: bytes) -> Claim:
        """Give an attempt at this input that is under way, and goes on until the test ends."""
        folder = self.works.share / name
        folder.mkdir()
        (folder / "input.bin").write_bytes(content)
        run = works.submit(
            self.admin, self.works.request(folder, WAITING.format(go=self.go), priority=5)
        )["id"]
        query = (
            "select tasks.id, tasks.epoch from tasks join runs on runs.number = tasks.run "
            f"where runs.id = '{run}' and tasks.state = 'running' and tasks.kind = 'process'"
        )
        task, epoch = works.until(lambda: works.ledger(self.server.home, query))[0]
        claim = Claim(run, task, epoch)
        # The local worker, which has the very same attempt, begins with an empty folder.
        works.until(_staged(self, claim).exists)
        return claim

    def end(self, claim: Claim) -> None:
        """Call the attempt's run off, and wait until its end."""
        self.admin.post(f"/runs/{claim.run}/cancel")
        works.ended(self.admin, claim.run)


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Share a server, with one worker that has joined, among the tests of this module."""
    folder = tmp_path_factory.mktemp("crew")
    with works.serving(folder, GRANGE_RUNS_AT_ONCE="16") as (server, share):
        admin = scene.set_up(server)
        key = join(server)
        with closing(admin), Connection(server.url, token=key) as connection:
            yield Crew(server, share, admin, folder / "go", key, Work(connection))


def join(server: Serving) -> str:
    """Put a worker into the pool as joining does, and give its key."""
    secret = new_secret()
    token = WorkerToken(id="t", labels=(), uses=1, used=0, created_at=0.0, expires_at=0.0)
    database = open_database(server.home / "grange.db")
    with database.write() as connection:
        facts = Facts(name="rack")
        worker = rows.add(connection, facts, token, key=digest(secret), address="", now=time.time())
    database.close()
    return f"grangeworker_{worker.id}_{secret}"


def test_an_input_comes_whole(crew: Crew, tmp_path: Path) -> None:
    """With its digest, and from the middle on when a part of it is there already."""
    content = os.urandom(3_000_000)
    claim = crew.claim("whole", content)
    target = tmp_path / "input"
    found = crew.work.fetch_input(claim, target, size=len(content), sha256=None)
    assert (content, sha256(content).hexdigest()) == (target.read_bytes(), found)

    target.write_bytes(content[:1_000_000])
    again = crew.work.fetch_input(claim, target, size=len(content), sha256=found)
    assert (content, found) == (target.read_bytes(), again)
    target.write_bytes(b"nothing of it")
    crew.work.fetch_input(claim, target, size=len(content), sha256=found)
    assert content == target.read_bytes()
    crew.end(claim)


def test_ranges_and_conditions_are_those_of_downloads(crew: Crew) -> None:
    """A range, a range of another file, a range of nothing."""
    claim = crew.claim("ranges", b"0123456789")
    with crew.client as client:
        path = f"/{claim.path}/input"
        whole = client.get(path)
        part = client.get(path, headers={"Range": "bytes=2-4", "If-Range": whole.headers["etag"]})
        other = client.get(path, headers={"Range": "bytes=2-4", "If-Range": '"other"'})
        none = client.get(path, headers={"Range": "bytes=10-"})
        head = client.head(path)

    assert (200, b"0123456789") == (whole.status_code, whole.content)
    assert (206, b"234") == (part.status_code, part.content)
    assert (200, b"0123456789") == (other.status_code, other.content)
    assert 416 == none.status_code
    assert ("10", b"") == (head.headers["content-length"], head.content)
    crew.end(claim)


def test_an_input_that_has_changed_is_refused(crew: Crew, tmp_path: Path) -> None:
    """What was submitted is worked on, or nothing."""
    claim = crew.claim("changed", b"what it was")
    (crew.works.share / "changed" / "input.bin").write_bytes(b"what it is")
    with pytest.raises(errors.InputChanged):
        crew.work.fetch_input(claim, tmp_path / "input", size=11, sha256=None)
    (crew.works.share / "changed" / "input.bin").unlink()
    with pytest.raises(errors.InputMissing):
        crew.work.fetch_input(claim, tmp_path / "input", size=11, sha256=None)
    crew.end(claim)


@pytest.mark.parametrize(
    "files",
    [
        {"one": b"1"},
        {f"d{number % 7}/{number}": b"%d" % number for number in range(300)},
        {"big": os.urandom(40 << 20), "middling": os.urandom(2 << 20), "a/b/ c\n": b"", "é": b"e"},
    ],
    ids=["one", "many", "large"],
)
def test_outputs_arrive_whole(
    crew: Crew, tmp_path: Path, files: dict[str, bytes], request: pytest.FixtureRequest
) -> None:
    """Few or many, small or large: they are staged as they were made, and told as they are."""
    claim = crew.claim(f"outputs{request.node.callspec.id}", b"in")
    outputs = _make(tmp_path / "made", files)
    told = crew.work.send_outputs(claim, tmp_path / "made", outputs)

    staged = _staged(crew, claim)
    assert files == {
        str(path.relative_to(staged)): path.read_bytes()
        for path in staged.rglob("*")
        if path.is_file()
    }
    assert [(one.path, one.size, one.sha256) for one in outputs] == [
        (one.path, one.size, one.sha256) for one in sorted(told, key=lambda one: one.path)
    ]
    assert {one.path: one.mtime_ns for one in told} == {
        name: (staged / name).stat().st_mtime_ns for name in files
    }
    # Once more, as a worker does that got no answer: nothing is sent again, nothing changes.
    assert told == crew.work.send_outputs(claim, tmp_path / "made", outputs)
    crew.end(claim)


def test_a_late_worker_changes_nothing(crew: Crew, tmp_path: Path) -> None:
    """Once its attempt is over it gets nothing and leaves nothing, whatever it asks."""
    claim = crew.claim("late", b"late")
    outputs = _make(tmp_path / "made", {"one": b"1", "big": os.urandom(2 << 20)})
    crew.end(claim)
    work = crew.work
    for late in (
        lambda: work.fetch_input(claim, tmp_path / "input", size=4, sha256=None),
        lambda: work.send_outputs(claim, tmp_path / "made", outputs),
        lambda: work.send_outputs(claim, tmp_path / "made", outputs[:1]),
        lambda: work.list_parts(claim),
        lambda: work.fetch_part(claim, "x-1-1", "a", tmp_path / "part", size=1),
        lambda: work.send_log(claim, "out", tmp_path / "made" / "one"),
    ):
        with pytest.raises(errors.ClaimEnded):
            late()

    assert not _staged(crew, claim).exists()
    with crew.client as client:
        assert 409 == client.get(f"/{claim.path}/input").status_code


def test_an_attempt_that_ends_while_it_sends_leaves_nothing(crew: Crew) -> None:
    """The check comes after the last byte, not only before the first."""
    claim = crew.claim("zombie", b"zombie")
    sending, ended = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"a" * 1000
        sending.set()
        ended.wait(20)
        yield b"b" * 1000

    answers = []

    def send() -> None:
        with crew.client as client:
            answers.append(client.put(f"/{claim.path}/outputs/late", content=slowly()))

    thread = threading.Thread(target=send)
    thread.start()
    sending.wait(20)
    crew.end(claim)
    ended.set()
    thread.join()

    assert [409] == [one.status_code for one in answers]
    assert not _staged(crew, claim).exists()


def test_another_workers_attempt_is_nobodys_business(crew: Crew, tmp_path: Path) -> None:
    """Whoever knows its numbers gets nothing of it and leaves nothing; its own worker goes on."""
    claim = crew.claim("another", b"mine")
    target = tmp_path / "input"
    crew.work.fetch_input(claim, target, size=4, sha256=None)
    outputs = _make(tmp_path / "made", {"one": b"1", "big": os.urandom(2 << 20)})
    with closing(Connection(crew.server.url, token=join(crew.server))) as connection:
        work = Work(connection)
        for asked in (
            lambda: work.fetch_input(claim, tmp_path / "stolen", size=4, sha256=None),
            lambda: work.send_outputs(claim, tmp_path / "made", outputs),
            lambda: work.send_outputs(claim, tmp_path / "made", outputs[:1]),
            lambda: work.list_parts(claim),
            lambda: work.fetch_part(claim, "x-1-1", "a", tmp_path / "part", size=1),
            lambda: work.send_log(claim, "out", tmp_path / "made" / "one"),
        ):
            with pytest.raises(errors.ClaimEnded, match="another worker's"):
                asked()

    assert [] == list(_staged(crew, claim).iterdir())
    assert 2 == len(crew.work.send_outputs(claim, tmp_path / "made", outputs))
    crew.end(claim)


def test_workers_alone_are_served(crew: Crew) -> None:
    """No administrator and no token, no key of a worker that was removed or never was."""
    claim = crew.claim("alone", b"alone")
    path = f"/{claim.path}/input"
    with scene.with_token(crew.admin, crew.server.url, "read", "run", "admin") as program:
        assert 403 == program.get(path).status_code
    assert 403 == crew.admin.get(path).status_code
    assert 401 == httpx.get(crew.server.url + scene.API + path).status_code
    wrong = {"Authorization": f"Bearer {crew.key[:-1]}"}
    assert 401 == httpx.get(crew.server.url + scene.API + path, headers=wrong).status_code
    crew.end(claim)


def test_no_output_leads_out(crew: Crew) -> None:
    """Paths are checked before anything is written."""
    claim = crew.claim("leads", b"in")
    with crew.client as client:
        for name in ("..%2Fa", "%2Fetc%2Fpasswd", "a//b", "%2e%2e/%2e%2e/x"):
            answer = client.put(f"/{claim.path}/outputs/{name}", content=b"x")
            assert answer.status_code in {404, 405, 422}, name

    assert [] == list(_staged(crew, claim).iterdir())
    crew.end(claim)


def test_an_archive_holds_plain_files_alone(crew: Crew) -> None:
    """Links and paths that lead out are refused, and so is what is no archive."""
    claim = crew.claim("archive", b"in")
    link, out, device = TarInfo("link"), TarInfo("../out"), TarInfo("device")
    link.type, link.linkname = b"2", "/etc/passwd"
    device.type = b"3"
    with crew.client as client:
        for content in (_tar(link), _tar(out), _tar(device), b"no archive at all"):
            answer = client.put(
                f"/{claim.path}/outputs", content=content, headers={"Content-Type": TAR_TYPE}
            )
            assert 422 == answer.status_code, answer.text
    crew.end(claim)


def test_requests_that_make_no_sense_are_refused(crew: Crew) -> None:
    """Each with one clear error, and none with a fault of the server."""
    claim = crew.claim("sense", b"in")
    path = f"/{claim.path}/outputs"
    headers = {"Content-Range": "bytes 5-2/9"}
    with crew.client as client:
        answers = [
            client.put(f"{path}/a", content=b"x", headers=headers),
            client.put(f"{path}/a", content=b"x", headers={"Content-Range": "bytes 5-6/9"}),
            client.put(f"{path}/a", content=b"x", headers={"Repr-Digest": repr_digest("0" * 64)}),
            client.post(path, content=b"{"),
            client.post(path, json={"files": [{"path": "a"}]}),
            client.post(path, content=b" " * (33 << 20)),
            client.put(path, content=b" " * (65 << 20)),
            client.put(f"/{claim.path}/logs/in", content=b"x"),
            client.get(f"/work/{claim.run}/{1 << 70}/1/input"),
            client.get(f"/work/{claim.run}/-1/1/input"),
            client.get(f"/{claim.path}/parts/..%2f/a"),
        ]

    assert [422, 409, 422, 422, 422, 413, 413, 422, 422, 422] == [
        one.status_code for one in answers[:10]
    ]
    assert answers[10].status_code in {404, 422}
    crew.end(claim)


def test_logs_come_to_their_attempt(crew: Crew, tmp_path: Path) -> None:
    """What a worker elsewhere has printed is found where a worker here would have left it."""
    claim = crew.claim("logs", b"in")
    (tmp_path / "out").write_bytes(b"printed\n")
    crew.work.send_log(claim, "out", tmp_path / "out")
    crew.work.send_log(claim, "err", tmp_path / "absent")

    kept = crew.server.home / "runs" / claim.run / f"{claim.task}-{claim.epoch}.out"
    assert b"printed\n" == kept.read_bytes()
    crew.end(claim)


def test_a_cut_piece_is_sent_again(crew: Crew, tmp_path: Path) -> None:
    """A line that breaks in the middle of a file costs a piece of it, and nothing else."""
    claim = crew.claim("cut", b"in")
    content = os.urandom(20 << 20)
    (output,) = _make(tmp_path / "made", {"big": content})

    def broken() -> Iterator[bytes]:
        yield content[: 5 << 20]
        message = "the line broke"
        raise ConnectionError(message)

    headers = {"Content-Range": f"bytes 0-{(16 << 20) - 1}/{len(content)}"}
    with crew.client as client, pytest.raises(ConnectionError):
        client.put(f"/{claim.path}/outputs/big", content=broken(), headers=headers)
    crew.work.send_outputs(claim, tmp_path / "made", [output])

    assert content == (_staged(crew, claim) / "big").read_bytes()
    crew.end(claim)


def _make(folder: Path, files: dict[str, bytes]) -> list[Output]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return [Output(one.path, one.size, one.sha256 or "", one.mtime_ns or 0) for one in seal(folder)]


def _staged(crew: Crew, claim: Claim) -> Path:
    store = crew.server.home / "outputs" / claim.run / ".grange" / "staging"
    return store / f"{claim.run}-{claim.task}-{claim.epoch}"


def _tar(entry: TarInfo) -> bytes:
    packed = BytesIO()
    with open_tar(fileobj=packed, mode="w", format=PAX_FORMAT) as tar:
        tar.addfile(entry)
    return packed.getvalue()
