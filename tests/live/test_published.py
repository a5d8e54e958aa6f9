import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.account_summary import AccountSummary
from condord.core.model.risk import Greeks
from condord.core.underlying import UnderlyingPrice
from condord.live import render, render_risk, wire, wire_condor
from condord.live.published import EVERYTHING, Selection, Tally
from condord.live.render_alerts import alert
from condord.live.wire_broken import BrokenJson, BrokenLeg
from condord.live.wire_risk import ClosingJson, ClosingOrders, RiskJson

from .accounts import EPOCH_AT, QQQ_ID, REPEATABLE, SPY_ID, left_pl, make_edition, status
from .fake_alerts import record

NAMES = ("a", "b", "c", "d")
BROKEN_ID = "SPY-261218-1-2-3-4"


def quote(symbol, bid=1):
    return wire.QuoteJson(
        symbol=symbol,
        bid=bid,
        bid_size=1,
        ask=2,
        ask_size=1,
        mark=1.5,
        state="twoSided",
        time=EPOCH_AT,
        unconfirmed=False,
    )


def valuation(identity, mark=1):
    return wire_condor.ValuationJson(
        id=identity,
        as_of=EPOCH_AT,
        mark=mark,
        natural=1,
        unrealized_pl=1,
        natural_pl=1,
        percent_of_max_profit=1.0,
        percent_of_risk=1.0,
        missing=[],
        unconfirmed=False,
        legs=[],
    )


def condor(identity, symbols=NAMES):
    legs = [
        wire_condor.LegJson(
            symbol=symbol,
            right="put",
            strike=1,
            side="long",
            quantity=1,
            average_entry_price=1,
            cost_basis=1,
        )
        for symbol in symbols
    ]
    return wire_condor.CondorJson(
        id=identity,
        kind="ironCondor",
        direction="short",
        underlying="SPY",
        root="SPY",
        expiration=dt.date(2026, 12, 18),
        days_to_expiration=28,
        quantity=1,
        multiplier=100,
        broken_wing=False,
        ambiguous=False,
        legs=legs,
        credit=1,
        max_profit=1,
        max_loss=1,
        put_width=1,
        call_width=1,
        breakevens=wire_condor.Breakevens(lower=1, upper=1),
        entry_source="structure",
        opened_at=None,
        realized_pl=None,
        valuation=valuation(identity),
    )


def unmatched(symbol, mark=1, **fields):
    entry = wire_condor.Unmatched(
        symbol=symbol,
        underlying="SPY",
        root="SPY",
        expiration=dt.date(2026, 12, 18),
        right="put",
        strike=1,
        side="long",
        quantity=1,
        multiplier=100,
        average_entry_price=1,
        cost_basis=1,
        mark=mark,
        unrealized_pl=1,
        uncovered_short=False,
        problem=None,
    )
    return msgspec.structs.replace(entry, **fields)


def broken(identity, held, **fields):
    """A condor of which `held` is left, by symbol."""
    defaults = {
        "id": identity,
        "kind": "ironCondor",
        "direction": "short",
        "underlying": "SPY",
        "root": "SPY",
        "expiration": dt.date(2026, 12, 18),
        "days_to_expiration": 28,
        "quantity": 2,
        "opened_at": None,
        "legs": [
            BrokenLeg(symbol=symbol, right="put", strike=1, side="long", quantity=2, held=held.get(symbol, 0))
            for symbol in ("x", "y", "z", "a")
        ],
        "missing": ["z"],
        "unrealized_pl": None,
        "since": EPOCH_AT,
    }
    return BrokenJson(**{**defaults, **fields})


def risk(identity, price=1):
    return RiskJson(id=identity, as_of=EPOCH_AT, price=price)


def underlying(symbol, price=1):
    found = UnderlyingPrice(symbol=symbol, price_e4=price * 10_000, source="iexMid", at=EPOCH_AT)
    return render_risk.underlying(found, Greeks(), shares=0, dividend=None)


def order(identity="order"):
    return ClosingJson(
        order_id=identity, limit_price=1.2, quantity=1, percent_of_max_profit=50.0, submitted_at=EPOCH_AT
    )


