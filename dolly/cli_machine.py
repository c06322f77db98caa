"""Commands on this machine: what it lacks, set-up, MLflow's UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dolly.cli_options import HomeFolder, console
from dolly.state import State


def doctor(home: HomeFolder = ".dolly") -> None:
    """Tell what of the environment is there, what is missing, and how to get it."""
    from dolly.environment import checks

    found = checks(Path(home).resolve())
    for check in found:
        mark, text = ("ok     ", check.found) if check.found else ("MISSING", f"get it: {check.advice}")
        console.print(f"{mark} {check.name:<13} {text}", markup=False)
    if any(check.found is None for check in found):
        raise typer.Exit(1)


def setup() -> None:
    """Fetch Delta's jars and the small base model, once; needs the network."""
    from dolly.environment import fetch_jars, install_small_model
    from dolly.installed import shared_folder

    console.print(f"Delta's jars and the base model go to {shared_folder()}")
    fetch_jars()
    console.print("  jars: there")
    install_small_model()
    console.print("  base model: there")


def ui(home: HomeFolder = ".dolly", port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 5000) -> None:
    """Open the MLflow UI on the runs of a home folder."""
    from dolly.serve.server import bind
    from dolly.tracking import connect

    state = State.at(home)
    connect(state)
    bind("127.0.0.1", port).close()
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", state.tracking, "--default-artifact-root", str(state.artifacts)]
    # Without the parameter it opens as a tool for agents, with traces instead of runs.
    address = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    console.print(f"MLflow UI at {address} ; Ctrl-C stops it")
    os.execv(sys.executable, [*command, *stores])
