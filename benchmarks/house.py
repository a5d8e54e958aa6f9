"""The parts of the daemon for benchmarks that need them without Alpaca: an account, the way of a quote, a service."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Iterable, Mapping

import msgspec

from condord import config, service
from condord.core.occ import parse
from condord.core.position import Position
from condord.live import render, wire
from condord.live.account import Account
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.edition import Edition
from condord.live.fanout import Fanout
from condord.live.link import Link, LinkSettings
from condord.live.prices import Prices
from condord.live.publisher import Publisher
from condord.upstream.option_stream import OptionStream
from condord.upstream.ports import Login

WINDOW_SECONDS = 0.25
_PRICE_E4 = 10_000


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


def positions(quantities: Mapping[str, int]) -> list[Position]:
    """The holdings of signed `quantities` by symbol, each entered at a dollar."""
    held = []
    for symbol, quantity in quantities.items():
        contract = parse(symbol)
        held.append(
            Position(
                symbol=symbol,
                contract=contract,
                quantity=quantity,
                average_entry_e4=_PRICE_E4,
                cost_basis_e4=quantity * 100 * _PRICE_E4,
                underlying=contract.root,
            )
        )
    return held


def publisher(window_seconds: float = WINDOW_SECONDS) -> Publisher:
    """All below the desk, wired as the daemon does it."""
    status = render.unread_status("simulator", "indicative", utc_now())
    edition = Edition(epoch="bench", replay_size=1024, status=status, totals=render.UNREAD_TOTALS)
    book = Book(edition=edition, prices=Prices(max_symbols=10_000, ttl_seconds=600.0), min_change_e4=100)
    return Publisher(
        account=Account(0.0),
        book=book,
        coalescer=Coalescer(window_seconds),
        fanout=Fanout(edition, ring_size=256),
    )


def option_stream(url: str, symbols: Iterable[str], desk, kind: type[OptionStream] = OptionStream) -> OptionStream:
    """A stream of `symbols` from `url` to `desk`."""

    async def never_newer() -> bool:
        return False

    bounds = LinkSettings(
        name="the option stream", silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0
    )
    wanted = tuple(symbols)
    stream = kind(
        Link(bounds, chance=lambda: 0.5),
        url=url,
        login=Login(lambda: "KEY", lambda: "SECRET"),
        symbol_limit=len(wanted),
        desk=desk,
        now_at=utc_now,
        newer=never_newer,
        live=lambda: None,
        changed=lambda: None,
    )
    stream.want(wanted)
    return stream


def live_status() -> wire.Status:
    """That of a stream and an account that are well."""
    unread = render.unread_status("simulator", "indicative", utc_now())
    read = msgspec.structs.replace(unread.positions, read_at=utc_now())
    return msgspec.structs.replace(unread, state="live", positions=read)


class Feed:
    """What stands in the supervisor's place; `run` is for those who know what there is to feed `desk` with."""

    is_ready = True
    refused: dict[str, int] = {}  # noqa: RUF012 - nothing is ever refused

    def __init__(self, *_settings, desk, **_parts) -> None:
        self.desk = desk

    async def run(self) -> None:
        """Feed the desk."""
        raise NotImplementedError

    @property
    def beat(self) -> float:
        """When it was last seen alive: now."""
        return asyncio.get_running_loop().time()

    def status(self):
        """What can be trusted: all of it."""
        return live_status()

    def stuck(self, _now: float) -> None:
        """Why it makes no progress: it does."""

    def tell(self) -> None:
        """Nothing is to be told."""


def serve(feed: type[Feed], window_seconds: float = WINDOW_SECONDS, max_subscribers: int = 1000) -> None:
    """Be the daemon until SIGTERM, with `feed` in the supervisor's place; its URL is on standard output."""
    service.Supervisor = feed
    service.run(
        config.Config(
            alpaca=config.Alpaca(trading_url="http://127.0.0.1:1"),
            stream=config.Stream(window_ms=round(1e3 * window_seconds)),
            server=config.Server(port=0, max_subscribers=max_subscribers),
            log=config.Log(level="error"),
        ),
        environ={"APCA_API_KEY_ID": "BENCHMARK", "APCA_API_SECRET_KEY": "BENCHMARK", **os.environ},
        announce=lambda line: print(line.split()[-1], flush=True),
    )
