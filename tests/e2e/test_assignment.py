"""Contracts that appear or vanish without an order, as the daemon reports them over HTTP."""

import contextlib
import datetime as dt

import pytest

from tests.e2e.environs import FEW_TICKS, QUICK
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, fetch, until

pytestmark = pytest.mark.slow

MONTHS = dt.timedelta(days=45)
DAY = f"{dt.datetime.now(dt.UTC) + MONTHS:%y%m%d}"
CONDOR = {"P00560": 1, "P00570": -1, "C00630": -1, "C00640": 1}


def contracts(root, legs, count=1):
    return {f"{root}{DAY}{leg}000": count * quantity for leg, quantity in legs.items()}


def put(root, strike):
    return f"{root}{DAY}P{strike:05d}000"


@pytest.fixture(scope="module")
def simulated():
    with closing_program(Simulated("--scenario", "empty", **replaced(**FEW_TICKS))) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def start(simulated, tmp_path_factory):
    """A context manager that runs a daemon that keeps its state."""
    state = tmp_path_factory.mktemp("state")

    def begin():
        environ = {**QUICK, "CONDORD_REST_SETTLE_SECONDS": "0.3", "STATE_DIRECTORY": str(state)}
        return closing_program(Condord(simulated, **environ))

    return begin


@pytest.fixture(scope="class")
def condord(start):
    with start() as condord:
        condord.await_state("live")
        yield condord


HELD_ROOTS: set[str] = set()
"""The underlyings of all tests so far, as the account keeps them."""


def hold(simulated, book, **options):
    HELD_ROOTS.update(symbol[:-15] or symbol for symbol in book)
    changes = [{"symbol": symbol, "qty": quantity, "avg_entry_price": 2} for symbol, quantity in book.items()]
    simulated.post("positions", positions=changes, **options)


def await_book(condord, book):
    """Wait until the document contains exactly the contracts of `book` on its roots, with their multipliers."""
    roots = {symbol[:-15] for symbol in book}

    def held():
        fetch(condord.url + "/api/refresh", method="POST")
        document = condord.document()
        legs = [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]
        legs = [leg for leg in legs if leg["symbol"][:-15] in roots]
        found = {leg["symbol"]: leg["quantity"] * (1 if leg["side"] == "long" else -1) for leg in legs}
        is_read = not any(leg["multiplierAssumed"] for leg in legs)
        return is_read and found == {symbol: quantity for symbol, quantity in book.items() if quantity}

    until(held, f"the document shows {book}", pause=0.2)


def notices(condord, *roots, code="assignment"):
    """The notices on contracts of `roots`: those of other tests stay for the day. None is about anything else."""
    found = [notice for notice in condord.status()["notices"] if notice["code"] == code]
    assert [notice for notice in found if not any(root in f"{notice}" for root in HELD_ROOTS)] == []
    return [notice for notice in found if any(root in f"{notice}" for root in roots)]


def await_notices(condord, count, *roots, code="assignment"):
    def check():
        fetch(condord.url + "/api/refresh", method="POST")
        return len(notices(condord, *roots, code=code)) == count

    until(check, lambda: f"{count} {code}: {condord.status()['notices']}", pause=0.2)
    return notices(condord, *roots, code=code)


def of_test(entries):
    """The condors or broken condors of the test below."""
    return [entry for entry in entries if entry["id"].startswith("BR")]


def sums_up(document):
    """Whether all broken condors are priced; asserts that each has the sum of its remaining legs."""
    entries = {entry["symbol"]: entry for entry in document["unmatched"]}
    for broken in document["broken"]:
        left = [entries[leg["symbol"]] for leg in broken["legs"] if leg["held"]]
        parts = [entry["unrealizedPl"] for entry in left]
        assert [leg["held"] for leg in broken["legs"] if leg["held"]] == [entry["quantity"] for entry in left]
        assert broken["unrealizedPl"] == (None if None in parts else round(sum(parts), 4))
    return document["broken"] and all(broken["unrealizedPl"] is not None for broken in document["broken"])


