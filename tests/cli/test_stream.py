import datetime as dt
import json

import pytest

from condord.cli.screen import Screen
from condord.cli.stream import event_line, json_line
from condord.client import Event
from tests.fakes import documents

ID = "SPY-261218-560-570-630-640"
NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)
SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")
DELTA = documents.frame("delta", documents.delta(valuations=[documents.valuation()]), "k-2")


def line(name, payload):
    return event_line(Event(name=name, data=json.dumps(payload), id=None), NOW, Screen())


def test_an_event_is_a_line_with_what_changed():
    assert line("delta", documents.delta(valuations=[documents.valuation()])) == (
        f"15:31:08.000 delta {ID} mark 1.20 P/L +230.00"
    )
    assert line("snapshot", documents.document()) == "15:31:07.250 snapshot live, 1 condor, 0 in none, P/L +230.00"
    assert line("heartbeat", {"asOf": documents.AS_OF}) == "15:31:07.250 heartbeat"
    assert line("bye", {"reason": "stopping"}) == "15:31:09.000 bye stopping"
    assert line("later", {}) == "15:31:09.000 later"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quotes": [documents.quote("SPY261218P00560000")]}, "quote of SPY261218P00560000"),
        ({"quotes": [documents.quote("A"), documents.quote("B")]}, "2 quotes"),
        ({"unmatched": [documents.unmatched()]}, "1 in no condor"),
        ({"status": documents.status(state="stale", reason="silent\x1b")}, "stale: silent "),
        ({"totals": documents.totals()}, "totals"),
        ({"valuations": [documents.valuation(name) for name in "ABCDE"]},
         "A mark 1.20 P/L +230.00; B mark 1.20 P/L +230.00; C mark 1.20 P/L +230.00; and 2 more"),
        ({"valuations": [documents.valuation("A", mark=None, unrealizedPl=None, missing=["X"], unconfirmed=True)]},
         "A mark — P/L — incomplete unconfirmed"),
    ],
)  # fmt: skip
def test_a_delta_names_what_matters_most(changes, said):
    assert line("delta", documents.delta(**changes)) == f"15:31:08.000 delta {said}".rstrip()


def test_a_line_with_a_status_names_each_kind_of_notice_once():
    codes = ("notStreamed", "brokenCondor", "brokenCondor")
    status = documents.status(notices=[documents.notice(code=code) for code in codes])
    said = "[notStreamed, brokenCondor]"
    assert line("delta", documents.delta(status=status)) == f"15:31:08.000 delta live {said}"
    assert line("snapshot", documents.document(status=status)).endswith(f"P/L +230.00 {said}")


def test_json_is_an_object_a_line():
    event = Event(name="delta", data='{"a": 1.0,\n"b": null}', id="k-1")
    assert json_line(event) == b'{"event":"delta","id":"k-1","data":{"a": 1.0, "b": null}}\n'
    event = Event(name="note", data="hello", id=None)
    assert json_line(event) == b'{"event":"note","id":null,"data":"hello"}\n'


def test_the_stream_goes_on_over_a_cut_and_says_so_on_stderr(condord, fake):
    fake.streams = [[SNAPSHOT], [DELTA]]
    code, out, err = condord("stream", "--json", "--url", fake.url)
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["event"], event["id"]) for event in events] == [("snapshot", "k-1"), ("delta", "k-2")]
    assert events[0]["data"] == documents.document()
    assert code == 77
    assert err[0].startswith("condord: the daemon ended the stream; next attempt in ")


def test_only_the_named_condors_are_asked_for_and_the_absent_are_named_once(condord, fake):
    fake.streams = [[SNAPSHOT, SNAPSHOT]]
    err = condord("stream", "--condor", ID, "--condor", "QQQ-1", "--url", fake.url).err
    assert fake.requests[0][0] == f"/api/stream?condor={ID}&condor=QQQ-1"
    assert [line for line in err if "QQQ-1" in line] == ["condord: QQQ-1 is not held now; waiting for it"]
    assert not any(ID in line for line in err)


def test_no_daemon_is_69(condord, tmp_path):
    code, out, err = condord("stream", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)
