import datetime as dt

import msgspec
import pytest

from condord.cli.screen import Screen
from condord.cli.status import status_lines
from condord.live import wire
from condord.live.remedies import LOST_REMEDIES, WRITABLE, sentence, with_remedy
from condord.live.wire_alerts import AlertsJson
from condord.upstream.failure_table import FAILURES
from tests.fakes import documents
from tests.fakes.daemon import json, problem, unread
from tests.fakes.listener import listening

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)


QUIET = msgspec.convert(documents.alerts(alerts=[], asOf="2026-11-20T15:31:09Z"), AlertsJson)


def lines(found=QUIET, **changes):
    return status_lines(msgspec.convert(documents.report(**changes), wire.StatusReport), found, NOW, Screen())


def test_the_state_of_the_daemon_is_one_screen():
    assert lines() == [
        "daemon       condord 0.1.0, process 4711, up 1 h 2 min",
        "address      http://127.0.0.1:8420",
        "upstream     live since 10:30 ET, 1 min 9 s ago",
        "source       simulator, feed indicative",
        "stream       connected, 4 of 4 symbols, 2 reconnects",
        "stocks       live since 10:30 ET, 1 streamed, 0 requested over REST",
        "watchdog     newest message 2.0 s ago",
        "positions    read 9.0 s ago",
        "breaker      closed",
        "market       open, closes 16:00 ET",
        "alerts       none firing",
        "subscribers  3 of 1000",
        "frames       1842 sent, 0 dropped",
    ]


@pytest.mark.parametrize(("role", "is_shown"), [("all", True), ("leader", False), ("relay", False), ("standby", False)])
def test_only_a_daemon_that_reads_positions_shows_when_they_were_read(role, is_shown):
    shown = lines(cluster={"role": role})
    assert any(line.startswith("positions") for line in shown) == is_shown


def test_a_stream_that_waits_shows_its_next_attempt():
    stream = {**documents.report()["stream"], "connected": False, "subscribed": 0}
    for at, attempt in [("2026-11-20T15:31:51Z", "in 42 s"), ("2026-11-20T15:31:00Z", "now")]:
        shown = lines(state="reconnecting", stream={**stream, "nextAttemptAt": at})
        assert f"stream       not connected, next attempt {attempt}, 0 of 4 symbols, 2 reconnects" in shown


@pytest.mark.parametrize(
    ("stocks", "shown"),
    [
        ({"state": "closed", "stream": [], "polled": []}, "no prices of stocks are needed"),
        ({"state": "starting", "stream": [], "polled": []}, "starting"),
        (
            {"state": "live", "code": "symbolLimit", "reason": "1 of 3", "polled": ["IWM", "QQQ"]},
            "live (symbolLimit) since 10:30 ET, 1 streamed, 2 requested over REST",
        ),
        (
            {"state": "halted", "code": "authFailed", "reason": "no", "stream": [], "polled": ["SPY"]},
            "halted (authFailed) since 10:30 ET, 0 streamed, 1 requested over REST",
        ),
    ],
)
def test_the_line_of_the_stocks_has_their_state_and_how_many_are_streamed(stocks, shown):
    assert f"stocks       {shown}" in lines(stocks=documents.stocks(**stocks))


def test_the_line_of_the_alerts_has_their_numbers_and_the_most_severe():
    listed = [
        documents.alert(id="a", severity="info"),
        documents.alert(text="The put is breached. P/L -511.00 (close now -518.00)."),
    ]
    found = msgspec.convert(documents.alerts(*listed), AlertsJson)
    assert "alerts       1 critical, 1 info: The put is breached." in lines(found)


