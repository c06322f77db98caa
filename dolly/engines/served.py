"""A model that is served: a registered version with its tokenizer, its prompt and its engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.base_model import load_tokenizer, stop_ids_of_files
from dolly.card import trained_prompt
from dolly.engines.base import Sampling
from dolly.prompts import Message, answer_text

if TYPE_CHECKING:
    from dolly.card import ModelFiles
    from dolly.config import Serve
    from dolly.engines.process import Engine


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

    def __init__(self, model: ModelFiles, engine: Engine) -> None:
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
            ValueError: one is not.
        """
        words = len(self.tokenizer)
        wrong = next((token for token in ids if not 0 <= token < words), None)
        if wrong is not None:
            raise ValueError(f"found the token {wrong}; expected 0 to {words - 1}")


def open_model(model: ModelFiles, settings: Serve, folder: Path, say: Callable[[str], None]) -> ServedModel:
    """Starts the engine of a model.

    Args:
        model: its files.
        settings: say which engine, and how.
        folder: where converted models are kept.
        say: reports what takes time.

    Raises:
        EnvironmentFault: OpenVINO is not installed, and the settings demand it.
        ModelError: it can't be loaded, or not as the settings demand.
    """
    from dolly.engines.choose import open_engine  # imports torch, which the router has not

    engine = open_engine(
        model,
        kind=settings.engine,
        precision=settings.precision,
        cache_gib=settings.cache_gib,
        running=settings.running,
        folder=folder,
        say=say,
    )
    return ServedModel(model, engine)
