import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.config import schema, sources, toml_text
from condord.errors import ConfigError
from tests.needs import without

EXAMPLE = Path(__file__).parents[2] / "condord.toml.example"
FIELDS = {field.name: field for field in schema.fields()}
NAMES = sorted(FIELDS)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "condord.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """There is no file in any of the default directories."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(sources, "SYSTEM_PATH", tmp_path / "etc" / "condord.toml")
    return tmp_path


def value_of(loaded, name):
    section, key = name.split(".")
    return getattr(getattr(loaded.config, section), key)


def faults_of(path=None, environ=None, flags=None):
    with pytest.raises(ConfigError) as caught:
        sources.load(path, environ or {}, flags or {})
    assert caught.value.exit_code == 78
    assert caught.value.hint
    assert all("\n" not in fault for fault in caught.value.faults)
    return caught.value.faults


def loaded_or_faults(path, environ, flags):
    try:
        return sources.load(path, environ, flags), ()
    except ConfigError as error:
        return None, error.faults


# Where the file is


def test_without_any_file_everything_is_at_its_default(empty_folder):
    loaded = sources.load(None, {}, {})
    assert loaded.path is None
    assert loaded.config == schema.Config()
    assert set(loaded.origins) == set(FIELDS) | schema.TABLES.keys()
    assert set(loaded.origins.values()) == {"default"}


def test_the_first_file_found_is_the_only_one_read(empty_folder):
    user, system = empty_folder / "user/condord/condord.toml", empty_folder / "etc/condord.toml"
    named, variable = empty_folder / "named.toml", empty_folder / "variable.toml"
    for number, path in enumerate((system, user, variable, named), 1):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[server]\nport = {number}\n")
    environ = {"CONDORD_CONFIG": str(variable)}
    assert sources.load(named, environ, {}).path == named
    assert sources.load(None, environ, {}).config.server.port == 3
    assert sources.load(None, {}, {}).path == user
    user.unlink()
    loaded = sources.load(None, {}, {})
    assert (loaded.path, loaded.config.server.port) == (system, 1)


def test_the_candidates_are_in_order(empty_folder):
    assert sources.candidates(None, {}) == (empty_folder / "user/condord/condord.toml", sources.SYSTEM_PATH)
    assert sources.candidates(Path("/x"), {"CONDORD_CONFIG": "/y"}) == (Path("/x"),)
    assert sources.candidates(None, {"CONDORD_CONFIG": "/y"}) == (Path("/y"),)


def test_an_empty_condord_config_names_no_file(empty_folder):
    assert sources.load(None, {"CONDORD_CONFIG": ""}, {}).path is None


def test_a_named_file_that_is_missing_is_an_error(tmp_path):
    missing = tmp_path / "none.toml"
    for arguments in ((missing, {}), (None, {"CONDORD_CONFIG": str(missing)})):
        (fault,) = faults_of(*arguments)
        assert str(missing) in fault
        assert "No such file" in fault


def test_a_directory_in_place_of_the_file_is_an_error(tmp_path):
    (fault,) = faults_of(tmp_path)
    assert fault == f"{tmp_path}: cannot be read: it is not a regular file"


def test_a_fifo_or_device_in_place_of_the_file_is_an_error_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        assert faults_of(path) == (f"{path}: cannot be read: it is not a regular file",)


def test_a_file_of_more_than_a_mebibyte_is_an_error(write):
    path = write("#" * 2**20)
    assert sources.load(path, {}, {}).path == path
    found = sources.read(write("#" * 2**20 + "\n"), {}, {})
    assert found.faults == (f"{path}: cannot be read: it holds more than 1048576 bytes",)
    assert found.hint.startswith("It may have at most 1 MiB: shorten it")


def test_a_file_that_everybody_may_write_is_not_read_and_the_hint_has_the_remedy(write):
    path = write("[server]\nport = 1\nprot = 1\n")
    path.chmod(0o646)
    parsed = sources.read(path, {}, {})
    assert parsed.faults == (f"{path}: everyone may write to it",)
    assert parsed.loaded.config == schema.Config()
    assert "chmod " in parsed.hint
    assert parsed.hint.endswith(f" {path}")


@without("root", os.geteuid() != 0)
def test_as_root_a_file_that_another_user_owns_or_a_group_may_write_is_refused(write):
    path = write("")
    path.chmod(0o664)
    assert faults_of(path) == (f"{path}: its group may write to it",)
    path.chmod(0o644)
    os.chown(path, 54321, 0)
    assert faults_of(path) == (f"{path}: its owner, user 54321, may write to it",)
    assert sources.read(path, {}, {}).hint == f"chown root: {path} && chmod go-w {path}"


def test_a_file_that_is_not_utf_8_is_an_error_with_its_line(write):
    path = write(b"[server]\n# \xff\n")
    assert faults_of(path) == (f"{path}:2: this is not UTF-8",)


def test_a_byte_order_mark_is_accepted(write):
    assert sources.load(write(b"\xef\xbb\xbf[server]\nport = 9\n"), {}, {}).config.server.port == 9


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nport =\n", 2),
        ("[server]\nport = 1\nport = 2\n", 3),
        ("[server\n", 1),
        ("a = " + "[" * 5000, 1),
        ("\nport = " + "9" * 5000, 2),
    ],
)
def test_broken_toml_is_an_error_with_its_line(write, text, line):
    path = write(text)
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:{line}: broken TOML: ")


