"""Generates answers, for evaluation, the server and `dolly ask` alike.

The decoding loop is part of this module, so that no published generation setting of a base model (a penalty, a
temperature, forced tokens) can make the three differ.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from dolly.base_model import load_for_prompt, load_model, load_tokenizer, stop_ids
from dolly.errors import ModelError
from dolly.prompts import Message, Prompt

CARD = "dolly.json"
_Choice = Callable[[torch.Tensor], list[int]]


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
        card = json.loads((folder / CARD).read_text())
        stored = card["prompt"]
        prompt = Prompt(stored["format"], stored["system"])
        if prompt.sha256 != stored["sha256"]:
            raise ModelError(
                found=f"{folder} was trained with the prompt template {stored['sha256'][:12]}",
                expected=f"{prompt.sha256[:12]}, which this version of dolly renders",
                fix="serve it with the version of dolly that trained it, or train it again",
            )
        model = load_model(str(folder), dtype=card.get("dtype") or _stored_dtype(folder))
        return cls(model, load_tokenizer(str(tokenizer or folder)), prompt, card=card)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the question, up to the start of the answer."""
        return self.prompt.encode(self.tokenizer, messages, ask=True).input_ids

    def text(self, ids: Sequence[int]) -> str:
        """Decodes an answer."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def answers(self, questions: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Greedy answers to a batch of conversations, the same as for each conversation alone."""
        prompts = [self.prompt_ids(messages) for messages in questions]
        ids: list[list[int]] = [[] for _ in prompts]
        for step in self._decode(prompts, max_new_tokens=max_new_tokens, choose=_likeliest):
            for row, token in step.items():
                ids[row].append(token)
        return [self.text(row) for row in ids]

    def generate(
        self,
        prompt_ids: Sequence[int],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Iterator[int]:
        """Yields the tokens of one answer, without its stop token.

        Args:
            prompt_ids: from `prompt_ids`.
            max_new_tokens: maximum number of tokens.
            temperature: 0 takes the likeliest token.
            top_p: sample from the likeliest tokens that together have this probability.
            seed: makes sampling repeatable.
        """
        choose = _likeliest if temperature == 0 else _sampler(temperature, top_p, seed)
        for step in self._decode([prompt_ids], max_new_tokens=max_new_tokens, choose=choose):
            yield step[0]

    @torch.inference_mode()
    def _decode(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, choose: _Choice
    ) -> Iterator[dict[int, int]]:
        """Yields the next token of each unfinished answer, by the prompt's index in `prompts`."""
        step, mask = _padded(prompts, self.device)
        cache, unfinished = None, set(range(len(prompts)))
        for _ in range(max_new_tokens):
            inputs: dict[str, Any] = {"attention_mask": mask, **self._last_only}
            if self._positions:
                inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -step.shape[1] :]
            output = self.model(input_ids=step, past_key_values=cache, use_cache=True, **inputs)
            cache = output.past_key_values
            tokens = choose(output.logits[:, -1].float())
            unfinished = {row for row in unfinished if tokens[row] not in self.stop_ids}
            if not unfinished:
                return
            yield {row: tokens[row] for row in sorted(unfinished)}
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
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens


def _sampler(temperature: float, top_p: float, seed: int | None) -> _Choice:
    """A function that draws a token for each row of logits `(rows, vocabulary)`."""
    # On the CPU, so that a seed draws the same on any device.
    generator = torch.Generator().manual_seed(seed) if seed is not None else None

    def choose(logits: torch.Tensor) -> list[int]:
        chances, tokens = torch.softmax(logits.cpu() / temperature, dim=-1).sort(descending=True)
        chances[chances.cumsum(dim=-1) - chances >= top_p] = 0
        drawn: list[int] = tokens.gather(1, torch.multinomial(chances, 1, generator=generator))[:, 0].tolist()
        return drawn

    return choose


def _stored_dtype(folder: Path) -> str:
    """Precision of a model with a card of an older version, which does not name it."""
    settings = json.loads((folder / "config.json").read_text())
    return str(settings.get("dtype") or settings.get("torch_dtype") or "float32")
