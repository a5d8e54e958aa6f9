import asyncio
import logging
import os

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config import channel_files, credentials
from condord.config import startup as of_start
from condord.config.schema import AlertTable, Alpaca, ChannelTable, Config, Log, Rest, Server, Stream
from condord.daemon.reload import RELEASE_SECONDS, Inputs, Reload
from condord.daemon.wiring import supervisor
from condord.errors import ConfigError, CredentialsMissing, Unavailable
from condord.host import logs
from condord.host.instance_lock import Locks
from condord.http.guard import Guard
from tests import virtualtime
from tests.fakes.startup import restored_root_logger, startup
from tests.http.fake_daemon import FakeDaemon

LOCAL_URLS = {
    "trading_url": "http://127.0.0.1:1",
    "data_url": "http://127.0.0.1:1",
    "option_stream_url": "ws://127.0.0.1:1/x",
    "trading_stream_url": "ws://127.0.0.1:1/x",
}


@pytest.fixture(autouse=True)
def _restored_logger():
    with restored_root_logger():
        yield


class Machine:
    """The files that a daemon reads, and the locks of a second process; `config` is what its file holds."""

    def __init__(self, directory):
        self.directory = directory
        self.key_file, self.secret_file = directory / "key", directory / "secret"
        self.write("KEYONE", "secret-one")
        self.config = Config(
            alpaca=Alpaca(key_id_file=str(self.key_file), secret_key_file=str(self.secret_file)), log=Log(level="info")
        )
        self.locks = Locks(directory / "locks")
        self.others = Locks(directory / "locks")
        self.environ = {}

    def write(self, key_id, secret_key):
        for path, text in ((self.key_file, key_id), (self.secret_file, secret_key)):
            path.write_text(text + "\n")
            path.chmod(0o600)

    def change(self, section, **values):
        part = msgspec.structs.replace(getattr(self.config, section), **values)
        self.config = msgspec.structs.replace(self.config, **{section: part})

    def set_channel(self, name, url):
        """One webhook, whose file holds `url`."""
        path = self.directory / f"{name}-url"
        path.write_text(url)
        path.chmod(0o600)
        table = ChannelTable(name=name, type="webhook", url_file=str(path))
        self.config = msgspec.structs.replace(self.config, notify=(table,))

    def inputs(self, reread=None):
        """The inputs of a daemon that starts now."""
        alpaca, token_file = self.config.alpaca, self.config.server.token_file
        key = credentials.find(self.environ, alpaca.key_id_file, alpaca.secret_key_file)
        token = credentials.read_token(token_file) if token_file else None
        channels = channel_files.read(self.config.notify, self.environ).files
        found = startup(self.config, key, token, channels=channels)
        return Inputs(found, environ=self.environ, reread=reread or (lambda: self.config), locks=self.locks)

    def is_free(self, key_id, feed="indicative"):
        """Whether another daemon would get this key on this feed."""
        url = supervisor(Config(alpaca=Alpaca(feed=feed))).option_stream_url
        try:
            self.others.take(key_id=key_id, stream_url=url)
        except Unavailable:
            return False
        self.others.keep_only(key_id="", stream_url="")
        return True


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    with machine.locks, machine.others:
        yield machine


def in_force(inputs):
    return inputs.config, inputs.login, inputs.login.key_id, inputs.login.secret_key


def test_at_the_start_the_key_is_locked(machine):
    inputs = machine.inputs()
    assert (inputs.login.key_id, inputs.login.secret_key, inputs.token) == ("KEYONE", "secret-one", None)
    assert not machine.is_free("KEYONE")


