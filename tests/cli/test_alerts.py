import msgspec
import pytest

from tests.cli.processes import shell
from tests.fakes import documents
from tests.fakes.daemon import json, problem

ID = f"breached:{documents.CONDOR_ID}"
PATH = f"/api/alerts/breached%3A{documents.CONDOR_ID}/acknowledge"
TEST = "/api/channels/phone/test"
DONE = (204, {}, b"")


def answered(*, ok, status, text):
    return json({"ok": ok, "status": status, "text": text})


def test_json_is_the_exact_body_and_a_newline(condord, fake):
    code, out, err = condord("alerts", "--json", "--url", fake.url)
    assert out.encode() == fake.answers["/api/alerts"][2] + b"\n"
    assert (code, len(err)) == (1, 2)


def test_firing_alerts_are_shown_with_the_most_severe_first(condord, fake):
    listed = [
        documents.alert(id="a:account", severity="info", text="An info."),
        documents.alert(id="b:SPY", severity="warning", text="A warning."),
        documents.alert(id="c:SPY", state="resolved", until=documents.AS_OF, text="Over."),
        documents.alert(id="d:QQQ", text="A critical one."),
    ]
    fake.answers["/api/alerts"] = json(documents.alerts(*listed))
    code, out, _ = condord("alerts", "--url", fake.url)
    assert [line for line in out.splitlines() if line[:1].strip()] == [
        "◆ critical  A critical one.",
        "■ warning   A warning.",
        "● info      An info.",
        "1 critical, 1 warning, 1 info",
    ]
    assert code == 1


def test_within_a_severity_the_nearer_condor_is_first_and_ages_are_by_the_exchanges_clock(condord, fake):
    far = documents.condor("SPY-2", daysToExpiration=60)
    fake.answers["/api/positions"] = json(documents.document(condors=[far, documents.condor()]))
    listed = [
        documents.alert(id="a", condorId="SPY-2", since=documents.AS_OF, text="Far: so."),
        documents.alert(id="b", since="2026-11-20T15:30:07.250Z", text="Near: so."),
    ]
    fake.answers["/api/alerts"] = json(documents.alerts(*listed))
    _, out, _ = condord("alerts", "--url", fake.url)
    assert [line for line in out.splitlines() if line.startswith("◆")] == [
        "◆ critical  Near: so.",
        "◆ critical  Far: so.",
    ]
    assert "since 10:30 ET, 1 min 0 s ago" in out
    _, out, _ = condord("status", "--url", fake.url)
    assert "2 critical: Near: so." in out


GAP = "hether anything else fires is not known: "


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (documents.unread(), "the positions have not been read yet"),
        (documents.unread(error={"code": "unreachable", "text": "no route"}),
         "the positions have not been read yet: no route"),
        (documents.document(status=documents.status(state="reconnecting", reason="no route")),
         "prices are not live, no route"),
        (documents.document(status=documents.status(state="starting")),
         "prices are not live, the option stream is starting"),
        (None, "the positions cannot be read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [[], [documents.alert(severity="warning")]])
def test_an_empty_list_is_not_reported_as_quiet_while_nothing_is_watched(condord, fake, document, reason, listed):
    fake.answers["/api/alerts"] = json(documents.alerts() | {"alerts": listed})
    fake.answers["/api/positions"] = problem(503, "not yet") if document is None else json(document)
    code, out, err = condord("alerts", "--url", fake.url)
    assert (code, err) == (0, [])
    assert f"W{GAP}{reason}" in out.splitlines()
    code, out, err = condord("alerts", "--json", "--url", fake.url)
    assert (code, err) == (0, [f"condord: w{GAP}{reason}"])
    assert out.encode() == fake.answers["/api/alerts"][2] + b"\n"


@pytest.mark.parametrize("state", ["live", "closed"])
def test_an_empty_list_is_reported_as_none_firing_while_condors_are_watched(condord, fake, state):
    fake.answers["/api/alerts"] = json(documents.alerts() | {"alerts": []})
    fake.answers["/api/positions"] = json(documents.document(status=documents.status(state=state)))
    assert condord("alerts", "--url", fake.url) == (0, "No alert is firing.\n", [])
    assert condord("alerts", "--json", "--url", fake.url).err == []


def test_the_option_all_adds_ended_alerts_the_rules_and_the_channels(condord, fake):
    over = documents.alert(id="c:SPY", state="resolved", until=documents.AS_OF, text="Over.")
    off = documents.rule(name="tested", enabled=False)
    fake.answers["/api/alerts"] = json(documents.alerts(over, rules=[documents.rule(), off]))
    code, out, err = condord("alerts", "--all", "--url", fake.url)
    assert (code, err) == (0, [])
    for text in ("No alert is firing.", "resolved    Over.", "distanceSigmas < 0", "turned off: tested", "phone"):
        assert text in out


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 1),
        ({"acknowledgedAt": documents.AS_OF}, 1),
        ({"severity": "warning"}, 0),
        ({"state": "resolved", "until": documents.AS_OF}, 0),
        ({"state": "ended", "until": documents.AS_OF}, 0),
    ],
)
def test_the_exit_code_is_1_while_a_critical_alert_fires_acknowledged_or_not(condord, fake, changes, code):
    fake.answers["/api/alerts"] = json(documents.alerts(documents.alert(**changes)))
    for form in ((), ("--all",), ("--json",)):
        outcome = condord("alerts", *form, "--url", fake.url)
        assert outcome.code == code
        assert outcome.err[:1] == (["condord: 1 critical alert is firing"] if code else [])


