import datetime as dt

import msgspec
import pytest

from condord.cli import alert_lines
from condord.cli.screen import Screen
from condord.live import wire
from condord.live.wire_alerts import AlertJson, AlertsJson, ChannelJson
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)
ID = documents.alert()["id"]


def listed(*entries, **changes):
    return msgspec.convert(documents.alerts(*entries, **changes), AlertsJson)


def lines(*entries, width=None, with_all=False, **changes):
    return alert_lines.alerts_lines(listed(*entries, **changes), NOW, Screen(width=width), with_all=with_all)


def firing(*entries, **counts):
    """A document with these alerts; `counts` are the numbers of firing alerts by severity."""
    totals = documents.totals(alerts=counts)
    return msgspec.convert(documents.document(alerts=[*entries], totals=totals), wire.Document)


def converted(*entries):
    return [msgspec.convert(alert, AlertJson) for alert in entries]


def test_an_alert_is_its_sentence_its_id_and_what_is_known_about_it():
    assert lines() == [
        "◆ critical  SPY 560/570/630/640 Dec 18: the short put 570 has been breached, SPY 568.10 at 10:30 ET.",
        f"            {ID}",
        "            since 10:30 ET, 1 min 9 s ago, value -0.21 (threshold 0)",
        "",
        "1 critical",
    ]


@pytest.mark.parametrize(("severity", "mark"), [("critical", "◆"), ("warning", "■"), ("info", "●")])
def test_each_severity_has_the_same_mark_as_before_a_condor(severity, mark):
    assert lines(documents.alert(severity=severity))[0].startswith(f"{mark} {severity} ")
    assert mark not in "".join(lines(documents.alert(severity=severity, state="resolved"), with_all=True))


def test_unusual_facts_about_an_alert_are_named():
    special = documents.alert(basis="natural", atStart=True, acknowledgedAt="2026-11-20T15:31:00Z", threshold=None)
    assert lines(special)[2].strip() == (
        "since 10:30 ET, 1 min 9 s ago, value -0.21, at natural, already true at the first check, acknowledged 10:31 ET"
    )
    assert lines(documents.alert(value=None))[2].strip() == "since 10:30 ET, 1 min 9 s ago"


def test_without_an_alert_one_sentence_is_shown():
    assert lines(alerts=[]) == ["No alert is firing."]


def test_on_a_narrow_terminal_sentences_are_wrapped_and_indented():
    shown = lines(width=40)
    assert shown[:5] == [
        "◆ critical  SPY 560/570/630/640 Dec 18:",
        "            the short put 570 has been",
        "            breached, SPY 568.10 at",
        "            10:30 ET.",
        f"            {ID}",
    ]
    assert lines(documents.alert(text=""), width=40)[0].strip() == "◆ critical"


def test_the_option_all_shows_ended_alerts_newest_first_the_rules_and_the_channels():
    over = [
        documents.alert(id="a", state="resolved", severity="info", until="2026-11-20T15:30:20Z", text="First."),
        documents.alert(id="b", state="ended", until="2026-11-20T15:30:30Z", text="Second.", value=None),
    ]
    rules = [
        documents.rule(),
        documents.rule(
            name="half", when=["percentOfMaxProfit >= 50", "dayPl > 0"], clear=[], basis="natural", builtIn=False
        ),
        documents.rule(name="tested", enabled=False),
    ]
    channels = [documents.channel(lastDeliveryAt=None), documents.channel(name="hook", type="webhook", disabled=True)]
    assert lines(*over, with_all=True, rules=rules, channels=channels) == [
        "No alert is firing.",
        "",
        "Resolved or ended",
        "ended       Second.",
        "            b",
        "            critical since 10:30 ET until 10:30 ET",
        "resolved    First.",
        "            a",
        "            info since 10:30 ET until 10:30 ET, value -0.21 (threshold 0)",
        "",
        "RULE      SEVERITY  FROM       FOR",
        "breached  critical  built in  60 s  distanceSigmas < 0; clears at distanceSigmas > 0.15",
        "half      critical  config    60 s  percentOfMaxProfit >= 50 and dayPl > 0, at natural",
        "turned off: tested",
        "",
        "CHANNEL  TYPE     FROM     LAST DELIVERY  WAITING",
        "phone    apprise  warning  never                0",
        "hook     webhook  warning  1 min 8 s ago        0  disabled by an answer of 410 until the next start or until its configuration changes",
    ]


def test_the_option_all_shows_no_rules_and_channels_if_there_are_none():
    assert lines(alerts=[], rules=[], channels=[], with_all=True) == ["No alert is firing."]
    assert "until" not in "".join(lines(documents.alert(state="ended"), with_all=True))