def publish(edition, *, condors, unmatched, quotes, broken=(), underlyings=("SPY",)):
    """Publish an account; the core values do not matter here."""
    edition.quotes.fill((quote.symbol, None, quote) for quote in quotes)
    edition.valuations.fill((condor.id, None, condor.valuation) for condor in condors)
    edition.unmatched.fill((entry.symbol, None, entry) for entry in unmatched)
    edition.risks.fill((condor.id, None, risk(condor.id)) for condor in condors)
    edition.closing.fill((condor.id, None, []) for condor in condors)
    edition.underlyings.fill((symbol, None, underlying(symbol)) for symbol in underlyings)
    edition.recast(condors=condors, broken=broken, totals=render.UNREAD_TOTALS, status=edition.status)


def amend(
    edition, *, quotes=(), valuations=(), unmatched=(), risks=(), underlyings=(), closing=(), totals=None, status=None
):
    """Publish changes in one event."""
    edition.begin()
    for entry in risks:
        edition.risks.put(entry.id, None, entry, edition.number)
    for entry in underlyings:
        edition.underlyings.put(entry.symbol, None, entry, edition.number)
    for identity, orders in closing:
        edition.closing.put(identity, None, orders, edition.number)
    for quote in quotes:
        edition.quotes.put(quote.symbol, None, quote, edition.number)
    for valuation in valuations:
        edition.valuations.put(valuation.id, None, valuation, edition.number)
    for entry in unmatched:
        edition.unmatched.put(entry.symbol, None, entry, edition.number)
    if totals is not None:
        edition.set_totals(totals)
    if status is not None:
        edition.set_status(status)


def recast(edition):
    publish(
        edition,
        condors=[condor(SPY_ID), condor(QQQ_ID, ("e", "f", "g", "h"))],
        broken=[broken(BROKEN_ID, {"x": 1, "y": 1})],
        unmatched=[unmatched("x", quantity=3), unmatched("y")],
        quotes=[quote(symbol) for symbol in (*NAMES, "e", "f", "g", "h", "x", "y")],
    )


@pytest.fixture
def edition():
    edition = make_edition()
    recast(edition)
    return edition


def symbols(entries):
    return [entry.symbol for entry in entries]


def test_versions_are_the_epoch_and_the_number_of_the_event(edition):
    assert make_edition(epoch="k3f9").version == "k3f9-0"
    amend(edition, quotes=[quote("a")])
    assert edition.version == "k3f9-2"


def test_a_status_whose_instants_moved_does_not_change_the_version(edition):
    version = edition.version
    edition.touch(status(read=7))
    assert edition.version == version
    assert edition.document(EPOCH_AT).status == status(read=7)


def test_changes_since_an_event_are_joined_with_the_newest_value_of_each(edition):
    amend(edition, quotes=[quote("a", 3), quote("b", 3)])
    amend(edition, quotes=[quote("b", 4)], valuations=[valuation(SPY_ID, 5)])
    delta = edition.delta(1, EPOCH_AT)
    assert sorted((entry.symbol, entry.bid) for entry in delta.quotes) == [("a", 3), ("b", 4)]
    assert delta.valuations == [valuation(SPY_ID, 5)]
    assert (delta.totals, delta.status) == (msgspec.UNSET, msgspec.UNSET)


def test_changes_before_an_event_are_not_sent_again(edition):
    amend(edition, quotes=[quote("a", 3)], unmatched=[unmatched("x", 3)])
    amend(edition, quotes=[quote("b", 3)])
    delta = edition.delta(2, EPOCH_AT)
    assert (symbols(delta.quotes), delta.unmatched) == (["b"], [])


def test_there_is_no_delta_since_the_newest_event(edition):
    amend(edition, quotes=[quote("a", 3)])
    assert edition.delta(2, EPOCH_AT) is None


def test_a_status_is_in_every_delta_from_before_it(edition):
    amend(edition, status=status("stale"))
    assert edition.delta(1, EPOCH_AT).status == status("stale")
    amend(edition, quotes=[quote("a", 3)])
    assert edition.delta(2, EPOCH_AT).status is msgspec.UNSET


def test_totals_are_in_every_delta_from_before_them(edition):
    totals = msgspec.structs.replace(render.UNREAD_TOTALS, condors=2)
    amend(edition, totals=totals)
    assert edition.delta(1, EPOCH_AT).totals == totals
    assert edition.delta(2, EPOCH_AT) is None


def test_new_positions_need_a_snapshot(edition):
    assert not edition.needs_snapshot(1)
    recast(edition)
    assert edition.needs_snapshot(1)
    assert not edition.needs_snapshot(2)


