"""Take the screenshots of the README: the page of the demo, light, dark and as a table, once its cards have a session line.

    .venv/bin/python -m tests.browser.screenshots

They are written to web/screenshots. The daemon adds one point a minute to each line, so this takes a minute per point.
"""

import argparse
import shutil
import sys
from contextlib import closing
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.running import Program, fetch, until

FOLDER = Path(__file__).parents[2] / "web" / "screenshots"
SIZE = {"width": 1080, "height": 1180}
SETTLE_MS = 2000
"""The time for what is loaded after the first frame."""
TABLE_SIZE = {"width": 1440, "height": 900}
PICTURES = {
    "light": ("light", "/", SIZE, ".condor-spark"),
    "dark": ("dark", "/", SIZE, ".condor-spark"),
    "table": ("light", "/#view=table", TABLE_SIZE, "tr[data-condor]"),
}
"""The colour scheme of each, its address, its size, and what it waits for."""


def main() -> None:
    """Start the demo, wait, and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=6, help="of each line before the pictures are taken")
    points = parser.parse_args().points
    if (program := shutil.which("chromium")) is None:
        sys.exit("Chromium is needed, and is not here (Debian: chromium)")
    FOLDER.mkdir(exist_ok=True)
    with closing(Program("start", "--demo", "--port", "0")) as demo:
        url = demo.await_line(r"serves at (\S+)")[1]
        until(lambda: _shortest_line(url) >= points, f"{points} points", timeout=70 * (points + 1), pause=1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            for name, (scheme, view, size, shown) in PICTURES.items():
                page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
                page.goto(url + view)
                page.wait_for_selector(shown)
                page.wait_for_timeout(SETTLE_MS)
                page.screenshot(path=FOLDER / f"{name}.png")
            browser.close()
        demo.stop()


def _shortest_line(url: str) -> int:
    condors = fetch(f"{url}/api/positions")[2]["condors"]
    return min((len(condor["history"]["seconds"]) for condor in condors), default=0)


if __name__ == "__main__":
    main()
