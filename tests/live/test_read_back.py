import msgspec
import pytest

from condord.live import read_back, render
from condord.live.wire_condor import PlBounds

from .accounts import EPOCH_AT, OPEN, P570, PublishingService, lot, qqq, spy, status, tick
from .test_recording import MARKS


@pytest.fixture
def service():
    service = PublishingService(None)
    service.set_positions([*spy(), *qqq()], lots=[lot()])
    service.set_status(status(market=OPEN))
    service.offer(*(tick(symbol, mark - 0.01, mark + 0.02, 1) for symbol, mark in MARKS.items()))
    service.wait(1.0)
    return service


def test_condors_and_their_values_are_those_that_were_rendered(service):
    condors = service.edition.document(service.now_at).condors
    assert len(condors) == 2
    for shown in condors:
        condor, value = service.edition.valuations.core[shown.id]
        assert read_back.condor(shown) == msgspec.structs.replace(condor, lot=None)
        assert read_back.valuation(shown.valuation) == value
    assert {read_back.condor(shown).opened_at for shown in condors} == {EPOCH_AT, None}


def test_quotes_are_those_that_were_rendered(service):
    for symbol, shown in service.edition.quotes.json.items():
        assert read_back.quote(shown) == service.edition.quotes.core[symbol]
    assert read_back.quote(service.quote(P570)).bid_e4 == 16_900


def test_the_bounds_of_a_condor_with_a_missing_leg_are_read_back(service):
    shown = service.edition.document(service.now_at).condors[0].valuation
    bounded = msgspec.structs.replace(shown, pl_bounds=PlBounds(low=-1.5, high=2))
    assert read_back.valuation(bounded).bounds_e4 == (-15_000, 20_000)


def test_sums_are_those_that_were_rendered(service):
    shown = service.edition.totals
    assert render.totals(read_back.totals(shown), shown.theta, shown.risk_incomplete, shown.alerts) == shown


def test_prices_of_underlyings_are_those_that_were_rendered(service):
    for symbol, shown in service.edition.underlyings.json.items():
        assert read_back.underlying(shown) == service.edition.underlyings.core[symbol]


def test_a_condor_without_four_legs_is_refused(service):
    shown = service.edition.document(service.now_at).condors[0]
    with pytest.raises(ValueError, match="unpack"):
        read_back.condor(msgspec.structs.replace(shown, legs=shown.legs[:3]))
