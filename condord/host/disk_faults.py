"""Why a file cannot be written, for people, and what to do about it.

The system's own words mislead for two causes: a file where a directory should be ("File exists"), and a limit of the
size of files, for which SQLite has only its code of a failed write.
"""

from __future__ import annotations

import errno
import resource
from pathlib import Path

from condord.live.remedies import FILE_SIZE_REMEDY, NOT_A_DIRECTORY_REMEDY, WRITABLE

HANGS = "the disk does not respond"


def reason_of(error: OSError, directory: Path) -> str:
    """Return why a file in `directory` cannot be written."""
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and (found := _file_in_the_way(directory)) is not None:
        return f"{found} is not a directory"
    if error.errno == errno.EFBIG and (limit := size_limit()) is not None:
        return limit_reached(limit)
    return error.strerror or str(error)


def remedy_for(reason: str) -> str:
    """Return what to do about a reason of `reason_of` or `limit_reached`, or about any other."""
    if reason.endswith("is not a directory"):
        return NOT_A_DIRECTORY_REMEDY
    return FILE_SIZE_REMEDY if reason.startswith(_LIMIT) else WRITABLE


def size_limit() -> int | None:
    """Return the largest size in bytes of a file that this process may write; None if there is no limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit


def limit_reached(limit: int) -> str:
    """Return the reason that a file would be larger than `limit`, in bytes."""
    return f"{_LIMIT} {limit:,} bytes"


_LIMIT = "this process may not write files of more than"


def _file_in_the_way(directory: Path) -> Path | None:
    """Return the first part of the path that exists and is not a directory."""
    parts = (*reversed(directory.parents), directory)
    return next((part for part in parts if part.exists() and not part.is_dir()), None)
