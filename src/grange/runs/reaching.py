"""Whether the buckets that a run needs are reached: asked in seconds, before anything is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grange.errors import GrangeError, StoreUnreachable
from grange.storage.s3urls import is_s3, parse_s3

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grange.runs.models import RunView

# Of tasks of which nothing comes back for so long, something may be in the way.
QUIET_SECONDS = 5.0
AGAIN_SECONDS = 10.0


class Reach:
    """Watches the buckets of a run while nothing comes back of its tasks.

    Workers wait for a bucket that is away, and say nothing of that: what they have is safe.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        """Look at those of these places that are buckets."""
        self._urls = [url for url in urls if is_s3(url)]
        self._due = 0.0
        self._said = ""

    def look(self, *, heard: bool, now: float) -> str:
        """What is away, in words; empty where nothing is. Asks the servers now and then."""
        if heard or not self._urls or not self._due:
            self._due, self._said = now + QUIET_SECONDS, ""
        elif now >= self._due:
            try:
                check_buckets(self._urls)
                self._said = ""
            except StoreUnreachable as error:
                self._said = f"{error.message} The run goes on when it can be."
            self._due = now + AGAIN_SECONDS
        return self._said


def check_reached(run: RunView) -> None:
    """Make sure that nothing which the run needs is away just now.

    Whatever else is wrong with it shows when it is used.

    Raises:
        StoreUnreachable: The server of a bucket can't be reached.
    """
    check_buckets([run.out, *map(str, run.inputs.get("roots", ()))])


def check_buckets(urls: Iterable[str]) -> None:
    """The same for URLs, of which others than those of buckets are passed over."""
    for bucket in sorted({parse_s3(url).bucket for url in urls if is_s3(url)}):
        # Most programs never need what this imports.
        from grange.storage.s3client import S3Client

        try:
            S3Client(bucket, is_short=True).check()
        except StoreUnreachable as error:
            hint = "It goes on by itself when it can be reached."
            raise StoreUnreachable(error.message, hint=hint) from None
        except GrangeError:
            continue
