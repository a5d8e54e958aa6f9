"""Decides how Alpaca, this machine and a running daemon are looked at before or beside a start, once each.

Rules: through the daemon's own parts, so that what passes here passes there. Every check is bounded; those that need
nothing of each other run at the same time. Where a condord of this machine has the option stream no second connection
is tried: Alpaca would refuse it, and might disturb the first. Whether the condord that answers is the one is told by
the locks, or else by its account being of our kind. Nothing is left behind, neither a socket nor a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from condord import config as configuration
from condord import lock, logs, settings
from condord.checks import AFTER, NAMES, NEEDS, Check, Name, fail, not_tried, offline, ok, refused, warn
from condord.client import Daemon, decoded
from condord.config import Config
from condord.errors import Refused, Unavailable
from condord.http import server
from condord.live import wire
from condord.live.link import Fault
from condord.loading import Found
from condord.upstream import reachable, trial
from condord.upstream.faults import MEANINGS, RestFault
from condord.upstream.pool import DaemonPool, ResolvingLoop
from condord.upstream.ports import Login
from condord.upstream.reachable import Endpoint
from condord.upstream.rest import AlpacaRest

CHECK_SECONDS = 10.0
NOTE_SECONDS = 1.0
SKEW_WARN_SECONDS = 2.0
SKEW_FAIL_SECONDS = 30.0

_AGAIN = "Try again in a minute, and check network and firewall; see Alpaca's status page."
_ELSEWHERE = "It may be your own condord, started elsewhere (another address, a unit)."
_REST_SECONDS = 4.5
"""Connecting and each wait for bytes; a whole request gets twice that."""


def run(
    found: Found, *, daemon: Daemon | None, environ: Mapping[str, str], note: Callable[[Name], None]
) -> tuple[Check, ...]:
    """Try everything, in at most `CHECK_SECONDS` each; the results in the order of `NAMES`.

    Args:
        found: what a daemon would run on, or what is wrong with it.
        daemon: where a running daemon would answer; None where nobody can know.
        environ: tells where the lock is.
        note: is told the name of a check that takes longer than `NOTE_SECONDS`.
    """
    secrets = [found.key.key_id, found.key.secret_key] if found.key else []
    secrets += [found.token] if found.token else []
    logs.configure("error", found.loaded.config.log.format, secrets=secrets, environ=environ)

    async def main() -> tuple[Check, ...]:
        return await Probes(found, daemon=daemon, environ=environ, note=note).run()

    with asyncio.Runner(loop_factory=ResolvingLoop) as runner:
        return runner.run(main())


class Probes:
    """All checks of one run, within a running loop."""

    def __init__(
        self, found: Found, *, daemon: Daemon | None, environ: Mapping[str, str], note: Callable[[Name], None]
    ) -> None:
        self._found = found
        self._config = found.loaded.config
        self._daemon = daemon
        self._environ = environ
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._results: dict[Name, asyncio.Future[Check]] = {name: self._loop.create_future() for name in NAMES}
        self._blocked: dict[Name, Name] = {}
        self._symbols: tuple[str, ...] = ()
        self._slot = ok("slot-free", "nobody else has the account's one option stream")
        self._report: wire.StatusReport | None = None
        self._pool = DaemonPool(1, name="checks")
        self._after = contextlib.ExitStack()
        self._after.callback(self._pool.shutdown)
        self._endpoints: tuple[Endpoint, ...] = ()

    async def run(self) -> tuple[Check, ...]:
        """Every result, in order."""
        probes: dict[Name, Callable[[], Awaitable[Check]]] = {
            "dns": self._dns,
            "tls": self._tls,
            "rest-login": self._rest_login,
            "clock-skew": self._clock_skew,
            "data-feed-entitled": self._feed,
            "option-stream": self._option_stream,
            "slot-free": self._slot_free,
            "trading-stream": self._trading_stream,
            "port-free": self._port_free,
            "daemon-answers": self._daemon_answers,
        }
        for check in offline(self._found):
            self._results[check.name].set_result(check)
        if self._found.is_key_unknown:
            self._blocked["credentials-found"] = "config-valid"
        with self._after:
            async with asyncio.TaskGroup() as tasks:
                for name, probe in probes.items():
                    tasks.create_task(self._check(name, probe))
        return tuple(self._results[name].result() for name in NAMES)

    @functools.cached_property
    def _login(self) -> Login:
        """The key; only checks that need one ask."""
        key = self._found.key
        assert key is not None  # noqa: S101 - they have waited for `credentials-found`
        return Login(key.key_id.reveal, key.secret_key.reveal)

    @functools.cached_property
    def _rest(self) -> AlpacaRest:
        """REST, less patient than the daemon's."""
        usual = settings.rest(self._config)
        timeout_seconds = min(usual.timeout_seconds, _REST_SECONDS)
        hurried = msgspec.structs.replace(usual, timeout_seconds=timeout_seconds, retries=0)
        rest = AlpacaRest(hurried, self._login, now_at=_utc_now)
        self._after.callback(rest.close)
        return rest

    async def _check(self, name: Name, probe: Callable[[], Awaitable[Check]]) -> None:
        for need in NEEDS[name]:
            is_failed = (await self._results[need]).result == "fail"
            if root := need if is_failed else self._blocked.get(need):
                self._blocked[name] = root
                self._results[name].set_result(not_tried(name, f"{root} failed"))
                return
        if name in AFTER:
            await self._results[AFTER[name]]
        timer = self._loop.call_later(NOTE_SECONDS, self._note, name)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                result = await probe()
        except TimeoutError:
            result = fail(name, f"no answer within {CHECK_SECONDS:g} s", "Try again; then check network and firewall.")
        finally:
            timer.cancel()
        self._results[name].set_result(result)

    async def _dns(self) -> Check:
        """Every name can be looked up."""
        try:
            self._endpoints = _endpoints(self._config)
        except ValueError as error:  # brackets that hold no address
            return fail("dns", f"a URL of [alpaca] leads nowhere: {error}", "Correct the URLs of [alpaca].")
        return _worst("dns", self._endpoints, await self._of_all(reachable.look_up), "looked up")

    async def _tls(self) -> Check:
        """Every certificate is trusted."""
        secure = [each for each in self._endpoints if each.is_secure]
        check = _worst("tls", secure, await self._of_all(reachable.greet), "trusted")
        plain = dict.fromkeys(each.host for each in self._endpoints if not each.is_secure)
        beyond = ", ".join(host for host in plain if not configuration.is_loopback(host))
        if check.result == "fail" or not beyond:
            return check
        text = f"{beyond}: no TLS, so the key goes over the network for everybody to read"
        return warn("tls", text, "Use https:// and wss:// in the URLs of [alpaca].")

    async def _of_all(self, look: Callable[[Endpoint], Awaitable[Fault | None]]) -> list[tuple[Endpoint, Fault]]:
        """The faults of all endpoints, looked at together."""
        faults = await asyncio.gather(*map(look, self._endpoints))
        return [(each, fault) for each, fault in zip(self._endpoints, faults, strict=True) if fault is not None]

    async def _rest_login(self) -> Check:
        name: Name = "rest-login"
        try:
            holdings = await self._rest.holdings()
        except RestFault as fault:
            # Alpaca's trading API answers a wrong key with 401 or with 403.
            return _of_fault(name, fault, is_refused=fault.code in ("authFailed", "forbidden"))
        self._symbols = tuple(each.symbol for each in holdings.options if each.contract is not None)
        count = len(holdings.options)
        return ok(name, f"{settings.source(self._config)}: {count} option position{'s' if count != 1 else ''} read")

    async def _clock_skew(self) -> Check:
        started = self._loop.time()
        try:
            clock = await self._rest.clock()
        except RestFault as fault:
            return _of_fault("clock-skew", fault)
        # The answer was written about half-way: so much of the difference is none.
        offset = clock.offset.total_seconds() + (self._loop.time() - started) / 2
        return skew(offset)

    async def _feed(self) -> Check:
        name: Name = "data-feed-entitled"
        feed = self._config.alpaca.feed
        try:
            await self._rest.quotes(self._symbols[:1] or (_any_symbol(),), lambda _: None)
        except RestFault as fault:
            return _of_fault(name, fault)
        return ok(name, f"the feed {feed} answers")

    async def _option_stream(self) -> Check:
        """Authenticate and subscribe, unless somebody of ours has the stream; what of it is `slot-free`'s is kept."""
        name: Name = "option-stream"
        with lock.Locks(lock.directory(self._environ)) as locks:
            try:
                locks.take(**settings.slot(self._config, self._login))
            except lock.Held as held:
                self._slot = self._held(held)
            else:
                if self._report is None:
                    return await self._try_option_stream()
                self._slot = _slot_of(self._report)  # its lock may be where we cannot see it
        return not_tried(name, self._slot.text)

    async def _try_option_stream(self) -> Check:
        name: Name = "option-stream"
        url = settings.supervisor(self._config).option_stream_url
        wanted = self._symbols[:1]
        limit = self._config.alpaca.symbol_limit
        fault, granted = await trial.option_stream(url, self._login, wanted, symbol_limit=limit, now_at=_utc_now)
        if fault is not None and fault.code == "connectionLimit":
            self._slot = fail("slot-free", fault.text, f"{_advice(fault.remedy)} {_ELSEWHERE}")
            return not_tried(name, "slot-free failed")
        if fault is not None:
            return _of_stream(name, fault)
        if granted < len(wanted):
            return warn(name, f"authenticated, but {wanted[0]} is not acknowledged", "Is alpaca.symbol_limit too high?")
        return ok(name, f"authenticated, and subscribed to {wanted[0] if wanted else 'nothing, as nothing is held'}")

    async def _slot_free(self) -> Check:
        return self._slot

    async def _trading_stream(self) -> Check:
        fault = await trial.trading_stream(settings.supervisor(self._config).trading_stream_url, self._login)
        return _of_stream("trading-stream", fault) if fault else ok("trading-stream", "authenticated and listening")

    async def _port_free(self) -> Check:
        return await self._loop.run_in_executor(self._pool, self._look_at_port)

    def _look_at_port(self) -> Check:
        """On a thread: the address can be listened on, or a condord that answers has it."""
        name: Name = "port-free"
        wanted = self._config.server
        address = server.Address(host=wanted.host, port=wanted.port, uds=wanted.uds)
        try:
            with server.listening(address, ()) as sockets:
                return ok(name, f"{server.name_of(sockets[0])} can be listened on")
        except Unavailable as taken:
            try:
                report = self._ask()
            except Refused as refusal:
                return warn(name, f"{taken}, and {refusal}", refusal.hint)
            except Unavailable:
                return fail(name, str(taken), taken.hint)
            if self._is_of_another_account(report):
                text = f"it is held by a condord of another account: process {report.pid}, {report.source}"
                return fail(name, text, taken.hint)
        self._report = report
        return ok(name, f"it is held by condord, process {report.pid}, which answers")

    def _is_of_another_account(self, report: wire.StatusReport) -> bool:
        """Whether the condord that answers has another key than ours, as far as anybody can tell."""
        if report.source != settings.source(self._config):
            return True
        if self._found.key is None:
            return False
        if names := lock.names_of(report.pid, self._environ):
            alpaca = msgspec.structs.replace(self._config.alpaca, feed=report.feed)
            configs = (self._config, msgspec.structs.replace(self._config, alpaca=alpaca))
            return names.isdisjoint(lock.name(**settings.slot(config, self._login)) for config in configs)
        try:
            with lock.Locks(lock.directory(self._environ)) as locks:
                locks.take(**settings.slot(self._config, self._login))
        except lock.Held as held:
            return held.pid not in (None, report.pid)
        return False

    def _ask(self) -> wire.StatusReport:
        if self._daemon is None:
            raise Unavailable("nobody knows where a daemon would answer", "")
        return decoded(self._daemon.status(), wire.StatusReport)

    async def _daemon_answers(self) -> Check:
        name: Name = "daemon-answers"
        report = self._report
        if report is not None:
            state = f"{report.state}: {report.reason}" if report.reason else report.state
            text = f"condord {report.version}, process {report.pid}, {state}"
            if report.feed == self._config.alpaca.feed:
                return ok(name, text)
            return warn(name, f"{text}; it follows the feed {report.feed}", "Have it read the configuration: SIGHUP.")
        port = self._results["port-free"].result()
        if port.result == "warn":
            return fail(name, port.text, port.hint)
        return not_tried(name, "no daemon runs at the configured address")

    def _held(self, held: lock.Held) -> Check:
        """Another process of this machine has the lock; it is well if that is the daemon that answers."""
        if self._report is not None and held.pid in (None, self._report.pid):
            return _slot_of(self._report)
        return fail("slot-free", f"{held}, so that `condord start` would end with {held.exit_code}", held.hint)


