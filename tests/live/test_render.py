import datetime as dt

import msgspec
import pytest

from condord.core import valuation as values
from condord.core.cutoffs import Cutoff
from condord.core.expiry import Ending
from condord.core.grouping.account import group
from condord.core.quote import Quote, judge
from condord.live import render, wire, wire_condor
from condord.live.broken import BrokenCondor, summary

from .accounts import (
    C630,
    C640,
    C650,
    DAY,
    EPOCH_AT,
    P560,
    P570,
    SPY_ID,
    lot,
    position,
    qqq,
    spy,
    status,
    tick,
    unreadable,
)

CLOSE_AT = dt.datetime(2026, 12, 18, 21, 15, tzinfo=dt.UTC)
TERMS = render.ContractTerms(
    style="american",
    ending=Ending(settlement="pm", last_trading_at=CLOSE_AT, settles_at=CLOSE_AT),
    cutoffs=(Cutoff(kind="orders", at=CLOSE_AT - dt.timedelta(hours=1), source="config"),),
)
HISTORY = wire_condor.HistoryJson(seconds=[60], cents=[-100])
MARKS = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}


def quotes(marks):
    return {symbol: judge(tick(symbol, mark - 0.05, mark + 0.05), None) for symbol, mark in marks.items()}


def card(positions=None, marks=MARKS, unconfirmed=()):
    [condor] = group(spy() if positions is None else positions).condors
    return render.condor(condor, values.value(condor, quotes(marks), unconfirmed), TERMS, DAY, HISTORY)


def leftover(held, mark_e4=None, unrealized_e4=None, day_e4=None):
    [left] = group([held]).unmatched
    return render.unmatched(left, mark_e4, values.LeftoverPl(unrealized_e4, day_e4), held.problem)


def test_the_first_reading_is_a_change_of_status():
    unread = msgspec.structs.replace(status().positions, read_at=None)
    assert not render.same_status(status(), msgspec.structs.replace(status(), positions=unread))


def test_a_quote_shows_dollars_and_contracts():
    quote = judge(tick(P560, 1.15, 1.25, sizes=(3.0, 4.0)), None)
    assert render.quote(quote, unconfirmed=True) == wire.QuoteJson(
        symbol=P560,
        bid=1.15,
        bid_size=3,
        ask=1.25,
        ask_size=4,
        mark=1.2,
        state="twoSided",
        time=EPOCH_AT,
        unconfirmed=True,
    )


def test_a_contract_never_quoted_shows_only_its_symbol():
    assert render.quote(Quote(symbol=P560), unconfirmed=False) == wire.QuoteJson(
        symbol=P560,
        bid=None,
        bid_size=None,
        ask=None,
        ask_size=None,
        mark=None,
        state="none",
        time=None,
        unconfirmed=False,
    )


def test_a_quote_without_a_bid_shows_zero_and_not_null():
    quote = render.quote(judge(tick(P560, 0.0, 0.1), None), unconfirmed=False)
    assert (quote.bid, quote.mark) == (0, 0.05)


def test_a_condor_shows_the_values_that_no_quote_changes():
    shown = card()
    assert (shown.id, shown.kind, shown.direction) == (SPY_ID, "ironCondor", "short")
    assert (shown.underlying, shown.root, shown.expiration) == ("SPY", "SPY", dt.date(2026, 12, 18))
    assert (shown.quantity, shown.multiplier, shown.days_to_expiration) == (2, 100, 28)
    assert (shown.credit, shown.max_profit, shown.max_loss) == (2.35, 470, 1530)
    assert (shown.put_width, shown.call_width) == (10, 10)
    assert shown.breakevens == wire_condor.Breakevens(lower=567.65, upper=632.35)
    assert not shown.broken_wing
    assert not shown.ambiguous


def test_a_condor_found_by_its_structure_shows_no_history():
    shown = card()
    assert (shown.entry_source, shown.opened_at, shown.realized_pl) == ("structure", None, None)


