"""Check a relay's source, its address, and the relay that may answer there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import msgspec

from condord import __version__
from condord.check.report import (
    BUS_RELAY_NAMES,
    RELAY_NAMES,
    Check,
    Name,
    answering,
    config_valid,
    fail,
    not_answering,
    not_tried,
    ok,
    warn,
)
from condord.check.schedule import Probe, Schedule, quiet
from condord.client.address import parse_url
from condord.client.failures import NothingRead
from condord.client.http import Daemon, decoded
from condord.cluster.connection import PROBLEM_TYPE, ConnectionLost, Response, SourceSettings, open_request, require
from condord.cluster.follower import ITSELF_HINT
from condord.config import bus_credentials
from condord.config.relay_startup import RelayFindings
from condord.daemon import web
from condord.errors import AccessDenied, ConfigError, Unavailable
from condord.host import logs
from condord.host.network import Network
from condord.host.thread_pool import DaemonPool, ResolvingLoop
from condord.http import server
from condord.live import wire
from condord.live.relay_path import HEADER, RelayPath
from condord.live.remedies import CAUSE_REMEDIES, LOOP_REMEDY, LOST_REMEDIES, sentence, split_loss, split_remedy

ANSWER_SECONDS = 5.0
OWN_SECONDS = 2.0
"""How long the relay of this configuration may take to return its name."""
MAX_STATUS_BYTES = 1_048_576

_REMEDIES = (*CAUSE_REMEDIES, *LOST_REMEDIES.values())
_READY_HINT = "A relay waits for it. If it lasts, check the source itself: run `condord check --online` there."
_SOURCE_HINT = "Check cluster.source, the network, and whether the source runs and is served at that address."


def run(
    found: RelayFindings, *, daemon: Daemon | None, environ: Mapping[str, str], note: Callable[[Name], None]
) -> tuple[Check, ...]:
    """Run every check of a relay; the arguments are as for `probes.run`."""
    startup = found.startup
    secrets = [secret for secret in (startup.token, startup.source_token) if secret is not None]
    secrets += bus_credentials.secrets_of(startup.bus_credentials)
    logs.configure("error", startup.loaded.config.log.format, secrets=secrets, environ=environ)
    with (
        quiet(),
        contextlib.closing(RelayProbes(found, daemon=daemon, environ=environ)) as probes,
        asyncio.Runner(loop_factory=ResolvingLoop) as runner,
    ):
        return runner.run(probes.run(note))


class RelayProbes:
    """The probes of a relay. `daemon` is a client for its own address, None if that is not known."""

    def __init__(self, found: RelayFindings, *, daemon: Daemon | None, environ: Mapping[str, str]) -> None:
        self._found = found
        self._daemon = daemon
        self._environ = environ
        self._has_loop = False
        self._report: wire.StatusReport | None = None
        self._unread: wire.UnreadProblem | None = None
        self._pool = DaemonPool(1, name="checks")

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown()

    async def run(self, note: Callable[[Name], None]) -> tuple[Check, ...]:
        """Run the checks, in the order of `RELAY_NAMES`, or for a bus of `BUS_RELAY_NAMES`."""
        has_bus = bool(self._found.startup.loaded.config.cluster.bus)
        schedule = Schedule(note, BUS_RELAY_NAMES if has_bus else RELAY_NAMES)
        schedule.settle(config_valid(self._found.startup.loaded, self._found.config_error))
        followed: Mapping[Name, Probe] = {"bus": self._bus} if has_bus else {"source": self._source}
        return await schedule.run({**followed, "port-free": self._port_free, "daemon-answers": self._daemon_answers})

    async def _bus(self) -> Check:
        """Connect to the bus and look for a leader, as the relay will."""
        from condord.check import bus  # 35 ms, which a relay of a source does not need

        startup = self._found.startup
        cluster = startup.loaded.config.cluster
        return await bus.checked(cluster, startup.bus_credentials, self._environ, cluster.account)

    async def _source(self) -> Check:
        """Ask the source for its status, as the relay will ask it for its stream."""
        name: Name = "source"
        startup = self._found.startup
        network, detail = Network(self._environ), ""
        address = parse_url(startup.loaded.config.cluster.source, allows_tls=True)
        settings = SourceSettings(address=address, token=startup.source_token, context=lambda: network.context)
        try:
            async with open_request(
                settings, "GET", "/api/status", {"Accept": "application/json"}, ANSWER_SECONDS
            ) as answer:
                if (relay_loop := await self._relay_loop(answer.headers.get(HEADER.lower(), ""), network)) is not None:
                    return relay_loop
                detail = await _detail(answer)
                require(settings, answer, "application/json")
                body = await answer.read_body(MAX_STATUS_BYTES, ANSWER_SECONDS)
            report = decoded(body, wire.StatusReport)
        except ConnectionLost as lost:
            text, remedy = split_remedy(f"{lost}: {detail}" if detail else str(lost), _REMEDIES)
            hint = _READY_HINT if detail else _SOURCE_HINT
            return fail(name, f"{address.url}: {text}", sentence(remedy) or hint)
        except (ConfigError, AccessDenied) as error:
            return fail(name, str(error), error.hint, error.exit_code)
        except Unavailable as error:
            return fail(name, f"{address.url}: {error}", error.hint)
        return _judged(report)

    async def _relay_loop(self, path: str, network: Network) -> Check | None:
        """The result if the source, whose answer names the relays of `path`, is our relay or follows it; else None."""
        if not path or self._daemon is None:
            return None
        token, url = self._found.startup.token, self._found.startup.loaded.config.cluster.source
        settings = SourceSettings(address=self._daemon.address, token=token, context=lambda: network.context)
        try:
            async with open_request(settings, "GET", "/api/status", {}, OWN_SECONDS) as own:
                name = own.headers.get(HEADER.lower(), "").partition(",")[0].strip()
        except ConnectionLost:  # no relay runs there, or it hangs, so that its name is not known
            return None
        relay_loop = RelayPath(name).follow(path)
        if relay_loop is None:
            return None
        self._has_loop = True
        if relay_loop == "itself":
            return fail("source", f"{url}: the relay of this configuration itself answers there", ITSELF_HINT)
        text = f"{url}: it follows the relay of this configuration, directly or through others, which would be a loop"
        return fail("source", text, sentence(LOOP_REMEDY))

    async def _port_free(self) -> Check:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._try_port)

    def _try_port(self) -> Check:
        """Check, on a thread, that the address is free or that a relay answers there."""
        name: Name = "port-free"
        try:
            with server.listening(web.address(self._found.startup.loaded.config.server), ()) as sockets:
                return ok(name, f"{server.listener_url(sockets[0])} is free")
        except Unavailable as taken:
            if self._daemon is None:
                return fail(name, str(taken), taken.hint)
            try:
                report: wire.StatusReport | wire.UnreadProblem = decoded(self._daemon.status(), wire.StatusReport)
            except NothingRead as unread:
                report = unread.problem
            except AccessDenied as error:
                return warn(name, f"{taken}, and {error}", error.hint)
            except Unavailable as unanswered:
                return not_answering(taken, unanswered)
            if report.cluster.role != "relay":
                return fail(name, f"it is held by a condord that is not a relay: process {report.pid}", taken.hint)
        if isinstance(report, wire.UnreadProblem):
            self._unread = report
            return ok(name, f"it is held by a relay, process {report.pid}, which has read nothing yet")
        self._report = report
        return ok(name, f"it is held by a relay, process {report.pid}, which answers")

    async def _daemon_answers(self) -> Check:
        name: Name = "daemon-answers"
        report, unread = self._report, self._unread
        if unread is not None:
            what = f"condord {unread.version}, process {unread.pid}, {unread.detail}"
            text, remedy = split_loss(what, unread.code)
            return self._of_relay(unread, warn(name, text, sentence(remedy)))
        if report is None:
            return not_tried(name, "no relay answers at the configured address")
        what = f"condord {report.version}, process {report.pid}, relay of {report.cluster.source or 'a bus'}"
        return self._of_relay(report, answering(report, what))

    def _of_relay(self, report: wire.StatusReport | wire.UnreadProblem, found: Check) -> Check:
        """The result for the relay that answers; `found` if it follows the configured source."""
        source = self._found.startup.loaded.config.cluster.source.rstrip("/") or None
        if report.cluster.source != source:
            then = "Correct cluster.source before it restarts." if self._has_loop else "Restart it."
            return warn(found.name, found.text, f"It does not follow the configured source. {then}")
        return found


async def _detail(answer: Response) -> str:
    """Return the reason that a condord gives if it cannot answer now; empty for another answer.

    Raises:
        ConnectionLost: the answer ends too early or too late.
    """
    if answer.content_type != PROBLEM_TYPE or answer.status in (401, 403):
        return ""
    try:
        return msgspec.json.decode(await answer.read_body(MAX_STATUS_BYTES, ANSWER_SECONDS), type=wire.Problem).detail
    except msgspec.DecodeError:
        return ""


def _judged(report: wire.StatusReport) -> Check:
    """The result for a source that answers."""
    name: Name = "source"
    role = "a relay" if report.cluster.role == "relay" else f"{report.source}, feed {report.feed}"
    text = f"condord {report.version}, process {report.pid}, {role}, {report.state}"
    if report.version != __version__:
        return warn(name, text, f"This is condord {__version__}: a relay and its source should have the same version.")
    if report.state not in ("live", "closed"):
        return warn(name, f"{text}: {report.reason}" if report.reason else text, "The relay will show the same state.")
    return ok(name, text)
