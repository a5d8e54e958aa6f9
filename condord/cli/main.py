"""Decides how a command ends: what is said on stderr, and the exit code.

Rules:
    A command is a module of this package with a function, or a typer of its own, of its name, and an `EXAMPLE`; only
    the one that is asked for is imported.
    A failure is a line that says what is wrong and a line that says what to do (faults of a configuration: one
    line each). The exit code is the error's own; misuse is 2, a bug of ours 70.
    A traceback is shown for a bug only, and only with `--log-level debug` or CONDORD_LOG_LEVEL=debug.
    Ctrl-C ends a command with 130 and without a word; `start` and `simulate` end with 0, it is their way to end.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from condord import __version__
from condord.cli.screen import emit, plain, settle, tell
from condord.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, CondordError, ConfigError

_COMPLETION = frozenset({"--install-completion", "--show-completion"})
_COMPLETION_HINT = "`condord --show-completion` shows what the shell has to read."
_ASKING = frozenset({"positions", "stream", "status"})
COMMANDS = ("start", "positions", "stream", "status", "check", "config", "simulate")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process; `arguments` without the program's name, default sys.argv."""
    chosen = list(sys.argv[1:] if arguments is None else arguments)
    code = run(chosen)
    settle()
    if chosen and chosen[0] in _ASKING:
        os._exit(code)  # all is written and nothing is held: 30 ms that the interpreter would spend on tidying up
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    try:
        # Not standalone: typer returns the code of an Exit, and leaves every error to us.
        return application(next(iter(arguments), ""))(list(arguments), prog_name="condord", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except CondordError as error:
        faults = error.faults if isinstance(error, ConfigError) else (str(error),)
        return _fail(faults, error.hint, error.exit_code)
    except OSError as error:
        if not _COMPLETION.isdisjoint(arguments):  # typer writes the shell's files, and to stdout
            return _fail((f"cannot write the completion: {error.strerror}",), _COMPLETION_HINT, EXIT_FAILED)
        return _bug(error, arguments)
    except Exception as error:  # noqa: BLE001, here ends what nobody else has caught
        if hasattr(error, "format_message"):  # click's UsageError, which typer has under a changing private name
            return _misuse(error)
        return _bug(error, arguments)


def application(wanted: str = "") -> typer.Typer:
    """The command `wanted`, or all, if it is none: the others would cost it 20 ms.

    rich's markup is off, it would cost every `--help` and every misuse 60 ms.
    """
    names = [wanted] if wanted in COMMANDS else COMMANDS
    app = typer.Typer(
        name="condord",
        add_completion=wanted not in COMMANDS,  # two options of the program itself
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(cls=_Commands, invoke_without_command=True, epilog=_epilog("condord start --demo"))(_condord)
    for name in names:
        module = import_module(f"condord.cli.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            for each in command.registered_commands:
                each.cls = _Command
            app.add_typer(command, name=name, cls=_Commands, epilog=_epilog(module.EXAMPLE))
        else:
            app.command(name, cls=_Command, epilog=_epilog(module.EXAMPLE))(command)
    return app


def _epilog(example: str) -> str:
    return f"\b\nExample:\n  {example}"


class _Command(TyperCommand):
    """A command whose `--help` goes the way of all output."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own, of a changing private name
        return _with_our_output(super().get_help_option(ctx))


class _Commands(TyperGroup):
    """As `_Command`, for the program itself."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401
        return _with_our_output(super().get_help_option(ctx))


def _with_our_output(option: Any) -> Any:  # noqa: ANN401
    if option is not None:
        option.callback = _help
    return option


def _help(context: typer.Context, _: object, value: object) -> None:
    if value and not context.resilient_parsing:
        emit(context.get_help() + "\n")
        raise typer.Exit


def _condord(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Live iron condors from an Alpaca account."""
    if version:
        emit(f"condord {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")


def _fail(faults: Sequence[str], hint: str, exit_code: int) -> int:
    for fault in faults:
        tell(f"condord: {plain(fault)}")
    if hint:
        tell(f"hint: {plain(hint)}")
    return exit_code


def _bug(error: Exception, arguments: Sequence[str]) -> int:
    if _debugging(arguments):
        tell("".join(traceback.format_exception(error)).rstrip())
    hint = "Run it again with --log-level debug (any command: CONDORD_LOG_LEVEL=debug) and report what it shows."
    return _fail((f"a bug of condord: {type(error).__name__} {_place(error)}",), hint, EXIT_BUG)


def _misuse(error: Exception) -> int:
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]  # asked above
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "condord"
    return _fail((message,), f"Try `{command} --help`.", getattr(error, "exit_code", 2))


def _debugging(arguments: Sequence[str]) -> bool:
    given = [*arguments, ""]
    flagged = "--log-level=debug" in given or ("--log-level", "debug") in pairwise(given)
    return flagged or os.environ.get("CONDORD_LOG_LEVEL") == "debug"


def _place(error: Exception) -> str:
    """Where it happened. The message of a foreign error is left out: nobody has checked it for secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}condord{os.sep}" in frame.filename] or frames
    return f"at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "somewhere"