@pytest.mark.parametrize(
    ("as_of", "text"), [("2026-12-18T20:14:00Z", "from 15:15"), ("2026-12-18T20:15:00Z", "at any time")]
)
def test_the_first_alert_and_the_close_are_as_of_the_clock_of_the_exchange_and_not_of_this_machine(as_of, text):
    why = "Alpaca takes orders for it until 15:30 ET (as configured) and may liquidate it from 15:15."
    found = msgspec.convert(documents.alerts(documents.alert(text=why), asOf=as_of), AlertsJson)
    market = {"isOpen": True, "nextOpen": None, "nextClose": "2026-12-18T21:00:00Z"}
    report = msgspec.convert(documents.report(market=market), wire.StatusReport)
    document = msgspec.convert(documents.document(asOf=as_of), wire.Document)
    shown = status_lines(report, found, NOW, Screen(), document)  # this machine's clock is four weeks behind
    assert f"may liquidate it {text}." in next(line for line in shown if line.startswith("alerts"))
    assert "market       open, closes 16:00 ET" in shown


def test_the_sentence_of_the_first_alert_is_folded_in_its_column():
    found = msgspec.convert(documents.alerts(), AlertsJson)
    report = msgspec.convert(documents.report(), wire.StatusReport)
    shown = status_lines(report, found, NOW, Screen(width=60))
    at = shown.index("alerts       1 critical: SPY 560/570/630/640 Dec 18: the")
    assert shown[at + 1] == "             short put 570 has been breached since 10:30 ET."


def test_a_channel_that_does_not_deliver_is_named_at_the_end():
    found = msgspec.convert(documents.alerts(channels=[documents.channel(lastError="404 Not Found")]), AlertsJson)
    assert lines(found)[-1] == "channel phone: 404 Not Found"


def test_alerts_that_cannot_be_read_are_not_a_failure(condord, fake):
    fake.answers["/api/alerts"] = problem(503, "the source is lost")
    code, out, err = condord("status", "--url", fake.url)
    assert (code, err) == (0, [])
    assert "alerts       not known: they cannot be read" in out.splitlines()


def test_a_server_that_has_read_nothing_yet_reports_what_it_waits_for(condord, fake):
    fake.answers["/api/status"] = unread()
    assert condord("status", "--url", fake.url) == (
        69,
        "",
        [
            f"condord: {fake.url} answered 503: this relay has read nothing from http://a in 12 s: it is gone",
            "hint: It goes on trying; if it lasts, check that the source runs and can be reached.",
        ],
    )


def test_faults_come_last():
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


def test_notices_follow_the_faults():
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


STREAM_FAILURES = [name for name in FAILURES if not name.startswith("rest ")]
REFUSED = with_remedy("Alpaca refuses the key", FAILURES["stream 402"].remedy)


def test_a_halted_daemon_reports_the_remedy():
    shown = lines(state="halted", code="authFailed", reason=REFUSED)
    assert shown[3] == (
        "to do        Check the key, the secret and alpaca.paper, then restart, or send SIGHUP if only files changed."
    )
    assert shown[-1] == "halted for 1 min 9 s (authFailed): Alpaca refuses the key"


@pytest.mark.parametrize("name", STREAM_FAILURES)
def test_the_remedy_for_each_failure_is_shown_once(name):
    failure = FAILURES[name]
    reason = with_remedy(failure.text.format(detail="strange"), failure.remedy)
    shown = lines(state="reconnecting", code=failure.code, reason=reason)
    remedy = sentence(failure.remedy or "nothing, it recovers by itself")
    assert shown[3] == f"to do        {remedy}"
    assert "\n".join(shown).count(remedy) == 1
    assert "{" not in shown[3]


@pytest.mark.parametrize(
    ("state", "code", "name", "shown"),
    [
        ("reconnecting", "connectionLimit", "stream 406", "Stop the other program that uses this key"),
        ("reconnecting", "unreachable", "connect", "If it lasts, check the network"),
        ("reconnecting", "unreachable", "name lookup", "Check the network"),
        ("reconnecting", None, None, "Nothing, it recovers by itself"),
        ("stale", None, None, "Nothing, it recovers by itself"),
        ("starting", "authFailed", "stream 402", "Check the key"),
        ("reconnecting", "silent", None, "Nothing, it recovers by itself"),
    ],
)
def test_each_problem_is_shown_with_its_remedy(state, code, name, shown):
    reason = with_remedy("why", FAILURES[name].remedy if name else "")
    assert lines(state=state, code=code, reason=reason)[3].startswith(f"to do        {shown}")


