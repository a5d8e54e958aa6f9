import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord import config
from condord.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / "condord.toml.example"
FIELDS = {field.name: field for field in config.fields()}
NAMES = sorted(FIELDS)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "condord.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No file at any of the places that are looked at without being told."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(config, "SYSTEM_PATH", tmp_path / "etc" / "condord.toml")
    return tmp_path


def value_of(loaded, name):
    section, key = name.split(".")
    return getattr(getattr(loaded.config, section), key)


def faults_of(path=None, environ=None, flags=None):
    with pytest.raises(ConfigError) as caught:
        config.load(path, environ or {}, flags or {})
    assert caught.value.exit_code == 78
    assert caught.value.hint
    assert all("\n" not in fault for fault in caught.value.faults)
    return caught.value.faults


def loaded_or_faults(path, environ, flags):
    try:
        return config.load(path, environ, flags), ()
    except ConfigError as error:
        return None, error.faults


# Where the file is


def test_without_any_file_everything_is_at_its_default(nowhere):
    loaded = config.load(None, {}, {})
    assert loaded.path is None
    assert loaded.config == config.Config()
    assert set(loaded.origins) == set(FIELDS)
    assert set(loaded.origins.values()) == {"default"}


def test_the_first_file_found_is_the_only_one_read(nowhere):
    user, system = nowhere / "user/condord/condord.toml", nowhere / "etc/condord.toml"
    named, variable = nowhere / "named.toml", nowhere / "variable.toml"
    for number, path in enumerate((system, user, variable, named), 1):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[server]\nport = {number}\n")
    environ = {"CONDORD_CONFIG": str(variable)}
    assert config.load(named, environ, {}).path == named
    assert config.load(None, environ, {}).config.server.port == 3
    assert config.load(None, {}, {}).path == user
    user.unlink()
    loaded = config.load(None, {}, {})
    assert (loaded.path, loaded.config.server.port) == (system, 1)


def test_where_it_looks_is_told_in_order(nowhere):
    assert config.candidates(None, {}) == (nowhere / "user/condord/condord.toml", config.SYSTEM_PATH)
    assert config.candidates(Path("/x"), {"CONDORD_CONFIG": "/y"}) == (Path("/x"),)
    assert config.candidates(None, {"CONDORD_CONFIG": "/y"}) == (Path("/y"),)


def test_an_empty_condord_config_names_no_file(nowhere):
    assert config.load(None, {"CONDORD_CONFIG": ""}, {}).path is None


def test_a_demanded_file_that_is_missing_is_an_error(tmp_path):
    missing = tmp_path / "none.toml"
    for arguments in ((missing, {}), (None, {"CONDORD_CONFIG": str(missing)})):
        (fault,) = faults_of(*arguments)
        assert str(missing) in fault
        assert "No such file" in fault


def test_a_directory_in_place_of_the_file_is_an_error(tmp_path):
    (fault,) = faults_of(tmp_path)
    assert fault == f"{tmp_path}: cannot be read: it is no regular file"


def test_a_fifo_and_a_device_in_place_of_the_file_are_errors_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        assert faults_of(path) == (f"{path}: cannot be read: it is no regular file",)


def test_a_file_of_more_than_a_mebibyte_is_an_error(write):
    path = write("#" * 2**20)
    assert config.load(path, {}, {}).path == path
    assert faults_of(write("#" * 2**20 + "\n")) == (f"{path}: cannot be read: it holds more than 1048576 bytes",)


def test_a_file_that_is_not_utf_8_is_an_error_with_its_line(write):
    path = write(b"[server]\n# \xff\n")
    assert faults_of(path) == (f"{path}:2: this is not UTF-8",)


def test_a_byte_order_mark_is_accepted(write):
    assert config.load(write(b"\xef\xbb\xbf[server]\nport = 9\n"), {}, {}).config.server.port == 9


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


def test_broken_toml_does_not_hide_the_faults_elsewhere(write):
    assert len(faults_of(write("["), {"CONDORD_SERVER_PORT": "x"}, {"log.level": "loud"})) == 3


def test_a_missing_file_does_not_hide_the_faults_elsewhere(tmp_path):
    faults = faults_of(tmp_path / "none.toml", {"CONDORD_SERVER_PORT": "x"}, {"log.level": "loud"})
    assert [fault.split(": ")[0] for fault in faults] == [
        str(tmp_path / "none.toml"),
        "environment CONDORD_SERVER_PORT",
        "flag",
    ]


