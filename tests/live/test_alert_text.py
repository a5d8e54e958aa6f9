"""The sentences of alerts."""

import datetime as dt

import msgspec
import pytest

from condord.core.cutoffs import Cutoff
from condord.core.grouping.account import group
from condord.core.model.distance import Distance
from condord.core.model.risk import Risk
from condord.core.occ import parse
from condord.core.quote import judge
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.facts import ABSENT, Between
from condord.core.valuation import value
from condord.live import alert_text, broken

from .accounts import position, tick
from .alert_parts import NAME, rule, subject
from .test_alert_list import record

RULES = {each.name: each for each in BUILT_IN}
PLAIN = rule("plain", "daysToExpiration <= 21")
STRIKES = {745: "P", 755: "P", 780: "C", 790: "C"}
MARKS = {745: 3.0, 755: 8.0, 780: 0.5, 790: 0.2}

CUTOFFS = tuple(
    Cutoff(kind=kind, at=dt.datetime(2026, 12, 4, 20, minute, tzinfo=dt.UTC), source="config")
    for kind, minute in (("orders", 30), ("liquidation", 15))
)
NO_ORDERS = "Alpaca has taken no orders for it since 15:30 ET"
FROM, BEGUN = "(as configured) and may liquidate it from 15:15", "(as configured) and may liquidate it at any time"
IN_THE_MONEY = "the short put 755 is 12.90 (1.74 %) in the money, SPY 742.10."
PROFIT_RANGE = "the profit is 99 to 100 % of its maximum (at least 99 %)."
PROFIT_LOST = "the loss is 60 % of the maximum profit (at least 50 %)."
MULTIPLE_RANGE = "the loss is 2.2 to 2.3 times the credit (at least 2 times the credit)."
MULTIPLE_OF_BOTH = "the P/L is -0.2 to 0.1 times the credit (above -1 times the credit)."
MULTIPLE_OF_PROFIT = "the profit is 1.06 times the credit (above 1 times the credit)."
RISK_RANGE = "the loss is 61 to 65 % of the maximum loss (at least 60 %)."
RISK_BEYOND = "the loss is 114 to 126 % of the maximum loss (at least 60 %)."
RISK_NOT_KNOWN = "the P/L in percent of the maximum loss is not known (at most -60 %)."


def symbol(strike, right):
    return f"SPY261204{right}{strike * 1000:08d}"


LEGS = [symbol(*each) for each in STRIKES.items()]


def condor():
    """SPY 745/755/780/790 Dec 4, sold once for 0.19: its mark is 5.30."""
    entries = zip(LEGS, (1, -1, -1, 1), (1.0, 1.1, 0.19, 0.10), strict=True)
    [found] = group(tuple(position(each, sign, price) for each, sign, price in entries)).condors
    return found