class TestOneDaemon:
    """The account of one daemon: each test has its own roots."""

    def test_an_assignment_whose_shares_appear_one_reading_later_is_one_notice(self, simulated, condord):
        book = contracts("LATE", CONDOR)
        hold(simulated, book)
        await_book(condord, book)
        gone = put("LATE", 570)
        simulated.post("events", event="assign", symbol=gone, shares=False)
        await_book(condord, {**book, gone: 0})
        assert notices(condord, "LATE") == []
        simulated.post("events", event="assign", symbol=gone, qty=1, contracts=False)
        (notice,) = await_notices(condord, 1, "LATE")
        assert notice["symbols"] == [gone]
        assert notice["text"] == f"1 short {gone} disappeared when 100 shares of LATE came: an assignment"
        assert notice["condorId"].startswith("LATE-")

    def test_an_assignment_counts_the_shares_that_the_contract_delivers(self, simulated, condord):
        simulated.post("deliverables", root="ADJ1", deliverables={"ADJ": 10})
        book = contracts("ADJ1", {"P00020": 1, "P00030": -1, "C00070": -1, "C00080": 1})
        hold(simulated, book)
        await_book(condord, book)
        simulated.post("events", event="assign", symbol=put("ADJ1", 30))
        (notice,) = await_notices(condord, 1, "ADJ1")
        assert notice["text"] == f"1 short {put('ADJ1', 30)} disappeared when 10 shares of ADJ came: an assignment"

    def test_a_split_of_stock_and_options_causes_no_notice(self, simulated, condord):
        book = contracts("SPLT", {"P00400": 1, "P00420": -1, "C00500": -1, "C00520": 1, "P00380": -1})
        hold(simulated, {**book, "SPLT": 100})
        await_book(condord, book)
        simulated.post("splits", symbol="SPLT", new=4)
        await_book(condord, contracts("SPLT", {"P00100": 4, "P00105": -4, "C00125": -4, "C00130": 4, "P00095": -4}))
        assert notices(condord, "SPLT") == notices(condord, "SPLT", code="brokenCondor") == []

    def test_two_condors_that_lose_their_short_calls_cause_two_notices(self, simulated, condord):
        book = contracts("LQA", CONDOR, 9) | contracts("LQB", CONDOR, 2)
        hold(simulated, book)
        await_book(condord, book)
        gone = contracts("LQA", {"C00630": 0}) | contracts("LQB", {"C00630": 0})
        hold(simulated, gone)
        notices = await_notices(condord, 2, "LQA", "LQB", code="brokenCondor")
        assert [notice["text"].split(" 560/570/630/640 ")[0] for notice in notices] == ["LQA", "LQB"]
        assert [notice["text"].split(" lost ")[1] for notice in notices] == [
            "its 9 short calls 630",
            "its 2 short calls 630",
        ]
        assert [notice["condorId"].partition("-")[0] for notice in notices] == ["LQA", "LQB"]

    def test_broken_condors_stay_in_the_document_until_their_legs_are_back(self, simulated, condord):
        book = contracts("BRA", CONDOR, 9) | contracts("BRB", CONDOR, 2)
        hold(simulated, book)
        await_book(condord, book)
        ids = [condor["id"] for condor in of_test(condord.document()["condors"])]
        with contextlib.ExitStack() as streams:
            everything = Follower(condord.url)
            streams.callback(everything.close)
            assert of_test(condord.document()["broken"]) == []
            gone = contracts("BRA", {"C00630": 0}) | contracts("BRB", {"C00630": 0})
            hold(simulated, gone)
            await_book(condord, {**book, **gone})
            until(lambda: sums_up(condord.document()), lambda: f"both are priced: {condord.document()}", pause=0.2)
            shown = of_test(condord.document()["broken"])
            assert [broken["id"] for broken in shown] == ids
            assert [broken["missing"] for broken in shown] == [[symbol] for symbol in gone]
            assert [[leg["held"] for leg in broken["legs"]] for broken in shown] == [
                [9, 9, 0, 9],
                [2, 2, 0, 2],
            ]
            assert [[leg["quantity"] for leg in broken["legs"]] for broken in shown] == [[9] * 4, [2] * 4]
            assert fetch(f"{condord.url}/api/positions/{ids[1]}")[0] == 404

            filtered = Follower(condord.url, f"/api/stream?condor={ids[1]}")
            streams.callback(filtered.close)
            until(lambda: len(filtered.documents) > 3, "quotes of the remaining legs have changed")
            for shown in filtered.documents.copy().values():
                assert [broken["id"] for broken in shown["broken"]] == [ids[1]]
                assert {entry["root"] for entry in shown["unmatched"]} == {"BRB"}
                assert {quote["symbol"] for quote in shown["quotes"]} == {
                    entry["symbol"] for entry in shown["unmatched"]
                }
                sums_up(shown)

            def agrees():
                shown = condord.document()
                followed = everything.documents.get(shown["version"])
                return followed is not None and followed["broken"] == shown["broken"]

            until(agrees, "the stream agrees with the document")

            hold(simulated, {symbol: book[symbol] for symbol in gone}, fill=True)
            await_book(condord, book)
            until(
                lambda: of_test(everything.document["broken"]) == [] == filtered.document["broken"],
                "no condor is broken",
            )
            assert [condor["id"] for condor in filtered.document["condors"]] == [ids[1]]
            assert everything.names.count("snapshot") >= 3

    def test_buying_back_a_short_put_and_buying_shares_causes_no_notice(self, simulated, condord):
        book = contracts("BUY", CONDOR)
        hold(simulated, book, fill=True)
        await_book(condord, book)
        hold(simulated, {put("BUY", 570): 0}, fill=True)
        hold(simulated, {"BUY": 100}, fill=True)
        await_book(condord, {**book, put("BUY", 570): 0})
        assert notices(condord, "BUY") == []

    def test_unwinding_a_covered_call_causes_no_notice(self, simulated, condord):
        book = contracts("CVR", {"C00630": -1})
        hold(simulated, {**book, "CVR": 100}, fill=True)
        await_book(condord, book)
        hold(simulated, {**dict.fromkeys(book, 0), "CVR": 0}, fill=True)
        await_book(condord, {})
        assert notices(condord, "CVR") == []

    def test_only_one_of_two_vanished_short_puts_counts_as_assigned_if_100_shares_appear(self, simulated, condord):
        book = contracts("TWO", {"P00560": -1, "P00570": -1})
        hold(simulated, book)
        await_book(condord, book)
        hold(simulated, {**dict.fromkeys(book, 0), "TWO": 100})
        (notice,) = await_notices(condord, 1, "TWO")
        assert notice["symbols"] == sorted(book)
        assert notice["text"].startswith("one of 2 short ")
        assert "100 shares of TWO came" in notice["text"]

    def test_call_spreads_closed_by_one_order_leave_no_broken_condor(self, simulated, condord):
        book = contracts("PUR", CONDOR, 3)
        hold(simulated, book, fill=True)
        await_book(condord, book)
        left = {**book, **contracts("PUR", {"C00630": 0, "C00640": 0})}
        hold(simulated, left, fill=True)
        await_book(condord, left)
        await_notices(condord, 0, "PUR", code="brokenCondor")
        unmatched = [entry for entry in condord.document()["unmatched"] if entry["root"] == "PUR"]
        assert {entry["problem"] for entry in unmatched} == {None}

    def test_activities_confirm_an_assignment_and_withdraw_one_that_was_an_expiration(self, simulated, condord):
        book = contracts("CNF", {"P00560": -1, "P00570": -1})
        hold(simulated, book)
        await_book(condord, book)
        simulated.post("events", event="assign", symbol=put("CNF", 570), activity_after_seconds=4)
        simulated.post("events", event="expire", symbol=put("CNF", 560), activity_after_seconds=4)
        await_notices(condord, 1, "CNF")

        def texts():
            fetch(condord.url + "/api/refresh", method="POST")
            return [notice["text"] for notice in notices(condord, "CNF")]

        text = f"1 short {put('CNF', 570)} was assigned: 100 shares of CNF came"
        until(lambda: texts() == [text], lambda: f"{text}: {condord.status()['notices']}", timeout=150.0, pause=0.5)


def test_overnight_assignments_are_reported_after_every_restart(simulated, start):
    book = contracts("NGT", CONDOR)
    hold(simulated, book)
    with start() as condord:
        await_book(condord, book)
        until(lambda: condord.status()["uptime"] > 3, "the account is saved")
        assert condord.stop() == 0
    simulated.post("events", event="assign", symbol=put("NGT", 570))
    with start() as condord:
        (assigned,), (broken,) = await_notices(condord, 1, "NGT"), await_notices(condord, 1, "NGT", code="brokenCondor")
        assert broken["text"].endswith(" lost its short put 570")
        until(lambda: condord.status()["uptime"] > 3, "the account is saved")
        assert condord.stop() == 0
    with start() as condord:
        assert await_notices(condord, 1, "NGT") == [assigned]
        assert await_notices(condord, 1, "NGT", code="brokenCondor") == [broken]
