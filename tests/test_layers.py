"""Imports follow the layers (see the contracts in pyproject.toml), and tests mirror the package and name what it has."""

import ast
import contextlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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


_REPLACED = re.compile(r"([a-z]\w*)__([A-Z_]+)")
"""A constant as `tests.e2e.preloaded.replaced` takes it, `live__link__STEP_SECONDS`."""
_MAY_REPLACE = re.compile(r"__[A-Z]|\.[A-Z_]+ = |\.[A-Z_]+, |setattr\(")


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, and the programs that it has as text: tests run these in the daemon, before its own code."""
    for node in ast.walk(tree):
        yield node
        if isinstance(node, ast.Constant) and "\n" in str(node.value):
            with contextlib.suppress(SyntaxError):
                yield from ast.walk(ast.parse(str(node.value)))


def _replaced_names(tree: ast.AST) -> Iterator[tuple[tuple[str, ...], str]]:
    """Everything in condord that this code replaces: the modules and classes that may be meant, and a name in them."""
    nodes = [*_nodes(tree)]
    owners: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("condord"):
            for name in node.names:
                known = name.asname or name.name
                owners[known] = (*owners.get(known, ()), f"{node.module}.{name.name}")
    for node in nodes:
        match node:
            case ast.keyword(arg=str(text)) | ast.Constant(value=str(text)) if found := _REPLACED.fullmatch(text):
                yield (f"condord.{found[1].replace('__', '.')}",), found[2]
            case ast.Attribute(value=ast.Name(id=owner), attr=name, ctx=ast.Store()) if owner in owners:
                yield owners[owner], name
            case ast.Call(
                func=ast.Attribute(attr="setattr"), args=[ast.Name(id=owner), ast.Constant(value=name), *_]
            ) if owner in owners:
                yield owners[owner], name
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[ast.Constant(value=str(text)), _]) if (
                text.startswith("condord.")
            ):
                yield (text.rpartition(".")[0],), text.rpartition(".")[2]


def _body(owner: str) -> list[ast.stmt]:
    """The statements of a module, a package or a class; none if it does not exist."""
    path = ROOT / owner.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if file.exists():
        return ast.parse(file.read_text()).body
    module, _, kind = owner.rpartition(".")
    classes = [node for node in (_body(module) if module else []) if isinstance(node, ast.ClassDef)]
    return next((node.body for node in classes if node.name == kind), [])


def _is_defined(owner: str, name: str) -> bool:
    """Whether a module, a package or a class defines, assigns or imports `name`."""
    for node in _body(owner):
        match node:
            case ast.FunctionDef(name=known) | ast.AsyncFunctionDef(name=known) | ast.ClassDef(name=known):
                names = {known}
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names = {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case _:
                names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        if name in names:
            return True
    return (ROOT / owner.replace(".", "/") / f"{name}.py").exists()


def test_what_tests_replace_in_a_module_exists():
    texts = [path.read_text() for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    names = {each for text in texts if _MAY_REPLACE.search(text) for each in _replaced_names(ast.parse(text))}
    missing = {(*owners, name) for owners, name in names if not any(_is_defined(owner, name) for owner in owners)}
    assert len(names) > 50
    assert missing == {("condord.live.link", "STEPS")}  # which tests/e2e/test_preloaded.py expects to be refused
