"""Check Alpaca: the network path, REST, the clock, the feeds and the streams.

If a condord on this machine has the option stream and the stock stream, no second connection to them is tried: Alpaca
would refuse it, and might drop the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Self

import msgspec

from condord.check.report import Check, Name, fail, not_tried, ok, refused, warn
from condord.check.schedule import Probe
from condord.check.slot import ELECTED, OnBus, of_daemon, of_leader
from condord.config.schema import Config
from condord.core.expiry import expiry_of
from condord.core.position import Position
from condord.daemon import account_source, wiring
from condord.daemon.copied_state import other_account_error
from condord.errors import ConfigError
from condord.host import instance_lock
from condord.host.network import Network
from condord.live import wire
from condord.live.link import LinkFault
from condord.live.remedies import sentence
from condord.upstream import reachability, state_files, stream_trial
from condord.upstream.interfaces import Login
from condord.upstream.option_stream import OptionStream
from condord.upstream.reachability import Endpoint
from condord.upstream.rest import AlpacaRest
from condord.upstream.rest_fault import RestFault
from condord.upstream.stock_stream import StockStream

SKEW_WARN_SECONDS = 2.0
SKEW_FAIL_SECONDS = 30.0

_AGAIN = "Try again in a minute, and check network and firewall; see Alpaca's status page."
_ELSEWHERE = "It may be your own condord, started elsewhere (another address, a unit)."
_ANY_STOCK = "SPY"
"""The stock to ask for if the account has no options on one."""
_REST_SECONDS = 4.5
"""The timeout of connecting and of each read; a whole request gets twice that."""


class AlpacaProbes:
    """The probes of Alpaca, in a running loop. Leaving the context closes the connections that they opened.

    `login` is None if no key was found; the probes that need one are not called then. `report` returns the status of
    the daemon that answers on this machine, None without one; the probe of the option stream calls it. `unread` returns
    what an ingester answers instead while it has no document. `on_bus` returns the state of the account on the bus.
    """

    def __init__(
        self,
        config: Config,
        login: Login | None,
        *,
        environ: Mapping[str, str],
        report: Callable[[], wire.StatusReport | None],
        unread: Callable[[], wire.UnreadProblem | None],
        on_bus: Callable[[], Awaitable[OnBus]],
    ) -> None:
        self._config = config
        self._given_login = login
        self._environ = environ
        self._report = report
        self._unread = unread
        self._read_bus = on_bus
        self._on_bus = OnBus()
        self._network = Network(environ)
        self._endpoints: tuple[Endpoint, ...] = ()
        self._symbols: tuple[str, ...] = ()
        self._stocks: tuple[str, ...] = (_ANY_STOCK,)
        self._is_streamed_here = False
        self._slot = ok("slot-free", "the account's one option stream is free")
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def probes(self) -> dict[Name, Probe]:
        """The probe of each check."""
        return {
            "network": self._network_settings,
            "dns": self._dns,
            "tls": self._tls,
            "rest-login": self._rest_login,
            "clock-skew": self._clock_skew,
            "data-feed-entitled": self._feed,
            "stock-feed-entitled": self._stock_feed,
            "option-stream": self._option_stream,
            "stock-stream": self._stock_stream,
            "slot-free": self._slot_free,
            "trading-stream": self._trading_stream,
        }

    @property
    def _login(self) -> Login:
        assert self._given_login is not None  # noqa: S101 - the probes that need it wait for `credentials-found`
        return self._given_login

    @functools.cached_property
    def _rest(self) -> AlpacaRest:
        """REST with shorter timeouts than the daemon's, and without retries."""
        settings = wiring.rest(self._config)
        timeout_seconds = min(settings.timeout_seconds, _REST_SECONDS)
        settings = msgspec.structs.replace(settings, timeout_seconds=timeout_seconds, retries=0)
        rest = AlpacaRest(settings, self._login, now_at=_utc_now, network=self._network)
        self._opened.callback(rest.close)
        return rest

    async def _network_settings(self) -> Check:
        """Check the proxy and the certificates that the environment names."""
        name: Name = "network"
        urls = wiring.urls(self._config)
        try:
            self._network.check(urls)
            self._endpoints = reachability.endpoints(urls, self._network)
        except ConfigError as error:
            return fail(name, str(error), error.hint, error.exit_code)
        except ValueError as error:  # brackets without an address
            return fail(name, f"a URL of [alpaca] is invalid: {error}", "Correct the URLs of [alpaca].")
        return ok(name, reachability.describe_routes(urls, self._network))

    async def _dns(self) -> Check:
        """Look up every host name."""
        return _of_endpoints("dns", self._endpoints, await self._of_all(reachability.resolve), "looked up")

    async def _tls(self) -> Check:
        """Connect to every host and verify its certificate."""
        secure = [endpoint for endpoint in self._endpoints if endpoint.is_secure]
        handshake = functools.partial(reachability.handshake, network=self._network)
        return _of_endpoints("tls", secure, await self._of_all(handshake), "trusted")

    async def _of_all(
        self, check: Callable[[Endpoint], Awaitable[LinkFault | None]]
    ) -> list[tuple[Endpoint, LinkFault]]:
        """The faults of all endpoints, checked at the same time."""
        faults = await asyncio.gather(*map(check, self._endpoints))
        pairs = zip(self._endpoints, faults, strict=True)
        return [(endpoint, fault) for endpoint, fault in pairs if fault is not None]

    async def _rest_login(self) -> Check:
        name: Name = "rest-login"
        try:
            holdings = await self._rest.holdings()
            self._on_bus = await self._read_bus()
            expected = self._on_bus.account_hash
            if expected is not None and expected != await self._account_hash():
                other = other_account_error()
                return fail(name, str(other), other.hint, other.exit_code)
        except RestFault as fault:
            # Alpaca's trading API answers a wrong key with 401 or with 403.
            return _of_fault(name, fault, is_refused=fault.code in ("authFailed", "forbidden"))
        self._symbols = tuple(position.symbol for position in holdings.options if position.contract is not None)
        self._stocks = _stocks_of(holdings.options) or self._stocks
        count = len(holdings.options)
        source = account_source.source(self._config)
        return ok(name, f"{source}: {count} option position{'s' if count != 1 else ''} read")

    async def _account_hash(self) -> str:
        account_id = await self._rest.account_id()
        return state_files.hash_of(f"{account_id} {account_source.source(self._config)}")

    async def _clock_skew(self) -> Check:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            clock = await self._rest.clock()
        except RestFault as fault:
            return _of_fault("clock-skew", fault)
        # Alpaca read its clock about half-way through the request.
        offset = clock.offset.total_seconds() + (loop.time() - started) / 2
        return skew(offset)

    async def _feed(self) -> Check:
        name: Name = "data-feed-entitled"
        feed = self._config.alpaca.feed
        try:
            await self._rest.quotes(self._symbols[:1] or (_any_symbol(),), lambda _: None)
        except RestFault as fault:
            return _of_fault(name, fault)
        return ok(name, f"the feed {feed} answers")

    async def _stock_feed(self) -> Check:
        name: Name = "stock-feed-entitled"
        try:
            await self._rest.stock_snapshots(self._stocks, lambda _: None)
        except RestFault as fault:
            return _of_fault(name, fault)
        return ok(name, f"the feed {self._config.alpaca.stock_feed} answers")

    async def _option_stream(self) -> Check:
        """Authenticate and subscribe, unless a condord here has the stream. Also sets the result of slot-free."""
        name: Name = "option-stream"
        if (unread := self._unread()) is not None:
            text = f"condord, process {unread.pid}, has read nothing yet"
            self._slot = warn("slot-free", text)
            self._is_streamed_here = True
            return not_tried(name, text)
        with instance_lock.Locks(instance_lock.directory(self._environ)) as locks:
            try:
                locks.take(**wiring.slot(self._config, self._login))
            except instance_lock.AlreadyRunning as running:
                self._slot = self._slot_of_other(running)
                self._is_streamed_here = True
            else:
                report = self._report()
                if report is None and self._on_bus.leader == "":
                    return await self._try_option_stream()
                # The lock of the daemon that answers may be in an unknown directory.
                self._slot = of_leader(self._on_bus) if report is None else of_daemon(report, self._on_bus)
                self._is_streamed_here = True
        return not_tried(name, self._slot.text)

    async def _try_option_stream(self) -> Check:
        name: Name = "option-stream"
        url = wiring.supervisor(self._config).option_stream_url
        wanted = self._symbols[:1]
        limit = self._config.alpaca.symbol_limit
        fault, granted = await stream_trial.quote_stream(
            OptionStream, url, self._login, wanted, network=self._network, symbol_limit=limit, now_at=_utc_now
        )
        if fault is not None and fault.code == "connectionLimit":
            self._slot = fail("slot-free", fault.text, f"{_advice(fault.remedy)} {_ELSEWHERE}")
            return not_tried(name, "slot-free failed")
        if fault is not None:
            return _of_stream(name, fault)
        if granted < len(wanted):
            return warn(name, f"authenticated, but {wanted[0]} is not acknowledged", "Is alpaca.symbol_limit too high?")
        return ok(name, f"authenticated, and subscribed to {wanted[0] if wanted else 'nothing, as nothing is held'}")

    async def _stock_stream(self) -> Check:
        """Authenticate and subscribe, unless a condord here may have the stream."""
        name: Name = "stock-stream"
        if self._is_streamed_here:
            report = self._report()
            return not_tried(name, self._slot.text) if report is None else _stocks_of_daemon(report)
        wanted, limit = self._stocks[:1], self._config.alpaca.stock_symbol_limit
        url = wiring.supervisor(self._config).stock_stream_url
        fault, granted = await stream_trial.quote_stream(
            StockStream, url, self._login, wanted, network=self._network, symbol_limit=limit, now_at=_utc_now
        )
        if fault is not None:
            return _of_stream(name, fault)
        if granted < len(wanted):
            hint = "Is alpaca.stock_symbol_limit too high? Prices that are not streamed are read over REST."
            return warn(name, f"authenticated, but {wanted[0]} is not acknowledged", hint)
        return ok(name, f"authenticated, and subscribed to {wanted[0]}")

    async def _slot_free(self) -> Check:
        return self._slot

    async def _trading_stream(self) -> Check:
        url = wiring.supervisor(self._config).trading_stream_url
        fault = await stream_trial.trading_stream(url, self._login, network=self._network)
        return _of_stream("trading-stream", fault) if fault else ok("trading-stream", "authenticated and listening")

    def _slot_of_other(self, running: instance_lock.AlreadyRunning) -> Check:
        """The slot-free result if another process has the lock: not a failure if that is the daemon, or leads."""
        name: Name = "slot-free"
        leader, report, ingester = self._on_bus.leader, self._report(), running.ingester
        if leader and leader.rpartition(":")[0] == socket.gethostname():
            return of_leader(self._on_bus)
        if report is not None and (running.pid in (None, report.pid) or report.cluster.role in ELECTED):
            return of_daemon(report, self._on_bus)  # of ingesters, a child process of the leader has the lock
        if ingester is not None and leader is None:
            return of_leader(self._on_bus)
        has_it = f"the ingester on this machine (process {ingester}) has it"
        if ingester is not None and self._config.cluster.is_elected:
            return ok(name, f"{has_it}, and `condord start` would stand by")
        if ingester is not None:
            hint = "Start this one as an ingester, too: set cluster.role and cluster.bus. Otherwise: "
            text = f"{has_it}, so `condord start` would exit with {running.exit_code}"
            return fail(name, text, hint + instance_lock.INGESTERS_HINT)
        if self._config.cluster.is_elected:
            return fail(name, f"{running}, so an ingester that starts here could not lead", running.hint)
        return fail(name, f"{running}, so `condord start` would exit with {running.exit_code}", running.hint)


