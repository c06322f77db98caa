"""transformers: the reference that other engines are compared with, and the engine of what they can't do.

Requests that wait are computed together, padded on the left; new ones wait until that batch has ended.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from dolly.engines.base import Progress, Runner, RunnerSpec, Sampling, Token
from dolly.inference import ChatModel

_BATCH = 16  # requests; more make the padding longer and the wait of those that come next


@dataclass(frozen=True)
class ReferenceSpec(RunnerSpec):
    """A trained model.

    Args:
        folder: weights and card.
        tokenizer: its folder.
        context_length: of the model.
    """

    folder: Path
    tokenizer: Path
    context_length: int

    def open(self) -> ReferenceRunner:
        model = ChatModel.from_trained(self.folder, tokenizer=self.tokenizer)
        return ReferenceRunner(model, context_length=self.context_length)


@dataclass
class _Row:
    """A request of the batch: its settings and what it has so far."""

    number: int
    ids: list[int]
    sampling: Sampling
    made: list[int] = field(default_factory=list)
    generator: torch.Generator | None = None
    live: bool = True


class ReferenceRunner(Runner):
    """Runs a model of transformers."""

    def __init__(self, model: ChatModel, *, context_length: int) -> None:
        self._model, self.context_length = model, context_length
        self.name = f"transformers, {str(model.model.dtype).removeprefix('torch.')}"
        self._waiting: list[_Row] = []
        self._rows: list[_Row] = []
        self._steps: Generator[torch.Tensor, list[int], None] | None = None
        self._tokens: list[int] = []

    def add(self, number: int, ids: Sequence[int], sampling: Sampling) -> None:
        row = _Row(number, list(ids), sampling)
        if sampling.seed is not None:
            row.generator = torch.Generator().manual_seed(sampling.seed % 2**63)
        self._waiting.append(row)

    def cancel(self, number: int) -> None:
        self._waiting = [row for row in self._waiting if row.number != number]
        for row in self._rows:
            row.live &= row.number != number

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(row.live for row in self._rows)

    @torch.inference_mode()
    def step(self) -> list[Progress]:
        if not any(row.live for row in self._rows):
            self._rows, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._rows:
                return []
            self._steps = self._model.logits([row.ids for row in self._rows])
            logits = next(self._steps)
        else:
            assert self._steps is not None
            logits = self._steps.send(self._tokens)
        self._tokens = [0] * len(self._rows)
        made = []
        for index, row in enumerate(self._rows):
            if row.live:
                token = _choose(logits[index], row)
                self._tokens[index] = token.id
                made.append(self._advance(row, token))
        return made

    def _advance(self, row: _Row, token: Token) -> Progress:
        if token.id in row.sampling.stop_ids:
            row.live = False
            return Progress(row.number, [], True)
        row.made.append(token.id)
        row.live = len(row.made) < row.sampling.max_tokens
        return Progress(row.number, [token], not row.live)


def _choose(logits: torch.Tensor, row: _Row) -> Token:
    """The next token of logits `(vocabulary,)`, with its log-probability before penalties and temperature."""
    sampling = row.sampling
    logits = logits.float().cpu()
    logprobs = logits.log_softmax(dim=-1)
    if row.made and (sampling.presence_penalty or sampling.frequency_penalty):
        counts = torch.bincount(torch.tensor(row.made), minlength=len(logits))
        logits = logits - sampling.presence_penalty * (counts > 0) - sampling.frequency_penalty * counts
    if sampling.temperature == 0:
        token = int(logits.argmax())
    else:
        chances, tokens = torch.softmax(logits / sampling.temperature, dim=-1).sort(descending=True)
        chances[chances.cumsum(dim=-1) - chances >= sampling.top_p] = 0
        token = int(tokens[torch.multinomial(chances, 1, generator=row.generator)])
    return Token(token, float(logprobs[token]))
