"""The HTTP server: one model, one request at a time, answers whole or streamed."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import FastAPI, Request
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from dolly.errors import DollyError
from dolly.inference import ChatModel
from dolly.serve.api import ChatRequest

_CHARACTERS_OF_TOKEN = 128  # at most; longer texts are refused without being tokenised


def make_app(model: ChatModel, *, name: str, version: str, max_new_tokens: int) -> FastAPI:
    """Builds the server.

    Args:
        model: answers the questions.
        name: the model's name in the API.
        version: its registry version.
        max_new_tokens: maximum number of tokens generated for one request.
    """
    app = FastAPI(title="dolly", docs_url=None, redoc_url=None)
    completions = Completions(model, name=name, max_new_tokens=max_new_tokens)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "model": name, "version": version}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "dolly"}]}

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: ChatRequest, http: Request) -> JSONResponse | StreamingResponse:
        if request.model not in (None, name):
            return _refusal(404, f"found no model {request.model!r}; this server has {name!r}", "model_not_found")
        if not any(message.role == "user" for message in request.messages):
            return _refusal(400, "found no user message; expected at least one", "invalid_request_error")
        limit = getattr(model.model.config, "max_position_embeddings", None)
        characters = sum(len(message.content) for message in request.messages)
        if limit and characters > limit * _CHARACTERS_OF_TOKEN:
            return _refusal(400, f"found {characters} characters; expected fewer than {limit} tokens", "context_length")
        prompt = await run_in_threadpool(model.prompt_ids, [message.model_dump() for message in request.messages])
        if limit and len(prompt) >= limit:
            return _refusal(400, f"found {len(prompt)} prompt tokens; expected fewer than {limit}", "context_length")
        if request.stream:
            return _Stream(completions.stream(request, prompt))
        return JSONResponse(await completions.whole(request, prompt, client_left=http.is_disconnected))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        return _refusal(400, faults, "invalid_request_error")

    @app.exception_handler(DollyError)
    def refused(_: Request, error: DollyError) -> JSONResponse:
        return _refusal(400, str(error), "invalid_request_error")

    return app


class _Stream(StreamingResponse):
    """Server-sent events; closes their generator also if the client leaves, so that it gives the model free."""

    def __init__(self, events: AsyncGenerator[str]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._events = events

    async def __call__(self, *arguments: Any) -> None:
        try:
            await super().__call__(*arguments)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()


class Completions:
    """Answers requests with one model, one after another in the order in which they came.

    Requests wait in the event loop: if they waited in threads, a hundred of them would leave no thread to generate in.
    """

    def __init__(self, model: ChatModel, *, name: str, max_new_tokens: int) -> None:
        self._model, self._name, self._limit = model, name, max_new_tokens
        self._lock = asyncio.Lock()

    async def whole(
        self, request: ChatRequest, prompt: list[int], *, client_left: Callable[[], Awaitable[bool]]
    ) -> dict[str, Any]:
        """One response with the whole answer; cut short once the client has left."""
        ids: list[int] = []
        async with self._tokens(request, prompt) as tokens:
            async for token in tokens:
                ids.append(token)
                if await client_left():
                    break
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": self._model.text(ids)},
            "finish_reason": self._finish(request, len(ids)),
        }
        body = self._head("chat.completion") | {
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(ids),
                "total_tokens": len(prompt) + len(ids),
            },
        }
        if request.return_token_ids:
            body["prompt_token_ids"] = prompt
            choice["token_ids"] = ids
        return body

    async def stream(self, request: ChatRequest, prompt: list[int]) -> AsyncGenerator[str]:
        """Yields the answer as server-sent events, one piece of text each."""
        head = self._head("chat.completion.chunk")

        def event(delta: dict[str, str], finish: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return f"data: {json.dumps(head | {'choices': [choice]})}\n\n"

        yield event({"role": "assistant", "content": ""})
        ids: list[int] = []
        sent = ""
        async with self._tokens(request, prompt) as tokens:
            async for token in tokens:
                ids.append(token)
                text = self._model.text(ids)
                # A character can take several tokens; an incomplete one decodes to U+FFFD.
                if len(text) > len(sent) and not text.endswith("\ufffd"):
                    yield event({"content": text[len(sent) :]})
                    sent = text
        yield event({}, self._finish(request, len(ids)))
        yield "data: [DONE]\n\n"

    @asynccontextmanager
    async def _tokens(self, request: ChatRequest, prompt: list[int]) -> AsyncGenerator[AsyncIterator[int]]:
        """The answer's tokens, once the model is free; the model is free again at the end of the block."""
        async with self._lock:
            tokens = self._model.generate(
                prompt,
                max_new_tokens=self._budget(request),
                temperature=request.temperature,
                top_p=request.top_p,
                seed=request.seed,
            )
            yield iterate_in_threadpool(tokens)

    def _budget(self, request: ChatRequest) -> int:
        requested = request.max_completion_tokens or request.max_tokens or self._limit
        return min(requested, self._limit)

    def _finish(self, request: ChatRequest, tokens: int) -> str:
        return "length" if tokens >= self._budget(request) else "stop"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self._name,
        }


def _refusal(status: int, message: str, kind: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": kind}}, status)
