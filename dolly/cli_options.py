"""What the commands share: the console, and the arguments that many of them take."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

# Into a file or a pipe, tables are printed as wide as they are.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)

ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="an experiment's YAML file")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key=value]...", help="override keys of the config")]
HomeFolder = Annotated[str, typer.Option("--home", help="folder that holds all that runs write")]
