"""The value and the end of contracts: the document at times set on the simulator's clock."""

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, Simulated, closing_program, until

pytestmark = pytest.mark.slow

THURSDAY, FRIDAY, SATURDAY = "2031-12-18", "2031-12-19", "2031-12-20"  # around a third Friday
STRIKES = (5600, 5650, 6300, 6350)
ENVIRON = {**QUICK, "CONDORD_REST_REFRESH_SECONDS": "1", "CONDORD_REST_SETTLE_SECONDS": "0.2"}


@pytest.fixture
def market():
    """A market with trading hours, and an empty account."""
    with closing_program(Simulated("--scenario", "empty")) as simulated:
        simulated.post("market", opening="hours")
        yield simulated


def option(root, right, strike, day="311219"):
    return f"{root}{day}{right}{strike * 1000:08d}"


def condor(root, quantity=1, strikes=STRIKES, entries=(1, 2, 2, 1), day="311219"):
    """The positions of a short condor, or of a long one if `quantity` is negative."""
    legs = zip("PPCC", strikes, (1, -1, -1, 1), entries, strict=True)
    return [held(option(root, right, strike, day), sign * quantity, entry) for right, strike, sign, entry in legs]


def held(symbol, quantity, entry=1):
    return {"symbol": symbol, "qty": quantity, "avg_entry_price": entry}


def set_clock(simulated, day, time):
    """Set the simulator's clock, in New York's winter time."""
    simulated.post("market", at=f"{day}T{time}:00-05:00")


def start(simulated):
    return closing_program(Condord(simulated, **ENVIRON))


def await_notices(condord, *codes):
    """The first document with exactly these notices."""

    def check():
        document = condord.document()
        found = document["status"]["notices"]
        return document if [notice["code"] for notice in found] == list(codes) else None

    return until(check, lambda: f"notices {codes}: {condord.document()['status']['notices']}")


def await_document(condord, condition, what):
    return until(lambda: document if condition(document := condord.document()) else None, what)


def await_readings(simulated, count=3):
    """Wait until the daemon has read the clock `count` more times."""

    def times():
        return simulated.state()["requests"].get("/v2/clock", 0)

    before = times()
    until(lambda: times() >= before + count, "the clock is read again")


def only_loss(document):
    (part,) = document["totals"]["byUnderlying"]
    return part["underlying"], part["maxLoss"]


def test_an_am_settled_condor_last_trades_the_day_before_and_settles_at_the_open(market):
    set_clock(market, THURSDAY, "15:00")
    market.post("positions", positions=condor("SPX"))
    with start(market) as condord:
        document = await_notices(condord, "lastTradingDay")
        (notice,) = document["status"]["notices"]
        assert notice["condorId"] == document["condors"][0]["id"] == "SPX-311219-5600-5650-6300-6350"
        assert "last trading day" in notice["text"]
        assert "(1 condor)" in notice["text"]
        document = await_document(condord, lambda now: now["status"]["state"] == "live", "the market is open")
        assert document["status"]["market"]["nextClose"] == f"{THURSDAY}T21:15:00Z"
        assert (document["condors"][0]["daysToExpiration"], only_loss(document)) == (1, ("SPX", 4800))

        set_clock(market, THURSDAY, "16:20")
        document = await_document(condord, lambda now: now["status"]["state"] == "closed", "the market is closed")
        until(lambda: "no longer be traded" in condord.document()["status"]["notices"][0]["text"], "trading has ended")
        assert only_loss(document) == ("SPX", 4800)

        set_clock(market, FRIDAY, "10:00")
        document = await_notices(condord, "expired")
        until(lambda: "awaits settlement" in condord.document()["status"]["notices"][0]["text"], "it has settled")
        await_readings(market)  # longer than the stream may be silent
        status = condord.status()
        assert (status["state"], status["code"], status["market"]["isOpen"]) == ("closed", None, False)
        assert status["market"]["nextOpen"] == "2031-12-22T14:30:00Z"
        assert only_loss(condord.document()) == ("SPX", 0)


def test_a_pm_settled_index_condor_expires_at_four(market):
    set_clock(market, FRIDAY, "15:50")
    market.post("positions", positions=condor("SPXW", 30))
    with start(market) as condord:
        document = await_notices(condord, "expiresToday")
        assert "trading ends at 16:00" in document["status"]["notices"][0]["text"]
        assert "(quantity 30)" in document["status"]["notices"][0]["text"]
        set_clock(market, FRIDAY, "16:05")
        document = await_notices(condord, "expired")
        document = await_document(condord, lambda now: now["status"]["state"] == "closed", "the market is closed")
        assert document["status"]["market"]["isOpen"] is False
        assert condord.document()["totals"]["maxLoss"] == 0


def test_a_short_put_still_listed_after_settlement_counts_neither_as_risk_nor_as_broken(market):
    set_clock(market, FRIDAY, "15:00")
    positions = condor("SPY", strikes=(560, 570, 630, 640))
    market.post("positions", positions=positions)
    with start(market) as condord:
        await_notices(condord, "expiresToday")
        set_clock(market, SATURDAY, "09:00")
        await_notices(condord, "expired")
        market.post(
            "positions",
            positions=[{**position, "qty": 0} for position in positions if "P00570000" not in position["symbol"]],
        )
        document = await_document(condord, lambda now: now["unmatched"], "three legs are gone")
        (entry,) = document["unmatched"]
        assert (entry["uncoveredShort"], entry["cover"], entry["problem"]) == (False, None, None)
        assert only_loss(document) == ("SPY", 0)
        (notice,) = await_notices(condord, "expired")["status"]["notices"]
        assert (notice["symbols"], notice["condorId"]) == ([entry["symbol"]], None)
        assert notice["text"] == f"SPY {FRIDAY}: expired, awaits settlement (1 contract)"


