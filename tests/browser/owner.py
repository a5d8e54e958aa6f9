"""An account whose alerts a test sets, in a market that does not move."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from condord.core.rules.built_in import BUILT_IN
from tests.e2e.environs import QUICK
from tests.e2e.recording import still_market
from tests.e2e.reloading import Files, Reloaded
from tests.e2e.running import Simulated, closing_program, until


class OwnRules(Files):
    """A configuration with the rules of a test and none of the built-in ones."""

    def __init__(self, folder: Path, simulated: Simulated) -> None:
        self.rules: list[dict[str, object]] = []
        super().__init__(folder, simulated)

    def change(self, **tables) -> None:
        super().change(**tables)
        rules = [{"name": rule.name, "enabled": False} for rule in BUILT_IN] + self.rules
        lines = [line for rule in rules for line in ("[[alert]]", *(f"{key} = {_toml(rule[key])}" for key in rule))]
        self.path.write_text(self.path.read_text() + "\n".join(lines) + "\n")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


class Account:
    """A daemon, its simulator, and the rules that it is to have."""

    def __init__(self, simulated: Simulated, condord: Reloaded, files: OwnRules) -> None:
        self.simulated, self.condord, self._files = simulated, condord, files
        self.url = f"{condord.url}/"

    def condor(self, name: str) -> dict:
        """The first condor whose id begins with `name`."""
        return next(condor for condor in self.condord.document()["condors"] if condor["id"].startswith(name))

    def alerts(self) -> dict[str, dict]:
        """The firing alerts by rule."""
        alerts = self.condord.get("/api/alerts")[1]["alerts"]
        return {alert["rule"]: alert for alert in alerts if alert["state"] == "firing"}

    def need(self, *rules: tuple[str, str, str]) -> None:
        """Let an alert fire for each rule, a name, a severity and the beginning of a condor's id, and no others."""
        self._files.rules = [
            {
                "name": name,
                "when": "probabilityOfProfit >= 0",  # at any hour; what depends on the date counts from 09:00 ET of a session's day
                "severity": severity,
                "match": {"condor": [self.condor(beginning)["id"]]},
            }
            for name, severity, beginning in rules
        ]
        self._files.change()
        self.condord.reload("reloaded")
        wanted = {name for name, _, _ in rules}
        until(lambda: set(self.alerts()) == wanted, lambda: f"{wanted} fire: {self.alerts()}")


@contextlib.contextmanager
def prepared(folder: Path, *arguments: str) -> Iterator[Account]:
    """An account that is read and priced, for which no rule fires; `arguments` are the simulator's."""
    environ = {**QUICK, "CONDORD_STREAM_SILENCE_SECONDS": "600", "STATE_DIRECTORY": str(folder / "state")}
    with still_market(*arguments) as simulated:
        files = OwnRules(folder, simulated)
        with closing_program(Reloaded(files, **environ)) as condord:
            condord.await_state("live")
            condord.await_account_read()
            condord.await_priced()
            yield Account(simulated, condord, files)


def broken_leg(condor: dict) -> SimpleNamespace:
    """The leg that a test takes away, as changes of positions, and its name on the page."""
    leg = condor["legs"][0]
    quantity = leg["quantity"] if leg["side"] == "long" else -leg["quantity"]
    return SimpleNamespace(
        gone=[{"symbol": leg["symbol"], "qty": 0}],
        back=[{"symbol": leg["symbol"], "qty": quantity, "avg_entry_price": leg["averageEntryPrice"]}],
        words=f"{leg['side']} {leg['right']} {leg['strike']:g}",
    )
