"""The built packages are complete: a wheel, and a source archive from which it can be rebuilt and tested.

They are built without the page; test_packed_page.py checks it.
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
    """The directory with the archive of this tree and the wheel built from the archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    environ = {**os.environ, "CONDORD_WITHOUT_PAGE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def wheel(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture
def archive(built):
    """The names in the archive, without the top directory."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        return {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in opened.getnames()}


def sources(*folders: str) -> set[str]:
    """The source files in these folders, without generated ones."""
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {str(path) for path in paths if not MADE.intersection(path.parts) and not path.is_relative_to(PAGE)}


def test_the_wheel_contains_only_the_program_its_example_and_its_units(wheel):
    units = {f"{DATA}/{Path(name).name}" for name in sources("systemd")}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.startswith(f"{PAGE}/")}
    assert names == sources("condord") | {"condord/condord.toml.example"} | units
    assert "condord/py.typed" in names


def test_the_wheel_installs_one_command_and_has_this_version(wheel):
    read = {name.rpartition("/")[2]: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "condord = condord.__main__:main" in read["entry_points.txt"]
    metadata = Parser().parsestr(read["METADATA"])
    assert (metadata["Name"], metadata["Version"], metadata["Requires-Python"]) == ("condord", __version__, ">=3.11")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert (metadata["License-Expression"], metadata.get_all("License-File")) == ("MIT", ["LICENSE"])
    assert read["LICENSE"] == (ROOT / "LICENSE").read_text()


def test_the_readme_has_only_links_that_work_on_a_package_index(wheel):
    metadata = wheel.read(f"condord-{__version__}.dist-info/METADATA").decode()
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", metadata)
    assert [target for image, target in links if not target.startswith("https://")] == []


def test_the_archive_contains_the_pictures_of_the_readme(archive):
    pictures = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text()))
    assert len(pictures) == 3
    assert pictures <= archive


def test_the_archive_contains_everything_needed_to_test_benchmark_and_run_it(archive):
    folders = {"condord", "tests", "benchmarks", "systemd", "web", "docs", ".ci"}
    files = {"pyproject.toml", "hatch_readme.py", "condord.toml.example", "Makefile", ".editorconfig"}
    files |= {".pre-commit-config.yaml", "LICENSE"} | {path.name for path in ROOT.glob("*.md")}
    assert sources(*folders) | files <= archive
    assert {PurePosixPath(name).parts[0] for name in archive if "/" in name} == folders
