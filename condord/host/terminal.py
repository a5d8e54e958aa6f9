"""Check whether the terminal that started this process is still there.

SIGHUP means either that the terminal hung up or that the daemon should reload. If the terminal is gone, it hung up.
"""

from __future__ import annotations

import os

CONTROLLING = "/dev/tty"


def is_attached(path: str = CONTROLLING) -> bool:
    """Whether this process has a controlling terminal (tty(4)). A service has none, and a hang-up takes it away."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
