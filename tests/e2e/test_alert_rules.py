"""Rules on an expiration day, from the example of the documentation to a webhook."""

import re
from pathlib import Path

import pytest

from tests.e2e.alerting import ENVIRON, alerts
from tests.e2e.reloading import Files, Reloaded
from tests.e2e.running import Simulated, closing_program, until

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


def example(title):
    """The first TOML of a section of the documentation."""
    section = DOCS.read_text().partition(f"\n### {title}\n")[2]
    return re.search(r"```toml\n(.*?)```", section, re.DOTALL)[1]


@pytest.fixture
def afternoon(tmp_path, receiver):
    """A daemon at 15:00 of the last day of its condors, with the example and a webhook for it."""
    hook = tmp_path / "hook-url"
    hook.write_text(receiver.url)
    hook.chmod(0o600)
    channel = f'[[notify]]\nname = "hook"\ntype = "webhook"\nurl_file = "{hook}"\nmin_severity = "critical"\n'
    with closing_program(Simulated("--scenario", "expiration-day")) as simulated:
        files = Files(tmp_path, simulated)
        files.path.write_text(files.path.read_text() + example("Before Alpaca liquidates") + channel)
        environ = {**ENVIRON, "STATE_DIRECTORY": str(tmp_path / "state")}
        with closing_program(Reloaded(files, **environ)) as condord:
            condord.await_state("live")
            yield condord


def test_the_liquidation_of_a_condor_near_its_strikes_is_alerted_and_sent(afternoon, receiver):
    def firing(rule):
        return {each["underlying"]: each for each in alerts(afternoon) if each["rule"] == rule}

    until(lambda: {"SPY", "NVDA"} <= firing("liquidation").keys(), lambda: alerts(afternoon))
    spy = firing("liquidation")["SPY"]
    assert (spy["severity"], spy["state"], spy["atStart"], spy["threshold"]) == ("critical", "firing", True, 15)
    assert spy["value"] <= 15
    number = r"[0-9]+\.[0-9]{2}"
    where = rf"the (short|long) (put|call) [0-9.]+ is (at the price|{number} \({number} %\) (away|in the money))"
    until_when = "Alpaca takes orders for it until 15:30 ET"
    assert re.search(
        rf": Alpaca may liquidate it from 15:15 ET and {where}, SPY {number}; {until_when}\. P/L ", spy["text"]
    )
    sent = until(
        lambda: [body["data"] for _, body in receiver.posts.copy() if body["data"]["rule"] == "liquidation"],
        lambda: receiver.posts,
    )
    assert {each["severity"] for each in sent} == {"critical"}
    cutoff = until(lambda: firing("order-cutoff").get("SPY"), lambda: alerts(afternoon))
    assert (
        "Alpaca takes orders for it until 15:30 ET (as configured) and may liquidate it from 15:15, and the "
        in cutoff["text"]
    )
    assert "the long put" in until(lambda: firing("long-put-expiring").get("NVDA"), lambda: alerts(afternoon))["text"]
