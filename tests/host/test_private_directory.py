import os
import stat

import pytest

from condord.errors import Unavailable
from condord.host import private_directory as module
from condord.host.private_directory import private_directory


def made(environ):
    return private_directory(environ, purpose="a test", hint="Try another.")


@pytest.mark.parametrize("name", ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"])
def test_it_is_in_the_runtime_directory_and_gone_with_all_its_files(name, tmp_path):
    with made({name: str(tmp_path)}) as path:
        assert path.parent == tmp_path
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "file").touch()
    assert not path.exists()


def test_of_the_directories_of_a_unit_the_first_is_taken_before_that_of_the_user(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with made({"RUNTIME_DIRECTORY": f"{first}:{second}", "XDG_RUNTIME_DIR": str(second)}) as path:
        assert path.parent == first


def test_a_runtime_directory_that_cannot_be_used_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    long = tmp_path / ("x" * module.MAX_PARENT_BYTES)
    long.mkdir()
    for named in ("", "/nonexistent", str(long)):
        with made({"RUNTIME_DIRECTORY": named}) as path:
            assert path.parent == tmp_path


def test_without_any_place_it_says_for_what(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="no private directory for a test: No such file") as raised, made({}):
        pass
    assert raised.value.hint == "Try another."


def test_the_path_of_a_socket_in_it_is_short_enough(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: True)
    named = "/" + "x" * (module.MAX_PARENT_BYTES - 1)
    assert module._runtime_directory({"RUNTIME_DIRECTORY": named}) == named
    assert len(os.fsencode(named)) + len("/condord-12345678/source.sock") <= 107
