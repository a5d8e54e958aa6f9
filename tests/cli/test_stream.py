import datetime as dt
import json

import pytest

from condord.cli.screen import Screen, visible_width
from condord.cli.stream import EventLines, MoveFilter, json_line
from condord.client.sse import ServerSentEvent
from tests.fakes import documents

ID = documents.CONDOR_ID
NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)
SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")
LATER = "QQQ-261218-560-570.5-630-640-2"
"""The id of a condor that is not held and may be opened."""
DELTA = documents.frame("delta", documents.delta(valuations=[documents.valuation()]), "k-2")


def event(name, payload):
    return ServerSentEvent(name=name, data=json.dumps(payload), id=None)


def line(name, payload, width=None):
    return EventLines().lines(event(name, payload), NOW, Screen(width=width))[0]


def test_a_snapshot_of_an_account_that_was_never_read_is_not_shown_as_empty():
    for asked in (0, 2):
        (shown,) = EventLines(asked).lines(event("snapshot", documents.unread()), NOW, Screen())
        assert shown == "10:31:07.250 snapshot starting, positions not read yet"


BROKEN = documents.broken("SPY-261218-500-510-560-570", SPY261218P00500000=1)


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"condors": []}, "0 of 2 condors, account P/L +230.00"),
        ({}, "1 of 2 condors, P/L +230.00, account P/L +230.00"),
        ({"broken": [BROKEN]}, "2 of 2 condors, P/L +245.00, account P/L +230.00"),
        ({"broken": [BROKEN | {"unrealizedPl": None}]}, "2 of 2 condors, P/L —, account P/L +230.00"),
    ],
)
def test_a_snapshot_of_some_condors_has_their_profit_beside_that_of_the_account(held, text):
    (shown,) = EventLines(2).lines(event("snapshot", documents.document(**held)), NOW, Screen())
    assert shown == f"10:31:07.250 snapshot live, {text}"


OF_ACCOUNT = documents.delta(totals=documents.totals(), account=documents.account())


def test_with_some_condors_a_delta_of_only_the_account_has_no_line():
    lines = EventLines(1).lines
    assert lines(event("delta", OF_ACCOUNT), NOW, Screen()) == []
    for more in ({"valuations": [documents.valuation()]}, {"risks": [documents.risk()]}, {"alertsGone": ["x"]},
                 {"status": documents.status()}):  # fmt: skip
        assert len(lines(event("delta", OF_ACCOUNT | more), NOW, Screen())) == 1
    assert lines(event("delta", documents.delta()), NOW, Screen()) == ["10:31:08.000 delta nothing new"]


def test_with_some_condors_json_still_has_every_event(condord, fake):
    frames = [SNAPSHOT, documents.frame("delta", OF_ACCOUNT, "k-2")]
    arguments = ("stream", "--condor", ID, "--url", fake.url)
    fake.streams = [frames]
    assert [row.split()[1] for row in condord(*arguments).out.splitlines()] == ["snapshot"]
    fake.streams = [frames]
    assert [json.loads(row)["id"] for row in condord(*arguments, "--json").out.splitlines()] == ["k-1", "k-2"]


def test_a_requested_condor_is_reported_as_absent_only_once_positions_were_read(condord, fake):
    unread = documents.frame("snapshot", documents.unread(), "k-0")
    arguments = ("stream", "--condor", LATER, "--url", fake.url)
    for frames, count in (([unread], 0), ([unread, SNAPSHOT, SNAPSHOT], 1)):
        fake.streams = [frames]
        assert sum("is not held" in each for each in condord(*arguments).err) == count


def test_an_event_is_a_line_with_its_time_and_what_changed():
    assert line("delta", documents.delta(valuations=[documents.valuation()])) == (
        f"10:31:08.000 delta {ID} mark 1.20 P/L +230.00"
    )
    assert line("snapshot", documents.document()) == "10:31:07.250 snapshot live, 1 condor, 0 in no condor, P/L +230.00"
    assert line("heartbeat", {"asOf": documents.AS_OF}) == "10:31:07.250 heartbeat"
    assert line("bye", {"reason": "stopping"}) == "10:31:09.000 bye stopping"
    assert line("later", {}) == "10:31:09.000 later"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quotes": [documents.quote("SPY261218P00560000")]}, "quote of SPY261218P00560000"),
        ({"quotes": [documents.quote("A"), documents.quote("B")]}, "2 quotes"),
        ({"unmatched": [documents.unmatched()]}, "1 in no condor"),
        ({"status": documents.status(state="stale", reason="silent\x1b")}, "stale: silent "),
        ({"totals": documents.totals()}, "totals"),
        ({"account": documents.account()}, "balances"),
        ({"totals": documents.totals(), "underlyings": [documents.underlying()]}, "prices of underlyings"),
        ({"totals": documents.totals(), "risks": [documents.risk()]}, "risk figures"),
        ({"closing": [{"id": ID, "orders": []}]}, "closing orders"),
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
    assert line("delta", documents.delta(**changes)) == f"10:31:08.000 delta {text}".rstrip()


