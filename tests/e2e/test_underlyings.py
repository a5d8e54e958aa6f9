"""Prices of underlyings and risk figures: what the document contains, and what each failing source takes away.

No failure here affects options or positions: the state stays `live`, and quotes are published.
"""

import datetime as dt
import signal
from contextlib import ExitStack, closing
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.environs import RISK, trading
from tests.e2e.running import Condord, Follower, Simulated, closing_program, compare_samples, fetch, until

pytestmark = pytest.mark.slow

NEW_YORK = ZoneInfo("America/New_York")
PRICE_SHARE = 0.0002
"""A published price is this near to that of the simulator: it is sent when it has moved by half of that."""
TESTED = {
    "AMD": ("put", True),
    "IWM": ("none", False),
    "NVDA": ("call", True),
    "QQQ": ("call", False),
    "SPY": ("put", False),
}
"""What the scenario `tested` is about: the tested side of each condor, and whether it is breached."""
STOCKS, FIGURES = "/v2/stocks/snapshots", "/v1beta1/options/snapshots"
INDEXES, DIVIDENDS = "/v1beta1/indices/latest/values", "/v1/corporate-actions"


@pytest.fixture(scope="module")
def tested():
    with trading("tested") as programs:
        yield programs


@pytest.fixture
def still(tested):
    """The scenario `tested`, whose prices only move if the test sets them."""
    simulated, condord = tested
    spots = simulated.state()["spots"]
    simulated.post("market", spots=spots, hold=True)
    yield simulated, condord
    simulated.clear()
    simulated.post("market", release=True, spots=spots)
    await_stocks(condord, "live", None)


def underlyings(condord) -> dict[str, dict]:
    return {underlying["symbol"]: underlying for underlying in condord.document()["underlyings"]}


def condors(condord) -> dict[str, dict]:
    """The condors by underlying, for scenarios with one condor on each."""
    return {condor["underlying"]: condor for condor in condord.document()["condors"]}


def await_stocks(condord, state: str, code: str | None) -> dict:
    """The first status in which the stock stream has this state and code."""

    def check():
        status = condord.status()
        return status if (status["stocks"]["state"], status["stocks"]["code"]) == (state, code) else None

    return until(check, lambda: f"stocks {state} {code}: {condord.status()['stocks']}")


def await_notice(condord, code: str) -> str:
    return until(lambda: condord.notices().get(code), f"notice {code}")


def await_no_notice(condord, *codes: str) -> None:
    refresh(condord)
    until(lambda: not condord.notices().keys() & set(codes), f"no notice {codes}")


def refresh(condord) -> None:
    assert fetch(condord.url + "/api/refresh", method="POST")[0] == 202


def await_near(condord, symbol: str, price: float) -> dict:
    """The first underlying whose price is about `price`."""

    def check():
        found = underlyings(condord)[symbol]
        is_near = found["price"] is not None and abs(found["price"] - price) <= PRICE_SHARE * price + 0.02
        return found if is_near else None

    return until(check, lambda: f"{symbol} is at {price}: {underlyings(condord)[symbol]}")


def close_before(snapshot: dict, time: str) -> float:
    """The close of the session before the one of a price of `time`: until the open, the daily bar is of that session."""
    day = new_york_day(time)
    bars = snapshot["dailyBar"], snapshot["prevDailyBar"]
    return max((bar["t"], bar["c"]) for bar in bars if new_york_day(bar["t"]) < day)[1]


def new_york_day(instant: str) -> dt.date:
    return dt.datetime.fromisoformat(instant).astimezone(NEW_YORK).date()


def await_events(condord) -> None:
    """Wait until the options' quotes have caused two more events, while the option stream is live."""
    first = number(condord)
    until(lambda: number(condord) >= first + 2, "quotes are published")
    status = condord.status()
    assert (status["state"], status["code"], status["positions"]["error"]) == ("live", None, None)


def number(condord) -> int:
    return int(condord.document()["version"].rpartition("-")[2])


def test_each_underlying_has_the_price_of_its_stock_and_its_change(still):
    simulated, condord = still
    bars = simulated.ask(f"{STOCKS}?symbols={','.join(TESTED)}&feed=iex")
    for symbol in TESTED:
        found = await_near(condord, symbol, simulated.state()["spots"][symbol])
        assert (found["source"], found["unconfirmed"], found["reason"], found["shares"]) == ("iexMid", False, None, 0)
        assert found["previousClose"] == close_before(bars[symbol], found["time"])
        assert found["change"] == pytest.approx(found["price"] - found["previousClose"], abs=1e-9)
        assert found["percentChange"] == pytest.approx(100 * found["change"] / found["previousClose"], abs=0.006)
    stocks = condord.status()["stocks"]
    assert (stocks["state"], sorted(stocks["stream"]), stocks["polled"]) == ("live", sorted(TESTED), [])


