import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from condord.host import directories

FINDERS = {"user_config_path": directories.config_directory, "user_state_path": directories.state_directory}


def refuse(_):
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("answer", [refuse, lambda _: Path("~/.config/condord")], ids=["error", "relative"])
def test_without_a_home_directory_none_is_returned_whatever_platformdirs_does(monkeypatch, name, answer):
    monkeypatch.setattr(platformdirs, name, answer)
    assert FINDERS[name]() is None


@pytest.mark.parametrize("name", FINDERS)
def test_with_a_home_directory_the_directories_are_below_it(monkeypatch, tmp_path, name):
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FINDERS[name]().is_relative_to(tmp_path)


def test_platformdirs_is_imported_only_when_it_is_used():
    code = "import sys; from condord.host import directories; print('platformdirs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
