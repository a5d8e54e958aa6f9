import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.simulator.market import Market, SimulatedQuote
from condord.simulator.past_path import PastPath
from condord.simulator.stocks import MinuteEnd, SimulatedTrade, StockMarket
from tests.examples import examples
from tests.simulator.builders import make_quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC).timestamp()
FRIDAY, THURSDAY, MONDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 19), dt.date(2026, 11, 23)
STOCKS = ("SPY", "QQQ", "IWM", "NVDA", "AAPL", "AMD", "INTC", "XYZ")


class Exchange:
    """A market with its stocks, which advance together."""

    def __init__(self, seed=1, rate=1.0):
        self.market = Market(seed=seed, at=AT, rate=rate, session_day=FRIDAY)
        path = PastPath(self.market.underlyings, seed=seed, started_at=AT, before=THURSDAY)
        self.stocks = StockMarket(self.market, seed=seed, path=path)

    def advance(self, seconds, *, moving=True):
        at = self.market.at + seconds
        self.market.advance(at, moving=moving)
        return self.stocks.advance(at, moving=moving)

    def begin(self, day, before):
        self.market.underlyings.begin_session(day)
        self.stocks.begin_session(day, before)


@pytest.fixture
def exchange():
    return Exchange()


def quotes_in(events, symbol=None):
    return [event for event in events if isinstance(event, SimulatedQuote) and symbol in (None, event.symbol)]


def test_indexes_and_unknown_symbols_have_no_quotes(exchange):
    for symbol in ("SPX", "XSP", "NONE", "XYZ1"):
        assert exchange.stocks.quote(symbol) is exchange.stocks.trade(symbol) is exchange.stocks.bars(symbol) is None


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.lists(st.floats(0.01, 3), max_size=8))
def test_a_quote_is_at_most_two_cents_wide_around_the_price(seed, steps):
    exchange = Exchange(seed, rate=5)
    for step in [0.0, *steps]:
        latest = {event.symbol: event for event in quotes_in(exchange.advance(step))}
        for symbol in STOCKS:
            quote = exchange.stocks.quote(symbol)
            assert quote is latest.get(symbol, quote)
            assert 0.01 <= round(quote.ask - quote.bid, 4) <= 0.02
            assert quote.bid_size > 0
            assert quote.ask_size > 0
        for symbol, quote in latest.items():
            assert quote.mid == pytest.approx(exchange.market.underlyings.spot(symbol), abs=0.0101)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.lists(st.floats(0.001, 90), max_size=8))
def test_the_same_seed_and_steps_give_the_same_events(seed, steps):
    one, other = Exchange(seed), Exchange(seed)
    for step in steps:
        assert one.advance(step) == other.advance(step)


def test_spy_quotes_several_times_a_second_and_small_stocks_rarely(exchange):
    events = [event for _ in range(600) for event in exchange.advance(0.1)]
    assert 150 < len(quotes_in(events, "SPY")) < 600
    assert 1 <= len(quotes_in(events, "XYZ")) < 30
    trades = [event for event in events if isinstance(event, SimulatedTrade) and event.symbol == "SPY"]
    assert 20 < len(trades) < len(quotes_in(events, "SPY")) / 2
    assert [trade.id for trade in trades] == list(range(trades[0].id, trades[0].id + len(trades)))


def test_the_rate_of_the_market_applies_to_stocks():
    fast, stopped = Exchange(rate=20), Exchange(rate=0)
    assert len(quotes_in(fast.advance(1), "SPY")) > 50
    assert not quotes_in(stopped.advance(60))


def test_events_are_in_order_and_never_in_the_future(exchange):
    events = [event for event in exchange.advance(30) if not isinstance(event, MinuteEnd)]
    stamps = [event.at_ns for event in events]
    assert stamps == sorted(stamps)
    assert stamps[0] >= AT * 1e9
    assert stamps[-1] <= (AT + 30) * 1e9


def test_nothing_happens_while_the_market_stands_still_and_nothing_is_caught_up(exchange):
    before = exchange.stocks.quote("SPY")
    assert exchange.advance(3600, moving=False) == []
    assert exchange.stocks.quote("SPY") is before
    assert len(quotes_in(exchange.advance(0.1))) < 20


