"""What a driver makes at the broker. Stations make nothing but a queue of their own.

Only what RabbitMQ 3.10 and 4 both take: every lasting queue is a quorum queue
with a limit of deliveries, every other one ends with its connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grange.engines.rabbit.names import (
    BEAT_BYTES_KEPT,
    BEAT_EXPIRE_SECONDS,
    BEATS_KEPT,
    DELIVERY_LIMIT,
    OUTCOMES_EXPIRE_SECONDS,
    Names,
)

if TYPE_CHECKING:
    from grange.engines.rabbit.line import Line

# Old beats are worth nothing: whoever doesn't read them gets the latest.
PASSING: Final[dict[str, Any]] = {
    "x-max-length": BEATS_KEPT,
    "x-max-length-bytes": BEAT_BYTES_KEPT,
    "x-overflow": "drop-head",
    "x-message-ttl": BEAT_EXPIRE_SECONDS * 1000,
}


async def declare_site(line: Line, names: Names) -> None:
    """Have what all runs of the site share."""
    await line.exchange(names.reports, "direct")
    await line.exchange(names.beats, "topic")
    await line.exchange(names.control, "fanout")
    await line.exchange(names.dead, "fanout")
    await line.queue(names.dead, {})
    await line.bind(names.dead, names.dead)


async def declare_shape(line: Line, names: Names, shape: str) -> None:
    """Have the queue of tasks of this shape; what nobody can take goes to the dead, once safe."""
    arguments = {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": names.dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    await line.queue(names.tasks(shape), arguments)


async def declare_run(line: Line, names: Names, run: str) -> None:
    """Have the queue of what comes of a run's tasks."""
    queue = names.outcomes(run)
    await line.queue(queue, {"x-expires": OUTCOMES_EXPIRE_SECONDS * 1000})
    await line.bind(queue, names.reports, run)
