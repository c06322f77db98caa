"""OpenVINO GenAI: continuous batching on CPUs.

New requests join between two steps of those that run; each step computes the next token of all of them. Its defaults
compute in bfloat16 or with an 8-bit cache where the CPU can; here both are set to fp32, so that greedy tokens are those
of transformers in fp32.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolly.engines.base import Progress, Runner, RunnerSpec, Sampling, Token

_BLOCK = 32  # tokens of a block of the cache, fixed by OpenVINO's CPU plugin
_BATCHED_TOKENS = 512  # of a step; a longer prompt is computed in several, so that running answers go on


@dataclass(frozen=True)
class OpenVINOSpec(RunnerSpec):
    """A converted model.

    Args:
        folder: from `convert.convert`.
        precision: of the weights, for the name: `fp32` or `int8`.
        context_length: of the model; the cache may allow less.
        cache_tokens: size of the key-value cache, in tokens; requests wait while it is full.
        running: maximum number of requests in a step.
        threads: of the CPU; 0 for all cores.
    """

    folder: Path
    precision: str
    context_length: int
    cache_tokens: int
    running: int = 32
    threads: int = 0

    def open(self) -> OpenVINORunner:
        return OpenVINORunner(self)


class OpenVINORunner(Runner):
    """Runs a converted model."""

    def __init__(self, spec: OpenVINOSpec) -> None:
        import openvino
        import openvino_genai

        blocks = max(2, spec.cache_tokens // _BLOCK)
        # One block less: a sequence may need a block more than its tokens fill.
        self.context_length = min(spec.context_length, (blocks - 1) * _BLOCK)
        self.name = f"openvino {openvino.__version__.split('-')[0]}, {spec.precision}"
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = blocks
        scheduler.max_num_seqs = spec.running
        scheduler.max_num_batched_tokens = _BATCHED_TOKENS
        scheduler.enable_prefix_caching = True
        properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        if spec.threads:
            properties["INFERENCE_NUM_THREADS"] = spec.threads
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(str(spec.folder), scheduler, "CPU", properties)
        self._running = openvino_genai.GenerationStatus.RUNNING
        self._live: dict[int, tuple[Any, frozenset[int]]] = {}

    def add(self, number: int, ids: Sequence[int], sampling: Sampling) -> None:
        import numpy as np
        import openvino

        tensor = openvino.Tensor(np.array([ids], dtype=np.int64))
        handle = self._pipeline.add_request(number, tensor, _generation(sampling))
        self._live[number] = handle, sampling.stop_ids

    def cancel(self, number: int) -> None:
        if number in self._live:
            self._live.pop(number)[0].cancel()

    def step(self) -> list[Progress]:
        self._pipeline.step()
        made = []
        for number, (handle, stop_ids) in list(self._live.items()):
            ended = handle.get_status() != self._running
            tokens = list(_tokens(handle, stop_ids))
            if ended:
                del self._live[number]
            if ended or tokens:
                made.append(Progress(number, tokens, ended))
        return made

    @property
    def busy(self) -> bool:
        # A cancelled request is removed by the next step.
        return bool(self._live) or bool(self._pipeline.has_non_finished_requests())


def _tokens(handle: Any, stop_ids: frozenset[int]) -> Any:
    """Yields the tokens that the last steps made for a request, without the stop token."""
    while handle.can_read():
        for output in handle.read().values():
            for token, logprob in zip(output.generated_ids, output.generated_log_probs, strict=True):
                if token not in stop_ids:
                    yield Token(token, logprob)


def _generation(sampling: Sampling) -> Any:
    """OpenVINO's settings: they name everything that its defaults would decide otherwise."""
    import openvino_genai

    settings: dict[str, Any] = {
        "max_new_tokens": sampling.max_tokens,
        "stop_token_ids": set(sampling.stop_ids),
        "ignore_eos": not sampling.stop_ids,
        "eos_token_id": min(sampling.stop_ids, default=0),  # its default, -1, is refused
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logprobs": 1,
        "do_sample": sampling.temperature > 0,
    }
    if sampling.temperature > 0:
        seed = random.getrandbits(32) if sampling.seed is None else sampling.seed % 2**32
        settings |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "rng_seed": seed}
    return openvino_genai.GenerationConfig(**settings)


def cache_tokens(config: Any, *, gibibytes: float) -> int:
    """The number of tokens that a cache of this size holds in fp32; `config` is the one of transformers."""
    layers, heads, size = cache_shape(config)
    return int(gibibytes * 2**30 / (layers * heads * size * 2 * 4))


def cache_shape(config: Any) -> tuple[int, int, int]:
    """Layers, heads and head size of the keys and values; `config` is the one of transformers."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, size