def test_in_one_file_broken_lines_keys_given_twice_unknown_keys_and_wrong_values_are_told_together(write):
    path = write(
        "[server]\nport = 9:00\nhost = 'a b'\nuds = ''\nuds = '/x'\nprot = 1\n[[log]]\n[alpaca]\npaper = True\n"
    )
    assert faults_of(path) == (
        f"{path}:2: broken TOML: Expected newline or end of document after a statement",
        f"{path}:5: broken TOML: server.uds stands on line 4 already",
        f"{path}:9: broken TOML: Invalid value",
        f"{path}:3: server.host = 'a b': allowed is a host name or an address, IPv6 without brackets",
        f"{path}:6: server.prot = 1: unknown key; the nearest known key is server.port (CONDORD_SERVER_PORT)",
        f"{path}:7: log = [a table]: allowed is a table, [log]",
    )


def test_what_a_file_that_cannot_be_read_may_say_is_no_fault(write):
    environ = {"CONDORD_SERVER_HOST": "0.0.0.0", "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "90"}  # noqa: S104
    assert len(faults_of(write("[server\n"), environ)) == 1


def test_a_value_at_fault_stays_as_a_weaker_source_says_and_is_unsure(write):
    path = write("[server]\nport = 7\nhost = 'localhost'\n")
    reading = config.read(path, {"CONDORD_SERVER_PORT": "x"}, {})
    server = reading.loaded.config.server
    assert (server.port, server.host, reading.unsure) == (7, "localhost", {"server.port"})
    assert len(reading.faults) == 1


def test_of_a_broken_line_its_key_is_unsure_and_of_a_broken_file_all_that_nothing_stronger_says(write):
    environ = {"CONDORD_LOG_LEVEL": "error"}
    line = config.read(write("[server]\nport = x\nhost = 'localhost'\nprot = y\n"), environ, {})
    assert (line.unsure, line.loaded.config.server.host) == ({"server.port"}, "localhost")
    file = config.read(write("[server\nport = 1\nhost = 'localhost'\n"), environ, {})
    assert set(FIELDS) - file.unsure == {"log.level"}


# Precedence and origins


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(write):
    path = write("[server]\nport = 1\nhost = 'localhost'\nring_size = 8\n")
    environ = {"CONDORD_SERVER_PORT": "2", "CONDORD_SERVER_HOST": "::1"}
    loaded = config.load(path, environ, {"server.port": 3, "server.uds": None})
    server = loaded.config.server
    assert (server.port, server.host, server.ring_size, server.replay_size) == (3, "::1", 8, 1024)
    assert loaded.origins["server.port"] == "flag"
    assert loaded.origins["server.host"] == "environment CONDORD_SERVER_HOST"
    assert loaded.origins["server.ring_size"] == f"file {path}"
    assert loaded.origins["server.replay_size"] == "default"
    assert loaded.origins["server.uds"] == "default"


def test_a_fault_is_reported_even_where_something_better_would_win(write):
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
    ],
)
def test_the_environment_says_the_same_in_strings(nowhere, name, raw, value):
    assert value_of(config.load(None, {FIELDS[name].variable: raw}, {}), name) == value


def test_variables_that_are_no_configuration_are_ignored(nowhere):
    environ = {
        "CONDORD_URL": "http://x",
        "CONDORD_TOKEN": "hush",
        "CONDORD_SERVICE_PORT": "tcp://1",
        "CONDORD_LOG": "x",
        "CONDORD": "x",
        "XCONDORD_SERVER_PORT": "x",
        "HOME": "/x",
    }
    assert config.load(None, environ, {}).config == config.Config()


# Faults


def test_all_faults_are_told_at_once_each_with_file_line_key_value_and_what_is_allowed(write):
    path = write(
        "[alpaca]\nfeed = 'sip'\n[server]\n# port = 1\nport = 70000\n[rest]\nretries = true\n"
        "timeout_seconds = nan\n[stream]\nwindow_ms = 250.0\nsilence_seconds = inf\n"
    )
    assert faults_of(path, {"CONDORD_SERVER_RING_SIZE": "many"}, {"log.level": "loud"}) == (
        f'{path}:2: alpaca.feed = \'sip\': allowed is "indicative" or "opra"',
        f"{path}:5: server.port = 70000: allowed is an integer from 0 to 65535",
        f"{path}:7: rest.retries = true: allowed is an integer from 0 to 10",
        f"{path}:8: rest.timeout_seconds = nan: allowed is a number from 0.1 to 1000000",
        f"{path}:10: stream.window_ms = 250.0: allowed is an integer from 50 to 5000",
        f"{path}:11: stream.silence_seconds = inf: allowed is a number from 1 to 1000000",
        "environment CONDORD_SERVER_RING_SIZE: server.ring_size = 'many': allowed is an integer from 4 to 1000000",
        'flag: log.level = \'loud\': allowed is "debug" or "info" or "warning" or "error"',
    )


