"""A chat model that answers: used by evaluation, serving and `dolly ask` alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from dolly.base_model import load_for_prompt, load_model, load_tokenizer
from dolly.errors import ModelError
from dolly.prompts import Message, Prompt

CARD = "dolly.json"


class ChatModel:
    """A causal LM, its tokenizer and the prompt that it was trained with."""

    def __init__(self, model: Any, tokenizer: Any, prompt: Prompt) -> None:
        self.model, self.tokenizer, self.prompt = model.eval(), tokenizer, prompt

    @classmethod
    def from_base(cls, location: str, *, prompt: Prompt, dtype: str) -> ChatModel:
        """A base model, asked with `prompt`."""
        model, tokenizer = load_for_prompt(location, dtype=dtype, prompt=prompt)
        return cls(model, tokenizer, prompt)

    @classmethod
    def from_trained(cls, folder: Path, *, tokenizer: Path | None = None, dtype: str = "float32") -> ChatModel:
        """A model that the train stage left.

        Raises:
            ModelError: its stored prompt is not the one that this code would render.
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
        return cls(load_model(str(folder), dtype=dtype), load_tokenizer(str(tokenizer or folder)), prompt)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the question, up to where the answer begins."""
        return self.prompt.encode(self.tokenizer, messages, ask=True).input_ids

    def text(self, ids: Sequence[int]) -> str:
        """Decodes an answer."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    @torch.inference_mode()
    def answers(self, questions: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Greedy answers to a batch of conversations."""
        prompts = [self.prompt_ids(messages) for messages in questions]
        width = max(map(len, prompts))
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):  # padded on the left: answers begin side by side
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        stop = self.tokenizer.eos_token_id
        made = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=stop,
            pad_token_id=stop,
        )
        return [self.text(_until(row[width:].tolist(), stop)) for row in made]

    @torch.inference_mode()
    def generate(
        self, prompt_ids: Sequence[int], *, max_new_tokens: int, temperature: float, top_p: float, seed: int | None
    ) -> Iterator[int]:
        """Generates one answer token by token, without the end-of-sequence token.

        Args:
            prompt_ids: from `prompt_ids`.
            max_new_tokens: most tokens to make.
            temperature: 0 takes the likeliest token.
            top_p: sample from the likeliest tokens that together have this probability.
            seed: makes sampling repeatable.
        """
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        step, cache = torch.tensor([list(prompt_ids)]), None
        for _ in range(max_new_tokens):
            output = self.model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            token = _choose(output.logits[0, -1].float(), temperature, top_p, generator)
            if token == self.tokenizer.eos_token_id:
                return
            yield token
            step = torch.tensor([[token]])


def _choose(logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> int:
    """One token from logits of the shape `(vocabulary,)`."""
    if temperature == 0:
        return int(logits.argmax())
    chances, tokens = torch.softmax(logits / temperature, dim=-1).sort(descending=True)
    chances[chances.cumsum(dim=-1) - chances >= top_p] = 0
    return int(tokens[torch.multinomial(chances, 1, generator=generator)])


def _until(ids: list[int], stop: int) -> list[int]:
    return ids[: ids.index(stop)] if stop in ids else ids
