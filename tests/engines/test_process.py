"""Engines and runners: requests together, sampled as asked, cancelled, killed, closed."""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dolly.card import ModelFiles
from dolly.engines.base import EngineError, Sampling, run_all
from dolly.engines.choose import open_engine
from dolly.engines.process import Engine
from dolly.engines.reference import ReferenceRunner, ReferenceSpec
from dolly.errors import ModelError
from dolly.inference import ChatModel
from dolly.prompts import Prompt

pytestmark = [pytest.mark.model, pytest.mark.slow]

PROMPTS = [[5, 6, 7], [90] * 30, [8], [200, 201, 202, 203]]


@pytest.fixture(scope="module")
def registered(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """A registered model with larger weights, whose tokens are not near equal."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("registered")
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    card = {"prompt": {"format": "chatml", "system": None, "sha256": Prompt().sha256}, "dtype": "float32"}
    (folder / "dolly.json").write_text(json.dumps(card))
    return ModelFiles("m", "1", {}, folder, folder)


def opened(registered: ModelFiles, folder: Path, say: Any = print, **settings: Any) -> Engine:
    given: dict[str, Any] = {"kind": "openvino", "precision": "fp32", "cache_gib": 0.01, "running": 8}
    return open_engine(registered, **(given | settings), folder=folder, say=say)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def openvino(registered: ModelFiles, converted: Path) -> Iterator[Engine]:
    said: list[str] = []
    made = opened(registered, converted, said.append)
    assert len(said) == 1
    assert "converting m version 1" in said[0]
    yield made
    made.close()


@pytest.fixture(scope="module")
def runner(registered: ModelFiles) -> ReferenceRunner:
    return ReferenceRunner(ChatModel.from_trained(registered.folder), context_length=512)


Generate = Callable[[list[list[int]], Sampling], list[list[int]]]


@pytest.fixture(params=["openvino", "transformers"])
def generate(request: pytest.FixtureRequest) -> Generate:
    """The tokens of answers by an engine in its process, and by a runner in this one."""

    def made(prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        if request.param == "openvino":
            answers = request.getfixturevalue("openvino").generate(prompts, sampling)
        else:
            answers = run_all(request.getfixturevalue("runner"), prompts, sampling)
        assert all(token.logprob <= 0 for answer in answers for token in answer)
        return [[token.id for token in answer] for answer in answers]

    return made


def test_requests_together_get_what_each_gets_alone(generate: Generate) -> None:
    many = PROMPTS * 5  # more than one batch
    together = generate(many, Sampling(12))
    assert together == [generate([prompt], Sampling(12))[0] for prompt in many]
    assert len({tuple(answer) for answer in together}) > 1


def test_a_stop_token_ends_an_answer(generate: Generate) -> None:
    (whole,) = generate([PROMPTS[0]], Sampling(12))
    (cut,) = generate([PROMPTS[0]], Sampling(12, stop_ids=frozenset({whole[4]})))
    assert cut == whole[: whole.index(whole[4])]


def test_sampling(generate: Generate) -> None:
    def sampled(seed: int | None = None, **settings: Any) -> list[int]:
        return generate([PROMPTS[0]], Sampling(16, **({"temperature": 1.5, "seed": seed} | settings)))[0]

    assert sampled(1) == sampled(1) != sampled(2)
    assert sampled(2**64 + 3) == sampled(2**64 + 3)
    assert sampled(7, temperature=1e-4) == sampled(8, top_p=1e-6) == generate([PROMPTS[0]], Sampling(16))[0]
    (repeated,) = generate([[90] * 30], Sampling(40))
    (varied,) = generate([[90] * 30], Sampling(40, frequency_penalty=2.0, presence_penalty=2.0))
    assert len(set(varied)) > len(set(repeated))


def test_a_cancelled_request_ends_and_the_others_go_on(openvino: Engine) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancel = openvino.submit(PROMPTS[0], Sampling(450), events.put)
    assert isinstance(events.get(timeout=30), list)
    cancel()
    assert len(openvino.generate([PROMPTS[1]], Sampling(5))[0]) == 5
    while not events.empty():
        assert isinstance(events.get(), list)
    time.sleep(0.2)
    assert events.empty()


def test_prompts_that_do_not_fit_are_refused(openvino: Engine) -> None:
    for prompt, limit in (([], 4), ([5] * 510, 10), ([5], 0)):
        with pytest.raises(ValueError, match="tokens for a context of"):
            openvino.submit(prompt, Sampling(limit), print)


def test_a_killed_process_fails_its_requests_and_comes_back(openvino: Engine) -> None:
    (expected,) = openvino.generate([PROMPTS[0]], Sampling(5))
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    openvino.submit(PROMPTS[0], Sampling(500), events.put)
    events.get(timeout=30)
    os.kill(openvino.pid, 9)
    while isinstance(event := events.get(timeout=30), list):
        pass
    assert isinstance(event, EngineError)
    assert "code -9" in str(event)
    deadline = time.monotonic() + 60
    while not openvino.ready:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (again,) = openvino.generate([PROMPTS[0]], Sampling(5))
    assert [token.id for token in again] == [token.id for token in expected]


@pytest.mark.usefixtures("openvino")
def test_a_model_is_converted_once_and_its_engine_closes_at_once(registered: ModelFiles, converted: Path) -> None:
    said: list[str] = []
    engine = opened(registered, converted, said.append)
    assert said == []
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    engine.submit(PROMPTS[0], Sampling(500), events.put)
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 5
    while isinstance(event := events.get(timeout=30), list):
        pass
    assert "closed" in str(event)
    with pytest.raises(EngineError, match="closed"):
        engine.submit(PROMPTS[0], Sampling(5), print)


def test_a_model_that_can_not_be_converted(
    registered: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    config = json.loads((registered.folder / "config.json").read_text())
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    (folder / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    other = ModelFiles("m", "2", {}, folder, folder)
    for refused in ({"kind": "openvino"}, {"kind": "auto", "precision": "int8"}):
        with pytest.raises(ModelError, match="dynamic positions"):
            opened(other, tmp_path / "engines", **refused)
    said: list[str] = []
    monkeypatch.setattr("dolly.engines.choose.Engine", lambda spec: spec)
    spec: Any = opened(other, tmp_path / "engines", said.append, kind="auto")
    assert isinstance(spec, ReferenceSpec)
    assert "dynamic positions" in said[0]


def test_a_request_is_cancelled_in_a_batch_and_before_it(runner: ReferenceRunner) -> None:
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
