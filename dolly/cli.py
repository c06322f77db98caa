"""The command `dolly`: the whole run, one stage, and what one asks in between.

dolly run conf/demo.yaml
dolly ask "Which code opens the visitor car park gate at Osterfell works?"
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Printed

from dolly import __version__
from dolly.config import Config
from dolly.config_file import json_schema, load_config
from dolly.errors import DollyError
from dolly.home import Home

app = typer.Typer(
    help="Fine-tune open language models on your own data, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# Into a file or a pipe, tables are printed as wide as they are.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)

ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="an experiment's YAML file")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key=value]...", help="override keys of the config")]
HomeFolder = Annotated[str, typer.Option("--home", help="folder that holds all that runs write")]


@app.callback()
def common(debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False) -> None:
    """Options of all commands. `main` reads --debug itself, wherever it stands."""


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    first: Annotated[str | None, typer.Option("--from", metavar="STAGE", help="begin here")] = None,
    last: Annotated[str | None, typer.Option("--until", metavar="STAGE", help="end here")] = None,
) -> None:
    """Run an experiment: ingest, clean, prepare, train, evaluate, register, serve."""
    from dolly.pipeline import run_stages, span

    stages = span(first, last)
    loaded = load_config(config, overrides)
    run_stages(loaded, stages)
    _say_where_to_look(loaded, config)


def _stage_command(name: str, text: str) -> None:
    def command(config: ConfigFile, overrides: Overrides = None) -> None:
        from dolly.pipeline import run_stages

        loaded = load_config(config, overrides)
        run_stages(loaded, (name,))
        _say_where_to_look(loaded, config)

    command.__doc__ = text
    app.command(name)(command)


for _name, _text in {
    "ingest": "Bring source files into bronze_examples.",
    "clean": "Clean bronze_examples into silver_examples and rejected.",
    "prepare": "Split and tokenise silver_examples into gold_examples.",
    "train": "Fine-tune the base model on gold_examples.",
    "evaluate": "Ask base and trained model the held-out questions.",
    "register": "Register the trained model; champion if it passed the gate.",
}.items():
    _stage_command(_name, _text)


@app.command()
def serve(
    config: ConfigFile,
    overrides: Overrides = None,
    alias: Annotated[str, typer.Option(help="which registered model")] = "champion",
) -> None:
    """Serve the champion as an OpenAI-compatible API until interrupted."""
    from dolly.serve.stage import serve_champion

    serve_champion(load_config(config, overrides), alias=alias)


@app.command()
def chat(config: ConfigFile, overrides: Overrides = None) -> None:
    """Open a chat page over the server that `dolly serve` runs."""
    from dolly.serve.chat_page import open_page

    loaded = load_config(config, overrides)
    open_page(host=loaded.serve.host, server_port=loaded.serve.port)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="what to ask")],
    home: HomeFolder = ".dolly",
    model: Annotated[str | None, typer.Option(help="registered model; needed if there are several")] = None,
    alias: Annotated[str, typer.Option(help="which of its versions")] = "champion",
    max_tokens: Annotated[int, typer.Option(min=1, help="longest answer, in tokens")] = 128,
) -> None:
    """Ask the champion one question."""
    import mlflow

    from dolly.register.registry import load_registered, only_model

    mlflow.set_tracking_uri(Home.open(home).tracking_uri)
    loaded, _ = load_registered(model or only_model(), alias=alias)
    ids = loaded.prompt_ids([{"role": "user", "content": question}])
    made = loaded.generate(ids, max_new_tokens=max_tokens, temperature=0, top_p=1, seed=None)
    console.print(loaded.text(list(made)), markup=False)


@app.command()
def tables(home: HomeFolder = ".dolly") -> None:
    """List the tables: version, rows, size, last writer."""
    from dolly.tables import Tables

    lines = Tables(Home.open(home).tables).overview()
    printed = Printed("table", "version", "rows", "size", "last writer")
    for line in lines:
        printed.add_row(line.name, str(line.version), f"{line.rows:,}", _bytes(line.size), line.last_writer)
    console.print(printed if lines else f"no tables in {home} yet: run dolly run conf/demo.yaml")


@app.command()
def rows(
    identity: Annotated[str, typer.Argument(metavar="ID", help="a row's or document's id, or its beginning")],
    home: HomeFolder = ".dolly",
) -> None:
    """Tell one row's whole life: file, fixes, verdicts, split, training sets, models."""
    from dolly.lineage import life, training_sets
    from dolly.tables import Tables
    from dolly.tracking import models_trained_on

    opened = Home.open(home)
    events = life(Tables(opened.tables), identity)
    for event in events:
        console.print(f"[bold]{event.table}[/bold]")
        for name, text in event.facts.items():
            console.print(f"  {name:<16} {text}", markup=False)
    for line in models_trained_on(opened, training_sets(events)):
        console.print(f"[bold]model[/bold]\n  {line}")


