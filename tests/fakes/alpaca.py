"""A fake brokerage and a fake sink, which record their calls, and a login."""

import asyncio
import datetime as dt

from condord.core import occ
from condord.core.account_summary import AccountSummary
from condord.core.calendar import Calendar
from condord.core.lots import lots
from condord.core.market_hours import Clock
from condord.core.model.figures import OptionSnapshot
from condord.core.position import Contract, Holdings, Position
from condord.core.quote import Tick
from condord.core.underlying import Bar, IndexValue, StockSnapshot, StockTrade
from condord.host.network import Network
from condord.live.lifecycle import Memory
from condord.upstream.interfaces import ActivityPage, FillPage, Login, OrderPage
from condord.upstream.rest_fault import RestFault

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
NETWORK = Network({})
"""No proxy, and only the system's certificates."""

LONG_PUT = "SPY261218P00560000"
SHORT_PUT = "SPY261218P00570000"
SHORT_CALL = "SPY261218C00630000"
LONG_CALL = "SPY261218C00640000"
CONDOR = (SHORT_PUT, SHORT_CALL, LONG_PUT, LONG_CALL)

STANDARD = Contract(multiplier=100, underlying="SPY")
NO_ACTIVITIES = ActivityPage(activities=(), last_id=None, is_full=False)
NO_FILLS = FillPage(fills={}, last_id=None, is_full=False)
NO_ORDERS = OrderPage(orders=(), newest_at=None, open_since=None, is_full=False)
BALANCES = AccountSummary(
    read_at=STARTED_AT,
    equity_e4=501_234_000,
    last_equity_e4=499_800_000,
    cash_e4=201_112_000,
    buying_power_e4=402_224_000,
    options_buying_power_e4=201_112_000,
    maintenance_margin_e4=78_000_000,
)

OUTAGE = RestFault("serverError", "Alpaca's REST has an error of its own (500)", may_retry=True)


def wall():
    """A wall clock that runs with the loop's clock; a virtual loop starts at 1000 s."""
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


def snapshot(symbol, price=580.0, at=STARTED_AT):
    """A stock's snapshot with a quote of two cents around `price`."""
    return StockSnapshot(
        symbol=symbol,
        quote=tick(symbol, price - 0.01, price + 0.01, at),
        trade=StockTrade(price_e4=round(price * 10_000), at=at),
        today=Bar(day=at.date(), close_e4=round(price * 10_000)),
        before=Bar(day=at.date() - dt.timedelta(days=1), close_e4=5_790_000),
    )


def figures(symbol):
    """Alpaca's figures of a contract."""
    return OptionSnapshot(symbol=symbol, at=STARTED_AT, iv=0.2, delta=-0.1, gamma=0.01, theta=-0.05, vega=0.3)


class FakeSink:
    """Records its calls.

    `has_missed_quotes` is what `has_missed` returns, and `doubt` what the next `doubts_clock` returns.
    """

    def __init__(self):
        self.symbols = ()
        self.positions = None
        self.lots = ()
        self.orders = ()
        self.activities = ()
        self.splits = ()
        self.awaited_bookings = frozenset()
        self.memory = Memory()
        self.recalled = []
        self.names = {}
        self.accounts = []
        self.requires_account = False
        self.complete = []
        self.offered = []
        self.confirmed = []
        self.gaps = 0
        self.resumes = 0
        self.followed = []
        self.lapsed = []
        self.statuses = []
        self.has_missed_quotes = False
        self.generation = 0
        self.silent = frozenset()
        self.doubt = False
        self.exchange_times = []

    def offer(self, ticks):
        self.offered.extend(ticks)

    def confirm(self, ticks, generation):
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

    async def lots_of(self, orders):
        return lots(orders)

    async def regroup(self, _positions, _lots):
        """Do nothing: there is no grouping here."""

    def set_positions(self, positions, lots=(), stocks=None, orders=()):
        self.positions = list(positions)
        self.shares = stocks
        self.orders = tuple(orders)
        self.lots = tuple(lots)
        self.symbols = tuple(one.symbol for one in self.positions if one.contract is not None)

    def set_bookings(self, activities, splits):
        self.activities, self.splits = tuple(activities), tuple(splits)

    def recall_memory(self, memory):
        self.recalled.append((memory, self.positions))
        self.memory = memory or Memory()

    def recall_names(self, names):
        self.names = self.names | names

    def forget_names(self):
        self.names = {}

    def note_account(self, account_key):
        self.accounts.append(account_key)

    def note_orders(self):
        self.complete.append(self.orders)

    def set_status(self, status):
        self.statuses.append(status)

    def has_missed(self, ticks):
        return self.has_missed_quotes and bool(list(ticks))

    def set_calendar(self, calendar):
        self.calendar = calendar

    def set_exchange_time(self, at):
        self.exchange_times.append(at)

    def doubts_clock(self):
        doubt, self.doubt = self.doubt, False
        return doubt

    @property
    def status(self):
        """The newest status."""
        return self.statuses[-1]


