"""The page is built where its sources have changed and node is there, and is packed so that others need no node."""

import gzip
import importlib.util
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
PAGE = "condord/http/page"
BUDGET_BYTES = 40_000

_found = importlib.util.spec_from_file_location("hatch_build", ROOT / "web" / "hatch_build.py")
hook = importlib.util.module_from_spec(_found)
_found.loader.exec_module(hook)

NPM = """#!/bin/sh
echo "$*" >>../asked
test "$1" = "$FAILING" && exit 3
test "$1" = run && mkdir -p ../condord/http/page && echo "$2" >../condord/http/page/index.html
exit 0
"""


class Clone:
    """A tree with sources of a page, on a machine whose node and npm are ours."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.web = root / "web"
        self.page = root / PAGE
        self._tools = root / "bin"
        for folder in (self.web, self._tools):
            folder.mkdir()
        (self.web / "index.html").write_text("<p>")
        monkeypatch.setenv("PATH", f"{self._tools}:/usr/bin:/bin")
        monkeypatch.delenv(hook.WITHOUT, raising=False)
        self.warnings = []
        self.has("npm", NPM)
        self.has("node", "#!/bin/sh\necho v20.19.0\n")

    def has(self, name, script):
        """A program of this name is there."""
        (self._tools / name).write_text(script)
        (self._tools / name).chmod(0o755)

    def lacks(self, name, monkeypatch):
        """No program of this name is there; the system's are out of sight, too."""
        (self._tools / name).unlink()
        monkeypatch.setenv("PATH", str(self._tools))

    @property
    def asked(self):
        """What npm was asked for, since this was looked at last."""
        path = self.root / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def build(self, version="standard"):
        """What hatchling is told to pack although git ignores it."""
        app = SimpleNamespace(display_warning=self.warnings.append)
        told = {"artifacts": []}
        hook.PageHook(str(self.root), {}, None, None, "", "wheel", app).initialize(version, told)
        return told["artifacts"]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    return Clone(tmp_path, monkeypatch)


def test_a_first_build_makes_the_page_and_packs_it(clone):
    assert clone.build() == [f"/{PAGE}/**"]
    assert clone.asked == ["ci --include=dev", "run build:page"]


def test_a_page_of_these_sources_is_not_built_again_and_needs_no_node(clone, monkeypatch):
    clone.build()
    assert clone.asked
    os.utime(clone.web / "index.html", (0, 0))
    (clone.web / "node_modules").mkdir()
    (clone.web / "node_modules" / "vue.js").write_text("")
    clone.lacks("node", monkeypatch)
    assert clone.build() == [f"/{PAGE}/**"]
    assert clone.asked == []


@pytest.mark.parametrize("change", ["content", "name", "another"])
def test_a_change_of_the_sources_builds_it_again(clone, change):
    clone.build()
    assert clone.asked
    index = clone.web / "index.html"
    if change == "content":
        index.write_text("<p>new")
    elif change == "name":
        index.rename(clone.web / "page.html")
    else:
        (clone.web / ".npmrc").write_text("")
    clone.build()
    assert clone.asked == ["ci --include=dev", "run build:page"]


def without_node(clone, monkeypatch):
    clone.lacks("node", monkeypatch)


def without_npm(clone, monkeypatch):
    clone.lacks("npm", monkeypatch)


def with_an_old_node(clone, monkeypatch):
    clone.has("node", "#!/bin/sh\necho v18.20.4\n")


def with_a_node_of_another_machine(clone, monkeypatch):
    clone.has("node", "\x7fELF")