def skew(offset_seconds: float) -> Check:
    """What it means that Alpaca's clock is ahead of ours by so much."""
    name: Name = "clock-skew"
    way = "behind" if offset_seconds > 0 else "ahead of"
    text = f"this machine's clock is {abs(offset_seconds):.1f} s {way} Alpaca's"
    hint = "Synchronise the clock: timedatectl set-ntp true."
    if abs(offset_seconds) > SKEW_FAIL_SECONDS:
        return fail(name, text, hint)
    return warn(name, text, hint) if abs(offset_seconds) > SKEW_WARN_SECONDS else ok(name, text)


def _endpoints(config: Config) -> tuple[Endpoint, ...]:
    alpaca, streams = config.alpaca, settings.supervisor(config)
    rest = reachable.rest_urls(paper=alpaca.paper, trading_url=alpaca.trading_url, data_url=alpaca.data_url)
    return reachable.endpoints((*rest, streams.option_stream_url, streams.trading_stream_url))


def _worst(name: Name, looked: Sequence[Endpoint], faults: Sequence[tuple[Endpoint, Fault]], well: str) -> Check:
    """The check of several endpoints: all faults, or that all is well."""
    if faults:
        text = "\n".join(dict.fromkeys(f"{each.host}: {fault.text}" for each, fault in faults))
        return fail(name, text, _advice(next((fault.remedy for _, fault in faults if fault.remedy), "")))
    hosts = ", ".join(dict.fromkeys(each.host for each in looked))
    return ok(name, f"{well}: {hosts}" if hosts else "nothing to ask: this machine, or a proxy")


