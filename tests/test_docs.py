"""The docs agree with the code.

`python -m tests.test_docs` regenerates the table of failures, the table of what SIGHUP applies, and the diagram of a
link.
"""

import ast
import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import tomllib
import typing
from email.message import Message
from pathlib import Path

import msgspec
import pytest
import typer.main

from condord import __version__, errors
from condord.check import report
from condord.cli.main import application
from condord.config import quiet_hours, schema
from condord.core.rules import table
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.parsing import written
from condord.core.trade import How
from condord.history.schema import MIGRATIONS
from condord.http import app, routes
from condord.http.app import build
from condord.http.limits import Limits
from condord.live import fanout, wire, wire_alerts, wire_condor, wire_history, wire_risk
from condord.notify.signing import signature
from condord.upstream.failure_table import FAILURES, HowSoon
from condord.upstream.rate_limit import SHARES
from tests.diagram import diagram
from tests.http import scrape as metrics
from tests.http.fake_daemon import FakeDaemon

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "web" / "README.md")
}
EVERYTHING = "\n".join(PAGES.values())
ALERTS = PAGES["docs/alerts.md"]
HTTP_API = PAGES["docs/http-api.md"]
OPERATIONS = PAGES["docs/operations.md"]
TROUBLESHOOTING = PAGES["docs/troubleshooting.md"]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z]+):.* ## ", MAKEFILE, re.MULTILINE)
GATES = [".venv/bin/ruff check", ".venv/bin/ruff format --check", ".venv/bin/mypy", ".venv/bin/lint-imports"]

HOW_SOON: dict[HowSoon, str] = {
    "backoff": "with growing waits",
    "longest": "after `stream.backoff_max_seconds`",
    "halt": "every 5 minutes, or on SIGHUP",
    "fewer": "at once, with fewer symbols",
    "retry": "after 1, 2, 4 s",
    "asked": "when Alpaca permits it",
    "reading": "with the next reading",
    "breaker": "after `rest.breaker_reset_seconds`",
    "budget": "when there is room again",
}


def changes_while_it_runs() -> str:
    """The table of the keys that SIGHUP applies for docs/configuration.md."""
    rows = ["| section | applied on SIGHUP | applied at the next start |\n|---|---|---|\n"]
    for section in msgspec.structs.fields(schema.Config):
        if section.name in schema.TABLES:
            rows.append(f"| `[[{section.name}]]` | all | — |\n")
            continue
        keys = [field for field in schema.fields() if field.section == section.name]
        live, waiting = (
            ", ".join(f"`{each.key}`" for each in keys if each.is_live is is_live) for is_live in (True, False)
        )
        rows.append(f"| `[{section.name}]` | {live or '—'} | {waiting or '—'} |\n")
    return "".join(rows)


