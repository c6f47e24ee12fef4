"""What every store promises, whatever it keeps its bytes in."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from grange.storage.oserrors import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stored:
    """One file of a store.

    `path` is relative to what was listed or sealed; `sha256` is there when the
    bytes passed by, `mtime_ns` when the store keeps one.
    """

    path: str
    size: int
    sha256: str | None = None
    mtime_ns: int | None = None


class Store(ABC):
    """A place where bytes live, named by paths that `check_path` accepts.

    Every method blocks until it is done, may be called from several threads and
    processes at once, and raises nothing but `StoreError` and its subclasses:
    `StorePathRefused` for a path that is refused, `StoreFull`, `StoreDenied`,
    `StoreMissing`. What a method has written is durable when it returns. Whoever
    reads a path meets the old bytes or the new ones, never a part of either.

    Folders exist as far as files need them: an empty folder is no part of a store.
    `publishers` says how many calls of `publish` at once make it faster.
    """

    publishers: ClassVar[int] = 1

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL that opens this store again."""

    @abstractmethod
    def write(self, path: str, chunks: Iterable[bytes]) -> Stored:
        """Write one file, replacing what was there.

        Of several writers at once one wins, and its file is whole. When `chunks`
        or the store fails, the path keeps what it had and nothing else is left.

        Returns:
            What was stored, with the digest taken while the bytes passed.
        """

    @abstractmethod
    def read(self, path: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream a file, or `length` bytes of it, in chunks of at most 1 MiB.

        A range that goes past the end stops there. Errors, `StoreMissing` among
        them, come with the first chunk.
        """

    @abstractmethod
    def stat(self, path: str) -> Stored | None:
        """What is stored under the path, without digest; None when it is no file."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Stream every file below the folder `prefix`, sorted by path, without digests.

        Paths are relative to the store, not to the prefix. A prefix that is no
        folder has no files. Links, the store's own files and names that no path
        can say are left out.
        """

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete one file. Deleting what is not there is fine."""

    @abstractmethod
    def delete_tree(self, prefix: str) -> None:
        """Delete the folder `prefix` with all that is in it, at once to its readers.

        Deleting what is not there is fine; a file of that name is refused.
        """

    @abstractmethod
    def staging(self, token: str) -> Path:
        """The private local folder in which the outputs named `token` are built.

        The first call makes it; a later one, from any process, finds it as it is.
        """

    def fresh(self, token: str) -> Path:
        """The staging folder of that name with nothing in it, whatever was in it before."""
        self.discard(token)
        return self.staging(token)

    def restage(self, token: str, name: str) -> bool:
        """Let a staging folder on this machine be that of another token, whole, from now on.

        False when something is staged there already, on this machine: nothing has changed then.
        """
        folder = self.staging(token)
        with told("stage outputs", "", root=folder.parent):
            try:
                folder.rename(folder.with_name(name))
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    return False
                raise
        return True

    @abstractmethod
    def staged(self) -> Iterator[str]:
        """Every token that has a staging folder, in no particular order."""

    @abstractmethod
    def publish(self, token: str, path: str, *, expect: Sequence[Stored]) -> None:
        """Make the folder `path` exactly what was staged as `token`.

        What was there is replaced as a whole, and the staging folder is used up.
        Repeating a call that was done, or cut off anywhere, is safe: with the
        staging gone, a path that holds `expect` is a success.

        Args:
            token: Names the staging folder.
            path: Where the folder goes. A file there is refused.
            expect: What `seal` returned for the staging folder. When empty, nothing
                is there afterwards.

        Raises:
            StoreMissing: There is no such staging, and the path holds something else.
        """

    def hand_in(self, token: str, sealed: Sequence[Stored]) -> None:  # noqa: B027  # for most
        """Bring what was staged to where whoever publishes finds it, on whichever machine.

        Nothing has to be done where every machine sees the staging folder. Otherwise
        it is gone afterwards, and `publish`, `staged_here` and `discard` know of it.

        Args:
            token: Names the staging folder.
            sealed: What `seal` returned for it.

        Raises:
            StoreCorrupt: The files have changed since they were sealed.
        """

    def staged_here(self, token: str) -> Path:
        """The staging folder with all that is in it, brought here if it was handed in."""
        return self.staging(token)

    @abstractmethod
    def discard(self, token: str) -> None:
        """Delete what was staged as `token`. Discarding what is not there is fine."""

    def check(self, token: str) -> None:
        """Make sure that outputs can be put here, before anything is done for them.

        Nothing is left of it. `token` names a staging folder that nobody else uses.
        """
        self.staging(token)
        self.discard(token)

    @abstractmethod
    def clean(self) -> None:
        """Delete what interrupted work has left, and the store's own empty folders.

        Staging folders that hold something, and writes under way, are kept.
        """

    @abstractmethod
    def free_bytes(self) -> int | None:
        """How much may still be written; None when the store has no such limit."""

    def has_published(self, path: str) -> bool | None:  # for some
        """Whether a call of `publish` for this folder was begun or done; None if nobody knows."""
        return None

    def published(self, path: str, expect: Sequence[Stored]) -> bool:
        """Whether the folder `path` holds exactly these files.

        Names and sizes are compared, and modification times where both are known;
        no byte is read. Nothing expected is met by nothing there.
        """
        found = self.list(path)
        cut = len(path) + 1
        wanted = sorted(expect, key=lambda stored: stored.path)
        return all(
            have is not None
            and want is not None
            and have.path[cut:] == want.path
            and have.size == want.size
            and (None in (have.mtime_ns, want.mtime_ns) or have.mtime_ns == want.mtime_ns)
            for have, want in zip_longest(found, wanted)
        )
