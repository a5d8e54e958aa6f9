import os
import signal
import subprocess
import sys

import pytest

from condord import lock
from condord.errors import Unavailable

TAKE = """
import sys
from pathlib import Path
from condord import lock
with lock.held(Path(sys.argv[1]), key_id="KEY", stream_url="wss://one"):
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def held(place, **changes):
    return lock.held(place, **{"key_id": "KEY", "stream_url": "wss://one", **changes})


@pytest.mark.slow
def test_a_second_daemon_is_refused_and_told_the_process_of_the_first(tmp_path, owner):
    with pytest.raises(Unavailable, match=rf"process {owner.pid}\b") as caught, held(tmp_path):
        pass
    assert caught.value.exit_code == 69
    assert "KEY" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"key_id": "OTHER"}, {"stream_url": "wss://two"}])
def test_another_key_or_another_stream_is_free(tmp_path, owner, change):
    with held(tmp_path, **change):
        assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_the_lock_goes_with_a_killed_process(tmp_path, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with held(tmp_path):
        pass


def test_no_file_name_and_no_content_holds_the_key(tmp_path):
    with held(tmp_path):
        (path,) = tmp_path.iterdir()
        assert "KEY" not in path.name + path.read_text()


def test_a_daemon_that_ends_leaves_no_file(tmp_path):
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_made_there_is_no_lock(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with held(tmp_path / "file"):
        assert (tmp_path / "file").read_text() == "in the way"


def test_the_units_directory_comes_before_the_users_and_that_before_a_temporary_one():
    environ = {"RUNTIME_DIRECTORY": "/run/condord:/run/other", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert str(lock.directory(environ)) == "/run/condord"
    assert str(lock.directory({"XDG_RUNTIME_DIR": "/run/user/7"})) == "/run/user/7/condord"
    assert lock.directory({}).name == f"condord-{os.getuid()}"
