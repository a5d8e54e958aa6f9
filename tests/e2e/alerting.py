"""Daemons with rules and channels, a market that tests move, and a receiver of webhooks."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from condord.core.rules.built_in import BUILT_IN
from condord.notify import schedule
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.recording import plain_condor, still_market
from tests.e2e.reloading import Files, Reloaded
from tests.e2e.running import Condord, Simulated, closing_program, until

LINE, CLEAR = 4.0, 3.0
"""The mark at which the rule `line` begins to hold, and below which it clears."""
CALM, NEAR, BEYOND = 1.0, 3.5, 6.0
"""Marks: below both, between them, and above both."""
OTHERS_MARK = 0.29
"""What the condor's other legs add to the price of its short put."""
RETRY_SECONDS = 0.3
SCALE = 0.01
"""The factor by which `SCALED` shortens the waits between attempts."""
SCALED = {
    "notify__schedule__RETRY_SECONDS": [wait * SCALE for wait in schedule.RETRY_SECONDS],
    "notify__schedule__LAST_RETRY_SECONDS": schedule.LAST_RETRY_SECONDS * SCALE,
}
SOON = {
    "notify__schedule__RETRY_SECONDS": [RETRY_SECONDS] * 4,
    "notify__schedule__LAST_RETRY_SECONDS": RETRY_SECONDS,
    "notify__store__RETRY_SECONDS": RETRY_SECONDS,
    "notify__delivery__STORE_SECONDS": RETRY_SECONDS,
}


def also_replaced(**constants: object) -> dict[str, str]:
    """The environment of a daemon in which these constants have other values, besides the usual ones."""
    return replaced(**{**UNPACED, **SOON, **constants})


ENVIRON = {**QUICK, "CONDORD_STREAM_SILENCE_SECONDS": "30", **also_replaced()}


class Receiver:
    """A webhook's receiver on loopback: it answers `status` after `delay_seconds`, and keeps every POST."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: dict[str, str] = {}
        self.delay_seconds = 0.0
        self.posts: list[tuple[dict[str, str], dict]] = []
        self.raw: list[bytes] = []
        self._ended = threading.Event()
        self._port = 0
        self.open()
        self.path = "/a-secret-path"
        self.url = f"http://127.0.0.1:{self._port}{self.path}"

    def open(self) -> None:
        """Listen, also again after `close`."""
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def wait(self) -> None:
        self._ended.wait(self.delay_seconds)

    @property
    def kinds(self) -> list[str]:
        """The types of the POSTs so far: firing, resolved or ended."""
        return [body["type"].rpartition(".")[2] for _, body in self.posts.copy()]

    @property
    def ids(self) -> set[str]:
        """The different webhook ids so far."""
        return {headers["webhook-id"] for headers, _ in self.posts.copy()}

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        self.receiver.raw.append(raw)
        self.receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.receiver.wait()
        with contextlib.suppress(OSError):  # the daemon has given up waiting
            self.send_response(self.receiver.status)
            for name, value in self.receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class Market:
    """A still market with one condor on SPY, whose mark tests set."""

    def __init__(self, simulated: Simulated) -> None:
        self.simulated = simulated
        with closing_program(Condord(simulated, **QUICK)) as condord:
            condord.await_state("live")
            self.condor = plain_condor(condord)
        self._legs = [leg["symbol"] for leg in self.condor["legs"]]
        cheap = [{"symbol": self._legs[number], "bp": 0.10, "ap": 0.12} for number in (0, 3)]
        call = {"symbol": self._legs[2], "bp": 0.50, "ap": 0.52}
        simulated.post("quotes", quotes=[*cheap, call], pin=True)
        self.move(CALM)

    def move(self, *marks: float, together: int = 1) -> None:
        """Give the condor these marks, one after the other; as many as `together` come in one message."""
        prices = [round(mark - OTHERS_MARK, 2) for mark in marks]
        self.quote(*((price - 0.01, price + 0.01) for price in prices), together=together)

    def quote(self, *quotes: tuple[float, float], together: int = 1) -> None:
        """Quote the short put with these bids and asks, one after the other."""
        quoted = [{"symbol": self._legs[1], "bp": round(bid, 2), "ap": round(ask, 2)} for bid, ask in quotes]
        for first in range(0, len(quoted), together):
            self.simulated.post("quotes", quotes=quoted[first : first + together], pin=True)


class AlertFiles(Files):
    """A configuration with the rule `line` for the condor of a market, one webhook, and no built-in rule."""

    def __init__(self, folder: Path, market: Market, receiver: Receiver) -> None:
        self.rule: dict[str, object] = {
            "name": "line",
            "when": f"mark >= {LINE}",
            "clear": f"mark < {CLEAR}",
            "severity": "critical",
            "match": {"condor": [market.condor["id"]]},
        }
        self.channel: dict[str, object] = {"name": "hook", "type": "webhook", "url_file": str(folder / "hook-url")}
        self.has_rule = True
        self.more_rules: list[dict[str, object]] = []
        self._folder = folder
        self.write_url(receiver.url)
        super().__init__(folder, market.simulated)

    def write_url(self, url: str) -> None:
        path = self._folder / "hook-url"
        path.write_text(url)
        path.chmod(0o600)

    def change(self, **tables: dict[str, object]) -> None:
        super().change(**tables)
        rules = [{"name": rule.name, "enabled": False} for rule in BUILT_IN]
        rules += [self.rule, *self.more_rules] if self.has_rule else []
        lines = [line for rule in rules for line in ("[[alert]]", *_keys(rule))]
        lines += ["[[notify]]", *_keys(self.channel)]
        self.path.write_text(self.path.read_text() + "\n".join(lines) + "\n")


def _keys(table: dict[str, object]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_keys(value)) + "}"
    return json.dumps(value)


@contextlib.contextmanager
def market_of_one(*arguments: str) -> Iterator[Market]:
    """A still market; `arguments` are the simulator's."""
    with still_market(*arguments) as simulated:
        yield Market(simulated)


