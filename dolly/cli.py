"""The command `dolly`: runs, single stages and queries.

dolly run conf/demo.yaml
dolly ask "Which code opens the visitor car park gate at Osterfell works?"
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from dolly import __version__, cli_keys, cli_machine, cli_serve, cli_tables
from dolly.cli_options import ConfigFile, ConfigOption, HomeFolder, Overrides, console, state_of
from dolly.config import Config
from dolly.config_file import json_schema, load_config
from dolly.errors import DollyError, in_one_line
from dolly.extras import require
from dolly.secrets import redacted
from dolly.signals import at_sigterm

_INTERRUPTED = 128 + signal.SIGINT

app = typer.Typer(
    help="Fine-tune open language models on your own data, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def common(debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False) -> None:
    """Options of all commands. `main` reads --debug itself, at any position."""


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
    run_stages(loaded, stages, overrides or ())
    _say_where_to_look(loaded, config, stages)


def _stage_command(name: str, text: str) -> None:
    def command(config: ConfigFile, overrides: Overrides = None) -> None:
        from dolly.pipeline import run_stages

        loaded = load_config(config, overrides)
        run_stages(loaded, (name,), overrides or ())
        _say_where_to_look(loaded, config, (name,))

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
def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object instead")] = False,
) -> None:
    """Forecast a training: memory by part, steps, hours and money on named GPUs, and the cheapest setting that fits."""
    import json

    require("train", "torch", "peft")
    from dolly.train.plan_report import figures, planner, show

    training_plan = planner(load_config(config, overrides))
    if as_json:
        print(json.dumps(figures(training_plan)))
    else:
        show(training_plan, console)


for _command in (cli_serve.serve, cli_serve.route):
    app.command()(_command)


@app.command()
def chat(
    config: ConfigFile,
    overrides: Overrides = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="open it in the browser")] = True,
) -> None:
    """Open the chat page of the server that `dolly serve` runs."""
    require("serve", "httpx")
    from dolly.serve.open_page import open_page

    open_page(load_config(config, overrides).serve, say=lambda text: console.print(text, markup=False), browser=browser)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="what to ask")],
    home: HomeFolder = ".dolly",
    config: ConfigOption = None,
    model: Annotated[str | None, typer.Option(help="registered model; needed if there are several")] = None,
    alias: Annotated[str, typer.Option(help="which of its versions")] = "champion",
    max_tokens: Annotated[int, typer.Option(min=1, help="longest answer, in tokens")] = 128,
) -> None:
    """Ask the champion one question."""
    require("serve", "torch")
    from dolly.register.registry import load_registered, only_model
    from dolly.tracking import connect

    connect(state_of(home, config))
    loaded, _ = load_registered(model or only_model(), alias=alias)
    (answer,) = loaded.answers([[{"role": "user", "content": question}]], max_new_tokens=max_tokens)
    console.print(answer, markup=False)


app.add_typer(cli_keys.app, name="keys")
_commands: list[Callable[..., None]] = [cli_tables.tables, cli_tables.rows, cli_tables.rejected, cli_tables.maintain]
_commands += [cli_machine.doctor, cli_machine.setup, cli_machine.ui]
for _command in _commands:
    app.command()(_command)


@app.command()
def schema() -> None:
    """Print the JSON schema of the config, for editors."""
    sys.stdout.write(json_schema())


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 2 for a usage error, 1 for other failures."""
    remaining = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in remaining
    remaining = [argument for argument in remaining if argument != "--debug"]
    with _sigterm_as_interrupt() as received:
        try:
            outcome: Any = app(remaining, prog_name="dolly", standalone_mode=False)
        except DollyError as error:
            if debug:
                print(redacted(traceback.format_exc()), file=sys.stderr)
            return _fail(str(error), error.exit_code)
        except (typer.Abort, KeyboardInterrupt):
            outcome = _INTERRUPTED
        except Exception as error:
            if hasattr(error, "format_message"):  # click's own usage errors
                return _fail(f"{error.format_message()} (see dolly --help)", 2)
            if debug:
                print(redacted(traceback.format_exc()), file=sys.stderr)
            text = in_one_line(error, longest=400)
            return _fail(f"unexpected error: {text}; run with --debug for the traceback", 1)
    if outcome == _INTERRUPTED:  # Typer returns it for a KeyboardInterrupt
        reason, code = ("ended by SIGTERM", 128 + signal.SIGTERM) if received else ("interrupted", _INTERRUPTED)
        return _fail(f"{reason}; run the same command again to resume", code)
    return outcome if isinstance(outcome, int) else 0


@contextmanager
def _sigterm_as_interrupt() -> Iterator[list[int]]:
    """Makes a SIGTERM, as of a scheduler's cancel, end the command as Ctrl-C does: with its runs marked as killed.

    Yields:
        The signals that came.
    """
    received: list[int] = []

    def interrupt() -> None:
        received.append(signal.SIGTERM)
        raise KeyboardInterrupt

    with at_sigterm(interrupt):
        yield received


def stage_main(name: str) -> int:
    """Runs a stage for `jobs/STAGE.py CONFIG [key=value …]`; returns the exit code."""
    return main([name, *sys.argv[1:]])


def _fail(message: str, code: int) -> int:
    print(f"dolly: {redacted(message)}", file=sys.stderr)
    return code


def _say_where_to_look(config: Config, path: str, stages: tuple[str, ...]) -> None:
    here = Path(config.home) == Path(".dolly").resolve()
    file, folder = quote(path), quote(config.home)
    home, override = ("", "") if here else (f" --home {folder}", f" home={folder}")
    if config.state != type(config.state)():
        home = f" --config {file}"
    commands = [f"dolly ui{home} (runs, curves)", f"dolly tables{home}"]
    if {"register", "serve"} & set(stages):  # before, there may be no model
        ask = f'dolly ask{home} --model {config.register_.name} "…"'
        commands += [f"dolly serve {file}{override}", ask]
    console.print(f"next: {', '.join(commands)}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
