import os
import signal
import subprocess
import sys

import pytest

from condord.errors import Unavailable
from condord.lock import Locks, directory

PAIR = {"key_id": "KEY", "stream_url": "wss://one"}
TAKE = """
import sys
from pathlib import Path
from condord.lock import Locks
with Locks(Path(sys.argv[1])) as locks:
    locks.take(key_id="KEY", stream_url="wss://one")
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


@pytest.fixture
def locks(tmp_path):
    with Locks(tmp_path) as locks:
        yield locks


def is_free(place, **changes):
    """Whether a second daemon would get it; a lock holds against others of this process too."""
    with Locks(place) as others:
        try:
            others.take(**PAIR | changes)
        except Unavailable:
            return False
        return True


@pytest.mark.slow
def test_a_second_daemon_is_refused_and_told_the_process_of_the_first(locks, owner):
    with pytest.raises(Unavailable, match=rf"process {owner.pid}\b") as caught:
        locks.take(**PAIR)
    assert caught.value.exit_code == 69
    assert "KEY" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"key_id": "OTHER"}, {"stream_url": "wss://two"}])
def test_another_key_or_another_stream_is_free(tmp_path, locks, owner, change):
    locks.take(**PAIR | change)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_the_lock_goes_with_a_killed_process(tmp_path, locks, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert len(list(tmp_path.iterdir())) == 1
    locks.take(**PAIR)
    (path,) = tmp_path.iterdir()
    assert path.read_text() == f"{os.getpid()}\n"


def test_no_file_name_and_no_content_holds_the_key(tmp_path, locks):
    locks.take(**PAIR)
    (path,) = tmp_path.iterdir()
    assert "KEY" not in path.name + path.read_text()


def test_what_is_held_can_be_taken_again(tmp_path, locks):
    locks.take(**PAIR)
    locks.take(**PAIR)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_old_lock_holds_beside_the_new_one_until_it_is_given_back(tmp_path, locks):
    locks.take(**PAIR)
    locks.take(**PAIR | {"key_id": "NEW"})
    assert (is_free(tmp_path), is_free(tmp_path, key_id="NEW")) == (False, False)
    locks.keep_only(**PAIR | {"key_id": "NEW"})
    assert (is_free(tmp_path), is_free(tmp_path, key_id="NEW")) == (True, False)


def test_a_lock_that_another_has_costs_none_of_ours(tmp_path, locks):
    with Locks(tmp_path) as other:
        other.take(**PAIR | {"key_id": "NEW"})
        locks.take(**PAIR)
        with pytest.raises(Unavailable):
            locks.take(**PAIR | {"key_id": "NEW"})
        assert not is_free(tmp_path)


def test_a_daemon_that_ends_leaves_no_file(tmp_path):
    with Locks(tmp_path) as locks:
        locks.take(**PAIR)
        locks.take(**PAIR | {"stream_url": "wss://two"})
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_made_there_is_no_lock_which_is_told_once(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with Locks(tmp_path / "file") as locks:
        locks.take(**PAIR)
        locks.take(**PAIR)
        locks.keep_only(**PAIR | {"key_id": "NEW"})
    assert (tmp_path / "file").read_text() == "in the way"
    assert caplog.messages == ["No lock against a second daemon"]


def test_the_units_directory_comes_before_the_users_and_that_before_a_temporary_one():
    environ = {"RUNTIME_DIRECTORY": "/run/condord:/run/other", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert str(directory(environ)) == "/run/condord"
    assert str(directory({"XDG_RUNTIME_DIR": "/run/user/7"})) == "/run/user/7/condord"
    assert directory({}).name == f"condord-{os.getuid()}"