class FakeMarketSink:
    """Records each call as (name, argument, …) in `calls`."""

    def __init__(self):
        self.stocks = ()
        self.indexes = ()
        self.opposite_contracts = ()
        self.calls = []

    def names(self):
        """The names of the calls."""
        return [name for name, *_ in self.calls]

    def last(self, what):
        """The arguments of the newest call of `what`."""
        return next(tuple(arguments) for name, *arguments in reversed(self.calls) if name == what)

    def offer_stocks(self, ticks):
        self.calls.append(("offer_stocks", list(ticks)))

    def confirm_stocks(self, snapshots):
        self.calls.append(("confirm_stocks", list(snapshots)))

    def confirm_indexes(self, values, *, is_entitled):
        self.calls.append(("confirm_indexes", list(values), is_entitled))

    def lapse_prices(self):
        self.calls.append(("lapse_prices",))

    def set_stock_feed(self, feed):
        self.calls.append(("set_stock_feed", feed))

    def set_option_snapshots(self, snapshots):
        self.calls.append(("set_option_snapshots", list(snapshots)))

    def set_opposite_quotes(self, ticks):
        self.calls.append(("set_opposite_quotes", list(ticks)))

    def set_account_summary(self, summary):
        self.calls.append(("set_account_summary", summary))

    def set_dividends(self, dividends):
        self.calls.append(("set_dividends", list(dividends)))

    def set_working_orders(self, orders):
        self.calls.append(("set_working_orders", list(orders)))

    def set_day_fills(self, day, fills):
        self.calls.append(("set_day_fills", day, list(fills)))

    def set_closes(self, closes):
        self.calls.append(("set_closes", closes))


class FakeWholeSink(FakeSink, FakeMarketSink):
    """Both sinks in one; its stocks are the roots of what is held."""

    def __init__(self):
        FakeMarketSink.__init__(self)
        FakeSink.__init__(self)

    def set_positions(self, positions, lots=(), stocks=None, orders=()):
        super().set_positions(positions, lots, stocks, orders)
        self.stocks = tuple(dict.fromkeys(occ.parse(symbol).root for symbol in self.symbols))


class FakeTradeSink:
    """Keeps what it is given for each account, as `past` (by id) and `complete_from`; `pages` has each call of it.

    `held_back` is a future that `recall_past` waits for, once.
    """

    def __init__(self):
        self.accounts = {}
        self.account_key = None
        self.wanted_closes = frozenset()
        self.closes_e4 = {}
        self.pages = []
        self.held_back = None

    @property
    def past(self):
        return self.accounts[self.account_key][0]

    @property
    def complete_from(self):
        return self.accounts[self.account_key][1]

    async def switch_to(self, account_key):
        self.account_key = account_key
        self.accounts.setdefault(account_key, ({}, None))

    async def recall_past(self):
        past, complete_from = self.accounts[self.account_key]
        held_back, self.held_back = self.held_back, None
        if held_back is not None:
            await held_back
        return sorted(past.values(), key=lambda activity: activity.at), complete_from

    async def add_past(self, activities, complete_from):
        self.pages.append((self.account_key, [activity.id for activity in activities], complete_from))
        self.accounts[self.account_key] = self.past | {each.id: each for each in activities}, complete_from

    def add_day_closes(self, closes_e4):
        self.closes_e4 |= closes_e4
        self.wanted_closes -= closes_e4.keys()