def test_new_positions_drop_earlier_changes(edition):
    amend(edition, quotes=[quote("a", 3)])
    recast(edition)
    assert edition.delta(3, EPOCH_AT) is None


def test_the_document_keeps_its_order_when_objects_change(edition):
    before = edition.document(EPOCH_AT)
    amend(edition, quotes=[quote("y"), quote("a")], unmatched=[unmatched("x")])
    after = edition.document(EPOCH_AT)
    assert symbols(after.quotes) == symbols(before.quotes)
    assert symbols(after.unmatched) == symbols(before.unmatched)


def test_a_condor_of_the_document_carries_its_newest_valuation(edition):
    amend(edition, valuations=[valuation(SPY_ID, 5)])
    assert [card.valuation.mark for card in edition.document(EPOCH_AT).condors] == [5, 1]


def test_a_requested_condor_has_the_quotes_of_its_legs(edition):
    document = edition.document(EPOCH_AT, Selection(condors=frozenset([QQQ_ID])))
    assert [card.id for card in document.condors] == [QQQ_ID]
    assert symbols(document.quotes) == ["e", "f", "g", "h"]
    assert document.unmatched == []
    assert document.totals == render.UNREAD_TOTALS


def test_a_requested_symbol_has_its_quote_and_its_unmatched_contracts(edition):
    document = edition.document(EPOCH_AT, Selection(symbols=frozenset(["x", "a"])))
    assert document.condors == []
    assert symbols(document.quotes) == ["a", "x"]
    assert symbols(document.unmatched) == ["x"]


def test_requested_condors_that_are_not_held_are_left_out(edition):
    document = edition.document(EPOCH_AT, Selection(condors=frozenset(["NONE"]), symbols=frozenset(["none"])))
    assert (document.condors, document.quotes, document.unmatched) == ([], [], [])


def test_a_delta_has_only_the_requested_objects(edition):
    amend(
        edition,
        quotes=[quote("a", 3), quote("e", 3), quote("x", 3)],
        valuations=[valuation(SPY_ID, 3), valuation(QQQ_ID, 3)],
        unmatched=[unmatched("x", 3), unmatched("y", 3)],
    )
    delta = edition.delta(1, EPOCH_AT, Selection(condors=frozenset([QQQ_ID]), symbols=frozenset(["x"])))
    assert sorted(symbols(delta.quotes)) == ["e", "x"]
    assert [value.id for value in delta.valuations] == [QQQ_ID]
    assert symbols(delta.unmatched) == ["x"]


def test_a_delta_contains_risks_underlyings_and_closing_orders_only_if_they_changed(edition):
    amend(edition, risks=[risk(SPY_ID, 2)], underlyings=[underlying("SPY", 2)], closing=[(QQQ_ID, [order()])])
    delta = edition.delta(1, EPOCH_AT)
    assert (delta.risks, delta.underlyings) == ([risk(SPY_ID, 2)], [underlying("SPY", 2)])
    assert delta.closing == [ClosingOrders(id=QQQ_ID, orders=[order()])]
    amend(edition, quotes=[quote("a", 3)])
    later = edition.delta(2, EPOCH_AT)
    assert (later.risks, later.underlyings, later.closing) == (msgspec.UNSET,) * 3
    document = edition.document(EPOCH_AT)
    assert [(card.risk.price, card.closing) for card in document.condors] == [(2, []), (1, [order()])]
    assert [entry.price for entry in document.underlyings] == [2]


def test_a_filter_includes_the_risks_of_its_condors(edition):
    amend(edition, risks=[risk(SPY_ID, 2), risk(QQQ_ID, 2)], closing=[(SPY_ID, []), (QQQ_ID, [])])
    delta = edition.delta(1, EPOCH_AT, Selection(condors=frozenset([QQQ_ID])))
    assert [entry.id for entry in delta.risks] == [entry.id for entry in delta.closing] == [QQQ_ID]


BY_UNDERLYING = [
    (Selection(condors=frozenset([QQQ_ID])), ["QQQ"]),
    (Selection(condors=frozenset([BROKEN_ID])), ["SPY"]),
    (Selection(symbols=frozenset(["e"])), ["QQQ"]),
    (Selection(symbols=frozenset(["w"])), ["IWM"]),
    (Selection(symbols=frozenset(["z", "none"])), []),
    (EVERYTHING, ["IWM", "QQQ", "SPY"]),
]


