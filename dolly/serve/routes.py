"""The routes of the server: a request of OpenAI's API → its response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from dolly.engines.base import Sampling
from dolly.engines.served import ServedModel
from dolly.serve.admission import Admission
from dolly.serve.answers import Piece, Task, generate
from dolly.serve.api import ChatRequest, CompletionRequest, Generation, parse
from dolly.serve.audit import AuditLog, Entry
from dolly.serve.body import read_body
from dolly.serve.clients import EventStream, unless_gone
from dolly.serve.conversation import conversation
from dolly.serve.errors import Refusal
from dolly.serve.filters import Filters
from dolly.serve.metrics import Metrics
from dolly.serve.models import Models
from dolly.serve.responses import ChatFormat, CompletionFormat, Format, Writer

_LEAST_TOP_P = 1e-6  # less may be 0 in an engine's precision; the likeliest token is left in any case
_CHARACTERS_OF_TOKEN = 128  # at most; a longer text is refused without being tokenised


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may take.

    Args:
        new_tokens: maximum number of tokens of an answer.
        body_bytes: maximum size of a request's body.
        running: maximum number of answers that are generated at once.
        waiting: maximum number of requests that wait for a place.
        wait_seconds: the longest wait.
        answer_seconds: the longest time for an answer, the wait not included.
        requests_per_minute: of one API key, or of one address; 0 for no limit.
    """

    new_tokens: int = 256
    body_bytes: int = 1 << 20
    running: int = 32
    waiting: int = 64
    wait_seconds: float = 30.0
    answer_seconds: float = 300.0
    requests_per_minute: int = 0


