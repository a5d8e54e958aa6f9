"""What is built is whole: a wheel that runs anywhere, and a source archive that makes it again and can test it.

The page is left out of it here, as a test builds nothing with node; tests of `web/` have it.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

from condord import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = "condord/http/page"
MADE = {"__pycache__", "node_modules", "dist"}
DATA = f"condord-{__version__}.data/data/share/condord/systemd"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where both are: the archive of this tree, and the wheel that was made of the archive."""
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, ROOT]
    environ = {**os.environ, "CONDORD_WITHOUT_PAGE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture
def wheel(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture
def archive(built):
    """The names in it, without the directory that holds all."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        return {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in opened.getnames()}


def sources(*folders: str) -> set[str]:
    """The files of our own in these folders, but not what is made of them."""
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {str(path) for path in paths if not MADE.intersection(path.parts) and not path.is_relative_to(PAGE)}


def test_the_wheel_is_the_program_its_example_and_its_units_and_nothing_else(wheel):
    units = {f"{DATA}/{Path(name).name}" for name in sources("systemd")}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.startswith(f"{PAGE}/")}
    assert names == sources("condord") | {"condord/condord.toml.example"} | units
    assert "condord/py.typed" in names


def test_the_wheel_starts_with_one_command_and_names_this_version(wheel):
    read = {name.rpartition("/")[2]: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "condord = condord.__main__:main" in read["entry_points.txt"]
    told = Parser().parsestr(read["METADATA"])
    assert (told["Name"], told["Version"], told["Requires-Python"]) == ("condord", __version__, ">=3.11")
    assert told["Description-Content-Type"] == "text/markdown"


def test_the_readme_links_to_nothing_that_a_package_index_has_not(wheel):
    told = wheel.read(f"condord-{__version__}.dist-info/METADATA").decode()
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", told)
    assert [target for image, target in links if not image and not target.startswith("https://")] == []


def test_the_pictures_of_the_readme_are_in_the_archive(archive):
    pictures = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text()))
    assert len(pictures) == 2
    assert pictures <= archive


def test_the_archive_has_all_that_it_takes_to_test_it_measure_it_and_run_it(archive):
    folders = {"condord", "tests", "benchmarks", "systemd", "web", ".ci"}
    assert sources(*folders) | {"README.md", "condord.toml.example", "pyproject.toml"} <= archive
    assert {PurePosixPath(name).parts[0] for name in archive if "/" in name} == folders
