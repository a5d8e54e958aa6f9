"""Events in the life of a position, as the daemon reports them to a trader."""

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, closing_program, fetch, until

pytestmark = pytest.mark.slow


@pytest.fixture
def settled(simulated):
    environ = {**QUICK, "CONDORD_REST_SETTLE_SECONDS": "0.5"}
    with closing_program(Condord(simulated, **environ)) as condord:
        condord.await_priced()
        yield condord


def plain_condor(document):
    return next(condor for condor in document["condors"] if condor["id"].startswith("SPY-"))


def test_a_condor_is_broken_a_moment_after_one_leg_has_vanished(simulated, settled):
    condor = plain_condor(settled.document())
    gone = condor["legs"][3]
    simulated.post("positions", positions=[{"symbol": gone["symbol"], "qty": 0}])
    assert fetch(settled.url + "/api/refresh", method="POST")[0] == 202
    until(lambda: "brokenCondor" in settled.notices(), "the broken condor is reported")
    text = settled.notices()["brokenCondor"]
    assert text.startswith("SPY ")
    assert text.endswith(f" lost its {gone['quantity']} long calls {gone['strike']}")
    problems = {entry["symbol"]: entry["problem"] for entry in settled.document()["unmatched"]}
    assert [problems[leg["symbol"]] for leg in condor["legs"][:3]] == [f"broken condor: {text}"] * 3


def test_an_assignment_is_reported(simulated, settled):
    short_put = plain_condor(settled.document())["legs"][1]
    shares = 100 * short_put["quantity"]
    changes = [
        {"symbol": short_put["symbol"], "qty": 0},
        {"symbol": "SPY", "qty": shares, "avg_entry_price": short_put["strike"]},
    ]
    simulated.post("positions", positions=changes)
    fetch(settled.url + "/api/refresh", method="POST")
    until(lambda: "assignment" in settled.notices(), "the assignment is reported")
    assert f"{shares} shares of SPY came" in settled.notices()["assignment"]


def test_a_condor_that_fills_leg_by_leg_is_never_shown_incomplete(simulated, settled):
    legs = [leg["symbol"] for leg in plain_condor(settled.document())["legs"]]
    for number in range(1, 5):
        changes = [{"symbol": symbol, "qty": 0} for symbol in legs[:number]]
        simulated.post("positions", positions=changes, fill=True)
    until(lambda: all(not c["id"].startswith("SPY-") for c in settled.document()["condors"]), "the condor is closed")
    assert not {entry["symbol"] for entry in settled.document()["unmatched"]} & set(legs)
    assert settled.notices() == {}
