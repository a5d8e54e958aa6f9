"""Brings the page in the package up to date with these sources, wherever condord is built: hatchling calls it.

Rules: a hash of what is in `web/` stands beside the page that was built of it; where the two agree, as in what is
packed for others, no node is needed. Without one an editable install goes on with a warning, as the daemon has a plain
page, and every other build ends with one line. Nothing goes by the time of a file.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "condord/http/page"
STAMP = "sources.sha256"
WITHOUT = "CONDORD_WITHOUT_PAGE"
NODE = (20, 19)
COMMANDS = (("npm", "ci", "--include=dev"), ("npm", "run", "build:page"))
PATIENCE_SECONDS = 600
_NOT_SOURCES = {"node_modules", "dist", "screenshots", "__pycache__"}


class PageHook(BuildHookInterface):
    """The page goes into what is built, if it is of these sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page where that is needed and possible, and have it packed although git ignores it."""
        fault = update(Path(self.root, "web"), Path(self.root, PAGE))
        if fault is None:
            build_data["artifacts"].append(f"/{PAGE}/**")
        elif version == "editable" or WITHOUT in os.environ:
            self.app.display_warning(f"condord is installed without its page: {fault}")
        else:
            sys.exit(f"condord: its page cannot be built: {fault}; {WITHOUT}=1 installs condord without it")


def update(web: Path, page: Path) -> str | None:
    """Build `web` into `page` where it is not there already; why it is not now, or None."""
    digest = digest_of(web)
    stamp = page / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return None
    fault = f"{WITHOUT} is set" if WITHOUT in os.environ else _build(web)
    if fault is None:
        stamp.write_text(digest)
    return fault


def digest_of(web: Path) -> str:
    """A hash of the names and contents of all sources."""
    digest = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web)
        if path.is_file() and not _NOT_SOURCES.intersection(name.parts):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content} {name.as_posix()}\n".encode())
    return digest.hexdigest()


def _build(web: Path) -> str | None:
    if not has_node():
        return f"Node {'.'.join(map(str, NODE))} or newer and npm are needed, and are not here"
    for command in COMMANDS:
        # npm ci leaves out what builds where NODE_ENV is production, but for its flag.
        environ = {**os.environ, "NODE_ENV": "production"}
        try:
            done = subprocess.run(  # noqa: S603 - our own commands
                command, cwd=web, env=environ, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(command)}` did not end within {PATIENCE_SECONDS} s"
        if done.returncode:
            return f"`{' '.join(command)}` in web/ failed with {done.returncode}"
    return None


def has_node() -> bool:
    """Whether node and npm are there, and node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.match(r"v(\d+)\.(\d+)\.", told.stdout)
    return match is not None and (int(match[1]), int(match[2])) >= NODE
