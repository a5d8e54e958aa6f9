"""Makers as child processes that get no further than their configuration; tests/cluster/processes has whole ones."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from condord.cluster.maker_channel import Begin
from condord.daemon.maker_process import MakerProcess
from condord.errors import AccessDenied, ConfigError
from condord.host.deadline import EXIT_EXPIRED, boot_seconds

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 120
KEYS = {"APCA_API_KEY_ID": "KEYFORTESTS", "APCA_API_SECRET_KEY": "secret-for-tests"}

pytestmark = pytest.mark.slow


def environ(**changes):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
    return {**clean, "HOME": "/nonexistent", **changes}


def begin(**flags):
    return Begin(config_file=None, account_digest="a1b2", flags=flags, state_directory="/nonexistent")


def open_descriptors():
    return {each.name for each in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def _in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def run(work):
    async def bounded():
        async with asyncio.timeout(BOUND_SECONDS):
            await work

    asyncio.run(bounded())


@pytest.mark.parametrize(
    ("changes", "flags", "kind", "code"),
    [
        (KEYS, {"log.level": "loud"}, ConfigError, 78),
        (KEYS, {"cluster.account": "another"}, ConfigError, 78),
        ({}, {}, AccessDenied, 77),
    ],
)
def test_a_permanent_error_is_passed_on(changes, flags, kind, code):
    async def main():
        maker = await MakerProcess.start(environ(**changes))
        assert not maker.has_ended
        maker.begin(begin(**flags), boot_seconds() + BOUND_SECONDS)
        assert await maker.wait() == code
        assert maker.has_ended
        assert type(maker.fatal) is kind
        assert maker.fatal.exit_code == code
        assert str(maker.fatal)
        maker.extend(0.0)
        maker.reload()

    run(main())


def test_a_waiting_maker_ends_at_its_deadline_and_after_a_stop_or_a_kill():
    async def main():
        expired, stopped, killed = [await MakerProcess.start(environ()) for _ in range(3)]
        expired.extend(boot_seconds())
        assert await expired.wait() == EXIT_EXPIRED
        assert expired.fatal is None
        stopping = asyncio.create_task(stopped.wait())
        await stopped.stop()
        assert await stopping in (0, -signal.SIGTERM, EXIT_EXPIRED)
        await killed.kill()
        assert killed.has_ended
        await killed.kill()

    run(main())


def test_a_maker_that_cannot_be_started_leaves_nothing_open(monkeypatch):
    async def main():
        before = open_descriptors()
        with pytest.raises(OSError, match="nonexistent"):
            await MakerProcess.start(environ())
        assert open_descriptors() == before

    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    run(main())
