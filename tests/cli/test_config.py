import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from condord.cli.config import example
from condord.config import schema, sources
from tests.cli.processes import imports_of


@pytest.fixture(autouse=True)
def system(monkeypatch, tmp_path):
    """The path of the system's file, moved from /etc."""
    path = tmp_path / "etc" / "condord.toml"
    monkeypatch.setattr(sources, "SYSTEM_PATH", path)
    return path


@pytest.fixture
def user(tmp_path):
    """The path of the user's own file."""
    return tmp_path / "config" / "condord" / "condord.toml"


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# show


def test_show_prints_every_key_with_its_value_and_origin(condord, user, monkeypatch):
    write(user, '[alpaca]\nfeed = "opra"\n')
    monkeypatch.setenv("CONDORD_SERVER_PORT", "9000")
    code, out, err = condord("config", "show")
    assert (code, err) == (0, [])
    lines = {line.split(" = ")[0]: " ".join(line.split()) for line in out.splitlines()}
    assert lines["feed"] == f'feed = "opra" # file {user}'
    assert lines["port"] == "port = 9000 # environment CONDORD_SERVER_PORT"
    assert lines["paper"] == "paper = true # default"
    assert len([line for line in out.splitlines() if " = " in line]) == len(schema.fields())


def test_the_output_of_show_is_a_configuration_with_the_same_values(condord, tmp_path, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_ALLOWED_HOSTS", "a.example,b.example")
    monkeypatch.setenv("CONDORD_STREAM_MIN_CHANGE", "0.25")
    shown = write(tmp_path / "shown.toml", condord("config", "show").out)
    before = sources.load(None, os.environ, {}).config
    assert sources.load(shown, {}, {}).config == before


DIVIDENDS = """
[model]
dividend_yield = {NDX = 0.007, "BRK.B" = 0}
[[dividend]]
symbol = "SPY"
date = 2026-12-18
amount = 1.97
[[dividend]]
symbol = "QQQ"
date = "2026-12-21"
amount = 0
"""


def test_tables_are_shown_as_toml_with_their_origin(condord, user, tmp_path):
    write(user, DIVIDENDS)
    out = condord("config", "show").out
    tables = [line.split("  ")[0] for line in out.splitlines() if line.startswith("[[")]
    assert tables == ["[[dividend]]", "[[dividend]]"]
    assert out.count(f"# file {user}") == 3
    assert 'dividend_yield = {NDX = 0.007, "BRK.B" = 0.0}' in out
    before = sources.load(user, {}, {}).config
    assert sources.load(write(tmp_path / "shown.toml", out), {}, {}).config == before
    assert len(before.dividend) == 2


def test_tables_are_in_the_json_with_their_origin(condord, user):
    write(user, DIVIDENDS)
    values = json.loads(condord("config", "show", "--json").out)["values"]
    assert values["dividend"]["origin"] == f"file {user}"
    assert values["dividend"]["value"][1] == {"symbol": "QQQ", "date": "2026-12-21", "amount": 0.0}
    assert values["model.dividend_yield"]["value"] == {"NDX": 0.007, "BRK.B": 0.0}


RULES = """
[[alert]]
name = "half"
when = ["percentOfMaxProfit >= 60", "tested"]
clear = "percentOfMaxProfit < 50"
basis = "natural"
match = {underlying = ["SPY"]}
[[alert]]
name = "blind"
enabled = false
[[notify]]
name = "phone"
type = "apprise"
url_file = "PKABCDEFGHIJKLMNOP"
"""


def test_rules_and_channels_are_shown_without_possible_secrets(condord, user, tmp_path):
    write(user, RULES)
    out = condord("config", "show").out
    assert "# half: percentOfMaxProfit >= 60, tested; clear percentOfMaxProfit < 50; at natural; warning" in out
    assert "# blind: blind; for 300 s; not enabled" in out
    assert "# profit-target: percentOfMaxProfit >= 50 (butterfly: percentOfMaxProfit >= 25); clear" in out
    assert "PKABC" not in out
    before = sources.load(user, {}, {}).config
    after = sources.load(write(tmp_path / "shown.toml", out), {}, {}).config
    assert (after.alert, after.notify[0].name) == (before.alert, "phone")


def test_rules_and_channels_are_in_the_json(condord, user):
    write(user, RULES)
    document = json.loads(condord("config", "show", "--json").out)
    assert document["values"]["notify"]["value"][0]["url_file"] == "***"
    assert document["values"]["alert"]["value"][1] == {"name": "blind", "enabled": False}
    assert document["rules"][-1] == {
        "name": "half",
        "when": ["percentOfMaxProfit >= 60", "tested"],
        "clear": ["percentOfMaxProfit < 50"],
        "forSeconds": 0.0,
        "basis": "natural",
        "severity": "warning",
        "builtIn": False,
        "enabled": True,
    }


def test_show_as_json_is_one_document(condord, user):
    write(user, "[server]\nport = 7\n")
    document = json.loads(condord("config", "show", "--json").out)
    assert document["path"] == str(user)
    assert document["values"]["server.port"] == {"value": 7, "origin": f"file {user}"}
    assert set(document["values"]) == {field.name for field in schema.fields()} | schema.TABLES.keys()
    assert document["credentials"] == {"origin": None, "problem": "no Alpaca API key was found"}
    assert document["warnings"] == []


def test_an_unused_variable_is_a_warning(condord, user, monkeypatch):
    monkeypatch.setenv("CONDORD_LOGLEVEL", "debug")
    code, out, err = condord("config", "show")
    assert (code, err) == (0, [])
    (warning,) = [line for line in out.splitlines() if line.startswith("# warning: ")]
    assert warning.startswith("# warning: CONDORD_LOGLEVEL is not used")
    assert json.loads(condord("config", "show", "--json").out)["warnings"] == [warning.removeprefix("# warning: ")]


def test_only_the_origin_of_the_api_key_is_shown(condord, monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", "PKSHOWNOWHERE")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "hushhush")
    for arguments in (("config", "show"), ("config", "show", "--json")):
        out = condord(*arguments).out
        assert "environment" in out
        assert "PKSHOWNOWHERE" not in out
        assert "hushhush" not in out


def test_paths_of_key_files_are_shown_but_neither_their_content_nor_a_key_given_as_a_path(condord, tmp_path):
    key = write(tmp_path / "key", "hushhush")
    file = write(
        tmp_path / "c.toml", f"[alpaca]\nkey_id_file = '{key}'\nsecret_key_file = 'abcdefghijklmnop0123hushhush'\n"
    )
    for arguments in ((), ("--json",)):
        out = condord("config", "show", "--config", str(file), *arguments).out
        assert str(key) in out
        assert "***" in out
        assert "hushhush" not in out


def test_the_query_of_a_url_is_not_shown(condord, monkeypatch):
    monkeypatch.setenv("CONDORD_ALPACA_OPTION_STREAM_URL", "wss://gateway.example/x?token=hushhush")
    out = condord("config", "show").out
    assert '"wss://gateway.example/x?***"' in out
    assert "hushhush" not in out


def test_showing_an_invalid_configuration_exits_with_78(condord, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "x")
    assert condord("config", "show").code == 78


# path


def test_paths_are_listed_in_order_with_the_one_that_is_read(condord, user, system):
    write(system)
    assert condord("config", "path").out.splitlines() == [f"missing        {user}", f"read           {system}"]
    write(user)
    assert condord("config", "path").out.splitlines() == [f"read           {user}", f"not looked at  {system}"]


def test_without_a_home_the_users_path_is_unknown_and_the_others_are_shown(condord, system, monkeypatch):
    monkeypatch.setattr(sources.directories, "config_directory", lambda: None)
    unknown = "unknown        the user's own: there is no home directory"
    assert condord("config", "path").out.splitlines() == [unknown, f"missing        {system}"]


def test_a_path_given_explicitly_is_the_only_one_considered(condord, user, system, monkeypatch, tmp_path):
    monkeypatch.setenv("CONDORD_CONFIG", str(write(tmp_path / "env.toml")))
    others = [f"not looked at  {user}", f"not looked at  {system}"]
    assert condord("config", "path").out.splitlines() == [f"read           {tmp_path / 'env.toml'}", *others]
    lines = condord("config", "path", "--config", "/none/c.toml").out.splitlines()
    assert lines == ["missing        /none/c.toml", f"not looked at  {tmp_path / 'env.toml'}", *others]


# init


def test_init_writes_a_private_file_of_defaults_to_the_path_that_is_read(condord, user):
    code, out, err = condord("config", "init")
    assert (code, out, len(err)) == (0, f"{user}\n", 1)
    assert (stat.S_IMODE(user.stat().st_mode), stat.S_IMODE(user.parent.stat().st_mode)) == (0o600, 0o700)
    loaded = sources.load(None, {}, {})
    assert (loaded.path, loaded.config) == (user, schema.Config())
    assert user.read_bytes().count(b"#") > len(schema.fields())


def test_init_writes_to_a_given_path(condord, tmp_path):
    target = tmp_path / "a" / "b.toml"
    assert condord("config", "init", str(target)).code == 0
    assert tomllib.loads(target.read_text())["server"]["port"] == 8420


@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_init_never_overwrites_a_file_or_a_link(condord, tmp_path, kind):
    target = tmp_path / "c.toml"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    code, out, err = condord("config", "init", str(target))
    assert (code, out, len(err)) == (1, "", 2)
    assert "exists already" in err[0]
    assert not (tmp_path / "nowhere").exists()
    assert kind != "file" or target.read_text() == "mine"


def test_without_a_home_init_needs_a_path(condord, system, monkeypatch, tmp_path):
    monkeypatch.setattr(sources.directories, "config_directory", lambda: None)
    code, out, err = condord("config", "init")
    assert (code, out) == (1, "")
    assert err[1] == "hint: Name a file: condord config init PATH."
    assert not system.exists()
    assert condord("config", "init", str(tmp_path / "c.toml")).code == 0


@pytest.mark.parametrize("path", ["file/c.toml", "file/further/c.toml", ""])
def test_a_path_that_cannot_be_written_exits_with_1_and_two_lines(condord, tmp_path, path):
    (tmp_path / "file").write_text("")
    code, out, err = condord("config", "init", str(tmp_path / path))
    assert (code, out, len(err)) == (1, "", 2)


@pytest.mark.slow
def test_a_full_disk_exits_with_1_and_leaves_no_partial_file(tmp_path):
    target = tmp_path / "new" / "c.toml"
    # No file of more than a block, as on a full disk. Without -B the interpreter would leave a truncated __main__.pyc.
    command = 'ulimit -f 1 && exec "$0" -B -m condord config init "$1"'
    done = subprocess.run(["sh", "-c", command, sys.executable, target], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 2)
    assert done.stderr.startswith(f"condord: {target} cannot be written: File too large")
    assert list(target.parent.iterdir()) == []


def test_init_leaves_no_temporary_file(condord, tmp_path):
    assert condord("config", "init", str(tmp_path / "new" / "c.toml")).code == 0
    assert condord("config", "init", str(tmp_path / "new" / "c.toml")).code == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.toml"]


def test_the_example_is_the_one_of_the_repository():
    assert example() == (Path(__file__).parents[2] / "condord.toml.example").read_bytes()


# all of them


@pytest.mark.parametrize("command", ["show", "path", "init"])
def test_every_subcommand_has_help(condord, command):
    code, out, _ = condord("config", command, "--help")
    assert code == 0
    assert "Usage: condord config" in out


def test_config_without_a_subcommand_is_a_usage_error(condord):
    assert condord("config").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["show", "path"])
def test_neither_the_server_nor_alpaca_is_imported(command):
    assert imports_of("config", command) == (0, [])
