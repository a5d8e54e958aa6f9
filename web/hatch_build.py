"""Brings the page in the package up to date with these sources, wherever condord is built: hatchling calls it.

Rules: a hash of the page's sources stands beside the page that was built of them; where the two agree, as in what is
packed for others, no node is needed. Without one an editable install goes on with a warning, as the daemon has a plain
page or an older one, and every other build ends with one line. Nothing goes by the time of a file. Of several builds in
one tree each waits for the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "condord/http/page"
STAMP = "sources.sha256"
WITHOUT = "CONDORD_WITHOUT_PAGE"
NODE = (20, 19)
COMMANDS = (("npm", "ci", "--include=dev"), ("npm", "run", "build:page"))
PATIENCE_SECONDS = 600
SOURCES = ("src", "index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.page.config.ts")


class PageHook(BuildHookInterface):
    """The page goes into what is built, if it is of these sources."""

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


def update(web: Path, page: Path) -> str | None:
    """Build `web` into `page` where it is not there already; why it is not now, or None."""
    digest = digest_of(web)
    stamp = page / STAMP
    with _alone(web):
        if stamp.is_file() and stamp.read_text() == digest:
            return None
        fault = f"{WITHOUT} is set" if WITHOUT in os.environ else _build(web)
        if fault is None:
            stamp.write_text(digest)
        return fault


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


def _build(web: Path) -> str | None:
    if (found := _lacking()) is not None:
        return f"Node {'.'.join(map(str, NODE))} or newer and npm are needed, and here is {found}"
    for command in COMMANDS:
        # npm ci leaves out what builds where NODE_ENV is production, but for its flag.
        environ = {**os.environ, "NODE_ENV": "production"}
        try:
            done = subprocess.run(  # noqa: S603 - our own commands
                command, cwd=web, env=environ, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(command)}` did not end within {PATIENCE_SECONDS} s"
        except OSError as error:
            return f"`{' '.join(command)}` cannot be run: {error.strerror}"
        if done.returncode:
            return f"`{' '.join(command)}` in web/ failed with {done.returncode}"
    return None


def _lacking() -> str | None:
    """What is here instead of a node that is new enough, and npm; None if both are."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "no npm" if node else "no node"
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    except OSError as error:
        return f"a node that cannot be run: {error.strerror}"
    match = re.match(r"v(\d+)\.(\d+)\.", told)
    return None if match and (int(match[1]), int(match[2])) >= NODE else f"node {told or 'without a version'}"