def test_a_condor_found_by_its_orders_shows_its_opening_and_the_profit_of_its_rolls():
    [condor] = group(spy(), [lot(realized_e4=3_500)]).condors
    shown = render.condor(condor, values.value(condor, quotes(MARKS), ()), TERMS, DAY, HISTORY)
    assert (shown.entry_source, shown.opened_at, shown.realized_pl) == ("orders", EPOCH_AT, 70)
    assert (shown.credit, shown.valuation.unrealized_pl, shown.valuation.percent_of_max_profit) == (2.35, 230, 55.56)


def test_a_condor_shows_its_expiry_and_cut_offs():
    shown = card()
    assert (shown.style, shown.settlement) == ("american", "pm")
    assert (shown.expiry.last_trading_at, shown.expiry.settles_at) == (CLOSE_AT, CLOSE_AT)
    assert [(cutoff.kind, cutoff.source) for cutoff in shown.expiry.cutoffs] == [("orders", "config")]


def test_style_and_settlement_are_unknown_until_the_contracts_were_read():
    shown = card((*spy()[:3], position(C640, 2, 1.10, multiplier_assumed=True)))
    assert (shown.style, shown.settlement) == (None, None)
    assert shown.expiry.settles_at == CLOSE_AT


def test_the_legs_are_listed_by_strike_with_their_sides():
    legs = card().legs
    assert [(leg.symbol, leg.right, leg.strike, leg.side, leg.quantity) for leg in legs] == [
        (P560, "put", 560, "long", 2),
        (P570, "put", 570, "short", 2),
        (C630, "call", 630, "short", 2),
        (C640, "call", 640, "long", 2),
    ]


def test_a_short_leg_has_a_negative_cost_basis_and_a_positive_price():
    assert [(leg.average_entry_price, leg.cost_basis) for leg in card().legs] == [
        (1.21, 242),
        (2.4, -480),
        (2.26, -452),
        (1.1, 220),
    ]


def test_a_valuation_shows_the_example_of_the_contract():
    value = card().valuation
    assert (value.id, value.as_of) == (SPY_ID, EPOCH_AT)
    assert (value.mark, value.natural) == (1.2, 1.4)
    assert (value.unrealized_pl, value.natural_pl) == (230, 190)
    assert (value.percent_of_max_profit, value.percent_of_risk) == (48.94, 15.03)
    assert (value.missing, value.unconfirmed) == ([], False)
    assert [leg.unrealized_pl for leg in value.legs] == [-62, 140, 192, -40]


def test_a_scratch_trade_is_exactly_zero():
    value = card(marks={P560: 1.21, P570: 2.40, C630: 2.26, C640: 1.10}).valuation
    assert wire.encode(value.unrealized_pl) == b"0"


def test_a_leg_without_a_quote_makes_a_valuation_null():
    value = card(marks={P560: 0.90}).valuation
    assert value.missing == [P570, C630, C640]
    assert (value.mark, value.natural, value.unrealized_pl, value.natural_pl) == (None, None, None, None)
    assert [leg.unrealized_pl for leg in value.legs] == [-62, None, None, None]


def test_an_unconfirmed_leg_makes_a_valuation_unconfirmed():
    assert card(unconfirmed={C640}).valuation.unconfirmed


def test_a_condor_that_was_bought_has_a_negative_credit():
    shown = card(qqq())
    assert (shown.direction, shown.credit, shown.max_profit, shown.max_loss) == ("long", -2, 800, 200)


def test_a_condor_with_an_unknown_cost_has_no_made_up_numbers():
    held = (*spy()[:3], position(C640, 2, cost_basis_e4=None, average_entry_e4=None))
    shown = card(held)
    assert (shown.credit, shown.max_profit, shown.max_loss) == (None, None, None)
    assert shown.breakevens == wire_condor.Breakevens(lower=None, upper=None)
    assert (shown.legs[3].average_entry_price, shown.legs[3].cost_basis) == (None, None)


def test_an_unmatched_contract_shows_its_mark_and_profit():
    shown = leftover(position(C650, -3, 0.40), 5_000, -300_000, 45_000)
    assert (shown.symbol, shown.underlying, shown.root) == (C650, "SPY", "SPY")
    assert (shown.right, shown.strike, shown.side, shown.quantity) == ("call", 650, "short", 3)
    assert (shown.average_entry_price, shown.cost_basis) == (0.4, -120)
    assert (shown.mark, shown.unrealized_pl, shown.day_pl) == (0.5, -30, 4.5)
    assert (shown.uncovered_short, shown.cover) == (True, None)