def test_channels_that_do_not_deliver_are_always_shown():
    failing = documents.channel(lastError="404 Not Found", waiting=3)
    assert lines(channels=[failing, documents.channel(name="ok", waiting=2)])[-2:] == [
        "",
        "channel phone: 404 Not Found, 3 waiting",
    ]


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (None, ""),
        ("HTTP 410 Gone: it is disabled", ""),
        ("HTTP 500 Internal Server Error", ", HTTP 500 Internal Server Error"),
    ],
)
def test_a_disabled_channel_is_shown_with_the_reason_once(error, more):
    disabled = msgspec.convert(documents.channel(disabled=True, lastError=error), ChannelJson)
    assert alert_lines.channels_trouble([disabled]) == [
        f"channel phone: disabled by an answer of 410 until the next start or until its configuration changes{more}"
    ]


def test_alerts_are_ordered_by_severity_then_unacknowledged_then_newest():
    acknowledged = documents.alert(id="old", acknowledgedAt=documents.AS_OF, since="2026-11-20T15:30:40Z")
    older = documents.alert(id="older", since="2026-11-20T15:30:20Z")
    newer = documents.alert(id="newer", since="2026-11-20T15:30:30Z")
    info, over = documents.alert(id="info", severity="info"), documents.alert(id="over", state="ended")
    firing = alert_lines.ordered(converted(info, acknowledged, older, over, newer), None)
    assert [alert.id for alert in firing] == ["newer", "older", "old", "info"]


def test_the_summary_is_two_lines_at_most_with_the_first_alert():
    def summary(*alerts, width=None, **counts):
        return alert_lines.summary(firing(*alerts, **counts), Screen(width=width))

    counts = {"critical": 1, "warning": 2}
    assert summary(documents.alert(), **counts) == [
        "alerts: 1 critical, 2 warning · SPY 560/570/630/640 Dec 18: the short put 570 has been breached since 10:30 ET."
    ]
    assert summary(documents.alert(), width=70, **counts) == [
        "alerts: 1 critical, 2 warning · SPY 560/570/630/640 Dec 18: the short",
        "put 570 has been breached since 10:30 ET.",
    ]
    assert summary(documents.alert(), width=36, **counts) == [
        "alerts: 1 critical, 2 warning · SPY",
        "560/570/630/640 Dec 18: the short …",
    ]
    assert summary(info=1) == ["alerts: 1 info"]
    assert summary() == []


@pytest.mark.parametrize("pl", ["not known", "-511.00 (close now -518.00)", "-1,511.00 to -500.00"])
def test_the_summary_leaves_out_the_pl_of_the_sentence(pl):
    alert = documents.alert()
    earlier = alert | {"text": f"{alert['text']} P/L {pl}."}
    now, then = (alert_lines.summary(firing(each, critical=1), Screen()) for each in (alert, earlier))
    assert now == then


def test_the_summary_leaves_out_the_price_of_the_sentence():
    alert = documents.alert(text="INTC 39/40/44/45 Dec 4: the short put 40 is breached, INTC 38.38; Alpaca takes none.")
    [line] = alert_lines.summary(firing(alert, critical=1), Screen())
    assert line.endswith("the short put 40 has been breached since 10:30 ET; Alpaca takes none.")


@pytest.mark.parametrize(("severity", "code"), [("critical", 31), ("warning", 33), ("info", 1)])
def test_the_summary_has_the_colour_of_the_most_severe(severity, code):
    [line] = alert_lines.summary(firing(**{severity: 1}), Screen(colour=True))
    assert line.startswith(f"\x1b[{code}m")


def test_control_characters_are_replaced():
    nasty = documents.alert(text="a\x1b[2Jb", id="x\ny")
    assert "\x1b[2J" not in "".join(lines(nasty))
    assert "\x1b" not in "".join(alert_lines.summary(firing(nasty, critical=1), Screen()))


def test_the_pl_when_the_alert_fired_is_shown_with_the_current_one():
    text = "SPY 560/570/630/640 Dec 18: the short put 570 is breached, SPY 568.10. P/L -511.00 (close now -518.00)."
    held = documents.condor(valuation=documents.valuation(unrealizedPl=-30, percentOfRisk=-1.96, naturalPl=-42.5))
    document = msgspec.convert(documents.document(condors=[held]), wire.Document)
    shown = alert_lines.alerts_lines(listed(documents.alert(text=text)), NOW, Screen(), document=document)
    assert shown[0].endswith("the short put 570 has been breached, SPY 568.10 at 10:30 ET.")
    assert shown[3].strip() == (
        "now P/L -30.00 (2 % of max loss, close now -42.50), SPY 582.10; when it fired P/L -511.00 (close now -518.00)"
    )


