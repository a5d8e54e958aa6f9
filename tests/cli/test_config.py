import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from condord import config
from condord.cli.config import example


@pytest.fixture(autouse=True)
def system(monkeypatch, tmp_path):
    """The place in /etc, elsewhere."""
    path = tmp_path / "etc" / "condord.toml"
    monkeypatch.setattr(config, "SYSTEM_PATH", path)
    return path


@pytest.fixture
def user(tmp_path):
    """The place of the user's own file."""
    return tmp_path / "config" / "condord" / "condord.toml"


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# show


def test_every_key_is_shown_with_its_value_and_its_origin(condord, user, monkeypatch):
    write(user, '[alpaca]\nfeed = "opra"\n')
    monkeypatch.setenv("CONDORD_SERVER_PORT", "9000")
    code, out, err = condord("config", "show")
    assert (code, err) == (0, [])
    lines = {line.split(" = ")[0]: " ".join(line.split()) for line in out.splitlines()}
    assert lines["feed"] == f'feed = "opra" # file {user}'
    assert lines["port"] == "port = 9000 # environment CONDORD_SERVER_PORT"
    assert lines["paper"] == "paper = true # default"
    assert len([line for line in out.splitlines() if " = " in line]) == len(config.fields())


def test_what_is_shown_is_a_configuration_that_says_the_same(condord, tmp_path, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_ALLOWED_HOSTS", "a.example,b.example")
    monkeypatch.setenv("CONDORD_STREAM_MIN_CHANGE", "0.25")
    shown = write(tmp_path / "shown.toml", condord("config", "show").out)
    before = config.load(None, os.environ, {}).config
    assert config.load(shown, {}, {}).config == before


def test_as_json_it_is_one_document(condord, user):
    write(user, "[server]\nport = 7\n")
    document = json.loads(condord("config", "show", "--json").out)
    assert document["path"] == str(user)
    assert document["values"]["server.port"] == {"value": 7, "origin": f"file {user}"}
    assert set(document["values"]) == {field.name for field in config.fields()}
    assert document["credentials"] == {"origin": None, "problem": "no Alpaca API key was found"}


def test_of_the_key_only_the_origin_is_shown(condord, monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", "PKSHOWNOWHERE")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "hushhush")
    for arguments in (("config", "show"), ("config", "show", "--json")):
        out = condord(*arguments).out
        assert "environment" in out
        assert "PKSHOWNOWHERE" not in out
        assert "hushhush" not in out


def test_the_paths_of_keys_are_shown_and_never_what_they_hold_nor_a_key_in_their_place(condord, tmp_path):
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


def test_a_configuration_with_faults_is_78(condord, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "x")
    assert condord("config", "show").code == 78


# path


def test_the_places_are_told_in_order_with_what_is_there(condord, user, system):
    write(system)
    assert condord("config", "path").out.splitlines() == [f"missing        {user}", f"read           {system}"]
    write(user)
    assert condord("config", "path").out.splitlines() == [f"read           {user}", f"not looked at  {system}"]


def test_a_place_that_is_demanded_is_the_only_one_looked_at(condord, user, system, monkeypatch, tmp_path):
    monkeypatch.setenv("CONDORD_CONFIG", str(write(tmp_path / "env.toml")))
    others = [f"not looked at  {user}", f"not looked at  {system}"]
    assert condord("config", "path").out.splitlines() == [f"read           {tmp_path / 'env.toml'}", *others]
    told = condord("config", "path", "--config", "/none/c.toml").out.splitlines()
    assert told == ["missing        /none/c.toml", f"not looked at  {tmp_path / 'env.toml'}", *others]


# init


def test_a_file_with_every_key_at_its_default_is_written_where_it_is_read_for_its_owner_alone(condord, user):
    code, out, err = condord("config", "init")
    assert (code, out, len(err)) == (0, f"{user}\n", 1)
    assert (stat.S_IMODE(user.stat().st_mode), stat.S_IMODE(user.parent.stat().st_mode)) == (0o600, 0o700)
    loaded = config.load(None, {}, {})
    assert (loaded.path, loaded.config) == (user, config.Config())
    assert user.read_bytes().count(b"#") > len(config.fields())


def test_it_can_be_written_elsewhere(condord, tmp_path):
    target = tmp_path / "a" / "b.toml"
    assert condord("config", "init", str(target)).code == 0
    assert tomllib.loads(target.read_text())["server"]["port"] == 8420


@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_what_is_there_already_is_never_overwritten(condord, tmp_path, kind):
    target = tmp_path / "c.toml"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    code, out, err = condord("config", "init", str(target))
    assert (code, out, len(err)) == (1, "", 2)
    assert "there already" in err[0]
    assert not (tmp_path / "nowhere").exists()
    assert kind != "file" or target.read_text() == "mine"


@pytest.mark.parametrize("place", ["file/c.toml", "file/further/c.toml", ""])
def test_a_place_that_cannot_be_written_is_1_and_two_lines(condord, tmp_path, place):
    (tmp_path / "file").write_text("")
    code, out, err = condord("config", "init", str(tmp_path / place))
    assert (code, out, len(err)) == (1, "", 2)


@pytest.mark.slow
def test_where_no_room_is_left_it_is_1_and_no_part_of_a_file_stays(tmp_path):
    target = tmp_path / "new" / "c.toml"
    command = 'ulimit -f 1 && exec "$0" -m condord config init "$1"'  # no file of more than a block, as on a full disk
    done = subprocess.run(["sh", "-c", command, sys.executable, target], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 2)
    assert done.stderr.startswith(f"condord: {target} cannot be written: File too large")
    assert list(target.parent.iterdir()) == []


def test_nothing_but_the_file_stays(condord, tmp_path):
    assert condord("config", "init", str(tmp_path / "new" / "c.toml")).code == 0
    assert condord("config", "init", str(tmp_path / "new" / "c.toml")).code == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.toml"]


def test_the_example_is_that_of_the_project():
    assert example() == (Path(__file__).parents[2] / "condord.toml.example").read_bytes()


# All of them


@pytest.mark.parametrize("command", ["show", "path", "init"])
def test_each_explains_itself(condord, command):
    code, out, _ = condord("config", command, "--help")
    assert code == 0
    assert "Usage: condord config" in out


def test_without_a_command_it_is_misuse(condord):
    assert condord("config").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["show", "path"])
def test_they_import_neither_the_server_nor_alpaca(command):
    code = f"""
import sys
from condord.cli.main import run
run(["config", "{command}"])
print(*(name for name in ("alpaca", "pandas", "starlette", "uvicorn", "websockets", "asyncio") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == ""
