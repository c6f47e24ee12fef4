"""A worker with a fault: `faulty_worker.py FAULT MARK OPTIONS…`; without one when MARK is there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import grange.worker.__main__
import grange.worker.loop
from grange.engines.channel import Channel, pack
from grange.worker.pulse import Pulse


def die(*_args: object, **_options: object) -> None:
    """End at once, without a word."""
    os._exit(9)


def before_ready() -> None:
    """Die before anything is set up."""
    die()


def instead_of_ready() -> None:
    """Die when all is set up."""
    _replace(Channel, "send", die)


def with_a_batch_unread() -> None:
    """Die when the first bytes of a batch are there."""

    def receive(channel: Channel) -> None:
        os.read(channel.fileno(), 10)
        die()

    _replace(Channel, "receive", receive)


def with_a_batch_read() -> None:
    """Die between having a batch and its first task."""
    _replace(grange.worker.loop, "batch_from_json", die)


def within_a_message() -> None:
    """Die when half an outcome is told."""

    def send(channel: Channel, message: dict[str, Any]) -> None:
        if "outcomes" in message:
            whole = pack(message)
            os.write(channel.fileno(), whole[: len(whole) // 2])
            die()
        real(channel, message)

    real = Channel.send
    _replace(Channel, "send", send)


def after_a_message() -> None:
    """Die when an outcome is told."""

    def send(channel: Channel, message: dict[str, Any]) -> None:
        real(channel, message)
        if "outcomes" in message:
            die()

    real = Channel.send
    _replace(Channel, "send", send)


def with_nonsense() -> None:
    """Say what nobody understands, and begin no task before one is killed for it."""

    def receive(channel: Channel) -> Any:
        os.write(channel.fileno(), b"\xff" * 100)
        signal.pause()
        return real(channel)

    real = Channel.receive
    _replace(Channel, "receive", receive)


def without_pulse() -> None:
    """Give no sign of life."""
    _replace(Pulse, "run", lambda _pulse: None)


def main(fault: str, mark: str, *options: str) -> None:
    """Work, with the fault if this is the first worker."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        globals()[fault]()
    except FileExistsError:
        pass
    sys.argv = ["grange.worker", *options]
    grange.worker.__main__.main()


def _replace(owner: object, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


if __name__ == "__main__":
    main(*sys.argv[1:])
