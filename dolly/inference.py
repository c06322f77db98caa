"""Generates answers, for evaluation, the server and `dolly ask` alike.

The decoding loop is part of this module, so that no published generation setting of a base model (a penalty, a
temperature, forced tokens) can make the three differ.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch

from dolly.base_model import context_length, load_for_prompt, load_model, load_tokenizer, stop_ids
from dolly.card import read_card, trained_prompt
from dolly.prompts import Message, Prompt, answer_text


class ChatModel:
    """A causal LM, its tokenizer and the prompt that it was trained with; on a GPU if there is one.

    Args:
        model: a causal LM of transformers.
        tokenizer: its tokenizer, with the prompt's markers.
        prompt: how conversations are rendered.
        card: the card beside the weights; empty for a base model.
    """

    def __init__(self, model: Any, tokenizer: Any, prompt: Prompt, *, card: dict[str, Any] | None = None) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.tokenizer, self.prompt = model.eval().to(self.device), tokenizer, prompt
        self.card = card or {}
        self.stop_ids = frozenset(stop_ids(model, tokenizer))
        self.context_length = context_length(model.config)
        parameters = inspect.signature(model.forward).parameters
        self._positions = "position_ids" in parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @classmethod
    def from_base(cls, location: str, *, prompt: Prompt, dtype: str) -> ChatModel:
        """Loads a base model, to be asked with `prompt`."""
        model, tokenizer = load_for_prompt(location, dtype=dtype, prompt=prompt)
        return cls(model, tokenizer, prompt)

    @classmethod
    def from_trained(cls, folder: Path, *, tokenizer: Path | None = None) -> ChatModel:
        """Loads a trained model, in the precision that its card names.

        Raises:
            ModelError: this version of the code renders its prompt differently.
        """
        card, prompt = read_card(folder), trained_prompt(folder)
        model = load_model(str(folder), dtype=card.get("dtype") or _stored_dtype(folder))
        return cls(model, load_tokenizer(str(tokenizer or folder)), prompt, card=card)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the question, up to the start of the answer."""
        return self.prompt.encode(self.tokenizer, messages, ask=True).input_ids

    def text(self, ids: Sequence[int]) -> str:
        """Decodes an answer."""
        return answer_text(self.tokenizer, ids)

    def answers(self, questions: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Greedy answers to a batch of conversations, the same as for each conversation alone."""
        prompts = [self.prompt_ids(messages) for messages in questions]
        return [self.text(ids) for ids in self.tokens(prompts, max_new_tokens=max_new_tokens)]

    def tokens(self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[list[int]]:
        """Greedy tokens that continue a batch of prompts, without their stop token; they end where the context does."""
        answers: list[list[int]] = [[] for _ in prompts]
        unfinished = set(range(len(prompts)))
        steps = self.logits(prompts)
        tokens = _likeliest(next(steps))
        for step in range(max_new_tokens):
            unfinished = {row for row in unfinished if tokens[row] not in self.stop_ids}
            for row in unfinished:
                answers[row].append(tokens[row])
            unfinished = {row for row in unfinished if len(prompts[row]) + len(answers[row]) < self.context_length}
            if not unfinished or step == max_new_tokens - 1:
                break
            tokens = _likeliest(steps.send(tokens))
        return answers

    @torch.inference_mode()
    def logits(self, prompts: Sequence[Sequence[int]]) -> Generator[torch.Tensor, list[int], None]:
        """Yields the logits `(prompts, vocabulary)` of the next tokens; is sent the tokens that were chosen.

        Prompts are padded on the left, which changes no logits but by rounding. Rows that go on after the end of the
        context, because others have not ended, have logits of no meaning.
        """
        step, mask = _padded(prompts, self.device)
        cache = None
        while True:
            inputs: dict[str, Any] = {"attention_mask": mask, **self._last_only}
            if self._positions:
                positions = (mask.cumsum(dim=1) - 1).clamp(min=0, max=self.context_length - 1)
                inputs["position_ids"] = positions[:, -step.shape[1] :]
            output = self.model(input_ids=step, past_key_values=cache, use_cache=True, **inputs)
            cache = output.past_key_values
            tokens = yield output.logits[:, -1]
            step = torch.tensor(tokens, device=self.device)[:, None]
            mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)


def _padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, `(prompts, longest)`; padded on the left, so that answers are aligned."""
    width = max(map(len, prompts))
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _likeliest(logits: torch.Tensor) -> list[int]:
    """The likeliest token of each row of logits `(rows, vocabulary)`."""
    tokens: list[int] = logits.float().argmax(dim=-1).tolist()
    return tokens


def _stored_dtype(folder: Path) -> str:
    """Precision of a model with a card of an older version, which does not name it."""
    settings = json.loads((folder / "config.json").read_text())
    return str(settings.get("dtype") or settings.get("torch_dtype") or "float32")
