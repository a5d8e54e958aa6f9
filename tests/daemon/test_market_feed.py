import datetime as dt

import msgspec
import pytest

from condord.core.account_summary import AccountSummary
from condord.core.day_pl import ClosingPrices
from condord.core.dividend import Dividend
from condord.core.model.figures import OptionSnapshot
from condord.core.underlying import Bar, IndexValue, StockSnapshot
from condord.core.working_order import OrderLeg, WorkingOrder
from condord.live.day import DayMemory
from condord.live.lifecycle import Memory
from condord.live.past import Past
from tests.http.fake_daemon import LEGS, NOW_AT, tick

from .test_feed import Harness

STOCK = "SPY"
TODAY = dt.date(2026, 11, 20)


@pytest.fixture
def harness():
    harness = Harness()
    harness.loop.advance(10)
    return harness


def underlying(harness):
    return next(each for each in harness.daemon.document().underlyings if each.symbol == STOCK)


def settle(harness):
    """Wait until a pass over the figures has run all its slices."""
    for _ in range(10):
        harness.loop.advance(0.5)


def summary(equity_e4=500_000_000):
    return AccountSummary(
        read_at=NOW_AT,
        equity_e4=equity_e4,
        last_equity_e4=None,
        cash_e4=None,
        buying_power_e4=None,
        options_buying_power_e4=None,
        maintenance_margin_e4=None,
    )


def test_the_underlyings_of_held_options_are_requested(harness):
    assert (harness.feed.stocks, harness.feed.indexes, harness.feed.opposite_contracts) == ((STOCK,), (), ())


def test_prices_of_stocks_reach_the_document_from_the_stream_and_from_rest(harness):
    harness.feed.set_stock_feed("sip")
    harness.feed.offer_stocks([tick(STOCK, 599.9, 600.1)])
    settle(harness)
    assert (underlying(harness).price, underlying(harness).source) == (600, "sipMid")
    before = Bar(day=TODAY - dt.timedelta(days=1), close_e4=5_900_000)
    harness.feed.confirm_stocks(
        [StockSnapshot(symbol=STOCK, quote=tick(STOCK, 599.9, 600.1), trade=None, today=None, before=before)]
    )
    settle(harness)
    assert (underlying(harness).price, underlying(harness).previous_close) == (600, 590)


def test_after_a_suspension_a_price_is_unconfirmed_until_it_is_read_again(harness):
    status = harness.daemon.document().status
    market = msgspec.structs.replace(status.market, is_open=True)
    harness.feed.set_status(msgspec.structs.replace(status, market=market))
    harness.feed.offer_stocks([tick(STOCK, 599.9, 600.1)])
    settle(harness)
    assert not underlying(harness).unconfirmed
    harness.feed.lapse_prices()
    settle(harness)
    assert underlying(harness).unconfirmed
    harness.feed.offer_stocks([tick(STOCK, 599.8, 600)])
    settle(harness)
    assert not underlying(harness).unconfirmed


def test_values_of_indexes_that_are_not_held_are_ignored(harness):
    harness.feed.confirm_indexes([IndexValue(symbol="SPX", value_e4=60_000_000, at=NOW_AT)], is_entitled=True)
    settle(harness)
    assert [each.symbol for each in harness.daemon.document().underlyings] == [STOCK]


def test_alpacas_figures_stand_in_without_a_price(harness):
    figures = [
        OptionSnapshot(symbol=symbol, at=NOW_AT, iv=0.2, delta=0.1, gamma=0.01, theta=-0.1, vega=0.2) for symbol in LEGS
    ]
    harness.feed.set_option_snapshots(figures)
    settle(harness)
    [condor] = harness.daemon.document().condors
    assert {leg.source for leg in condor.risk.legs} == {"alpaca"}


def test_quotes_of_opposite_contracts_are_kept(harness):
    harness.feed.set_opposite_quotes([tick("SPY261218C00560000", 1.0, 1.1)])
    kept = harness.daemon.publisher.book.risks.figures.fallbacks
    assert kept.quote("SPY261218C00560000", NOW_AT).bid_e4 == 10_000


def test_balances_are_published_and_forgotten_with_the_account(harness):
    harness.feed.set_account_summary(summary())
    assert harness.daemon.document().account.equity == 50_000
    harness.loop.advance(1)
    harness.feed.forget_names()
    assert harness.daemon.document().account is None


def test_dividends_reach_the_underlying(harness):
    harness.feed.set_dividends(
        [Dividend(symbol=STOCK, ex_date=dt.date(2026, 12, 1), amount_e6=1_970_000, source="alpaca")]
    )
    settle(harness)
    assert underlying(harness).ex_dividend.amount == 1.97


def test_working_orders_that_close_a_condor_reach_it(harness):
    [condor] = harness.daemon.publisher.book.edition.valuations.core.values()
    legs = tuple(OrderLeg(symbol=leg.symbol, quantity=-leg.quantity, closes=True) for leg in condor[0].legs)
    harness.feed.set_working_orders(
        [WorkingOrder(id="order", submitted_at=NOW_AT, limit_e4=12_000, quantity=condor[0].quantity, legs=legs)]
    )
    [shown] = harness.daemon.document().condors
    assert [(each.order_id, each.limit_price) for each in shown.closing] == [("order", 1.2)]
    harness.loop.advance(1)
    harness.feed.forget_names()
    assert [each.closing for each in harness.daemon.document().condors] == [[]]


def test_fills_and_closes_give_todays_profit_or_loss(harness):
    harness.feed.offer([tick(symbol, 1.0, 1.2) for symbol in LEGS])
    harness.loop.advance(1)
    harness.feed.set_day_fills(TODAY, [])
    harness.loop.advance(1)
    harness.feed.set_closes(ClosingPrices(day=TODAY - dt.timedelta(days=1), prices_e4=dict.fromkeys(LEGS, 10_000)))
    harness.loop.advance(1)
    [condor] = harness.daemon.document().condors
    assert condor.valuation.day_pl == 0
    assert harness.feed.memory.day.closes_e4 == dict.fromkeys(LEGS, 10_000)


def test_the_past_is_the_same_object_while_neither_the_account_nor_its_day_changes(harness):
    first = harness.feed.memory
    assert harness.feed.memory is first
    harness.feed.set_day_fills(TODAY, [])
    later = harness.feed.memory
    assert later is not first
    assert later.day != first.day


def test_a_past_is_recalled_with_its_day_and_another_account_has_none(harness):
    day = DayMemory(day=TODAY, closes_e4=dict.fromkeys(LEGS, 7))
    harness.feed.recall_memory(Past(day=day))
    assert harness.feed.memory.day.closes_e4 == day.closes_e4
    harness.feed.recall_memory(None)
    assert harness.feed.memory.day.closes_e4 == {}
    harness.feed.recall_memory(Memory())
    assert msgspec.structs.replace(harness.feed.memory, day=DayMemory()) == Past()