@pytest.mark.parametrize(
    ("text", "line", "name", "nearest"),
    [
        ("[server]\nprot = 1", 2, "server.prot", "key is server.port (CONDORD_SERVER_PORT)"),
        ("[alpaca]\nring_sise = 1", 2, "alpaca.ring_sise", "key is server.ring_size"),
        ("port = 1", 1, "port", "key is server.port"),
        ("[sever]\nport = 1", 1, "sever", "section is [server]"),
        ("server.prot = 1", 1, "server.prot", "key is server.port"),
        ("['server']\n\"prot\" = 1", 2, "server.prot", "key is server.port"),
        ("[log]\nzzzzzz = 1", 2, "log.zzzzzz", "known here: level, format"),
        ("[[zzzzzz]]", 1, "zzzzzz", "known here: alpaca, rest, stream, cache, server, log"),
        ("[server.prot]\nx = 1", 1, "server.prot", "key is server.port"),
    ],
)
def test_an_unknown_key_is_a_fault_with_its_line_and_the_nearest_known(write, text, line, name, nearest):
    path = write(text)
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:{line}: {name} = ")
    assert nearest in fault


def test_an_unknown_variable_of_a_known_section_is_a_fault_with_the_nearest_known(nowhere):
    (fault,) = faults_of(None, {"CONDORD_SERVER_PROT": "9000"})
    assert fault.startswith("environment CONDORD_SERVER_PROT: server.prot = '9000': unknown key")
    assert "CONDORD_SERVER_PORT" in fault


def test_a_section_that_is_no_table_is_a_fault(write):
    path = write("server = 5\n")
    assert faults_of(path) == (f"{path}:1: server = 5: allowed is a table, [server]",)


def test_a_fault_stands_on_one_short_line_whatever_the_value_holds(write):
    path = write('[server]\n"a\\nb" = "c\\nd"\nhost = "' + "x y" * 2000 + '"\nport = 0x' + "f" * 9000)
    for fault in faults_of(path):
        assert fault.isprintable()
        assert len(fault) < 400


def test_an_unknown_key_is_shortened_in_its_fault(write):
    path = write(f"[server]\n{'k' * 5000} = 1\n{'p' * 5000} = 1\n{'p' * 5000} = 1\n")
    faults = faults_of(path, {f"CONDORD_SERVER_{'K' * 5000}": "1"})
    assert len(faults) == 4
    assert all(len(fault) < len(str(path)) + 300 for fault in faults)


def test_bytes_in_the_environment_that_are_no_unicode_are_a_fault(nowhere):
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
def test_a_fault_never_repeats_what_may_be_a_secret(write, line):
    (fault,) = faults_of(write(f"[alpaca]\n{line}\n"))
    assert "hushhush" not in fault
    assert "alpaca." in fault


def test_a_secret_in_a_mistaken_variable_is_not_repeated(nowhere):
    (fault,) = faults_of(None, {"CONDORD_SERVER_TOKEN": "hushhush"})
    assert "hushhush" not in fault
    assert "server.token_file" in fault


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
        ("server.allowed_hosts", [["a.example:8420", "[::1]"]], ["a", ["http://a"], [""], [1]]),
        ("server.allowed_origins", [["https://a.example:1", "app://x"]], [["*"], ["https://a/"], ["a"]]),
        ("alpaca.trading_url", ["", "http://127.0.0.1:1/x", "https://[::1]"], ["ws://x", "http://", "x", "http://[x]"]),
        ("alpaca.data_url", ["http://x:1", "http://x:65535/y"], ["http://x:0", "http://x:65536", "http://x:99999"]),
        ("alpaca.option_stream_url", ["", "wss://x/v1beta1/opra"], ["http://x", "ws://a b", "ws://x/\n"]),
        ("alpaca.paper", [True, False], [1, "true"]),
        ("log.format", ["text", "json"], ["xml", "JSON"]),
    ],
)
def test_what_a_key_allows(nowhere, name, good, bad):
    for value in good:
        assert config.load(None, {}, {name: value}).origins[name] == "flag"
    for value in bad:
        (fault,) = faults_of(None, None, {name: value})
        assert fault.endswith(f"allowed is {FIELDS[name].allowed}")


def test_a_backoff_that_ends_below_its_start_is_refused(write):
    path = write("[stream]\nbackoff_min_seconds = 90\n")
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}:2: stream.backoff_max_seconds = 60.0: ")
    assert "not below backoff_min_seconds, 90.0" in fault


def test_a_socket_path_that_unix_cannot_hold_is_refused(nowhere):
    assert config.load(None, {}, {"server.uds": "/" + "x" * 106}).config.server.uds
    assert "107 bytes" in faults_of(None, None, {"server.uds": "/" + "é" * 54})[0]


