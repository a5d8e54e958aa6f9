"""A harness for the tests of REST: a client of a server that answers from a script."""

import asyncio
import datetime as dt

import pytest

from condord.upstream.rest import AlpacaRest, RestSettings
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import LOGIN, NETWORK
from tests.fakes.rest import Answer, Canned, RestServer

POSITIONS = "/v2/positions"
CLOCK = "/v2/clock"
QUOTES = "/v1beta1/options/quotes/latest"
ORDERS = "/v2/orders"
ACTIVITIES = "/v2/account/activities"
ACTIONS = "/v1/corporate-actions"
BARS = "/v2/stocks/bars"
STOCKS = "/v2/stocks/snapshots"
INDEXES = "/v1beta1/indices/latest/values"
SNAPSHOTS = "/v1beta1/options/snapshots"
CALENDAR = "/v2/calendar"
SYMBOL = "GME1261016C00003000"
ACCOUNT = "/v2/account"
CONTRACT = f"/v2/options/contracts/{SYMBOL}"
NOW_AT = dt.datetime(2025, 6, 24, 18, 15, 22, tzinfo=dt.UTC)

ROW = {
    "asset_class": "us_option",
    "symbol": "SPY261130P00721000",
    "exchange": "",
    "qty": "-1",
    "side": "short",
    "avg_entry_price": "9.41",
    "cost_basis": "-941",
    "market_value": None,
}
TREASURY = {"asset_class": "treasury", "symbol": "912797XX1", "exchange": "OPRA", "qty": "1"}
HOURS = {
    "is_open": True,
    "next_close": "2025-06-24T16:00:00-04:00",
    "next_open": "2025-06-25T09:30:00-04:00",
    "timestamp": "2025-06-24T14:15:22-04:00",
}
QUOTE = {
    "ap": 13.11,
    "as": 78,
    "ax": "S",
    "bp": 13.06,
    "bs": 26,
    "bx": "C",
    "c": "A",
    "t": "2026-09-10T19:06:18.756509354Z",
}
MINI = {"symbol": SYMBOL, "multiplier": "10", "size": "100", "underlying_symbol": "GME", "new_field": [1]}
HTML = b"<html><body>Bad gateway</body></html>"


@pytest.fixture
def server():
    with RestServer() as server:
        server.script = {
            POSITIONS: [Answer([ROW])],
            CLOCK: [Answer(HOURS)],
            QUOTES: lambda query: Answer({"quotes": dict.fromkeys(query["symbols"].split(","), QUOTE)}),
        }
        yield server


class Harness:
    """A client of `server` whose waits take no time and are recorded in `waits`; `seconds` is its clock."""

    def __init__(self, url, **options):
        self.waits = []
        self.seconds = 1000.0
        defaults = {
            "paper": True,
            "feed": "indicative",
            "trading_url": url,
            "data_url": url,
            "timeout_seconds": 5.0,
            "retries": 3,
            "breaker_failures": 100,
            "breaker_reset_seconds": 30.0,
            "threads": 4,
            "stock_feed": "iex",
        }
        self.settings = RestSettings(**{**defaults, **options})
        self.rest = AlpacaRest(
            self.settings,
            LOGIN,
            now_at=lambda: NOW_AT,
            network=NETWORK,
            sleep=self._note_wait,
            now=lambda: self.seconds,
        )

    async def _note_wait(self, seconds):
        self.waits.append(seconds)
        self.seconds += seconds

    async def quotes(self, symbols=("A",)):
        """Return what `quotes` delivers."""
        return await self._taken(self.rest.quotes, symbols)

    async def _taken(self, call, symbols):
        taken = []
        await call(symbols, taken.extend)
        return taken

    @property
    def by_name(self):
        """Return every call by a short name."""
        return {
            "holdings": self.rest.holdings,
            "clock": self.rest.clock,
            "quotes": self.quotes,
            "orders": lambda: self.rest.orders(NOW_AT),
            "activities": lambda: self.rest.activities(("FILL",), NOW_AT, None),
            "splits": lambda: self.rest.splits(["SPY"], NOW_AT.date(), NOW_AT.date()),
            "calendar": lambda: self.rest.calendar(NOW_AT.date(), NOW_AT.date()),
            "contract": lambda: self.rest.contract(SYMBOL),
            "account": self.rest.account_id,
            "stocks": lambda: self._taken(self.rest.stock_snapshots, ["SPY"]),
            "indexes": lambda: self.rest.index_values(["SPX"]),
            "snapshots": lambda: self._taken(self.rest.option_snapshots, [SYMBOL]),
            "opposites": lambda: self._taken(self.rest.opposite_quotes, ["A"]),
            "dividends": lambda: self.rest.dividends(["SPY"], NOW_AT.date(), NOW_AT.date()),
            "balances": self.rest.account_summary,
            "transfers": lambda: self.rest.transfers_e4(NOW_AT.date()),
            "workingOrders": self.rest.working_orders,
            "past": lambda: self.rest.past_activities(NOW_AT, None),
            "later": lambda: self.rest.later_activities(NOW_AT, None),
            "closes": lambda: self.rest.day_closes(["SPY"], NOW_AT.date(), NOW_AT.date()),
            "dayFills": lambda: self.rest.day_fills(NOW_AT.date(), NOW_AT, None),
        }

    def fault(self, call=None):
        """Return the fault that a call raises."""
        with pytest.raises(RestFault) as caught:
            asyncio.run((call or self.rest.holdings)())
        return caught.value


@pytest.fixture
def harness(server):
    """A function that creates harnesses, which are closed at the end."""
    harnesses = []

    def make(**options):
        harnesses.append(Harness(server.url, **options))
        return harnesses[-1]

    yield make
    for harness in harnesses:
        harness.rest.close()


@pytest.fixture(scope="module")
def canned_harness():
    """A harness without a server: each test puts its answers into `canned`."""
    harness = Harness("http://127.0.0.1:9", retries=0, breaker_failures=1_000_000)
    harness.canned = Canned()
    for client in harness.rest._blocking.clients:
        client._session.mount("http://", harness.canned)
    yield harness
    harness.rest.close()
