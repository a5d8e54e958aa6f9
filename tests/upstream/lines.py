"""What the tests of the lines start from: a line at work for the length of a block, whose end must leave no socket."""

import asyncio
import contextlib

from condord.live.link import Link, LinkSettings
from condord.upstream.option_stream import OptionStream
from condord.upstream.trade_updates import TradeUpdates
from tests.fakes.alpaca import LOGIN, FakeDesk, wall

END_SECONDS = 3.5
"""Closing has 3 s; then the transport is aborted."""


def link(name="the option stream", *, silence_seconds=60.0, least=1.0, most=60.0, chance=0.5):
    settings = LinkSettings(
        name=name, silence_seconds=silence_seconds, backoff_min_seconds=least, backoff_max_seconds=most
    )
    return Link(settings, chance=lambda: chance)


@contextlib.asynccontextmanager
async def at_work(line, server):
    """Run `line`; at the end it is cancelled, and must leave the server no socket within the bound."""
    task = asyncio.ensure_future(line.run())
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
    assert server.most <= 1


class OptionBench:
    """An option stream, its desk, and what it asked REST for."""

    def __init__(self, server, symbols=("A", "B"), *, symbol_limit=200, url=None, **settings):
        self.server = server
        self.desk = FakeDesk()
        self.snapshots = 0
        self.changes = 0
        self.newer = False
        self.asked_newer = 0
        self.stream = OptionStream(
            link(**settings),
            url=url or server.url,
            login=LOGIN,
            symbol_limit=symbol_limit,
            desk=self.desk,
            now_at=wall,
            newer=self._ask_newer,
            live=self._note_live,
            changed=self._note_change,
        )
        self.stream.want(symbols)

    async def _ask_newer(self):
        self.asked_newer += 1
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


class TradingBench:
    """A trading stream, and how often it said that something was traded."""

    def __init__(self, server, **settings):
        self.server = server
        self.traded = 0
        self.updates = TradeUpdates(
            link("the trading stream", **settings),
            url=server.url,
            login=LOGIN,
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
