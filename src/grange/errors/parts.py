"""What went wrong in a part of Grange: a store, a database, an engine, a server."""

from __future__ import annotations

from grange.errors.base import GrangeError


class ExtraMissing(GrangeError):
    """An optional part of Grange is not installed."""

    code = "extra.missing"


class AuditBroken(GrangeError):
    """The audit log was changed, or a part of it is gone."""

    code = "audit.broken"


class ServerError(GrangeError):
    """The server could not be used."""

    code = "server.error"


class ServerUnreachable(ServerError):
    """No answer comes from the server."""

    code = "server.unreachable"


class ServerRefused(ServerError):
    """The server answered with something that this client does not understand."""

    code = "server.refused"


class ServerUntrusted(ServerError):
    """The server can't prove that it is the one that was meant."""

    code = "server.untrusted"


class StoreError(GrangeError):
    """The store could not do what was asked."""

    code = "store.error"


class StorePathRefused(StoreError):
    """A path that could lead out of the store, or that no store could hold."""

    code = "store.path_refused"


class StoreMissing(StoreError):
    """The store holds nothing under this path."""

    code = "store.missing"


class StoreFull(StoreError):
    """There is no room left in the store."""

    code = "store.full"


class StoreDenied(StoreError):
    """The store refuses access."""

    code = "store.denied"


class StoreUnreachable(StoreError):
    """The store is away, or in trouble; what was asked can be asked again."""

    code = "store.unreachable"


class StoreCorrupt(StoreError):
    """Bytes in the store differ from what was recorded of them."""

    code = "store.corrupt"


class DatabaseError(GrangeError):
    """The database could not do what was asked."""

    code = "database.error"


class DatabaseUnreachable(DatabaseError):
    """The database can't be opened or has gone away."""

    code = "database.unreachable"


class DatabaseBusy(DatabaseError):
    """The database stayed locked by others for too long."""

    code = "database.busy"


class DatabaseFull(DatabaseError):
    """There is no room left for the database."""

    code = "database.full"


class DatabaseNewer(DatabaseError):
    """The database was written by a newer Grange."""

    code = "database.newer"


class DatabaseCorrupt(DatabaseError):
    """The database file is damaged."""

    code = "database.corrupt"


class EngineError(GrangeError):
    """The engine could not bring tasks to workers."""

    code = "engine.error"


class WorkerStartFailed(EngineError):
    """Worker processes end before they have taken any work."""

    code = "worker.start_failed"


class ChannelBroken(EngineError):
    """The other end of a worker's channel is gone or sends nonsense."""

    code = "channel.broken"


class BrokerUnreachable(EngineError):
    """No answer comes from the message broker, or its connection broke."""

    code = "broker.unreachable"


class BrokerRefused(EngineError):
    """The message broker refuses this user, or something that it may not do."""

    code = "broker.refused"


class BrokerMessageInvalid(EngineError):
    """What came through the broker is no message of Grange, or is too long for one."""

    code = "broker.message_invalid"


class ProtocolMismatch(EngineError):
    """The server and a worker speak different protocols: one of them is older."""

    code = "protocol.mismatch"