def priced(*, spread=0.0175 * 2, missing=()):
    quoted = {each: MARKS[parse(each).strike_mills // 1000] for each in LEGS if each not in missing}
    quotes = {each: judge(tick(each, mid - spread, mid + spread), None) for each, mid in quoted.items()}
    return value(condor(), quotes, ())


def risk(price=742.10, put=-12.9, call=37.9, sigmas=-0.6, call_sigmas=1.8, **fields):
    sides = {"put": _side(put, price, sigmas), "call": _side(call, price, call_sigmas)}
    return Risk(**{"price": price, "legs": {}, **sides, **fields})


def _side(dollars, price, sigmas):
    percent = None if dollars is None or price is None else 100 * dollars / price
    return Distance(dollars=dollars, percent=percent, sigmas=sigmas)


def text(alert_rule, values=(), *, is_past=False, **fields):
    shown = {"condor": condor(), "value": priced(), "risk": risk(), "cutoffs": CUTOFFS, **fields}
    shown.setdefault("spot", shown["risk"] and shown["risk"].price)
    subject_ = msgspec.structs.replace(subject(values), name="SPY 745/755/780/790 Dec 4", **shown)
    make = alert_text.resolved if is_past else alert_text.firing
    return make(alert_rule, subject_, subject_.mark)


def clause(alert_rule, values=(), **fields):
    """The sentence without the name and the profit."""
    return text(alert_rule, values, value=None, **fields).removeprefix("SPY 745/755/780/790 Dec 4: ")


def test_a_breach_names_the_strike_the_price_and_the_result_of_closing_now():
    assert text(RULES["breached"], {"distanceSigmas": -0.6}) == (
        "SPY 745/755/780/790 Dec 4: the short put 755 is breached, SPY 742.10. P/L -511.00 (close now -525.00)."
    )


def test_a_profit_that_is_not_known_is_stated_as_such():
    assert text(PLAIN, value=priced(missing=LEGS[:1])).endswith(". P/L not known.")
    halves = msgspec.structs.replace(priced(), natural_pl_e4=None)
    assert text(PLAIN, value=halves).endswith(". P/L -511.00.")


@pytest.mark.parametrize("name", ["broken-condor", "assignment"])
def test_an_alert_about_a_broken_condor_has_no_profit_of_its_complete_part(name):
    [word] = [each.quantity for each in RULES[name].when]
    assert "P/L" not in text(RULES[name], {word: True}, value=priced())
    assert "P/L" in text(rule(when=f"not {word}"), {word: False}, value=priced())


@pytest.mark.parametrize(
    ("strike", "bid", "ask", "expected"),
    [
        (745, 0.05, 40.0, "P/L -811.00 to -11.00."),
        (755, 8.2, 8.1, "P/L not known."),
        (745, 2.99, 3.01, "P/L -511.00 (close now -525.00)."),
    ],
    ids=["stub", "crossed", "two-sided"],
)
def test_a_stub_or_crossed_quote_gives_no_price_to_close(strike, bid, ask, expected):
    quotes = {
        each: judge(tick(each, mid - 0.01, mid + 0.01), None) for each, mid in zip(LEGS, MARKS.values(), strict=True)
    }
    bad = symbol(strike, "P")
    quotes[bad] = judge(tick(bad, bid, ask), int(MARKS[strike] * 10_000))
    assert text(PLAIN, quotes=quotes).endswith(expected)


def test_a_text_about_a_blind_condor_shows_no_profit():
    assert text(RULES["blind"], {"blind": True}).endswith("what a critical rule needs is not known.")
    assert text(rule(when="not blind"), {"blind": False}).endswith("P/L -511.00 (close now -525.00).")


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("stop-loss", {"lossMultipleOfCredit": -1.06}, "the profit is 1.06 times the credit."),
        (
            "order-cutoff",
            {"minutesToOrderCutoff": -18.09, "nearStrike": False},
            "no leg is in the money or near its strike any longer.",
        ),
    ],
)
def test_a_resolved_alert_has_the_same_words(name, values, expected):
    assert clause(RULES[name], values, is_past=True) == f"resolved, {expected}"


def test_a_repeat_states_the_current_values():
    shown = subject({"percentOfMaxProfit": 47.0})
    assert alert_text.repeated(RULES["profit-target"], shown, shown.mark, is_held=False) == (
        f"{NAME}: not resolved yet, the profit is 47 % of its maximum."
    )
    assert alert_text.repeated(RULES["profit-target"], shown, shown.mark, is_held=True) == (
        f"{NAME}: the profit is 47 % of its maximum (at least 50 %)."
    )


