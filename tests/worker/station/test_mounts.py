"""Which folders are shared is proved by what lies in them, not by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from grange.core.tasks import Job
from grange.errors import UsageError
from grange.storage import file_uri
from grange.worker.station.home import open_home
from grange.worker.station.mounts import Mounts, parse_mounts
from grange.worker.station.routes import Routes, Way


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Give a folder with the server's probe file in it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / ".probe").write_text("these words\n")
    return folder


def test_a_folder_with_the_right_words_in_it_is_shared(shared: Path) -> None:
    """All that lies in it is reached where it is."""
    mounts = _proved(shared / ".probe")

    uri = file_uri(shared / "deep" / "one two.mp4")
    assert (uri, shared / "deep" / "one two.mp4") == (mounts.uri_here(uri), mounts.here(uri))


def test_nothing_leads_out_of_a_shared_folder(shared: Path) -> None:
    """What lies beside it may be anything, whatever it is called."""
    mounts = _proved(shared / ".probe")

    beside = shared.with_name("shared-not") / "a"
    for uri in (file_uri(beside), f"file://{shared}/../other", f"file://{shared}/%2e%2e/other"):
        assert mounts.uri_here(uri) is None
    assert mounts.uri_here("s3://bucket/key") is None


@pytest.mark.parametrize("words", ["other words", ""])
def test_a_folder_with_other_words_is_said_to_be_another(shared: Path, words: str) -> None:
    """A wrong mount is told at once, by name."""
    mounts = Mounts([(str(shared / ".probe"), words or "these")])

    [proof] = mounts.prove()

    assert not proof.seen
    assert str(shared) in proof.trouble
    assert () == mounts.shared


def test_an_empty_mount_point_is_said_to_be_another(shared: Path) -> None:
    """The folder is there, and nothing is mounted."""
    (shared / ".probe").unlink()
    [proof] = Mounts([(str(shared / ".probe"), "these words")]).prove()

    assert "is not in it" in proof.trouble


def test_a_folder_that_isn_t_here_is_no_trouble(tmp_path: Path) -> None:
    """Most machines share nothing with the server, and say nothing of it."""
    [proof] = Mounts([(str(tmp_path / "nowhere" / ".probe"), "these words")]).prove()

    assert (False, "") == (proof.seen, proof.trouble)


def test_a_folder_may_have_another_name_here(shared: Path) -> None:
    """What the server calls /srv/data is where this machine has mounted it."""
    mounts = Mounts(
        [("/srv/data/inner/.probe", "these words")], parse_mounts([f"/srv/data={shared.parent}"])
    )
    shared.rename(shared.with_name("inner"))
    mounts.prove()

    here = shared.with_name("inner") / "a"
    assert file_uri(here) == mounts.uri_here("file:///srv/data/inner/a")


@pytest.mark.parametrize("text", ["/only", "there=/here", "/there=here", "="])
def test_names_of_folders_have_to_be_whole(text: str) -> None:
    """A mistake is told, and not taken for a folder."""
    with pytest.raises(UsageError):
        parse_mounts([text])


def test_outputs_go_the_shortest_way(shared: Path, tmp_path: Path) -> None:
    """Straight into a shared folder, if this machine may write there; through the server else."""
    with open_home(tmp_path / "home") as home:
        routes = Routes(home, _proved(shared / ".probe"))
        near = routes.of(_job(shared / "out", shared / "logs"))
        far = routes.of(_job(tmp_path / "elsewhere", tmp_path / "logs"))

        assert (Way.MOUNT, near.job.store) == (near.outputs, near.local.store)
        assert near.is_mounted
        assert (Way.SERVER, file_uri(home.store("run"))) == (far.outputs, far.local.store)
        assert far.carries_logs
        kept = routes.kept("run")
        assert kept is not None
        assert (far.job, far.local, far.outputs) == (kept.job, kept.local, kept.outputs)


def test_what_can_t_be_looked_at_is_not_written_to(shared: Path) -> None:
    """Whatever the system answers there, bytes go another way, and the worker goes on."""
    mounts = _proved(shared / ".probe")
    strange = shared / ("x" * 300) / "out"

    assert mounts.uri_here(file_uri(strange), write=True) is None
    assert mounts.writable_path(str(strange)) is None


def _proved(probe: Path) -> Mounts:
    mounts = Mounts([(str(probe), "these words")])
    mounts.prove()
    return mounts


def _job(out: Path, logs: Path) -> Job:
    return Job("run", "command", {}, file_uri(out), str(logs))
