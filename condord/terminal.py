"""Decides whether the terminal that this process was started from is still there.

A hang-up comes as SIGHUP, which also asks a daemon to reload: only the terminal tells the two apart.
"""

from __future__ import annotations

import os

CONTROLLING = "/dev/tty"


def is_there(path: str = CONTROLLING) -> bool:
    """Whether this process has a terminal that controls it (tty(4)): no daemon has, nor one whose terminal hung up."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
