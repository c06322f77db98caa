"""`dolly route`: runs the router until it is interrupted; `dolly serve` with `serve.router.url` joins it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rich.console import Console

from dolly.config import Config, Serve
from dolly.errors import UsageError
from dolly.serve.exposure import require_safe
from dolly.serve.keys import KeyFile
from dolly.serve.router.app import make_router
from dolly.serve.router.member import join
from dolly.serve.router.secret import read_secret
from dolly.serve.server import bind, serve_forever, url
from dolly.state import State

if TYPE_CHECKING:
    from fastapi import FastAPI

_ALL = ("0.0.0.0", "::", "")


def route(config: Config) -> None:
    """Runs the router of a config until interrupted.

    Raises:
        UsageError: other machines can reach it without keys or TLS, or there is no secret.
    """
    settings, router = config.serve, config.serve.router
    keys = KeyFile(State.of(config).api_keys)
    require_safe(settings, host=router.host, key="serve.router.host", keyed=bool(keys.all()))
    app = make_router(
        read_secret(),
        heartbeat_seconds=router.heartbeat_seconds,
        body_bytes=settings.body_bytes,
        answer_seconds=settings.wait_seconds + settings.answer_seconds,
        keys=keys,
        requests_per_minute=settings.requests_per_minute,
        feedback=settings.feedback,
        new_tokens=settings.max_new_tokens,
    )
    listener = bind(router.host, router.port, key="serve.router.port")
    host, port = listener.getsockname()[:2]
    address = url(host, port, tls=bool(settings.tls_certificate))
    say = Console(highlight=False, markup=False, soft_wrap=True).print
    say(f"router at {address}/v1; servers join it with serve.router.url={address}; Ctrl-C stops it")
    certificate, key = settings.tls_certificate, settings.tls_key
    serve_forever(app, listener, end_seconds=settings.end_seconds, certificate=certificate, key=key)


def join_router(app: FastAPI, settings: Serve, listener: socket.socket) -> None:
    """Puts a server behind the router of its settings, if they name one.

    Raises:
        UsageError: the router can't know where to reach it, or there is no secret.
    """
    router = settings.router
    if router.url is None:
        return
    if router.worker_url is None and settings.host in _ALL:
        raise UsageError(
            found=f"serve.host {settings.host}, which is no address that a router can reach",
            expected="serve.router.worker_url",
            fix="set it to this machine's address, such as https://gpu1.example:8808",
        )
    own = url(settings.host, listener.getsockname()[1], tls=bool(settings.tls_certificate))
    own = (router.worker_url or own).rstrip("/")
    join(app, router=router.url, secret=read_secret(), url=own, seconds=router.heartbeat_seconds)
