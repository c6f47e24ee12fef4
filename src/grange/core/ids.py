"""Short ids that people can read out, copy and type."""

from __future__ import annotations

import secrets

# Crockford's base 32 without vowels: no look-alikes and no accidental words.
ALPHABET = "0123456789bcdfghjkmnpqrstvwxyz"
ID_LENGTH = 10


def new_id() -> str:
    """A random id of 10 characters (49 bits); uniqueness is the database's to enforce."""
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def looks_like_id(text: str) -> bool:
    """Whether the text could be an id, or the beginning of one."""
    return 0 < len(text) <= ID_LENGTH and all(letter in ALPHABET for letter in text)