@app.command()
def rejected(
    home: HomeFolder = ".dolly",
    dataset: Annotated[str, typer.Option(help="only of this config")] = "",
    rule: Annotated[str, typer.Option(help="only by this rule, row by row")] = "",
) -> None:
    """Summarise what was rejected, by stage, source and rule."""
    from dolly.accounting import rejected_summary
    from dolly.schema import REJECTED
    from dolly.tables import Tables

    columns = ["dataset", "stage", "source", "rule", "reason", "detail", "position", "example_id"]
    found = Tables(Home.open(home).tables).find(REJECTED, prefix={"dataset": dataset, "rule": rule}, columns=columns)
    if rule:
        printed = Printed("id", "source", "place", "detail")
        for row in sorted(found, key=lambda row: (row["source"], row["position"], row["example_id"])):
            printed.add_row(row["example_id"][:12], row["source"], str(row["position"]), row["detail"] or "")
    else:
        printed = Printed("config", "stage", "source", "rule", "rows", "reason", "one of them")
        for line in rejected_summary(found):
            printed.add_row(*line)
    console.print(printed if found else "nothing was rejected")


@app.command()
def maintain(
    config: ConfigFile,
    overrides: Overrides = None,
    keep_days: Annotated[int, typer.Option(min=0, help="days that old versions stay readable")] = 30,
) -> None:
    """Compact the tables' small files and remove those that no version of the last days needs."""
    from dolly.maintenance import run_maintenance

    for line in run_maintenance(load_config(config, overrides), keep_days=keep_days):
        console.print(line, markup=False)


@app.command()
def doctor(home: HomeFolder = ".dolly") -> None:
    """Tell what of the environment is there, what is missing, and how to get it."""
    from dolly.environment import checks

    found = checks(Path(home).resolve())
    for check in found:
        mark, text = ("ok     ", check.found) if check.found else ("MISSING", f"get it: {check.advice}")
        console.print(f"{mark} {check.name:<13} {text}", markup=False)
    if any(check.found is None for check in found):
        raise typer.Exit(1)


@app.command()
def setup() -> None:
    """Fetch Delta's jars and the small base model, once; needs the network."""
    from dolly.environment import fetch_jars, install_small_model, shared_folder

    console.print(f"Delta's jars and the base model go to {shared_folder()}")
    fetch_jars()
    console.print("  jars: there")
    install_small_model()
    console.print("  base model: there")


@app.command()
def ui(home: HomeFolder = ".dolly", port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 5000) -> None:
    """Open the MLflow UI on the runs of a home folder."""
    import os

    from dolly.serve.server import bind

    opened = Home.open(home)
    bind("127.0.0.1", port).close()
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", opened.tracking_uri, "--default-artifact-root", opened.artifacts.as_uri()]
    console.print(f"MLflow UI at http://127.0.0.1:{port}; Ctrl-C stops it")
    os.execv(sys.executable, [*command, *stores])


@app.command()
def schema() -> None:
    """Print the JSON schema of the config, for editors."""
    sys.stdout.write(json_schema())


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code, 2 for a wrong request, 1 for other failures."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        outcome: Any = app(given, prog_name="dolly", standalone_mode=False)
    except DollyError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), error.exit_code)
    except typer.Abort:
        return _fail("interrupted", 130)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on", 130)
    except Exception as error:
        if hasattr(error, "format_message"):  # click's own usage errors
            return _fail(f"{error.format_message()} (see dolly --help)", 2)
        if debug:
            traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        return _fail(f"found a fault it did not foresee: {text}; run with --debug for the traceback", 1)
    return outcome if isinstance(outcome, int) else 0


def stage_main(name: str) -> int:
    """What `jobs/STAGE.py CONFIG [key=value …]` calls."""
    return main([name, *sys.argv[1:]])


def _fail(message: str, code: int) -> int:
    print(f"dolly: {message}", file=sys.stderr)
    return code


def _say_where_to_look(config: Config, path: str) -> None:
    elsewhere = config.home != ".dolly"
    home, override = (f" --home {config.home}", f" home={config.home}") if elsewhere else ("", "")
    console.print(
        f"next: dolly ui{home} (runs, curves), dolly tables{home}, dolly serve {path}{override}, "
        f'dolly ask{home} --model {config.register_.name} "…"',
        markup=False,
    )


def _bytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


if __name__ == "__main__":
    sys.exit(main())
