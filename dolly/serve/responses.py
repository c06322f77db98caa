"""Answers in OpenAI's format: chat and plain completions, whole and in chunks."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from dolly.engines.base import Token
from dolly.serve.answers import Piece, Task
from dolly.serve.api import ChatRequest, CompletionRequest, Generation
from dolly.serve.errors import Refusal
from dolly.serve.tools import Splitter

_DONE = "data: [DONE]\n\n"


class Format(Protocol):
    """How the pieces of one kind of completion are written."""

    kind: str
    chunk_kind: str
    prefix: str

    def opening(self, choice: int) -> list[dict[str, Any]]: ...

    def part(self, piece: Piece) -> list[dict[str, Any]]: ...

    def whole(self, choice: int, pieces: Sequence[Piece]) -> dict[str, Any]: ...


class ChatFormat:
    """`/v1/chat/completions`."""

    kind, chunk_kind, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def __init__(self, request: ChatRequest, task: Task) -> None:
        self._task, self._logprobs = task, request.logprobs
        tools = request.offered_tools
        self._splitters = [Splitter(tools) for _ in range(task.choices)] if tools else []

    def opening(self, choice: int) -> list[dict[str, Any]]:
        return [self._delta(choice, {"role": "assistant", "content": ""})]

    def part(self, piece: Piece) -> list[dict[str, Any]]:
        text, calls = self._split(piece.choice, piece.text, ended=piece.finish is not None)
        made = []
        if text or (self._logprobs and piece.tokens):
            made.append(self._delta(piece.choice, {"content": text}, tokens=piece.tokens))
        if calls:
            numbered = [{"index": number, **call} for number, call in enumerate(calls)]
            made.append(self._delta(piece.choice, {"tool_calls": numbered}))
        if piece.finish:
            made.append(self._delta(piece.choice, {}, finish="tool_calls" if calls else piece.finish))
        return made

    def whole(self, choice: int, pieces: Sequence[Piece]) -> dict[str, Any]:
        text, calls = self._split(choice, "".join(piece.text for piece in pieces), ended=True)
        finish = pieces[-1].finish
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if calls:
            message |= {"content": text or None, "tool_calls": calls}
            finish = "tool_calls"
        tokens = [token for piece in pieces for token in piece.tokens]
        return {"index": choice, "message": message, "logprobs": self._log(tokens), "finish_reason": finish}

    def _split(self, choice: int, text: str, *, ended: bool) -> tuple[str, list[dict[str, Any]]]:
        """The text of an answer without its calls, as far as it is certain, and at its end the calls."""
        if not self._splitters:
            return text, []
        splitter = self._splitters[choice]
        text = splitter.add(text)
        rest, calls = splitter.end() if ended else ("", [])
        return text + rest, calls

    def _delta(
        self, choice: int, delta: dict[str, Any], *, tokens: Sequence[Token] = (), finish: str | None = None
    ) -> dict[str, Any]:
        logprobs = self._log(tokens) if tokens else None
        return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    def _log(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        content = []
        for token in tokens:
            text = _token_text(self._task, token)
            entry = {"token": text, "logprob": token.logprob, "bytes": list(text.encode()), "top_logprobs": []}
            content.append(entry)
        return {"content": content, "refusal": None}


class CompletionFormat:
    """`/v1/completions`."""

    kind = chunk_kind = "text_completion"
    prefix = "cmpl"

    def __init__(self, request: CompletionRequest, task: Task) -> None:
        self._task, self._logprobs = task, request.logprobs is not None
        self._offsets = [0] * (len(task.prompts) * task.choices)

    def opening(self, choice: int) -> list[dict[str, Any]]:
        return []

    def part(self, piece: Piece) -> list[dict[str, Any]]:
        return [self._choice(piece.choice, piece.text, piece.tokens, piece.finish)]

    def whole(self, choice: int, pieces: Sequence[Piece]) -> dict[str, Any]:
        tokens = [token for piece in pieces for token in piece.tokens]
        return self._choice(choice, "".join(piece.text for piece in pieces), tokens, pieces[-1].finish)

    def _choice(self, choice: int, text: str, tokens: Sequence[Token], finish: str | None) -> dict[str, Any]:
        return {"index": choice, "text": text, "logprobs": self._log(choice, tokens), "finish_reason": finish}

    def _log(self, choice: int, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        texts = [_token_text(self._task, token) for token in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._offsets[choice])
            self._offsets[choice] += len(text)
        logprobs = [token.logprob for token in tokens]
        return {"tokens": texts, "token_logprobs": logprobs, "top_logprobs": None, "text_offset": offsets}


class Writer:
    """Writes the response of one request; `id` is that of the response."""

    def __init__(self, form: Format, task: Task, request: Generation) -> None:
        self._form, self._task, self._request = form, task, request
        self.id = f"{form.prefix}-{uuid.uuid4().hex}"
        self._head: dict[str, Any] = {
            "id": self.id,
            "object": form.kind,
            "created": int(time.time()),
            "model": task.model.name,
            "system_fingerprint": f"version {task.model.version}, {task.model.engine.name}",
        }
        self._count = len(task.prompts) * task.choices
        self._ids: list[list[int]] = [[] for _ in range(self._count)]

    @property
    def usage(self) -> dict[str, int]:
        """Number of tokens of the prompts and of what was generated so far."""
        prompt, made = sum(map(len, self._task.prompts)), sum(map(len, self._ids))
        return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}

    async def whole(self, pieces: AsyncGenerator[Piece]) -> dict[str, Any]:
        """The response with whole answers."""
        answers: list[list[Piece]] = [[] for _ in range(self._count)]
        async with aclosing(pieces):
            async for piece in pieces:
                self._note(piece)
                answers[piece.choice].append(piece)
        choices = [self._form.whole(number, answer) for number, answer in enumerate(answers)]
        body: dict[str, Any] = {**self._head, "choices": choices, "usage": self.usage}
        if self._request.return_token_ids:
            body["prompt_token_ids"] = self._task.prompts[0]
            for choice, ids in zip(choices, self._ids, strict=True):
                choice["token_ids"] = ids
        return body

    async def events(self, pieces: AsyncGenerator[Piece], first: Piece) -> AsyncGenerator[str]:
        """The response as server-sent events; an error on the way is the last of them.

        Args:
            pieces: what comes after the first piece.
            first: waited for already, so that an error until then has a status of its own.
        """
        with_usage = bool(self._request.stream_options.include_usage)
        head = self._head | {"object": self._form.chunk_kind}
        if with_usage:
            head["usage"] = None
        for number in range(self._count):
            for choice in self._form.opening(number):
                yield _event(head | {"choices": [choice]})
        try:
            async with aclosing(pieces):
                for choice in self._chunks(first):
                    yield _event(head | {"choices": [choice]})
                async for piece in pieces:
                    for choice in self._chunks(piece):
                        yield _event(head | {"choices": [choice]})
        except Refusal as refusal:
            yield _event(refusal.body)
            return
        if with_usage:
            yield _event(head | {"choices": [], "usage": self.usage})
        yield _DONE

    def _chunks(self, piece: Piece) -> list[dict[str, Any]]:
        self._note(piece)
        return self._form.part(piece)

    def _note(self, piece: Piece) -> None:
        self._ids[piece.choice] += [token.id for token in piece.tokens]


def _token_text(task: Task, token: Token) -> str:
    return str(task.model.tokenizer.decode([token.id], clean_up_tokenization_spaces=False))


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"
