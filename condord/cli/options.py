"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", readable=False, help="The configuration file.")
]
Url = Annotated[str | None, typer.Option(metavar="URL", help="The daemon: http://host:port or unix:///path.")]
