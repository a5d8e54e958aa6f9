"""Imports follow the layers (see the contracts in pyproject.toml), and tests mirror the package."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_imports_follow_the_layers():
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_test_file_mirrors_a_module():
    strays = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "tests")
        is_of_programs = (
            relative.parts[0] in {"browser", "e2e", "faults", "fuzz", "load", "packaging", "systemd"}
            or "processes" in relative.parts
        )
        if is_of_programs or relative.name in {
            "test_layers.py",
            "test_docs.py",
            "test_needs.py",
            "test_alpaca_clients.py",
        }:
            continue
        module = ROOT / "condord" / relative.with_name(relative.name.removeprefix("test_"))
        if not module.exists():
            strays.append(str(relative))
    assert strays == []


WITHOUT_A_TEST_FILE = {
    "__main__.py",  # tests/cli/test_main.py runs it as a program
    "http/limits.py",  # numbers, tested with the code that they limit
    "http/interfaces.py",  # protocols and records without code
    "upstream/interfaces.py",  # the same
    "cluster/interfaces.py",  # the same
}


def test_every_module_has_a_test_file():
    modules = {str(path.relative_to(ROOT / "condord")) for path in (ROOT / "condord").rglob("*.py")}
    expected = {name for name in modules if not name.endswith("__init__.py")} - WITHOUT_A_TEST_FILE
    assert modules >= WITHOUT_A_TEST_FILE
    assert {
        name for name in expected if not (ROOT / "tests" / name).with_name(f"test_{Path(name).name}").exists()
    } == set()


def test_modules_have_at_most_400_lines():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "condord").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_each_class_name_is_used_once():
    names = Counter(
        name
        for path in (ROOT / "condord").rglob("*.py")
        for name in re.findall(r"(?m)^class ([A-Z]\w*)", path.read_text())
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_lock_file_names_a_registry():
    locks = [ROOT / "web/package-lock.json", *ROOT.glob("web/examples/*/package-lock.json")]
    packages = [
        (lock.parent.name, *each) for lock in locks for each in json.loads(lock.read_text())["packages"].items()
    ]
    assert [(folder, name) for folder, name, package in packages if "resolved" in package] == []
