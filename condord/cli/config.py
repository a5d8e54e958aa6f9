"""`condord config`: what is configured and by whom, where it is looked for, and a file to begin with."""

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
from condord import config as configuration
from condord import credentials
from condord.cli.screen import emit, plain, tell
from condord.config import Config, Loaded, toml
from condord.errors import EXIT_FAILED, CondordError, CredentialsMissing

EXAMPLE = "condord config show"

_EXAMPLE_FILE = "condord.toml.example"
_QUERY = re.compile(r"\?.*")  # where a gateway may want a token
_MASK = "***"

_File = Annotated[Path | None, typer.Option("--config", metavar="FILE", readable=False, help="The configuration file.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]

config = typer.Typer(help="Show, find or begin the configuration.")


class NotWritten(CondordError):
    """The file cannot be made, or is there already."""

    code = "not-written"
    exit_code = EXIT_FAILED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


@config.command()
def show(*, config_file: _File = None, as_json: _Json = False) -> None:
    """Show every key with its value and where that comes from, and which API key would be used.

    What it prints is a configuration too; secrets are not in it.
    """
    loaded = configuration.load(config_file, os.environ, {})
    origin, problem = _credentials(loaded.config, os.environ)
    if as_json:
        document = {
            "path": str(loaded.path) if loaded.path else None,
            "values": {name: {"value": value, "origin": loaded.origins[name]} for name, value in _values(loaded)},
            "credentials": {"origin": origin, "problem": problem},
        }
        emit(msgspec.json.encode(document) + b"\n")
        return
    emit("".join(f"{plain(line)}\n" for line in _lines(loaded, origin or f"none, {problem}")))


@config.command()
def path(*, config_file: _File = None) -> None:
    """List the places where the file is looked for, in order, and say what is there."""
    named = [Path(each) for each in (config_file, os.environ.get("CONDORD_CONFIG")) if each]
    lines, is_over = "", False
    for place in (*named, *configuration.candidates(None, {})):
        is_there = os.access(place, os.F_OK)
        state = "not looked at" if is_over else "read" if is_there else "missing"
        lines += f"{state:<15}{plain(str(place))}\n"
        is_over = is_over or is_there or place in named
    emit(lines)


@config.command()
def init(
    *,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The file to write; by default the user's own.")
    ] = None,
) -> None:
    """Write a commented configuration, every key at its default; a file that is there stays as it is."""
    target, content = path or configuration.candidates(None, {})[0], example()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(target, content)
    except FileExistsError as error:
        hint = "Edit it, or name another: condord config init PATH."
        raise NotWritten(f"{target} is there already, and was left as it is", hint) from error
    except OSError as error:
        hint = "Name a place where you may write and room is left: condord config init PATH."
        raise NotWritten(f"{target} cannot be written: {error.strerror}", hint) from error
    emit(f"{target}\n")
    tell("Every key is at its default: change what you need, then see `condord check`.")


def _write(target: Path, content: bytes) -> None:
    """All of it is at `target` for its owner alone, or nothing; what is there already stays as it is."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".condord-") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, target)


def example() -> bytes:
    """The commented example: in the package where that is installed, beside it in a checkout."""
    package = Path(condord.__file__).parent
    places = (package / _EXAMPLE_FILE, package.parent / _EXAMPLE_FILE)
    return next(place for place in places if place.exists()).read_bytes()


def _credentials(config: Config, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Where the key is that would be used, or why there is none."""
    try:
        return credentials.find(environ, config.alpaca.key_id_file, config.alpaca.secret_key_file).origin, None
    except CredentialsMissing as error:
        return None, str(error)


def _lines(loaded: Loaded, key: str) -> Iterator[str]:
    """A file of TOML that says the same, with the origins as comments."""
    yield f"# file: {loaded.path or 'none'}"
    yield f"# API key: {key}"
    section = ""
    for name, value in _values(loaded):
        before, (section, _, key) = section, name.partition(".")
        if section != before:
            yield ""
            yield f"[{section}]"
        yield f"{f'{key} = {toml(value)}':<50}  # {loaded.origins[name]}"


def _values(loaded: Loaded) -> Iterator[tuple[str, Any]]:
    """Every key path and its value, as it may be seen."""
    for field in configuration.fields():
        value = getattr(getattr(loaded.config, field.section), field.key)
        if field.key.endswith("_file") and credentials.looks_like_key(value):
            value = _MASK
        elif field.key.endswith("_url"):
            value = _QUERY.sub(f"?{_MASK}", value)
        yield field.name, value
