"""Passwords: which are refused, and how they are kept."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import argon2

from grange import errors
from grange.accounts.weak import is_common

LEAST_LENGTH = 10
MOST_LENGTH = 1024

# Argon2id as RFC 9106 recommends where memory is scarce: 64 MiB, about a tenth of a second.
TIME_COST = 3
MEMORY_KIB = 64 * 1024
LANES = 4

# Each hash takes all of that memory, so many logins at once must wait for each other.
AT_ONCE = 2
MOST_WAITING = 24
PATIENCE_SECONDS = 15.0

_slots = threading.BoundedSemaphore(AT_ONCE)
_places = threading.BoundedSemaphore(AT_ONCE + MOST_WAITING)


class Passwords:
    """Hashes passwords and checks them; many threads may use it, and few compute at once."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        """Use other costs only where passwords are worth nothing, as in tests."""
        self._hasher = hasher or argon2.PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES
        )
        # What is checked for a user who is not there, so that it takes the same time.
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """The text to keep instead of the password; refuse it first, see `refuse_weak`."""
        with self.turn():
            return self._hasher.hash(_bytes(password))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until this thread may compute; what it does inside is done by few at once.

        Raises:
            TooMany: Too many wait already.
        """
        if not _places.acquire(blocking=False):
            raise _too_many()
        try:
            if not _slots.acquire(timeout=PATIENCE_SECONDS):
                raise _too_many()
            try:
                yield
            finally:
                _slots.release()
        finally:
            _places.release()

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether this is the password; None for a user who is not there takes as long.

        Call it within a `turn`.
        """
        if len(password) > MOST_LENGTH:
            return False
        if self._nobody is None:
            self._nobody = self._hasher.hash(b"nobody's password")
        try:
            self._hasher.verify(kept or self._nobody, _bytes(password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether a kept hash was made with other costs than new ones are."""
        return self._hasher.check_needs_rehash(kept)


def refuse_weak(password: str, *, email: str = "", name: str = "") -> None:
    """Refuse a new password that is easily guessed.

    Raises:
        PasswordRefused: It is too short, too long, too common, or the user's own name.
    """
    if len(password) > MOST_LENGTH:
        raise errors.PasswordRefused(
            "The password is too long.", hint=f"Take at most {MOST_LENGTH} characters."
        )
    shape = unicodedata.normalize("NFKC", password)
    if len(shape) < LEAST_LENGTH:
        raise errors.PasswordRefused(
            "The password is too short.", hint=f"Take at least {LEAST_LENGTH} characters."
        )
    own = {email.casefold(), email.partition("@")[0].casefold(), name.casefold()}
    own |= {each.replace(" ", "") for each in own}
    if {shape.casefold(), shape.casefold().rstrip("0123456789!.?$*#")} & (own - {""}):
        raise errors.PasswordRefused(
            "The password is the user's own name or e-mail address.", hint="Take another one."
        )
    if is_common(shape):
        raise errors.PasswordRefused(
            "The password is one of those that are guessed first.",
            hint="Take several words that don't belong together.",
        )


def _bytes(password: str) -> bytes:
    """The same bytes however a keyboard composes the letters, and for any text at all."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _too_many() -> errors.TooMany:
    return errors.TooMany(
        "Too many people are logging in at once.", hint="Try again in a moment.", retry_seconds=5
    )
