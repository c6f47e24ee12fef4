"""The variables that say how buckets are reached, and who gets to see them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

# What opens buckets, and what leads programs to it.
KEYS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
)
_kept: dict[str, str] = {}


def keep_keys() -> None:
    """Take the keys out of this process's environment: what it starts has none of them."""
    for name in KEYS:
        if (value := os.environ.pop(name, None)) is not None:
            _kept[name] = value


def variables() -> Mapping[str, str]:
    """The environment as this process itself may use it."""
    return {**_kept, **os.environ}
