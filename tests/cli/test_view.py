import msgspec
import pytest
import typer

from condord.cli.view import SHOWS, SORTS, Arrangement, TableView, parse_show, parse_sort
from condord.errors import NotFound
from condord.live import wire
from condord.live.wire_broken import BrokenJson
from tests.fakes import documents


def held(name, *, days=30, root="SPY", **changes):
    value = documents.valuation(name, **{key: changes.pop(key) for key in [*changes] if key in documents.valuation()})
    risk = documents.risk(name, **{key: changes.pop(key) for key in [*changes] if key in documents.risk()})
    expiration = f"2026-12-{days:02d}"
    return documents.condor(
        name, root, underlying=root.rstrip("1"), expiration=expiration, daysToExpiration=days, valuation=value, risk=risk,
        **changes,
    )  # fmt: skip


def away(percent):
    return {"put": {"percent": percent}, "call": {"percent": 20}}


CONDORS = [
    held("calm", unrealizedPl=50, dayPl=1, percentOfMaxProfit=20, distance=away(4)),
    held("gone", root="XYZ1", unrealizedPl=None, dayPl=None, percentOfMaxProfit=None, tested=None, distance={}),
    held(
        "hurt", root="QQQ", days=20, unrealizedPl=-80, dayPl=-3, percentOfMaxProfit=-30, tested="put", distance=away(1)
    ),
    held("soon", days=3, unrealizedPl=10, dayPl=-9, percentOfMaxProfit=5, distance=away(3)),
    held(
        "past",
        days=25,
        unrealizedPl=-5,
        dayPl=0,
        percentOfMaxProfit=-1,
        breached=True,
        tested="none",
        distance=away(-2),
    ),
]
BROKEN = [documents.broken("lost", A=0) | {"unrealizedPl": -60}]


def document(**changes):
    body = documents.document(condors=CONDORS, broken=BROKEN, alerts=[documents.alert(condorId="calm")], **changes)
    return msgspec.convert(body, wire.Document)


def names(**view):
    return [condor.id for condor in TableView(**view).sorted(document())]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("urgency", "past lost calm hurt soon gone"),
        ("pl", "hurt lost past soon calm gone"),
        ("day", "soon hurt past calm lost gone"),
        ("percent", "hurt past soon calm lost gone"),
        ("distance", "past hurt soon calm lost gone"),
        ("expiration", "soon lost hurt past calm gone"),
        ("symbol", "hurt soon lost past calm gone"),
    ],
)
def test_every_sort_has_its_order_and_unknown_values_last(sort, order):
    assert names(sort=sort) == order.split()


def test_every_sort_is_tested_above():
    assert set(SORTS) == {"urgency", "pl", "day", "percent", "distance", "expiration", "symbol"}


def test_a_reversed_order_still_has_unknown_values_last():
    assert names(sort="pl", is_reversed=True) == ["calm", "soon", "past", "lost", "hurt", "gone"]
    assert names(is_reversed=True) == ["gone", "soon", "hurt", "calm", "lost", "past"]


@pytest.mark.parametrize(
    ("show", "shown"),
    [
        ("losing", {"hurt", "past", "lost"}),
        ("winning", {"calm", "soon"}),
        ("tested", {"hurt", "past"}),
        ("expiring", {"soon"}),
        ("broken", {"lost"}),
        ("QQQ", {"hurt"}),
        ("XYZ", {"gone"}),
        ("XYZ1", {"gone"}),
        ("", {"calm", "gone", "hurt", "soon", "past", "lost"}),
    ],
)
def test_every_filter_shows_its_condors(show, shown):
    assert set(names(show=show)) == shown


