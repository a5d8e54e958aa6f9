import typing

import msgspec
import pytest

from condord.live import csv_text, wire
from condord.live.lost_source import condor_unconfirmed_if_lost, unconfirmed_if_lost
from condord.live.remedies import LOST_REMEDIES
from condord.live.replica import LostCode
from tests.fakes import documents


def document(code):
    return msgspec.convert(documents.document(status={**documents.status(), "code": code}), wire.Document)


def test_a_document_of_a_source_that_is_there_is_taken_as_it_is():
    for code in (None, "silent"):
        found = document(code)
        assert unconfirmed_if_lost(found) is found


@pytest.mark.parametrize("code", typing.get_args(LostCode))
def test_all_values_of_a_lost_source_are_unconfirmed(code):
    found = unconfirmed_if_lost(document(code))
    assert found.condors
    assert all(condor.valuation.unconfirmed for condor in found.condors)
    assert all(quote.unconfirmed for quote in found.quotes)
    assert all(entry.unconfirmed for entry in found.underlyings)
    assert found.totals == document(code).totals


def test_every_reason_to_be_lost_is_known_to_clients():
    assert frozenset(typing.get_args(LostCode)) == wire.LOST_CODES == LOST_REMEDIES.keys()


def test_a_single_condor_is_judged_by_the_status_it_comes_with():
    whole = document("sourceLost")
    one = wire.OneCondor(as_of=whole.as_of, condor=whole.condors[0], quotes=whole.quotes)
    assert condor_unconfirmed_if_lost(one, document(None).status) is one
    doubted = condor_unconfirmed_if_lost(one, whole.status)
    assert doubted.condor.valuation.unconfirmed
    assert all(quote.unconfirmed for quote in doubted.quotes)


def test_the_csv_shows_unconfirmed_values_of_a_lost_source():
    lines = [*csv_text.positions_csv(document("sourceLost"), "\n")]
    column = lines[0].split(",").index("unconfirmed")
    assert lines[1].split(",")[column] == "true"
    assert [*csv_text.positions_csv(document(None), "\n")][1].split(",")[column] == "false"