class FakeBrokerage:
    """Gives the answers that a test sets, after `delay` seconds of the loop's clock.

    `failures` maps the name of a request to the exception it raises. `contracts` holds the contracts that are not
    standard. `pages` returns the orders after an instant. `past` holds the activities that trades need, and
    `past_order` returns the instant by which Alpaca selects and sorts one. `asked` lists all requests: name, loop time, argument.
    """

    def __init__(self, symbols=CONDOR):
        self.breaker = "closed"
        self.refused = {}
        self.pending_fault = None
        self.account = "account-one"
        self.held = [holding(symbol) for symbol in symbols]
        self.stocks = {}
        self.hours = OPEN
        self.sessions = Calendar()
        self.contracts = {}
        self.pages = lambda after: NO_ORDERS
        self.activity_pages = lambda kinds, after, token: NO_ACTIVITIES
        self.announced = []
        self.index_levels = {}
        self.dividends_announced = []
        self.balances = BALANCES
        self.transferred_e4 = 0
        self.working = []
        self.fill_pages = lambda day, after, token: NO_FILLS
        self.past = []
        self.past_order = lambda activity: activity.at
        self.past_page_size = 100
        self.closes_e4 = {}
        self.failures = {}
        self.delay = 0.0
        self.asked = []

    def times(self, what):
        """The loop time of each request for `what`."""
        return [at for name, at, _ in self.asked if name == what]

    async def _answer(self, what, argument=None):
        self.asked.append((what, asyncio.get_running_loop().time(), argument))
        await asyncio.sleep(self.delay)
        if what in self.failures:
            raise self.failures[what]

    async def account_id(self):
        account = self.account
        await self._answer("account")
        return account

    async def holdings(self):
        await self._answer("positions")
        return Holdings(options=tuple(self.held), stocks=dict(self.stocks))

    async def clock(self):
        await self._answer("clock")
        return self.hours

    async def calendar(self, start, end):
        await self._answer("calendar", (start, end))
        return self.sessions

    async def quotes(self, symbols, take):
        await self._answer("quotes", tuple(symbols))
        take([tick(symbol) for symbol in symbols])

    async def contract(self, symbol):
        await self._answer("contract", symbol)
        return self.contracts.get(symbol, STANDARD)

    async def activities(self, kinds, after, token):
        await self._answer("activities", (tuple(kinds), after, token))
        return self.activity_pages(kinds, after, token)

    async def past_activities(self, until_at, token):
        await self._answer("past", (until_at, token))
        rows = sorted(self.past, key=lambda each: (self.past_order(each), each.id), reverse=True)
        return self._page([each for each in rows if self.past_order(each) < until_at], token)

    async def later_activities(self, after_at, token):
        await self._answer("later", (after_at, token))
        rows = sorted(self.past, key=lambda each: (self.past_order(each), each.id))
        return self._page([each for each in rows if self.past_order(each) > after_at], token)

    def _page(self, rows, token):
        ids = [each.id for each in rows]
        first = ids.index(token) + 1 if token else 0
        page = rows[first : first + self.past_page_size]
        is_full = len(page) == self.past_page_size
        return ActivityPage(activities=tuple(page), last_id=page[-1].id if page else None, is_full=is_full)

    async def day_closes(self, symbols, start, end):
        await self._answer("closes", (tuple(symbols), start, end))
        return {key: close for key, close in self.closes_e4.items() if key[0] in symbols and start <= key[1] <= end}

    async def splits(self, symbols, start, end):
        await self._answer("splits", (tuple(symbols), start, end))
        return list(self.announced)

    async def orders(self, after):
        await self._answer("orders", after)
        return self.pages(after)

    async def stock_snapshots(self, symbols, take):
        await self._answer("stocks", tuple(symbols))
        take([snapshot(symbol) for symbol in symbols])

    async def index_values(self, symbols):
        """None if `index_levels` is None: the key has no grant."""
        await self._answer("indexes", tuple(symbols))
        if self.index_levels is None:
            return None
        return [
            IndexValue(symbol=symbol, value_e4=self.index_levels[symbol], at=STARTED_AT)
            for symbol in symbols
            if symbol in self.index_levels
        ]

    async def option_snapshots(self, symbols, take):
        await self._answer("snapshots", tuple(symbols))
        take([figures(symbol) for symbol in symbols])

    async def opposite_quotes(self, symbols, take):
        await self._answer("opposites", tuple(symbols))
        take([tick(symbol) for symbol in symbols])

    async def dividends(self, symbols, start, end):
        await self._answer("dividends", (tuple(symbols), start, end))
        return list(self.dividends_announced)

    async def account_summary(self):
        await self._answer("balances")
        return self.balances

    async def transfers_e4(self, day):
        await self._answer("transfers", day)
        return self.transferred_e4

    async def working_orders(self):
        await self._answer("workingOrders")
        return list(self.working)

    async def day_fills(self, day, after, token):
        await self._answer("dayFills", (day, after, token))
        return self.fill_pages(day, after, token)
