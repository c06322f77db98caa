"""What a server answers when a route raises: always an error in OpenAI's format."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from dolly.serve.clients import ClientGone
from dolly.serve.errors import Refusal


def add_handlers(app: FastAPI) -> None:
    """Adds the handlers of exceptions to a server."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(ClientGone, _nobody)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_: Request, refusal: Any) -> Response:
    return JSONResponse(refusal.body, refusal.status, headers=refusal.headers)


async def _unrouted(request: Request, error: Any) -> Response:
    text = f"found {request.method} {request.url.path}: {error.detail}"
    refusal = Refusal(error.status_code, text)
    return JSONResponse(refusal.body, refusal.status, headers={**refusal.headers, **(error.headers or {})})


async def _nobody(_: Request, __: Any) -> Response:
    return Response(status_code=499)  # the client has gone and does not read it


async def _unexpected(_: Request, __: Any) -> Response:
    refusal = Refusal(500, "unexpected error; it is in the server's log")
    return JSONResponse(refusal.body, refusal.status)
