"""Folders of sent files: made, filled with what is known or packed, and used as inputs of runs."""

from __future__ import annotations

from grange.client.schemas import files as schemas
from grange.client.schemas.basis import Page
from grange.errors import Conflict
from grange.server.api.basis import After, IdInPath, Limit, Router, page
from grange.server.heavy import UNPACKING
from grange.server.idempotency import Repeatable
from grange.server.visitors import Here, Submitter, Visitor
from grange.uploads.models import NamedFile

router = Router(prefix="/folders", tags=["folders"])


@router.post("", status_code=201)
def make_folder(
    body: schemas.NewFolder, submitter: Submitter, here: Here, once: Repeatable
) -> schemas.Folder:
    """Make a folder."""
    make = here.uploads.make_folder
    return once.make(
        schemas.Folder,
        body,
        lambda own: schemas.Folder.model_validate(make(submitter, body.name, own)),
    )


@router.get("")
def list_folders(
    visitor: Visitor, here: Here, after: After = None, limit: Limit = 50
) -> Page[schemas.Folder]:
    """Your own folders, the newest first."""
    found = here.uploads.folders(visitor, after, limit)
    return page(found, schemas.Folder.model_validate)


@router.get("/{folder}")
def show_folder(folder: IdInPath, visitor: Visitor, here: Here) -> schemas.Folder:
    """A folder."""
    return schemas.Folder.model_validate(here.uploads.folder(visitor, folder))


@router.delete("/{folder}", status_code=204)
def delete_folder(folder: IdInPath, submitter: Submitter, here: Here) -> None:
    """Delete a folder, and the uploads on their way to it, unless an unfinished run needs it."""
    run = here.runs.unfinished_over(str(here.uploads.place_of(submitter, folder)))
    if run is not None:
        raise Conflict(
            f"Run {run} reads from this folder and has not ended.",
            hint="Wait for its end, or cancel it first.",
        )
    here.uploads.delete_folder(submitter, folder)


@router.get("/{folder}/files")
def list_files(
    folder: IdInPath, visitor: Visitor, here: Here, after: After = None, limit: Limit = 1000
) -> Page[schemas.FolderFile]:
    """The files in a folder, by their paths."""
    found = here.uploads.files(visitor, folder, after, limit)
    return page(found, schemas.FolderFile.model_validate)


@router.post("/{folder}/files")
def add_files(
    folder: IdInPath, body: schemas.NewFiles, submitter: Submitter, here: Here
) -> schemas.Missing:
    """Put those files into a folder whose content you have sent before; the others are missing."""
    named = [NamedFile(path=one.path, size=one.size, sha256=one.sha256) for one in body.files]
    return schemas.Missing.model_validate(here.uploads.add_known(submitter, folder, named))


@router.post("/{folder}/archives")
async def unpack_archive(
    folder: IdInPath, body: schemas.Unpack, submitter: Submitter, here: Here
) -> schemas.Unpacked:
    """Unpack a finished upload of a .zip or .tar(.gz|.bz2|.xz) into a folder."""
    unpack = here.uploads.unpack
    return await UNPACKING.do(
        submitter.user.id,
        lambda: schemas.Unpacked.model_validate(unpack(submitter, folder, body.upload)),
    )