@pytest.mark.parametrize(
    "value", ["half", "percentOfMaxProfit >= 50", "22:00-08:00 Europe/Berlin", "\u201chalf\u201d", "yes"]
)
def test_a_text_without_quotation_marks_is_explained(write, value):
    path = write(f"[[alert]]\nname = {value}\n")
    hint = sources.read(path, {}, {}).hint
    assert 'name = "half"' in hint


def test_other_broken_toml_is_not_blamed_on_quotation_marks(write):
    assert "quotation" not in sources.read(write("[[alert]\n"), {}, {}).hint


def test_broken_toml_does_not_hide_the_faults_elsewhere(write):
    assert len(faults_of(write("["), {"CONDORD_SERVER_PORT": "x"}, {"log.level": "loud"})) == 3


def test_a_missing_file_does_not_hide_the_faults_elsewhere(tmp_path):
    faults = faults_of(tmp_path / "none.toml", {"CONDORD_SERVER_PORT": "x"}, {"log.level": "loud"})
    assert [fault.split(": ")[0] for fault in faults] == [
        str(tmp_path / "none.toml"),
        "environment CONDORD_SERVER_PORT",
        "flag",
    ]


def test_only_the_first_fault_of_a_broken_file_is_reported(write):
    path = write("[server]\nport = 9:00\nhost = 'a b'\nuds = ''\nuds = '/x'\nprot = 1\n")
    assert faults_of(path) == (f"{path}:2: broken TOML: Expected newline or end of document after a statement",)


def test_a_key_that_is_given_twice_is_reported_with_the_line_of_the_first(write):
    path = write("[server]\nport = 1\nuds = ''\nuds = '/x'\n")
    assert faults_of(path) == (f"{path}:4: broken TOML: server.uds is already on line 3",)


def test_in_one_file_unknown_keys_wrong_values_and_wrong_sections_are_reported_together(write):
    path = write("[server]\nhost = 'a b'\nprot = 1\n[[log]]\n[alpaca]\npaper = 1\n")
    assert faults_of(path) == (
        f"{path}:2: server.host = 'a b': must be a host name or an address, IPv6 without brackets",
        f"{path}:3: server.prot = 1: unknown key; the nearest known key is server.port (CONDORD_SERVER_PORT)",
        f"{path}:4: log = [a table]: must be a table, [log]",
        f"{path}:6: alpaca.paper = 1: must be true or false",
    )


def test_keys_that_an_unreadable_file_may_set_are_not_checked_against_others(write):
    environ = {"CONDORD_SERVER_HOST": "0.0.0.0", "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "90"}  # noqa: S104
    assert len(faults_of(write("[server\n"), environ)) == 1


def test_a_faulty_key_keeps_the_value_of_a_weaker_source_and_is_uncertain(write):
    path = write("[server]\nport = 7\nhost = 'localhost'\n")
    parsed = sources.read(path, {"CONDORD_SERVER_PORT": "x"}, {})
    server = parsed.loaded.config.server
    assert (server.port, server.host, parsed.uncertain) == (7, "localhost", {"server.port"})
    assert len(parsed.faults) == 1


def test_with_a_broken_file_every_key_that_no_stronger_source_sets_is_uncertain(write):
    parsed = sources.read(write("[server]\nport = x\nhost = 'localhost'\n"), {"CONDORD_LOG_LEVEL": "error"}, {})
    assert set(FIELDS) - parsed.uncertain == {"log.level"}
    assert parsed.loaded.config.server == schema.Server()


# Precedence and origins


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(write):
    path = write("[server]\nport = 1\nhost = 'localhost'\nring_size = 8\n")
    environ = {"CONDORD_SERVER_PORT": "2", "CONDORD_SERVER_HOST": "::1"}
    loaded = sources.load(path, environ, {"server.port": 3, "server.uds": None})
    server = loaded.config.server
    assert (server.port, server.host, server.ring_size, server.replay_size) == (3, "::1", 8, 1024)
    assert loaded.origins["server.port"] == "flag"
    assert loaded.origins["server.host"] == "environment CONDORD_SERVER_HOST"
    assert loaded.origins["server.ring_size"] == f"file {path}"
    assert loaded.origins["server.replay_size"] == "default"
    assert loaded.origins["server.uds"] == "default"


def test_a_value_that_a_command_sets_has_its_name_as_the_origin(empty_folder):
    flags = {"cluster.role": sources.SetByCommand("relay", "condord relay")}
    fault = "set by `condord relay`: cluster.role = 'relay': a relay needs the URL of another condord"
    assert faults_of(None, {}, flags)[0].startswith(fault)
    loaded = sources.load(None, {}, {**flags, "cluster.source": "unix:///run/x"})
    assert loaded.config.cluster.role == "relay"
    assert (loaded.origins["cluster.role"], loaded.origins["cluster.source"]) == ("condord relay", "flag")


def test_a_fault_is_reported_even_if_a_stronger_source_sets_the_key(write):
    path = write("[server]\nport = 99999\n")
    assert len(faults_of(path, {}, {"server.port": 9})) == 1


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("server.port", "9000", 9000),
        ("stream.min_change", "0.05", 0.05),
        ("stream.min_change", "1", 1.0),
        *(("alpaca.paper", raw, True) for raw in ("true", "1", "yes", "True", "YES")),
        *(("alpaca.paper", raw, False) for raw in ("false", "0", "no", "No")),
        ("server.allowed_hosts", "a.example, b.example,", ("a.example", "b.example")),
        ("server.allowed_origins", "", ()),
        ("alpaca.feed", "opra", "opra"),
        ("server.token_file", "/a b/c", "/a b/c"),
        ("model.rate", "-0.01", -0.01),
        ("model.dividend_yield", "SPX=0.012, BRK.B = 0,", {"SPX": 0.012, "BRK.B": 0.0}),
        ("model.dividend_yield", "", {}),
        ("expiry.etfs", "SPY, QQQ", ("SPY", "QQQ")),
    ],
)
def test_strings_of_the_environment_are_converted(empty_folder, name, raw, value):
    assert value_of(sources.load(None, {FIELDS[name].variable: raw}, {}), name) == value