def test_without_the_cut_offs_the_text_comes_from_the_catalogue():
    words = clause(rule(when="minutesToOrderCutoff < 60"), {"minutesToOrderCutoff": 30.0}, cutoffs=())
    assert words == "the time to the cut-off for orders is 30 minutes (below 60 minutes)."


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("profit-target", {"percentOfMaxProfit": 51.2}, "the profit is 51.2 % of its maximum (at least 50 %)."),
        (
            "stop-loss",
            {"lossMultipleOfCredit": 2.14},
            "the loss is 2.14 times the credit (at least 2 times the credit).",
        ),
        ("loss-of-risk", {"percentOfRisk": -61.0}, "the loss is 61 % of the maximum loss (at least 60 %)."),
        (
            "days-left",
            {"daysToExpiration": 21.0, "daysAtOpening": 45.0},
            "the expiration is 21 days away; it was opened 45 days before the expiration.",
        ),
        ("uncovered-short", {"uncoveredShort": True}, "a short is uncovered."),
        ("expires-today", {"expiresToday": True}, "the condor expires today."),
        (
            "order-cutoff",
            {"minutesToOrderCutoff": 59.0, "nearStrike": True},
            f"Alpaca takes orders for it until 15:30 ET {FROM}, and {IN_THE_MONEY}",
        ),
        (
            "order-cutoff",
            {"minutesToOrderCutoff": 15.0, "nearStrike": True},
            f"Alpaca takes orders for it until 15:30 ET {BEGUN}, and {IN_THE_MONEY}",
        ),
        (
            "order-cutoff",
            {"minutesToOrderCutoff": -1.0, "nearStrike": True},
            f"{NO_ORDERS} {BEGUN}, and {IN_THE_MONEY}",
        ),
        (
            "ex-dividend",
            {"extrinsicLessThanDividend": 0.35},
            (
                "the short call 780 may be exercised for the dividend, which is 0.35 a share more than its time value, "
                "unless you close it today."
            ),
        ),
        (
            "long-put-expiring",
            {"longPutExpiring": True},
            (
                "the long put 745 expires in the money without shares, so that Alpaca may sell it or not exercise it, "
                "and the loss may exceed the maximum loss, unless you close it or hold the shares."
            ),
        ),
        ("feed-down", {"feedDown": True}, "prices are not live."),
        ("blind", {"blind": True}, "it cannot be watched, as its P/L or what a critical rule needs is not known."),
    ],
)
def test_every_built_in_rule_has_words_of_its_own(name, values, expected):
    assert clause(RULES[name], values) == expected


AFTER_CUTOFF = {"minutesToOrderCutoff": -3.0, "percentOfMaxProfit": 51.0, "percentOfRisk": -61.0,
                "lossMultipleOfCredit": 2.5, "distanceSigmas": -0.2, "expiresToday": True}  # fmt: skip


@pytest.mark.parametrize("name", ["profit-target", "stop-loss", "loss-of-risk", "tested", "breached", "expires-today"])
def test_after_the_cut_off_the_text_states_that_orders_are_no_longer_taken(name):
    assert clause(RULES[name], AFTER_CUTOFF).endswith(f"; {NO_ORDERS}.")
    for minutes in (3 * 24 * 60.0, None, ABSENT):
        assert "orders" not in clause(RULES[name], {**AFTER_CUTOFF, "minutesToOrderCutoff": minutes})
    assert "orders" not in clause(RULES[name], AFTER_CUTOFF, cutoffs=())


@pytest.mark.parametrize("name", ["profit-target", "stop-loss", "loss-of-risk", "tested", "breached", "expires-today"])
def test_on_the_last_day_the_text_states_until_when_orders_are_taken(name):
    words = clause(RULES[name], {**AFTER_CUTOFF, "minutesToOrderCutoff": 3.0})
    assert words.endswith("; Alpaca takes orders for it until 15:30 ET.")


@pytest.mark.parametrize(
    "note",
    [
        "expires today; Alpaca takes orders until 15:30 and may liquidate from 15:15, and trading ends at 16:15 ET",
        "expires today; Alpaca has taken no orders since 15:30 and may liquidate at any time",
        "expires today; trading ends at 15:30 ET",
    ],
)
def test_a_text_that_has_the_end_of_trading_or_of_orders_has_it_once(note):
    words = clause(RULES["expires-today"], {**AFTER_CUTOFF, "minutesToOrderCutoff": 3.0}, notes={"expiresToday": note})
    assert words == f"{note}."


