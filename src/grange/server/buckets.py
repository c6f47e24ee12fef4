"""Buckets that people may use as inputs: those that an administrator has named, and no other."""

from __future__ import annotations

from grange.errors import InputsInvalid, SettingInvalid
from grange.storage.s3urls import S3Place, parse_s3


def listed(setting: str | None) -> list[str]:
    """The URLs of the places that the setting names, with commas between."""
    return [url for url in (setting or "").split(",") if url]


def resolve(setting: str | None, text: str) -> tuple[str, str | None]:
    """What a URL stands for, as a root and the rest of a glob, if it lies in such a place.

    Raises:
        InputsInvalid: It is not there, or lies outside; nobody learns which.
        StoreError: The bucket can't be read.
    """
    from grange.runs import bucketinputs

    unseen = InputsInvalid(
        f"The server sees no {text[:300]!r} in the buckets that may be used.",
        hint="Name an object or a folder in one of them, or send the files.",
    )
    try:
        wanted = parse_s3(text)
    except SettingInvalid:
        # What stands before an @ may be a password: not to be repeated.
        message = "The URL of a bucket has to look like s3://bucket/folder."
        raise InputsInvalid(message) from None
    if not any(_is_in(wanted, parse_s3(url)) for url in listed(setting)):
        raise unseen
    try:
        ((path, pattern),) = bucketinputs.expand(text)
    except InputsInvalid:
        raise unseen from None
    return path, pattern


def _is_in(wanted: S3Place, place: S3Place) -> bool:
    return wanted.bucket == place.bucket and wanted.prefix.startswith(place.prefix)
