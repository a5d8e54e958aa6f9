"""Options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from condord.live.history_query import ParameterError, parse_range


def _file(value: object) -> Path:
    if not str(value):
        raise typer.BadParameter("the name of the file is empty")
    return Path(str(value))


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", parser=_file, help="The configuration file.")
]
Url = Annotated[str | None, typer.Option(metavar="URL", help="The daemon: http://host:port or unix:///path.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="T", help="First date at the exchange, or an instant with an offset.")
]
To = Annotated[
    str | None, typer.Option("--to", metavar="T", help="Last date, or an instant with an offset, not included itself.")
]


def whole_number(allowed: range | None = None) -> Callable[[object], int]:
    """Return a parser of whole numbers in the range `allowed`, or of all, whose errors name the range.

    typer's own message is "is not a valid int range".
    """

    def parse(value: object) -> int:
        text = str(value)
        number = int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text, re.ASCII) else None
        if number is None or (allowed is not None and number not in allowed):
            bounds = "" if allowed is None else f" from {allowed[0]} to {allowed[-1]}"
            raise typer.BadParameter(f"{text!r} is not a whole number{bounds}")
        return number

    return parse


def amount(value: object) -> float:
    """Parse an amount of dollars, 0 or more, with or without a dollar sign and commas.

    Raises:
        typer.BadParameter: the text is not such an amount.
    """
    text = str(value)
    if re.fullmatch(r"\$?[0-9][0-9,]{0,11}(\.[0-9]{1,4})?", text, re.ASCII):
        return float(text.removeprefix("$").replace(",", ""))
    raise typer.BadParameter(f"{text!r} is not an amount of dollars")


def require_one_form(*, as_csv: bool, as_json: bool) -> None:
    """Refuse `--csv` together with `--json`.

    Raises:
        typer.BadParameter: both are given.
    """
    if as_csv and as_json:
        raise typer.BadParameter("it cannot be combined with --json", param_hint="'--csv'")


def range_parameters(from_text: str | None, to_text: str | None) -> dict[str, str]:
    """Return the parameters of a request for what was between `--from` and `--to`.

    Raises:
        typer.BadParameter: one of them is invalid, or the range ends before it begins.
    """
    try:
        parse_range(from_text, to_text)
    except ParameterError as error:
        raise typer.BadParameter(error.text, param_hint=f"'--{error.parameter}'") from error
    return {name: text for name, text in (("from", from_text), ("to", to_text)) if text}


def parent_url(context: typer.Context) -> str | None:
    """Return the `--url` of the command that this one belongs to."""
    return context.parent.params.get("url") if context.parent is not None else None