@pytest.mark.parametrize(("direction", "mark"), [("long", "6.08"), ("short", "-6.08")])
@pytest.mark.parametrize("lines", [EventLines().lines, MoveFilter(25).lines])
def test_the_mark_of_a_long_condor_is_the_proceeds_of_closing(direction, mark, lines):
    before = documents.condor(direction=direction, valuation=documents.valuation(unrealizedPl=0))
    lines(event("snapshot", documents.document(condors=[before])), NOW, Screen())
    moved = documents.delta(valuations=[documents.valuation(mark=-6.08, unrealizedPl=-37.5)])
    assert f" mark {mark} P/L -37.50" in lines(event("delta", moved), NOW, Screen())[0]


MANY = documents.delta(valuations=[documents.valuation(f"SPY-261218-56{at}-570-630-640") for at in range(5)])
LONG = documents.status(state="stale", reason="no data " * 30)
EVENTS = [("delta", MANY), ("delta", MANY | {"status": LONG}), ("snapshot", documents.document(status=LONG)),
          ("alert", documents.alert(text="The put is breached. " * 9)), ("bye", {"reason": "stopping " * 20})]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize(("name", "payload"), EVENTS, ids=["delta", "status", "snapshot", "alert", "bye"])
def test_a_line_is_as_wide_as_the_terminal_at_most(name, payload, width):
    painted = EventLines().lines(event(name, payload), NOW, Screen(width=width, colour=True))[0]
    assert visible_width(painted) <= width
    assert painted.count("\x1b[0m") * 2 == painted.count("\x1b[")


@pytest.mark.parametrize(
    ("width", "named", "end"),
    [(80, 1, "; and 4 more"), (120, 1, "; and 4 more"), (160, 2, "; and 3 more"), (None, 3, "; and 2 more")],
)
def test_a_delta_names_as_many_condors_as_fit(width, named, end):
    shown = line("delta", MANY, width)
    assert shown.count("P/L") == named
    assert shown.endswith(end)


def test_an_alert_without_room_for_its_id_still_has_its_sentence():
    assert line("alert", documents.alert(), 100) == (
        "10:30:00.000 alert critical firing: SPY 560/570/630/640 Dec 18: the short put 570 is breached, SPY …"
    )


def described(amount, *events, width=None):
    changes = MoveFilter(amount)
    return [row for each in events for row in changes.lines(event(*each), NOW, Screen(width=width))]


def moving(*profits, **more):
    return "delta", documents.delta(valuations=[documents.valuation(unrealizedPl=profit) for profit in profits], **more)


def test_with_an_amount_only_condors_that_moved_by_it_have_a_line():
    rows = described(
        25, ("snapshot", documents.document()), moving(250), moving(254.99), moving(255), moving(231), moving(230)
    )
    assert rows == [
        "10:31:07.250 snapshot live, 1 condor, 0 in no condor, P/L +230.00",
        f"10:31:08.000 delta {ID} mark 1.20 P/L +255.00 (+25.00)",
        f"10:31:08.000 delta {ID} mark 1.20 P/L +230.00 (-25.00)",
    ]


def test_with_an_amount_a_move_during_an_outage_is_a_line_after_the_next_snapshot():
    moved = documents.document(condors=[documents.condor(valuation=documents.valuation(unrealizedPl=-500))])
    rows = described(25, ("snapshot", documents.document()), ("snapshot", moved))
    assert rows[-1] == f"10:31:07.250 delta {ID} mark 1.20 P/L -500.00 (-730.00)"


def test_with_an_amount_alerts_and_changes_of_the_state_are_still_shown_and_heartbeats_are_not():
    stale = documents.status(state="stale", reason="no data")
    rows = described(
        25,
        ("snapshot", documents.document()),
        ("heartbeat", {"asOf": documents.AS_OF}),
        moving(230, status=documents.status()),
        moving(230, status=stale),
        moving(230, status=stale),
        ("alert", documents.alert()),
        ("bye", {"reason": "stopping"}),
    )
    assert [row.split(maxsplit=2)[1:] for row in rows[1:]] == [
        ["delta", "stale: no data"],
        ["alert", f"critical firing breached:{ID}: {documents.alert()['text']}"],
        ["bye", "stopping"],
    ]


def test_with_an_amount_json_has_the_whole_events_that_are_shown(condord, fake):
    small = documents.frame("delta", documents.delta(valuations=[documents.valuation(unrealizedPl=231)]), "k-2")
    large = documents.frame("delta", documents.delta(valuations=[documents.valuation(unrealizedPl=300)]), "k-3")
    fake.streams = [[SNAPSHOT, small, documents.heartbeat(9), large]]
    out = condord("stream", "--changes", "$50", "--json", "--url", fake.url).out
    assert [json.loads(row)["id"] for row in out.splitlines()] == ["k-1", "k-3"]
    fake.streams = [[SNAPSHOT, small, documents.heartbeat(9), large]]
    out = condord("stream", "--changes", "50", "--url", fake.url).out
    assert [row.split()[1] for row in out.splitlines()] == ["snapshot", "delta"]


