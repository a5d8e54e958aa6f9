import json

import pytest

from condord.cli.mirror import Mirror
from condord.client import Event
from condord.errors import Unavailable
from tests.fakes import documents


def event(name, payload, version=None):
    return Event(name=name, data=json.dumps(payload), id=version)


@pytest.fixture
def mirror():
    mirror = Mirror()
    assert mirror.apply(event("snapshot", documents.document(), "k3f9-1"))
    return mirror


def test_a_snapshot_is_the_document(mirror):
    assert mirror.document == documents.document()
    assert mirror.apply(event("snapshot", documents.document(version="k3f9-2", condors=[]), "k3f9-2"))
    assert mirror.document == documents.document(version="k3f9-2", condors=[])


def test_a_delta_replaces_what_it_lists_and_nothing_else(mirror):
    quote = documents.quote(documents.symbols()[1], bid=2)
    value = documents.valuation(mark=1.1)
    delta = documents.delta(quotes=[quote], valuations=[value], totals=documents.totals(unrealizedPl=250))
    assert mirror.apply(event("delta", delta, "k3f9-2"))
    quotes = documents.document()["quotes"]
    assert mirror.document == documents.document(
        version="k3f9-2",
        asOf=delta["asOf"],
        quotes=[quotes[0], quote, *quotes[2:]],
        condors=[documents.condor(valuation=value)],
        totals=documents.totals(unrealizedPl=250),
    )


def test_a_delta_may_bring_a_status_or_an_unmatched_leg(mirror):
    delta = documents.delta(status=documents.status(state="stale"), unmatched=[documents.unmatched()])
    mirror.apply(event("delta", delta, "k3f9-2"))
    assert mirror.document["status"]["state"] == "stale"
    assert mirror.document["unmatched"] == [documents.unmatched()]


def test_a_field_of_a_newer_daemon_is_kept(mirror):
    value = documents.valuation() | {"delta": -0.12}
    mirror.apply(event("delta", documents.delta(valuations=[value]), "k3f9-2"))
    assert mirror.document["condors"][0]["valuation"]["delta"] == -0.12


def test_what_was_given_out_does_not_change_any_more(mirror):
    before = mirror.document
    mirror.apply(event("delta", documents.delta(valuations=[documents.valuation(mark=9)]), "k3f9-2"))
    assert before == documents.document()


@pytest.mark.parametrize("name", ["heartbeat", "bye", "later"])
def test_other_events_change_nothing(mirror, name):
    assert not mirror.apply(event(name, {}))
    assert mirror.document == documents.document()


def test_a_delta_before_the_first_snapshot_is_of_no_use():
    mirror = Mirror()
    assert not mirror.apply(event("delta", documents.delta(), "k3f9-2"))
    assert mirror.document is None


def test_what_is_no_document_is_told():
    with pytest.raises(Unavailable):
        Mirror().apply(Event(name="snapshot", data="hello", id=None))
