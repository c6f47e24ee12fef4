"""Folders of sent files, uploads in pieces (tus 1.0), and what the server sees itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from secrets import token_hex

from grange.client.connection import Answered, Connection
from grange.client.paging import every, quoted
from grange.client.schemas.basis import Page
from grange.client.schemas.files import (
    Folder,
    FolderFile,
    Missing,
    NewFile,
    NewFiles,
    NewFolder,
    Share,
    ShareMatch,
    ShareProbe,
    Unpack,
    Unpacked,
    Upload,
)
from grange.client.trouble import not_understood

TUS = {"Tus-Resumable": "1.0.0"}


class Files:
    """What the API says and does about files that people send."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def make_folder(self, new: NewFolder, *, key: str | None = None) -> Folder:
        """Make a folder; with a key, only once."""
        return self._at.post(Folder, "folders", new, key=key)

    def list_folders(self, *, after: str | None = None, limit: int = 50) -> Page[Folder]:
        """A part of one's folders."""
        return self._at.get(Page[Folder], "folders", {"after": after, "limit": limit})

    def show_folder(self, folder: str) -> Folder:
        """One folder."""
        return self._at.get(Folder, f"folders/{quoted(folder)}")

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with its files."""
        self._at.send("DELETE", f"folders/{quoted(folder)}")

    def add_files(self, folder: str, files: Sequence[NewFile]) -> Missing:
        """Put files into a folder whose content the server has from us already."""
        # The very same request does the very same thing, so it may be sent again.
        body = NewFiles(files=list(files))
        key = sha256(body.model_dump_json().encode()).hexdigest()
        return self._at.post(Missing, f"folders/{quoted(folder)}/files", body, key=key)

    def list_files(
        self, folder: str, *, after: str | None = None, limit: int = 1000
    ) -> Page[FolderFile]:
        """A part of a folder's files."""
        query = {"after": after, "limit": limit}
        return self._at.get(Page[FolderFile], f"folders/{quoted(folder)}/files", query)

    def every_file(self, folder: str) -> Iterator[FolderFile]:
        """All files of a folder, page by page."""
        return every(lambda after: self.list_files(folder, after=after))

    def unpack_archive(self, folder: str, upload: str) -> Unpacked:
        """Unpack a finished upload into a folder."""
        return self._at.post(Unpacked, f"folders/{quoted(folder)}/archives", Unpack(upload=upload))

    def list_shares(self) -> Page[Share]:
        """The folders that the server sees itself."""
        return self._at.get(Page[Share], "shares")

    def probe_share(self, probe: ShareProbe) -> ShareMatch:
        """Whether the server sees the very same at a path as we do."""
        return self._at.post(ShareMatch, "shares/probe", probe)

    def begin_upload(self, size: int, *, name: str, folder: str = "", path: str = "") -> str:
        """Begin an upload; returns its id."""
        said = {"filename": name, "folder": folder, "path": path}
        words = [f"{one} {b64encode(said[one].encode()).decode()}" for one in said if said[one]]
        # Repeating it does no harm: an upload that nobody goes on with expires.
        headers = TUS | {"Upload-Length": str(size), "Upload-Metadata": ",".join(words)}
        place: str = self._at.send(
            "POST", "uploads", headers=headers, key=token_hex(16)
        ).headers.get("location", "")
        return place.rstrip("/").rpartition("/")[2]

    def show_upload(self, upload: str) -> Upload:
        """An upload, with its content's digest once it is whole."""
        return self._at.get(Upload, f"uploads/{quoted(upload)}")

    def show_upload_offset(self, upload: str) -> int:
        """How many bytes of an upload are on the server's disk."""
        return _offset(self._at.send("HEAD", f"uploads/{quoted(upload)}", headers=TUS))

    def send_part(self, upload: str, offset: int, content: bytes) -> int:
        """Send the piece that begins at `offset`; returns where the next one begins."""
        digest = b64encode(sha256(content).digest()).decode()
        headers = TUS | {
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {digest}",
            "Content-Type": "application/offset+octet-stream",
        }
        path = f"uploads/{quoted(upload)}"
        return _offset(self._at.send("PATCH", path, content=content, headers=headers))

    def drop_upload(self, upload: str) -> None:
        """Give an upload up."""
        self._at.send("DELETE", f"uploads/{quoted(upload)}", headers=TUS)

    def show_upload_abilities(self) -> dict[str, str]:
        """What the server can do with uploads, as its headers say."""
        headers = self._at.send("OPTIONS", "uploads").headers
        return {name: value for name, value in headers.items() if name.startswith("tus-")}


def _offset(answered: Answered) -> int:
    text = answered.headers.get("upload-offset", "")
    if not text.isascii() or not text.isdigit():
        raise not_understood("an upload's piece")
    return int(text)
