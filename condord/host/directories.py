"""The user's directories for configuration and state.

In a container the user may have no entry in passwd and no HOME. That is not an error: the directories are None then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def config_directory() -> Path | None:
    """The directory of the user's configuration of condord; None without a home directory."""
    import platformdirs  # 10 ms, and not needed if the file is named

    return _known(lambda: platformdirs.user_config_path("condord"))


def state_directory() -> Path | None:
    """The directory of the user's state of condord; None without a home directory."""
    import platformdirs

    return _known(lambda: platformdirs.user_state_path("condord"))


def _known(find: Callable[[], Path]) -> Path | None:
    try:
        path = find()
    except RuntimeError:  # platformdirs 4.5 and later
        return None
    return path if path.is_absolute() else None  # earlier versions return "~/…", which is not expanded
