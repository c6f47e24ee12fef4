"""Buckets that people may use for inputs and results: those that are allowed, and no other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from grange.errors import (
    Conflict,
    ExtraMissing,
    GrangeError,
    InputsInvalid,
    NotAllowed,
    RequestInvalid,
    SettingInvalid,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from grange.storage import open_store
from grange.storage.s3urls import S3Place, parse_s3

if TYPE_CHECKING:
    from grange.settings import Settings

log = logging.getLogger("grange.server")

_NO_KEYS = (
    "Ask an administrator: it needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its "
    "environment, and pip install 'grange[s3]'."
)


def listed(setting: str | None) -> list[str]:
    """The URLs of the places that the setting names, with commas between."""
    return [url for url in (setting or "").split(",") if url]


def resolve(setting: str | None, text: str) -> tuple[str, str | None]:
    """What a URL stands for, as a root and the rest of a glob, if it lies in such a place.

    Raises:
        InputsInvalid: It is not there, or lies outside; nobody learns which.
        StoreError, Conflict: The bucket can't be read.
    """
    from grange.runs import bucketinputs

    places = ", ".join(listed(setting))
    unseen = InputsInvalid(
        f"The server sees no {text[:300]!r} in the buckets that may be used.",
        hint=f"Name an object or a folder in {places}, or send the files."
        if places
        else "Send the files; or an administrator allows a place by the setting buckets.",
    )
    try:
        wanted = parse_s3(text)
    except SettingInvalid:
        # What stands before an @ may be a password: not to be repeated.
        message = "The URL of a bucket has to look like s3://bucket/folder."
        raise InputsInvalid(message) from None
    if not any(_is_in(wanted, parse_s3(url)) for url in listed(setting)):
        raise unseen
    with _told():
        try:
            ((path, pattern),) = bucketinputs.expand(text)
        except InputsInvalid:
            raise unseen from None
    return path, pattern


def place_of_results(settings: Settings, text: str) -> str:
    """The URL of the place for results that a person named, if they may go there.

    Raises:
        RequestInvalid: It is no such URL.
        NotAllowed: It lies in no place that is allowed, or where the server keeps its own.
    """
    try:
        wanted = parse_s3(text)
        open_store(wanted.url)
    except (SettingInvalid, StoreError):
        message = "The place for results has to look like s3://bucket/folder."
        hint = "Leave it out, and the server keeps the results itself."
        raise RequestInvalid(message, hint=hint) from None
    allowed = listed(settings.out_buckets)
    own = [settings.store] if settings.store else []
    if not any(_is_in(wanted, parse_s3(url)) for url in allowed) or any(
        _meet(wanted, parse_s3(url)) for url in own
    ):
        places = ", ".join(allowed)
        raise NotAllowed(
            f"Results of this server's runs may not go to {wanted.url!r}.",
            hint=f"Name a folder in {places}, or leave it out."
            if allowed
            else "Leave it out; or an administrator allows a place by the setting out_buckets.",
        )
    return wanted.url


def check_results(url: str) -> None:
    """Make sure, within seconds, that results can be written there.

    Raises:
        StoreDenied: The server has no keys for it, or they don't do.
        StoreMissing: There is no such bucket.
        Conflict: It is away.
    """
    from grange.storage.s3client import S3Client

    with _told():
        S3Client(parse_s3(url).bucket)
        open_store(url, patient=False).check(f"check-{token_hex(8)}")


def check_inputs(url: str) -> None:
    """Make sure, within seconds, that inputs can be read there.

    Raises:
        StoreDenied: The server has no keys for it, or they don't do.
        StoreMissing: There is no such bucket.
        Conflict: It is away.
    """
    from grange.storage.s3client import S3Client

    with _told():
        place = parse_s3(url)
        S3Client(place.bucket, is_short=True).check(place.prefix)


def examine(settings: Settings) -> None:
    """Try the buckets that the settings name, and log what is in the way before a run meets it."""
    for check, urls in (
        (check_results, (settings.store, settings.out_buckets)),
        (check_inputs, (settings.buckets,)),
    ):
        for url in (url for setting in urls for url in listed(setting)):
            try:
                check(url)
            except GrangeError as error:
                log.warning("%s can't be used: %s %s", url, error.message, error.hint)


@contextmanager
def _told() -> Iterator[None]:
    """Say to people what is the server's own trouble; that a bucket is away, at once."""
    try:
        yield
    except (SettingInvalid, ExtraMissing) as error:
        message = f"This server can't use buckets. {error.message}"
        raise StoreDenied(message, hint=_NO_KEYS) from None
    except StoreUnreachable as error:
        # As a passing trouble of the server it would be waited for without a word.
        raise Conflict(error.message, hint="Try again when it is back.") from None


def _meet(one: S3Place, other: S3Place) -> bool:
    return _is_in(one, other) or _is_in(other, one)


def _is_in(wanted: S3Place, place: S3Place) -> bool:
    return wanted.bucket == place.bucket and wanted.prefix.startswith(place.prefix)
