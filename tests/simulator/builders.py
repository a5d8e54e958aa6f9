"""Builds what several tests of the simulator need: quotes, clients of sessions, and a simulator that serves."""

import asyncio
import functools
import inspect

import msgspec

from condord.simulator import serve
from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.faults import Faults
from condord.simulator.market import SimulatedQuote
from condord.simulator.wire import EncodedMessage

NOW = 100.0
AUTH = {"action": "auth", "key": "k", "secret": "s"}


def make_quote(symbol="A", *, bid=2.5, ask=2.75, at_ns=0):
    return SimulatedQuote(
        symbol=symbol, at_ns=at_ns, bid=bid, bid_size=3, bid_exchange="C", ask=ask, ask_size=4, ask_exchange="C"
    )


def with_simulator(**options):
    """Decorate a test, a coroutine function, to run beside a simulator in the same loop."""

    def decorate(test):
        async def main(*args, **kwargs):
            async with serve(**options) as simulator:
                await test(simulator, *args, **kwargs)

        @functools.wraps(test)
        def run(*args, **kwargs):
            asyncio.run(main(*args, **kwargs))

        # pytest takes what a test needs from the signature, which must not have the simulator.
        _, *others = inspect.signature(test).parameters.values()
        run.__signature__ = inspect.Signature(others)
        return run

    return decorate


class SessionClient:
    """A client of one session of market data, which sends messages as maps; answers are codes, texts or maps."""

    def __init__(self, session_type, *, feed=None, entitlements=None, slots=None, is_msgpack=True):
        self.faults = Faults()
        self.session = session_type(
            feed=feed or {"option": "indicative", "stock": "iex"}[session_type.stream],
            entitlements=entitlements or Entitlements(),
            slots=slots or FeedSlots(),
            faults=self.faults,
            now=NOW,
            is_msgpack=is_msgpack,
        )
        self.is_msgpack = is_msgpack

    def send(self, message, now=NOW):
        encoder = msgspec.msgpack if self.is_msgpack else msgspec.json
        body = encoder.encode(message)
        return reply(self.session.received(body if self.is_msgpack else body.decode(), now))

    def inject(self, fault, **args):
        self.faults.activate(fault, NOW, stream=self.session.stream, **args)

    def subscribe_to(self, *symbols):
        self.send(AUTH)
        return self.send({"action": "subscribe", "quotes": list(symbols)})

    def offer(self, *symbols, channel="quotes"):
        """Offer messages about `symbols`; returns those that arrive, or None if no frame does."""
        outputs = self.session.offer(batch(*symbols, channel=channel), NOW)
        return decoded(outputs[0]) if outputs else None


def decoded(output):
    return (msgspec.json if output.is_text else msgspec.msgpack).decode(output.body)


def reply(outputs):
    assert len(outputs) <= 1
    if not outputs:
        return None
    (message,) = decoded(outputs[0])
    return message.get("code") or message.get("msg") or message


def batch(*symbols, channel="quotes"):
    return [
        EncodedMessage(
            symbol=symbol,
            body=msgspec.msgpack.encode({"T": "q", "S": symbol}),
            text=msgspec.json.encode({"T": "q", "S": symbol}),
            channel=channel,
        )
        for symbol in symbols
    ]
