"""The root of the tree."""

from __future__ import annotations

from typing import ClassVar


class GrangeError(Exception):
    """The root of every error that Grange raises on purpose."""

    code: ClassVar[str] = "grange.error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message and the hint apart, so that each interface can lay them out.

        Args:
            message: What happened, and to what.
            hint: What to do next; empty when nothing can be said.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