def test_without_a_current_pl_only_the_one_when_the_alert_fired_is_shown():
    shown = lines(documents.alert(text="SPY: breached. P/L not known."))
    assert (shown[0], shown[3].strip()) == ("◆ critical  SPY: breached.", "when it fired P/L not known")


def test_a_broken_condor_has_its_current_pl():
    broken = documents.broken("SPY-261218-540-550-560-570", SPY261218P00550000=0)
    document = msgspec.convert(documents.document(broken=[broken]), wire.Document)
    alert = documents.alert(condorId=broken["id"], text="SPY: a leg is gone.")
    shown = alert_lines.alerts_lines(listed(alert), NOW, Screen(), document=document)
    assert shown[3].strip() == "now P/L +15.00, SPY 582.10"


@pytest.mark.parametrize(
    ("rule", "pl"), [("broken-condor", "+15.00"), ("tested", "+230.00 (49 % of max profit, close now +202.00)")]
)
def test_the_alert_about_a_partly_broken_condor_has_the_pl_of_the_remaining_contracts(rule, pl):
    held = documents.condor()
    broken = documents.broken(held["id"], **{documents.symbols()[0]: 1})
    document = msgspec.convert(documents.document(condors=[held], broken=[broken]), wire.Document)
    alert = documents.alert(rule=rule, condorId=held["id"], text="SPY: a leg is gone.")
    shown = alert_lines.alerts_lines(listed(alert), NOW, Screen(), document=document)
    assert shown[3].strip() == f"now P/L {pl}, SPY 582.10"


def test_values_that_may_be_old_are_marked():
    broken = documents.broken("SPY-261218-540-550-560-570", **{documents.symbols()[0]: 1})
    held = documents.condor(
        valuation=documents.valuation(unrealizedPl=-30, percentOfRisk=-1.96, naturalPl=-42.5, unconfirmed=True)
    )
    old = {"quotes": [documents.quote(documents.symbols()[0], unconfirmed=True)]}
    document = documents.document(condors=[held], broken=[broken], **old)
    document["underlyings"] = [documents.underlying(unconfirmed=True)]
    assert current_lines(document) == [
        "now P/L +15.00 (unconfirmed), SPY 582.10 (unconfirmed)",
        "now P/L -30.00 (2 % of max loss, close now -42.50, unconfirmed), SPY 582.10 (unconfirmed)",
    ]


def test_everything_is_old_while_a_relay_has_lost_its_source():
    document = documents.document(status=documents.status(state="reconnecting", code="sourceLost"))
    assert current_lines(document) == [
        "now P/L +230.00 (49 % of max profit, close now +202.00, unconfirmed), SPY 582.10 (unconfirmed)"
    ]


def test_the_current_pl_is_old_while_the_feed_is_not_live():
    document = documents.document(status=documents.status(state="stale", code="silent"))
    assert current_lines(document) == ["now P/L +230.00 (49 % of max profit, close now +202.00, old), SPY 582.10"]


def current_lines(document):
    """The lines with current values, for an alert of each condor of a document."""
    held = [*document.get("broken", []), *document["condors"]]
    alerts = [documents.alert(id=str(at), condorId=each["id"], text="SPY: so.") for at, each in enumerate(held)]
    found = msgspec.convert(document, wire.Document)
    shown = alert_lines.alerts_lines(listed(*alerts), NOW, Screen(), document=found)
    return sorted(line.strip() for line in shown if "now" in line)


def test_without_a_price_only_the_current_pl_is_shown():
    document = documents.document(underlyings=[documents.underlying(price=None)])
    assert current_lines(document) == ["now P/L +230.00 (49 % of max profit, close now +202.00)"]


def test_the_text_of_an_ended_alert_stays_complete():
    over = documents.alert(state="resolved", until=documents.AS_OF, text="SPY: breached. P/L -1.00.")
    assert "resolved    SPY: breached. P/L -1.00." in lines(over, with_all=True)


@pytest.mark.parametrize(
    ("percents", "share"),
    [
        ({"percentOfRisk": -33.3, "percentOfMaxProfit": -110.0}, "33 % of max loss, "),
        ({"percentOfRisk": -104.0, "percentOfMaxProfit": None}, "104 % of max loss, "),
        ({"percentOfRisk": None, "percentOfMaxProfit": 50.4}, "50 % of max profit, "),
        ({"percentOfRisk": 0.0, "percentOfMaxProfit": 0.0}, ""),
        ({"percentOfRisk": None, "percentOfMaxProfit": None}, ""),
    ],
)
def test_the_current_share_of_the_maximum_loss_or_profit_is_shown(percents, share):
    held = documents.condor(valuation=documents.valuation(**percents))
    document = documents.document(condors=[held])
    assert current_lines(document) == [f"now P/L +230.00 ({share}close now +202.00), SPY 582.10"]
