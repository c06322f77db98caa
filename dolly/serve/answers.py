"""Generates the answers of a request: tokens of the engine → pieces of text, for each choice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dolly.engines.base import EngineError, Sampling, Token
from dolly.engines.served import ServedModel
from dolly.serve.admission import Admission
from dolly.serve.errors import Refusal
from dolly.serve.filters import Filters
from dolly.serve.pieces import Pieces


class Piece(NamedTuple):
    """A part of an answer; `finish` (`stop`, `length`, `content_filter`) ends it."""

    choice: int
    text: str
    tokens: list[Token]
    finish: str | None


@dataclass(frozen=True)
class Task:
    """What is to be generated.

    Args:
        model: which model.
        prompts: tokens of each prompt.
        sampling: how tokens are chosen; `max_tokens` fits into the context with each prompt.
        choices: number of answers to each prompt.
        stop: strings that end an answer.
        filters: of the answers.
    """

    model: ServedModel
    prompts: Sequence[list[int]]
    sampling: Sampling
    choices: int = 1
    stop: Sequence[str] = field(default_factory=list)
    filters: Filters = field(default_factory=lambda: Filters([]))


async def generate(task: Task, admission: Admission, *, seconds: float) -> AsyncGenerator[Piece]:
    """Yields the pieces of all answers, as they come; closing the generator cancels them.

    Raises:
        Refusal: there is no place for the request, it takes too long, or the engine failed.
    """
    deadline = time.monotonic() + seconds
    count = len(task.prompts) * task.choices
    async with admission.places(count):
        pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        running = [asyncio.ensure_future(_choice(task, number, pieces)) for number in range(count)]
        try:
            while count:
                try:
                    async with asyncio.timeout(max(0.0, min(deadline, admission.last_moment) - time.monotonic())):
                        piece = await pieces.get()
                except TimeoutError:
                    if deadline > admission.last_moment:
                        raise admission.ends() from None
                    raise Refusal(503, f"the answer has taken {seconds:g} seconds", code="timeout") from None
                if isinstance(piece, EngineError):
                    raise Refusal(503, f"the engine failed: {piece}; try again", retry_after=2)
                if isinstance(piece, Exception):
                    raise piece
                count -= piece.finish is not None
                yield piece
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _choice(task: Task, number: int, pieces: asyncio.Queue[Piece | Exception]) -> None:
    """Generates one answer into the queue."""
    sampling = task.sampling
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + number)
    text, count = Pieces(task.model.tokenizer, task.stop), 0
    filtered = task.filters.answer()
    try:
        async with aclosing(task.model.engine.tokens(task.prompts[number // task.choices], sampling)) as batches:
            async for batch in batches:
                new, taken = "", []
                for token in batch:
                    taken.append(token)
                    new += text.add(token.id)
                    if text.stopped:
                        break
                count += len(taken)
                pieces.put_nowait(Piece(number, filtered.add(new), taken, None))
                if text.stopped or filtered.refused:
                    break
        rest = filtered.add(text.end()) + filtered.end()
        finish = "length" if count >= sampling.max_tokens and not text.stopped else "stop"
        pieces.put_nowait(Piece(number, rest, [], "content_filter" if filtered.refused else finish))
    except Exception as error:
        pieces.put_nowait(error)
