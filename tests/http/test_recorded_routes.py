import csv
import datetime as dt
import io
import urllib.parse

import msgspec
import pytest

from condord.errors import Unavailable
from condord.http import recorded_routes
from condord.http.guard import Guard
from condord.http.recorded_routes import RECORDED_ROUTES
from condord.live.wire import Document
from condord.live.wire_history import HistoryQuery, RecordedJson, TradesJson
from tests.fakes import documents
from tests.http.builders import TOKEN, guard_settings
from tests.http.fake_daemon import FakeDaemon, ask

ID = documents.CONDOR_ID
HISTORY = ("/api/history", "/api/history.csv")
TRADES = ("/api/trades", "/api/trades.csv")
CSV = ("/api/positions.csv", "/api/history.csv", "/api/trades.csv")


@pytest.fixture
def daemon():
    daemon = FakeDaemon()
    daemon.recorded[ID] = msgspec.convert(
        documents.recorded(id=ID, openedAt="2026-11-09T14:47:12Z", price=[582.1, 582.2], quantity=[2, 2]), RecordedJson
    )
    return daemon


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


def utc(text):
    return dt.datetime.fromisoformat(text + "+00:00")


def test_history_covers_the_account_or_one_condor(daemon):
    assert ask(daemon, "/api/history").json() == documents.recorded()
    answer = ask(daemon, f"/api/history?condor={ID}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.json()["id"], answer.json()["price"]) == (ID, [582.1, 582.2])


@pytest.mark.parametrize("path", HISTORY)
def test_the_parameters_of_history_reach_the_daemon(daemon, path):
    assert ask(daemon, f"{path}?condor={ID}&from=2026-11-19&to=2026-11-20T16:30:00%2B01:00&points=5").status == 200
    assert daemon.asked == [
        HistoryQuery(
            condor_id=ID, from_at=utc("2026-11-19T05:00:00"), until_at=utc("2026-11-20T15:30:00"), points=5
        )
    ]  # fmt: skip


def test_an_offset_whose_plus_sign_is_not_escaped_is_understood(daemon):
    assert ask(daemon, "/api/history?from=2026-11-20T16:30:00+01:00").status == 200
    assert daemon.asked[0].from_at == utc("2026-11-20T15:30:00")


def test_trades_come_with_their_totals(daemon):
    answer = ask(daemon, "/api/trades")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == documents.trades()
    assert "rolledTo" not in answer.json()["trades"][0]


@pytest.mark.parametrize("path", TRADES)
def test_the_range_of_trades_reaches_the_daemon(daemon, path):
    assert ask(daemon, f"{path}?from=2026-03-08&to=2026-03-08").status == 200
    assert daemon.asked == [(utc("2026-03-08T05:00:00"), utc("2026-03-09T04:00:00"))]


@pytest.mark.parametrize("path", [*HISTORY, *TRADES])
@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("from=soon", "from: 'soon' is not a date at the exchange such as 2026-11-20, or an instant with an offset"),
        ("to=2026-11-20T15:30:00", "to: '2026-11-20T15:30:00' has no offset"),
        ("from=2026-11-20&to=2026-11-19", "from: '2026-11-20' is after the end of the range, '2026-11-19'"),
        ("to=2026-11-20&to=2026-11-21", "to: it is given twice"),
        ("since=2026-11-20", "since: there is no such parameter; allowed are "),
        ("from=%FF", "from: '\ufffd' is not"),
    ],
)
def test_an_invalid_parameter_gets_400_with_a_sentence(daemon, path, query, detail):
    answer = ask(daemon, f"{path}?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"].startswith(detail)
    assert daemon.asked == []


@pytest.mark.parametrize("path", HISTORY)
@pytest.mark.parametrize("points", ["0", "5001", "many"])
def test_points_out_of_range_get_400(daemon, path, points):
    answer = ask(daemon, f"{path}?points={points}")
    assert answer.status == 400
    assert answer.json()["detail"] == f"points: '{points}' is not a whole number from 1 to 5000"


@pytest.mark.parametrize("path", HISTORY)
def test_a_condor_without_rows_gets_404(daemon, path):
    answer = ask(daemon, f"{path}?condor=a-token-in-the-wrong-place")
    assert answer.status == 404
    assert "GET /api/trades lists" in answer.json()["detail"]
    assert b"token" not in answer.body


@pytest.mark.parametrize("path", HISTORY)
def test_history_gets_404_with_the_reason_if_nothing_is_recorded(daemon, path):
    daemon.records_history = False
    answer = ask(daemon, path)
    assert answer.status == 404
    assert answer.json()["detail"] == "nothing is recorded, because history.enabled is false"
    assert daemon.asked == []


@pytest.mark.parametrize("path", TRADES)
def test_trades_are_served_even_if_nothing_is_recorded(daemon, path):
    daemon.records_history = False
    assert ask(daemon, path).status == 200