@contextlib.contextmanager
def watching(files: AlertFiles, **environ: str) -> Iterator[Reloaded]:
    """A daemon that is live, priced, and has begun to evaluate the rule, if there is one."""
    state = {"STATE_DIRECTORY": str(files.path.parent / "state")}
    with closing_program(Reloaded(files, **{**ENVIRON, **state, **environ})) as condord:
        condord.await_state("live")
        condord.await_priced()
        if files.has_rule:
            until(lambda: is_evaluated(condord), "the rule is evaluated")
        yield condord


def is_evaluated(condord: Condord) -> bool:
    """Whether the rule has been looked at: the last evaluation is counted in the metrics."""
    samples = condord.get("/metrics")[1]
    return any(
        line.startswith("condord_rule_evaluations_total") and float(line.rpartition(" ")[2]) > 0
        for line in samples.splitlines()
    )


def alerts(condord: Condord) -> list[dict]:
    """The alerts of `GET /api/alerts`; none while it is not answered, as during a takeover."""
    status, answer = condord.get("/api/alerts")
    return answer["alerts"] if status == 200 else []


def the_alert(condord: Condord, rule: str = "line") -> dict | None:
    """The alert of a rule, if there is one."""
    return next((alert for alert in alerts(condord) if alert["rule"] == rule), None)


def await_alert(condord: Condord, state: str, *, rule: str = "line") -> dict:
    """The alert of a rule, once it has this state."""

    def check() -> dict | None:
        alert = the_alert(condord, rule)
        return alert if alert is not None and alert["state"] == state else None

    return until(check, lambda: f"{state}: {alerts(condord)}")


def await_mark(condord: Condord, mark: float) -> None:
    """Wait until the document has this mark of the condor."""
    until(
        lambda: abs(plain_condor(condord)["valuation"]["mark"] - mark) < 0.001,
        lambda: plain_condor(condord)["valuation"],
    )


def channel(condord: Condord) -> dict:
    """The channel in `GET /api/alerts`."""
    (found,) = condord.get("/api/alerts")[1]["channels"]
    return found


def settle(seconds: float = 0.5) -> None:
    """Give the daemon time to send what it should not send."""
    time.sleep(seconds)
