"""What goes wrong with a broker, in words: the client's errors as errors of the tree."""

from __future__ import annotations

import asyncio
import os
import re
import ssl

from grange.engines.rabbit.names import Address
from grange.errors import BrokerRefused, BrokerUnreachable, EngineError, ExtraMissing

UNTRUSTED = (
    "If it is your own, name its file on every machine: SSL_CERT_FILE=cert.pem in the environment "
    "of the server and of each worker."
)
# How the event loop says it, with the address once more: of one, or of several that it tried.
_NO_CALL = re.compile(r"\[Errno (\d+)\] Connect call failed")


class translated:  # noqa: N801  # reads as a word of the language
    """Whatever the client raises in this block comes out as an error of the tree."""

    def __init__(self, where: Address) -> None:
        """Say whom it is about."""
        self._where = where

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Translate what came, unless it was meant for this task."""
        if error is None or isinstance(error, EngineError | ExtraMissing):
            return
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is None or task.cancelling():
                return
            # The client cancels its own tasks when a connection ends, and whoever waits for them.
        elif not isinstance(error, Exception):
            return
        raise told(error, self._where) from error


def told(error: BaseException | None, where: Address) -> EngineError:
    """What an error of the client means, in words, without a password."""
    if isinstance(error, EngineError):
        return error
    broker = f"The message broker at {where.where}"
    if refused := _refused(error, broker, where):
        message, hint = refused
        return BrokerRefused(message, hint=hint)
    message, hint = _unreachable(error, broker)
    return BrokerUnreachable(message, hint=hint)


def _refused(error: BaseException | None, broker: str, where: Address) -> tuple[str, str] | None:
    from aiormq import exceptions as theirs

    match error:
        case theirs.ProbableAuthenticationError() | theirs.AuthenticationError():
            return (
                f"{broker} refuses the user {where.user!r}: the name or the password is wrong.",
                "Check the URL of the broker, and the user: rabbitmqctl list_users",
            )
        case theirs.ConnectionNotAllowed() | theirs.ChannelAccessRefused():
            return (
                f"{broker} does not let the user {where.user!r} do this: {_words(error)}",
                "Check the user's rights: rabbitmqctl list_permissions",
            )
        case theirs.ChannelPreconditionFailed():
            return (
                f"{broker} has something of this name that is not the same: {_words(error)}",
                "Another program, or another version of Grange, has made it.",
            )
        case theirs.InvalidFrameError() if "OpenOk" in str(error):
            # What the broker answered instead, the client does not say.
            return (
                f"{broker} does not open its virtual host {where.vhost!r} to {where.user!r}.",
                "Is there one? rabbitmqctl list_vhosts; list_permissions",
            )
        case theirs.DeliveryError():
            return (
                f"{broker} takes no more messages for this queue.",
                "Is its disk full? rabbitmqctl status",
            )
    return None


def _unreachable(error: BaseException | None, broker: str) -> tuple[str, str]:
    from aiormq import exceptions as theirs

    if isinstance(error, OSError) and isinstance(error.__cause__, ssl.SSLError):
        error = error.__cause__  # The client has wrapped it.
    match error:
        case theirs.ChannelNotFoundEntity():
            return (
                f"{broker} has not been set up yet: {_words(error)}",
                "It is when a server of Grange has been connected to it.",
            )
        case TimeoutError():
            return (
                f"{broker} does not answer.",
                "It may be out of memory or disk: rabbitmqctl status",
            )
        case theirs.ConnectionClosed():
            pass
        case ssl.SSLCertVerificationError():
            return (
                f"{broker} shows a certificate that is not trusted: {error.verify_message}.",
                UNTRUSTED,
            )
        case ssl.SSLError():
            return (
                f"{broker} does not speak as amqps:// should: {_words(error)}",
                "Does this port speak encrypted? RabbitMQ's usual one for that is 5671.",
            )
        case OSError():
            return (
                f"{broker} can't be reached: {_words(error)}",
                "Is it running, and is its port open?",
            )
    return f"{broker} has ended the connection.", "Is it running? rabbitmqctl status"


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and (found := _NO_CALL.search(str(error))):
        return f"{os.strerror(int(found[1]))}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    words = str(error.args[-1] if error.args else error).strip()
    return f"{words[:300].rstrip('.')}."
