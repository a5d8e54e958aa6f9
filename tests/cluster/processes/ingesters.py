"""Ingesters on a bus as child processes, with a simulator whose option stream accepts one connection at most."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster.nats_server import NatsServer
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import KEYS, Condord, Program, Simulated, _snake, closing_program, until
from tests.http.scrape import samples

LOADING_TICKS = 30  # hundredths of a second of a processor; loading takes three times as many
HOST = socket.gethostname()
QUIET = {"CONDORD_STREAM_SILENCE_SECONDS": "600"}
"""The silence limits for a market that does not move, in which the streams are silent."""


class Ingester(Condord):
    """`condord start` with `role = "ingest"`; `bus` is a URL, and its state is in `directory`."""

    def __init__(
        self, simulated: Simulated, bus: str, directory: Path, *arguments: str, lease: float = 1.0, **environ: str
    ) -> None:
        urls = {f"CONDORD_ALPACA_{_snake(name)}": url for name, url in simulated.urls.items()}
        directory.mkdir(exist_ok=True)
        own = {
            "CONDORD_CLUSTER_ROLE": "ingest",
            "CONDORD_CLUSTER_BUS": bus,
            "CONDORD_CLUSTER_LEASE_SECONDS": str(lease),
            "CONDORD_SERVER_HEARTBEAT_SECONDS": "1",
            "STATE_DIRECTORY": str(directory / "state"),
            "RUNTIME_DIRECTORY": str(directory),
        }
        self.directory = directory
        self.environ = {**QUICK, **KEYS, **urls, **own, **environ}
        Program.__init__(self, "start", "--port", "0", *arguments, environ=self.environ)
        self.url = self.await_line(r"serves at (\S+)")[1]

    @property
    def name(self) -> str:
        """How others see it."""
        return f"{HOST}:{self.process.pid}"

    def cluster(self) -> dict:
        """The ingester's `cluster` in the status; empty before the first document."""
        status, body = self.get("/api/status")
        return body["cluster"] if status == 200 else {}

    def await_role(self, role: str, timeout: float = 60.0) -> dict:
        """Wait until it is leader or standby."""

        def check():
            found = self.cluster()
            return found if found.get("role") == role else None

        return until(check, lambda: f"role {role}: {self.stderr}", timeout)

    def metrics(self) -> dict[str, float]:
        """The samples of a scrape."""
        return samples(self.get("/metrics")[1])

    def await_evaluated(self) -> None:
        """Wait until it leads and has evaluated rules."""
        until(lambda: self.metrics().get("condord_rule_evaluations_total"), lambda: f"evaluated: {self.stderr}")

    def await_live(self) -> dict:
        """Wait until the ingester's document is that of a live leader."""

        def check():
            status, body = self.get("/api/positions")
            return body if status == 200 and body["status"]["state"] == "live" and body["condors"] else None

        return until(check, lambda: f"a live document: {self.stderr}")


class Cluster:
    """Ingesters, their bus, and their simulator. `environ` is a part of the environment of each ingester."""

    def __init__(self, stack: ExitStack, directory: Path, simulated: Simulated, *lines: str, **environ: str) -> None:
        self.stack = stack
        self._environ = environ
        self.directory = directory
        self.simulated = simulated
        nats = directory / "nats"
        nats.mkdir()
        self.nats = NatsServer(nats, *lines)
        stack.callback(self.nats.close)

    def start(self, name: str, *arguments: str, bus: str = "", **options) -> Ingester:
        """Start an ingester, which keeps its state under this name."""
        program = Ingester(
            self.simulated, bus or self.nats.url, self.directory / name, *arguments, **self._environ, **options
        )
        return self.stack.enter_context(closing_program(program))

    def pair(self, *arguments: str, **options) -> tuple[Ingester, Ingester]:
        """Start two, and return the one that leads first."""
        first, second = self.start("a", *arguments, **options), self.start("b", *arguments, **options)

        def check():
            return next((each for each in (first, second) if each.cluster().get("role") == "leader"), None)

        leader = until(check, lambda: f"a leader: {first.stderr} {second.stderr}")
        for each in (first, second):
            each.await_live()
        return leader, first if leader is second else second

    def option_stream(self) -> dict:
        """The simulator's connections on the option stream."""
        return self.simulated.state()["streams"]["option"]

    def check_slot(self) -> None:
        """Check that two connections were never open at the same time."""
        assert self.option_stream()["maxOpen"] == 1


@contextmanager
def cluster(directory: Path, *lines: str, **environ: str) -> Iterator[Cluster]:
    """A cluster whose market moves, with these lines in the configuration of the NATS server."""
    with ExitStack() as stack:
        simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        simulated.post("market", rate=5)
        running_cluster = Cluster(stack, directory, simulated, *lines, **environ)
        yield running_cluster


def makers_of(program: Ingester) -> list[int]:
    """The processes that a front has started and that still run."""
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def await_waiting_maker(program: Ingester) -> None:
    """Wait until the maker of a standby has loaded everything, and waits: it has used a processor, and does not any longer."""

    def used() -> int:
        return sum(
            int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) for pid in makers_of(program)
        )

    def is_idle() -> bool:
        before = used()
        time.sleep(0.5)
        return used() == before > LOADING_TICKS

    until(is_idle, "a maker that waits")


def seconds_until(condition, what) -> float:
    """Wait for a condition; return how long it took."""
    begun = time.monotonic()
    until(condition, what, pause=0.02)
    return time.monotonic() - begun