@pytest.mark.parametrize(
    ("when", "values"),
    [
        ("minutesToLiquidation <= 15", {"minutesToLiquidation": -18.0}),
        ("nearStrike", {"nearStrike": True}),
        ("longPutExpiring", {"longPutExpiring": True}),
    ],
)
def test_after_the_cut_off_texts_about_the_last_hour_state_that_orders_are_no_longer_taken(when, values):
    assert clause(rule(when=when), {**values, "minutesToOrderCutoff": -3.0}).endswith(f"; {NO_ORDERS}.")
    assert "orders" not in clause(rule(when=when), {**values, "minutesToOrderCutoff": 3 * 24 * 60.0})


def test_the_text_of_a_resolved_alert_names_no_cut_off():
    assert "orders" not in text(RULES["breached"], {**AFTER_CUTOFF, "distanceSigmas": 0.3}, is_past=True)


def test_a_cut_off_at_the_end_of_trading_is_explained():
    ends = (msgspec.structs.replace(CUTOFFS[0], source="product"),)
    words = clause(rule(when="minutesToOrderCutoff <= 60"), {"minutesToOrderCutoff": 30.0}, cutoffs=ends)
    assert words == "Alpaca takes orders for it until 15:30 ET (the end of its trading)."


def test_the_liquidation_is_named_once():
    both = rule(when=("minutesToOrderCutoff <= 60", "minutesToLiquidation <= 30"))
    words = clause(both, {"minutesToOrderCutoff": 30.0, "minutesToLiquidation": 15.0})
    assert words.count("liquidate") == 1


@pytest.mark.parametrize(
    ("symbol_", "underlying", "year", "expected"),
    [
        ("SPY261204P00755000", "SPY", 2026, "put 755, Dec 4"),
        ("SPY261204P00755500", "SPY", 2026, "put 755.5, Dec 4"),
        ("SPY261204C00755000", "SPY", 2025, "call 755, Dec 4, 2026"),
        ("SPY1261204C00755000", "SPY", 2026, "SPY1 call 755, Dec 4"),
        ("SPXW261204C00755000", "SPX", 2026, "SPXW call 755, Dec 4"),
    ],
)
def test_a_contract_is_named_in_words(symbol_, underlying, year, expected):
    assert alert_text.contract(symbol_, underlying, year) == expected


def test_a_notice_has_words_instead_of_symbols():
    put, other = "SPY261204P00755000", "SPY261204P00750000"
    for alert_rule, symbols, expected in (
        (f"1 short {put} was assigned: 100 shares", (put,), "1 short put 755, Dec 4, was assigned: 100 shares"),
        (f"2 short {put} were assigned", (put,), "2 short puts 755, Dec 4, were assigned"),
        (f"one of 2 short {put} was assigned", (put,), "one of 2 short puts 755, Dec 4, was assigned"),
        (f"1 of {put}, {other} was", (put, other), "1 of put 755, Dec 4, put 750, Dec 4, was"),
    ):
        assert alert_text.in_words(alert_rule, symbols, "SPY", 2026) == expected


