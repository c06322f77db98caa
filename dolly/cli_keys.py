"""Commands on the API keys of a home: add, list, revoke."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table as Printed

from dolly.cli_options import ConfigOption, HomeFolder, console, state_of
from dolly.serve.keys import KeyFile

app = typer.Typer(help="API keys of the server; they are kept as hashes.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="of the key's owner")]


def _file(home: str, config: str | None) -> KeyFile:
    return KeyFile(state_of(home, config).api_keys)


@app.command()
def add(name: Name, home: HomeFolder = ".dolly", config: ConfigOption = None) -> None:
    """Make a key and print it; it can't be shown again."""
    console.print(_file(home, config).add(name), markup=False)


@app.command("list")
def list_keys(home: HomeFolder = ".dolly", config: ConfigOption = None) -> None:
    """List the keys: owner, when made, when revoked."""
    printed = Printed("name", "created", "revoked")
    keys = _file(home, config).all()
    for key in keys:
        printed.add_row(key.name, key.created, key.revoked or "")
    console.print(printed if keys else "no keys: the server answers everyone on this machine, and no one else")


@app.command()
def revoke(name: Name, home: HomeFolder = ".dolly", config: ConfigOption = None) -> None:
    """Make a key invalid; a running server follows at once."""
    _file(home, config).revoke(name)
    console.print(f"the key of {name} is not valid any more", markup=False)
