"""A real nats-server with JetStream, on a port and a directory of its own, which tests stop, kill and start again."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from condord.cluster.bus import Bus, BusError, BusSettings
from condord.cluster.nats_client import BusLogin
from condord.host.secret import Secret
from tests.needs import lacking

PROGRAM = shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")
TIMEOUT_SECONDS = 30.0
USER = BusLogin(kind="password", secret=Secret("u:p"))


def permitting(publish, subscribe=(">",)):
    """The line of a server whose user `u` may do this."""
    return (
        "authorization { users: [{ user: u, password: p, permissions: "
        f"{{ publish: {json.dumps(publish)}, subscribe: {json.dumps(subscribe)} }} }}] }}"
    )


class NatsServer:
    """Starts with its construction. `lines` are added to its configuration file."""

    def __init__(self, directory, *lines, max_payload="8MB"):
        if PROGRAM is None:
            lacking("nats-server")
        self.directory = directory
        self.max_payload = max_payload
        self.port = -1  # any free one; the same again after `start`
        self.lines = lines
        self.process = None
        self.start()

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store(self):
        return self.directory / "store"

    def start(self):
        """Start the server, and wait until it answers."""
        text = [
            f"listen: 127.0.0.1:{self.port}",
            f"max_payload: {self.max_payload}",
            f"jetstream {{ store_dir: {json.dumps(str(self.store))} }}" if "nojetstream" not in self.lines else "",
            *(line for line in self.lines if line != "nojetstream"),
        ]
        file, ports = self.directory / "nats.conf", self.directory / "ports"
        file.write_text("\n".join(text))
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        self.process = subprocess.Popen(
            [PROGRAM, "--config", file, "--ports_file_dir", ports, "--log", self.directory / "nats.log"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self._await_answer(ports)
        except BaseException:
            self.close()
            raise

    def _await_answer(self, ports):
        until = time.monotonic() + TIMEOUT_SECONDS
        while not self._answers(ports):
            if self.process.poll() is not None or time.monotonic() > until:
                log = self.directory / "nats.log"
                raise AssertionError(log.read_text()[-2000:] if log.exists() else "it has written no log")
            time.sleep(0.02)

    def _answers(self, ports):
        with contextlib.suppress(OSError, ValueError):
            found = json.loads("".join(file.read_text() for file in ports.glob("*.ports")))
            self.port = int((found.get("nats") or found["tls"])[0].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"INFO"
        return False

    def reload(self, *lines):
        """Replace the added lines, without a restart."""
        file = self.directory / "nats.conf"
        text = file.read_text()
        for old, new in zip(self.lines, lines, strict=True):
            text = text.replace(old, new)
        file.write_text(text)
        self.lines = lines
        os.kill(self.process.pid, signal.SIGHUP)

    def kill(self):
        """End the server as a crash would."""
        self.process.kill()
        self.process.wait(TIMEOUT_SECONDS)

    def lose_store(self):
        """Remove what JetStream has stored; the server must not run."""
        shutil.rmtree(self.store)

    def pause(self):
        """Stop it as a machine that hangs, until `resume`."""
        os.kill(self.process.pid, signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        until = time.monotonic() + TIMEOUT_SECONDS
        while any((thread / "stat").read_text().rpartition(")")[2].split()[0] != "T" for thread in threads.iterdir()):
            assert time.monotonic() < until
            time.sleep(0.005)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.kill()

    def settings(self, login=None, context=ssl.create_default_context, url=None, inbox="_INBOX"):
        return BusSettings(urls=(url or self.url,), login=login, context=context, inbox=inbox)

    def bus(self, name="test", refused=None, **settings):
        """A bus, to be run."""
        return Bus(self.settings(**settings), name=name, refused=refused or unexpected, chance=lambda: 0.0)


def unexpected(error):
    raise error


@pytest.fixture
def nats_server(tmp_path):
    """Makes servers with lines for their configuration; they end with the test."""
    with contextlib.ExitStack() as stack:

        def make(*lines, **options):
            directory = tmp_path / f"nats-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            server = NatsServer(directory, *lines, **options)
            stack.callback(server.close)
            return server

        yield make


@contextlib.asynccontextmanager
async def running(*buses):
    """Run buses, and wait until each is connected; an error of one is raised at the end."""
    tasks = [asyncio.create_task(bus.run()) for bus in buses]
    try:
        await eventually(lambda: all(bus.is_connected for bus in buses), tasks)
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError):
            raise end


async def eventually(condition, tasks=()):
    """Wait until `condition` returns something true, and return that; it may be a coroutine function."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            for task in tasks:
                if task.done():
                    task.result()
            with contextlib.suppress(BusError):
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
            await asyncio.sleep(0.02)
