"""The one exception tree of Grange.

Every error that a user can meet is one of these. A class has a stable `code`
(what programs match on), a message (what happened, to what) and a hint (what
to do next). The CLI and the HTTP API each map the tree in one place.

    GrangeError
    ├── UsageError              the caller asked for something that makes no sense
    │   ├── SettingInvalid
    │   ├── ParameterInvalid
    │   ├── InputsInvalid
    │   ├── PipelineInvalid
    │   ├── ModelInvalid
    │   ├── FormatInvalid
    │   ├── ExportRefused
    │   ├── RequestInvalid
    │   ├── PasswordRefused
    │   ├── ArchiveRefused
    │   └── ChecksumWrong
    ├── TooLarge
    │   └── QuotaExceeded
    ├── NotAuthenticated        nobody knows who is asking
    │   └── CredentialsInvalid
    ├── NotAllowed              known who is asking, and they may not
    │   └── ForgeryRefused
    ├── TooMany                 too often or too many at once: later it may work
    ├── NotFound
    │   ├── RunNotFound
    │   ├── ItemNotFound
    │   ├── PipelineNotFound
    │   ├── ModelNotFound
    │   ├── UserNotFound
    │   ├── GroupNotFound
    │   ├── TokenNotFound
    │   ├── FolderNotFound
    │   ├── UploadNotFound
    │   └── WorkerNotFound
    ├── Conflict                the request is fine, the state of things is not
    │   ├── ClaimEnded
    │   ├── NameTaken
    │   ├── SetUpAlready
    │   ├── LastAdmin
    │   ├── UploadConflict
    │   ├── RepeatedDifferently
    │   ├── OutputInUse
    │   ├── RunBusy
    │   ├── RunEnded
    │   ├── RunIncomplete
    │   ├── ItemsFailed
    │   └── TransitionIllegal
    ├── ExtraMissing            an optional part is not installed
    ├── AuditBroken             the audit log is not what was written
    ├── ServerError             a client's trouble with a server
    │   ├── ServerUnreachable
    │   ├── ServerRefused
    │   └── ServerUntrusted
    ├── StoreError
    │   ├── StorePathRefused
    │   ├── StoreMissing
    │   ├── StoreFull
    │   ├── StoreDenied
    │   ├── StoreUnreachable
    │   └── StoreCorrupt
    ├── DatabaseError
    │   ├── DatabaseUnreachable
    │   ├── DatabaseBusy
    │   ├── DatabaseFull
    │   ├── DatabaseNewer
    │   └── DatabaseCorrupt
    ├── EngineError
    │   ├── WorkerStartFailed
    │   ├── ChannelBroken
    │   ├── BrokerUnreachable
    │   ├── BrokerRefused
    │   ├── BrokerMessageInvalid
    │   └── ProtocolMismatch
    └── TaskError               why one attempt at one task failed
        ├── InputMissing
        ├── InputUnreadable
        ├── InputChanged
        ├── OutputRefused
        ├── CommandFailed
        ├── CommandKilled
        ├── CommandNotFound
        ├── PipelineFailed
        ├── ModelFailed
        ├── TaskTimedOut
        ├── MemoryExceeded
        ├── ReuseStale
        └── WorkerLost
"""

from grange.errors.base import GrangeError
from grange.errors.parts import (
    AuditBroken,
    BrokerMessageInvalid,
    BrokerRefused,
    BrokerUnreachable,
    ChannelBroken,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseFull,
    DatabaseNewer,
    DatabaseUnreachable,
    EngineError,
    ExtraMissing,
    ProtocolMismatch,
    ServerError,
    ServerRefused,
    ServerUnreachable,
    ServerUntrusted,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StorePathRefused,
    StoreUnreachable,
    WorkerStartFailed,
)
from grange.errors.requests import (
    ArchiveRefused,
    ChecksumWrong,
    ClaimEnded,
    Conflict,
    CredentialsInvalid,
    ExportRefused,
    FolderNotFound,
    ForgeryRefused,
    FormatInvalid,
    GroupNotFound,
    InputsInvalid,
    ItemNotFound,
    ItemsFailed,
    LastAdmin,
    ModelInvalid,
    ModelNotFound,
    NameTaken,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutputInUse,
    ParameterInvalid,
    PasswordRefused,
    PipelineInvalid,
    PipelineNotFound,
    QuotaExceeded,
    RepeatedDifferently,
    RequestInvalid,
    RunBusy,
    RunEnded,
    RunIncomplete,
    RunNotFound,
    SettingInvalid,
    SetUpAlready,
    TokenNotFound,
    TooLarge,
    TooMany,
    TransitionIllegal,
    UploadConflict,
    UploadNotFound,
    UsageError,
    UserNotFound,
    WorkerNotFound,
)
from grange.errors.tasks import (
    CommandFailed,
    CommandKilled,
    CommandNotFound,
    InputChanged,
    InputMissing,
    InputUnreadable,
    MemoryExceeded,
    ModelFailed,
    OutputRefused,
    PipelineFailed,
    ReuseStale,
    TaskError,
    TaskTimedOut,
    WorkerLost,
)

__all__ = [
    "ArchiveRefused",
    "AuditBroken",
    "BrokerMessageInvalid",
    "BrokerRefused",
    "BrokerUnreachable",
    "ChannelBroken",
    "ChecksumWrong",
    "ClaimEnded",
    "CommandFailed",
    "CommandKilled",
    "CommandNotFound",
    "Conflict",
    "CredentialsInvalid",
    "DatabaseBusy",
    "DatabaseCorrupt",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseNewer",
    "DatabaseUnreachable",
    "EngineError",
    "ExportRefused",
    "ExtraMissing",
    "FolderNotFound",
    "ForgeryRefused",
    "FormatInvalid",
    "GrangeError",
    "GroupNotFound",
    "InputChanged",
    "InputMissing",
    "InputUnreadable",
    "InputsInvalid",
    "ItemNotFound",
    "ItemsFailed",
    "LastAdmin",
    "MemoryExceeded",
    "ModelFailed",
    "ModelInvalid",
    "ModelNotFound",
    "NameTaken",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "OutputInUse",
    "OutputRefused",
    "ParameterInvalid",
    "PasswordRefused",
    "PipelineFailed",
    "PipelineInvalid",
    "PipelineNotFound",
    "ProtocolMismatch",
    "QuotaExceeded",
    "RepeatedDifferently",
    "RequestInvalid",
    "ReuseStale",
    "RunBusy",
    "RunEnded",
    "RunIncomplete",
    "RunNotFound",
    "ServerError",
    "ServerRefused",
    "ServerUnreachable",
    "ServerUntrusted",
    "SetUpAlready",
    "SettingInvalid",
    "StoreCorrupt",
    "StoreDenied",
    "StoreError",
    "StoreFull",
    "StoreMissing",
    "StorePathRefused",
    "StoreUnreachable",
    "TaskError",
    "TaskTimedOut",
    "TokenNotFound",
    "TooLarge",
    "TooMany",
    "TransitionIllegal",
    "UploadConflict",
    "UploadNotFound",
    "UsageError",
    "UserNotFound",
    "WorkerLost",
    "WorkerNotFound",
    "WorkerStartFailed",
]