def test_variables_that_are_not_configuration_are_ignored(empty_folder):
    environ = {
        "CONDORD_URL": "http://x",
        "CONDORD_TOKEN": "hush",
        "CONDORD_SERVICE_PORT": "tcp://1",
        "CONDORD_LOG": "x",
        "CONDORD": "x",
        "XCONDORD_SERVER_PORT": "x",
        "HOME": "/x",
    }
    assert sources.load(None, environ, {}).config == schema.Config()


# Faults


def test_all_faults_are_reported_each_with_file_line_key_value_and_what_is_allowed(write):
    path = write(
        "[alpaca]\nfeed = 'sip'\n[server]\n# port = 1\nport = 70000\n[rest]\nretries = true\n"
        "timeout_seconds = nan\n[stream]\nwindow_ms = 250.0\nsilence_seconds = inf\n"
    )
    assert faults_of(path, {"CONDORD_SERVER_RING_SIZE": "many"}, {"log.level": "loud"}) == (
        f'{path}:2: alpaca.feed = \'sip\': must be "indicative" or "opra"',
        f"{path}:5: server.port = 70000: must be an integer from 0 to 65535",
        f"{path}:7: rest.retries = true: must be an integer from 0 to 10",
        f"{path}:8: rest.timeout_seconds = nan: must be a number from 0.1 to 1000000",
        f"{path}:10: stream.window_ms = 250.0: must be an integer from 50 to 5000",
        f"{path}:11: stream.silence_seconds = inf: must be a number from 1 to 1000000",
        "environment CONDORD_SERVER_RING_SIZE: server.ring_size = 'many': must be an integer from 4 to 1000000",
        'flag: log.level = \'loud\': must be "debug" or "info" or "warning" or "error"',
    )


@pytest.mark.parametrize(
    ("text", "line", "name", "nearest"),
    [
        ("[server]\nprot = 1", 2, "server.prot", "key is server.port (CONDORD_SERVER_PORT)"),
        ("[alpaca]\nring_sise = 1", 2, "alpaca.ring_sise", "key is server.ring_size"),
        ("port = 1", 1, "port", "put it under [server]"),
        ("paper = false", 1, "paper", "put it under [alpaca]"),
        ("enabled = true", 1, "enabled", "put it under [history] or [[alert]]"),
        ("papr = false", 1, "papr", "key is alpaca.paper"),
        ("[sever]\nport = 1", 1, "sever", "section is [server]"),
        ("server.prot = 1", 1, "server.prot", "key is server.port"),
        ("['server']\n\"prot\" = 1", 2, "server.prot", "key is server.port"),
        ("[log]\nzzzzzz = 1", 2, "log.zzzzzz", "known here: level, format"),
        ("[[zzzzzz]]", 1, "zzzzzz", "known here: alpaca, rest, stream, model, dividend, expiry, history, cache, "),
        ("[[dividends]]\nsymbol = 1", 1, "dividends", "section is [[dividend]]"),
        ("[server.prot]\nx = 1", 1, "server.prot", "key is server.port"),
    ],
)
def test_an_unknown_key_is_a_fault_with_its_line_and_the_nearest_known(write, text, line, name, nearest):
    path = write(text)
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:{line}: {name} = ")
    assert nearest in fault


def test_an_unknown_variable_is_a_warning_with_the_nearest_known_one_and_not_a_fault(empty_folder):
    loaded = sources.load(None, {"CONDORD_SERVER_PROT": "9000", "CONDORD_URL": "http://x", "CONDORDE": "1"}, {})
    assert loaded.config == schema.Config()
    (warning,) = loaded.warnings
    assert warning.startswith("CONDORD_SERVER_PROT is not used")
    assert warning.endswith("CONDORD_SERVER_PORT")


def test_a_variable_of_a_kubernetes_service_with_the_name_of_a_key_is_a_fault_with_its_cause(empty_folder):
    environ = {"CONDORD_SERVER_PORT": "tcp://10.0.0.1:8420"}
    parsed = sources.read(None, environ, {})
    (fault,) = parsed.faults
    assert fault.startswith("environment CONDORD_SERVER_PORT: server.port = 'tcp://10.0.0.1:8420': must be an integer")
    assert parsed.hint == (
        "Kubernetes sets CONDORD_SERVER_PORT for a service named condord-server: set `enableServiceLinks: false` in the "
        "pod, or rename the service."
    )
    mixed = sources.read(None, {**environ, "CONDORD_LOG_LEVEL": "loud"}, {})
    assert mixed.hint == f"Correct the values named above. {parsed.hint}"


