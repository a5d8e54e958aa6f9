import datetime as dt
import json

import msgspec
import pytest

from condord.live.wire_history import HistoryQuery, RecordedJson, TradesJson
from tests.fakes import documents

ROLLED = documents.trade(how="rolled", shares=None, rolledTo="SPY-261218-565-575-630-640")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (documents.recorded(), RecordedJson),
        (documents.recorded(id=documents.CONDOR_ID, openedAt="2026-11-09T14:47:12Z"), RecordedJson),
        (documents.trades(documents.trade(), ROLLED), TradesJson),
    ],
)
def test_an_answer_survives_decoding_and_encoding(answer, kind):
    assert json.loads(msgspec.json.encode(msgspec.json.decode(documents.body(answer), type=kind))) == answer


def test_only_a_rolled_trade_has_a_successor():
    plain, rolled = msgspec.convert(documents.trades(documents.trade(), ROLLED), TradesJson).trades
    assert "rolledTo" not in msgspec.to_builtins(plain)
    assert msgspec.to_builtins(rolled)["rolledTo"] == "SPY-261218-565-575-630-640"


def test_an_instant_without_an_offset_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(documents.trades(documents.trade(closedAt="2026-11-20T21:00:00")), TradesJson)


def test_a_query_asks_for_the_whole_history_by_default():
    query = HistoryQuery(condor_id=None)
    assert (query.from_at, query.until_at, query.points) == (None, None, 600)
    assert HistoryQuery(condor_id="X", from_at=dt.datetime.now(dt.UTC)) != query
