"""What SIGHUP changes in a running daemon, and what it does not."""

import resource
import signal
from contextlib import closing

import pytest

from tests.e2e.preloaded import PRELUDE, replaced
from tests.e2e.reloading import Files, Reloaded
from tests.e2e.running import Follower, Simulated, closing_program, until

pytestmark = pytest.mark.slow


@pytest.fixture
def files(tmp_path, simulated):
    return Files(tmp_path, simulated)


@pytest.fixture
def condord(files):
    with closing_program(Reloaded(files)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


@pytest.fixture
def follower(condord):
    with closing(Follower(condord.url)) as follower:
        until(lambda: follower.events, "a stream")
        yield follower


def streams(simulated) -> dict:
    return simulated.state()["streams"]


def accepted(simulated) -> dict[str, int]:
    """How many connections of each stream there have been."""
    return {name: stream["accepted"] for name, stream in streams(simulated).items()}


def is_well(document) -> bool:
    """Whether every condor has a confirmed price."""
    valuations = [condor["valuation"] for condor in document["condors"]]
    return bool(valuations) and all(
        value["unrealizedPl"] is not None and not value["unconfirmed"] for value in valuations
    )


def await_well(condord, simulated, connections: int) -> None:
    """Wait until the daemon is healthy after `connections` connections."""

    def check():
        option = streams(simulated)["option"]
        stands = option["accepted"] == connections and len(option["open"]) == 1 and option["open"][0]["subscriptions"]
        return stands and condord.status()["state"] == "live" and is_well(condord.document())

    until(check, f"it is healthy after {connections} connections")


@pytest.fixture(scope="class")
def lasting(tmp_path_factory, lasting_simulated):
    """The files and the daemon of all tests of a class."""
    files = Files(tmp_path_factory.mktemp("lasting"), lasting_simulated)
    with closing_program(Reloaded(files)) as program:
        program.await_state("live")
        yield files, program


class TestOneDaemon:
    """One daemon applies all changes; after each test its files are restored."""

    @pytest.fixture
    def simulated(self, lasting_simulated):
        yield lasting_simulated
        lasting_simulated.post("market", frozen=False, rate=1)

    @pytest.fixture
    def files(self, lasting):
        return lasting[0]

    @pytest.fixture
    def condord(self, lasting, simulated):
        files, program = lasting
        until(lambda: is_well(program.document()), "every condor has a confirmed price")
        yield program
        files.restore()
        program.reload("Configuration reloaded")
        until(lambda: program.status()["code"] is None and program.status()["state"] == "live", "it is live again")
        until(lambda: program.status()["stocks"]["code"] is None, "so is the stock stream")
        until(lambda: not program.notices(), program.notices)

    def test_a_new_key_reconnects_once_and_subscribers_see_the_gap_and_the_recovery(
        self, simulated, files, condord, follower
    ):
        before = streams(simulated)
        files.write_key("KEYTWO", "secret-two")
        assert "needs_restart=[]" in condord.reload("Configuration reloaded")
        await_well(condord, simulated, before["option"]["accepted"] + 1)
        until(lambda: is_well(follower.document) and follower.document["status"]["state"] == "live", "the recovery")
        assert not follower.ended.is_set()
        assert [document for document in follower.documents.values() if document["status"]["state"] != "live"]
        found = streams(simulated)
        counts = {name: (stream["accepted"], stream["maxOpen"]) for name, stream in found.items()}
        assert counts == {name: (stream["accepted"] + 1, 1) for name, stream in before.items()}
        assert "secret" not in "".join(condord.stderr)
        assert "KEYTWO" not in "".join(condord.stderr)

    def test_a_stock_feed_that_the_plan_lacks_halts_only_the_stock_stream(self, simulated, files, condord, follower):
        before = streams(simulated)
        files.stock_feed("sip")
        assert "needs_restart=[]" in condord.reload("Configuration reloaded")
        until(lambda: condord.status()["stocks"]["code"] == "insufficientSubscription", "the refusal is reported")
        status = condord.status()
        assert (status["state"], status["code"], status["stocks"]["state"]) == ("live", None, "halted")
        assert 'alpaca.stock_feed = "iex"' in status["stocks"]["reason"]
        assert condord.get("/readyz")[0] == 200
        files.stock_feed("iex")
        condord.reload("Configuration reloaded")
        until(lambda: condord.status()["stocks"]["state"] == "live" and not condord.notices(), "it is back")
        found = streams(simulated)
        for name in ("option", "trading"):
            assert (found[name]["accepted"], found[name]["maxOpen"]) == (before[name]["accepted"], 1)
        assert found["stock"]["maxOpen"] == 1
        assert not follower.ended.is_set()

    def test_a_lower_limit_of_stocks_is_respected_and_the_others_are_polled(self, simulated, files, condord, follower):
        count = len(condord.await_account_read()["underlyings"])  # the contracts name those of adjusted options
        until(lambda: len(condord.status()["stocks"]["stream"]) == count, "stocks are streamed")
        connections = streams(simulated)["stock"]["accepted"]
        files.change(alpaca={"stock_symbol_limit": 2})
        condord.reload("Configuration reloaded")
        until(lambda: len(condord.status()["stocks"]["stream"]) == 2, "the limit is respected")
        stocks = condord.status()["stocks"]
        assert (stocks["state"], stocks["code"], len(stocks["polled"])) == ("live", "symbolLimit", count - 2)
        assert streams(simulated)["stock"]["accepted"] == connections
        assert condord.status()["code"] is None
        assert not follower.ended.is_set()

    def test_new_assumptions_are_published_without_a_reconnect(self, simulated, files, condord, follower):
        def profits():
            """The probabilities of a profit by condor, as the subscriber knows them."""
            condors = follower.document["condors"]
            return {condor["id"]: condor["risk"]["probabilities"]["profit"] for condor in condors}

        simulated.post("market", frozen=True)
        until(lambda: sum(map(bool, profits().values())) > 5, "figures are known")
        before, connections = profits(), accepted(simulated)
        files.change(model={"rate": 0.3, "interval_seconds": 0.5})
        assert "needs_restart=[]" in condord.reload("Configuration reloaded")
        until(lambda: follower.document["status"]["model"]["rate"] == 0.3, "the subscriber receives the new rate")
        until(
            lambda: (
                sum(abs(profit - before[name]) > 1 for name, profit in profits().items() if profit and before[name]) > 3
            ),
            lambda: f"and what follows from it: {profits()}",
        )
        assert accepted(simulated) == connections
        assert not follower.ended.is_set()

    def test_a_lower_symbol_limit_is_respected(self, simulated, files, condord, follower):
        files.change(alpaca={"symbol_limit": 5})
        condord.reload("Configuration reloaded")
        until(lambda: condord.status()["code"] == "symbolLimit", "the limit is reported")
        until(lambda: len(streams(simulated)["option"]["open"][0]["subscriptions"]) == 5, "the limit is respected")
        assert not follower.ended.is_set()
        assert streams(simulated)["option"]["maxOpen"] == 1

    @pytest.mark.parametrize("secret_key", ["two words", ""])
    def test_a_bad_key_file_is_reported_and_changes_nothing(self, simulated, files, condord, follower, secret_key):
        before = streams(simulated)
        files.write_key("KEYTWO", secret_key)
        files.change(server={"max_subscribers": 1})
        assert "condord.secret" in condord.reload("Configuration refused")
        assert condord.status()["maxSubscribers"] == 1000
        files.write_key("KEYONE", "secret-one")
        condord.reload("Configuration reloaded")
        assert condord.status()["maxSubscribers"] == 1
        assert [stream["id"] for stream in streams(simulated)["option"]["open"]] == [
            stream["id"] for stream in before["option"]["open"]
        ]
        assert condord.status()["state"] == "live"
        assert not follower.ended.is_set()

    def test_new_limits_drop_neither_the_connection_nor_a_subscriber(self, simulated, files, condord, follower):
        before, reconnects = streams(simulated), condord.status()["reconnects"]
        simulated.post("market", rate=20)  # not every change exceeds the new limit
        files.change(
            stream={"window_ms": 500, "min_change": 0.05, "silence_seconds": 7, "backoff_max_seconds": 3.0},
            rest={"breaker_failures": 2},
        )
        assert "needs_restart=[]" in condord.reload("Configuration reloaded")
        seen = len(follower.events)
        until(lambda: len(follower.events) > seen + 2, "quotes continue")
        after = streams(simulated)
        for name in ("option", "stock", "trading"):
            assert [stream["id"] for stream in after[name]["open"]] == [stream["id"] for stream in before[name]["open"]]
            assert after[name]["accepted"] == before[name]["accepted"]
        assert condord.status()["reconnects"] == reconnects
        assert not follower.ended.is_set()
        assert all(document["status"]["state"] == "live" for document in list(follower.documents.values())[1:])


def test_a_new_key_is_sent_to_alpaca(tmp_path):
    sabotage = "from condord import simulator\nsimulator.run.__kwdefaults__['credentials'] = ('GOODKEY', 'good-word')\n"
    prelude = tmp_path / "prelude.py"
    prelude.write_text(sabotage)
    with closing_program(Simulated(**{PRELUDE: str(prelude)})) as simulated:
        files = Files(tmp_path, simulated)
        with closing_program(Reloaded(files)) as condord, closing(Follower(condord.url)) as follower:
            assert condord.await_state("halted")["code"] == "authFailed"
            until(lambda: condord.status()["positions"]["error"], "REST is refused too")
            files.write_key("GOODKEY", "good-word")
            condord.reload("Configuration reloaded")
            condord.await_state("live")
            until(lambda: is_well(condord.document()), "the account is read with the new key")
            assert condord.status()["positions"]["error"] is None
            assert not follower.ended.is_set()
            assert streams(simulated)["option"]["maxOpen"] == 1


def test_another_feed_is_received_over_a_new_connection(tmp_path):
    with closing_program(Simulated("--scenario", "opra")) as simulated:
        files = Files(tmp_path, simulated)
        with closing_program(Reloaded(files)) as condord, closing(Follower(condord.url)) as follower:
            condord.await_state("live")
            files.opra()
            assert "needs_restart=[]" in condord.reload("Configuration reloaded")
            await_well(condord, simulated, 2)
            assert condord.status()["feed"] == "opra"
            until(lambda: follower.document["status"]["feed"] == "opra", "the subscriber receives the new feed")
            assert not follower.ended.is_set()
            option = streams(simulated)["option"]
            assert [stream["feed"] for stream in option["open"]] == ["opra"]
            assert option["maxOpen"] == 1
            assert streams(simulated)["trading"]["accepted"] == 1


def test_a_higher_subscriber_limit_raises_the_limit_on_open_files(condord, files):
    pid = condord.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 2000))
    files.change(server={"max_subscribers": 1100})
    condord.reload("Configuration reloaded")
    assert 1100 < resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] < 2000
    files.change(server={"max_subscribers": 1900})
    assert "max_subscribers=1900" in condord.reload("Too few open files")
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == 2000


