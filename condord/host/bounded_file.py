"""Read configuration, key and token files: only regular files, up to a maximum size. Links are followed.

A file may be named by mistake: a FIFO would block the daemon, and /dev/zero would fill its memory. Owner and mode are
read from the open descriptor, as the path may lead elsewhere a moment later. Links and the directories above are not
checked, so a user who may write there can substitute another file. If the owner is checked, a file
of that user is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """The content of the file, and its fstat(2).

    Raises:
        OSError: it cannot be read, is not a regular file, or holds more than `max_bytes`; `strerror` has the reason.
    """
    # O_NONBLOCK, as opening a FIFO would wait for a writer; it does not affect regular files.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        raw = b""
        while len(raw) <= max_bytes and (part := os.read(file, max_bytes + 1 - len(raw))):
            raw += part
    finally:
        os.close(file)
    if len(raw) > max_bytes:
        raise OSError(errno.EFBIG, f"it holds more than {max_bytes} bytes")
    return raw, status


def foreign_owner(status: os.stat_result, user: int) -> int | None:
    """The uid of the owner of a file if that is neither `user` nor root, else None."""
    return None if status.st_uid in (0, user) else status.st_uid


def other_writers(status: os.stat_result, user: int) -> str:
    """Who else may write a configuration file, or empty. If `user` is root, owner and group count too."""
    if status.st_mode & stat.S_IWOTH:
        return "everyone"
    if user != 0:
        return ""
    if (owner := foreign_owner(status, user)) is not None:
        return f"its owner, user {owner},"
    return "its group" if status.st_mode & stat.S_IWGRP else ""
