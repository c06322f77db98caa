"""Commands for this machine: doctor, setup, ui."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dolly.cli_options import ConfigOption, HomeFolder, console, state_of


def doctor(home: HomeFolder = ".dolly") -> None:
    """Show what is installed, what is missing, and how to get it."""
    from dolly.environment import checks

    results = checks(Path(home).resolve())
    for check in results:
        mark, text = ("ok     ", check.found) if check.found else ("MISSING", f"get it: {check.advice}")
        console.print(f"{mark} {check.name:<13} {text}", markup=False)
    if any(check.found is None for check in results):
        raise typer.Exit(1)


def setup(s3: Annotated[bool, typer.Option("--s3", help="also the jars that Spark needs for S3")] = False) -> None:
    """Fetch Delta's jars and the small base model, and archive Spark's classes, once; needs the network."""
    from dolly.class_archive import make_archive
    from dolly.environment import fetch_jars, fetch_s3_jars, install_small_model
    from dolly.installed import shared_folder

    console.print(f"Delta's jars and the base model go to {shared_folder()}")
    fetch_jars()
    console.print("  jars: there")
    if s3:
        fetch_s3_jars()
        console.print("  jars for S3: there")
    install_small_model()
    console.print("  base model: there")
    made = make_archive()
    console.print(f"  archive of Spark's classes: {'there' if made else 'not made; Java starts without it, slower'}")


def ui(
    home: HomeFolder = ".dolly",
    config: ConfigOption = None,
    port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 5000,
) -> None:
    """Open the MLflow UI on the runs of a home folder."""
    from dolly.serve.server import bind
    from dolly.tracking import connect

    # Without the parameter MLflow opens its UI for agents, with traces instead of runs.
    page = "/#/experiments?workflowType=machine_learning"
    state = state_of(home, config)
    if state.tracking.startswith("http"):
        console.print(f"the MLflow server of this config: {state.tracking}{page}")
        return
    connect(state)
    bind("127.0.0.1", port).close()
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", state.tracking, "--default-artifact-root", str(state.artifacts)]
    console.print(f"MLflow UI at http://127.0.0.1:{port}{page} ; Ctrl-C stops it")
    os.execv(sys.executable, [*command, *stores])