def test_a_trade_is_within_its_quote(exchange):
    latest = {}
    for event in exchange.advance(120):
        if isinstance(event, SimulatedQuote):
            latest[event.symbol] = event
        elif isinstance(event, SimulatedTrade):
            quote = latest[event.symbol]
            assert quote.bid <= event.price <= quote.ask
            assert event.conditions == (["@"] if event.size >= 100 else ["@", "I"])


def test_a_minute_ends_with_a_bar_of_its_own_and_one_of_the_session(exchange):
    exchange.advance(59)
    ends = [event for event in exchange.advance(2) if isinstance(event, MinuteEnd)]
    assert {end.minute.symbol for end in ends} == set(STOCKS)
    assert {end.minute.start for end in ends} == {int(AT)}
    minute, _, _ = exchange.stocks.bars("SPY")
    assert minute.start == int(AT) + 60


def test_bars_hold_the_prices_since_their_start(exchange):
    _, before, _ = exchange.stocks.bars("SPY")
    prices = []
    for _ in range(50):
        exchange.advance(1)
        prices.append(exchange.market.spot("SPY"))
    minute, session, _ = exchange.stocks.bars("SPY")
    assert session.close == minute.close == prices[-1]
    assert session.high == max(before.high, *prices)
    assert session.low == min(before.low, *prices)
    assert session.volume - before.volume == minute.volume > 0
    assert session.count - before.count == minute.count > 0
    assert session.low <= session.mean <= session.high


@pytest.mark.parametrize("symbol", STOCKS)
def test_the_session_opened_near_the_previous_close_and_both_days_are_known(exchange, symbol):
    _, session, before = exchange.stocks.bars(symbol)
    assert before.close == exchange.market.underlyings.previous_close(symbol)
    assert session.close == exchange.market.spot(symbol)
    assert session.open == pytest.approx(before.close, rel=0.05)
    for bar, day in ((session, FRIDAY), (before, THURSDAY)):
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert dt.datetime.fromtimestamp(bar.start, dt.UTC) == dt.datetime.combine(day, dt.time(5), dt.UTC)


def test_closes_are_stable_and_the_newest_session_becomes_the_previous_one(exchange):
    before = exchange.stocks.bars("SPY")[2]
    exchange.advance(100)
    assert exchange.stocks.bars("SPY")[2] == before
    _, session, _ = exchange.stocks.bars("SPY")
    exchange.begin(MONDAY, FRIDAY)
    _, opened, closed = exchange.stocks.bars("SPY")
    assert closed == session
    assert opened.open == opened.close == session.close
    assert opened.start == closed.start + 3 * 86_400


def test_in_sessions_that_were_skipped_prices_stood_still(exchange):
    close = exchange.stocks.bars("SPY")[1].close
    exchange.begin(dt.date(2026, 12, 9), dt.date(2026, 12, 8))
    before = exchange.stocks.bars("SPY")[2]
    assert (before.open, before.high, before.low, before.close, before.volume) == (close,) * 4 + (0,)


def test_a_stock_first_asked_for_after_an_opening_has_the_same_closes(exchange):
    exchange.begin(MONDAY, FRIDAY)
    before = exchange.stocks.bars("AAPL")[2]
    assert before.close == exchange.market.underlyings.previous_close("AAPL")
    assert dt.datetime.fromtimestamp(before.start, dt.UTC).date() == FRIDAY


def test_a_pinned_stock_is_not_quoted_until_it_is_released():
    exchange = Exchange(rate=20)
    pinned = make_quote("SPY", bid=700.0, ask=701.0)
    assert exchange.stocks.pin(pinned, hold=True)
    assert not exchange.stocks.pin(make_quote("SPX"), hold=True)
    assert quotes_in(exchange.advance(10), "SPY") == []
    assert exchange.stocks.quote("SPY") is pinned
    assert exchange.stocks.requote(["SPY"]) == []
    exchange.stocks.release()
    assert quotes_in(exchange.advance(10), "SPY")


