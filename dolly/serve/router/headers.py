"""Which headers the router passes on, and which it adds for the server behind it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from urllib.parse import quote, unquote

REQUEST_ID, OWNER, CLIENT = "x-request-id", "x-dolly-owner", "x-dolly-client"
# RFC 9110, 7.6.1, and the older ones that servers still send.
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "trailers", "transfer-encoding", "upgrade"),
}
# The router writes them itself, or a client could pass for another.
_OWN = {REQUEST_ID, OWNER, CLIENT, "authorization", "cookie", "host", "content-length", "accept-encoding"}
_OF_PROXIES = ("x-forwarded-", "forwarded", "x-real-ip")
_OF_SERVER = {"content-length", "date", "server", REQUEST_ID}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

Headers = list[tuple[str, str]]


def request_id(given: str | None) -> str:
    """The id of a request: the client's if it has the form of one, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def for_worker(headers: Iterable[tuple[str, str]], *, request: str, owner: str | None, client: str) -> Headers:
    """The headers of a request as the server gets them.

    Args:
        headers: of the client, names in lower case.
        request: its id.
        owner: of its API key.
        client: its address.
    """
    passed = [(name, value) for name, value in _end_to_end(headers) if name not in _OWN]
    passed = [(name, value) for name, value in passed if not name.startswith(_OF_PROXIES)]
    added = [(REQUEST_ID, request), (CLIENT, quote(client)), ("accept-encoding", "identity")]
    return passed + added + ([(OWNER, quote(owner))] if owner is not None else [])


def for_client(headers: Iterable[tuple[str, str]], *, request: str) -> Headers:
    """The headers of a response as the client gets them; the length of the body is not among them."""
    passed = [(name, value) for name, value in _end_to_end(headers) if name not in _OF_SERVER]
    return [*passed, (REQUEST_ID, request)]


def unquoted(value: str | None) -> str | None:
    """The owner or the client in a header of the router."""
    return None if value is None else unquote(value)


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    kept = [(name.lower(), value) for name, value in headers]
    named = {word.strip().lower() for name, value in kept if name == "connection" for word in value.split(",")}
    return [(name, value) for name, value in kept if name not in _HOP_BY_HOP | named]
