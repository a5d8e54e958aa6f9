"""The README and the code say the same.

`python -m tests.test_docs` writes the README's table of failures anew.
"""

import json
import re
import typing
from pathlib import Path

import pytest
import typer.main

from condord import __version__, checks, config, errors
from condord.cli.main import application
from condord.http import app, routes
from condord.http.app import build
from condord.live import wire
from condord.upstream.faults import MEANINGS, HowSoon
from tests.diagram import diagram
from tests.http import scrape as metrics
from tests.http.asking import FakeDaemon

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

HOW_SOON: dict[HowSoon, str] = {
    "backoff": "with growing waits",
    "longest": "after `stream.backoff_max_seconds`",
    "halt": "every 5 minutes, or on SIGHUP",
    "fewer": "at once, with fewer symbols",
    "retry": "after 1, 2, 4 s",
    "asked": "when Alpaca says",
    "reading": "with the next reading",
    "breaker": "after `rest.breaker_reset_seconds`",
}


def failures() -> str:
    """The table of every failure of Alpaca, as the README has it."""
    rows = [
        f"| {name} | `{meaning.code}` | {HOW_SOON[meaning.again]} | {meaning.remedy or 'nothing'} |\n"
        for name, meaning in MEANINGS.items()
    ]
    return "| failure | code | tried again | what to do |\n|---|---|---|---|\n" + "".join(rows)


def first_column(heading: str) -> set[str]:
    """What stands in backquotes, or as a number, in the first column of the table with this heading."""
    table = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {
        part
        for row in table
        for part in re.findall(r"`([^`]+)`|^\| (\d+) ", row.split("|")[1].join("||"))
        for part in part
        if part
    }


def test_every_state_is_explained():
    assert first_column("state") == set(typing.get_args(wire.State))


def test_every_code_has_its_remedy():
    assert first_column("code") == set(typing.get_args(wire.Code))


def test_every_failure_has_its_row():
    assert failures() in README, "the table of failures is not that of the code: python -m tests.test_docs writes it"


def test_the_diagram_is_that_of_the_table():
    assert diagram() in README, "the diagram is not that of the table: python -m tests.test_docs draws it"


def test_every_notice_is_explained():
    assert first_column("notice") == set(typing.get_args(wire.NoticeCode))


def test_everything_that_is_refused_is_explained():
    assert first_column("refused") == set(typing.get_args(wire.Refusal))


def test_every_metric_is_explained_with_its_labels():
    table = README.split("| metric |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[set(re.findall(r"`([^`]+)`", cell)) for cell in row.split("|")[1:3]] for row in table]
    assert {name: labels for names, labels in cells for name in names} == metrics.labels(metrics.observed())


def test_the_dashboard_asks_for_metrics_and_labels_that_exist():
    board = json.loads((ROOT / "systemd" / "grafana.json").read_text())
    known = metrics.labels(metrics.observed())
    known |= {name: set() for name in metrics.said(metrics.observed()) if name.startswith("process_")}
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        for name in re.findall(r"(?:condord|process)_\w+", target["expr"]):
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known[re.sub("_(bucket|count)$", "", name)]


def test_every_exit_code_is_explained():
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert first_column("exit code") == codes | {"0"}


def test_every_route_is_listed():
    listed = {
        f"{method} {route.path.replace('{identity}', '{id}')}"
        for route in build(FakeDaemon()).routes
        for method in route.methods - {"HEAD"}
    }
    assert first_column("route") == listed


def test_every_http_status_is_explained():
    answers = [answer for route in app.ROUTES for answer in route.answers]
    answers += routes.ANYWHERE + routes.ELSEWHERE
    table = README.split("| HTTP status |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    listed = {status for row in table for status in re.findall(r"\d+", row.split("|")[1])}
    assert listed == {str(answer.status) for answer in answers} | {"204"}, "204 answers a preflight, which is no route"


def test_every_check_is_explained():
    assert first_column("check") == set(checks.NAMES)


def test_every_command_is_named():
    for name in typer.main.get_command(application()).commands:
        assert f"condord {name}" in README


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`((?:alpaca|rest|stream|cache|server|log)\.[a-z_]+)", README))))
def test_every_key_that_the_readme_names_exists(key):
    assert key in {field.name for field in config.fields()}


def test_the_version_in_the_readme_is_this_one():
    assert set(re.findall(r"condord (\d+\.\d+\.\d+)", README)) == {__version__}


def test_what_the_readme_sends_to_is_a_section_of_it():
    """By name: not every place that shows a README makes anchors of its headings."""
    told = re.search(r"look things up in: (.+?)\.", README, re.DOTALL)[1]
    assert set(re.split(r",\s+", told.replace("\n", " "))) <= set(re.findall(r"^#+ (.+)$", README, re.MULTILINE))


if __name__ == "__main__":
    before, table = README.split("| failure |", 1)
    README = before + failures() + "\n" + table.split("\n\n", 1)[1]
    before, drawn = README.split("```mermaid\n", 1)
    README = before + "```mermaid\n" + diagram() + "\n```" + drawn.split("```", 1)[1]
    (ROOT / "README.md").write_text(README)
