"""What is known of the account beyond its positions, and what of it survives a restart."""

import json

import pytest

from tests.e2e.conftest import QUICK
from tests.e2e.running import Condord, closing_program, until

pytestmark = pytest.mark.slow

CONTRACTS = "/v2/options/contracts/"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(simulated, state):
    """Starts a daemon that keeps its state in `state`, as a context."""

    def begin(**environ):
        return closing_program(Condord(simulated, **{**QUICK, "STATE_DIRECTORY": str(state), **environ}))

    return begin


def contracts_asked(simulated) -> int:
    """How many requests for one contract were made."""
    requests = simulated.state()["requests"]
    return sum(count for path, count in requests.items() if path.startswith(CONTRACTS))


def legs_and_unmatched(document):
    return [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]


def codes(status) -> list[str]:
    """The codes of the notices of a status."""
    return [notice["code"] for notice in status["notices"]]


def await_told(condord) -> dict:
    """The first document in which every contract has told its multiplier, and orders who opened the condors."""

    def look():
        document = condord.document()
        entries = legs_and_unmatched(document)
        is_told = entries and not any(entry["multiplierAssumed"] for entry in entries)
        return document if is_told and document["condors"][0]["openedAt"] else None

    return until(look, "contracts and orders are told")


def test_an_adjusted_condor_gets_its_true_underlying(start):
    with start() as condord:
        document = await_told(condord)
        (adjusted,) = [condor for condor in document["condors"] if condor["root"] == "XYZ1"]
        assert (adjusted["underlying"], adjusted["multiplier"]) == ("XYZ", 100)
        assert [(leg["multiplierAssumed"], leg["problem"]) for leg in adjusted["legs"]] == [(False, None)] * 4
        assert "XYZ" in [part["underlying"] for part in document["totals"]["byUnderlying"]]
        assert document["status"]["positions"]["error"] is None
        assert codes(document["status"]) == []


def test_condors_are_those_that_the_orders_opened(start, simulated):
    with start() as condord:
        document = await_told(condord)
        assert {condor["entrySource"] for condor in document["condors"]} == {"orders"}
        assert all(condor["openedAt"] for condor in document["condors"])
        before = {condor["id"] for condor in document["condors"]}
        strikes = (("P", 691, 1), ("P", 701, -1), ("C", 781, -1), ("C", 791, 1))
        expiration = next(c["expiration"] for c in document["condors"] if c["root"] == "SPY").replace("-", "")[2:]
        held = [
            {"symbol": f"SPY{expiration}{right}{strike:05d}000", "qty": 3 * quantity, "avg_entry_price": 1.5}
            for right, strike, quantity in strikes
        ]
        simulated.post("positions", positions=held, fill=True)

        def opened():
            found = [c for c in condord.document()["condors"] if c["id"] not in before]
            return found if found and found[0]["openedAt"] else None

        (condor,) = until(opened, "the new condor is told to come from an order")
        assert (condor["entrySource"], condor["quantity"]) == ("orders", 3)
        assert condor["openedAt"] > max(c["openedAt"] for c in document["condors"])


def test_a_restart_asks_for_no_contract_again_and_for_orders_only_since(start, simulated, state):
    with start() as condord:
        before = await_told(condord)
        asked = contracts_asked(simulated)
        assert asked == len(before["quotes"])
        until(lambda: len(list(state.glob("*.json"))) == 2, "both are kept")
        assert condord.stop() == 0
    assert not list(state.glob("*.tmp"))
    with start() as condord:
        after = await_told(condord)
        condord.await_priced()
        assert contracts_asked(simulated) == asked
        assert [c["openedAt"] for c in after["condors"]] == [c["openedAt"] for c in before["condors"]]


def test_a_state_directory_that_cannot_be_written_is_a_line_in_the_log(start, simulated, tmp_path):
    (tmp_path / "file").touch()
    with start(STATE_DIRECTORY=str(tmp_path / "file" / "state")) as condord:
        await_told(condord)
        condord.await_priced()
        assert condord.get("/readyz")[0] == 200
        condord.said("State file cannot be used")
        assert condord.stop() == 0
    assert len([line for line in condord.stderr if "State file cannot be used" in line]) <= 4


def test_files_that_are_no_state_are_a_line_in_the_log_and_replaced(start, state):
    with start() as condord:
        await_told(condord)
        until(lambda: len(list(state.glob("*.json"))) == 2, "both are kept")
        assert condord.stop() == 0
    for path in state.glob("*.json"):
        path.write_text("no state")
    with start() as condord:
        await_told(condord)
        until(lambda: all("no state" not in path.read_text() for path in state.glob("*.json")), "they are replaced")
    for path in state.glob("*.json"):
        assert json.loads(path.read_text())["version"] == 1


def test_positions_are_served_though_neither_contracts_nor_orders_can_be_read(start, simulated):
    simulated.fault("rest-stall", path=CONTRACTS, seconds=300)
    simulated.fault("rest-500", path="/v2/orders", seconds=300)
    with start(CONDORD_REST_RETRIES="0") as condord:
        document = condord.await_priced()
        until(lambda: "ordersUnavailable" in codes(condord.status()), "the outage is noted")
        assert condord.status()["positions"]["error"] is None
        assert all(entry["multiplierAssumed"] for entry in legs_and_unmatched(document))
        assert {condor["entrySource"] for condor in document["condors"]} == {"structure"}
        assert "XYZ1" in [condor["underlying"] for condor in document["condors"]]
        assert condord.status()["positions"]["breaker"] == "closed"
        assert condord.get("/readyz")[0] == 200
