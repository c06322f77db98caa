"""What the parts of an engine share: requests' settings, tokens, and what a runner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class EngineError(Exception):
    """The engine failed while it generated; the request may be sent again."""


@dataclass(frozen=True)
class Sampling:
    """How the tokens of an answer are chosen.

    Args:
        max_tokens: maximum number of tokens.
        stop_ids: tokens that end the answer; they are not part of it.
        temperature: 0 takes the likeliest token.
        top_p: sample from the likeliest tokens that together have this probability.
        presence_penalty: subtracted once from the logit of each token that the answer has already.
        frequency_penalty: subtracted from it once for each time that the answer has it.
        seed: makes sampling repeatable; None for a random one.
    """

    max_tokens: int
    stop_ids: frozenset[int] = frozenset()
    temperature: float = 0.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None


class Token(NamedTuple):
    """A generated token and the natural logarithm of its probability."""

    id: int
    logprob: float


class Progress(NamedTuple):
    """What a step made of a request: its new tokens; whether it has ended, and by which error if by one."""

    number: int
    tokens: list[Token]
    ended: bool
    error: str | None = None


class Runner(ABC):
    """Generates for many requests together, step by step, in one thread; runs in a process of its own.

    Attributes:
        name: the engine, its version and its precision, for cards and logs.
        context_length: maximum number of tokens of prompt and answer.
    """

    name: str
    context_length: int

    @abstractmethod
    def add(self, number: int, ids: Sequence[int], sampling: Sampling) -> None:
        """Takes a request, under a number that no other one has."""

    @abstractmethod
    def cancel(self, number: int) -> None:
        """Drops a request; one that has ended already is ignored."""

    @abstractmethod
    def step(self) -> list[Progress]:
        """Computes the next tokens of requests that run.

        Raises:
            Exception: the runner can't be used any more.
        """

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Are there requests that have not ended?"""


class RunnerSpec(ABC):
    """What a process needs to make a runner; pickled."""

    @abstractmethod
    def open(self) -> Runner:
        """Loads the model."""


def run_all(runner: Runner, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Token]]:
    """The answers of a runner to prompts, generated together in this process, in their order."""
    answers: list[list[Token]] = [[] for _ in prompts]
    for number, ids in enumerate(prompts):
        runner.add(number, ids, sampling)
    while runner.busy:
        for progress in runner.step():
            answers[progress.number] += progress.tokens
    return answers
