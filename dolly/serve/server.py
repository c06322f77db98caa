"""Runs the app in the foreground until it is interrupted, or in the background for a check."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dolly.errors import EnvironmentFault

# Longer than clients and proxies keep an idle connection (60 s is common), or one may send while it is being closed.
_IDLE_SECONDS = 75
_START_SECONDS = 30


def bind(host: str, port: int, *, key: str = "serve.port") -> socket.socket:
    """Binds the port, before the model is loaded; `key` of the config has it.

    Raises:
        EnvironmentFault: the port is in use or not allowed.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise EnvironmentFault(
            found=f"port {port} of {host} can't be taken ({error.strerror})",
            expected="a free port",
            fix=f"stop what uses it, or set {key}={port + 1}",
        ) from error
    return listener


def url(host: str, port: int, *, tls: bool = False) -> str:
    """The address of a server."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def serve_forever(
    app: Any, listener: socket.socket, *, end_seconds: int, certificate: str | None = None, key: str | None = None
) -> None:
    """Serves until interrupted; running answers then get some seconds to end.

    Args:
        app: from `make_app`.
        listener: from `bind`.
        end_seconds: for running answers.
        certificate: PEM file for TLS; None for none.
        key: PEM file with its key.
    """
    _server(app, end_seconds, ssl_certfile=certificate, ssl_keyfile=key).run(sockets=[listener])


@contextmanager
def serving(app: Any, listener: socket.socket) -> Iterator[str]:
    """Serves in a thread while the block runs; yields the server's address."""
    server = _server(app, _START_SECONDS)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    host, port = listener.getsockname()[:2]
    try:
        yield url(host, port)
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)


def _server(app: Any, end_seconds: int, **tls: Any) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A little less, so that an answer that does not end in time ends with an error and not without a word.
            await app.state.end(0.9 * end_seconds)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=end_seconds,
        timeout_keep_alive=_IDLE_SECONDS,
        **tls,
    )
    return Server(config)