@pytest.mark.parametrize(("selection", "shown"), BY_UNDERLYING)
def test_a_filter_includes_the_underlyings_of_its_condors_and_symbols(selection, shown):
    edition = make_edition()
    publish(
        edition,
        condors=[msgspec.structs.replace(condor(QQQ_ID, ("e", "f", "g", "h")), underlying="QQQ")],
        broken=[broken(BROKEN_ID, {"x": 1})],
        unmatched=[unmatched("x"), unmatched("w", underlying="IWM"), unmatched("z", underlying=None)],
        quotes=[quote(symbol) for symbol in ("e", "f", "g", "h", "w", "x")],
        underlyings=("IWM", "QQQ", "SPY"),
    )
    assert symbols(edition.document(EPOCH_AT, selection).underlyings) == shown
    amend(edition, underlyings=[underlying("SPY", 2), underlying("QQQ", 2), underlying("IWM", 2)])
    delta = edition.delta(1, EPOCH_AT, selection)
    assert sorted(symbols((delta and delta.underlyings) or [])) == shown


def balances(equity=1, read_at=EPOCH_AT):
    return render_risk.account(
        AccountSummary(
            read_at=read_at,
            equity_e4=equity * 10_000,
            last_equity_e4=None,
            cash_e4=None,
            buying_power_e4=None,
            options_buying_power_e4=None,
            maintenance_margin_e4=None,
        )
    )


def test_the_balances_are_in_every_delta_from_before_them_with_any_filter(edition):
    assert edition.document(EPOCH_AT).account is None
    edition.begin()
    edition.set_account(balances())
    for selection in (EVERYTHING, Selection(condors=frozenset([QQQ_ID]))):
        assert edition.delta(1, EPOCH_AT, selection).account == balances()
        assert edition.document(EPOCH_AT, selection).account == balances()
    amend(edition, quotes=[quote("a", 3)])
    assert edition.delta(2, EPOCH_AT).account is msgspec.UNSET


def test_balances_that_are_gone_are_null_in_the_delta(edition):
    edition.begin()
    edition.set_account(balances())
    edition.begin()
    edition.set_account(None)
    assert json.loads(wire.encode(edition.delta(2, EPOCH_AT)))["account"] is None


def test_balances_whose_time_moved_do_not_change_the_version(edition):
    edition.begin()
    edition.set_account(balances())
    later = balances(read_at=EPOCH_AT + dt.timedelta(seconds=9))
    edition.touch_account(later)
    assert (edition.version, edition.document(EPOCH_AT).account) == ("k3f9-2", later)


@pytest.fixture
def split():
    """Two condors, of one of which two legs are left, and one more contract of one of them."""
    edition = make_edition()
    publish(
        edition,
        condors=[condor(QQQ_ID, ("e", "f", "g", "h"))],
        broken=[broken(BROKEN_ID, {"x": 1, "y": 2})],
        unmatched=[
            unmatched("x", quantity=3, unrealized_pl=-10),
            unmatched("y", quantity=2, unrealized_pl=7.5),
            unmatched("w"),
        ],
        quotes=[quote(symbol) for symbol in ("e", "f", "g", "h", "w", "x", "y")],
    )
    return edition


def test_a_broken_condor_is_worth_its_share_of_the_unmatched_contracts(split):
    assert [one.unrealized_pl for one in split.document(EPOCH_AT).broken] == [-3.33 + 7.5]
    dearer = unmatched("x", quantity=3, unrealized_pl=20)
    amend(split, unmatched=[dearer])
    assert [one.unrealized_pl for one in split.document(EPOCH_AT).broken] == [6.67 + 7.5]


def test_a_broken_condor_with_an_unknown_part_has_no_profit_or_loss(split):
    amend(split, unmatched=[unmatched("y", quantity=2, unrealized_pl=None)])
    assert [one.unrealized_pl for one in split.document(EPOCH_AT).broken] == [None]


def test_a_requested_broken_condor_has_the_contracts_that_are_left(split):
    selection = Selection(condors=frozenset([BROKEN_ID]))
    document = split.document(EPOCH_AT, selection)
    assert document.condors == []
    assert document.broken == split.document(EPOCH_AT).broken
    assert symbols(document.unmatched) == symbols(document.quotes) == ["x", "y"]
    amend(split, quotes=[quote("x", 3), quote("w", 3)], unmatched=[unmatched("x", 3), unmatched("w", 3)])
    delta = split.delta(1, EPOCH_AT, selection)
    assert symbols(delta.unmatched) == symbols(delta.quotes) == ["x"]