def test_each_condor_has_its_risk_and_the_tested_ones_are_named(still):
    _, condord = still
    for symbol, condor in condors(condord).items():
        risk = condor["risk"]
        assert (risk["tested"], risk["breached"]) == TESTED[symbol]
        _, put, call, _ = (leg["strike"] for leg in condor["legs"])
        assert risk["distance"]["put"]["dollars"] == pytest.approx(risk["price"] - put, abs=1e-6)
        assert risk["distance"]["call"]["dollars"] == pytest.approx(call - risk["price"], abs=1e-6)
        assert risk["missing"] == []
        for leg, held in zip(risk["legs"], condor["legs"], strict=True):
            beyond = held["strike"] - risk["price"] if held["right"] == "call" else risk["price"] - held["strike"]
            assert leg["source"] == "model" or (beyond < 0.02 * risk["price"] and leg["source"] == "alpaca")
            assert 0 < leg["iv"] < 1
            assert (leg["delta"] > 0) == (held["right"] == "call")
        assert risk["expectedMove"] > 0
        if risk["breached"]:  # near a wing gamma and vega can have either sign
            assert (risk["delta"] > 0) == (risk["tested"] == "put")
        else:
            assert max(risk["gamma"], risk["vega"]) < 0


def test_greeks_add_up_over_underlyings_and_the_account(tested):
    document = tested[1].document()
    for condor in document["condors"]:
        for greek in ("delta", "gamma", "theta", "vega"):
            signed = sum(
                leg[greek] * (1 if held["side"] == "long" else -1)
                for leg, held in zip(condor["risk"]["legs"], condor["legs"], strict=True)
            )
            size = condor["quantity"] * condor["multiplier"]
            assert condor["risk"][greek] == pytest.approx(size * signed, abs=0.006 + size * 4 * 5e-5)
    thetas = [underlying["theta"] for underlying in document["underlyings"]]
    assert document["totals"]["theta"] == pytest.approx(sum(thetas), abs=0.005 * (len(thetas) + 1))
    assert document["totals"]["riskIncomplete"] == 0


def test_a_move_of_the_price_is_published_with_all_that_follows_from_it(still):
    simulated, condord = still
    strike = condors(condord)["IWM"]["legs"][1]["strike"]
    with closing(Follower(condord.url)) as follower:
        simulated.post("market", spots={"IWM": strike - 1}, hold=True)
        await_near(condord, "IWM", strike - 1)
        until(lambda: condors(condord)["IWM"]["risk"]["breached"], "the condor is breached")
        risk = condors(condord)["IWM"]["risk"]
        assert risk["tested"] == "put"
        assert risk["distance"]["put"]["dollars"] == pytest.approx(-1, abs=0.1)
        assert risk["distance"]["put"]["sigmas"] < 0
        assert risk["probabilities"]["touchPut"] == 100
        assert compare_samples(condord, follower, 2) >= 2


def test_a_subscriber_has_the_document_with_risks_and_underlyings_also_with_a_filter(tested):
    simulated, condord = tested
    identity = condors(condord)["QQQ"]["id"]

    def filtered(document: dict) -> dict:
        [kept] = [condor for condor in document["condors"] if condor["id"] == identity]
        symbols = {leg["symbol"] for leg in kept["legs"]}
        return document | {
            "condors": [kept],
            "underlyings": [each for each in document["underlyings"] if each["symbol"] == "QQQ"],
            "quotes": [quote for quote in document["quotes"] if quote["symbol"] in symbols],
        }

    simulated.post("market", rate=5)
    with ExitStack() as stack:
        whole = stack.enter_context(closing(Follower(condord.url)))
        part = stack.enter_context(closing(Follower(condord.url, f"/api/stream?condor={identity}")))
        until(lambda: any('"risks":' in event.data for event in whole.events.copy()), "a delta brings risks")
        until(lambda: any('"underlyings":' in event.data for event in part.events.copy()), "and underlyings")
        assert compare_samples(condord, whole, 5) >= 5
        assert compare_samples(condord, part, 5, filtered) >= 5
    simulated.post("market", rate=1)