def test_a_price_that_is_set_is_quoted_and_traded_at_once_even_while_the_market_stands_still(exchange):
    exchange.advance(10, moving=False)
    exchange.market.set_spot("SPY", 700.0, hold=True)
    quote, trade = exchange.stocks.requote(["SPY", "SPX", "NONE"])
    assert quote is exchange.stocks.quote("SPY")
    assert (quote.mid, trade.price) == (pytest.approx(700, abs=0.0101), pytest.approx(700, abs=0.0101))
    assert quote.at_ns == int(exchange.market.at * 1e9)
    minute, session, _ = exchange.stocks.bars("SPY")
    assert minute.close == session.close == session.low == 700


def test_an_unknown_stock_is_quoted_around_the_strike_of_its_option(exchange):
    exchange.market.watch("ABCD270115C00012500")
    assert exchange.stocks.quote("ABCD").mid == pytest.approx(12.5, rel=0.01)


def test_after_the_end_of_its_session_the_price_moves_on_and_the_bar_stays(exchange):
    exchange.advance(10)
    exchange.market.underlyings.end_session()
    _, session, _ = exchange.stocks.bars("SPY")
    assert exchange.advance(600)
    minute, after, _ = exchange.stocks.bars("SPY")
    assert after == session
    assert minute.close == exchange.market.spot("SPY") != session.close
    exchange.begin(MONDAY, FRIDAY)
    assert exchange.stocks.bars("SPY")[2] == session


def test_a_stock_first_asked_for_after_the_end_of_the_session_has_its_close(exchange):
    close = exchange.market.spot("AMD")
    exchange.market.underlyings.end_session()
    exchange.market.set_spot("AMD", close + 10, hold=True)
    assert exchange.stocks.bars("AMD")[1].close == close
    assert exchange.stocks.quote("AMD").mid == pytest.approx(close + 10, abs=0.0101)


def test_a_long_step_returns_only_its_last_quotes(exchange):
    quotes = quotes_in(exchange.advance(86_400), "SPY")
    assert 100 < len(quotes) < 400
    assert quotes[0].at_ns > (AT + 86_000) * 1e9


def test_the_bars_of_days_end_with_the_newest_sessions(exchange):
    start = dt.date(2026, 11, 16)
    bars = exchange.stocks.day_bars("SPY", start, MONDAY)
    assert [bar.day for bar in bars] == [dt.date(2026, 11, day) for day in range(16, 21)]
    assert tuple(bars[-2:]) == exchange.stocks.bars("SPY")[:0:-1]
    exchange.advance(100)
    exchange.begin(MONDAY, FRIDAY)
    later = exchange.stocks.day_bars("SPY", start, MONDAY)
    assert later[:4] == bars[:4]
    assert later[4:] == [exchange.stocks.bars("SPY")[2], exchange.stocks.bars("SPY")[1]]
    assert exchange.stocks.day_bars("SPY", THURSDAY, THURSDAY) == [bars[-2]]
    for symbol in ("SPX", "NONE"):
        assert exchange.stocks.day_bars(symbol, start, MONDAY) is None


def test_skipped_sessions_do_not_change_the_bars_before_them(exchange):
    before = exchange.stocks.day_bars("SPY", THURSDAY, FRIDAY)
    exchange.begin(dt.date(2026, 12, 9), dt.date(2026, 12, 8))
    bars = exchange.stocks.day_bars("SPY", THURSDAY, dt.date(2026, 12, 9))
    assert bars[:2] == before
    assert [bar.day.day for bar in bars] == [19, 20, 8, 9]


def test_a_bar_times_a_factor_has_prices_to_the_cent(exchange):
    bar = exchange.stocks.bars("SPY")[2]
    scaled = bar.scaled(0.9)
    assert (scaled.open, scaled.close) == (round(bar.open * 0.9, 2), round(bar.close * 0.9, 2))
    assert (scaled.volume, scaled.day) == (bar.volume, THURSDAY)
    assert bar.scaled(1.0) == bar