@pytest.mark.parametrize(
    ("when", "values", "expected"),
    [
        ("theta >= 10", {"theta": 11.8}, "the theta is +11.80 (at least +10.00)."),
        (
            "percentOfRisk > 10",
            {"percentOfRisk": 12.0},
            "the profit is 12 % of the maximum loss (above 10 %).",
        ),
        ("percentOfRisk < -10", {"percentOfRisk": -12.0}, "the loss is 12 % of the maximum loss (above 10 %)."),
        ("not nearStrike", {"nearStrike": False}, "no leg is in the money or near its strike any longer."),
        ("daysToExpiration <= 1", {"daysToExpiration": 1.0}, "the expiration is 1 day away."),
        ("daysToExpiration <= 1", {"daysToExpiration": 0.0}, "it expires today."),
        (
            "minutesToLiquidation < 60",
            {"minutesToLiquidation": 30.0},
            "Alpaca may liquidate it from 15:15 ET.",
        ),
        ("minutesToLiquidation < 60", {"minutesToLiquidation": 0.0}, "Alpaca may liquidate it at any time."),
        (
            "minutesToLiquidation < 6000",
            {"minutesToLiquidation": 1500.0},
            "Alpaca may liquidate it from 15:15 ET on Dec 4.",
        ),
        ("percentOfMaxProfit >= 99", {"percentOfMaxProfit": Between(99.18, 100.0)}, PROFIT_RANGE),
        ("percentOfMaxProfit <= -50", {"percentOfMaxProfit": -60.0}, PROFIT_LOST),
        ("lossMultipleOfCredit >= 2", {"lossMultipleOfCredit": Between(2.19, 2.26)}, MULTIPLE_RANGE),
        ("lossMultipleOfCredit < 1", {"lossMultipleOfCredit": Between(-0.1, 0.2)}, MULTIPLE_OF_BOTH),
        ("lossMultipleOfCredit < -1", {"lossMultipleOfCredit": -1.06}, MULTIPLE_OF_PROFIT),
        ("percentOfRisk <= -60", {"percentOfRisk": Between(-65.0, -61.0)}, RISK_RANGE),
        ("percentOfRisk <= -60", {"percentOfRisk": Between(-126.14, -114.38)}, RISK_BEYOND),
        ("percentOfRisk <= -60", {}, RISK_NOT_KNOWN),
        ("nearStrike", {"nearStrike": True}, "the short put 755 is 12.90 (1.74 %) in the money, SPY 742.10."),
    ],
)
def test_other_rules_are_worded_from_the_catalogue(when, values, expected):
    assert clause(rule(when=when), values) == expected


def test_without_a_condor_the_text_comes_from_the_catalogue():
    assert clause(RULES["long-put-expiring"], condor=None) == "a long put in the money expires without shares."
    words = clause(RULES["ex-dividend"], {"extrinsicLessThanDividend": 0.3}, condor=None)
    assert words == "the dividend less the extrinsic value of the short call is 0.30 (above 0.00)."
    assert clause(rule(when="nearStrike"), risk=None) == "a leg is in the money or near its strike."


def test_a_note_takes_the_place_of_a_word():
    words = clause(RULES["broken-condor"], notes={"brokenCondor": "lost its 2 long calls 790"})
    assert words == "lost its 2 long calls 790."


def test_the_text_of_a_resolved_alert_states_the_current_values():
    back = risk(price=760.3, put=5.3, sigmas=0.45)
    assert text(RULES["breached"], {"distanceSigmas": 0.45}, is_past=True, risk=back).startswith(
        "SPY 745/755/780/790 Dec 4: resolved, the short put 755 is 0.45 sigmas away, SPY 760.30. P/L"
    )
    words = clause(RULES["profit-target"], {"percentOfMaxProfit": 44.0}, is_past=True)
    assert words == "resolved, the profit is 44 % of its maximum."
    assert clause(RULES["blind"], {"blind": False}, is_past=True) == "resolved, it can be watched again."
    mixed = rule(when=("nearStrike", "not blind"))
    words = clause(mixed, {"nearStrike": True, "blind": True}, is_past=True)
    assert words == "resolved, the condor cannot be watched."
    words = clause(mixed, {"nearStrike": False, "blind": True}, is_past=True)
    assert words == "resolved, no leg is in the money or near its strike any longer and the condor cannot be watched."


def test_every_word_has_a_text_in_the_past_tense():
    for name, quantity in QUANTITIES.items():
        if quantity.is_word:
            assert clause(rule(when=name), {name: False}, is_past=True, risk=None).startswith("resolved, ")


