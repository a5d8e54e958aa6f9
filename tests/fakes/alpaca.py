"""A brokerage and a desk that remember what was asked of them, and a login."""

import asyncio
import datetime as dt

from condord.core import occ
from condord.core.position import Contract, Holdings, Position
from condord.core.quote import Tick
from condord.core.session import Clock
from condord.upstream.faults import RestFault
from condord.upstream.ports import Login, OrderPage

STARTED_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)  # a Friday, 10:00 in New York
OPEN = Clock(
    is_open=True,
    next_open=dt.datetime(2026, 11, 23, 14, 30, tzinfo=dt.UTC),
    next_close=dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC),
)
SHUT = Clock(
    is_open=False,
    next_open=dt.datetime(2026, 11, 23, 14, 30, tzinfo=dt.UTC),
    next_close=dt.datetime(2026, 11, 23, 21, 0, tzinfo=dt.UTC),
)
KEY_ID = "PKTHEKEYID"
SECRET_KEY = "thesecretkeynobodymaysee"
LOGIN = Login(reveal_key_id=lambda: KEY_ID, reveal_secret_key=lambda: SECRET_KEY)

LONG_PUT = "SPY261218P00560000"
SHORT_PUT = "SPY261218P00570000"
SHORT_CALL = "SPY261218C00630000"
LONG_CALL = "SPY261218C00640000"
CONDOR = (SHORT_PUT, SHORT_CALL, LONG_PUT, LONG_CALL)

STANDARD = Contract(multiplier=100, underlying="SPY")
NO_ORDERS = OrderPage(orders=(), newest_at=None, open_since=None, is_full=False)

OUTAGE = RestFault("serverError", "Alpaca's REST has an error of its own (500)", may_retry=True)


def wall():
    """The wall clock that goes with the loop's; a virtual loop starts at 1000 s."""
    return STARTED_AT + dt.timedelta(seconds=asyncio.get_running_loop().time() - 1000.0)


def holding(symbol, quantity=1):
    return Position(
        symbol=symbol,
        contract=occ.parse(symbol),
        quantity=quantity,
        average_entry_e4=10_000,
        cost_basis_e4=quantity * 1_000_000,
    )


def tick(symbol, bid=1.0, ask=1.2, at=STARTED_AT):
    return Tick(symbol=symbol, at=at, bid=bid, ask=ask)


class FakeDesk:
    """Remembers everything; `is_owed` is its answer about REST's quotes, `doubt` the one about the clock."""

    def __init__(self):
        self.symbols = ()
        self.positions = None
        self.lots = ()
        self.offered = []
        self.confirmed = []
        self.gaps = 0
        self.resumes = 0
        self.followed = []
        self.lapsed = []
        self.statuses = []
        self.is_owed = False
        self.era = 0
        self.silent = frozenset()
        self.doubt = False
        self.exchange_times = []

    def offer(self, ticks):
        self.offered.extend(ticks)

    def confirm(self, ticks, era):
        self.confirmed.append(list(ticks))

    def gap(self):
        self.gaps += 1

    def lapse(self, symbols):
        self.lapsed.append(set(symbols))

    def expect(self, symbols):
        self.symbols = tuple(self.symbols) + tuple(sorted(set(symbols) - set(self.symbols)))

    def follow(self, symbols):
        self.followed.append(set(symbols))

    def resume(self):
        self.resumes += 1

    def set_positions(self, positions, lots=(), stocks=None):
        self.positions = list(positions)
        self.stocks = stocks
        self.lots = tuple(lots)
        self.symbols = tuple(one.symbol for one in self.positions if one.contract is not None)

    def set_status(self, status):
        self.statuses.append(status)

    def owes(self, ticks):
        return self.is_owed and bool(list(ticks))

    def set_exchange_time(self, at):
        self.exchange_times.append(at)

    def doubts_clock(self):
        doubt, self.doubt = self.doubt, False
        return doubt

    @property
    def status(self):
        """The newest status."""
        return self.statuses[-1]


class FakeBrokerage:
    """Answers what it is set to, after `delay` seconds; `failures` maps a reading's name to what it raises.

    `contracts` holds what differs from the standard, `pages` what the orders are after an instant.
    """

    def __init__(self, symbols=CONDOR):
        self.breaker = "closed"
        self.refused = {}
        self.trouble = None
        self.held = [holding(symbol) for symbol in symbols]
        self.stocks = {}
        self.hours = OPEN
        self.session = None
        self.contracts = {}
        self.pages = lambda after: NO_ORDERS
        self.failures = {}
        self.delay = 0.0
        self.asked = []

    def times(self, what):
        """The loop's time of each asking for `what`."""
        return [at for name, at, _ in self.asked if name == what]

    async def _answer(self, what, argument=None):
        self.asked.append((what, asyncio.get_running_loop().time(), argument))
        await asyncio.sleep(self.delay)
        if what in self.failures:
            raise self.failures[what]

    async def holdings(self):
        await self._answer("positions")
        return Holdings(options=tuple(self.held), stocks=dict(self.stocks))

    async def clock(self):
        await self._answer("clock")
        return self.hours

    async def trading_day(self, today):
        await self._answer("trading_day", today)
        return self.session

    async def quotes(self, symbols, take):
        await self._answer("quotes", tuple(symbols))
        take([tick(symbol) for symbol in symbols])

    async def contract(self, symbol):
        await self._answer("contract", symbol)
        return self.contracts.get(symbol, STANDARD)

    async def orders(self, after):
        await self._answer("orders", after)
        return self.pages(after)
