"""Check the address to listen on, and the daemon that may answer there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from condord.check.report import Check, Name, answering, fail, not_answering, not_tried, ok, warn
from condord.check.schedule import Probe
from condord.client.failures import NothingRead
from condord.client.http import Daemon, decoded
from condord.config.schema import Config
from condord.daemon import account_source, web, wiring
from condord.errors import AccessDenied, CondordError, Unavailable
from condord.host import instance_lock
from condord.host.thread_pool import DaemonPool
from condord.http import server
from condord.live import wire
from condord.live.channel_remedies import DISABLED_REMEDY
from condord.live.remedies import sentence, split_loss
from condord.live.wire_alerts import AlertsJson
from condord.upstream import state_files
from condord.upstream.interfaces import Login


class LocalProbes:
    """The probes of this machine; `report` is the status of the daemon that answers, None without one.

    `unread` is what an ingester on a bus answers instead while it has no document.
    `daemon` is a client for the configured address, None if that is not known. `login` is None if no key was found.
    """

    def __init__(
        self, config: Config, login: Login | None, *, daemon: Daemon | None, environ: Mapping[str, str]
    ) -> None:
        self.report: wire.StatusReport | None = None
        self.unread: wire.UnreadProblem | None = None
        self._config = config
        self._login = login
        self._daemon = daemon
        self._environ = environ
        self._disabled: list[str] = []
        self._port = not_tried("port-free", "it has not been checked")
        self._pool = DaemonPool(1, name="checks")

    @property
    def probes(self) -> dict[Name, Probe]:
        """The probe of each check."""
        return {"port-free": self._port_free, "daemon-answers": self._daemon_answers}

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown()

    async def _port_free(self) -> Check:
        self._port = await asyncio.get_running_loop().run_in_executor(self._pool, self._try_port)
        return self._port

    def _try_port(self) -> Check:
        """Check, on a thread, that the address is free or that a condord answers there."""
        name: Name = "port-free"
        try:
            with server.listening(web.address(self._config.server), ()) as sockets:
                return ok(name, f"{server.listener_url(sockets[0])} is free")
        except Unavailable as taken:
            if self._daemon is None:
                return fail(name, str(taken), taken.hint)
            try:
                report = decoded(self._daemon.status(), wire.StatusReport)
            except NothingRead as unread:
                return self._held_by_unread(unread.problem, taken)
            except AccessDenied as refusal:
                return warn(name, f"{taken}, and {refusal}", refusal.hint)
            except Unavailable as unanswered:
                return not_answering(taken, unanswered)
            if report.cluster.role == "relay":
                return fail(name, f"it is held by a relay: process {report.pid}", taken.hint)
            if self._is_of_another_account(report):
                text = f"it is held by a condord of another account: process {report.pid}, {report.source}"
                return fail(name, text, taken.hint)
            self.report, self._disabled = report, self._disabled_channels()
            held = f"it is held by condord, process {report.pid}, which answers"
            return self._with_other_state(report.pid, held, taken) or ok(name, held)

    async def state_free(self, account: str) -> Check:
        """Check that no other ingester of `account`, its name on the bus, keeps its state in the same directory."""
        name: Name = "state-free"
        directory = state_files.directory(self._environ, lasts=account_source.source(self._config) != "simulator")
        if directory is None:
            return ok(name, "without a state directory, no other ingester can have it")
        try:
            instance_lock.require_free_state(account, directory)
        except instance_lock.StateInUse as taken:
            answering = self.report or self.unread
            if answering is not None and answering.pid == taken.pid:
                return ok(name, f"condord, process {taken.pid}, which answers, has its state in {directory}")
            return fail(name, f"{taken}, so `condord start` would exit with {taken.exit_code}", taken.hint)
        return ok(name, f"no other ingester of the account has its state in {directory}")

    def _held_by_unread(self, problem: wire.UnreadProblem, taken: Unavailable) -> Check:
        name: Name = "port-free"
        if problem.cluster.role == "relay":
            return fail(name, f"it is held by a relay: process {problem.pid}", taken.hint)
        self.unread = problem
        held = f"it is held by condord, process {problem.pid}, which has read nothing yet"
        return self._with_other_state(problem.pid, held, taken) or ok(name, held)

    def _with_other_state(self, pid: int, held: str, taken: Unavailable) -> Check | None:
        """The result if the state of the condord that answers is elsewhere, so it is another one; otherwise None.

        Without a STATE_DIRECTORY, as in a shell, the check may well be about a unit that has one.
        """
        lasts = account_source.source(self._config) != "simulator"
        theirs = _environ_of(pid)
        if not self._environ.get("STATE_DIRECTORY") or theirs is None:
            return None
        own, other = (state_files.directory(environ, lasts=lasts) for environ in (self._environ, theirs))
        if own is None or (other is not None and other.resolve() == own.resolve()):
            return None
        where = f"has its state in {other}" if other else "has no state directory"
        exits = f"so `condord start` with the state in {own} would exit with {taken.exit_code}"
        return fail("port-free", f"{held}; it {where}, {exits}", taken.hint)

    def _is_of_another_account(self, report: wire.StatusReport) -> bool:
        """Whether the condord that answers uses another key than this configuration.

        Its lock shows that, or else its source. If its lock is in an unknown directory, and no other process has the
        lock of this key, the account counts as the same.
        """
        if report.source != account_source.source(self._config):
            return True
        if self._login is None or report.cluster.role in ("leader", "standby"):
            return False  # of an ingester on a bus, a child process has the lock, or nobody on this machine
        if names := instance_lock.names_of(report.pid, self._environ):
            alpaca = msgspec.structs.replace(self._config.alpaca, feed=report.feed)
            configs = (self._config, msgspec.structs.replace(self._config, alpaca=alpaca))
            return names.isdisjoint(instance_lock.name(**wiring.slot(config, self._login)) for config in configs)
        try:
            with instance_lock.Locks(instance_lock.directory(self._environ)) as locks:
                locks.take(**wiring.slot(self._config, self._login))
        except instance_lock.AlreadyRunning as running:
            return running.pid not in (None, report.pid)
        return False

    def _disabled_channels(self) -> list[str]:
        """The channels that the daemon has disabled, which a test message of this process cannot find out."""
        if self._daemon is None:
            return []
        try:
            channels = decoded(self._daemon.alerts(), AlertsJson).channels
        except CondordError:  # of another version, or of a relay that has lost its source
            return []
        return [channel.name for channel in channels if channel.disabled]

    async def _daemon_answers(self) -> Check:
        name: Name = "daemon-answers"
        report = self.report
        if report is not None:
            state = f"{report.state}: {report.reason}" if report.reason else report.state
            text = f"condord {report.version}, process {report.pid}, {state}"
            if self._disabled:
                hint = f"The receiver has answered 410. {DISABLED_REMEDY}"
                return warn(name, f"{text}; it sends nothing to {', '.join(self._disabled)}, which is disabled", hint)
            if report.feed != self._config.alpaca.feed:
                hint = "Send it SIGHUP, so that it reads the configuration again."
                return warn(name, f"{text}; it follows the feed {report.feed}", hint)
            return answering(report, f"condord {report.version}, process {report.pid}")
        if (unread := self.unread) is not None:
            why = f"condord {unread.version}, process {unread.pid}: {unread.detail}"
            text, remedy = split_loss(why, unread.code)
            return warn(name, text, sentence(remedy))
        if self._port.result == "warn":  # it answers, but refuses our token
            return fail(name, self._port.text, self._port.hint)
        return not_tried(name, "no daemon runs at the configured address")


def _environ_of(pid: int) -> dict[str, str] | None:
    """The STATE_DIRECTORY in the environment of a condord; None if `pid` is none, or of another user."""
    try:
        process = Path(f"/proc/{pid}")
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        if b"condord" not in [each.rpartition(b"/")[2].partition(b".")[0] for each in arguments]:
            return None  # another process may have this number, as in another container
        entries = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {name: value for name, _, value in pairs if name == "STATE_DIRECTORY"}
