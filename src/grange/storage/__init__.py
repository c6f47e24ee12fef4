"""Where bytes live: stores, their paths, and the reading of local files.

A store is opened by its URL, whose scheme says what keeps the bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from grange.errors import StoreError
from grange.storage.base import Store, Stored
from grange.storage.files import digest_file, seal
from grange.storage.paths import (
    check_path,
    display_path,
    file_uri,
    uri_key,
    uri_name,
    uri_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "Store",
    "Stored",
    "check_path",
    "digest_file",
    "display_path",
    "file_uri",
    "open_store",
    "seal",
    "uri_key",
    "uri_name",
    "uri_path",
]

# Scheme of the URL: the module and the function in it that opens the store.
STORES: Final = {
    "file": "grange.storage.local:open_local",
    "s3": "grange.storage.s3:open_s3",
}


def open_store(url: str, *, work: Path | None = None, patient: bool = True) -> Store:
    """Open the store of a URL, such as `file:///srv/results`. Nothing is made, or asked, yet.

    `work` is a folder of this machine in which a store that lies elsewhere stages outputs;
    without one that is a folder of this user's below the system's temporary one. One that
    lies elsewhere and is away is waited for when `patient`; else that is said within seconds.

    Raises:
        StoreError: No kind of store has this scheme.
    """
    scheme, separator, _ = url.partition("://")
    place = STORES.get(scheme.lower()) if separator else None
    if place is None:
        known = ", ".join(f"{name}://" for name in sorted(STORES))
        raise StoreError(
            f"{url!r} is not the URL of a store.", hint=f"It has to begin with {known}."
        )
    module, _, name = place.partition(":")
    opener: Callable[..., Store] = getattr(import_module(module), name)
    return opener(url, work, patient=patient)
