"""Reads request bodies, up to a size."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from dolly.serve.clients import ClientGone
from dolly.serve.errors import Refusal

_SECONDS = 30  # for the body to come


async def read_body(request: Request, *, limit: int) -> bytes:
    """The body of a request with JSON.

    Args:
        request: its body has not been read.
        limit: size, in bytes.

    Raises:
        Refusal: it is larger, or of another media type: a page of another site could send that without asking.
        ClientGone: the client left in the middle of it.
    """
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/json":
        raise Refusal(415, f"found a body of type {media or 'unknown'}; expected application/json")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise _too_large(limit)
    except ClientDisconnect:
        raise ClientGone from None
    except TimeoutError:
        raise Refusal(408, f"the body has not come within {_SECONDS} seconds") from None
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"found a body of more than {limit} bytes; send a shorter conversation")
