"""The runner of transformers: requests together, sampled as asked, cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dolly.inference import ChatModel
from dolly.prompts import Prompt
from dolly.serve.engines.base import Sampling, run_all
from dolly.serve.engines.reference import ReferenceRunner

pytestmark = pytest.mark.model

PROMPTS = [[5, 6, 7], [90] * 30, [8], [200, 201, 202, 203]]


@pytest.fixture(scope="module")
def runner(tiny_base: Path) -> ReferenceRunner:
    chat = ChatModel.from_base(str(tiny_base), prompt=Prompt(), dtype="float32")
    with torch.no_grad():  # of a random model all tokens are near equal
        for parameter in chat.model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    return ReferenceRunner(chat, context_length=512)


def ids(runner: ReferenceRunner, prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
    return [[token.id for token in answer] for answer in run_all(runner, prompts, sampling)]


def test_requests_together_get_what_each_gets_alone(runner: ReferenceRunner) -> None:
    many = PROMPTS * 5  # more than one batch
    together = ids(runner, many, Sampling(12))
    assert together == [ids(runner, [prompt], Sampling(12))[0] for prompt in many]
    assert len({tuple(answer) for answer in together}) > 1


def test_a_stop_token_ends_an_answer(runner: ReferenceRunner) -> None:
    (whole,) = ids(runner, [PROMPTS[0]], Sampling(12))
    (cut,) = ids(runner, [PROMPTS[0]], Sampling(12, stop_ids=frozenset({whole[4]})))
    assert cut == whole[: whole.index(whole[4])]


def test_sampling(runner: ReferenceRunner) -> None:
    def sampled(seed: int | None = None, **settings: Any) -> list[int]:
        return ids(runner, [PROMPTS[0]], Sampling(16, **({"temperature": 1.5, "seed": seed} | settings)))[0]

    assert sampled(1) == sampled(1) != sampled(2)
    assert sampled(2**64 + 3) == sampled(2**64 + 3)
    assert sampled(7, temperature=1e-4) == sampled(8, top_p=1e-6) == ids(runner, [PROMPTS[0]], Sampling(16))[0]
    (repeated,) = ids(runner, [[90] * 30], Sampling(40))
    (varied,) = ids(runner, [[90] * 30], Sampling(40, frequency_penalty=2.0, presence_penalty=2.0))
    assert len(set(varied)) > len(set(repeated))


def test_a_cancelled_request_ends_and_the_others_go_on(runner: ReferenceRunner) -> None:
    for number, prompt in enumerate(PROMPTS):
        runner.add(number, prompt, Sampling(10))
    runner.step()
    runner.cancel(1)
    runner.add(9, PROMPTS[0], Sampling(10))
    runner.cancel(9)
    numbers: set[int] = set()
    while runner.busy:
        numbers |= {progress.number for progress in runner.step()}
    assert numbers == {0, 2, 3}
