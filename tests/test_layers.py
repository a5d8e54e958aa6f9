"""The house stands as it is drawn: imports go one way (see the contracts in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_imports_go_one_way():
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    told = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_test_file_mirrors_a_module():
    strays = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        place = path.relative_to(ROOT / "tests")
        if place.parts[0] in {"browser", "e2e", "fuzz", "systemd"} or place.name in {
            "test_layers.py",
            "test_docs.py",
            "test_alpaca_clients.py",
        }:
            continue
        module = ROOT / "condord" / place.with_name(place.name.removeprefix("test_"))
        if not module.exists():
            strays.append(str(place))
    assert strays == []


def test_every_module_of_core_and_live_has_a_test_file():
    missing = [
        f"{folder}/{module.name}"
        for folder in ("core", "live")
        for module in (ROOT / "condord" / folder).glob("*.py")
        if module.name != "__init__.py" and not (ROOT / "tests" / folder / f"test_{module.name}").exists()
    ]
    assert missing == []


def test_modules_are_short_enough_to_read():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "condord").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