def test_without_a_home_directory_only_the_system_file_is_read_with_a_warning(empty_folder, monkeypatch):
    monkeypatch.setattr(sources.directories, "config_directory", lambda: None)
    assert sources.load(None, {}, {}).warnings == (
        f"there is no home directory, so only {sources.SYSTEM_PATH} was looked for",
    )
    sources.SYSTEM_PATH.parent.mkdir()
    sources.SYSTEM_PATH.write_text("[server]\nport = 7\n")
    assert sources.load(None, {}, {}).config.server.port == 7
    assert sources.load(sources.SYSTEM_PATH, {}, {}).warnings == ()


def test_a_section_that_is_not_a_table_is_a_fault(write):
    path = write("server = 5\n")
    assert faults_of(path) == (f"{path}:1: server = 5: must be a table, [server]",)


def test_a_fault_is_one_short_line_whatever_the_value(write):
    path = write('[server]\n"a\\nb" = "c\\nd"\nhost = "' + "x y" * 2000 + '"\nport = 0x' + "f" * 9000)
    for fault in faults_of(path):
        assert fault.isprintable()
        assert len(fault) < 400


def test_an_unknown_key_is_shortened_in_its_fault(write):
    path = write(f"[server]\n{'k' * 5000} = 1\n{'p' * 5000} = 1\n")
    parsed = sources.read(path, {f"CONDORD_SERVER_{'K' * 5000}": "1"}, {})
    assert (len(parsed.faults), len(parsed.loaded.warnings)) == (2, 1)
    twice = sources.read(write(f"[server]\n{'p' * 5000} = 1\n{'p' * 5000} = 1\n"), {}, {})
    texts = (*parsed.faults, *parsed.loaded.warnings, *twice.faults)
    assert all(len(text) < len(str(path)) + 300 for text in texts)


def test_bytes_in_the_environment_that_are_not_utf_8_are_a_fault(empty_folder):
    for name in ("log.level", "server.uds", "server.host", "alpaca.data_url", "server.port"):
        (fault,) = faults_of(None, {FIELDS[name].variable: "http://x/\udcff"})
        assert name in fault
        fault.encode()


@pytest.mark.parametrize(
    "line",
    [
        'secret_key = "hushhush"',
        'api_key = "hushhush"',
        'token = "hushhush"',
        'PassWord = ["hushhush"]',
        'creds = {secret = "hushhush"}',
        'feed = "PKABCDEFGH0123456789hushhush"',
        'data_url = "http://me:hushhush@example.org/"',
        "secret_key_file = {a = 'hushhush'}",
    ],
)
def test_a_fault_never_repeats_a_possible_secret(write, line):
    (fault,) = faults_of(write(f"[alpaca]\n{line}\n"))
    assert "hushhush" not in fault
    assert "alpaca." in fault


def test_a_secret_in_a_misspelt_variable_is_not_repeated(empty_folder):
    (warning,) = sources.load(None, {"CONDORD_SERVER_TOKEN": "hushhush"}, {}).warnings
    assert "hushhush" not in warning
    assert "CONDORD_SERVER_TOKEN_FILE" in warning


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("rest.timeout_seconds", [0.1, 5], [0.09, 0, -1]),
        ("rest.retries", [0, 10], [-1, 11]),
        ("rest.breaker_failures", [1], [0]),
        ("rest.breaker_reset_seconds", [0.1], [0]),
        ("rest.refresh_seconds", [1], [0.9]),
        ("rest.settle_seconds", [0, 10], [-0.1, 10.1]),
        ("stream.window_ms", [50, 5000], [49, 5001, True, "250"]),
        ("stream.silence_seconds", [1], [0.99]),
        ("stream.backoff_min_seconds", [0.05], [0.04]),
        ("server.heartbeat_seconds", [0.5], [0.4]),
        ("server.ring_size", [4], [3]),
        ("server.replay_size", [0], [-1]),
        ("server.max_subscribers", [1], [0]),
        ("server.port", [0, 65535], [-1, 65536]),
        ("server.host", ["localhost", "127.0.0.2", "::1"], ["", "[::1]", "a b", "http://x"]),
        (
            "server.allowed_hosts",
            [["a.example:8420", "[::1]", ".a.example"]],
            ["a", ["http://a"], [""], [1], ["*"], ["*.a.example"], ["."], ["..a.example"], [".:1"]],
        ),
        ("server.allowed_origins", [["https://a.example:1", "app://x"]], [["*"], ["https://a/"], ["a"]]),
        (
            "alpaca.trading_url",
            ["", "http://127.0.0.1:1/x", "https://[::1]"],
            ["ws://x", "http://", "x", "http://[x]", "https://u:p@x", "https://x/?a", "https://x/#a"],
        ),
        ("alpaca.data_url", ["https://x:1", "https://x:65535/y"], ["http://x:0", "http://x:65536", "http://x:99999"]),
        (
            "alpaca.option_stream_url",
            ["", "wss://x/v1beta1/opra", "wss://x/a?b"],
            ["http://x", "ws://a b", "ws://x/\n", "wss://x/#a", "wss://u@x"],
        ),
        ("alpaca.paper", [True, False], [1, "true"]),
        ("alpaca.stock_feed", ["iex", "sip"], ["opra", "delayed_sip", ""]),
        ("alpaca.stock_symbol_limit", [1, 10_000], [0, 1.5]),
        ("alpaca.stock_stream_url", ["", "wss://x/v2/iex"], ["https://x", "wss://u@x"]),
        ("model.rate", [-0.05, 0, 0.5], [-0.051, 0.51, "4%"]),
        ("model.dividend_yield", [{}, {"SPX": 0, "BRK.B": 1}], [0.01, "SPX", ["SPX"]]),
        ("model.interval_seconds", [0.5, 60], [0.4, 61]),
        ("expiry.order_cutoff_minutes", [0, 390], [-1, 391, 1.5]),
        ("expiry.order_cutoff_minutes_etf", [0, 390], [-1, 391]),
        ("expiry.etfs", [[], ["SPY"]], ["SPY", ["spy"], [""], ["A B"]]),
        ("expiry.liquidation_minutes", [0, 390], [-1, 391]),
        ("log.format", ["text", "json"], ["xml", "JSON"]),
        ("cluster.role", ["all", "ingest"], ["leader", ""]),
        (
            "cluster.bus",
            [""],
            [
                "http://x",
                "nats://",
                "nats://u@x",
                "nats://u:p@x",
                "x:4222",
                "nats://x/",
                "nats://x,",
                "tls://x,y",
                "nats://x:65536",
                "nats://x:1,nats://x:65536",
                "ws://x",
                "nats://x nats://y",
            ],
        ),
        ("cluster.lease_seconds", [1, 3.5], [0.9, -1, "3"]),
        ("cluster.account", ["", "paper_1-a", "x" * 40], ["a.b", "a b", "*", ">", "x" * 41]),
    ],
)
def test_a_key_accepts_values_within_its_limits_and_no_others(empty_folder, name, good, bad):
    for value in good:
        assert sources.load(None, {}, {name: value}).origins[name] == "flag"
    for value in bad:
        (fault,) = faults_of(None, None, {name: value})
        assert fault.endswith(f"must be {FIELDS[name].allowed}")