@pytest.mark.parametrize(
    ("text", "parsed"), [("pl", ("pl", False)), ("-PL", ("pl", True)), ("Urgency", ("urgency", False))]
)
def test_a_sort_is_a_word_in_any_case_and_a_minus_reverses_it(text, parsed):
    assert parse_sort(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("urgent", "'urgent' is unknown; the nearest is urgency"),
        ("-distnce", "'-distnce' is unknown; the nearest is distance"),
        ("", f"'' is unknown; use one of {', '.join(SORTS)}"),
    ],
)
def test_an_unknown_sort_is_refused_with_the_nearest(text, message):
    with pytest.raises(typer.BadParameter, match=f"^{message}$"):
        parse_sort(text)


@pytest.mark.parametrize(("text", "parsed"), [("Losing", "losing"), ("qqq", "QQQ"), ("xyz1", "XYZ1"), ("xyz", "XYZ")])
def test_a_filter_is_a_word_or_a_symbol_in_any_case(text, parsed):
    assert parse_show(text, document()) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loosing", "'loosing' is unknown; the nearest is losing"),
        ("qq", "'qq' is unknown; the nearest is QQQ"),
        ("\x1b!", f"' !' is unknown; use one of {', '.join([*SHOWS, 'QQQ', 'SPY', 'XYZ', 'XYZ1'])}"),
    ],
)
def test_an_unknown_filter_is_refused_with_the_nearest(text, message):
    with pytest.raises(typer.BadParameter, match=f"^{message}$"):
        parse_show(text, document())


def test_a_symbol_that_no_condor_has_is_not_found():
    with pytest.raises(NotFound, match="no condor on TSLA is held") as caught:
        parse_show("TSLA", document())
    assert caught.value.hint == "Held: QQQ, SPY, XYZ, XYZ1."
    empty = msgspec.convert(documents.document(condors=[]), wire.Document)
    with pytest.raises(NotFound) as caught:
        parse_show("SPY", empty)
    assert caught.value.hint == "No condor is held."


def changed(*condors):
    return msgspec.convert(documents.document(condors=[*condors]), wire.Document)


def test_rows_are_sorted_at_most_once_in_five_seconds_and_not_while_they_are_read():
    arrangement = Arrangement(TableView())
    kept = []
    for now, is_reading in (
        (0, False),
        (1, False),
        (4.9, False),
        (5, False),
        (6, False),
        (10, True),
        (12, False),
        (13, False),
    ):
        arrangement.keep(now, is_reading=is_reading)
        kept.append(arrangement.is_kept)
    assert kept == [False, True, True, False, True, True, False, True]


def test_an_arrangement_follows_the_document_unless_it_is_kept():
    arrangement = Arrangement(TableView(sort="pl", show="losing"))
    first, second = held("first", unrealizedPl=-5), held("second", unrealizedPl=-1)

    def ids(*condors):
        return [condor.id for condor in arrangement.arranged(changed(*condors))]

    assert ids(first, second) == ["first", "second"]
    second, third = held("second", unrealizedPl=-9), held("third", unrealizedPl=-99)
    assert ids(first, second) == ["second", "first"]
    arrangement.is_kept = True
    won = held("second", unrealizedPl=50)
    assert ids(first, won, third) == ["second", "first", "third"]
    assert ids(first, third) == ["first", "third"]
    arrangement.is_kept = False
    assert ids(first, won, third) == ["third", "first"]


@pytest.mark.parametrize(("is_kept", "order"), [(False, ["broken", "whole"]), (True, ["whole", "broken"])])
def test_the_whole_and_the_broken_unit_of_a_condor_have_their_own_rows_and_ranks(is_kept, order):
    arrangement = Arrangement(TableView(sort="pl"))

    def rows(whole_pl, broken_pl):
        whole, broken = held("same", unrealizedPl=whole_pl), documents.broken("same", A=0) | {"unrealizedPl": broken_pl}
        body = msgspec.convert(documents.document(condors=[whole], broken=[broken]), wire.Document)
        return ["broken" if isinstance(row, BrokenJson) else "whole" for row in arrangement.arranged(body)]

    assert rows(-9, -1) == ["whole", "broken"]
    arrangement.is_kept = is_kept
    assert rows(-1, -9) == order