def test_a_key_is_refused_while_another_daemon_uses_it(tmp_path, simulated, files, condord):
    others = Files(tmp_path, simulated, "other")
    others.write_key("KEYTWO", "secret-two")
    with closing_program(Reloaded(others)) as other:
        other.await_state("live")
        files.write_key("KEYTWO", "secret-two")
        assert f"process {other.process.pid})" in condord.reload("Configuration refused")
        assert (condord.status()["state"], other.status()["state"]) == ("live", "live")
        assert other.stop() == 0
    accepted = streams(simulated)["option"]["accepted"]
    condord.reload("Configuration reloaded")
    await_well(condord, simulated, accepted + 1)


def test_a_replaced_key_is_free_for_another_daemon(tmp_path, simulated, files):
    others = Files(tmp_path, simulated, "other")
    with closing_program(Reloaded(files, **replaced(daemon__reload__RELEASE_SECONDS=0.1))) as condord:
        condord.await_state("live")
        files.write_key("KEYTWO", "secret-two")
        condord.reload("Configuration reloaded")
        await_well(condord, simulated, 2)
        with closing_program(Reloaded(others)) as other:
            other.await_state("live")
            assert condord.status()["state"] == "live"


def test_repeated_reloads_and_reloads_during_shutdown_do_no_harm(simulated, files, condord, follower):
    for number in range(6):
        files.write_key(f"KEY{number}", f"secret-{number}")
        condord.process.send_signal(signal.SIGHUP)
    condord.reload("Configuration reloaded")
    until(lambda: condord.status()["state"] == "live" and is_well(condord.document()), "it is healthy")
    assert [streams(simulated)[name]["maxOpen"] for name in ("option", "stock", "trading")] == [1, 1, 1]
    assert not follower.ended.is_set()
    condord.process.send_signal(signal.SIGTERM)

    def has_ended():
        condord.process.send_signal(signal.SIGHUP)
        return condord.process.poll() is not None

    until(has_ended, "it ends", pause=0.001)
    assert condord.wait() == 0