def test_each_faulty_entry_of_a_table_of_numbers_is_named(write):
    path = write("[model]\ndividend_yield = {SPX = 0.012, spx = 0.012, XSP = 1.2}\n")
    allowed = FIELDS["model.dividend_yield"].allowed
    assert faults_of(path) == (
        f"{path}:2: model.dividend_yield.spx = 0.012: not allowed in {allowed}",
        f"{path}:2: model.dividend_yield.XSP = 1.2: not allowed in {allowed}",
    )


@pytest.mark.parametrize("raw", ["SPX", "SPX=", "SPX=x", "SPX=0.01,SPX=0.02", "=,0.01"])
def test_a_variable_that_is_not_a_table_of_numbers_is_a_fault(empty_folder, raw):
    (fault,) = faults_of(None, {"CONDORD_MODEL_DIVIDEND_YIELD": raw})
    assert fault.startswith(f"environment CONDORD_MODEL_DIVIDEND_YIELD: model.dividend_yield = '{raw}': must be ")


# Arrays of tables

SPY = "symbol = 'SPY'\ndate = 2026-12-18\namount = 1.97\n"


def test_dividends_are_read_in_the_order_of_the_file_with_the_file_as_their_origin(write):
    path = write(f"[[dividend]]\n{SPY}[[dividend]]\nsymbol = 'QQQ'\ndate = '2026-12-21'\namount = 0\n")
    loaded = sources.load(path, {}, {})
    assert loaded.config.dividend == (
        schema.NamedDividend(symbol="SPY", date=dt.date(2026, 12, 18), amount=1.97),
        schema.NamedDividend(symbol="QQQ", date=dt.date(2026, 12, 21), amount=0.0),
    )
    assert loaded.origins["dividend"] == f"file {path}"


def test_dividends_on_one_line_are_read_too(write):
    text = "dividend = [{symbol = 'SPY', date = 2026-12-18, amount = 1.97}]\n"
    assert len(sources.load(write(text), {}, {}).config.dividend) == 1
    path = write(text.replace("1.97", "-1"))
    assert faults_of(path) == (f"{path}:1: dividend[0].amount = -1: must be a number from 0 to 10000",)


def test_every_fault_of_every_dividend_has_its_place(write):
    path = write(
        f"[[dividend]]\n{SPY}\n[[dividend]]\nsymbl = 'QQQ'\ndate = 2026-12-21T10:00:00\namount = -0.01\n"
        "[[dividend]]\nsymbol = 'spy'\ndate = 20261218\namount = '1.97'\nzzz = 1\n"
    )
    assert faults_of(path) == (
        f"{path}:7: dividend[1].symbl = 'QQQ': unknown key; the nearest known key is dividend.symbol",
        f"{path}:8: dividend[1].date = 2026-12-21 10:00:00: must be a date, 2026-12-18",
        f"{path}:9: dividend[1].amount = -0.01: must be a number from 0 to 10000",
        f"{path}:6: dividend[1].symbol is missing: it must be the symbol of a stock in capitals",
        f"{path}:11: dividend[2].symbol = 'spy': must be the symbol of a stock in capitals",
        f"{path}:12: dividend[2].date = 20261218: must be a date, 2026-12-18",
        f"{path}:13: dividend[2].amount = '1.97': must be a number from 0 to 10000",
        f"{path}:14: dividend[2].zzz = 1: unknown key; known here: symbol, date, amount",
    )
    parsed = sources.read(path, {}, {})
    assert [each.symbol for each in parsed.loaded.config.dividend] == ["SPY"]
    assert parsed.uncertain == {"dividend"}