@pytest.mark.parametrize(
    "positions",
    [
        {"readAt": None, "error": {"code": "serverError", "text": "it fails"}, "breaker": "closed"},
        {"readAt": None, "error": None, "breaker": "open"},
    ],
)
def test_while_rest_is_down_too_the_remedy_says_what_the_recovery_depends_on(positions):
    shown = " ".join(lines(state="stale", code="silent", reason="why", positions=positions)).replace(
        "             ", ""
    )
    assert "If it lasts, see Alpaca's status page: it recovers by itself once Alpaca answers." in shown


@pytest.mark.parametrize("state", ["live", "closed", "starting"])
def test_without_problems_there_is_no_remedy(state):
    assert not any(line.startswith("to do") for line in lines(state=state))


def test_a_remedy_that_this_version_does_not_know_stays_in_the_sentence():
    shown = lines(state="halted", code="authFailed", reason="Alpaca refuses the key; ask your broker")
    assert not any(line.startswith("to do") for line in shown)
    assert shown[-1].endswith("Alpaca refuses the key; ask your broker")


def test_the_remedies_for_streams_readings_and_notices_are_shown_once_each():
    report = "please report it"
    shown = lines(
        state="halted",
        code="authFailed",
        reason=REFUSED,
        positions={"readAt": None, "error": {"code": "authFailed", "text": REFUSED}, "breaker": "closed"},
        notices=[
            documents.notice(code="tradeUpdatesUnavailable", text=REFUSED, symbols=[]),
            documents.notice(code="ordersUnavailable", text=with_remedy("no JSON", report), symbols=[]),
        ],
    )
    assert shown[3].startswith("to do        Check the key")
    assert shown[4] == "             Please report it."
    assert shown[-4:] == [
        "halted for 1 min 9 s (authFailed): Alpaca refuses the key",
        "positions, last read never (authFailed): Alpaca refuses the key",
        "tradeUpdatesUnavailable, seen 1 min 9 s ago: Alpaca refuses the key",
        "ordersUnavailable, seen 1 min 9 s ago: no JSON",
    ]


def test_a_long_value_is_folded_in_its_column():
    report = msgspec.convert(documents.report(state="halted", code="authFailed", reason=REFUSED), wire.StatusReport)
    shown = status_lines(report, QUIET, NOW, Screen(width=50))
    at = shown.index("to do        Check the key, the secret and")
    assert shown[at + 1 : at + 3] == [
        "             alpaca.paper, then restart, or send",
        "             SIGHUP if only files changed.",
    ]
    assert max(map(len, shown)) <= 50
    assert max(map(len, status_lines(report, QUIET, NOW, Screen(width=24)))) <= 24


def test_json_is_the_exact_body(condord, fake):
    code, out, err = condord("status", "--json", "--url", fake.url)
    assert (code, out.encode(), err) == (0, documents.body(documents.report()) + b"\n", [])


def test_a_halted_daemon_exits_with_0(condord, fake):
    fake.answers["/api/status"] = json(documents.report(state="halted", code="authFailed", reason="refused"))
    code, out, err = condord("status", "--url", fake.url)
    assert (code, err) == (0, [])
    assert "halted" in out


def test_without_a_daemon_the_command_exits_with_69(condord, tmp_path):
    assert condord("status", "--url", f"unix://{tmp_path}/none").code == 69


def test_a_relay_shows_its_source_and_its_lag():
    cluster = {"role": "relay", "source": "https://a.example", "lagMs": 12, "gaps": 1, "dropped": 0}
    shown = lines(cluster=cluster, stocks=None)
    assert "relay of     https://a.example, 12 ms behind, gaps 1, dropped 0" in shown
    assert not [line for line in shown if line.startswith("stocks")]
    shown = lines(cluster={**cluster, "lagMs": None})
    assert "relay of     https://a.example, gaps 1, dropped 0" in shown
    standby = {**cluster, "source": None, "leader": "host:4711", "fence": 12}
    assert "relay of     host:4711 on a bus, fence 12, 12 ms behind, gaps 1, dropped 0" in lines(cluster=standby)
    unled = {**standby, "leader": None, "fence": None}
    assert "relay of     a bus, on which no leader is known, fence not known, 12 ms behind, gaps 1, dropped 0" in lines(
        cluster=unled
    )