def test_a_relative_socket_path_is_meant_from_the_working_directory(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reading = config.load(write("[server]\nuds = 'u/file.sock'\n"), {}, {})
    assert reading.config.server.uds == f"{tmp_path}/u/file.sock"
    assert config.load(None, {"CONDORD_SERVER_UDS": "e.sock"}, {}).config.server.uds == f"{tmp_path}/e.sock"
    assert config.load(None, {}, {"server.uds": "../f.sock"}).config.server.uds == f"{tmp_path}/../f.sock"


def test_where_there_is_no_working_directory_any_more_a_relative_socket_path_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (fault,) = faults_of(None, {}, {"server.uds": "u.sock"})
    assert fault.startswith("flag: server.uds = 'u.sock'")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.example.org"])  # noqa: S104
def test_listening_beyond_this_machine_needs_a_token_file(nowhere, host):
    (fault,) = faults_of(None, {"CONDORD_SERVER_HOST": host})
    assert fault.startswith(f"environment CONDORD_SERVER_HOST: server.host = '{host}': ")
    assert "server.token_file" in fault
    loaded = config.load(None, {}, {"server.host": host, "server.token_file": "/t"})
    assert config.refusals(loaded.config) == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_listening_on_this_machine_needs_none(nowhere, host):
    assert config.load(None, {}, {"server.host": host}).config.server.host == host


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


@settings(deadline=None)  # a busy machine is no fault
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
        assert config.refusals(loaded.config) == ()


@settings(deadline=None)  # a busy machine is no fault
@given(name=st.sampled_from(NAMES), raw=st.text(st.characters(exclude_characters="\0", exclude_categories=())))
def test_any_string_in_any_variable_loads_or_is_a_fault_that_names_the_key(name, raw):
    loaded, faults = loaded_or_faults(EXAMPLE, {FIELDS[name].variable: raw}, {})
    assert all(fault.isprintable() for fault in faults)
    if loaded is None:
        assert any(name in fault or "backoff" in name for fault in faults)
    else:
        assert loaded.origins[name] == f"environment {FIELDS[name].variable}"


@settings(deadline=None)  # a busy machine is no fault
@given(text=st.text() | st.lists(st.sampled_from(["[", "]", "server", "port", "=", "1", "\n", '"', "#"])).map("".join))
def test_any_text_of_a_file_loads_or_is_a_fault_that_names_the_file(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8")
    _, faults = loaded_or_faults(path, {}, {})
    assert all(fault.startswith(f"{path}:") for fault in faults)


@settings(deadline=None)  # a busy machine is no fault
@given(port=st.integers(0, 65535), change=st.floats(0, 1000), host=st.sampled_from(["localhost", "::1"]))
def test_what_is_shown_as_toml_loads_as_the_same(tmp_path_factory, port, change, host):
    path = tmp_path_factory.getbasetemp() / "shown.toml"
    path.write_text(
        f"[server]\nport = {config.toml(port)}\nhost = {config.toml(host)}\n"
        f"[stream]\nmin_change = {config.toml(change)}\n"
    )
    loaded = config.load(path, {}, {}).config
    assert (loaded.server.port, loaded.server.host, loaded.stream.min_change) == (port, host, change)


# The description of the keys, and the example


def test_each_default_is_allowed():
    for field in FIELDS.values():
        assert msgspec.convert(field.default, field.type) == field.default
        assert field.allowed
        assert field.variable == f"CONDORD_{field.section}_{field.key}".upper()


def test_a_configuration_is_replaced_and_never_changed():
    before = config.Config()
    after = msgspec.structs.replace(before, log=msgspec.structs.replace(before.log, level="debug"))
    assert (before.log.level, after.log.level) == ("info", "debug")
    with pytest.raises(AttributeError):
        before.log.level = "debug"


def test_the_example_holds_every_key_at_its_default_and_no_other():
    parsed = tomllib.loads(EXAMPLE.read_text())
    shown = {f"{section}.{key}": value for section, table in parsed.items() for key, value in table.items()}
    assert list(shown) == list(FIELDS)
    assert config.load(EXAMPLE, {}, {}).config == config.Config()


def test_the_example_says_before_each_key_what_it_is_for_and_what_is_allowed():
    section, lines = "", EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            field = FIELDS[f"{section}.{line.split(' = ')[0]}"]
            assert lines[number - 2].startswith("# ")
            assert lines[number - 1] == f"# Allowed: {field.allowed}."


def test_importing_the_configuration_brings_nothing_heavy():
    program = "import sys, condord.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"platformdirs", "asyncio", "alpaca", "ssl", "socket", "difflib", "logging"} & set(loaded)