def test_an_empty_dividend_lacks_every_key(write):
    path = write("[[dividend]]\n")
    assert [fault.split(" is missing")[0] for fault in faults_of(path)] == [
        f"{path}:1: dividend[0].{key}" for key in ("symbol", "date", "amount")
    ]


def test_two_amounts_for_one_dividend_are_a_fault(write):
    path = write(f"[[dividend]]\n{SPY}[[dividend]]\n{SPY.replace('1.97', '2')}")
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:1: dividend = [a table, a table]: ")
    assert fault.endswith("must have one amount for each symbol and date: SPY on 2026-12-18")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"[dividend]\n{SPY}", "1: dividend = a table: must be tables, [[dividend]]"),
        ("dividend = 5\n", "1: dividend = 5: must be tables, [[dividend]]"),
        ("dividend = [5]\n", "1: dividend[0] = 5: must be a table, [[dividend]]"),
    ],
)
def test_dividends_that_are_not_an_array_of_tables_are_a_fault(write, text, fault):
    path = write(text)
    assert faults_of(path) == (f"{path}:{fault}",)


def test_rules_and_channels_are_read_as_they_are_written(write):
    path = write(
        "[[alert]]\nname = 'half'\nwhen = ['percentOfMaxProfit >= 50', 'tested']\nnotify = ['phone']\n"
        "[alert.match]\nunderlying = ['SPY']\n[[alert]]\nname = 'blind'\nenabled = false\n"
        "[[notify]]\nname = 'phone'\ntype = 'webhook'\nurl_file = '/none'\n"
    )
    config = sources.load(path, {}, {}).config
    half, blind = config.alert
    assert half == schema.AlertTable(
        name="half",
        when=("percentOfMaxProfit >= 50", "tested"),
        notify=("phone",),
        match=schema.MatchTable(underlying=("SPY",)),
    )
    assert (blind.name, blind.enabled, blind.when) == ("blind", False, None)
    assert config.notify == (schema.ChannelTable(name="phone", type="webhook", url_file="/none"),)


def test_every_fault_of_rules_and_channels_has_its_place(write):
    path = write(
        "[[alert]]\nname = 'half'\nwhen = 'percntOfRisk >= 5'\nnotify = ['phne']\n"
        "[server]\nport = -1\n[[notify]]\nname = 'phone'\ntype = 'sms'\nurl_file = 'x'\n"
    )
    assert faults_of(path) == (
        f"{path}:6: server.port = -1: must be an integer from 0 to 65535",
        f"{path}:3: alert[0].when = 'percntOfRisk >= 5': unknown quantity; the nearest known name is percentOfRisk (rule half)",
        f"{path}:4: alert[0].notify[0] = 'phne': unknown channel; the nearest is phone",
        f'{path}:9: notify[0].type = \'sms\': must be "apprise" or "webhook"',
    )


def test_an_empty_key_of_a_table_is_unknown(write):
    (fault,) = faults_of(write("[[alert]]\nname = 'blind'\n\"\" = 1\n"))
    assert "unknown key; known here: name, when, clear" in fault


@given(
    st.lists(
        st.sampled_from(["[[alert]]", "[[notify]]", "name = 'a'", "when = 'tested'", "when = 5", "match = {}", "x = 1"])
    )
)
def test_any_tables_are_read_or_have_faults(lines):
    try:
        entries = toml_text.read("\n".join(lines))
    except toml_text.BrokenToml:
        return
    found = sources.tables.read(sources._elements(entries, "file"))
    assert all(len(each.tables) + len(each.faults) > 0 for each in found.values())


def test_a_fault_of_a_dividend_never_repeats_a_possible_secret(write):
    (fault,) = faults_of(write(f"[[dividend]]\n{SPY}token = 'hushhush'\n"))
    assert "hushhush" not in fault


def test_a_longest_backoff_below_the_shortest_is_refused(write):
    path = write("[stream]\nbackoff_min_seconds = 90\n")
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:2: stream.backoff_max_seconds = 60.0: ")
    assert "not below backoff_min_seconds, 90.0" in fault


def test_workers_serve_no_unix_socket():
    (fault,) = faults_of(None, {"CONDORD_SERVER_WORKERS": "2"}, {"server.uds": "/run/x"})
    assert fault == (
        "environment CONDORD_SERVER_WORKERS: server.workers = 2: workers serve a port; leave server.uds empty, or set 1"
    )
    assert sources.load(None, {"CONDORD_SERVER_WORKERS": "1"}, {"server.uds": "/run/x"}).config.server.workers == 1
    for wrong in ("0", "65"):
        assert "must be an integer from 1 to 64" in faults_of(None, {"CONDORD_SERVER_WORKERS": wrong})[0]


