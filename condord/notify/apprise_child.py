"""Send one message by Apprise, as a program of its own, and print the outcome as one line of JSON.

Apprise takes half a second and 50 MB to import, blocks, and logs URLs. So it runs in a child process that ends after
one message. The request is JSON on stdin: `url`, `title`, `body`, `type`. The outcome is `sent`, `failed`, `badUrl` or
`notInstalled`, with `status` where Apprise names an HTTP error. This file imports nothing of
condord, so it starts fast.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import resource
import signal
import sys

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 20
LIFE_SECONDS = 25
"""The parent ends it earlier, unless the parent itself was killed."""
MAX_REQUEST_BYTES = 1 << 20

_STATUS = re.compile(r"\berror[=:] ?(\d{3})\b")


class _Statuses(logging.Handler):
    """Keeps only the HTTP status of Apprise's log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.last: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found:
            self.last = int(found[1])


def main() -> None:
    """Send the message on stdin, and print the outcome."""
    _bound()
    request = json.loads(sys.stdin.buffer.read(MAX_REQUEST_BYTES))
    outcome, status = _send(request["url"], request["title"], request["body"], request["type"])
    print(json.dumps({"outcome": outcome, "status": status}), flush=True)  # noqa: T201 - it is what the parent reads


def _bound() -> None:
    signal.alarm(LIFE_SECONDS)
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it, and then has limits of its own
            hard = resource.getrlimit(limit)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (bound, bound))


def _send(url: str, title: str, body: str, kind: str) -> tuple[str, int | None]:
    try:
        import apprise
    except ImportError:
        return "notInstalled", None
    statuses = _Statuses()
    logger = logging.getLogger("apprise")
    logger.handlers = [statuses]
    logger.propagate = False
    service = apprise.Apprise()
    if not service.add(url):
        return "badUrl", None
    if service.notify(title=title, body=body, notify_type=kind, body_format="text"):
        return "sent", None
    return "failed", statuses.last


if __name__ == "__main__":
    main()
