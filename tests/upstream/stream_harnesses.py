"""Harnesses for the tests of the streams: a stream runs for the length of a block, and must leave no socket."""

import asyncio
import contextlib

from condord.live.link import Link, LinkSettings
from condord.upstream.option_stream import OptionStream
from condord.upstream.stock_stream import StockStream
from condord.upstream.trade_updates import TradeUpdates
from tests.fakes.alpaca import LOGIN, NETWORK, FakeMarketSink, FakeSink, wall

END_SECONDS = 3.5
"""A close has 3 s before the transport is aborted."""


def link(name="the option stream", *, silence_seconds=60.0, least=1.0, most=60.0, chance=0.5):
    settings = LinkSettings(
        name=name, silence_seconds=silence_seconds, backoff_min_seconds=least, backoff_max_seconds=most
    )
    return Link(settings, chance=lambda: chance)


@contextlib.asynccontextmanager
async def at_work(runner, server):
    """Run `runner` and cancel it at the end; it must leave the server no socket within the bound."""
    task = asyncio.ensure_future(runner.run())
    try:
        yield task
    except BaseException:
        task.cancel()
        raise
    loop = asyncio.get_running_loop()
    started = loop.time()
    task.cancel()
    await asyncio.wait([task], timeout=2 * END_SECONDS)
    assert task.cancelled()
    await asyncio.sleep(0.01)
    assert server.peers == []
    assert loop.time() - started < END_SECONDS
    assert server.max_open <= 1


class OptionHarness:
    """An option stream with a fake sink and its requests to REST."""

    def __init__(self, server, symbols=("A", "B"), *, symbol_limit=200, url=None, network=NETWORK, **settings):
        self.server = server
        self.sink = FakeSink()
        self.snapshots = 0
        self.changes = 0
        self.newer = False
        self.asked_newer = 0
        self.fault = None
        self.wait_seconds = 0.0
        self.stream = OptionStream(
            link(**settings),
            url=url or server.url,
            login=LOGIN,
            network=network,
            symbol_limit=symbol_limit,
            sink=self.sink,
            now_at=wall,
            newer=self._ask_newer,
            live=self._note_live,
            changed=self._note_change,
        )
        self.stream.want(symbols)

    async def _ask_newer(self):
        self.asked_newer += 1
        await asyncio.sleep(self.wait_seconds)
        if self.fault is not None:
            raise self.fault
        return self.newer

    def _note_live(self):
        self.snapshots += 1

    def _note_change(self):
        self.changes += 1

    @property
    def state(self):
        return self.stream.link.state

    def at_work(self):
        return at_work(self.stream, self.server)


class StockHarness:
    """A stock stream with a fake sink and its requests to REST."""

    def __init__(self, server, symbols=("SPY", "QQQ"), *, symbol_limit=30, **settings):
        self.server = server
        self.sink = FakeMarketSink()
        self.snapshots = 0
        self.newer = False
        self.stream = StockStream(
            link("the stock stream", **settings),
            url=server.url,
            login=LOGIN,
            network=NETWORK,
            symbol_limit=symbol_limit,
            sink=self.sink,
            now_at=wall,
            newer=self._ask_newer,
            live=self._note_live,
            changed=lambda: None,
        )
        self.stream.want(symbols)

    async def _ask_newer(self):
        return self.newer

    def _note_live(self):
        self.snapshots += 1

    @property
    def state(self):
        return self.stream.link.state

    @property
    def offered(self):
        """Every quote that was passed on."""
        return [tick for name, ticks in self.sink.calls if name == "offer_stocks" for tick in ticks]

    def at_work(self):
        return at_work(self.stream, self.server)


class TradingHarness:
    """A trading stream, and the number of its calls of `traded`."""

    def __init__(self, server, **settings):
        self.server = server
        self.traded = 0
        self.updates = TradeUpdates(
            link("the trading stream", **settings),
            url=server.url,
            login=LOGIN,
            network=NETWORK,
            traded=self._note_trade,
            changed=lambda: None,
        )

    def _note_trade(self):
        self.traded += 1

    @property
    def state(self):
        return self.updates.link.state

    def at_work(self):
        return at_work(self.updates, self.server)
