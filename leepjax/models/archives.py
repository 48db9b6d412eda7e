"""Zip archives in memory: their members, how much they may hold, and where one that was cut short breaks off."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator

from leepjax.models.content import Content, ContentError


def open_archive(content: Content) -> zipfile.ZipFile:
    """The archive, unless its members are too large for its size.

    Raises:
        ContentError: when they are.
        zipfile.BadZipFile: when it isn't one.
    """
    archive = zipfile.ZipFile(io.BytesIO(content.data))
    size = sum(member.file_size for member in archive.infolist())
    if size > content.budget:
        raise ContentError(f"members of {size:,} bytes in an archive of {len(content.data):,}")
    return archive


def archive_place(content: bytes, describe: Callable[[bytes, str], str]) -> str | None:
    """Where a zip archive without the list at its end breaks off: in the last member that it begins."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        return None
    members = [name for name, _ in archive_members(content)]
    try:
        return f"an archive that breaks off at {describe(content, members[-1])}" if members else None
    except Exception:  # what would say more is cut off too
        return f"an archive that breaks off at member {members[-1]}"


def archive_members(content: bytes) -> Iterator[tuple[str, int]]:
    """Name and beginning of each member of a zip archive, found without the list at its end."""
    found = content.find(b"PK\x03\x04")
    while found >= 0 and found + 30 <= len(content):
        name_size, extra_size = struct.unpack_from("<HH", content, found + 26)
        end = found + 30 + name_size
        if end <= len(content):
            yield content[found + 30 : end].decode("utf-8", "replace"), end + extra_size
        found = content.find(b"PK\x03\x04", end)