def test_several_critical_alerts_are_counted(condord, fake):
    fake.answers["/api/alerts"] = json(documents.alerts(documents.alert(), documents.alert(id="x")))
    assert condord("alerts", "--url", fake.url).err[0] == "condord: 2 critical alerts are firing"


def test_a_terminal_has_colour(condord, fake, terminal):
    assert "\x1b[31m◆ critical  \x1b[0m" in condord("alerts", "--url", fake.url).out


def test_an_alert_is_acknowledged_by_its_id(condord, fake):
    fake.posts[PATH] = DONE
    assert condord("alerts", "acknowledge", ID, "--url", fake.url) == (0, f"acknowledged {ID}\n", [])
    assert [path for path, _ in fake.requests] == [PATH]


def test_the_url_may_precede_the_subcommand(condord, fake):
    fake.posts[PATH] = DONE
    assert condord("alerts", "--url", fake.url, "acknowledge", ID).code == 0


@pytest.mark.parametrize(
    ("unknown", "hint"),
    [
        (ID.lower(), f"hint: Similar ids: {ID}."),
        ("x", "hint: `condord alerts --all` lists the ids."),
        ("", "hint: `cond"),
    ],
)
def test_an_unknown_alert_exits_with_1_and_names_similar_ids(condord, fake, unknown, hint):
    code, out, err = condord("alerts", "acknowledge", unknown, "--url", fake.url)
    assert (code, out) == (1, "")
    assert err[0] == f"condord: there is no alert {unknown or repr('')}"
    assert err[1].startswith(hint)


def test_the_answer_of_a_channel_is_printed(condord, fake):
    fake.posts[TEST] = answered(ok=True, status=200, text="the message was accepted")
    code, out, err = condord("alerts", "test", "phone", "--url", fake.url)
    assert (code, out, err) == (0, "phone: accepted (200): the message was accepted\n", [])


def test_a_disabled_channel_exits_with_1_even_if_it_accepts_the_test_message(condord, fake):
    fake.posts[TEST] = answered(ok=True, status=200, text="HTTP 200 OK")
    other = documents.channel(name="fax")
    fake.answers["/api/alerts"] = json(documents.alerts(channels=[other, documents.channel(disabled=True)]))
    code, out, err = condord("alerts", "test", "phone", "--url", fake.url)
    assert (code, out) == (1, "phone: accepted (200): HTTP 200 OK\n")
    assert err[0] == "condord: the channel phone is disabled, so no alert is sent to it"
    assert "Restart condord" in err[1]


@pytest.mark.parametrize(("status", "shown"), [(404, " (404)"), (None, "")])
def test_a_channel_that_does_not_accept_exits_with_1_its_answer_and_a_remedy(condord, fake, status, shown):
    fake.posts[TEST] = answered(ok=False, status=status, text="no\x1b[2J")
    code, out, err = condord("alerts", "test", "phone", "--url", fake.url)
    assert (code, out) == (1, f"phone: not accepted{shown}: no [2J\n")
    assert err[0] == "condord: the channel phone did not accept the test message"
    assert "`url_file`" in err[1]


def test_an_unknown_channel_exits_with_1_and_names_the_known_ones(condord, fake):
    code, out, err = condord("alerts", "test", "fax", "--url", fake.url)
    assert (code, out) == (1, "")
    assert err == ["condord: no channel fax is configured", "hint: These are: phone."]
    fake.answers["/api/alerts"] = json(documents.alerts(channels=[]))
    assert "[[notify]]" in condord("alerts", "test", "fax", "--url", fake.url).err[1]


def test_a_test_too_soon_after_another_exits_with_1_and_names_the_wait(condord, fake):
    fake.posts[TEST] = problem(429, "one test in 10 s", **{"Retry-After": "7"})
    code, out, err = condord("alerts", "test", "phone", "--url", fake.url)
    assert (code, out) == (1, "")
    assert "one test in 10 s" in err[0]
    assert err[1] == "hint: Try again in 7 s."


@pytest.mark.parametrize("arguments", [(), ("acknowledge", ID), ("test", "phone")])
def test_without_a_daemon_the_command_exits_with_69(condord, tmp_path, arguments):
    code, out, err = condord("alerts", *arguments, "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nonsense"], "nonsense"),
        (["acknowledge"], "ID"),
        (["test"], "CHANNEL"),
        (["--all", "test", "phone"], "'--all': it cannot be combined with test"),
        (["--json", "acknowledge", ID], "'--json': it cannot be combined with acknowledge"),
    ],
)
def test_a_usage_error_exits_with_2_before_the_daemon_is_asked(condord, fake, arguments, text):
    code, out, err = condord("alerts", *arguments)
    assert (code, out, len(err)) == (2, "", 2)
    assert text in err[0]
    assert fake.requests == []


def test_a_stream_prints_alerts_as_lines_and_as_json(condord, fake):
    snapshot = documents.frame("snapshot", documents.document(), "k-1")
    frame = documents.frame("alert", documents.alert())
    fake.streams = [[snapshot, frame]]
    assert documents.alert()["text"] in condord("stream", "--url", fake.url).out.splitlines()[1]
    fake.streams = [[snapshot, frame]]
    event = msgspec.json.decode(condord("stream", "--json", "--url", fake.url).out.splitlines()[1])
    assert event == {"event": "alert", "id": None, "data": documents.alert()}


@pytest.mark.slow
def test_the_program_prints_the_json_and_exits_with_1(fake):
    done = shell("alerts --json", CONDORD_URL=fake.url)
    assert (done.returncode, done.stdout.encode()) == (1, fake.answers["/api/alerts"][2] + b"\n")