SUMMARY = broken.CondorSummary(
    id="SPY-261218-560-570-630-640",
    kind="ironCondor",
    direction="short",
    underlying="SPY",
    root="SPY",
    expiration=dt.date(2026, 12, 18),
    opened_at=None,
    quantity=2,
    legs=tuple(
        broken.LegSummary(
            symbol=f"SPY261218{right[0].upper()}{strike * 1000:08d}", right=right, strike_mills=strike * 1000, sign=sign
        )
        for right, strike, sign in (("put", 560, 1), ("put", 570, -1), ("call", 630, -1), ("call", 640, 1))
    ),
)
SYMBOLS = tuple(leg.symbol for leg in SUMMARY.legs)


@pytest.mark.parametrize(
    ("held", "in_condors", "clause"),
    [
        ((0, 0, 0, 0), (), ""),
        ((0, 0, 2, -2), (), ""),  # of the other side
        ((2, -2, 0, 2), (), "its short call 630 was closed, and 6 contracts are held"),
        ((3, -2, 0, 0), (), "its short call 630 and long call 640 were closed, and 4 contracts are held"),
        ((1, 0, 0, 0), (), "its short put 570, short call 630 and long call 640 were closed, and 1 contract is held"),
        ((0, -2, -2, 2), SYMBOLS[:1], "6 contracts are held"),
    ],
)
def test_the_text_names_the_legs_left_of_a_broken_condor(held, in_condors, clause):
    assert alert_text.left_of(SUMMARY, dict(zip(SYMBOLS, held, strict=True)), in_condors) == clause


def test_the_text_names_the_legs_left_of_a_condor_known_only_by_its_id():
    held = {
        **dict.fromkeys(SYMBOLS, 1),
        SYMBOLS[0]: -2,
        SYMBOLS[1]: 0,
        "SPY261219C00630000": 1,
        "QQQ261218C00630000": 1,
    }
    clause = "4 contracts are held of its expiration, and in no condor"
    assert alert_text.left_of_expiration(SUMMARY.id, held) == clause
    assert alert_text.left_of_expiration(SUMMARY.id, {SYMBOLS[0]: 1}).startswith("1 contract is held of")
    assert alert_text.left_of_expiration("SPY", held) == ""


def test_an_end_names_the_subject_by_the_last_sentence():
    fired = record(condor_id="SPY-1", text=f"{NAME}: it was so. P/L 1.00.")
    assert alert_text.gone(fired) == f"{NAME}: the position is gone, and this alert has ended with it."
    assert alert_text.gone(fired, "settled") == (
        f"{NAME}: the position has expired and awaits settlement, and this alert has ended."
    )
    assert alert_text.gone(fired, "broken") == f"{NAME}: the position has lost legs, and this alert has ended."
    assert alert_text.gone(fired, left="3 contracts are held") == (
        f"{NAME}: it is no condor any more, and this alert has ended: 3 contracts are held."
    )
    assert alert_text.gone(record()) == "SPY: the last option on it is gone, and this alert has ended with it."
    assert alert_text.rule_changed(record(underlying=None)) == (
        "The account: the rule half was changed, turned off or removed, and its alert has ended."
    )


def test_large_amounts_have_separators():
    rich = msgspec.structs.replace(priced(), unrealized_e4=-123_456_700, natural_pl_e4=0)
    assert text(PLAIN, value=rich).endswith("P/L -12,345.67 (close now 0.00).")
    assert dt.date(2026, 12, 4) == condor().expiration


def test_a_resolved_alert_without_a_text_of_its_own_has_the_catalogues():
    assert text(rule(when="theta >= 10"), {"theta": 5.0}, is_past=True, value=None).endswith("the theta is +5.00.")


@pytest.mark.parametrize("pl", ["", " P/L not known.", " P/L -511.00 (close now -518.00).", " P/L -1,511.00 to 2.00."])
def test_an_alert_whose_values_are_no_longer_known_has_the_earlier_reason_without_its_pl(pl):
    earlier = "SPY 745/755/780/790 Dec 4: the loss is 2.2 times the credit (at least 2 times the credit)."
    words = alert_text.undecided(record(text=f"{earlier}{pl}"))
    assert words == earlier.replace("4: ", "4: cannot be evaluated at present; last known: ")