def test_a_start_reads_the_files_of_the_key_the_token_and_the_channels_once(machine, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    machine.set_channel("hook", "https://hooks.example/a")
    alpaca, [channel] = machine.config.alpaca, machine.config.notify
    file = tmp_path / "condord.toml"
    file.write_text(
        f"[alpaca]\nkey_id_file = '{alpaca.key_id_file}'\nsecret_key_file = '{alpaca.secret_key_file}'\n"
        f"[server]\ntoken_file = '{token}'\n[[notify]]\nname = 'hook'\ntype = 'webhook'\nurl_file = '{channel.url_file}'\n"
    )
    found = of_start.load(file, {}, {})
    for path in (machine.key_file, machine.secret_file, token, file, tmp_path / "hook-url"):
        path.unlink()
    inputs = Inputs(found, environ={}, reread=lambda: machine.config, locks=machine.locks)
    assert (inputs.login.key_id, inputs.token.reveal()) == ("KEYONE", "0123456789abcdef")
    assert [each.url.reveal() for each in inputs.channels] == ["https://hooks.example/a"]


def test_a_new_key_is_taken_and_the_old_one_stays_locked_until_it_is_released(machine):
    inputs = machine.inputs()
    machine.write("KEYTWO", "secret-two")
    assert inputs.renew() == []
    assert (inputs.login.key_id, inputs.login.secret_key) == ("KEYTWO", "secret-two")
    assert (machine.is_free("KEYONE"), machine.is_free("KEYTWO")) == (False, False)
    inputs.release()
    assert (machine.is_free("KEYONE"), machine.is_free("KEYTWO")) == (True, False)


def test_a_new_secret_of_the_same_key_is_another_login(machine):
    inputs = machine.inputs()
    before = inputs.login
    machine.write("KEYONE", "secret-two")
    inputs.renew()
    assert inputs.login is not before
    assert inputs.login.secret_key == "secret-two"


def test_the_same_key_is_the_same_login_wherever_it_is_found(machine):
    inputs = machine.inputs()
    before = inputs.login
    machine.environ |= {"APCA_API_KEY_ID": "KEYONE", "APCA_API_SECRET_KEY": "secret-one"}
    machine.change("stream", window_ms=500)
    assert inputs.renew() == []
    assert inputs.login is before
    assert inputs.config.stream.window_ms == 500


def test_going_back_to_a_key_before_it_was_released_keeps_it(machine):
    inputs = machine.inputs()
    for name in ("TWO", "ONE"):
        machine.write(f"KEY{name}", "secret")
        inputs.renew()
    inputs.release()
    assert (machine.is_free("KEYONE"), machine.is_free("KEYTWO")) == (False, True)


def test_another_feed_is_another_stream_to_lock(machine):
    inputs = machine.inputs()
    machine.change("alpaca", feed="opra")
    assert inputs.renew() == []
    assert not machine.is_free("KEYONE", "opra")
    inputs.release()
    assert machine.is_free("KEYONE")


def test_keys_that_need_a_restart_are_returned_by_every_reload(machine):
    inputs = machine.inputs()
    machine.change("server", port=1)
    machine.change("rest", threads=2)
    assert inputs.renew() == ["rest.threads", "server.port"]
    assert inputs.renew() == ["rest.threads", "server.port"]
    assert (inputs.config.server.port, inputs.config.rest.threads) == (Server().port, Rest().threads)


def test_while_the_account_waits_for_a_restart_its_key_does_too(machine):
    inputs = machine.inputs()
    machine.write("LIVEKEY", "secret-live")
    machine.change("alpaca", paper=False)
    assert inputs.renew() == ["alpaca.paper"]
    assert inputs.login.key_id == "KEYONE"
    assert machine.is_free("LIVEKEY")


def test_an_unusable_configuration_changes_nothing(machine):
    def broken():
        raise ConfigError(["stream.window: unknown key"])

    inputs = machine.inputs(broken)
    before = in_force(inputs)
    machine.write("KEYTWO", "secret-two")
    with pytest.raises(ConfigError):
        inputs.renew()
    assert in_force(inputs) == before


def test_an_unusable_key_changes_nothing(machine):
    inputs = machine.inputs()
    before = in_force(inputs)
    machine.change("stream", window_ms=Stream().window_ms + 1)
    machine.secret_file.write_text("two words\n")
    with pytest.raises(CredentialsMissing):
        inputs.renew()
    assert in_force(inputs) == before


def test_a_key_that_another_daemon_uses_changes_nothing(machine):
    inputs = machine.inputs()
    before = in_force(inputs)
    machine.others.take(key_id="KEYTWO", stream_url=supervisor(machine.config).option_stream_url)
    machine.change("stream", window_ms=500)
    machine.write("KEYTWO", "secret-two")
    with pytest.raises(Unavailable, match="process"):
        inputs.renew()
    assert in_force(inputs) == before


def test_old_and_new_secrets_are_masked_even_if_the_new_ones_were_refused(machine, capsys):
    token = machine.directory / "token"
    token.write_text("0123456789abcdef-token\n")
    token.chmod(0o600)
    machine.change("server", token_file=str(token))
    inputs = machine.inputs()
    machine.write("KEYTWO", "secret-two")
    inputs.renew()
    machine.others.take(key_id="KEYTHREE", stream_url=supervisor(machine.config).option_stream_url)
    machine.write("KEYTHREE", "secret-three")
    with pytest.raises(Unavailable):
        inputs.renew()
    secrets = ["KEYONE", "secret-one", "KEYTWO", "secret-two", "KEYTHREE", "secret-three", "0123456789abcdef-token"]
    logging.getLogger("condord").warning("written", extra=logs.fields(text=" ".join(secrets)))
    written = capsys.readouterr().err
    assert written.count("***") == len(secrets)
    assert not any(secret in written for secret in secrets)


def test_the_log_follows_the_configuration_in_force(machine, capsys):
    inputs = machine.inputs()
    machine.change("log", level="error", format="json")
    inputs.renew()
    logging.getLogger("condord").warning("not written")
    logging.getLogger("condord").error("written")
    assert capsys.readouterr().err.startswith('{"time"')


def test_a_fifo_in_place_of_a_key_neither_blocks_nor_changes_anything(machine):
    inputs = machine.inputs()
    before = in_force(inputs)
    machine.secret_file.unlink()
    os.mkfifo(machine.secret_file, 0o600)
    with pytest.raises(CredentialsMissing, match="not a regular file"):
        inputs.renew()
    assert in_force(inputs) == before


def test_an_unusable_proxy_and_certificates_are_refused_at_the_start_if_they_are_needed(machine):
    machine.environ = {"SSL_CERT_FILE": str(machine.directory / "none"), "HTTPS_PROXY": "ftp://p:1"}
    with pytest.raises(ConfigError) as caught:
        machine.inputs()
    assert [fault.split()[1] for fault in caught.value.faults] == ["SSL_CERT_FILE", "HTTPS_PROXY"]
    machine.change("alpaca", **LOCAL_URLS)
    assert machine.inputs().network.proxy("ws://127.0.0.1:1/x") is None


def test_a_reload_with_a_url_that_needs_unreadable_certificates_changes_nothing(machine):
    machine.environ = {"SSL_CERT_FILE": str(machine.directory / "none")}
    machine.change("alpaca", **LOCAL_URLS)
    inputs = machine.inputs()
    before = in_force(inputs)
    machine.change("alpaca", option_stream_url="wss://stream.example/x")
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        inputs.renew()
    assert in_force(inputs) == before


class FakeUpstream:
    """REST and the supervisor, as far as a reload uses them: every call with its arguments."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))

    @property
    def names(self):
        return [name for name, *_ in self.calls]


class Running:
    """A daemon that runs on the inputs of `machine`."""

    def __init__(self, machine, reread=None):
        self.inputs = machine.inputs(reread)
        self.upstream, self.alerts = FakeUpstream(), FakeUpstream()
        self.publisher = FakeDaemon().publisher
        self.guard = Guard(None, None)
        self.reload = Reload(
            self.inputs,
            publisher=self.publisher,
            alerts=self.alerts,
            brokerage=self.upstream,
            supervisor=self.upstream,
            guard=self.guard,
            guard_settings=lambda config: config.server,
        )

    def run(self):
        """Reload within a loop, whose time goes on until the old locks are released."""

        async def main():
            self.reload.run()
            await asyncio.sleep(RELEASE_SECONDS + 1)

        virtualtime.run(main())


def test_a_valid_configuration_reaches_every_part(machine):
    running = Running(machine)
    machine.change("stream", window_ms=500, min_change=0.05)
    machine.change("server", allowed_hosts=("a.example",))
    machine.change("model", rate=0.05, interval_seconds=1.0)
    machine.change("expiry", liquidation_minutes=60)
    running.run()
    book = running.publisher.book
    assert (book.risks.figures.assumptions.rate, book.risks.interval_seconds) == (0.05, 1.0)
    assert book.cutoffs.liquidation_minutes == 60
    assert (running.publisher.coalescer.window_seconds, running.publisher.book.changes.min_change_e4) == (0.5, 500)
    assert running.guard.settings.allowed_hosts == ("a.example",)
    assert running.upstream.names == ["set_breaker", "reload", "retry"]


def test_rules_and_channels_are_applied_channels_first(machine):
    machine.set_channel("hook", "https://hook.example/one")
    running = Running(machine)
    machine.set_channel("hook", "https://hook.example/two")
    rule = AlertTable(name="half", when="percentOfMaxProfit >= 40")
    machine.config = msgspec.structs.replace(machine.config, alert=(rule, AlertTable(name="tested", enabled=False)))
    running.run()
    (channels, rules) = running.alerts.calls
    assert (channels[0], [channel.url.reveal() for channel in channels[1]]) == (
        "set_channels",
        ["https://hook.example/two"],
    )
    enabled = {each.name: each.enabled for each in rules[1]}
    assert (rules[0], enabled["half"], enabled["tested"]) == ("set_rules", True, False)
    assert [each.name for each in rules[1] if not each.built_in] == ["half"]


def test_the_file_of_a_channel_that_cannot_be_used_changes_nothing_and_is_not_shown(machine, capsys):
    machine.set_channel("hook", "https://hook.example/one")
    running = Running(machine)
    before = running.inputs.channels
    machine.set_channel("hook", "http://hook.example/a-secret-path")
    machine.change("stream", window_ms=500)
    running.run()
    assert (running.inputs.channels, running.alerts.calls, running.upstream.names) == (before, [], ["retry"])
    assert "a-secret-path" not in capsys.readouterr().err


def test_the_secrets_of_a_channel_are_masked_from_the_start(machine, capsys):
    machine.set_channel("hook", "https://hook.example/one")
    (channel,) = machine.inputs().channels
    assert (channel.name, channel.type, channel.signing_key) == ("hook", "webhook", None)
    logging.getLogger("condord").warning("written", extra=logs.fields(text="to https://hook.example/one"))
    assert "hook.example/one" not in capsys.readouterr().err


def test_another_key_or_feed_logs_in_to_rest_again_before_the_streams_reconnect(machine):
    running = Running(machine)
    machine.write("KEYTWO", "secret-two")
    running.run()
    assert running.upstream.names == ["set_breaker", "relogin", "reload", "retry"]
    assert running.upstream.calls[1][2].key_id == "KEYTWO"
    assert (machine.is_free("KEYONE"), machine.is_free("KEYTWO")) == (True, False)


def test_another_feed_of_stocks_logs_in_to_rest_again(machine):
    running = Running(machine)
    machine.change("alpaca", stock_feed="sip")
    running.run()
    assert running.upstream.names == ["set_breaker", "relogin", "reload", "retry"]
    assert running.upstream.calls[1][1].stock_feed == "sip"
    settings = running.upstream.calls[2][1]
    assert (settings.stock_feed, settings.stock_stream_url.rpartition("/")[2]) == ("sip", "sip")


def test_an_invalid_configuration_only_retries_and_its_faults_are_logged(machine, capsys):
    def broken():
        raise ConfigError(["stream.window: unknown key"])

    running = Running(machine, broken)
    running.run()
    assert running.upstream.names == ["retry"]
    assert running.guard.settings is None
    assert "stream.window: unknown key" in capsys.readouterr().err