def failures() -> str:
    """The table of all failures of Alpaca for docs/troubleshooting.md."""
    rows = [
        f"| {name} | `{failure.code}` | {HOW_SOON[failure.again]} | {failure.remedy or 'nothing'} |\n"
        for name, failure in FAILURES.items()
    ]
    return "| failure | code | tried again | what to do |\n|---|---|---|---|\n" + "".join(rows)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells, by row, of the table whose first column has this heading."""
    table = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [row.split("|")[1:-1] for row in table]


def first_column(page: str, heading: str) -> set[str]:
    """The backquoted texts and numbers in the first column of the table with this heading."""
    found = [re.findall(r"`([^`]+)`|^ (\d+) $", cells[0]) for cells in rows(page, heading)]
    return {part for matches in found for match in matches for part in match if part}


def test_the_shares_of_the_request_budget_match_the_code():
    a_minute = {name: round(share.most * 60.0 / share.seconds) for name, share in SHARES.items()}
    expected = (
        "Of the former, {positions} are reserved for positions, {side} for orders, activities and the calendar, {spare}"
        " for contracts, and {account} for balances, working orders and the fills of the day. Of the latter, {main} are"
        " for quotes, which share them with the clock, {prices} for prices of underlyings, and {figures} for Alpaca's"
    )
    assert expected.format(**a_minute) in " ".join(TROUBLESHOOTING.split())


def test_every_state_is_explained():
    assert first_column(TROUBLESHOOTING, "state") == set(typing.get_args(wire.State))


def test_every_code_has_its_remedy():
    assert first_column(TROUBLESHOOTING, "code") == set(typing.get_args(wire.Code))


def test_every_failure_has_its_row():
    assert failures() in TROUBLESHOOTING, "the table of failures differs from the code: run python -m tests.test_docs"


def test_the_table_of_what_sighup_applies_agrees_with_the_schema():
    assert changes_while_it_runs() in PAGES["docs/configuration.md"], (
        "the table of keys differs from the code: run python -m tests.test_docs"
    )


def test_the_diagram_matches_the_table():
    assert diagram() in PAGES["docs/architecture.md"], (
        "the diagram differs from the table: run python -m tests.test_docs"
    )


def test_every_folder_of_the_package_is_explained():
    folders = {path.parent.name for path in (ROOT / "condord").glob("*/__init__.py")}
    assert first_column(PAGES["docs/architecture.md"], "folder of `condord/`") == folders


def test_the_path_of_a_quote_names_existing_modules():
    (path,) = re.findall(r"A quote passes `(.+?)`", PAGES["docs/architecture.md"])
    assert set(path.split(" → ")) <= {module.stem for module in (ROOT / "condord").rglob("*.py")}


def test_every_table_view_and_column_of_the_database_is_explained():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for migration in MIGRATIONS:
            connection.executescript(migration)
        names = connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        wanted = {name for name, _ in names}
        for name, _ in names:
            wanted |= {column for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))}
    page = PAGES["docs/history.md"]
    assert wanted - set(re.findall(r"`(\w+)`", page)) == set()
    assert {name for name, kind in names if kind == "view"} == set(re.findall(r"^### `(\w+)`", page, re.MULTILINE))
    assert first_column(page, "table") == {name for name, kind in names if kind == "table"}


def test_every_notice_is_explained():
    assert first_column(TROUBLESHOOTING, "notice") == set(typing.get_args(wire.NoticeCode))


def written_codes() -> set[str]:
    """The codes that the package writes down, as `code="…"` of a call or `"code": "…"` of a dictionary."""
    found = set()
    for path in (ROOT / "condord").rglob("*.py"):
        if "simulator" in path.parts:  # codes of Alpaca
            continue
        text = path.read_text()
        if "code=" not in text and '"code":' not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            pairs: list[tuple[ast.expr | None, ast.expr]] = []
            if isinstance(node, ast.Dict):
                pairs = list(zip(node.keys, node.values, strict=True))
            elif isinstance(node, ast.keyword) and node.arg == "code":
                pairs = [(ast.Constant("code"), node.value)]
            for key, value in pairs:
                if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                    found.add(value.value)
    return found - {None}


def test_every_code_that_only_the_log_has_is_explained():
    of_status = {*typing.get_args(wire.Code), *typing.get_args(wire.NoticeCode)}
    of_alpaca = {failure.code for failure in FAILURES.values()}
    # These end a worker, or are why a reload is refused.
    kinds = (
        errors.ConfigError,
        errors.CredentialsMissing,
        errors.AccessDenied,
        errors.Unavailable,
        errors.InternalError,
    )
    of_errors = {kind.code for kind in kinds}
    found = written_codes()
    assert {"noStateCopy", "configuration", "sourceLost", "greeksDiffer"} <= found
    assert first_column(TROUBLESHOOTING, "code in the log") == (found - of_status - of_alpaca) | of_errors


def test_every_refusal_is_explained():
    assert first_column(TROUBLESHOOTING, "refused") == set(typing.get_args(wire.Refusal))


def test_every_metric_is_explained_with_its_labels():
    cells = [[set(re.findall(r"`([^`]+)`", cell)) for cell in row[:2]] for row in rows(OPERATIONS, "metric")]
    assert {name: labels for names, labels in cells for name in names} == metrics.labels(metrics.observed())


def test_the_dashboard_uses_only_existing_metrics_and_labels():
    board = json.loads((ROOT / "systemd" / "grafana.json").read_text())
    known = metrics.labels(metrics.observed())
    known |= {name: set() for name in metrics.scraped(metrics.observed()) if name.startswith("process_")}
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        for name in re.findall(r"(?:condord|process)_\w+", target["expr"]):
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known[re.sub("_(bucket|count)$", "", name)]


def test_every_exit_code_is_explained():
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert first_column(TROUBLESHOOTING, "exit code") == codes | {"0"}


def test_every_route_is_listed():
    listed = {
        f"{method} {route.path.replace('{identity}', '{id}')}"
        for route in build(FakeDaemon()).routes
        for method in route.methods - {"HEAD"}
    }
    assert first_column(HTTP_API, "route") == listed


def test_every_http_status_is_explained():
    answers = [answer for route in app.ROUTES for answer in route.responses]
    answers += routes.COMMON_ERRORS + routes.UNROUTED_ERRORS
    listed = {status for cells in rows(HTTP_API, "HTTP status") for status in re.findall(r"\d+", cells[0])}
    assert listed == {str(answer.status) for answer in answers}


def test_every_field_of_an_alert_is_explained():
    fields = {field.encode_name for field in msgspec.structs.fields(wire_alerts.AlertJson)}
    assert first_column(HTTP_API, "field of an alert") == fields


def test_the_example_of_alerts_has_the_same_fields_as_the_code():
    example = json.loads(re.search(r"```json\n(.*?)```", HTTP_API.split("\n## Alerts\n")[1], re.DOTALL)[1])
    for found, struct in (
        (example, wire_alerts.AlertsJson),
        (example["rules"][0], wire_alerts.RuleJson),
        (example["channels"][0], wire_alerts.ChannelJson),
    ):
        assert set(found) == {field.encode_name for field in msgspec.structs.fields(struct)}, struct.__name__


def test_the_example_document_has_the_same_fields_as_the_code():
    document = json.loads(re.search(r"```json\n(.*?)```", HTTP_API, re.DOTALL)[1])
    (condor,), status = document["condors"], document["status"]
    for found, struct in (
        (document, wire.Document),
        (status, wire.Status),
        (status["market"], wire.MarketJson),
        (status["stream"], wire.StreamJson),
        (status["positions"], wire.Positions),
        (condor, wire_condor.CondorJson),
        (condor["legs"][0], wire_condor.LegJson),
        (condor["valuation"], wire_condor.ValuationJson),
        (document["account"], wire_risk.AccountJson),
        (document["underlyings"][0], wire_risk.UnderlyingJson),
        (condor["expiry"], wire_risk.ExpiryJson),
        (condor["closing"][0], wire_risk.ClosingJson),
        (condor["exits"], wire_condor.ExitsJson),
        (document["alerts"][0], wire_alerts.AlertJson),
        (condor["risk"], wire_risk.RiskJson),
        (condor["risk"]["legs"][0], wire_risk.LegRiskJson),
        (condor["risk"]["distance"], wire_risk.DistancesJson),
        (condor["risk"]["distance"]["put"], wire_risk.DistanceJson),
        (condor["risk"]["probabilities"], wire_risk.ProbabilitiesJson),
    ):
        assert set(found) == {field.encode_name for field in msgspec.structs.fields(struct)}, struct.__name__


def test_the_examples_of_history_and_trades_have_the_same_fields_as_the_code():
    _, history, trades, _ = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", HTTP_API, re.DOTALL))
    (trade,) = trades["trades"]
    for found, struct, absent in (
        (history, wire_history.RecordedJson, set()),
        (trades, wire_history.TradesJson, set()),
        (trades["totals"], wire_history.TradeTotalsJson, set()),
        (trade, wire_history.TradeJson, {"rolledTo"}),
        (trade["shares"], wire_history.SharesJson, set()),
    ):
        assert set(found) | absent == {field.encode_name for field in msgspec.structs.fields(struct)}, struct.__name__


def test_every_parameter_of_history_and_way_to_end_a_trade_is_explained():
    parameters = next(route.parameters for route in app.ROUTES if route.name == "getHistory")
    assert first_column(HTTP_API, "parameter") == {parameter.name for parameter in parameters}
    assert first_column(HTTP_API, "`how`") == set(typing.get_args(How))


def cells_by_name(page: str, heading: str) -> dict[str, list[str]]:
    """The other cells of each row, without blanks, by the backquoted name in the first cell."""
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in rows(page, heading)}


def test_every_quantity_is_explained_with_its_scope_unit_and_basis():
    explained = cells_by_name(ALERTS, "quantity")
    known = {name: quantity for name, quantity in QUANTITIES.items() if not quantity.is_word}
    assert {name: cells[:3] for name, cells in explained.items()} == {
        name: [each.scope, each.unit, "yes" if each.has_basis else ""] for name, each in known.items()
    }
    assert list(explained) == list(known)
    assert all(len(cells[3]) > 10 for cells in explained.values() if len(cells) > 3)


def test_every_word_is_explained_with_its_scope():
    explained = cells_by_name(ALERTS, "word")
    assert {name: cells[0] for name, cells in explained.items()} == {
        name: quantity.scope for name, quantity in QUANTITIES.items() if quantity.is_word
    }


def test_the_facts_that_are_never_held_and_those_with_a_date_are_named():
    held = re.search(r"((?:`\w+`(?:, | and )?)+) are facts that condord knows itself", " ".join(ALERTS.split()))[1]
    assert set(re.findall(r"\w+", held)) - {"and"} == {name for name, each in QUANTITIES.items() if each.is_daemon_fact}
    dated = re.search(r"^Days, minutes to cut-offs, (.+?) are evaluated from 09:00 ET", ALERTS, re.MULTILINE)[1]
    assert set(re.findall(r"`(\w+)`", dated)) == {
        name for name, each in QUANTITIES.items() if each.is_dated and each.is_word
    }
    assert {each.unit for each in QUANTITIES.values() if each.is_dated and not each.is_word} == {"days", "minutes"}


def test_every_built_in_rule_is_listed_as_it_is():
    def conditions(of_condors, of_butterflies, joint):
        texts = [joint.join(f"`{written(each)}`" for each in part) for part in (of_condors, of_butterflies) if part]
        return "; butterflies ".join(texts)

    assert cells_by_name(ALERTS, "rule") == {
        rule.name: [
            conditions(rule.when, rule.butterfly_when, " and "),
            conditions(rule.clear, rule.butterfly_clear, " or "),
            f"{rule.for_seconds:g} s",
            f"{rule.severity}, or {rule.severity_when_closing}" if rule.severity_when_closing else rule.severity,
        ]
        for rule in BUILT_IN
    }


def test_every_key_of_alerts_and_channels_is_explained():
    for name in ("alert", "notify"):
        keys = {field.key for field in schema.fields_of_table(name)}
        assert first_column(ALERTS, f"key of `[[{name}]]`") == keys


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", ALERTS, re.DOTALL))
def test_every_example_of_a_rule_or_channel_is_valid(text):
    tables = tomllib.loads(text)
    assert tables.keys() <= {"alert", "notify"}
    overrides = [msgspec.convert(each, schema.AlertTable) for each in tables.get("alert", ())]
    assert {rule.name for rule in table.rules(overrides)} >= {override.name for override in overrides}
    for each in tables.get("notify", ()):
        assert quiet_hours.parse(msgspec.convert(each, schema.ChannelTable).quiet or "22:00-08:00 UTC")


def test_the_example_of_a_webhook_has_the_fields_of_an_alert():
    (text,) = re.findall(r"```json\n(.*?)```", ALERTS, re.DOTALL)
    webhook = json.loads(text)
    assert list(webhook) == ["type", "timestamp", "expiresAt", "data"]
    assert list(webhook["data"]) == [field.encode_name for field in msgspec.structs.fields(wire_alerts.AlertJson)]


def test_the_python_of_the_docs_accepts_only_what_condord_has_signed():
    (text,) = re.findall(r"```python\n(.*?)```", ALERTS, re.DOTALL)
    assert len([line for line in text.splitlines() if line]) <= 10
    namespace = {}
    exec(compile(text, "docs/alerts.md", "exec"), namespace)  # noqa: S102 - it is our own
    verify, key = namespace["verify"], bytes(range(32))
    secret, body = "whsec_" + base64.b64encode(key).decode(), b'{"type":"condord.alert.firing"}'

    def headers(at, of_key=key):
        signed = signature(of_key, "msg_1", at, body)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signed}

    now = int(time.time())
    assert verify(secret, headers(now), body)
    two = {**headers(now), "webhook-signature": f"v1,AAAA {headers(now)['webhook-signature']}"}
    assert verify(secret, two, body), "while a secret is changed there are two signatures"
    assert not verify(secret, headers(now), body + b" ")
    assert not verify(secret, headers(now, of_key=b"another"), body)
    assert not verify(secret, {**headers(now), "webhook-id": "msg_2"}, body)
    assert not verify(secret, headers(now - 3600), body)
    for name in headers(now):
        sent = Message()
        for other, value in headers(now).items():
            sent[other] = value
        assert verify(secret, sent, body)
        del sent[name]
        assert not verify(secret, sent, body), "a request without one of the headers must be refused"


def test_the_arithmetic_of_the_examples_is_right():
    page = " ".join(ALERTS.split())
    for pl, percent in re.findall(r"\| \+(\d+) \| ([\d.]+) \|", page):
        assert f"{100 * int(pl) / 470:.2f}" == percent
    width, credit = 5.00, 2.00
    assert f"{width:.2f} - {credit:.2f} = {width - credit:.2f} a share" in page
    assert f"which is {(width - credit) / credit:g} times the credit" in page
    loss = 0.6 * (width - credit)
    assert f"a loss of {loss:.2f} a share, at a mark of {credit + loss:.2f}" in page


def test_every_reason_for_a_snapshot_is_explained():
    assert first_column(HTTP_API, "reason") == set(fanout.RESYNCS)


def test_the_limits_of_the_server_match_the_code():
    limits = Limits()
    listed = {cells[0].strip(): cells[1].strip() for cells in rows(PAGES["docs/security.md"], "limit")}
    sizes = (limits.head_bytes, limits.target_bytes, limits.body_bytes)
    assert listed["request head, address, body"] == ", ".join(f"{size // 1024} kB" for size in sizes)
    assert listed["time for a head or a body"] == f"{limits.head_seconds:g} s" == f"{limits.body_seconds:g} s"
    assert listed["idle time between requests"] == f"{limits.idle_seconds:g} s"
    assert listed["an answer that the client does not read"] == f"{limits.unsent_seconds:g} s"
    assert listed["connections"] == f"`server.max_subscribers` and {limits.other_connections} more"


def test_every_check_is_explained():
    assert first_column(PAGES["docs/configuration.md"], "check") == set(typing.get_args(report.Name))


def test_every_command_is_explained():
    commands = typer.main.get_command(application()).commands
    assert first_column(PAGES["docs/guide.md"], "command") >= {f"condord {name}" for name in commands}


@pytest.mark.parametrize(
    "key", sorted(set(re.findall(r"`((?:alpaca|rest|stream|cache|server|history|log)\.(?!sqlite)[a-z_]+)", EVERYTHING)))
)
def test_every_key_in_the_docs_exists(key):
    assert key in {field.name for field in schema.fields()}


def test_every_option_in_the_docs_exists():
    commands = typer.main.get_command(application()).commands
    for name, rest in re.findall(r"\bcondord ([a-z]+)((?: [^\s`&|]+)*)", EVERYTHING):
        if name in commands:
            known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= known, f"condord {name}{rest}"


def test_the_docs_require_the_same_versions_as_the_packages():
    python = re.search(r'^requires-python = ">=(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    node = json.loads((ROOT / "web" / "package.json").read_text())["engines"]["node"].removeprefix(">=")
    for name in ("README.md", "CONTRIBUTING.md"):
        assert f"Python {python} or newer" in PAGES[name]
        assert f"Node {node} or newer" in PAGES[name]


def test_the_docs_have_the_current_version():
    assert set(re.findall(r"condord (\d+\.\d+\.\d+)", EVERYTHING)) == {__version__}


def test_the_changelog_has_the_current_version_and_an_unreleased_section():
    headings = re.findall(r"^## \[([^]]+)\]", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert __version__ in headings


def test_the_readme_is_at_most_150_lines():
    assert len(PAGES["README.md"].splitlines()) <= 150


def test_the_readme_links_to_every_page_of_the_docs():
    linked = {target.partition("#")[0] for target in links(PAGES["README.md"])}
    assert linked >= {name for name in PAGES if name.startswith("docs/")}


def links(page: str) -> list[str]:
    """The targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", without_code(page))


