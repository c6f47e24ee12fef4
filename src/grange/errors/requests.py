"""What is wrong with a request, or in its way: in itself, for want of rights, or just now."""

from __future__ import annotations

from grange.errors.base import GrangeError


class UsageError(GrangeError):
    """The request itself is wrong: repeating it unchanged cannot help."""

    code = "usage"


class SettingInvalid(UsageError):
    """A setting has a value that its type or range refuses."""

    code = "setting.invalid"


class ParameterInvalid(UsageError):
    """A pipeline's parameter is unknown or has a value that it refuses."""

    code = "parameter.invalid"


class InputsInvalid(UsageError):
    """The inputs of a run name nothing that could be worked on."""

    code = "inputs.invalid"


class PipelineInvalid(UsageError):
    """A pipeline's own code can't be loaded or breaks the interface."""

    code = "pipeline.invalid"


class ModelInvalid(UsageError):
    """A model's file or manifest is damaged, or its graph fits no layout that is known."""

    code = "model.invalid"


class FormatInvalid(UsageError):
    """A file of results is in no format that is known, or breaks the rules of its own."""

    code = "format.invalid"


class ExportRefused(UsageError):
    """What a format demands is in neither the run nor the request."""

    code = "export.refused"


class RequestInvalid(UsageError):
    """A request to the server has a part that is missing or makes no sense."""

    code = "request.invalid"


class PasswordRefused(UsageError):
    """A new password is too short, too long or too common."""

    code = "password.refused"


class ArchiveRefused(UsageError):
    """An archive holds something that must not be unpacked, or too much of it."""

    code = "archive.refused"


class ChecksumWrong(UsageError):
    """What arrived of an upload is not what was sent."""

    code = "upload.checksum"


class TooLarge(GrangeError):
    """A request, or a part of it, is larger than allowed."""

    code = "request.too_large"


class QuotaExceeded(TooLarge):
    """The user's share of the server's room is used up."""

    code = "quota.exceeded"


class NotAuthenticated(GrangeError):
    """The request says nothing that proves who is asking."""

    code = "auth.required"


class CredentialsInvalid(NotAuthenticated):
    """The password, token, session or one-time link is wrong, expired or revoked."""

    code = "auth.invalid"


class NotAllowed(GrangeError):
    """Whoever is asking may not do this."""

    code = "auth.not_allowed"


class ForgeryRefused(NotAllowed):
    """A browser's request lacks the proof that a page of this server made it."""

    code = "auth.forgery"


class TooMany(GrangeError):
    """Too many requests, or too many at once."""

    code = "rate.limited"

    def __init__(self, message: str, *, hint: str = "", retry_seconds: float = 1.0) -> None:
        """Say also after how many seconds it is worth another try."""
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class NotFound(GrangeError):
    """What was asked for does not exist."""

    code = "not_found"


class RunNotFound(NotFound):
    """No run has this id or name."""

    code = "run.not_found"


class ItemNotFound(NotFound):
    """The run has no item of this path."""

    code = "item.not_found"


class PipelineNotFound(NotFound):
    """No installed pipeline has this name."""

    code = "pipeline.not_found"


class ModelNotFound(NotFound):
    """No model has this name."""

    code = "model.not_found"


class UserNotFound(NotFound):
    """No user has this id or address."""

    code = "user.not_found"


class GroupNotFound(NotFound):
    """No group has this id or name."""

    code = "group.not_found"


class TokenNotFound(NotFound):
    """No token or session has this id."""

    code = "token.not_found"


class FolderNotFound(NotFound):
    """No folder of files has this id."""

    code = "folder.not_found"


class UploadNotFound(NotFound):
    """No upload has this id; it may have expired."""

    code = "upload.not_found"


class WorkerNotFound(NotFound):
    """No worker has this id or name."""

    code = "worker.not_found"


class Conflict(GrangeError):
    """The request is fine in itself, but not in the present state of things."""

    code = "conflict"


class ClaimEnded(Conflict):
    """The attempt is not the task's present one, or the task is not being worked on any more."""

    code = "claim.ended"


class NameTaken(Conflict):
    """Another one has this name already."""

    code = "name.taken"


class SetUpAlready(Conflict):
    """The server has its first administrator already."""

    code = "setup.done"


class LastAdmin(Conflict):
    """Without its last administrator nobody could look after the site."""

    code = "user.last_admin"


class UploadConflict(Conflict):
    """An upload's part does not begin where the last one ended, or another one is being sent."""

    code = "upload.conflict"


class RepeatedDifferently(Conflict):
    """An idempotency key came again with another request."""

    code = "request.repeated_differently"


class OutputInUse(Conflict):
    """Another unfinished run writes to the same output folder."""

    code = "run.output_in_use"


class RunBusy(Conflict):
    """Another process is working on the run."""

    code = "run.busy"


class RunEnded(Conflict):
    """The run has ended, and what was asked needs one that has not."""

    code = "run.ended"


class RunIncomplete(Conflict):
    """The run's inputs have not all been taken in."""

    code = "run.incomplete"


class ItemsFailed(Conflict):
    """The run has ended, and not all of its items are done."""

    code = "run.items_failed"


class TransitionIllegal(Conflict):
    """A state change that the rules do not allow."""

    code = "state.illegal"
