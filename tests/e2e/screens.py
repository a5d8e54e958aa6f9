"""Take the screens of the terminal for the guide: the demo in tmux, at 80, 120 and 200 columns.

    .venv/bin/python -m tests.e2e.screens

They replace those in docs/guide.md. The demo runs until alerts fire, which takes a minute or two; `--url` names one that
has run for long enough.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.e2e.running import Program, fetch, until

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
SCREENS = {
    "positions-80": (80, 50, "condord positions"),
    "positions-120": (120, 50, "condord positions"),
    "positions-200": (200, 50, "condord positions"),
    "watch-120": (120, 20, "condord positions --watch"),
}
"""The width, the height and the command of each screen; one with `--watch` is scrolled by one line."""


def main() -> None:
    """Start the demo, wait for its alerts, and write the screens into the guide."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a demo that runs already")
    url = parser.parse_args().url
    if shutil.which("tmux") is None:
        sys.exit("tmux is needed, and is not here (Debian: tmux)")
    if url:
        write_screens(url)
        return
    with closing(Program("start", "--demo", "--port", "0")) as demo:
        write_screens(demo.await_line(r"serves at (\S+)")[1])
        demo.stop()


def write_screens(url: str) -> None:
    """Wait until alerts fire, and write the screens into the guide."""
    until(lambda: _is_ready(url), "a critical alert", timeout=300, pause=1)
    text = GUIDE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for name, (width, height, command) in SCREENS.items():
            text = with_screen(text, name, captured(Path(folder) / name, width, height, command, url))
    GUIDE.write_text(text)


def captured(socket: Path, width: int, height: int, command: str, url: str) -> list[str]:
    """Return the lines that `command` shows on a terminal of this size; `socket` is that of a tmux for it."""
    environ = {**os.environ, "CONDORD_URL": url, "TZ": "America/New_York", "LANG": "C.UTF-8"}
    program = command.replace("condord", f"{sys.executable} -m condord", 1)
    is_watching = "--watch" in command

    def tmux(*arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(socket), *arguments], env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout

    def screen() -> list[str]:
        return [line.rstrip() for line in tmux("capture-pane", "-p", "-t", "shown").rstrip("\n").split("\n")]

    tmux("-f", "/dev/null", "new-session", "-d", "-s", "shown", "-x", str(width), "-y", str(height),
         f"{program}; sleep 600")  # fmt: skip
    try:
        until(lambda: any("newest message" in line for line in screen()), "the table")
        if is_watching:
            tmux("send-keys", "-t", "shown", "Down")
            until(lambda: any("condor above" in line for line in screen()), "the scrolled table")
        return screen()
    finally:
        tmux("kill-server")


def with_screen(text: str, name: str, lines: list[str]) -> str:
    """Return the guide with `lines` between the fences after the comment that has this name."""
    pattern = re.compile(rf"(<!-- screen {re.escape(name)} -->\n\n```text\n).*?(```\n)", re.DOTALL)
    assert pattern.search(text), f"docs/guide.md has no place for the screen {name}"
    shown = "".join(f"{line}\n" for line in lines)
    return pattern.sub(lambda found: found[1] + shown + found[2], text)


def _is_ready(url: str) -> bool:
    counts = fetch(f"{url}/api/positions")[2]["totals"]["alerts"]
    return counts["critical"] > 0 and counts["warning"] > 2


if __name__ == "__main__":
    main()