def test_a_broken_condor_outside_the_filter_is_left_out(split):
    assert split.document(EPOCH_AT, Selection(condors=frozenset([QQQ_ID]))).broken == []
    by_symbol = split.document(EPOCH_AT, Selection(symbols=frozenset(["x"])))
    assert (by_symbol.broken, symbols(by_symbol.unmatched)) == ([], ["x"])


def test_a_broken_condor_is_not_a_condor(split):
    assert split.one(BROKEN_ID, EPOCH_AT) is None


def test_changes_outside_the_filter_make_no_delta(edition):
    amend(edition, quotes=[quote("a", 3)])
    assert edition.delta(1, EPOCH_AT, Selection(symbols=frozenset(["x"]))) is None


def test_an_empty_selection_means_everything():
    assert EVERYTHING.is_everything
    assert not Selection(condors=frozenset(["a"])).is_everything
    assert not Selection(symbols=frozenset(["a"])).is_everything


def test_one_condor_comes_with_the_quotes_of_its_legs(edition):
    amend(edition, valuations=[valuation(QQQ_ID, 5)], quotes=[quote("e", 3)])
    one = edition.one(QQQ_ID, EPOCH_AT)
    assert (one.condor.id, one.condor.valuation.mark) == (QQQ_ID, 5)
    assert [(each.symbol, each.bid) for each in one.quotes] == [("e", 3), ("f", 1), ("g", 1), ("h", 1)]


def test_an_unknown_condor_gives_none(edition):
    assert edition.one("NONE", EPOCH_AT) is None


def test_a_client_resumes_at_the_event_it_has_seen(edition):
    amend(edition, quotes=[quote("a", 3)])
    assert edition.resume_from("k3f9-1") == 1
    assert edition.resume_from("k3f9-2") == 2


def test_a_client_without_a_version_is_new(edition):
    assert edition.resume_from(None) == "new"


@pytest.mark.parametrize(
    "version",
    [
        "",
        "-",
        "k3f9",
        "k3f9-",
        "zzzz-1",
        "k3f9-x",
        "k3f9--1",
        "k3f9-1 ",
        "k3f9-²",
        "k3f9-\u0661",
        "k3f9-" + "9" * 50,
    ],
)
def test_an_unknown_version_needs_a_snapshot(edition, version):
    assert edition.resume_from(version) == "unknownEpoch"


def test_an_event_that_is_not_there_yet_is_ahead(edition):
    assert edition.resume_from("k3f9-2") == "ahead"
    amend(edition, quotes=[quote("a", 3)])
    assert edition.resume_from("k3f9-2") == 2


def test_a_client_from_before_the_positions_changed_needs_a_snapshot(edition):
    assert edition.resume_from("k3f9-0") == "positionsChanged"


def lines_of(*numbers):
    return wire_condor.HistoryJson(seconds=[60 * number for number in numbers], cents=[-number for number in numbers])


def test_a_longer_history_is_one_event_and_a_delta_has_its_new_points(edition):
    edition.begin()
    edition.extend({SPY_ID: lines_of(1)})
    edition.begin()
    edition.extend({SPY_ID: lines_of(1, 2), QQQ_ID: lines_of(2)})
    edition.begin()
    edition.extend({SPY_ID: lines_of(1, 2, 3)})
    assert edition.version == "k3f9-4"
    assert [card.history for card in edition.document(EPOCH_AT).condors] == [lines_of(1, 2, 3), lines_of(2)]
    assert edition.resume_from("k3f9-1") == 1

    def new(since, **selection):
        delta = edition.delta(since, EPOCH_AT, Selection(**selection))
        return {points.id: points.cents for points in delta.history} if delta and delta.history else {}

    assert new(1) == {SPY_ID: [-1, -2, -3], QQQ_ID: [-2]}
    assert new(2) == {SPY_ID: [-2, -3], QQQ_ID: [-2]}
    assert new(3) == {SPY_ID: [-3]}
    assert new(4) == {}
    assert new(2, condors=frozenset([QQQ_ID])) == {QQQ_ID: [-2]}
    assert new(3, condors=frozenset([QQQ_ID])) == {}
    assert new(1, symbols=frozenset(["a"])) == {}


