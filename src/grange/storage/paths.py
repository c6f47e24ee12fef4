"""The paths of a store, and how files outside of it are named in text.

Everything here is pure: no file is looked at.
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from grange.errors import StorePathRefused

# What Linux file systems hold in one name, and the kernel takes in one path.
COMPONENT_BYTES = 255
PATH_BYTES = 4096

# A key is made of that much of the URI, "#", and a digest in hexadecimal.
KEY_CHARACTERS = 255
KEY_DIGEST_BYTES = 32
KEY_PREFIX = KEY_CHARACTERS - 1 - 2 * KEY_DIGEST_BYTES

_ESCAPE = re.compile(r"(\\+)(?=udc[0-9a-f]{2})")
_SURROGATE = re.compile(r"(\\*)([\udc80-\udcff])")
# Ends a name that was cut; no byte is ever escaped to this.
_CUT = "\\udc00"
_CUT_DIGEST_BYTES = 16


def check_path(path: str) -> str:
    r"""Return the path if it is a store path, which can never lead out of a store.

    A store path is relative and separated by `/`. It has no empty component, no
    `.` and no `..`; a component has at most 255 bytes in UTF-8, the whole 4096.
    Anything else is allowed: newlines, quotes, a leading dash, any script.

    Raises:
        StorePathRefused: It is none; the message says why.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise _refused(path, "is not valid Unicode") from None
    if not encoded:
        raise StorePathRefused("An empty path names nothing in a store.")
    if b"\0" in encoded:
        raise _refused(path, "holds a NUL character")
    if len(encoded) > PATH_BYTES:
        raise _refused(path, f"has {len(encoded)} bytes, more than {PATH_BYTES}")
    for component in encoded.split(b"/"):
        if component in {b"", b".", b".."}:
            word = f"the component {component.decode()!r}" if component else "an empty component"
            raise _refused(path, f"is not plain and relative: it has {word}")
        if len(component) > COMPONENT_BYTES:
            raise _refused(path, f"has a component of more than {COMPONENT_BYTES} bytes")
    return path


def display_path(os_path: bytes | str) -> str:
    r"""A name of the file system as valid text: no two names become the same.

    Names in UTF-8 stay what they are, but for backslashes that look like the
    escape: a byte that is not UTF-8 is written as `\udcXX`. A component that gets
    longer than 255 bytes by that is cut and ends in a digest.
    """
    if isinstance(os_path, str) and os_path.isascii() and "\\" not in os_path:
        return os_path
    name = os_path if isinstance(os_path, bytes) else os.fsencode(os_path)
    return "/".join(_display_component(component) for component in name.split(b"/"))


def file_uri(path: Path) -> str:
    """The `file://` URI of an absolute path, exact for every name that a file can have."""
    if not path.is_absolute():
        raise _refused(str(path), "is not absolute")
    try:
        return "file://" + quote_from_bytes(os.fsencode(path))
    except UnicodeEncodeError:
        raise _refused(str(path), "is not valid Unicode") from None


def uri_path(uri: str) -> Path:
    """The path that `file_uri` was given."""
    return Path(uri_name(uri))


def uri_name(uri: str) -> str:
    """The same as text, for who needs no `Path` of it: to make one costs as much as to open it."""
    scheme, _, rest = uri.partition("://")
    host, separator, path = rest.partition("/")
    if scheme.lower() != "file" or not separator or host not in {"", "localhost"}:
        raise StorePathRefused(f"{uri!r} is not the URI of a file on this machine.")
    if "%" not in path and path.isascii():
        return "/" + path
    name = unquote_to_bytes("/" + path)
    if b"\0" in name:
        raise _refused(uri, "holds a NUL character")
    return os.fsdecode(name)


def uri_key(uri: str) -> str:
    """A key for the URI, of at most 255 ASCII characters, as sortable as the URI.

    A URI that fits is its own key. A longer one keeps its beginning, so that keys
    sort as their URIs do as far as that reaches; a digest tells them apart.
    """
    if not uri.isascii():
        raise _refused(uri, "is no URI, which would be plain ASCII")
    if len(uri) <= KEY_CHARACTERS:
        return uri
    digest = blake2b(uri.encode(), digest_size=KEY_DIGEST_BYTES).hexdigest()
    return f"{uri[:KEY_PREFIX]}#{digest}"


def _refused(path: str, reason: str) -> StorePathRefused:
    return StorePathRefused(f"The path {path!r} {reason}.")


def _display_component(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    # Backslashes before something that reads as an escape are doubled, so an odd
    # number of them is always an escape of ours.
    text = _ESCAPE.sub(r"\1\1", text)
    text = _SURROGATE.sub(_escaped, text)
    encoded = text.encode()
    if len(encoded) <= COMPONENT_BYTES or len(name) > COMPONENT_BYTES:
        return text
    digest = blake2b(name, digest_size=_CUT_DIGEST_BYTES).hexdigest()
    end = f"{_CUT}{digest}"
    # Cut before any backslash, which would change how the end is read.
    kept = encoded[: COMPONENT_BYTES - len(end)].decode(errors="ignore").rstrip("\\")
    return kept + end


def _escaped(match: re.Match[str]) -> str:
    return f"{match[1] * 2}\\u{ord(match[2]):04x}"