def test_an_ingester_shows_whether_it_leads_and_which_one_does():
    cluster = {"role": "standby", "leader": "host-2:811", "fence": 7}
    shown = lines(state="standby", cluster=cluster, stocks=None)
    assert "cluster      standby, host-2:811 leads, fence 7" in shown
    assert [line for line in shown if line.startswith("upstream     standby since ")]
    shown = lines(cluster={"role": "standby", "leader": None, "fence": None}, stocks=None)
    assert "cluster      standby, no leader is known, fence not known" in shown


def test_the_remedy_for_a_file_that_cannot_be_written_is_separate_from_its_notice():
    text = with_remedy("Nothing is recorded in /s/history.sqlite3: No space left on device", WRITABLE)
    shown = lines(notices=[documents.notice(code="historyUnavailable", text=text, symbols=[])])
    assert f"to do        {sentence(WRITABLE)}" in shown
    assert shown[-1].endswith(": Nothing is recorded in /s/history.sqlite3: No space left on device")


def test_a_lost_source_is_shown_with_the_remedy():
    reason = with_remedy("relay-1 has lost its source http://127.0.0.1:1: it answers 503", LOST_REMEDIES["sourceLost"])
    shown = lines(state="reconnecting", code="sourceLost", reason=reason)
    assert "to do        If it lasts, check that the source runs and can be reached." in shown


@pytest.mark.parametrize("role", ["relay", "standby", "leader", "all"])
def test_unknown_values_of_a_lost_source_are_shown_as_unknown(role):
    shown = lines(
        state="standby" if role == "standby" else "reconnecting",
        code="busLost",
        reason="desk has lost the bus: no answer in time",
        since="2026-11-20T15:30:00Z",
        cluster={"role": role},
        stocks=None,
        stream={**documents.report()["stream"], "connected": None, "subscribed": None, "requested": None},
        positions={**documents.report()["positions"], "breaker": None},
    )
    state = "standby" if role == "standby" else "reconnecting"
    assert f"upstream     {state}, busLost since 10:30 ET, 1 min 9 s ago" in shown
    assert "stream       unknown since 10:30 ET (busLost)" in shown
    assert "watchdog     newest message 2.0 s ago" in shown
    assert "breaker      unknown since 10:30 ET (busLost)" in shown
    assert "alerts       as last read: none firing" in shown
    assert not [line for line in shown if line.startswith("positions") or "not requested" in line]
    what = "busLost for 1 min 9 s" if role == "standby" else "reconnecting for 1 min 9 s (busLost)"
    assert shown[-1] == f"{what}: desk has lost the bus: no answer in time"


def test_until_the_positions_are_read_the_alerts_are_reported_as_not_known(condord, fake):
    unread = {"readAt": None, "error": None, "breaker": "closed"}
    fake.answers["/api/status"] = json(documents.report(positions=unread))
    fake.answers["/api/alerts"] = json(documents.alerts() | {"alerts": []})
    out = condord("status", "--url", fake.url).out
    assert "alerts       not known: the positions have not been read yet" in out.splitlines()


@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
def test_a_suspended_daemon_is_named_with_the_command_that_continues_it(condord, tmp_path, is_unix):
    with listening(tmp_path / "socket" if is_unix else None) as listener:
        listener.stop()
        code, out, err = condord("status", "--url", listener.url)
    assert (code, out) == (69, "")
    assert err == [
        f"condord: {listener.url} does not answer: its process {listener.pid} is suspended",
        f"hint: Continue it with `kill -CONT {listener.pid}`.",
    ]


def test_a_daemon_on_this_machine_that_does_not_answer_is_given_up_after_three_seconds(condord):
    with listening() as listener:
        code, _, err = condord("status", "--url", listener.url)
    assert (code, err[0]) == (69, f"condord: {listener.url} did not answer within 3 s")
