"""A model that is served: a registered version with its tokenizer, its prompt and its engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.base_model import load_tokenizer, stop_ids_of_files
from dolly.card import trained_prompt
from dolly.prompts import Message, answer_text
from dolly.serve.engines.base import Sampling
from dolly.serve.errors import Refusal

if TYPE_CHECKING:
    from dolly.register.registry import RegisteredModel
    from dolly.serve.engines.process import Engine


class ServedModel:
    """A registered version that answers.

    Args:
        model: the version and its files.
        engine: generates its tokens.

    Attributes:
        created: when it was loaded, in seconds since 1970.

    Raises:
        ModelError: this version of the code renders its prompt differently.
    """

    def __init__(self, model: RegisteredModel, engine: Engine) -> None:
        self.name, self.version, self.engine = model.name, model.version, engine
        self.prompt = trained_prompt(model.folder)
        self.tokenizer = load_tokenizer(str(model.tokenizer))
        self.stop_ids = frozenset(stop_ids_of_files(model.folder, self.tokenizer))
        self.created = int(time.time())
        # The tokenizer changes its own settings while it encodes without special tokens.
        self._lock = threading.Lock()

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a conversation, up to the start of the answer."""
        with self._lock:
            return self.prompt.encode(self.tokenizer, messages, ask=True).input_ids

    def answers(self, questions: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Greedy answers to conversations, generated together."""
        prompts = [self.prompt_ids(messages) for messages in questions]
        sampling = Sampling(max_new_tokens, stop_ids=self.stop_ids)
        answers = self.engine.generate(prompts, sampling)
        return [answer_text(self.tokenizer, [token.id for token in answer]) for answer in answers]

    def plain_ids(self, text: str) -> list[int]:
        """Tokens of a text without a template; a literal marker in it stays text."""
        with self._lock:
            ids: list[int] = self.tokenizer.encode(text, split_special_tokens=True)
        return ids

    def require_tokens(self, ids: Sequence[int]) -> None:
        """Requires the tokens of a client to be in the vocabulary.

        Raises:
            Refusal: one is not.
        """
        words = len(self.tokenizer)
        wrong = next((token for token in ids if not 0 <= token < words), None)
        if wrong is not None:
            raise Refusal(400, f"prompt: found the token {wrong}; expected 0 to {words - 1}", param="prompt")
