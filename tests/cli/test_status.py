import datetime as dt
from typing import get_args

import msgspec
import pytest

from condord.cli.screen import Screen
from condord.cli.status import status_lines
from condord.live import wire
from tests.fakes import documents
from tests.fakes.daemon import json

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)


def lines(**changes):
    return status_lines(msgspec.convert(documents.report(**changes), wire.StatusReport), NOW, Screen())


def test_the_daemon_is_told_on_one_screen():
    assert lines() == [
        "daemon       condord 0.1.0, process 4711, up 1 h 2 min",
        "address      http://127.0.0.1:8420",
        "upstream     live since 15:30 UTC, 1 min 9 s ago",
        "source       simulator, feed indicative",
        "stream       connected, 4 of 4 symbols, 2 reconnects",
        "watchdog     newest message 2.0 s ago",
        "positions    read 9.0 s ago",
        "breaker      closed",
        "market       open, closes 21:00 UTC",
        "subscribers  3 of 1000",
        "frames       1842 sent, 0 dropped",
    ]


def test_a_stream_that_waits_says_when_it_tries_again():
    stream = {**documents.report()["stream"], "connected": False, "subscribed": 0}
    for at, said in [("2026-11-20T15:31:51Z", "in 42 s"), ("2026-11-20T15:31:00Z", "now")]:
        shown = lines(state="reconnecting", stream={**stream, "nextAttemptAt": at})
        assert f"stream       not connected, next attempt {said}, 0 of 4 symbols, 2 reconnects" in shown


def test_what_is_wrong_comes_last():
    error = {"code": "unreachable", "text": "no route"}
    shown = lines(
        state="halted",
        code="authFailed",
        reason="Alpaca refuses the key",
        positions={"readAt": None, "error": error, "breaker": "halfOpen"},
        resyncs={"slow": 2, "ring": 1},
        refused={"token": 3, "host": 0},
    )
    assert shown[2].startswith("upstream     halted since")
    assert "breaker      half open" in shown
    assert "frames       1842 sent, 0 dropped, 3 resyncs (slow 2, ring 1)" in shown
    assert "refused      token 3" in shown
    assert shown[-3] == "halted for 1 min 9 s (authFailed): Alpaca refuses the key"


def test_notices_stand_under_what_is_wrong():
    first, second = documents.symbols()[:2]
    shown = lines(
        state="stale",
        reason="no data",
        notices=[documents.notice(), documents.notice(code="ordersUnavailable", text="no route", symbols=[])],
    )
    assert shown[-3:] == [
        "stale for 1 min 9 s: no data",
        f"notStreamed, seen 1 min 9 s ago: Alpaca does not stream these contracts ({first}, {second})",
        "ordersUnavailable, seen 1 min 9 s ago: no route",
    ]


def test_a_halted_daemon_says_what_to_do_and_how():
    shown = lines(state="halted", code="authFailed", reason="Alpaca refuses the key")
    said = "to do        check key, secret and alpaca.paper, then restart it, or `kill -HUP 4711` if only files changed"
    assert shown[3] == said


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("reconnecting", "connectionLimit", "stop the other program that uses this key"),
        ("reconnecting", "unreachable", "check the network"),
        ("reconnecting", None, "nothing, it recovers by itself"),
        ("stale", None, "nothing, it recovers by itself"),
        ("starting", "authFailed", "check key"),
        ("reconnecting", "silent", "nothing, it recovers by itself"),
    ],
)
def test_what_is_not_well_says_what_to_do(state, code, said):
    assert lines(state=state, code=code, reason="why")[3].startswith(f"to do        {said}")


@pytest.mark.parametrize("state", ["live", "closed", "starting"])
def test_where_all_is_well_there_is_nothing_to_do(state):
    assert not any(line.startswith("to do") for line in lines(state=state))


@pytest.mark.parametrize("code", get_args(wire.Code))
def test_every_code_has_a_remedy_without_a_blank_left(code):
    shown = lines(state="halted", code=code, reason="why")[3]
    assert shown.startswith("to do")
    assert "{" not in shown


def test_a_long_value_is_folded_in_its_column():
    report = msgspec.convert(documents.report(state="halted", code="authFailed", reason="no"), wire.StatusReport)
    shown = status_lines(report, NOW, Screen(width=50))
    at = shown.index("to do        check key, secret and alpaca.paper,")
    assert shown[at + 1 : at + 3] == [
        "             then restart it, or `kill -HUP 4711`",
        "             if only files changed",
    ]
    assert max(map(len, shown)) <= 50
    assert max(map(len, status_lines(report, NOW, Screen(width=24)))) <= 24


def test_json_is_the_exact_body(condord, fake):
    code, out, err = condord("status", "--json", "--url", fake.url)
    assert (code, out.encode(), err) == (0, documents.body(documents.report()) + b"\n", [])


def test_a_halted_daemon_has_answered_and_that_is_0(condord, fake):
    fake.answers["/api/status"] = json(documents.report(state="halted", code="authFailed", reason="refused"))
    code, out, err = condord("status", "--url", fake.url)
    assert (code, err) == (0, [])
    assert "halted" in out


def test_no_daemon_is_69(condord, tmp_path):
    assert condord("status", "--url", f"unix://{tmp_path}/none").code == 69
