"""A served model whose engine says what a test wants, without a process or weights."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from dolly.engines.base import EngineError, Sampling, Token
from dolly.engines.served import ServedModel
from dolly.prompts import Prompt
from dolly.serve.app import make_app
from dolly.serve.audit import AuditLog
from dolly.serve.filters import Filters
from dolly.serve.models import Models
from dolly.serve.routes import Limits


class ScriptedEngine:
    """Gives the tokens of a text, one at a time.

    Args:
        ids_of: the answer's tokens, from the prompt's.
        pause: between two tokens, in seconds.
        fails_after: number of tokens after which the engine fails.
    """

    name, ready = "scripted", True

    def __init__(
        self,
        ids_of: Callable[[Sequence[int]], list[int]],
        *,
        pause: float = 0.0,
        fails_after: int | None = None,
        context_length: int = 200,
    ) -> None:
        self.context_length = context_length
        self._ids_of, self._pause, self._fails_after = ids_of, pause, fails_after
        self.asked: list[tuple[list[int], Sampling]] = []
        self.cancelled = self.running = 0
        self.closed = False

    async def tokens(self, ids: Sequence[int], sampling: Sampling) -> AsyncGenerator[list[Token]]:
        self.asked.append((list(ids), sampling))
        self.running += 1
        ended = False
        try:
            for number, token in enumerate(self._ids_of(ids)[: sampling.max_tokens]):
                if number == self._fails_after:
                    raise EngineError("the process ended")
                await asyncio.sleep(self._pause)
                yield [Token(token, -0.5)]
            ended = True
        finally:
            self.running -= 1
            self.cancelled += not ended

    def close(self) -> None:
        self.closed = True


def served(tokenizer: Any, engine: Any, *, version: str = "1", name: str = "m") -> ServedModel:
    """A served model without files."""
    model = ServedModel.__new__(ServedModel)
    model.name, model.version, model.engine = name, version, engine
    model.prompt, model.tokenizer, model.created = Prompt("chatml"), tokenizer, 1
    model.stop_ids = frozenset({2})
    model._lock = threading.Lock()
    return model


def app_of(
    tokenizer: Any,
    text: str = "Gate 4 is open.",
    *,
    limits: Limits | None = None,
    audit: AuditLog | None = None,
    filters: Filters | None = None,
    **engine: Any,
) -> Any:
    """An app whose model answers `text`; its engine is at `app.engine`."""
    scripted = ScriptedEngine(lambda _: tokenizer.encode(text, add_special_tokens=False), **engine)
    app = make_app(
        Models({"m@champion": served(tokenizer, scripted)}), limits or Limits(), audit=audit, filters=filters
    )
    app.engine = scripted
    return app