def test_an_unmatched_contract_that_was_bought_is_long():
    assert leftover(position(C650, 3)).side == "long"


@pytest.mark.parametrize(("quantity", "shown"), [(None, None), (0, 0)])
def test_a_quantity_of_zero_or_unknown_has_no_side(quantity, shown):
    held = msgspec.structs.replace(position(C650, 1), quantity=quantity)
    entry = leftover(held)
    assert (entry.side, entry.quantity) == (None, shown)


def test_without_an_underlying_the_root_is_shown():
    assert leftover(msgspec.structs.replace(position(C650, 1), underlying=None)).underlying == "SPY"


def test_a_symbol_that_cannot_be_parsed_is_shown_with_its_problem():
    shown = leftover(unreadable())
    assert (shown.symbol, shown.problem) == ("SPY-NO-OPTION", "no option symbol")
    assert (shown.underlying, shown.root, shown.expiration, shown.right, shown.strike) == (None,) * 5


def test_a_broken_condor_shows_its_former_legs_and_the_remaining_ones():
    [condor] = group(spy(), [lot()]).condors
    since_at = EPOCH_AT + dt.timedelta(hours=1)
    lost = BrokenCondor(
        condor=summary(condor),
        held={P560: 2, P570: 1, C640: 2},
        missing={C630: 2},
        closed={P570: 1},
        uncovered=(),
        still_whole=1,
        since=since_at,
    )
    shown = render.broken(lost, DAY)
    assert (shown.id, shown.kind, shown.direction) == (SPY_ID, "ironCondor", "short")
    assert (shown.underlying, shown.root, shown.expiration) == ("SPY", "SPY", dt.date(2026, 12, 18))
    assert (shown.days_to_expiration, shown.quantity, shown.opened_at, shown.since) == (28, 2, EPOCH_AT, since_at)
    assert [(leg.symbol, leg.right, leg.strike, leg.side, leg.quantity, leg.held) for leg in shown.legs] == [
        (P560, "put", 560, "long", 2, 2),
        (P570, "put", 570, "short", 2, 1),
        (C630, "call", 630, "short", 2, 0),
        (C640, "call", 640, "long", 2, 2),
    ]
    assert (shown.missing, shown.unrealized_pl, shown.expiry) == ([C630], None, None)


def test_totals_show_their_parts():
    [condor] = group(spy()).condors
    value = msgspec.structs.replace(values.value(condor, quotes(MARKS), ()), day_pl_e4=185_000)
    left, closed = [values.LeftoverPl(None, 5_000)], values.ClosedToday(-35_000, 10_000)
    total = values.total({condor.id: (condor, value)}, left, {"SPY": 15_300_000}, closed)
    assert render.totals(total, 31.2, 1) == wire.TotalsJson(
        condors=1,
        incomplete=1,
        unrealized_pl=230,
        natural_pl=190,
        day_pl=15,
        unmatched_pl=None,
        unmatched_day_pl=1.5,
        closed_day_pl=-3.5,
        max_loss=1530,
        theta=31.2,
        risk_incomplete=1,
        by_underlying=[wire.UnderlyingTotalsJson(underlying="SPY", unrealized_pl=230, day_pl=18.5, max_loss=1530)],
    )


def test_two_statuses_are_the_same_apart_from_the_instants_that_always_move():
    assert render.same_status(status(read=1, message=1), status(read=2, message=2))


@pytest.mark.parametrize(
    "other",
    [
        status("stale"),
        status(code="symbolLimit"),
        status(since=EPOCH_AT + dt.timedelta(seconds=1)),
        status(market=wire.MarketJson(is_open=False, next_open=EPOCH_AT, next_close=EPOCH_AT)),
        status(positions=wire.Positions(read_at=EPOCH_AT, error=None, breaker="open")),
        status(
            stream=wire.StreamJson(connected=True, subscribed=7, requested=8, reconnects=0, last_message_at=EPOCH_AT)
        ),
    ],
)
def test_two_statuses_that_differ_in_anything_else_are_not_the_same(other):
    assert not render.same_status(status(), other)
