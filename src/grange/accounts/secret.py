"""Secrets that nobody can guess, and what is kept of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
# 256 bits in letters and digits: a double click selects all of it.
SECRET_LENGTH = 43


def new_secret() -> str:
    """A secret of 256 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def digest(secret: str) -> str:
    """What is kept of a secret: nothing that leads back to it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def derived(secret: str, purpose: str) -> str:
    """Another secret that only whoever has this one can tell."""
    key = secret.encode("utf-8", "surrogatepass")
    return hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest()


def is_same(kept: str, given: str) -> bool:
    """Whether two digests are the same, in a time that says nothing about where they differ."""
    return hmac.compare_digest(kept.encode(), given.encode())
