"""The router's HTTP server: OpenAI's API over the servers that have registered."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from dolly.serve.api import parse
from dolly.serve.body import read_body
from dolly.serve.errors import Refusal
from dolly.serve.failures import add_handlers
from dolly.serve.guard import OPEN, Guard
from dolly.serve.keys import KeyFile
from dolly.serve.openapi import describe
from dolly.serve.page import add_page
from dolly.serve.paths import add_api
from dolly.serve.router.forward import Asked, Forward
from dolly.serve.router.headers import REQUEST_ID, for_worker, request_id
from dolly.serve.router.metrics import Metrics
from dolly.serve.router.secret import bearer, has_secret
from dolly.serve.router.workers import Announcement, Workers

REGISTER = "/router/servers"
_CONNECT_SECONDS, _SPARE_SECONDS = 3, 5
_ANNOUNCEMENT_BYTES = 1 << 20


class Router:
    """The routes.

    Args:
        secret: of the servers.
        client: sends to them.
        heartbeat_seconds: between two registrations of a server.
        body_bytes: maximum size of a request's body.
    """

    def __init__(self, secret: str, client: httpx.AsyncClient, *, heartbeat_seconds: float, body_bytes: int) -> None:
        self._secret, self._client, self._body_bytes = secret, client, body_bytes
        self.workers = Workers(heartbeat_seconds=heartbeat_seconds, answers=self._answers)
        self._metrics = Metrics(self.workers)
        self._ending = False

    async def health(self) -> JSONResponse:
        """Does the process answer?"""
        return JSONResponse({"status": "ok", "servers": len(self.workers.present)})

    async def ready(self) -> JSONResponse:
        """Is there a server that can answer?"""
        if self._ending or not self.workers.models():
            raise Refusal(503, "no server can answer now", retry_after=2)
        return JSONResponse({"status": "ready"})

    async def metrics_page(self) -> Response:
        """Counters for Prometheus."""
        return PlainTextResponse(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def list_models(self) -> JSONResponse:
        """The models of all servers."""
        return JSONResponse({"object": "list", "data": self.workers.models()})

    async def show_model(self, name: str) -> JSONResponse:
        """One of them."""
        for model in self.workers.models():
            if name in (model["id"], f"{model['id']}@{model['alias']}"):
                return JSONResponse(model)
        self.workers.require_known(name)
        raise Refusal(503, f"no server with the model {name} can be reached now", retry_after=2)

    async def chat(self, http: Request) -> Response:
        """An answer to a conversation."""
        return await self._forward(http)

    async def complete(self, http: Request) -> Response:
        """A continuation of a text."""
        return await self._forward(http)

    async def give_feedback(self, http: Request) -> Response:
        """A rating of an answer; one of the servers stores it."""
        return await self._forward(http)

    async def register(self, http: Request) -> JSONResponse:
        """A server's heartbeat."""
        self._require_secret(http)
        announcement = parse(Announcement, await read_body(http, limit=_ANNOUNCEMENT_BYTES))
        await self.workers.announce(announcement)
        return JSONResponse({"heartbeat_seconds": self.workers.heartbeat_seconds})

    async def unregister(self, http: Request) -> JSONResponse:
        """A server that ends."""
        self._require_secret(http)
        self.workers.leave(http.query_params.get("url", ""))
        return JSONResponse({"status": "left"})

    async def end(self, _: float) -> None:
        """Refuses the requests that come from now on."""
        self._ending = True

    async def _forward(self, http: Request) -> Response:
        if self._ending:
            raise Refusal(503, "the router ends; try again", retry_after=1)
        body = await read_body(http, limit=self._body_bytes)
        number = request_id(http.headers.get(REQUEST_ID))
        owner = getattr(http.state, "owner", None)
        client = http.client.host if http.client else ""
        headers = for_worker(http.headers.items(), request=number, owner=owner, client=client)
        headers += bearer(self._secret).items()
        asked = Asked(http.url.path, headers, body, _model_of(body), number)
        return Forward(asked, self.workers, self._client, self._metrics)

    def _require_secret(self, http: Request) -> None:
        if not has_secret(http.headers.get("authorization"), self._secret):
            raise Refusal(401, "found another secret than the router's; set the same DOLLY_ROUTER_SECRET for both")

    async def _answers(self, url: str) -> bool:
        try:
            response = await self._client.get(f"{url}/health", timeout=_CONNECT_SECONDS)
        except httpx.HTTPError:
            return False
        return response.status_code == 200


def make_router(
    secret: str,
    *,
    heartbeat_seconds: float = 2.0,
    body_bytes: int = 1 << 20,
    answer_seconds: float = 330.0,
    keys: KeyFile | None = None,
    requests_per_minute: int = 0,
    feedback: bool = False,
    new_tokens: int = 256,
) -> FastAPI:
    """Builds the router.

    Args:
        secret: which servers must have, see `read_secret`.
        heartbeat_seconds: between two registrations of a server.
        body_bytes: maximum size of a request's body.
        answer_seconds: the longest time that a server may send nothing, its queue included.
        keys: who may use it; None for everyone.
        requests_per_minute: of one API key or address, over all servers; 0 for no limit.
        feedback: do the servers store ratings?
        new_tokens: maximum number of tokens of an answer.
    """
    client = _client(answer_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with client:
            yield

    app = FastAPI(title="router", docs_url=None, redoc_url=None, lifespan=lifespan)
    router = Router(secret, client, heartbeat_seconds=heartbeat_seconds, body_bytes=body_bytes)
    app.state.router, app.state.end = router, router.end
    add_api(app, router, feedback=router.give_feedback)
    add_page(app, feedback=feedback, new_tokens=new_tokens)
    app.add_api_route(REGISTER, router.register, methods=["POST"], response_model=None)
    app.add_api_route(REGISTER, router.unregister, methods=["DELETE"], response_model=None)
    add_handlers(app)
    if keys:
        app.add_middleware(Guard, keys=keys, per_minute=requests_per_minute, open_paths=(*OPEN, REGISTER))
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def _client(answer_seconds: float) -> httpx.AsyncClient:
    """A client that opens a connection for each request: one that was kept may be closed when the next is sent."""
    quiet = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]  # a machine that has vanished is noticed in half a minute
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 25_000)):
        if number := getattr(socket, option, None):
            quiet.append((socket.IPPROTO_TCP, number, value))
    transport = httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(),  # with the authorities of SSL_CERT_FILE
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        socket_options=quiet,
    )
    timeout = httpx.Timeout(answer_seconds + _SPARE_SECONDS, connect=_CONNECT_SECONDS, pool=None)
    return httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)


def _model_of(body: bytes) -> str | None:
    """The model that a request names; None for JSON that is none, which a server refuses in its own words."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    model = request.get("model") if isinstance(request, dict) else None
    return model if isinstance(model, str) else None