@pytest.mark.parametrize("lack", [without_node, without_npm, with_an_old_node, with_a_node_of_another_machine])
class TestWithoutNode:
    def test_a_build_ends_with_one_line_that_names_the_way_round(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        with pytest.raises(SystemExit) as ended:
            clone.build()
        assert "Node 20.19 or newer" in ended.value.code
        assert "CONDORD_WITHOUT_PAGE=1" in ended.value.code
        assert "\n" not in ended.value.code

    def test_an_editable_install_goes_on_with_a_warning(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        assert clone.build("editable") == []
        assert "Node 20.19 or newer" in clone.warnings[0]

    def test_who_wants_none_gets_none(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        monkeypatch.setenv(hook.WITHOUT, "1")
        assert clone.build() == []


def test_a_page_that_is_not_wanted_is_not_built(clone, monkeypatch):
    monkeypatch.setenv(hook.WITHOUT, "1")
    assert clone.build() == []
    assert clone.asked == []


@pytest.mark.parametrize("name", ["condord-web-0.1.0.tgz", ".index.html.swp", "README.md", "src/App.test.ts"])
def test_what_the_page_is_not_made_of_is_no_reason_to_build_it_again(clone, name):
    clone.build()
    assert clone.asked
    (clone.web / "src").mkdir()
    (clone.web / name).write_text("")
    clone.build()
    assert clone.asked == []


def test_an_editable_install_says_whether_it_goes_on_with_no_page_or_an_older_one(clone, monkeypatch):
    monkeypatch.setenv(hook.WITHOUT, "1")
    clone.build("editable")
    monkeypatch.delenv(hook.WITHOUT)
    clone.build()
    (clone.web / "index.html").write_text("<p>new")
    clone.lacks("node", monkeypatch)
    clone.build("editable")
    assert [warning.partition(":")[0] for warning in clone.warnings] == [
        "condord is installed without its page",
        "condord is installed with an older page",
    ]


def test_of_two_builds_at_once_one_waits_and_has_nothing_to_do(clone):
    clone.has("npm", NPM.replace("exit 0", "sleep 0.2; exit 0"))
    builds = [threading.Thread(target=clone.build) for _ in range(2)]
    for build in builds:
        build.start()
    for build in builds:
        build.join()
    assert clone.asked == ["ci --include=dev", "run build:page"]


def test_an_npm_that_cannot_be_run_is_named(clone, monkeypatch):
    clone.has("npm", "#!/nowhere/interpreter\n")
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[0])
    with pytest.raises(SystemExit, match=r"npm ci.*cannot be run: No such file"):
        clone.build()


@pytest.mark.parametrize("command", ["ci", "run"])
def test_a_build_that_fails_is_named_and_tried_again(clone, monkeypatch, command):
    monkeypatch.setenv("FAILING", command)
    with pytest.raises(SystemExit, match=rf"npm {command}.*failed with 3"):
        clone.build()
    monkeypatch.delenv("FAILING")
    assert clone.asked
    clone.build()
    assert clone.asked == ["ci --include=dev", "run build:page"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Where an archive and a wheel are, made in the way of a machine without node."""
    stamp = ROOT / PAGE / hook.STAMP
    if not stamp.is_file() or stamp.read_text() != hook.digest_of(ROOT / "web"):
        assert os.environ.get("CONDORD_PAGE") != "required", "the page is not of these sources"
        pytest.skip("the page is not of these sources: pip install -e . builds it, with node")
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, ROOT]
    environ = {name: value for name, value in os.environ.items() if name != hook.WITHOUT}
    done = subprocess.run(command, env={**environ, "PATH": str(place)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.slow
class TestAsPacked:
    """The page of this tree, which the installation of the tree has built; .ci/run demands it."""

    def test_archive_and_wheel_carry_it_whole(self, packed):
        wanted = {str(path.relative_to(ROOT)) for path in (ROOT / PAGE).rglob("*") if path.is_file()}
        (archive,) = packed.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            assert wanted <= {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in opened.getnames()}
        (wheel,) = packed.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            assert wanted == {name for name in opened.namelist() if name.startswith(f"{PAGE}/")}

    def test_all_of_it_is_at_most_40_kb_as_gzip(self, packed):
        (wheel,) = packed.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            names = [
                name for name in opened.namelist() if name.startswith(f"{PAGE}/") and not name.endswith(hook.STAMP)
            ]
            sizes = {name: len(gzip.compress(opened.read(name))) for name in names}
        assert 0 < sum(sizes.values()) <= BUDGET_BYTES, sizes