def _of_fault(name: Name, fault: RestFault, *, is_refused: bool = False) -> Check:
    return (refused if is_refused else fail)(name, fault.text, _advice(fault.remedy))


def _of_stream(name: Name, fault: Fault) -> Check:
    return (refused if fault.code == "authFailed" else fail)(name, fault.text, _advice(fault.remedy))


def _slot_of(report: wire.StatusReport) -> Check:
    """What the daemon that answers has of the stream."""
    name: Name = "slot-free"
    who = f"condord, process {report.pid},"
    if report.stream.connected:
        return ok(name, f"{who} has it, and streams {report.stream.subscribed} symbols")
    if report.code == "connectionLimit":
        return fail(name, f"{who} waits for it: {report.reason}", _advice(MEANINGS["stream 406"].remedy))
    return warn(name, f"{who} is to have it, and has no connection now: {report.reason or report.state}")


def _any_symbol() -> str:
    """A contract that need not exist, for an account that holds none: what the plan allows is looked at first."""
    return f"SPY{_utc_now() + dt.timedelta(days=30):%y%m%d}C00500000"


def _advice(remedy: str) -> str:
    """A remedy, which stands behind a semicolon elsewhere, as a sentence; of what heals by itself, to wait."""
    return f"{remedy[0].upper()}{remedy[1:]}." if remedy else _AGAIN


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
