"""The chat page: static files that the server answers beside the API.

They hold no secret and need no API key; the page asks for one when a route of the API does. What the browser may do
with them is in the headers: it loads and asks nothing but this server, and runs no script but these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

_FOLDER = Path(__file__).with_name("page")
_SETTINGS = "/page/settings.json"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_FILES = {
    "/" if file.suffix == ".html" else f"/page/{file.name}": file
    for file in sorted(_FOLDER.iterdir())
    if file.suffix in _TYPES
}
# Path → media type, of all routes here.
MEDIA = {path: _TYPES[file.suffix] for path, file in _FILES.items()} | {_SETTINGS: "application/json"}
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'none'"),
            *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
            # No script can write markup, from whatever text.
            *("require-trusted-types-for 'script'", "trusted-types 'none'"),
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def add_page(app: FastAPI, *, feedback: bool, new_tokens: int) -> None:
    """Adds the routes of the page.

    Args:
        app: gets them.
        feedback: does the server store ratings?
        new_tokens: maximum number of tokens of an answer.
    """
    for path, file in _FILES.items():
        _add(app, path, _sends(Response(file.read_bytes(), media_type=MEDIA[path], headers=HEADERS)))
    settings = {"feedback": feedback, "max_tokens": new_tokens}
    _add(app, _SETTINGS, _sends(JSONResponse(settings, headers=HEADERS)))


def _add(app: FastAPI, path: str, handler: Callable[[], Awaitable[Response]]) -> None:
    app.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)


def _sends(response: Response) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        """A file of the chat page."""
        return response

    return send
