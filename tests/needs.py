"""Optional requirements of tests. A test is skipped if one is missing, or fails if that requirement is mandatory.

`.ci/run` makes them mandatory with `CONDORD_BROWSER=required` and similar variables.
"""

import os
from collections import Counter
from typing import NamedTuple, NoReturn

import pytest

_PREFIX = "needs "


class Need(NamedTuple):
    """An optional requirement: the variable that makes it mandatory, and how to install it."""

    variable: str
    remedy: str


NEEDS = {
    "chromium": Need("CONDORD_BROWSER", "apt-get install chromium"),
    "the page": Need("CONDORD_PAGE", "install node, then pip install -e . again"),
    "node packages": Need("CONDORD_WEB", "install node, then npm ci in web/"),
    "nats-server": Need("CONDORD_NATS", "apt-get install nats-server"),
    "nginx": Need("CONDORD_PROXIES", "apt-get install nginx-light"),
    "systemd as root": Need(
        "CONDORD_SYSTEMD", "apt-get install systemd libpam-systemd dbus python3-venv iproute2 procps, and run as root"
    ),
    "containers as root": Need("CONDORD_CONTAINER", "apt-get install python3 util-linux, and run as root"),
    "a small disk": Need("", "run as root on Linux, where a tmpfs may be mounted"),
    "root": Need("", "run as root"),
    "promtool": Need("", "apt-get install prometheus"),
    "openssl": Need("", "apt-get install openssl"),
    "caddy": Need("", "install caddy"),
    "apprise": Need("CONDORD_APPRISE", "pip install 'condord[notify]'"),
    "schemathesis": Need("", "pip install schemathesis"),
}


def lacking(what: str, why: str = "") -> NoReturn:
    """Skip the calling test, or fail it if `what` is mandatory."""
    text = reason(what, why)
    if os.environ.get(NEEDS[what].variable) == "required":
        pytest.fail(text)
    pytest.skip(text)


def without(what: str, is_missing: bool) -> pytest.MarkDecorator:
    """A mark that skips a test if `is_missing`."""
    return pytest.mark.skipif(is_missing, reason=reason(what))


def reason(what: str, why: str = "") -> str:
    """The reason of a skip, in the form that `summary` recognizes."""
    assert what in NEEDS
    return f"{_PREFIX}{what}: {why}" if why else f"{_PREFIX}{what}"


def summary(skipped) -> list[str]:
    """A line for each missing requirement: the number of skipped tests by folder, and how to install it."""
    tests = {}
    for report in skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        what = text.removeprefix("Skipped: ").removeprefix(_PREFIX).partition(":")[0]
        if _PREFIX in text and what in NEEDS:
            tests.setdefault(what, Counter())[report.nodeid.rpartition("/")[0]] += 1
    return [
        f"{what} is missing, skipped: {', '.join(f'{count} in {folder}' for folder, count in sorted(folders.items()))}"
        f" (to run them: {NEEDS[what].remedy})"
        for what, folders in sorted(tests.items())
    ]