class Api:
    """The routes."""

    def __init__(self, models: Models, limits: Limits, audit: AuditLog | None, filters: Filters) -> None:
        self.models, self._limits, self._audit, self._filters = models, limits, audit, filters
        self.admission = Admission(running=limits.running, waiting=limits.waiting, seconds=limits.wait_seconds)
        self.metrics = Metrics(self.admission)

    async def health(self) -> JSONResponse:
        """Does the process answer?"""
        model = self.models.default
        return JSONResponse({"status": "ok", "model": model.name, "version": model.version})

    async def ready(self) -> JSONResponse:
        """Can every model answer?"""
        away = [key for key, model in self.models.served.items() if not model.engine.ready]
        if away:
            raise Refusal(503, f"{', '.join(away)} can't answer now", retry_after=2)
        if self._audit and self._audit.fault:
            raise Refusal(503, self._audit.fault)
        return JSONResponse({"status": "ready"})

    def announcement(self) -> dict[str, Any]:
        """What a router is told: the models that can answer now, and how busy the server is."""
        can = not (self._audit and self._audit.fault)
        there = [(key, model) for key, model in self.models.served.items() if can and model.engine.ready]
        models = [_description(key, model) for key, model in there]
        waits = self.admission
        return {"models": models, "running": waits.in_use, "waiting": waits.waiting, "places": waits.running}

    async def end(self, seconds: float) -> None:
        """Refuses requests that wait and those that come; the ones that are answered have some seconds to end."""
        self.admission.drain(seconds)

    async def metrics_page(self) -> Response:
        """Counters for Prometheus."""
        return PlainTextResponse(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def list_models(self) -> JSONResponse:
        """The served models."""
        listed = [_description(key, model) for key, model in self.models.served.items()]
        return JSONResponse({"object": "list", "data": listed})

    async def show_model(self, name: str) -> JSONResponse:
        """One of them."""
        model = self.models.find(name)
        return JSONResponse(_description(self.models.key_of(model), model))

    async def chat(self, http: Request) -> Response:
        """An answer to a conversation."""
        request = parse(ChatRequest, await read_body(http, limit=self._limits.body_bytes))
        model = self.models.find(request.model)
        turns = conversation(request.messages, request.offered_tools, default_system=model.prompt.system)
        self._require_short(model, sum(len(turn["content"]) for turn in turns))
        turns = [turn | {"content": self._filters.question(turn["content"], param="messages")} for turn in turns]
        ids = await asyncio.to_thread(model.prompt_ids, turns)
        task = self._task(request, model, [ids], request.limit, param="messages")
        asked = [message.model_dump(exclude_none=True) for message in request.messages]
        return await self._answer(http, request, ChatFormat(request, task), task, asked)

    async def complete(self, http: Request) -> Response:
        """A continuation of a text."""
        request = parse(CompletionRequest, await read_body(http, limit=self._limits.body_bytes))
        model = self.models.find(request.model)
        prompts = []
        for prompt in request.prompts:
            if isinstance(prompt, str):
                self._require_short(model, len(prompt))
                text = self._filters.question(prompt, param="prompt")
                prompts.append(await asyncio.to_thread(model.plain_ids, text))
            else:
                _require_tokens(model, prompt)
                prompts.append(prompt)
        task = self._task(request, model, prompts, request.limit, param="prompt")
        return await self._answer(http, request, CompletionFormat(request, task), task, request.prompt)

    async def _answer(self, http: Request, request: Generation, form: Format, task: Task, asked: Any) -> Response:
        writer = Writer(form, task, request)
        owner = getattr(http.state, "owner", None)
        entry = Entry(asked, owner, http.client.host if http.client else "", request.user)
        pieces = self._pieces(task, entry, writer.id)
        if not request.stream:
            return JSONResponse(await unless_gone(http.receive, writer.whole(pieces)))
        # Until the first piece, an error has a status of its own.
        try:
            first = await unless_gone(http.receive, anext(pieces))
        except BaseException:
            await pieces.aclose()
            raise
        return EventStream(writer.events(pieces, first), pieces)

    async def _pieces(self, task: Task, entry: Entry, request_id: str) -> AsyncGenerator[Piece]:
        outcome, counted = "cancelled", self.metrics.begin(task)
        pieces = generate(task, self.admission, seconds=self._limits.answer_seconds)
        try:
            with self.models.in_use(task.model):
                async with aclosing(pieces):
                    async for piece in pieces:
                        counted.note(piece)
                        entry.note(piece)
                        yield piece
            outcome = "answered"
        except Refusal as refusal:
            outcome = str(refusal.status)
            raise
        finally:
            counted.end(outcome)
            if self._audit:
                self._audit.write(entry, task, request_id=request_id, outcome=outcome)

    def _task(
        self, request: Generation, model: ServedModel, prompts: list[list[int]], limit: int | None, *, param: str
    ) -> Task:
        longest, context = max(map(len, prompts)), model.engine.context_length
        if self._filters.of_answers and (request.return_token_ids or getattr(request, "logprobs", None)):
            raise Refusal(400, "logprobs: the server filters answers, whose tokens would show what is masked")
        if not min(map(len, prompts)):
            raise Refusal(400, f"{param}: found an empty prompt; expected at least one token", param=param)
        if longest >= context:
            text = f"{param}: found {longest} prompt tokens; expected fewer than {context}"
            raise Refusal(400, text, param=param, code="context_length_exceeded")
        if len(prompts) * request.n > self._limits.running:
            text = f"n: found {len(prompts) * request.n} answers; expected at most {self._limits.running}"
            raise Refusal(400, text, param="n")
        sampling = Sampling(
            max_tokens=min(limit or self._limits.new_tokens, self._limits.new_tokens, context - longest),
            stop_ids=model.stop_ids,
            temperature=request.heat,
            top_p=max(request.top_p, _LEAST_TOP_P),
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
            seed=request.seed,
        )
        return Task(model, prompts, sampling, choices=request.n, stop=request.stops, filters=self._filters)

    def _require_short(self, model: ServedModel, characters: int) -> None:
        limit = model.engine.context_length
        if characters > limit * _CHARACTERS_OF_TOKEN:
            text = f"found {characters} characters; expected fewer than {limit} prompt tokens"
            raise Refusal(400, text, code="context_length_exceeded")


def _require_tokens(model: ServedModel, ids: list[int]) -> None:
    try:
        model.require_tokens(ids)
    except ValueError as error:
        raise Refusal(400, f"prompt: {error}", param="prompt") from error


def _description(key: str, model: ServedModel) -> dict[str, Any]:
    name, _, alias = key.partition("@")
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "dolly",
        "alias": alias,
        "version": model.version,
        "engine": model.engine.name,
        "context_length": model.engine.context_length,
    }