def test_an_ingester_may_have_a_bus_and_is_elected_only_then(empty_folder):
    alone = sources.load(None, {}, {"cluster.role": "ingest"}).config.cluster
    assert (alone.is_elected, alone.bus_urls) == (False, ())
    bus = "nats://127.0.0.1,tls://[::1]:4222, tls://b.example:65535"
    several = sources.load(None, {}, {"cluster.role": "ingest", "cluster.bus": bus}).config.cluster
    assert several.is_elected
    assert several.bus_urls == ("nats://127.0.0.1", "tls://[::1]:4222", "tls://b.example:65535")
    assert not sources.load(None, {}, {"cluster.role": "relay", "cluster.bus": bus}).config.cluster.is_elected


def test_a_daemon_on_its_own_has_no_bus(write):
    path = write("[cluster]\nbus = 'nats://127.0.0.1'\n")
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:2: cluster.bus = 'nats://127.0.0.1': the role \"all\" uses no bus")


def test_a_relay_has_either_a_source_or_a_bus(write):
    relay = {"cluster.role": "relay"}
    assert "or a bus as cluster.bus" in faults_of(None, {}, relay)[0]
    both = write("[cluster]\nbus = 'nats://127.0.0.1'\nsource = 'https://a.example'\n")
    (fault,) = faults_of(both, {}, relay)
    assert fault.startswith(f"{both}:3: cluster.source = ")
    assert "not both" in fault


@pytest.mark.parametrize("role", ["ingest", "relay"])
def test_credentials_go_over_tls_or_to_this_machine(empty_folder, role):
    def flags(bus, file="/x"):
        return {"cluster.role": role, "cluster.bus": bus, "cluster.credentials_file": file}

    for bus in ("nats://127.0.0.1", "nats://localhost:4222,nats://[::1]", "tls://a.example"):
        assert sources.load(None, {}, flags(bus)).config.cluster.bus == bus
    assert sources.load(None, {}, flags("nats://a.example", "")).config.cluster.bus
    for bus in ("nats://a.example", "nats://127.0.0.1,nats://10.0.0.1", "tls://a.example,nats://b.example"):
        (fault,) = faults_of(None, {}, flags(bus))
        assert "the credentials would cross the network unencrypted" in fault
        assert "TLS proxy or a tunnel" in fault
    assert "brackets" in faults_of(None, {}, flags("tls://[1:2]:4222"))[0]


def test_a_socket_path_that_is_too_long_is_refused(empty_folder):
    assert sources.load(None, {}, {"server.uds": "/" + "x" * 106}).config.server.uds
    (fault,) = faults_of(None, None, {"server.uds": "/" + "é" * 54})
    assert fault == f"flag: server.uds = '/{'é' * 54}': must be a path of at most 107 bytes, and has 109"