@pytest.mark.parametrize("fault", ["mute", "reset"])
def test_a_cut_of_the_stock_stream_is_over_with_the_next_connection(tested, fault):
    simulated, condord = tested
    before = simulated.state()["streams"]
    simulated.fault(fault, stream="stock")
    until(lambda: simulated.state()["streams"]["stock"]["accepted"] > before["stock"]["accepted"], "it reconnects")
    condord.await_line("Stock stream changed state state=reconnecting")
    await_stocks(condord, "live", None)
    await_no_notice(condord, "stocksUnavailable")
    await_events(condord)
    assert simulated.state()["streams"]["option"]["accepted"] == before["option"]["accepted"]
    assert not any(each["unconfirmed"] or each["price"] is None for each in underlyings(condord).values())


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [("connection-406", "reconnecting", "connectionLimit"), ("auth-402", "halted", "authFailed")],
)
def test_while_the_stock_stream_is_refused_prices_come_from_rest(still, fault, state, code):
    simulated, condord = still
    simulated.fault(fault, stream="stock")
    simulated.fault("reset", stream="stock")
    stocks = await_stocks(condord, state, code)["stocks"]
    assert (stocks["stream"], sorted(stocks["polled"])) == ([], sorted(TESTED))
    assert stocks["reason"] in await_notice(condord, "stocksUnavailable")
    await_events(condord)
    assert not any(each["unconfirmed"] or each["price"] is None for each in underlyings(condord).values())
    simulated.clear()
    condord.process.send_signal(signal.SIGHUP)
    await_stocks(condord, "live", None)
    await_no_notice(condord, "stocksUnavailable")


def test_stocks_beyond_the_limit_of_the_plan_are_polled(still):
    simulated, condord = still
    simulated.fault("limit-405", stream="stock", limit=3)
    simulated.fault("reset", stream="stock")
    stocks = await_stocks(condord, "live", "symbolLimit")["stocks"]
    assert sorted(stocks["stream"] + stocks["polled"]) == sorted(TESTED)
    assert stocks["polled"]
    await_events(condord)
    assert not any(each["unconfirmed"] or each["price"] is None for each in underlyings(condord).values())
    simulated.clear()
    simulated.fault("reset", stream="stock")
    assert await_stocks(condord, "live", None)["stocks"]["polled"] == []


def test_without_stock_snapshots_only_the_closes_before_are_missing():
    faults = [{"name": "rest-500"}, {"name": "rest-stall"}]
    with ExitStack() as stack:
        pairs = [
            stack.enter_context(trading("tested", fault | {"path": STOCKS}, CONDORD_REST_TIMEOUT_SECONDS="1.5"))
            for fault in faults
        ]
        for _, condord in pairs:
            assert "as REST fails" in await_notice(condord, "stocksUnavailable")
            until(lambda: all(each["price"] for each in underlyings(condord).values()), "the stream has all prices")  # noqa: B023
            for found in underlyings(condord).values():
                assert (found["source"], found["unconfirmed"], found["reason"]) == ("iexMid", False, None)
                assert (found["previousClose"], found["change"], found["percentChange"]) == (None, None, None)
            assert condord.status()["stocks"]["state"] == "live"
            await_events(condord)
        for simulated, condord in pairs:
            simulated.clear()
            refresh(condord)
        for _, condord in pairs:
            await_no_notice(condord, "stocksUnavailable")
            until(lambda: all(each["previousClose"] for each in underlyings(condord).values()), "closes are read")  # noqa: B023


def test_without_any_price_all_that_needs_one_is_null_and_alpacas_greeks_stand_in():
    faults = {"name": "auth-402", "stream": "stock"}, {"name": "rest-html", "path": STOCKS}
    with trading("tested", *faults) as (simulated, condord):
        until(lambda: condors(condord)["SPY"]["risk"]["delta"] is not None, "Alpaca's greeks are read")
        await_notice(condord, "stocksUnavailable")
        for found in underlyings(condord).values():
            assert (found["price"], found["source"], found["time"], found["change"]) == (None, None, None, None)
            assert (found["reason"], found["unconfirmed"]) == ("unreachable", False)
        for condor in condors(condord).values():
            risk = condor["risk"]
            assert (risk["price"], risk["tested"], risk["breached"], risk["expectedMove"]) == (None, None, None, None)
            assert risk["missing"] == ["price"]
            sides = (*risk["distance"]["put"].values(), *risk["distance"]["call"].values())
            assert {leg["source"] for leg in risk["legs"]} == {"alpaca"}
            assert not any(value is not None for value in sides)
            assert [name for name, value in risk["probabilities"].items() if value is not None] == ["profitByCredit"]
        assert await_stocks(condord, "halted", "authFailed")["stocks"]["stream"] == []
        await_events(condord)
        simulated.clear()
        condord.process.send_signal(signal.SIGHUP)
        until(lambda: all(each["price"] for each in underlyings(condord).values()), "prices are known")
        until(lambda: all(c["risk"]["tested"] for c in condors(condord).values()), "and what follows from them")


