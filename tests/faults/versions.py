"""Other versions of Grange: folders that PYTHONPATH names, for the processes that are to have it.

`copy` is this very source, which calls itself another version and may speak
another number of the protocol. `earlier` is a real earlier one out of the
repository's history, which has other tables too; where that is not at hand, as
in an installed package or a shallow clone, it is a copy.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import grange

# The last commit whose ledger did not know yet which worker has a task: revision 0006. Its
# workers and its server speak protocol 1.
EARLIER_COMMIT = "1cf14bb8"
EARLIER_REVISION = "0006_workers"
EARLIER = "0.0.1"
LATER = "99.0"
OF_THE_PROTOCOL = ("engines/rabbit/messages.py", "pool/models.py")
_BUILT = "server/web/static/vendor"


def earlier(folder: Path) -> Path:
    """An earlier version, as the history has it or as a copy; what PYTHONPATH has to name."""
    return _from_history(folder) or copy(folder, EARLIER)


def copy(folder: Path, version: str, *, protocol: int | None = None) -> Path:
    """This source under another version's name; what PYTHONPATH has to name."""
    kept = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_source(), folder / "grange", ignore=kept)
    if protocol is not None:
        for name in OF_THE_PROTOCOL:
            _speak(folder / "grange" / name, protocol)
    return _call(folder, version)


def without_the_newest_tables(folder: Path) -> Path:
    """A version that knows no table after those of `EARLIER_REVISION`."""
    copy(folder, EARLIER)
    versions = folder / "grange" / "db" / "migrations" / "versions"
    schema = folder / "grange" / "db" / "schema.py"
    for one in versions.glob("r*.py"):
        if one.stem.removeprefix("r") > EARLIER_REVISION:
            one.unlink()
    lines = [
        f'HEAD = "{EARLIER_REVISION}"\n' if line.startswith("HEAD = ") else line
        for line in schema.read_text().splitlines(keepends=True)
    ]
    schema.write_text("".join(lines))
    return folder


def _source() -> Path:
    return Path(grange.__file__).parent


def _from_history(folder: Path) -> Path | None:
    """What the commit had, if this is a clone that knows it."""
    command = ["git", "-C", str(_source()), "archive", EARLIER_COMMIT, "--", "."]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    place = folder / "grange"
    place.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(place)], input=archive, check=True)
    # What a build has put beside the source is in no commit.
    shutil.copytree(_source() / _BUILT, place / _BUILT, dirs_exist_ok=True)
    return _call(folder, EARLIER)


def _speak(file: Path, protocol: int) -> None:
    lines = file.read_text().splitlines(keepends=True)
    changed = [
        line.rpartition("=")[0] + f"= {protocol}\n" if line.startswith("PROTOCOL") else line
        for line in lines
    ]
    assert changed != lines
    file.write_text("".join(changed))


def _call(folder: Path, version: str) -> Path:
    """Let it be found as this version, with all that the installed one declares."""
    known = distribution("grange")
    said = folder / f"grange-{version}.dist-info"
    said.mkdir()
    (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: grange\nVersion: {version}\n")
    (said / "entry_points.txt").write_text(known.read_text("entry_points.txt") or "")
    return folder
