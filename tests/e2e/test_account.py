"""Contracts, orders and other facts about the account, and which of them survive a restart."""

import json

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, closing_program, until

pytestmark = pytest.mark.slow

CONTRACTS = "/v2/options/contracts/"
KINDS = 5
"""State files: contracts, orders, activities, names, and the account."""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(simulated, state):
    """A context manager that runs a daemon with its state in `state`."""

    def begin(**environ):
        return closing_program(Condord(simulated, **{**QUICK, "STATE_DIRECTORY": str(state), **environ}))

    return begin


def contracts_asked(simulated) -> int:
    """The number of requests for single contracts."""
    requests = simulated.state()["requests"]
    return sum(count for path, count in requests.items() if path.startswith(CONTRACTS))


def root_of(symbol) -> str:
    """The root of an option symbol: the part before date, right and strike."""
    return symbol[:-15]


def legs_and_unmatched(document):
    return [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]


def codes(status) -> list[str]:
    """The codes of the notices in a status."""
    return [notice["code"] for notice in status["notices"]]


def await_account_read(condord) -> dict:
    """The first document with every contract's multiplier and the opening time of the first condor."""

    def check():
        document = condord.document()
        entries = legs_and_unmatched(document)
        is_read = entries and not any(entry["multiplierAssumed"] for entry in entries)
        return document if is_read and document["condors"][0]["openedAt"] else None

    return until(check, "contracts and orders are read")


def test_an_adjusted_condor_gets_its_actual_underlying(start):
    with start() as condord:
        document = await_account_read(condord)
        (adjusted,) = [condor for condor in document["condors"] if condor["root"] == "XYZ1"]
        assert (adjusted["underlying"], adjusted["multiplier"]) == ("XYZ", 100)
        assert [(leg["multiplierAssumed"], leg["problem"]) for leg in adjusted["legs"]] == [(False, None)] * 4
        assert "XYZ" in [part["underlying"] for part in document["totals"]["byUnderlying"]]
        assert document["status"]["positions"]["error"] is None
        assert set(codes(document["status"])) <= {"expiresToday"}


def test_condors_are_grouped_by_the_orders_that_opened_them(start, simulated):
    with start() as condord:
        document = await_account_read(condord)
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

        (condor,) = until(opened, "the new condor comes from an order")
        assert (condor["entrySource"], condor["quantity"]) == ("orders", 3)
        assert condor["openedAt"] > max(c["openedAt"] for c in document["condors"])


def test_a_restart_requests_no_contract_again_and_only_newer_orders(start, simulated, state):
    with start() as condord:
        before = await_account_read(condord)
        asked = contracts_asked(simulated)
        assert asked == len({root_of(quote["symbol"]) for quote in before["quotes"]})
        until(lambda: len(list(state.glob("*.json"))) == KINDS, "all state files are written")
        assert condord.stop() == 0
    assert not list(state.glob("*.tmp"))
    with start() as condord:
        after = await_account_read(condord)
        condord.await_priced()
        assert contracts_asked(simulated) == asked
        assert [c["openedAt"] for c in after["condors"]] == [c["openedAt"] for c in before["condors"]]


def test_an_unwritable_state_directory_is_logged_and_causes_a_notice(start, simulated, tmp_path):
    (tmp_path / "file").touch()
    with start(STATE_DIRECTORY=str(tmp_path / "file" / "state")) as condord:
        await_account_read(condord)
        condord.await_priced()
        assert condord.get("/readyz")[0] == 200
        condord.await_line("State file cannot be used")
        until(lambda: "stateUnavailable" in codes(condord.status()), "the notice appears")
        assert condord.stop() == 0
    assert len([line for line in condord.stderr if "State file cannot be used" in line]) <= 2 * KINDS


def test_invalid_state_files_are_logged_and_replaced(start, state):
    with start() as condord:
        await_account_read(condord)
        until(lambda: len(list(state.glob("*.json"))) == KINDS, "all state files are written")
        assert condord.stop() == 0
    for path in state.glob("*.json"):
        path.write_text("no state")
    with start() as condord:
        await_account_read(condord)
        until(lambda: all("no state" not in path.read_text() for path in state.glob("*.json")), "they are replaced")
    for path in state.glob("*.json"):
        assert json.loads(path.read_text())["version"] == 2


def test_positions_are_served_while_contracts_and_orders_cannot_be_read(start, simulated):
    simulated.fault("rest-stall", path=CONTRACTS, seconds=300)
    simulated.fault("rest-500", path="/v2/orders", seconds=300)
    with start(CONDORD_REST_RETRIES="0") as condord:
        document = condord.await_priced()
        until(lambda: "ordersUnavailable" in codes(condord.status()), "the outage is reported")
        assert condord.status()["positions"]["error"] is None
        assert all(entry["multiplierAssumed"] for entry in legs_and_unmatched(document))
        assert {condor["entrySource"] for condor in document["condors"]} == {"structure"}
        assert "XYZ1" in [condor["underlying"] for condor in document["condors"]]
        assert condord.status()["positions"]["breaker"] == "closed"
        assert condord.get("/readyz")[0] == 200