def test_an_invalid_amount_exits_with_2(condord, fake):
    code, out, err = condord("stream", "--changes", "much", "--url", fake.url)
    assert (code, out) == (2, "")
    assert err[0] == "condord: Invalid value for '--changes': 'much' is not an amount of dollars"


def test_a_line_with_a_status_lists_each_notice_code_once():
    codes = ("notStreamed", "brokenCondor", "brokenCondor")
    status = documents.status(notices=[documents.notice(code=code) for code in codes])
    listed = "[notStreamed, brokenCondor]"
    assert line("delta", documents.delta(status=status)) == f"10:31:08.000 delta live {listed}"
    assert line("snapshot", documents.document(status=status)).endswith(f"P/L +230.00 {listed}")


def test_an_alert_is_a_line_with_its_severity_state_id_and_sentence():
    text = documents.alert()["text"]
    assert line("alert", documents.alert()) == f"10:30:00.000 alert critical firing breached:{ID}: {text}"
    over = documents.alert(state="resolved", until="2026-11-20T15:30:59Z", severity="info", text="Over.\x1b")
    assert line("alert", over) == f"10:30:59.000 alert info resolved breached:{ID}: Over."


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
    err = condord("stream", "--condor", ID, "--condor", LATER, "--url", fake.url).err
    assert fake.requests[0][0] == f"/api/stream?condor={ID}&condor={LATER}"
    assert [line for line in err if LATER in line] == [f"condord: {LATER} is not held; waiting until it is"]
    assert not any(ID in line for line in err)


def test_a_broken_condor_is_not_reported_as_absent(condord, fake):
    snapshot = documents.frame("snapshot", documents.document(broken=[documents.broken("QQQ-1", A=1)]), "k-1")
    fake.streams = [[snapshot]]
    assert "not held" not in "".join(condord("stream", "--condor", "QQQ-1", "--url", fake.url).err)


@pytest.mark.parametrize(
    "condor_id", ["NONSENSE", ID.lower(), "SPY-261119-560-570-630-640", "SPY-261232-560-570-630-640"]
)
def test_a_condor_that_can_never_be_held_exits_with_1_and_names_those_that_are(condord, fake, condor_id):
    fake.streams = [[documents.frame("snapshot", documents.unread(), "k-0"), SNAPSHOT]]
    code, out, err = condord("stream", "--condor", LATER, "--condor", condor_id, "--url", fake.url)
    assert (code, len(out.splitlines()), err[0]) == (1, 1, f"condord: no condor {condor_id} is held")
    assert ID in err[1]


def test_a_condor_that_has_expired_and_is_still_listed_is_followed(condord, fake):
    expired = documents.document(condors=[documents.condor("SPY-261119-560-570-630-640")])
    fake.streams = [[documents.frame("snapshot", expired, "k-1")]]
    done = condord("stream", "--condor", "SPY-261119-560-570-630-640", "--url", fake.url)
    assert (done.code, len(done.out.splitlines())) == (77, 1)


NARROW = [
    ("delta", documents.delta(valuations=[documents.valuation()]), 60, f"{ID} P/L +230.00"),
    ("delta", documents.delta(valuations=[documents.valuation()]), 40, "SPY-2612… P/L +230.00"),
    ("delta", MANY, 40, "SPY-2… P/L +230.00 …"),
    ("delta", documents.delta(valuations=[documents.valuation(unconfirmed=True)]), 50, "SPY-26… P/L +230.00 unconfirmed"),
    ("snapshot", documents.document(), 60, "live, 1 condor, P/L +230.00"),
    ("snapshot", documents.document(), 40, "live, P/L +230.00"),
    ("snapshot", documents.document(status=documents.status(state="reconnecting")), 40, "reco…, P/L +230.00"),
    ("snapshot", documents.document(status=documents.status(notices=[documents.notice()])), 50, "live, P/L +230.00 …"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "payload", "width", "text"), NARROW)
def test_in_a_narrow_terminal_the_profit_is_the_last_thing_to_go(name, payload, width, text):
    shown = line(name, payload, width)
    assert shown.split(f" {name} ")[1] == text


def test_with_an_amount_the_profit_and_its_change_are_the_last_things_to_go():
    assert described(25, ("snapshot", documents.document()), moving(255), width=46)[1] == (
        "10:31:08.000 delta SPY-2… P/L +255.00 (+25.00)"
    )


@pytest.mark.parametrize(
    ("width", "text"),
    [(60, "live, 1 of 2 condors, P/L +230.00"), (46, "live, P/L +230.00")],
)
def test_a_narrow_terminal_still_shows_the_profit_of_the_requested_condors(width, text):
    (shown,) = EventLines(2).lines(event("snapshot", documents.document()), NOW, Screen(width=width))
    assert shown == f"10:31:07.250 snapshot {text}"


def test_without_a_daemon_the_command_exits_with_69(condord, tmp_path):
    code, out, err = condord("stream", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)