def test_a_relative_socket_path_is_relative_to_the_working_directory(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parsed = sources.load(write("[server]\nuds = 'u/file.sock'\n"), {}, {})
    assert parsed.config.server.uds == f"{tmp_path}/u/file.sock"
    assert sources.load(None, {"CONDORD_SERVER_UDS": "e.sock"}, {}).config.server.uds == f"{tmp_path}/e.sock"
    assert sources.load(None, {}, {"server.uds": "../f.sock"}).config.server.uds == f"{tmp_path}/../f.sock"


def test_without_a_working_directory_a_relative_socket_path_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (fault,) = faults_of(None, {}, {"server.uds": "u.sock"})
    assert fault.startswith("flag: server.uds = 'u.sock'")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.example.org"])  # noqa: S104
def test_listening_beyond_this_machine_needs_a_token_file(empty_folder, host):
    (fault,) = faults_of(None, {"CONDORD_SERVER_HOST": host})
    assert fault.startswith(f"environment CONDORD_SERVER_HOST: server.host = '{host}': ")
    assert "server.token_file" in fault
    loaded = sources.load(None, {}, {"server.host": host, "server.token_file": "/t"})
    assert sources.refusals(loaded.config) == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_listening_on_this_machine_needs_no_token_file(empty_folder, host):
    assert sources.load(None, {}, {"server.host": host}).config.server.host == host


@pytest.mark.parametrize("host", ["api.example:8", "192.168.1.2", "[2001:db8::1]:8", "127.example.org"])
@pytest.mark.parametrize(
    ("key", "scheme"),
    [
        ("trading_url", "http"),
        ("data_url", "http"),
        ("option_stream_url", "ws"),
        ("trading_stream_url", "ws"),
        ("stock_stream_url", "ws"),
    ],
)
def test_a_key_is_never_sent_beyond_this_machine_unencrypted(empty_folder, key, scheme, host):
    url = f"{scheme}://{host}/x"
    (fault,) = faults_of(None, {f"CONDORD_ALPACA_{key.upper()}": url})
    assert fault.startswith(f"environment CONDORD_ALPACA_{key.upper()}: alpaca.{key} = '{url}': ")
    assert f"{scheme}s://" in fault
    assert "TLS proxy or a tunnel" in fault
    secure = f"{scheme}s://{host}/x"
    assert getattr(sources.load(None, {}, {f"alpaca.{key}": secure}).config.alpaca, key) == secure


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.9.9.9", "[::1]:8", "localhost", "LOCALHOST:1"])
def test_a_url_on_this_machine_needs_no_tls(empty_folder, host):
    assert sources.load(None, {}, {"alpaca.trading_url": f"http://{host}"}).config.alpaca.trading_url.endswith(host)


def test_brackets_without_an_address_are_a_fault(empty_folder):
    (fault,) = faults_of(None, {}, {"alpaca.data_url": "https://[1]"})
    assert "an IPv6 address" in fault


# Any value at all

scalars = (
    st.booleans()
    | st.integers()
    | st.integers(min_value=2**62)
    | st.floats()
    | st.text()
    | st.dates()
    | st.datetimes()
    | st.times()
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@settings(deadline=None)  # the machine may be busy
@given(name=st.sampled_from(NAMES), value=anything)
def test_any_value_of_any_key_loads_or_is_a_fault_that_names_the_key(name, value):
    loaded, faults = loaded_or_faults(EXAMPLE, {}, {name: value})
    assert all(fault.isprintable() for fault in faults)
    if loaded is None:
        assert any(name in fault or "backoff" in name for fault in faults)
    else:
        taken = value_of(loaded, name)
        if name == "server.uds" and value and not value.startswith("/"):
            value = str(Path.cwd() / value)
        assert taken == (tuple(value) if isinstance(value, list) else value)
        assert sources.refusals(loaded.config) == ()


@settings(deadline=None)  # the machine may be busy
@given(name=st.sampled_from(NAMES), raw=st.text(st.characters(exclude_characters="\0", exclude_categories=())))
def test_any_string_in_any_variable_loads_or_is_a_fault_that_names_the_key(name, raw):
    loaded, faults = loaded_or_faults(EXAMPLE, {FIELDS[name].variable: raw}, {})
    assert all(fault.isprintable() for fault in faults)
    if loaded is None:
        assert any(name in fault or "backoff" in name for fault in faults)
    else:
        assert loaded.origins[name] == f"environment {FIELDS[name].variable}"


@settings(deadline=None)  # the machine may be busy
@given(
    tables=st.lists(
        st.fixed_dictionaries(
            {
                "symbol": st.sampled_from(["SPY", "QQQ"]) | anything,
                "date": st.dates() | anything,
                "amount": st.floats(0, 10_000) | anything,
            },
            optional={"amuont": anything},
        )
        | st.dictionaries(st.sampled_from(["symbol", "date", "amount"]), anything),
        max_size=3,
    )
)
def test_any_dividends_load_or_each_fault_names_its_table(tmp_path_factory, tables):
    """The values are passed on as tomllib would return them."""
    path = tmp_path_factory.getbasetemp() / "tables.toml"
    path.write_text("".join("[[dividend]]\n" + "".join(f"{key} = 0\n" for key in table) for table in tables))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toml_text.tomllib, "loads", lambda _: {"dividend": tables} if tables else {})
        loaded, faults = loaded_or_faults(path, {}, {})
    assert all(fault.isprintable() for fault in faults)
    if loaded is None:
        assert all(": dividend[" in fault or ": dividend = " in fault for fault in faults)
    else:
        taken = [{key: getattr(each, key) for key in ("symbol", "date", "amount")} for each in loaded.config.dividend]
        assert taken == [
            {**table, "date": dt.date.fromisoformat(str(table["date"])), "amount": float(table["amount"])}
            for table in tables
        ]


@settings(deadline=None)  # the machine may be busy
@given(
    yields=st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9.]{0,9}", fullmatch=True), st.floats(0, 1)),
    day=st.dates(),
)
def test_tables_written_as_toml_load_as_the_same(tmp_path_factory, yields, day):
    path = tmp_path_factory.getbasetemp() / "written.toml"
    path.write_text(
        f"[model]\ndividend_yield = {schema.toml(yields)}\n"
        f"[[dividend]]\nsymbol = 'SPY'\namount = 1\ndate = {schema.toml(day)}\n"
    )
    loaded = sources.load(path, {}, {}).config
    assert (loaded.model.dividend_yield, loaded.dividend[0].date) == (yields, day)


@settings(deadline=None)  # the machine may be busy
@given(
    text=st.text()
    | st.lists(st.sampled_from(["[", "]", "server", "port", "dividend", "=", "1", "\n", '"', "#"])).map("".join)
)
def test_any_text_of_a_file_loads_or_is_a_fault_that_names_the_file(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8")
    _, faults = loaded_or_faults(path, {}, {})
    assert all(fault.startswith(f"{path}:") for fault in faults)


@settings(deadline=None)  # the machine may be busy
@given(port=st.integers(0, 65535), change=st.floats(0, 1000), host=st.sampled_from(["localhost", "::1"]))
def test_values_written_as_toml_load_as_the_same(tmp_path_factory, port, change, host):
    path = tmp_path_factory.getbasetemp() / "shown.toml"
    path.write_text(
        f"[server]\nport = {schema.toml(port)}\nhost = {schema.toml(host)}\n"
        f"[stream]\nmin_change = {schema.toml(change)}\n"
    )
    loaded = sources.load(path, {}, {}).config
    assert (loaded.server.port, loaded.server.host, loaded.stream.min_change) == (port, host, change)


def test_importing_the_configuration_imports_no_slow_module():
    program = "import sys, condord.config.sources; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"platformdirs", "asyncio", "alpaca", "ssl", "socket", "difflib", "logging"} & set(loaded)
