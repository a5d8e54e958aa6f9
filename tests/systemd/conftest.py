"""One booted machine for each test process, with a fresh configuration of condord for each test."""

import contextlib

import pytest

from tests.e2e.running import fetch, until
from tests.needs import lacking
from tests.systemd.machine import KEYS, SIMULATOR, Machine, Unbootable, configuration, install


@pytest.fixture(scope="session")
def boot():
    """A function that boots a machine. If none can be booted it skips the test, or fails if CONDORD_SYSTEMD=required."""

    def attempt() -> Machine:
        try:
            return Machine()
        except Unbootable as error:
            lacking("systemd as root", str(error))

    return attempt


@pytest.fixture(scope="session")
def booted(boot):
    with contextlib.closing(boot()) as machine:
        install(machine)
        yield machine


@pytest.fixture
def machine(booted):
    """A machine in which condord is installed and stopped; afterwards its journal must have no traceback and no key."""
    booted.run("systemctl stop condord.socket condord; rm -rf /etc/systemd/system/condord.*.d")
    booted.run("systemctl daemon-reload; systemctl reset-failed")
    booted.drop_in("[Service]\nRestartSec=200ms\n")
    booted.write("/etc/condord/condord.toml", configuration())
    for name, key in KEYS.items():
        booted.write(f"/etc/condord/{name}", key + "\n", 0o600)
    booted.mark()
    with booted.network():
        until(lambda: _answers(f"{SIMULATOR.trading_url}/simulator/state"), "the simulator answers")
        yield booted
    journal = booted.journal()
    assert "Traceback" not in journal
    assert not [key for key in KEYS.values() if key in journal]


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return fetch(url)[0] == 200
    return False
