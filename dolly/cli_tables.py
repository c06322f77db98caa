"""Commands on the tables: tables, rows, rejected, maintain."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table as Printed

from dolly.cli_options import ConfigFile, ConfigOption, HomeFolder, Overrides, console, state_of, tables_of
from dolly.config_file import load_config


def tables(home: HomeFolder = ".dolly", config: ConfigOption = None) -> None:
    """List the tables: version, rows, size, last writer."""
    opened = tables_of(home, config)
    lines = opened.overview()
    printed = Printed("table", "version", "rows", "size", "last writer")
    for line in lines:
        printed.add_row(line.name, str(line.version), f"{line.rows:,}", _bytes(line.size), line.last_writer)
    console.print(printed if lines else f"no tables in {opened.address} yet: dolly run {config or 'CONFIG'} makes them")


def rows(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="a row's or document's id, or its beginning")],
    home: HomeFolder = ".dolly",
    config: ConfigOption = None,
) -> None:
    """Show the history of one row: file, fixes, verdicts, split, training sets, models."""
    from dolly.lineage import life, training_sets
    from dolly.tracking import models_trained_on

    events = life(tables_of(home, config), row_id)
    for event in events:
        console.print(f"[bold]{event.table}[/bold]")
        for name, text in event.facts.items():
            console.print(f"  {name:<16} {text}", markup=False)
    for line in models_trained_on(state_of(home, config), training_sets(events)):
        console.print(f"[bold]model[/bold]\n  {line}")


def rejected(
    home: HomeFolder = ".dolly",
    config: ConfigOption = None,
    dataset: Annotated[str, typer.Option(help="only of this data set")] = "",
    rule: Annotated[str, typer.Option(help="only by this rule, row by row")] = "",
) -> None:
    """Summarise what was rejected, by stage, source and rule."""
    from dolly.accounting import SHOWN_DIGITS, rejected_summary
    from dolly.schema import REJECTED

    columns = ["dataset", "stage", "source", "rule", "reason", "detail", "position", "example_id"]
    wanted = {"dataset": dataset, "rule": rule}
    tables = tables_of(home, config)
    begun = tables.find(REJECTED, prefix=wanted, columns=columns)
    matching = [row for row in begun if all(row[name] == value for name, value in wanted.items() if value)]
    if rule:
        printed = Printed("id", "source", "position", "detail")
        for row in sorted(matching, key=lambda row: (row["source"], row["position"], row["example_id"])):
            printed.add_row(row["example_id"][:SHOWN_DIGITS], row["source"], str(row["position"]), row["detail"] or "")
    else:
        printed = Printed("config", "stage", "source", "rule", "rows", "reason", "one of them")
        for line in rejected_summary(matching):
            printed.add_row(*line)
    if matching:
        console.print(printed)
        return
    filters = [f"{name} {value}" for name, value in wanted.items() if value]
    console.print(f"nothing was rejected{' of ' if filters else ''}{', '.join(filters)}", markup=False)
    every = tables.find(REJECTED, prefix={}, columns=list(wanted)) if filters else []
    for name in (name for name, value in wanted.items() if value and every):
        console.print(f"{name}s with rejected rows: {', '.join(sorted({row[name] for row in every}))}", markup=False)


def maintain(
    config: ConfigFile,
    overrides: Overrides = None,
    keep_days: Annotated[int, typer.Option(min=0, help="days that old versions stay readable")] = 30,
) -> None:
    """Compact the tables' small files and remove files that no version of the last days needs."""
    from dolly.maintenance import run_maintenance

    for line in run_maintenance(load_config(config, overrides), keep_days=keep_days):
        console.print(line, markup=False)


def _bytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
