"""Commands that serve registered models: serve, route."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dolly.cli_options import ConfigFile, Overrides
from dolly.config_file import load_config
from dolly.extras import ROUTE, SERVE, require
from dolly.serve.printed import Platform, instructions


def serve(
    config: ConfigFile,
    overrides: Overrides = None,
    alias: Annotated[str, typer.Option(help="which registered model")] = "champion",
    platform: Annotated[
        Platform | None, typer.Option("--print", help="print how another platform serves it; start nothing")
    ] = None,
) -> None:
    """Serve the champion as an OpenAI-compatible API until interrupted."""
    if platform is not None:
        sys.stdout.write(instructions(load_config(config, overrides), alias=alias, platform=platform))
        return
    require("serve", *SERVE)
    from dolly.serve.stage import serve_champion

    serve_champion(load_config(config, overrides), alias=alias)


def route(config: ConfigFile, overrides: Overrides = None) -> None:
    """Spread requests over the servers that register here, until interrupted."""
    require("route", *ROUTE)
    from dolly.serve.router.run import route as run

    run(load_config(config, overrides))
