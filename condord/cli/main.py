"""Run a command, report its failure on stderr and return the exit code.

Each command is a module of this package with a function (or a typer application) of the same name, and an `EXAMPLE`.
Only the module of the command to run is imported.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from condord import __version__
from condord.cli.output import drain_stderr, try_write_stdout, write_stderr, write_stdout
from condord.cli.screen import plain
from condord.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, CondordError, ConfigError
from condord.host import stderr

_COMPLETION = frozenset({"--install-completion", "--show-completion"})
_COMPLETION_HINT = "`condord --show-completion` prints what the shell has to read."
_ASKING = frozenset({"positions", "stream", "status", "alerts", "history", "trades"})
_SERVING = frozenset({"start", "relay", "simulate"})
COMMANDS = (
    "start", "relay", "positions", "stream", "status", "alerts", "history", "trades", "check", "config", "simulate",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None, *, ready: Callable[[], None] = lambda: None) -> NoReturn:
    """Run the command line and exit; `arguments` are without the program's name, by default from sys.argv.

    `ready` is called once the command is imported.
    """
    chosen = list(sys.argv[1:] if arguments is None else arguments)
    if chosen and chosen[0] in _SERVING:
        stderr.unblock()
    code = run(chosen, ready)
    drain_stderr()
    if chosen and chosen[0] in _ASKING:
        os._exit(code)  # all output is written; the interpreter would take 30 ms to clean up
    sys.exit(code)


def run(arguments: Sequence[str], ready: Callable[[], None] = lambda: None) -> int:
    """Run the command line and return the exit code; `ready` is called once the command is imported.

    An error is reported with a line for each fault and a line with the remedy. Ctrl-C is not reported: it is the
    way to end a command that follows.
    """
    try:
        if os.environ.get("_CONDORD_COMPLETE") == "complete_bash":
            return _complete_in_bash()
        app = application(next(iter(arguments), ""))
        ready()
        # Not standalone: typer returns the code of an Exit, and raises every error.
        return app(list(arguments), prog_name="condord", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except CondordError as error:
        faults = error.faults if isinstance(error, ConfigError) else (str(error),)
        return _report(faults, error.hint, error.exit_code)
    except (OSError, RuntimeError) as error:
        if not _COMPLETION.isdisjoint(arguments):  # typer writes files of the shell to the home directory
            reason = error.strerror if isinstance(error, OSError) else error
            return _report((f"cannot write the completion: {reason}",), _COMPLETION_HINT, EXIT_FAILED)
        return _report_bug(error, arguments)
    except Exception as error:  # noqa: BLE001, any other exception is a bug
        if hasattr(error, "format_message"):  # click's UsageError, which typer has under a changing private name
            return _report_usage(error, arguments)
        return _report_bug(error, arguments)


def _complete_in_bash() -> int:
    from condord.cli import bash_words

    os.environ.update(bash_words.environment(os.environ))
    answers = io.StringIO()
    with redirect_stdout(answers), suppress(SystemExit):
        application()((), prog_name="condord", standalone_mode=False)
    try_write_stdout(bash_words.shortened(answers.getvalue(), os.environ))
    return 0


def application(wanted: str = "") -> typer.Typer:
    """Return the application with the command `wanted`, or with all if there is no such command.

    Importing the other commands takes 20 ms.
    """
    names = [wanted] if wanted in COMMANDS else COMMANDS
    app = typer.Typer(
        name="condord",
        add_completion=wanted not in COMMANDS,  # adds two options to the program itself
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # it takes 60 ms for every `--help` and every usage error
    )
    app.callback(cls=_Commands, invoke_without_command=True, epilog=_epilog("condord start --demo"))(_condord)
    for name in names:
        module = import_module(f"condord.cli.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            for subcommand in command.registered_commands:
                subcommand.cls = _Command
            app.add_typer(command, name=name, cls=_Commands, epilog=_epilog(module.EXAMPLE))
        else:
            app.command(name, cls=_Command, epilog=_epilog(module.EXAMPLE))(command)
    return app


def _epilog(example: str) -> str:
    return f"\b\nExample:\n  {example}"


class _Command(TyperCommand):
    """A command whose `--help` is written like all other output, with the same errors."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401, a type that typer has under a changing private name
        return _with_our_output(super().get_help_option(ctx))


class _Commands(TyperGroup):
    """Like `_Command`, for the program itself and for groups of commands, which are listed as in `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        names = super().list_commands(ctx)
        return [name for name in COMMANDS if name in names] or names

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401
        return _with_our_output(super().get_help_option(ctx))


def _with_our_output(option: Any) -> Any:  # noqa: ANN401
    if option is not None:
        option.callback = _help
    return option


def _help(context: typer.Context, _: object, value: object) -> None:
    if value and not context.resilient_parsing:
        write_stdout(context.get_help() + "\n")
        raise typer.Exit


def _condord(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Live iron condors from an Alpaca account."""
    if version:
        write_stdout(f"condord {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        write_stdout(context.get_help() + "\n")


def _report(faults: Sequence[str], hint: str, exit_code: int) -> int:
    for fault in faults:
        write_stderr(f"condord: {plain(fault)}")
    if hint:
        write_stderr(f"hint: {plain(hint)}")
    return exit_code


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    if _is_debugging(arguments):
        write_stderr("".join(traceback.format_exception(error)).rstrip())
    hint = "Run it again with CONDORD_LOG_LEVEL=debug and report what it prints."
    # Without the message, which may contain a secret.
    return _report((f"a bug in condord: {type(error).__name__} {_location(error)}",), hint, EXIT_BUG)


def _report_usage(error: Exception, arguments: Sequence[str]) -> int:
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]  # checked by the caller
    context = getattr(error, "ctx", None)
    # An option without its value has no context.
    named = [word for word in arguments[:1] if word in COMMANDS]
    command = context.command_path if context is not None else " ".join(["condord", *named])
    hint = f"Try `{command} --help`."
    having = _commands_with(getattr(error, "option_name", ""))
    if len(having) == 1 and having != named:
        hint = f"`condord {having[0]}` has this option. {hint}"
    return _report((message,), hint, getattr(error, "exit_code", 2))


def _commands_with(option: str) -> list[str]:
    """The commands that have an option such as `--source`; those of groups are left out."""
    commands = typer.main.get_command(application()).commands  # type: ignore[attr-defined]  # typer has it as a group
    return [name for name, command in commands.items() if any(option in each.opts for each in command.params)]


def _is_debugging(arguments: Sequence[str]) -> bool:
    has_flag = "--log-level=debug" in arguments or ("--log-level", "debug") in pairwise(arguments)
    return has_flag or os.environ.get("CONDORD_LOG_LEVEL") == "debug"


def _location(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}condord{os.sep}" in frame.filename] or frames
    return f"at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "at an unknown line"
