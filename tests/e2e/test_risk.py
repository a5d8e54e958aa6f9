"""Underlyings, risk figures and the day, from the simulator to a subscriber."""

import datetime as dt
import json
from contextlib import ExitStack, closing
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, Follower, Simulated, closing_program, settled, until

pytestmark = pytest.mark.slow

NEW_YORK = ZoneInfo("America/New_York")
OFTEN = {**QUICK, "CONDORD_MODEL_INTERVAL_SECONDS": "0.5"}


@pytest.fixture
def start():
    """Starts a simulator with a scenario, and a daemon of which everything is known."""
    with ExitStack() as programs:

        def begin(scenario):
            simulated = programs.enter_context(closing_program(Simulated("--scenario", scenario)))
            condord = programs.enter_context(closing_program(Condord(simulated, **OFTEN)))
            until(lambda: is_known(condord.document()), "figures, balances and the day are known")
            return condord

        yield begin


def is_known(document):
    totals = document["totals"]
    has_figures = document["condors"] and totals["riskIncomplete"] == 0
    return bool(has_figures and totals["dayPl"] is not None and document["account"] is not None)


def changed(follower, part):
    """The keys of what the deltas so far have changed in a part."""
    deltas = [json.loads(event.data) for event in follower.events.copy() if event.name == "delta"]
    return {entry.get("id", entry.get("symbol")) for delta in deltas for entry in delta.get(part, ())}


def test_the_tested_sides_are_named_and_subscribers_have_the_figures_of_get_positions(start):
    condord = start("tested")

    def named(key):
        return {condor["risk"][key] for condor in condord.document()["condors"]}

    until(lambda: named("tested") >= {"put", "call"}, lambda: f"both sides are tested: {named('tested')}")
    assert named("breached") == {True, False}
    with closing(Follower(condord.url)) as follower:
        until(lambda: changed(follower, "risks") and changed(follower, "underlyings"), "figures and prices move")

        def is_same():
            shown = condord.document()
            followed = follower.documents.get(shown["version"])
            return followed is not None and settled(followed) == settled(shown)

        until(is_same, "the subscriber has the same document")


def test_a_filtered_subscriber_gets_the_figures_and_the_underlying_of_its_condor_only(start):
    condord = start("tested")
    condor = condord.document()["condors"][0]
    with closing(Follower(condord.url, f"/api/stream?condor={condor['id']}")) as follower:
        until(lambda: changed(follower, "risks") and changed(follower, "underlyings"), "figures and prices move")
        assert changed(follower, "risks") == {condor["id"]}
        assert changed(follower, "underlyings") == {condor["underlying"]}
        assert [entry["symbol"] for entry in follower.document["underlyings"]] == [condor["underlying"]]
        assert follower.document["account"] is not None


def test_european_condors_on_an_index_have_its_price_and_their_own_end(start):
    condord = start("index")

    def sources():
        return {entry["source"] for entry in condord.document()["underlyings"]}

    until(lambda: sources() == {"index"}, sources)
    document = condord.await_account_read()
    for condor in document["condors"]:
        expiry, risk = condor["expiry"], condor["risk"]
        assert condor["style"] == "european"
        assert [(each["kind"], each["source"]) for each in expiry["cutoffs"]] == [("orders", "product")]
        assert (expiry["lastTradingAt"] < expiry["settlesAt"]) == (condor["settlement"] == "am")
        assert risk["missing"] == []
        assert dt.datetime.fromisoformat(risk["asOf"]).second == 0


def test_the_closed_market_keeps_its_figures_counted_from_the_last_close(start):
    document = start("closed").document()
    assert not document["status"]["market"]["isOpen"]
    counted_from = [dt.datetime.fromisoformat(condor["risk"]["asOf"]) for condor in document["condors"]]
    assert {f"{at.astimezone(NEW_YORK):%H:%M}" for at in counted_from} <= {"16:00", "16:15", "13:00", "13:15"}
    assert document["totals"]["theta"] is not None