def without_code(page: str) -> str:
    return re.sub(r"^```.*?^```$|^    .*?$|`[^`\n]+`", "", page, flags=re.MULTILINE | re.DOTALL)


def anchors(page: str) -> set[str]:
    """The anchors of the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_link_has_a_target(name):
    for target in links(PAGES[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text()), target


def test_the_headings_of_a_page_are_unique():
    for name, page in PAGES.items():
        if name != "CHANGELOG.md":
            titles = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
            assert len(titles) == len(set(titles)), name


def test_every_make_target_in_the_docs_exists():
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`[^`\n]+`", EVERYTHING))))
    assert named <= set(TARGETS)
    assert named >= {"one", "test", "lint", "types", "web", "docs", "bench"}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A dry run of make with these arguments."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_runs_only_existing_files(target):
    done = make(target)
    assert done.returncode == 0, done.stderr
    for path in re.findall(r"\b(?:tests|benchmarks)/[\w/]+\.py", done.stdout):
        assert (ROOT / path).is_file(), path


def test_make_one_runs_the_given_file():
    done = make("one", "T=tests/test_docs.py")
    assert done.stdout.splitlines()[-1] == ".venv/bin/pytest -n 0 tests/test_docs.py"


@pytest.mark.parametrize("gate", GATES)
def test_the_hooks_and_the_makefile_run_the_checks_of_ci(gate):
    assert gate in (ROOT / ".ci" / "run").read_text()
    assert gate in (ROOT / ".pre-commit-config.yaml").read_text()
    assert gate in MAKEFILE.replace("$(RUN)", ".venv/bin")


def test_ruff_checks_each_script_that_the_hooks_take_for_python():
    scripts = [path for path in ROOT.glob(".ci/*") if "python" in path.read_text().partition("\n")[0]]
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files"], cwd=ROOT, capture_output=True, check=True
    )
    assert scripts
    assert {*map(str, scripts)} <= {*ruff.stdout.decode().splitlines()}


def test_the_licence_is_also_in_the_package_of_the_card():
    assert (ROOT / "web" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def write() -> None:
    """Regenerate the generated parts of the docs."""
    troubleshooting, architecture = ROOT / "docs" / "troubleshooting.md", ROOT / "docs" / "architecture.md"
    before, table = TROUBLESHOOTING.split("| failure |", 1)
    _, separator, after = table.partition("\n\n")
    troubleshooting.write_text(before + failures() + (separator[1:] + after if separator else ""))
    configuration = ROOT / "docs" / "configuration.md"
    before, table = configuration.read_text().split("| section | applied", 1)
    configuration.write_text(before + changes_while_it_runs() + "\n" + table.partition("\n\n")[2])
    before, rest = architecture.read_text().split("```mermaid\n", 1)
    architecture.write_text(before + "```mermaid\n" + diagram() + "\n```" + rest.split("```", 1)[1])


if __name__ == "__main__":
    write()
