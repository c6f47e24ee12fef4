"""Where results go: a folder of this machine, or one of a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from grange.errors import SettingInvalid
from grange.storage import display_path, file_uri
from grange.storage.s3urls import is_s3, parse_s3


def place_of(out: str, cwd: Path) -> str:
    """What a person gave as `--out`: the path of a folder, or the URL of a bucket's.

    Raises:
        SettingInvalid: It is a URL that makes no sense.
    """
    if is_s3(out):
        return parse_s3(out).url
    return str((cwd / Path(out).expanduser()).resolve())


def store_of(place: str) -> str:
    """The store's URL of a place that `place_of` gave."""
    return place if is_s3(place) else file_uri(Path(place))


def check_out(place: str, inputs: Iterable[str], *, is_here: bool = True) -> None:
    """Refuse a place for results where they would be in somebody's way, or can't be written.

    Whether a bucket can be read is looked at only by the machine that writes to it (`is_here`).

    Raises:
        SettingInvalid, ExtraMissing: It can't be used.
        StoreError: The bucket can't be read.
    """
    if is_s3(place):
        if is_here:
            _check_bucket(place)
        taken = any(one.rstrip("/") == place for one in inputs)
    else:
        if os.path.exists(place) and not os.path.isdir(place):
            shown = display_path(place)
            raise SettingInvalid(f"{shown} is no folder.", hint="Name another --out.")
        taken = any(os.path.realpath(one) == place for one in inputs if not is_s3(one))
    if taken:
        message = f"The results would lie among the inputs in {display_path(place)}."
        raise SettingInvalid(message, hint="Name another --out; a folder below is fine.")


def _check_bucket(place: str) -> None:
    from grange.storage.s3client import S3Client

    at = parse_s3(place)
    S3Client(at.bucket).check(at.prefix)
