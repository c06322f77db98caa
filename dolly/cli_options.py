"""The console and the arguments that the commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dolly.config_file import load_config
from dolly.state import State
from dolly.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# In a file or a pipe, tables are not wrapped.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)

ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="an experiment's YAML file")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key=value]...", help="override keys of the config")]
HomeFolder = Annotated[str, typer.Option("--home", help="folder that runs write to")]
ConfigOption = Annotated[
    str | None, typer.Option("--config", help="instead of --home: a config, whose section state says where things are")
]


def state_of(home: str, config: str | None) -> State:
    """The state of a config, or of a home folder if there is no config."""
    return State.of(load_config(config)) if config else State.at(home, create=False)


def tables_of(home: str, config: str | None) -> Tables:
    """The tables of a config, or of a home folder."""
    if config is None:
        return Tables(State.at(home, create=False).tables)
    loaded = load_config(config)
    state = State.of(loaded)

    def session() -> SparkSession:
        from dolly.spark import config_session

        return config_session(loaded, state)

    return Tables(state.tables, session)
