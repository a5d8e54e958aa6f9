import contextlib
import os
import signal
import subprocess
import sys

import pytest

from condord.errors import Unavailable
from condord.host.instance_lock import AlreadyRunning, Locks, StateInUse, directory, name, names_of, only_ingester

PAIR = {"key_id": "KEY", "stream_url": "wss://one"}
TAKE = """
import sys
from pathlib import Path
from condord.host.instance_lock import Locks
with Locks(Path(sys.argv[1]), lease_digest=sys.argv[2]) as locks:
    locks.take(key_id="KEY", stream_url="wss://one")
    print("taken", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def owning(place, lease_digest=""):
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(place), lease_digest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def owner(tmp_path):
    with owning(tmp_path) as process:
        yield process


@pytest.fixture
def maker(tmp_path):
    """A process that runs under a lease, and is stopped."""
    with owning(tmp_path, "lease-1") as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        yield process


@pytest.fixture
def locks(tmp_path):
    with Locks(tmp_path) as locks:
        yield locks


def is_free(directory, **changes):
    """Whether a second daemon could lock it; flock(2) excludes other descriptors of this process too."""
    with Locks(directory) as others:
        try:
            others.take(**PAIR | changes)
        except Unavailable:
            return False
        return True


@pytest.mark.slow
def test_a_second_daemon_is_refused_with_the_pid_of_the_first(locks, owner):
    with pytest.raises(Unavailable, match=rf"process {owner.pid}\b") as caught:
        locks.take(**PAIR)
    assert caught.value.exit_code == 69
    assert "KEY" not in str(caught.value)
    assert "or see its state with `condord status`." in caught.value.hint


@pytest.mark.slow
def test_the_error_for_the_process_of_an_ingester_names_the_ingester_and_does_not_advise_to_end_one_process(tmp_path):
    with owning(tmp_path, "lease-1") as maker, Locks(tmp_path) as locks:
        with pytest.raises(AlreadyRunning) as caught:
            locks.take(**PAIR)
        assert (caught.value.pid, caught.value.ingester) == (maker.pid, os.getpid())
    assert str(caught.value) == f"an ingester (process {os.getpid()}) uses this key on this option stream"
    assert caught.value.hint.startswith("Use the key of another account, or stop all ingesters of this one: ")


def test_an_ingester_whose_process_cannot_be_found_is_unknown():
    for pid in (None, 2**22 + 1, 1):
        assert str(AlreadyRunning(pid, is_maker=True)).startswith("an ingester (process unknown) uses this key")


@pytest.mark.slow
def test_a_maker_that_has_outlived_its_lease_is_killed_by_the_next_one(tmp_path, maker, caplog):
    with Locks(tmp_path, lease_digest="lease-1") as locks:
        locks.take(**PAIR)
        assert maker.wait(60) == -signal.SIGKILL
        assert not is_free(tmp_path)
    assert caplog.messages == ["A daemon of the account was killed because it had outlived its lease"]
    assert caplog.records[0].fields == {"pid": maker.pid}


@pytest.mark.slow
@pytest.mark.parametrize("lease_digest", ["", "lease-2"])
def test_no_other_process_kills_a_stopped_maker_and_the_error_has_a_remedy(tmp_path, maker, lease_digest):
    with (
        Locks(tmp_path, lease_digest=lease_digest) as locks,
        pytest.raises(AlreadyRunning, match="suspended") as caught,
    ):
        locks.take(**PAIR)
    assert caught.value.pid == maker.pid
    assert f"`kill -CONT {maker.pid}`, or end it with `kill -KILL {maker.pid}`" in caught.value.hint
    assert maker.poll() is None


@pytest.mark.slow
def test_a_daemon_without_a_lease_is_never_killed(tmp_path, owner):
    with Locks(tmp_path, lease_digest="lease-1") as locks, pytest.raises(AlreadyRunning, match=r"option stream$"):
        locks.take(**PAIR)
    assert owner.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("number", ["another", "nobody's"])
def test_a_process_without_the_lock_is_not_killed(tmp_path, maker, number):
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as other:
        pid = other.pid if number == "another" else 2**22 + 1  # more than the kernel gives
        [path] = tmp_path.glob("*.lock")
        path.write_text(f"{pid}\nlease lease-1\n")
        with Locks(tmp_path, lease_digest="lease-1") as locks, pytest.raises(AlreadyRunning):
            locks.take(**PAIR)
        assert (maker.poll(), other.poll()) == (None, None)


def test_no_process_is_killed_that_cannot_be_identified_safely(tmp_path, maker, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    with Locks(tmp_path, lease_digest="lease-1") as locks, pytest.raises(AlreadyRunning):
        locks.take(**PAIR)


def test_the_hint_for_a_second_daemon_has_the_url_of_the_first(tmp_path, locks):
    locks.take(**PAIR)
    locks.note_url("http://127.0.0.1:9000")
    with Locks(tmp_path) as others, pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}\b") as caught:
        others.take(**PAIR)
    assert "`condord status --url http://127.0.0.1:9000`" in caught.value.hint
    assert names_of(os.getpid(), {"RUNTIME_DIRECTORY": str(tmp_path)}) == {name(**PAIR)}


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"key_id": "OTHER"}, {"stream_url": "wss://two"}])
def test_another_key_or_another_stream_is_free(tmp_path, locks, owner, change):
    locks.take(**PAIR | change)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_a_killed_process_releases_its_lock(tmp_path, locks, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert len(list(tmp_path.iterdir())) == 1
    locks.take(**PAIR)
    (path,) = tmp_path.iterdir()
    assert path.read_text() == f"{os.getpid()}\n"


def test_neither_the_name_nor_the_content_of_a_file_contains_the_key(tmp_path, locks):
    locks.take(**PAIR)
    (path,) = tmp_path.iterdir()
    assert "KEY" not in path.name + path.read_text()


def test_a_lock_that_we_hold_can_be_taken_again(tmp_path, locks):
    locks.take(**PAIR)
    locks.take(**PAIR)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_old_lock_is_held_beside_the_new_one_until_it_is_released(tmp_path, locks):
    locks.take(**PAIR)
    locks.take(**PAIR | {"key_id": "NEW"})
    assert (is_free(tmp_path), is_free(tmp_path, key_id="NEW")) == (False, False)
    locks.keep_only(**PAIR | {"key_id": "NEW"})
    assert (is_free(tmp_path), is_free(tmp_path, key_id="NEW")) == (True, False)


def test_a_failed_attempt_releases_none_of_our_locks(tmp_path, locks):
    with Locks(tmp_path) as other:
        other.take(**PAIR | {"key_id": "NEW"})
        locks.take(**PAIR)
        with pytest.raises(Unavailable):
            locks.take(**PAIR | {"key_id": "NEW"})
        assert not is_free(tmp_path)


def test_no_file_is_left_at_the_end(tmp_path):
    with Locks(tmp_path) as locks:
        locks.take(**PAIR)
        locks.take(**PAIR | {"stream_url": "wss://two"})
    assert list(tmp_path.iterdir()) == []


def test_without_a_lock_file_there_is_one_warning_and_no_lock(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with Locks(tmp_path / "file") as locks:
        locks.take(**PAIR)
        locks.take(**PAIR)
        locks.keep_only(**PAIR | {"key_id": "NEW"})
    assert (tmp_path / "file").read_text() == "in the way"
    assert caplog.messages == ["Running without a lock against a second daemon"]


def test_the_directory_of_the_unit_precedes_the_users_and_a_temporary_one(tmp_path):
    environ = {"RUNTIME_DIRECTORY": "/run/condord:/run/other", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert str(directory(environ)) == "/run/condord"
    assert directory({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "condord"
    assert directory({}).name == f"condord-{os.getuid()}"


def test_a_temporary_directory_is_writable_and_never_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda place, mode: place == tmp_path)
    assert directory({"TMPDIR": str(tmp_path)}).parent == tmp_path
    assert directory({"TMPDIR": "."}) is None
    assert directory({"TMPDIR": str(tmp_path / "none")}) is None
    assert directory({}) is None


def test_without_a_directory_there_is_one_warning_and_no_lock(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with Locks(None) as locks:
        locks.take(**PAIR)
        locks.take(**PAIR)
        locks.keep_only(**PAIR | {"key_id": "NEW"})
    assert caplog.messages == ["Running without a lock against a second daemon"]
    assert "no directory is writable" in caplog.records[0].fields["reason"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_runtime_directory_of_the_user_is_not_created(tmp_path):
    assert directory({"XDG_RUNTIME_DIR": str(tmp_path / "none")}) == directory({})


def in_public(tmp_path, way):
    """A directory for locks inside one that everyone may write to, such as /tmp."""
    public, place = tmp_path / "public", tmp_path / "public" / "condord-7"
    public.mkdir()
    public.chmod(0o1777)
    if way == "a link to a private directory":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    elif way != "not there":
        place.mkdir()
        place.chmod({"open to the group": 0o770, "open to all": 0o777}.get(way, 0o700))
    return place


@pytest.mark.parametrize("way", ["not there", "ours"])
def test_a_directory_in_tmp_that_only_we_can_write_is_used(tmp_path, caplog, way):
    place = in_public(tmp_path, way)
    with Locks(place) as locks:
        locks.take(**PAIR)
        assert not is_free(place)
    assert place.stat().st_mode & 0o777 == 0o700
    assert caplog.messages == []


@pytest.mark.parametrize(
    "way", ["a link to a private directory", "open to the group", "open to all", "of another user"]
)
def test_a_directory_in_tmp_that_others_control_gives_a_warning_and_is_not_used(tmp_path, caplog, monkeypatch, way):
    place = in_public(tmp_path, way)
    if way == "of another user":
        other_user = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other_user)
    with Locks(place) as locks:
        locks.take(**PAIR)
        assert list(place.iterdir()) == []
    (record,) = caplog.records
    assert (record.levelname, record.fields["code"]) == ("WARNING", "noLock")
    assert "others may write there" in record.fields["reason"]


def test_the_lock_files_of_a_process_are_found_by_its_pid(tmp_path, locks):
    locks.take(**PAIR)
    (tmp_path / "empty.lock").touch()
    (tmp_path / "no-file.lock").mkdir()
    (tmp_path / "other.lock").write_text("1\n")
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    assert names_of(os.getpid(), environ) == {name(**PAIR)}
    assert names_of(1, environ) >= {"other.lock"}


def test_a_lock_file_without_a_pid_still_locks(tmp_path, locks):
    locks.take(**PAIR)
    (tmp_path / name(**PAIR)).write_text("")
    with Locks(tmp_path) as others, pytest.raises(AlreadyRunning, match="process unknown") as caught:
        others.take(**PAIR)
    assert caught.value.pid is None


HOLD = """
import sys
from pathlib import Path
from condord.host.instance_lock import only_ingester
with only_ingester("acct", Path(sys.argv[1])):
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_a_second_ingester_of_an_account_is_refused_the_state_directory_until_the_first_has_ended(tmp_path):
    state = tmp_path / "var" / "state"
    command = [sys.executable, "-c", HOLD, str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "taken\n"
        with pytest.raises(StateInUse, match=rf"another ingester \(process {first.pid}\).* {state}") as raised:
            only_ingester("acct", state).__enter__()
        assert raised.value.exit_code == 69
        assert "STATE_DIRECTORY" in raised.value.hint
        with only_ingester("another", state), only_ingester("acct", tmp_path / "other"):
            pass
        first.kill()
    with only_ingester("acct", state):
        assert (state / "ingester-acct.lock").read_text() == f"{os.getpid()}\n"
    assert list(state.iterdir()) == []


def test_if_no_file_can_be_created_an_ingester_runs_without_a_lock(tmp_path, caplog):
    (tmp_path / "file").touch()
    with only_ingester("acct", tmp_path / "file"):
        assert caplog.records[0].fields["code"] == "noLock"