def test_a_leg_without_a_usable_quote_is_named_unless_alpacas_figures_stand_in():
    with trading("tested", {"name": "rest-500", "path": FIGURES}) as (simulated, condord):
        until(lambda: condors(condord)["IWM"]["risk"]["missing"] == [], "the model does not need Alpaca's figures")
        assert "greeks cannot be read" in await_notice(condord, "snapshotsUnavailable")
        leg = condors(condord)["IWM"]["legs"][3]["symbol"]
        bid, ask = simulated.quoted([leg])[leg]
        simulated.post("quotes", quotes=[{"symbol": leg, "bp": ask + 0.05, "ap": bid}], pin=True)
        until(lambda: condors(condord)["IWM"]["risk"]["missing"] == [leg], "the leg is named")
        document = condord.document()
        risk = next(each["risk"] for each in document["condors"] if each["underlying"] == "IWM")
        assert [risk[greek] for greek in ("delta", "gamma", "theta", "vega")] == [None] * 4
        assert {risk["legs"][3][key] for key in risk["legs"][3] if key != "symbol"} == {None}
        assert risk["distance"]["call"]["sigmas"] is not None
        known = [each["risk"]["theta"] for each in document["condors"] if each["risk"]["theta"] is not None]
        assert document["totals"]["riskIncomplete"] == len(document["condors"]) - len(known) > 0
        assert document["totals"]["theta"] == pytest.approx(sum(known), abs=0.005 * (len(known) + 1))
        await_events(condord)
        simulated.clear()
        await_no_notice(condord, "snapshotsUnavailable")
        until(lambda: condors(condord)["IWM"]["risk"]["missing"] == [], "Alpaca's figures stand in")
        assert condors(condord)["IWM"]["risk"]["legs"][3]["source"] == "alpaca"


def test_while_index_values_cannot_be_read_put_call_parity_gives_the_price():
    with trading("index", {"name": "rest-500", "path": INDEXES}) as (simulated, condord):
        await_source(condord, "parity")
        assert "values of indexes" in await_notice(condord, "stocksUnavailable")
        spots = simulated.state()["spots"]
        for symbol, found in underlyings(condord).items():
            assert found["price"] == pytest.approx(spots[symbol], rel=0.002)
            assert (found["unconfirmed"], found["reason"]) == (False, None)
        assert all(condor["risk"]["tested"] == "none" for condor in condord.document()["condors"])
        await_events(condord)
        simulated.clear()
        await_no_notice(condord, "stocksUnavailable")
        await_source(condord, "index")
        stocks = condord.status()["stocks"]
        assert (stocks["state"], stocks["stream"], stocks["polled"]) == ("closed", [], [])


def test_without_the_entitlement_to_index_values_parity_gives_the_price_and_nothing_is_wrong():
    with closing_program(Simulated("--scenario", "index")) as simulated:
        simulated.post("entitlements", index_values=False)
        with closing_program(Condord(simulated, **RISK)) as condord:
            await_source(condord, "parity")
            assert [each["reason"] for each in underlyings(condord).values()] == [None, None]
            assert condord.notices() == {}


def await_source(condord, source: str) -> None:
    """Wait until the prices of all underlyings come from `source`."""
    refresh(condord)
    until(
        lambda: {each["source"] for each in underlyings(condord).values()} == {source},
        lambda: f"{source}: {underlyings(condord)}",
    )


def test_dividends_are_shown_once_they_can_be_read():
    with trading("ex-dividend", {"name": "rest-500", "path": DIVIDENDS}) as (simulated, condord):
        await_notice(condord, "dividendsUnavailable")
        assert [each["exDividend"] for each in underlyings(condord).values()] == [None, None]
        await_events(condord)
        simulated.clear()
        until(lambda: "dividendsUnavailable" not in condord.notices(), "dividends are read")
        until(lambda: underlyings(condord)["SPY"]["exDividend"], "the dividend is published")
        path = f"{DIVIDENDS}?symbols=SPY&types=cash_dividend"
        rows = simulated.ask(path)["corporate_actions"]["cash_dividends"]
        today = condord.document()["asOf"][:10]
        announced = min((row for row in rows if row["ex_date"] >= today), key=lambda row: row["ex_date"])
        assert underlyings(condord)["SPY"]["exDividend"] == {
            "date": announced["ex_date"],
            "amount": announced["rate"],
            "source": "alpaca",
        }
