import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live import render, wire
from condord.live.edition import EVERYTHING, Amendment, Selection, Tally

from .accounts import EPOCH_AT, QQQ_ID, REPEATABLE, SPY_ID, make_edition, status

NAMES = ("a", "b", "c", "d")


def quote(symbol, bid=1):
    return wire.Quote(
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
    return wire.Valuation(
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
        wire.Leg(
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
    return wire.Condor(
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
        breakevens=wire.Breakevens(lower=1, upper=1),
        entry_source="structure",
        opened_at=None,
        realized_pl=None,
        valuation=valuation(identity),
    )


def unmatched(symbol, mark=1):
    return wire.Unmatched(
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


def recast(edition):
    edition.recast(
        condors=[condor(SPY_ID), condor(QQQ_ID, ("e", "f", "g", "h"))],
        unmatched=[unmatched("x"), unmatched("y")],
        quotes=[quote(symbol) for symbol in (*NAMES, "e", "f", "g", "h", "x", "y")],
        totals=render.UNREAD_TOTALS,
        status=edition.status,
    )


@pytest.fixture
def edition():
    made = make_edition()
    recast(made)
    return made


def symbols(entries):
    return [entry.symbol for entry in entries]


def test_versions_are_the_epoch_and_the_number_of_the_event(edition):
    assert make_edition(epoch="k3f9").version == "k3f9-0"
    edition.amend(Amendment(quotes=[quote("a")]))
    assert edition.version == "k3f9-2"


def test_a_touched_status_moves_no_version(edition):
    version = edition.version
    edition.touch(status(read=7))
    assert edition.version == version
    assert edition.document(EPOCH_AT).status == status(read=7)


def test_what_changed_since_an_event_is_joined_with_the_newest_of_each(edition):
    edition.amend(Amendment(quotes=[quote("a", 3), quote("b", 3)]))
    edition.amend(Amendment(quotes=[quote("b", 4)], valuations=[valuation(SPY_ID, 5)]))
    delta = edition.delta(1, EPOCH_AT)
    assert sorted((entry.symbol, entry.bid) for entry in delta.quotes) == [("a", 3), ("b", 4)]
    assert delta.valuations == [valuation(SPY_ID, 5)]
    assert (delta.totals, delta.status) == (msgspec.UNSET, msgspec.UNSET)


def test_what_changed_before_an_event_is_not_told_again(edition):
    edition.amend(Amendment(quotes=[quote("a", 3)], unmatched=[unmatched("x", 3)]))
    edition.amend(Amendment(quotes=[quote("b", 3)]))
    delta = edition.delta(2, EPOCH_AT)
    assert (symbols(delta.quotes), delta.unmatched) == (["b"], [])


def test_there_is_no_delta_since_the_newest_event(edition):
    edition.amend(Amendment(quotes=[quote("a", 3)]))
    assert edition.delta(2, EPOCH_AT) is None


def test_a_status_is_told_until_it_is_known(edition):
    edition.amend(Amendment(status=status("stale")))
    assert edition.delta(1, EPOCH_AT).status == status("stale")
    edition.amend(Amendment(quotes=[quote("a", 3)]))
    assert edition.delta(2, EPOCH_AT).status is msgspec.UNSET


def test_totals_are_told_until_they_are_known(edition):
    totals = msgspec.structs.replace(render.UNREAD_TOTALS, condors=2)
    edition.amend(Amendment(totals=totals))
    assert edition.delta(1, EPOCH_AT).totals == totals
    assert edition.delta(2, EPOCH_AT) is None


def test_new_positions_need_a_snapshot(edition):
    assert not edition.needs_snapshot(1)
    recast(edition)
    assert edition.needs_snapshot(1)
    assert not edition.needs_snapshot(2)


def test_new_positions_forget_what_moved_before(edition):
    edition.amend(Amendment(quotes=[quote("a", 3)]))
    recast(edition)
    assert edition.delta(3, EPOCH_AT) is None


def test_the_document_keeps_its_order_whatever_moves(edition):
    before = edition.document(EPOCH_AT)
    edition.amend(Amendment(quotes=[quote("y"), quote("a")], unmatched=[unmatched("x")]))
    after = edition.document(EPOCH_AT)
    assert symbols(after.quotes) == symbols(before.quotes)
    assert symbols(after.unmatched) == symbols(before.unmatched)


def test_a_condor_of_the_document_carries_its_newest_valuation(edition):
    edition.amend(Amendment(valuations=[valuation(SPY_ID, 5)]))
    assert [card.valuation.mark for card in edition.document(EPOCH_AT).condors] == [5, 1]


def test_a_condor_asked_for_brings_the_quotes_of_its_legs(edition):
    document = edition.document(EPOCH_AT, Selection(condors=frozenset([QQQ_ID])))
    assert [card.id for card in document.condors] == [QQQ_ID]
    assert symbols(document.quotes) == ["e", "f", "g", "h"]
    assert document.unmatched == []
    assert document.totals == render.UNREAD_TOTALS


def test_a_symbol_asked_for_brings_its_quote_and_what_is_unmatched_of_it(edition):
    document = edition.document(EPOCH_AT, Selection(symbols=frozenset(["x", "a"])))
    assert document.condors == []
    assert symbols(document.quotes) == ["a", "x"]
    assert symbols(document.unmatched) == ["x"]


def test_what_is_asked_for_and_not_held_is_left_out(edition):
    document = edition.document(EPOCH_AT, Selection(condors=frozenset(["NONE"]), symbols=frozenset(["none"])))
    assert (document.condors, document.quotes, document.unmatched) == ([], [], [])


def test_a_delta_shows_only_what_was_asked_for(edition):
    edition.amend(
        Amendment(
            quotes=[quote("a", 3), quote("e", 3), quote("x", 3)],
            valuations=[valuation(SPY_ID, 3), valuation(QQQ_ID, 3)],
            unmatched=[unmatched("x", 3), unmatched("y", 3)],
        )
    )
    delta = edition.delta(1, EPOCH_AT, Selection(condors=frozenset([QQQ_ID]), symbols=frozenset(["x"])))
    assert sorted(symbols(delta.quotes)) == ["e", "x"]
    assert [value.id for value in delta.valuations] == [QQQ_ID]
    assert symbols(delta.unmatched) == ["x"]


def test_changes_that_nobody_asked_for_are_no_delta(edition):
    edition.amend(Amendment(quotes=[quote("a", 3)]))
    assert edition.delta(1, EPOCH_AT, Selection(symbols=frozenset(["x"]))) is None


def test_nothing_named_means_everything():
    assert EVERYTHING.is_everything
    assert not Selection(condors=frozenset(["a"])).is_everything
    assert not Selection(symbols=frozenset(["a"])).is_everything


def test_one_condor_comes_with_the_quotes_of_its_legs(edition):
    edition.amend(Amendment(valuations=[valuation(QQQ_ID, 5)], quotes=[quote("e", 3)]))
    one = edition.one(QQQ_ID, EPOCH_AT)
    assert (one.condor.id, one.condor.valuation.mark) == (QQQ_ID, 5)
    assert [(each.symbol, each.bid) for each in one.quotes] == [("e", 3), ("f", 1), ("g", 1), ("h", 1)]


def test_a_condor_that_is_not_there_is_none(edition):
    assert edition.one("NONE", EPOCH_AT) is None


def test_a_client_resumes_at_the_event_it_has_seen(edition):
    edition.amend(Amendment(quotes=[quote("a", 3)]))
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
        "k3f9-2",
        "k3f9-x",
        "k3f9--1",
        "k3f9-1 ",
        "k3f9-²",
        "k3f9-\u0661",
        "k3f9-" + "9" * 50,
    ],
)
def test_a_version_that_this_run_never_gave_needs_a_snapshot(edition, version):
    assert edition.resume_from(version) == "unknownEpoch"


def test_a_client_from_before_the_positions_changed_needs_a_snapshot(edition):
    assert edition.resume_from("k3f9-0") == "positionsChanged"


def test_a_longer_line_is_one_event_that_no_delta_can_tell(edition):
    line = wire.History(seconds=[60], cents=[-125])
    edition.extend({SPY_ID: line})
    assert edition.version == "k3f9-2"
    assert edition.document(EPOCH_AT).condors[0].history == line
    assert edition.needs_snapshot(1)
    assert not edition.needs_snapshot(2)
    assert edition.resume_from("k3f9-1") == "historyGrew"
    assert edition.resume_from("k3f9-2") == 2


@pytest.mark.parametrize(("replay_size", "behind"), [(0, 0), (1, 1), (3, 3)])
def test_the_replay_window_reaches_so_many_events_back(replay_size, behind):
    edition = make_edition(replay_size=replay_size)
    recast(edition)
    for number in range(5):
        edition.amend(Amendment(quotes=[quote("a", number)]))
    assert edition.resume_from(f"k3f9-{6 - behind}") == 6 - behind
    assert edition.resume_from(f"k3f9-{5 - behind}") == "replayWindowPassed"


amendments = st.lists(
    st.one_of(
        st.builds(
            Amendment,
            quotes=st.lists(st.builds(quote, st.sampled_from(NAMES), st.integers(0, 9)), max_size=4, unique_by=lambda q: q.symbol),
            valuations=st.lists(st.builds(valuation, st.just(SPY_ID), st.integers(0, 9)), max_size=1),
        ),
        st.builds(Amendment, status=st.sampled_from([status("live"), status("stale")])),
        st.none(),
    ),
    max_size=12,
)  # fmt: skip


@pytest.mark.slow
@REPEATABLE
@given(amendments)
def test_what_changed_since_any_event_leads_from_its_document_to_the_newest(history):
    edition = make_edition()
    recast(edition)
    documents = {1: edition.document(EPOCH_AT)}
    for amendment in history:
        recast(edition) if amendment is None else edition.amend(amendment)
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
            assert (old.status if delta.status is msgspec.UNSET else delta.status) == newest.status


def test_the_tally_is_of_the_published_document():
    edition = make_edition()
    assert edition.tally == Tally(condors=0, unmatched=0, quotes=0, unconfirmed=0, oldest_valuation_at=None)
    condors = [condor("one"), condor("two")]
    edition.recast(
        condors=condors, unmatched=[], quotes=map(quote, NAMES), totals=render.UNREAD_TOTALS, status=status()
    )
    older = msgspec.structs.replace(valuation("two"), as_of=EPOCH_AT - dt.timedelta(seconds=5))
    doubtful = msgspec.structs.replace(quote("a"), unconfirmed=True)
    edition.amend(Amendment(quotes=[doubtful], valuations=[older]))
    assert edition.tally == Tally(
        condors=2, unmatched=0, quotes=4, unconfirmed=1, oldest_valuation_at=EPOCH_AT - dt.timedelta(seconds=5)
    )


def test_a_condor_that_was_never_valued_has_no_oldest_valuation():
    edition = make_edition()
    edition.recast(condors=[condor("one")], unmatched=[], quotes=[], totals=render.UNREAD_TOTALS, status=status())
    edition.amend(Amendment(valuations=[msgspec.structs.replace(valuation("one"), as_of=None)]))
    assert edition.tally.oldest_valuation_at is None
