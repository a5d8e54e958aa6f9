import datetime as dt
import json

import pytest

from condord.cli.screen import Screen
from condord.cli.stream import event_line, json_line
from condord.client.sse import ServerSentEvent
from tests.fakes import documents

ID = documents.CONDOR_ID
NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)
SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")
DELTA = documents.frame("delta", documents.delta(valuations=[documents.valuation()]), "k-2")


def line(name, payload):
    return event_line(ServerSentEvent(name=name, data=json.dumps(payload), id=None), NOW, Screen())


def test_an_event_is_a_line_with_its_time_and_what_changed():
    assert line("delta", documents.delta(valuations=[documents.valuation()])) == (
        f"15:31:08.000 delta {ID} mark 1.20 P/L +230.00"
    )
    assert line("snapshot", documents.document()) == "15:31:07.250 snapshot live, 1 condor, 0 in no condor, P/L +230.00"
    assert line("heartbeat", {"asOf": documents.AS_OF}) == "15:31:07.250 heartbeat"
    assert line("bye", {"reason": "stopping"}) == "15:31:09.000 bye stopping"
    assert line("later", {}) == "15:31:09.000 later"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quotes": [documents.quote("SPY261218P00560000")]}, "quote of SPY261218P00560000"),
        ({"quotes": [documents.quote("A"), documents.quote("B")]}, "2 quotes"),
        ({"unmatched": [documents.unmatched()]}, "1 in no condor"),
        ({"status": documents.status(state="stale", reason="silent\x1b")}, "stale: silent "),
        ({"totals": documents.totals()}, "totals"),
        ({"totals": documents.totals(), "alerts": [documents.alert()]}, "alerts"),
        ({"alertsGone": ["x"]}, "alerts"),
        ({"history": [{"id": "A", "seconds": [60], "cents": [1]}]}, "history"),
        ({}, "nothing new"),
        ({"valuations": [documents.valuation(name) for name in "ABCDE"]},
         "A mark 1.20 P/L +230.00; B mark 1.20 P/L +230.00; C mark 1.20 P/L +230.00; and 2 more"),
        ({"valuations": [documents.valuation("A", mark=None, unrealizedPl=None, missing=["X"], unconfirmed=True)]},
         "A mark — P/L — incomplete unconfirmed"),
    ],
)  # fmt: skip
def test_a_delta_is_described_by_its_most_important_change(changes, text):
    assert line("delta", documents.delta(**changes)) == f"15:31:08.000 delta {text}".rstrip()


def test_a_line_with_a_status_lists_each_notice_code_once():
    codes = ("notStreamed", "brokenCondor", "brokenCondor")
    status = documents.status(notices=[documents.notice(code=code) for code in codes])
    listed = "[notStreamed, brokenCondor]"
    assert line("delta", documents.delta(status=status)) == f"15:31:08.000 delta live {listed}"
    assert line("snapshot", documents.document(status=status)).endswith(f"P/L +230.00 {listed}")


def test_an_alert_is_a_line_with_its_severity_state_id_and_sentence():
    text = documents.alert()["text"]
    assert line("alert", documents.alert()) == f"15:30:00.000 alert critical firing breached:{ID}: {text}"
    over = documents.alert(state="resolved", until="2026-11-20T15:30:59Z", severity="info", text="Over.\x1b")
    assert line("alert", over) == f"15:30:59.000 alert info resolved breached:{ID}: Over."


def test_alert_events_are_printed_in_their_order_and_as_json(condord, fake):
    alert = documents.frame("alert", documents.alert())
    fake.streams = [[SNAPSHOT, DELTA, alert], [SNAPSHOT, alert]]
    out = condord("stream", "--url", fake.url).out
    assert [row.split()[1] for row in out.splitlines()] == ["snapshot", "delta", "alert", "snapshot", "alert"]
    fake.streams = [[SNAPSHOT, alert]]
    event = json.loads(condord("stream", "--json", "--url", fake.url).out.splitlines()[-1])
    assert event == {"event": "alert", "id": None, "data": documents.alert()}


def test_json_is_one_object_per_line():
    event = ServerSentEvent(name="delta", data='{"a": 1.0,\n"b": null}', id="k-1")
    assert json_line(event) == b'{"event":"delta","id":"k-1","data":{"a": 1.0, "b": null}}\n'
    event = ServerSentEvent(name="note", data="hello", id=None)
    assert json_line(event) == b'{"event":"note","id":null,"data":"hello"}\n'


def test_a_lost_connection_is_resumed_and_reported_on_stderr(condord, fake):
    fake.streams = [[SNAPSHOT], [DELTA]]
    code, out, err = condord("stream", "--json", "--url", fake.url)
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["event"], event["id"]) for event in events] == [("snapshot", "k-1"), ("delta", "k-2")]
    assert events[0]["data"] == documents.document()
    assert code == 77
    assert err[0].startswith("condord: the daemon ended the stream; next attempt in ")


def test_only_the_given_condors_are_requested_and_absent_ones_are_reported_once(condord, fake):
    fake.streams = [[SNAPSHOT, SNAPSHOT]]
    err = condord("stream", "--condor", ID, "--condor", "QQQ-1", "--url", fake.url).err
    assert fake.requests[0][0] == f"/api/stream?condor={ID}&condor=QQQ-1"
    assert [line for line in err if "QQQ-1" in line] == [
        "condord: QQQ-1 is not held; its events will follow when it is"
    ]
    assert not any(ID in line for line in err)


def test_a_broken_condor_is_not_reported_as_absent(condord, fake):
    snapshot = documents.frame("snapshot", documents.document(broken=[documents.broken("QQQ-1", A=1)]), "k-1")
    fake.streams = [[snapshot]]
    assert "not held" not in "".join(condord("stream", "--condor", "QQQ-1", "--url", fake.url).err)


def test_no_daemon_is_69(condord, tmp_path):
    code, out, err = condord("stream", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)