def test_a_delta_without_new_points_has_no_history(edition):
    edition.begin()
    edition.extend({SPY_ID: lines_of(1)})
    amend(edition, quotes=[quote("a", 3)])
    assert edition.delta(2, EPOCH_AT).history is msgspec.UNSET


def test_histories_that_restart_need_a_snapshot(edition):
    edition.begin()
    edition.extend({SPY_ID: lines_of(1, 2), QQQ_ID: lines_of(2)})
    edition.begin()
    edition.restart({SPY_ID: lines_of(2)})
    assert [card.history for card in edition.document(EPOCH_AT).condors] == [lines_of(2), wire_condor.HistoryJson()]
    assert edition.needs_snapshot(2)
    assert not edition.needs_snapshot(3)
    assert edition.resume_from("k3f9-2") == "historyRestarted"
    assert edition.resume_from("k3f9-3") == 3
    edition.begin()
    edition.extend({SPY_ID: lines_of(2, 3)})
    assert edition.delta(3, EPOCH_AT).history == [wire.NewPoints(id=SPY_ID, seconds=[180], cents=[-3])]


def test_appended_points_are_those_that_a_client_of_an_earlier_event_lacks(edition):
    edition.begin()
    edition.extend({SPY_ID: lines_of(1)})
    edition.follow("k3f9", 7)
    edition.append(wire.NewPoints(id=SPY_ID, seconds=[120, 180], cents=[-2, -3]))
    edition.append(wire.NewPoints(id="NONE", seconds=[120], cents=[-2]))
    assert edition.document(EPOCH_AT).condors[0].history == lines_of(1, 2, 3)
    assert [points.seconds for points in edition.delta(2, EPOCH_AT).history] == [[120, 180]]
    assert [points.seconds for points in edition.delta(1, EPOCH_AT).history] == [[60, 120, 180]]
    assert edition.delta(7, EPOCH_AT) is None


def test_a_client_inside_a_joined_event_needs_a_snapshot(edition):
    edition.follow("k3f9", 9)
    edition.join(4)
    assert edition.resume_from("k3f9-4") == 4
    assert [edition.resume_from(f"k3f9-{number}") for number in (5, 8)] == ["replayWindowPassed"] * 2
    assert edition.resume_from("k3f9-9") == 9


def test_in_another_epoch_nothing_of_the_last_one_is_sent(edition):
    for number in range(3):
        amend(edition, quotes=[quote("a", number)], status=status("stale"))
    edition.begin()
    edition.restart({})
    firing = alert(record("a:SPY"))
    edition.alerts.put([firing], edition.number)
    edition.follow("next", 1)
    recast(edition)
    edition.alerts.put([firing], edition.number)
    assert edition.version == "next-2"
    assert edition.resume_from("k3f9-3") == "unknownEpoch"
    assert edition.resume_from("next-2") == 2
    assert edition.delta(2, EPOCH_AT) is None
    amend(edition, quotes=[quote("a", 9)])
    delta = edition.delta(2, EPOCH_AT)
    assert [each.symbol for each in delta.quotes] == ["a"]
    assert (delta.status, delta.totals, delta.account, delta.alerts) == (msgspec.UNSET,) * 4
    assert not edition.needs_snapshot(2)


def test_changed_positions_keep_the_points_that_they_are_published_with(edition):
    edition.begin()
    edition.extend({SPY_ID: lines_of(1, 2)})
    with_line = msgspec.structs.replace(condor(SPY_ID), history=lines_of(1, 2))
    publish(edition, condors=[with_line], unmatched=[], quotes=[])
    edition.begin()
    edition.extend({SPY_ID: lines_of(1, 2, 3)})
    assert edition.delta(3, EPOCH_AT).history == [wire.NewPoints(id=SPY_ID, seconds=[180], cents=[-3])]


@pytest.mark.parametrize(("replay_size", "behind"), [(0, 0), (1, 1), (3, 3)])
def test_the_replay_window_reaches_the_given_number_of_events_back(replay_size, behind):
    edition = make_edition(replay_size=replay_size)
    recast(edition)
    for number in range(5):
        amend(edition, quotes=[quote("a", number)])
    assert edition.resume_from(f"k3f9-{6 - behind}") == 6 - behind
    assert edition.resume_from(f"k3f9-{5 - behind}") == "replayWindowPassed"