def test_options_on_an_index_fund_trade_until_a_quarter_past_four(market):
    set_clock(market, THURSDAY, "16:05")
    market.post("positions", positions=condor("SPY", strikes=(560, 570, 630, 640), day="320116"))
    with start(market) as condord:
        document = await_document(condord, lambda now: now["status"]["state"] == "live", "it trades")
        assert document["status"]["market"] == {
            "isOpen": True,
            "nextOpen": f"{FRIDAY}T14:30:00Z",
            "nextClose": f"{THURSDAY}T21:15:00Z",
        }


def test_an_early_close_comes_from_the_calendar(market):
    set_clock(market, "2031-12-24", "10:00")
    market.post("positions", positions=condor("SPY", strikes=(560, 570, 630, 640), day="320116"))
    with start(market) as condord:
        document = await_document(condord, lambda now: now["status"]["state"] == "live", "it trades")
        assert document["status"]["market"]["nextClose"] == "2031-12-24T18:15:00Z"


def test_the_day_changes_at_midnight_of_the_exchange(market):
    set_clock(market, THURSDAY, "23:59")
    market.post("positions", positions=condor("SPY", strikes=(560, 570, 630, 640), day="320116"))
    with start(market) as condord:
        document = await_document(
            condord, lambda now: now["condors"] and now["condors"][0]["daysToExpiration"] == 29, "it is Thursday"
        )
        assert document["asOf"].startswith("2031-12-19T04:59")
        set_clock(market, FRIDAY, "00:00")
        await_document(condord, lambda now: now["condors"][0]["daysToExpiration"] == 28, "it is Friday")


def test_the_worst_case_counts_cover_and_nets_only_legs_that_settle_together(market):
    set_clock(market, "2031-12-10", "10:00")
    strikes, entries = (20000, 20100, 25000, 25100), (10, 20, 20, 10)
    market.post(
        "positions",
        positions=[
            *condor("NDX", 1, strikes, entries),
            *condor("NDXP", -1, strikes, entries),
            *[held(option("CALA", right, strike), -1, 3) for right, strike in (("P", 570), ("C", 630))],
            *[held(option("CALA", right, strike, "320116"), 1, 5) for right, strike in (("P", 570), ("C", 630))],
            *condor("CVRD", 1, (560, 570, 630, 640)),
            held(option("CVRD", "C", 650), -1, 0.5),
            held("CVRD", 100, 600),
            held(option("BARE", "C", 650), -2, 0.5),
            held("BARE", 100, 600),
        ],
    )
    with start(market) as condord:
        document = await_document(
            condord,
            lambda now: (
                "NDX" in [part["underlying"] for part in now["totals"]["byUnderlying"]]
                and "NDXP" not in [part["underlying"] for part in now["totals"]["byUnderlying"]]
            ),
            "contracts are read",
        )
        losses = {part["underlying"]: part["maxLoss"] for part in document["totals"]["byUnderlying"]}
        assert losses == {"NDX": 10_000, "CALA": 400, "CVRD": 750, "BARE": None}
        shorts = {
            entry["symbol"]: (entry["uncoveredShort"], entry["cover"])
            for entry in document["unmatched"]
            if entry["side"] == "short"
        }
        assert shorts == {
            option("CALA", "P", 570): (False, "laterLong"),
            option("CALA", "C", 630): (False, "laterLong"),
            option("CVRD", "C", 650): (False, "shares"),
            option("BARE", "C", 650): (True, None),
        }


def test_an_ask_without_a_bid_is_not_a_mark_for_a_wing(market):
    set_clock(market, "2031-12-10", "10:00")
    market.post("positions", positions=condor("ZERO", 1, (560, 570, 630, 640), (0.60, 1.90, 2.00, 0.70)))
    with start(market) as condord:
        condord.await_state("live")
        quotes = {("P", 560): (0.03, 0.08), ("P", 570): (0.4, 0.5), ("C", 630): (0.6, 0.7), ("C", 640): (0.1, 0.15)}
        pushed = [{"symbol": option("ZERO", *leg), "bp": bid, "ap": ask} for leg, (bid, ask) in quotes.items()]
        wing = option("ZERO", "P", 560)
        market.post("quotes", quotes=pushed, pin=True)

        def profit():
            return condord.document()["condors"][0]["valuation"]["unrealizedPl"]

        until(lambda: profit() == 168, lambda: f"the condor is worth 168: {profit()}")
        for ask in (4.8, 1.9):
            market.post("quotes", quotes=[{"symbol": wing, "bp": 0, "ap": ask}], pin=True)
            document = await_document(
                condord,
                lambda now, ask=ask: any(quote["symbol"] == wing and quote["ask"] == ask for quote in now["quotes"]),
                "the wing is a stub",
            )
            (quote,) = [quote for quote in document["quotes"] if quote["symbol"] == wing]
            valuation = document["condors"][0]["valuation"]
            assert (quote["state"], quote["mark"]) == ("stub", 0.055)
            assert (valuation["unrealizedPl"], valuation["percentOfMaxProfit"]) == (168, 64.62)
            assert valuation["missing"] == []


def test_an_option_of_an_unknown_asset_class_is_part_of_its_condor(market):
    set_clock(market, "2031-12-10", "10:00")
    market.post("positions", positions=condor("SPY", strikes=(560, 570, 630, 640)))
    market.fault("rest-unknown-option-class")
    with start(market) as condord:
        await_readings(market)
        assert [condor["id"] for condor in condord.document()["condors"]] == ["SPY-311219-560-570-630-640"]
