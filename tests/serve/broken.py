"""A server that fails in a given way once it is asked; it answers `/health`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
_EVENTS = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{_CHUNKED}"
_BUSY = '{"error":{"message":"busy","type":"server_error","param":null,"code":"unavailable"}}'
_OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
_ANSWERS = {
    "closes": "",
    "busy": f"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nRetry-After: 7\r\n"
    f"Content-Length: {len(_BUSY)}\r\n\r\n{_BUSY}",
    "half a body": 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id":',
    "headers only": _EVENTS,
    # A whole event, and the beginning of the next.
    "half a stream": f'{_EVENTS}14\r\ndata: {{"piece": 1}}\n\n\r\n8\r\ndata: {{"\r\n',
}


@contextmanager
def broken_server(behaviour: str) -> Iterator[str]:
    """Runs it in a thread; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, _ANSWERS[behaviour]), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _serve(listener: socket.socket, answer: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked or (b"POST" in asked and not asked.endswith(b"}")):
                asked += connection.recv(65536)
            connection.sendall((_OK if asked.startswith(b"GET") else answer).encode())