amendments = st.lists(
    st.one_of(
        st.builds(
            dict,
            quotes=st.lists(st.builds(quote, st.sampled_from(NAMES), st.integers(0, 9)), max_size=4, unique_by=lambda q: q.symbol),
            valuations=st.lists(st.builds(valuation, st.just(SPY_ID), st.integers(0, 9)), max_size=1),
            unmatched=st.lists(
                st.builds(unmatched, st.just("x"), quantity=st.just(3), unrealized_pl=st.sampled_from([None, 0.1, 0.2, -0.5])),
                max_size=1,
            ),
        ),
        st.builds(dict, status=st.sampled_from([status("live"), status("stale")])),
        st.none(),
    ),
    max_size=12,
)  # fmt: skip


@pytest.mark.slow
@REPEATABLE
@given(amendments)
def test_the_changes_since_any_event_turn_its_document_into_the_newest(history):
    edition = make_edition()
    recast(edition)
    documents = {1: edition.document(EPOCH_AT)}
    for amendment in history:
        recast(edition) if amendment is None else amend(edition, **amendment)
        documents[edition.number] = edition.document(EPOCH_AT)
    newest = documents[edition.number]
    for number, old in documents.items():
        if edition.needs_snapshot(number):
            continue
        delta = edition.delta(number, EPOCH_AT)
        assert (delta is None) <= (old.quotes == newest.quotes and old.status == newest.status)
        if delta is not None:
            moved = {each.symbol: each for each in delta.quotes}
            assert len(moved) == len(delta.quotes)
            assert [moved.get(each.symbol, each) for each in old.quotes] == newest.quotes
            valued = {each.id: each for each in delta.valuations}
            assert [valued.get(c.id, c.valuation) for c in old.condors] == [c.valuation for c in newest.condors]
            left = {each.symbol: each for each in (*old.unmatched, *delta.unmatched)}
            assert [*left.values()] == newest.unmatched
            [was], [now] = old.broken, newest.broken
            pl = left_pl(msgspec.to_builtins(was), msgspec.to_builtins([*left.values()]))
            assert msgspec.structs.replace(was, unrealized_pl=pl) == now
            assert (old.status if delta.status is msgspec.UNSET else delta.status) == newest.status


def test_the_tally_counts_the_published_document():
    edition = make_edition()
    assert edition.tally == Tally(condors=0, unmatched=0, quotes=0, unconfirmed=0, oldest_valuation_at=None)
    condors = [condor("one"), condor("two")]
    publish(edition, condors=condors, unmatched=[], quotes=map(quote, NAMES))
    older = msgspec.structs.replace(valuation("two"), as_of=EPOCH_AT - dt.timedelta(seconds=5))
    doubtful = msgspec.structs.replace(quote("a"), unconfirmed=True)
    amend(edition, quotes=[doubtful], valuations=[older])
    assert edition.tally == Tally(
        condors=2, unmatched=0, quotes=4, unconfirmed=1, oldest_valuation_at=EPOCH_AT - dt.timedelta(seconds=5)
    )


def test_every_quote_is_unconfirmed_while_the_source_is_lost():
    edition = make_edition()
    publish(edition, condors=[condor("one")], unmatched=[], quotes=map(quote, NAMES))
    assert edition.tally.unconfirmed == 0
    edition.status = msgspec.structs.replace(edition.status, code="sourceLost")
    assert edition.tally.unconfirmed == len(NAMES)


def test_an_edition_knows_whether_it_has_an_assumed_multiplier():
    edition = make_edition()
    assert not edition.assumes_multipliers
    read = condor("one")
    publish(edition, condors=[read], unmatched=[unmatched("d")], quotes=[])
    assert not edition.assumes_multipliers
    legs = [*read.legs[1:], msgspec.structs.replace(read.legs[0], multiplier_assumed=True)]
    publish(edition, condors=[msgspec.structs.replace(read, legs=legs)], unmatched=[], quotes=[])
    assert edition.assumes_multipliers
    publish(edition, condors=[read], unmatched=[unmatched("d", multiplier_assumed=True)], quotes=[])
    assert edition.assumes_multipliers


def test_a_condor_that_was_never_valued_has_no_oldest_valuation():
    edition = make_edition()
    publish(edition, condors=[condor("one")], unmatched=[], quotes=[])
    amend(edition, valuations=[msgspec.structs.replace(valuation("one"), as_of=None)])
    assert edition.tally.oldest_valuation_at is None
