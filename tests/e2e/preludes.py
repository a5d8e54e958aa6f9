"""What a shell or a terminal gives a program at its start, for a program that is forked (`preloaded`)."""

import signal
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.e2e.preloaded import PRELUDE

_CODE = """\
import os, signal, sys
ignored, session, files, closed = {arguments!r}
for number in ignored:
    signal.signal(number, signal.SIG_IGN)
if session:
    os.setsid()
for number, path in files:
    file = os.open(path, os.O_RDWR)
    os.dup2(file, number)
    os.close(file)
for number in closed:
    os.close(number)
    setattr(sys, ("stdin", "stdout", "stderr")[number], None)
"""


def given(
    folder: Path,
    *,
    ignored: Collection[signal.Signals] = (),
    session: bool = False,
    files: Mapping[int, str] | None = None,
    closed: Collection[int] = (),
) -> dict[str, str]:
    """The environment of a program that ignores these signals, and has these standard files, or lacks them.

    In a `session` of its own, the first terminal among its files becomes its controlling terminal. The code is written
    into `folder`.
    """
    path = folder / "prelude.py"
    arguments = ([int(number) for number in ignored], session, [*(files or {}).items()], [*closed])
    path.write_text(_CODE.format(arguments=arguments))
    return {PRELUDE: str(path)}