def skew(offset_seconds: float) -> Check:
    """The result if Alpaca's clock is `offset_seconds` ahead of this machine's."""
    name: Name = "clock-skew"
    way = "behind" if offset_seconds > 0 else "ahead of"
    text = f"this machine's clock is {abs(offset_seconds):.1f} s {way} Alpaca's"
    hint = "Synchronise the clock: timedatectl set-ntp true."
    if abs(offset_seconds) > SKEW_FAIL_SECONDS:
        return fail(name, text, hint)
    return warn(name, text, hint) if abs(offset_seconds) > SKEW_WARN_SECONDS else ok(name, text)


def _of_endpoints(
    name: Name, endpoints: Sequence[Endpoint], faults: Sequence[tuple[Endpoint, LinkFault]], success: str
) -> Check:
    """One result for several endpoints: all faults, or the names of the hosts if there is none."""
    if faults:
        text = "\n".join(dict.fromkeys(f"{endpoint.host}: {fault.text}" for endpoint, fault in faults))
        return fail(name, text, _advice(next((fault.remedy for _, fault in faults if fault.remedy), "")))
    hosts = ", ".join(dict.fromkeys(endpoint.host for endpoint in endpoints))
    return ok(name, f"{success}: {hosts}" if hosts else "nothing to check: only this machine or a proxy is contacted")


