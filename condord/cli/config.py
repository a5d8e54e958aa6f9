"""`condord config`: show the effective configuration, where it is looked for, or write a file to start with."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

import condord
from condord.cli import options
from condord.cli.output import write_stderr, write_stdout
from condord.cli.screen import plain
from condord.config import credentials, sources
from condord.config import schema as configuration
from condord.config.schema import Config, toml
from condord.config.sources import LoadedConfig
from condord.core.rules.parsing import written
from condord.core.rules.rule import Rule
from condord.core.rules.table import rules
from condord.errors import EXIT_FAILED, CondordError, CredentialsMissing
from condord.host import directories

EXAMPLE = "condord config show"

_EXAMPLE_FILE = "condord.toml.example"
_QUERY = re.compile(r"\?.*")  # some gateways take a token there
_MASK = "***"

config = typer.Typer(help="Show or find the configuration, or write a file to start with.")


class NotWritten(CondordError):
    """The file cannot be written, or exists already."""

    code = "not-written"
    exit_code = EXIT_FAILED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


@config.command()
def show(*, config_file: options.ConfigFile = None, as_json: options.AsJson = False) -> None:
    """Show every key with its value and where that comes from.

    It also shows where the API key comes from. The output is valid TOML with the same values. Secrets are masked.
    """
    loaded = sources.load(config_file, os.environ, {})
    origin, problem = _credentials(loaded.config, os.environ)
    if as_json:
        document = {
            "path": str(loaded.path) if loaded.path else None,
            "values": {
                name: {"value": value, "origin": loaded.origins[name]}
                for name, value in (*_values(loaded), *_tables(loaded))
            },
            "rules": list(map(_rule_json, rules(loaded.config.alert))),
            "credentials": {"origin": origin, "problem": problem},
            "warnings": loaded.warnings,
        }
        write_stdout(msgspec.json.encode(document) + b"\n")
        return
    write_stdout("".join(f"{plain(line)}\n" for line in _lines(loaded, origin or f"none, {problem}")))


@config.command()
def path(*, config_file: options.ConfigFile = None) -> None:
    """List the paths that the file may have, and which one is read."""
    named = [Path(name) for name in (config_file, os.environ.get("CONDORD_CONFIG")) if name]
    lines, is_decided = "", False
    if directories.config_directory() is None:
        lines += f"{'unknown':<15}the user's own: there is no home directory\n"
    for candidate in (*named, *sources.candidates(None, {})):
        exists = os.access(candidate, os.F_OK)
        state = "not looked at" if is_decided else "read" if exists else "missing"
        lines += f"{state:<15}{plain(str(candidate))}\n"
        is_decided = is_decided or exists or candidate in named
    write_stdout(lines)


@config.command()
def init(
    *,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The file to write; by default the user's own.")
    ] = None,
) -> None:
    """Write a commented file with every key at its default.

    An existing file is never overwritten.
    """
    target, content = path or _users_file(), example()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(target, content)
    except FileExistsError as error:
        hint = "Edit it, or name another file: condord config init PATH."
        raise NotWritten(f"{target} exists already and was not changed", hint) from error
    except OSError as error:
        hint = "Name a file that you can write, on a disk with free space: condord config init PATH."
        raise NotWritten(f"{target} cannot be written: {error.strerror}", hint) from error
    write_stdout(f"{target}\n")
    write_stderr("Every key is at its default: change what you need, then run `condord check`.")


def _users_file() -> Path:
    """Return the path of the user's own file.

    Raises:
        NotWritten: there is no home directory.
    """
    directory = directories.config_directory()
    if directory is None:
        raise NotWritten("there is no home directory to write it to", "Name a file: condord config init PATH.")
    return directory / sources.FILE_NAME


def _write(target: Path, content: bytes) -> None:
    """Write the file completely or not at all, readable only by its owner; unlike a rename, a link never overwrites."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".condord-") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, target)


def example() -> bytes:
    """Return the commented example, which is in an installed package, or beside the package in a checkout."""
    package = Path(condord.__file__).parent
    paths = (package / _EXAMPLE_FILE, package.parent / _EXAMPLE_FILE)
    return next(path for path in paths if path.exists()).read_bytes()


def _credentials(config: Config, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the origin of the API key, or why there is none."""
    try:
        return credentials.find(environ, config.alpaca.key_id_file, config.alpaca.secret_key_file).origin, None
    except CredentialsMissing as error:
        return None, str(error)


def _lines(loaded: LoadedConfig, key: str) -> Iterator[str]:
    """Yield the lines of a TOML file with these values, and their origins as comments."""
    yield f"# file: {loaded.path or 'none'}"
    yield f"# API key: {key}"
    yield from (f"# warning: {warning}" for warning in loaded.warnings)
    section = ""
    for name, value in _values(loaded):
        before, (section, _, key) = section, name.partition(".")
        if section != before:
            yield ""
            yield f"[{section}]"
        yield f"{f'{key} = {toml(value)}':<50}  # {loaded.origins[name]}"
    yield ""
    yield "# Alert rules, as [[alert]] changes them:"
    yield from (f"# {_rule_text(rule)}" for rule in rules(loaded.config.alert))
    for name, tables in _tables(loaded):
        for table in tables:
            yield ""
            yield f"{f'[[{name}]]':<50}  # {loaded.origins[name]}"
            yield from (f"{key} = {toml(value)}" for key, value in table.items())


def _rule_text(rule: Rule) -> str:
    """Return a rule on one line."""
    when, clear = (", ".join(map(written, each)) for each in (rule.when, rule.clear))
    butterfly = ", ".join(map(written, rule.butterfly_when))
    parts = [
        when + (f" (butterfly: {butterfly})" if butterfly else ""),
        *([f"clear {clear}"] if clear else []),
        *([f"for {rule.for_seconds:g} s"] if rule.for_seconds else []),
        *(["at natural"] if rule.basis == "natural" else []),
        rule.severity if rule.enabled else "not enabled",
    ]
    return f"{rule.name}: {'; '.join(parts)}"


def _rule_json(rule: Rule) -> dict[str, object]:
    """Return a rule as `GET /api/alerts` has it."""
    return {
        "name": rule.name,
        "when": list(map(written, rule.when)),
        "clear": list(map(written, rule.clear)),
        "forSeconds": rule.for_seconds,
        "basis": rule.basis,
        "severity": rule.severity,
        "builtIn": rule.built_in,
        "enabled": rule.enabled,
    }


def _values(loaded: LoadedConfig) -> Iterator[tuple[str, Any]]:
    """Yield every key path and its value, with possible secrets masked."""
    for field in configuration.fields():
        value = getattr(getattr(loaded.config, field.section), field.key)
        if field.key.endswith("_url"):
            value = _QUERY.sub(f"?{_MASK}", value)
        yield field.name, _masked(field.key, value)


def _tables(loaded: LoadedConfig) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name and the elements of each array of tables, with possible secrets masked."""
    for name in configuration.TABLES:
        tables = map(configuration.values_of, getattr(loaded.config, name))
        yield name, [{key: _masked(key, value) for key, value in table.items()} for table in tables]


def _masked(key: str, value: object) -> object:
    """Return a value, or a mask if the path of a key's file was set to the key itself."""
    is_key = key.endswith("_file") and isinstance(value, str) and credentials.looks_like_key(value)
    return _MASK if is_key else value
