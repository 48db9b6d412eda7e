"""Zip archives in memory: their members, a limit on their sizes, and the place where a truncated archive ends."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator

from leepjax.models.files.content import Content, ContentError


def open_archive(content: Content) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        ContentError: when its members are implausibly large for its size.
        zipfile.BadZipFile: when the content isn't a zip archive.
    """
    archive = zipfile.ZipFile(io.BytesIO(content.data))
    size = sum(member.file_size for member in archive.infolist())
    if size > content.budget:
        raise ContentError(f"members of {size:,} bytes in an archive of {len(content.data):,}")
    return archive


def archive_end(content: bytes, describe: Callable[[bytes, str], str]) -> str | None:
    """Describe where a zip archive without its central directory is truncated: in the last member that begins."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        return None
    members = [name for name, _ in archive_members(content)]
    try:
        return f"an archive that breaks off at {describe(content, members[-1])}" if members else None
    except Exception:  # the part with the details is missing as well
        return f"an archive that breaks off at member {members[-1]}"


def archive_members(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield name and offset of each member of a zip archive, found without its central directory."""
    found = content.find(b"PK\x03\x04")
    while found >= 0 and found + 30 <= len(content):
        name_size, extra_size = struct.unpack_from("<HH", content, found + 26)
        end = found + 30 + name_size
        if end <= len(content):
            yield content[found + 30 : end].decode("utf-8", "replace"), end + extra_size
        found = content.find(b"PK\x03\x04", end)
