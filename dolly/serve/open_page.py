"""Opens the chat page of a running server in the browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable

import httpx

from dolly.config import Serve
from dolly.errors import EnvironmentFault
from dolly.serve.server import url

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def open_page(settings: Serve, *, say: Callable[[str], None], browser: bool = True) -> None:
    """Says where the chat page is, and opens it.

    Args:
        settings: of the server.
        say: prints the address.
        browser: open it?

    Raises:
        EnvironmentFault: no `dolly serve` answers.
    """
    address = page_address(settings)
    try:
        # Only whether it answers: the browser is the one to judge its certificate.
        health = httpx.get(f"{address}health", timeout=5, trust_env=False, verify=False).raise_for_status().json()
        model, version = health["model"], health["version"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(
            found=f"no server at {address.rstrip('/')} ({error})",
            expected="dolly serve",
            fix="run dolly serve CONFIG first",
        ) from error
    say(f"{model} (version {version}): {address}")
    if browser and not webbrowser.open(address):
        say("no browser could be opened here; open the address in one")


def page_address(settings: Serve) -> str:
    """The address of the page, for a browser on the server's machine."""
    host = _ANY.get(settings.host, settings.host)
    return f"{url(host, settings.port, tls=bool(settings.tls_certificate))}/"
