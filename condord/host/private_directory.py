"""A directory that only this user can enter, for the sockets between the processes of one server."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from condord.errors import Unavailable

MAX_PARENT_BYTES = 78
"""The path of a unix socket may have 107 bytes, of which `/condord-xxxxxxxx/source.sock` takes 29."""


@contextlib.contextmanager
def private_directory(environ: Mapping[str, str], *, purpose: str, hint: str) -> Iterator[Path]:
    """Make a directory with mode 0700, and remove it with all its files at the end.

    It is in the runtime directory of the unit or of the user, where that can be used, or else a temporary directory.

    Raises:
        Unavailable: none can be made; the text names `purpose`.
    """
    try:
        made = tempfile.TemporaryDirectory(
            prefix="condord-", dir=_runtime_directory(environ), ignore_cleanup_errors=True
        )
    except OSError as error:
        raise Unavailable(f"there is no private directory for {purpose}: {error.strerror}", hint) from error
    with made as path:
        yield Path(path)


def _runtime_directory(environ: Mapping[str, str]) -> str | None:
    named = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or environ.get("XDG_RUNTIME_DIR", "")
    is_usable = len(os.fsencode(named)) <= MAX_PARENT_BYTES and os.access(named, os.W_OK | os.X_OK)
    return named if named and is_usable else None