@pytest.mark.parametrize("path", HISTORY)
def test_a_database_that_cannot_be_read_gives_503_with_the_reason(daemon, path):
    daemon.history_fault = Unavailable("the database is locked", "Close the program that locks it.")
    answer = ask(daemon, path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["detail"] == "the database is locked"


@pytest.mark.parametrize("path", HISTORY)
def test_while_the_daemon_starts_history_asks_the_client_to_retry_soon(daemon, path):
    daemon.is_ready = False
    daemon.history_fault = Unavailable("the account is not known yet", "Try again in a few seconds.")
    answer = ask(daemon, path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "the account is not known yet"


@pytest.mark.parametrize(("is_ready", "seconds"), [(False, "1"), (True, "10")])
def test_an_empty_list_of_trades_that_were_not_read_yet_is_marked_as_such_and_is_not_a_file(daemon, is_ready, seconds):
    daemon.is_ready = is_ready
    daemon.closed = msgspec.convert(documents.trades(completeFrom=None), TradesJson)
    assert ask(daemon, "/api/trades.csv").status == 200
    daemon.closed = msgspec.structs.replace(daemon.closed, trades=[])
    answer = ask(daemon, "/api/trades")
    assert (answer.status, answer.json()["totals"]["completeFrom"]) == (200, None)
    answer = ask(daemon, "/api/trades.csv")
    assert (answer.status, answer.headers["retry-after"]) == (503, seconds)
    assert answer.json()["detail"] == "the account's past has not been read yet, so closed condors may be missing"


@pytest.mark.parametrize(("is_ready", "seconds"), [(False, "1"), (True, "10")])
def test_positions_that_were_never_read_are_not_an_empty_file(daemon, is_ready, seconds):
    daemon.is_ready = is_ready
    error = {"code": "unreachable", "text": "no route"}
    daemon.document = lambda: msgspec.convert(documents.unread(error=error), Document)
    answer = ask(daemon, "/api/positions.csv")
    assert (answer.status, answer.headers["retry-after"]) == (503, seconds)
    assert answer.json()["detail"] == "the positions have not been read yet: no route"
    assert ask(daemon, "/api/positions").status == 200


@pytest.mark.parametrize("path", CSV)
def test_csv_is_a_file_with_lines_that_end_with_crlf(daemon, path):
    answer = ask(daemon, path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.body.count(b"\n") == answer.body.count(b"\r\n") >= 2


def test_positions_as_csv_come_from_the_document(daemon):
    answer = ask(daemon, "/api/positions.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="condord-positions.csv"'
    (row,) = rows(answer)
    assert row["id"] == daemon.document().condors[0].id


def test_trades_as_csv_have_one_line_each(daemon):
    answer = ask(daemon, "/api/trades.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="condord-trades.csv"'
    (row,) = rows(answer)
    assert (row["closedAt"], row["shares.quantity"]) == ("2026-11-20T21:00:00Z", "-200")


def test_history_as_csv_has_one_line_for_each_minute(daemon):
    answer = ask(daemon, f"/api/history.csv?condor={ID}")
    assert answer.headers["content-disposition"] == f'attachment; filename="condord-history-{ID}.csv"'
    assert [(row["seconds"], row["cents"], row["price"]) for row in rows(answer)] == [
        ("1795188660", "14900", "582.1"), ("1795188720", "", "582.2")
    ]  # fmt: skip
    account = ask(daemon, "/api/history.csv").headers["content-disposition"]
    assert account == 'attachment; filename="condord-history-account.csv"'


def test_an_id_cannot_break_the_name_of_the_file(daemon):
    name = 'X"\r\nSet-Cookie: é/..'
    daemon.recorded[name] = msgspec.convert(documents.recorded(id=name), RecordedJson)
    answer = ask(daemon, f"/api/history.csv?condor={urllib.parse.quote(name)}")
    assert answer.headers["content-disposition"] == 'attachment; filename="condord-history-X___Set-Cookie____...csv"'


def test_long_csv_leaves_the_event_loop_between_its_parts(daemon, monkeypatch):
    yields = []

    async def sleep(seconds):
        yields.append(seconds)

    monkeypatch.setattr(recorded_routes.asyncio, "sleep", sleep)
    daemon.closed = msgspec.convert(documents.trades(*[documents.trade()] * 1200), TradesJson)
    assert len(rows(ask(daemon, "/api/trades.csv"))) == 1200
    assert yields == [0] * 5


@pytest.mark.parametrize("path", [*HISTORY, *TRADES, *CSV])
def test_the_token_is_needed_and_may_be_in_the_query(daemon, path):
    def guarded(app):
        return Guard(app, guard_settings(token=TOKEN))

    assert ask(daemon, path, around=guarded).status == 401
    assert ask(daemon, path, headers={"Authorization": f"Bearer {TOKEN}"}, around=guarded).status == 200
    assert ask(daemon, f"{path}?access_token={TOKEN}", around=guarded).status == 200


@pytest.mark.parametrize("route", RECORDED_ROUTES, ids=lambda route: route.name)
def test_every_route_is_a_get_that_needs_the_token(route):
    assert (route.method, route.access) == ("GET", "token")
