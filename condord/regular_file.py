"""Decides which files are read for configuration, keys and tokens: regular ones of a bounded size, links followed.

What is read may be named by mistake. A FIFO would hold up the daemon, /dev/zero would fill its memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(path: Path, most_bytes: int) -> tuple[bytes, int]:
    """What the file holds, and its mode.

    Raises:
        OSError: it cannot be read, is no regular file, or holds more than `most_bytes`; `strerror` says which.
    """
    # Without blocking: nobody may ever write to a FIFO. A regular file does not care.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        raw = b""
        while len(raw) <= most_bytes and (part := os.read(file, most_bytes + 1 - len(raw))):
            raw += part
    finally:
        os.close(file)
    if len(raw) > most_bytes:
        raise OSError(errno.EFBIG, f"it holds more than {most_bytes} bytes")
    return raw, mode