def _of_fault(name: Name, fault: RestFault, *, is_refused: bool = False) -> Check:
    return (refused if is_refused else fail)(name, fault.text, _advice(fault.remedy))


def _of_stream(name: Name, fault: LinkFault) -> Check:
    return (refused if fault.code == "authFailed" else fail)(name, fault.text, _advice(fault.remedy))


def _stocks_of_daemon(report: wire.StatusReport) -> Check:
    """The result if the daemon that answers should have the stock stream."""
    name: Name = "stock-stream"
    daemon, stocks = f"condord, process {report.pid},", report.stocks
    if report.cluster.role in ELECTED:
        return ok(name, f"{daemon} is an ingester on a bus, whose leader uses it as needed")
    if stocks is None:
        return warn(name, f"{daemon} is a relay, which does not read Alpaca")
    if stocks.state in ("live", "closed", "starting"):
        return ok(name, f"{daemon} uses it as needed, and streams {len(stocks.stream)} stocks")
    return warn(name, f"{daemon} should have it, but is not connected: {stocks.reason or stocks.state}")


def _stocks_of(options: Iterable[Position]) -> tuple[str, ...]:
    """The stocks under `options`, in order."""
    expiries = [expiry_of(option.contract, option.underlying) for option in options if option.contract is not None]
    return tuple(dict.fromkeys(expiry.underlying for expiry in expiries if not expiry.is_index))


def _any_symbol() -> str:
    """A contract for an account without options; it need not exist, as Alpaca checks first what the plan allows."""
    return f"SPY{_utc_now() + dt.timedelta(days=30):%y%m%d}C00500000"


def _advice(remedy: str) -> str:
    """A remedy as a sentence. Without one, it is to try again."""
    return sentence(remedy) if remedy else _AGAIN


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
