import logging
import os

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord import logs
from condord.config import Alpaca, Config, Log, Rest, Server, Stream
from condord.errors import ConfigError, CredentialsMissing, Unavailable
from condord.inputs import Inputs
from condord.lock import Locks
from condord.settings import supervisor


@pytest.fixture(autouse=True)
def _root():
    """The root logger as it was: it is the interpreter's."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], _ = before
    root.setLevel(before[1])


class World:
    """Files that a daemon reads, and a second process's lock; `config` is what its file holds."""

    def __init__(self, place):
        self.place = place
        self.key_file, self.secret_file = place / "key", place / "secret"
        self.write("KEYONE", "secret-one")
        self.config = Config(
            alpaca=Alpaca(key_id_file=str(self.key_file), secret_key_file=str(self.secret_file)), log=Log(level="info")
        )
        self.locks = Locks(place / "locks")
        self.others = Locks(place / "locks")
        self.environ = {}

    def write(self, key_id, secret_key):
        for path, text in ((self.key_file, key_id), (self.secret_file, secret_key)):
            path.write_text(text + "\n")
            path.chmod(0o600)

    def change(self, section, **values):
        part = msgspec.structs.replace(getattr(self.config, section), **values)
        self.config = msgspec.structs.replace(self.config, **{section: part})

    def inputs(self):
        return Inputs(self.config, environ=self.environ, reread=lambda: self.config, locks=self.locks)

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
def world(tmp_path):
    world = World(tmp_path)
    with world.locks, world.others:
        yield world


def in_force(inputs):
    return inputs.config, inputs.login, inputs.login.key_id, inputs.login.secret_key


def test_at_the_start_the_key_is_found_and_ours_alone(world):
    inputs = world.inputs()
    assert (inputs.login.key_id, inputs.login.secret_key, inputs.token) == ("KEYONE", "secret-one", None)
    assert not world.is_free("KEYONE")


def test_a_new_key_is_taken_and_the_old_one_stays_ours_until_it_is_let_go(world):
    inputs = world.inputs()
    world.write("KEYTWO", "secret-two")
    assert inputs.renew() == []
    assert (inputs.login.key_id, inputs.login.secret_key) == ("KEYTWO", "secret-two")
    assert (world.is_free("KEYONE"), world.is_free("KEYTWO")) == (False, False)
    inputs.let_go()
    assert (world.is_free("KEYONE"), world.is_free("KEYTWO")) == (True, False)


def test_a_new_secret_of_the_same_key_is_another_login(world):
    inputs = world.inputs()
    before = inputs.login
    world.write("KEYONE", "secret-two")
    inputs.renew()
    assert inputs.login is not before
    assert inputs.login.secret_key == "secret-two"


def test_the_same_key_is_the_same_login_wherever_it_is_found(world):
    inputs = world.inputs()
    before = inputs.login
    world.environ |= {"APCA_API_KEY_ID": "KEYONE", "APCA_API_SECRET_KEY": "secret-one"}
    world.change("stream", window_ms=500)
    assert inputs.renew() == []
    assert inputs.login is before
    assert inputs.config.stream.window_ms == 500


def test_going_back_to_a_key_before_it_was_let_go_keeps_it(world):
    inputs = world.inputs()
    for name in ("TWO", "ONE"):
        world.write(f"KEY{name}", "secret")
        inputs.renew()
    inputs.let_go()
    assert (world.is_free("KEYONE"), world.is_free("KEYTWO")) == (False, True)


def test_another_feed_is_another_stream_to_have_alone(world):
    inputs = world.inputs()
    world.change("alpaca", feed="opra")
    assert inputs.renew() == []
    assert not world.is_free("KEYONE", "opra")
    inputs.let_go()
    assert world.is_free("KEYONE")


def test_keys_that_wait_for_a_restart_are_named_until_then(world):
    inputs = world.inputs()
    world.change("server", port=1)
    world.change("rest", threads=2)
    assert inputs.renew() == ["rest.threads", "server.port"]
    assert inputs.renew() == ["rest.threads", "server.port"]
    assert (inputs.config.server.port, inputs.config.rest.threads) == (Server().port, Rest().threads)


def test_where_the_account_waits_for_a_restart_its_key_does_too(world):
    inputs = world.inputs()
    world.write("LIVEKEY", "secret-live")
    world.change("alpaca", paper=False)
    assert inputs.renew() == ["alpaca.paper"]
    assert inputs.login.key_id == "KEYONE"
    assert world.is_free("LIVEKEY")


def test_of_an_unusable_configuration_nothing_is_taken(world):
    def broken():
        raise ConfigError(["stream.window: unknown key"])

    inputs = Inputs(world.config, environ={}, reread=broken, locks=world.locks)
    before = in_force(inputs)
    world.write("KEYTWO", "secret-two")
    with pytest.raises(ConfigError):
        inputs.renew()
    assert in_force(inputs) == before


def test_with_an_unusable_key_nothing_else_is_taken_either(world):
    inputs = world.inputs()
    before = in_force(inputs)
    world.change("stream", window_ms=Stream().window_ms + 1)
    world.secret_file.write_text("two words\n")
    with pytest.raises(CredentialsMissing):
        inputs.renew()
    assert in_force(inputs) == before


def test_with_a_key_that_another_daemon_has_nothing_else_is_taken_either(world):
    inputs = world.inputs()
    before = in_force(inputs)
    world.others.take(key_id="KEYTWO", stream_url=supervisor(world.config).option_stream_url)
    world.change("stream", window_ms=500)
    world.write("KEYTWO", "secret-two")
    with pytest.raises(Unavailable, match="process"):
        inputs.renew()
    assert in_force(inputs) == before


def test_old_and_new_secrets_are_hidden_also_where_the_new_ones_were_refused(world, capsys):
    token = world.place / "token"
    token.write_text("0123456789abcdef-token\n")
    token.chmod(0o600)
    world.change("server", token_file=str(token))
    inputs = world.inputs()
    world.write("KEYTWO", "secret-two")
    inputs.renew()
    world.others.take(key_id="KEYTHREE", stream_url=supervisor(world.config).option_stream_url)
    world.write("KEYTHREE", "secret-three")
    with pytest.raises(Unavailable):
        inputs.renew()
    secrets = ["KEYONE", "secret-one", "KEYTWO", "secret-two", "KEYTHREE", "secret-three", "0123456789abcdef-token"]
    logging.getLogger("condord").warning("told", extra=logs.fields(text=" ".join(secrets)))
    told = capsys.readouterr().err
    assert told.count("***") == len(secrets)
    assert not any(secret in told for secret in secrets)


def test_the_log_is_as_the_configuration_in_force_says(world, capsys):
    inputs = world.inputs()
    world.change("log", level="error", format="json")
    inputs.renew()
    logging.getLogger("condord").warning("not told")
    logging.getLogger("condord").error("told")
    assert capsys.readouterr().err.startswith('{"time"')


def test_a_fifo_in_place_of_a_key_holds_nothing_up_and_changes_nothing(world):
    inputs = world.inputs()
    before = in_force(inputs)
    world.secret_file.unlink()
    os.mkfifo(world.secret_file, 0o600)
    with pytest.raises(CredentialsMissing, match="no regular file"):
        inputs.renew()
    assert in_force(inputs) == before
