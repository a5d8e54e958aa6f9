import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from condord.errors import Unavailable
from condord.host import private_directory as module
from condord.host.private_directory import OWNER, owned_directory, private_directory


def opened(environ):
    return private_directory(environ, purpose="a test", hint="Try another.")


@pytest.mark.parametrize("name", ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"])
def test_the_directory_is_in_the_runtime_directory_and_removed_with_all_its_files(name, tmp_path):
    with opened({name: str(tmp_path)}) as path:
        assert path.parent == tmp_path
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "file").touch()
    assert not path.exists()


def test_the_first_directory_of_a_unit_precedes_the_users(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with opened({"RUNTIME_DIRECTORY": f"{first}:{second}", "XDG_RUNTIME_DIR": str(second)}) as path:
        assert path.parent == first


def test_a_runtime_directory_that_cannot_be_used_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    long = tmp_path / ("x" * module.MAX_PARENT_BYTES)
    long.mkdir()
    for named in ("", "/nonexistent", str(long)):
        with opened({"RUNTIME_DIRECTORY": named}) as path:
            assert path.parent == tmp_path


def test_without_a_writable_place_the_error_names_the_purpose(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="no private directory for a test: No such file") as raised, opened({}):
        pass
    assert raised.value.hint == "Try another."


def test_the_path_of_a_socket_in_it_is_short_enough(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: True)
    named = "/" + "x" * (module.MAX_PARENT_BYTES - 1)
    assert module._runtime_directory({"RUNTIME_DIRECTORY": named}) == named
    assert len(os.fsencode(named)) + len("/condord-12345678/source.sock") <= 107


ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 60
PROGRAM = """
import sys
from condord.host.private_directory import private_directory
with private_directory({"RUNTIME_DIRECTORY": sys.argv[1]}, purpose="a test", hint="") as path:
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that has a directory, and the directory."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        yield process, Path(process.stdout.readline().decode().strip())
        process.kill()


def left_behind(owner):
    """The directory of a process that was killed, with a socket in it and what a front keeps there."""
    process, path = owner
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "source.sock"))
    (path / "state").mkdir()
    (path / "state" / "file").touch()
    process.send_signal(signal.SIGKILL)
    process.wait(BOUND_SECONDS)
    assert path.is_dir()
    return path


def test_the_directory_of_a_killed_process_is_removed_by_the_next_one(owner, tmp_path):
    path = left_behind(owner)
    with opened({"RUNTIME_DIRECTORY": str(tmp_path)}) as own:
        assert [*tmp_path.iterdir()] == [own]
    assert not path.exists()


def test_the_directory_of_a_running_process_stays(owner, tmp_path):
    process, path = owner
    with opened({"RUNTIME_DIRECTORY": str(tmp_path)}), opened({"RUNTIME_DIRECTORY": str(tmp_path)}):
        assert len([*tmp_path.iterdir()]) == 3
    process.stdin.close()
    assert process.wait(BOUND_SECONDS) == 0
    assert not path.exists()


def test_the_targets_of_links_stay(owner, tmp_path):
    path = left_behind(owner)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (path / "link").symlink_to(outside)
    elsewhere = tmp_path / "condord-elsewher"
    shutil.copytree(path, outside / "copy", ignore=shutil.ignore_patterns("source.sock"), symlinks=True)
    (outside / "copy").chmod(0o700)
    elsewhere.symlink_to(outside / "copy")
    with opened({"RUNTIME_DIRECTORY": str(tmp_path)}):
        assert not path.exists()
    assert (outside / "file").exists()
    assert (outside / "copy" / OWNER).exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("condord-cluster-abcdefgh", lambda path: None),
        ("condord-12345678", lambda path: (path / OWNER).unlink()),
        ("condord-abcdefgh", lambda path: path.chmod(0o755)),
        ("condord-abcdefgh", lambda path: ((path / OWNER).unlink(), os.mkfifo(path / OWNER))),
        ("condord-abcdefgh", lambda path: ((path / OWNER).unlink(), (path / OWNER).symlink_to(path / "state/file"))),
    ],
    ids=["of another program", "without an owner", "open to others", "with a fifo", "with a link"],
)
def test_a_directory_that_may_not_be_ours_stays(owner, tmp_path, name, change):
    path = left_behind(owner)
    change(path)
    path = path.rename(tmp_path / name)
    with opened({"RUNTIME_DIRECTORY": str(tmp_path)}):
        assert path.exists()


def test_the_directory_of_another_user_stays(owner, tmp_path, monkeypatch):
    path = left_behind(owner)
    uid = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: uid + 1)
    with opened({"RUNTIME_DIRECTORY": str(tmp_path)}):
        assert path.exists()


def test_on_a_file_system_without_locks_the_directory_is_still_used(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with owned_directory("x-", str(tmp_path)) as path:
        assert not (path / OWNER).exists()
        with owned_directory("x-", str(tmp_path)):
            assert path.exists()
    assert [*tmp_path.iterdir()] == []
