"""Forecasts a training's memory, steps, time and cost without a GPU, and the cheapest setting that fits.

Time is model FLOPs over the GPU's peak and an assumed share of it. Model FLOPs are counted as in "Efficient Large-Scale
Language Model Training on GPU Clusters" (Narayanan et al. 2021): two for each weight and token forward, as many for the
gradient of its input and of the weight, and the attention within each example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dolly.train.batches import BatchOrder, blocks_by_step
from dolly.train.memory import Memory, Parameters, Pass, measure_pass, memory, without_contents
from dolly.train.spec import TrainSpec
from dolly.training_set import Example

# Of the GPU's peak. Measured with blocks of 8,192 tokens on an H200 (bench/results/gptj.json): GPT-J-6B 0.45, with LoRA
# 0.40; LLaMA-7B with LoRA 0.30. Best published for a 7B model are 0.46 on H100 and 0.64 on A100.
EFFICIENCY = 0.4
# The rest is for CUDA's context, the kernels' scratch and fragments.
_USABLE = 0.92
_CPU_ADAM = 1e9  # parameters that a machine's CPUs step in a second, with states offloaded
Method = Literal["lora", "qlora", "full"]


@dataclass(frozen=True)
class Gpu:
    """A GPU: bytes of memory and dense bf16 FLOP/s by its data sheet, and an assumed price per hour in USD."""

    name: str
    memory: float
    flops: float
    price: float


GPUS = (
    Gpu("A10", 24e9, 125e12, 1.0),
    Gpu("A100-40", 40e9, 312e12, 1.6),
    Gpu("A100-80", 80e9, 312e12, 2.2),
    Gpu("H100", 80e9, 989e12, 3.5),
    Gpu("H200", 141e9, 989e12, 4.5),
)


@dataclass(frozen=True)
class Work:
    """The amount of work; `largest`: lengths of the examples of the longest block."""

    rows: int
    steps: int
    tokens: int
    trained_tokens: int
    blocks: int
    packing: float
    one_block: bool
    largest: tuple[int, ...]
    squares: int


@dataclass(frozen=True)
class Setting:
    """The config keys that decide whether a training fits."""

    method: Method
    processes: int
    zero_stage: int
    gradient_checkpointing: bool
    offload: bool

    def __str__(self) -> str:
        words = [f"train.method={self.method}", f"train.processes={self.processes}"]
        words += [f"train.zero_stage={self.zero_stage}"]
        words += [f"train.{name}=true" for name in ("gradient_checkpointing", "offload") if getattr(self, name)]
        return " ".join(words)


@dataclass(frozen=True)
class Offer:
    """A setting on a number of GPUs of one kind."""

    gpu: Gpu
    setting: Setting
    memory: Memory
    hours: float

    @property
    def fits(self) -> bool:
        return self.memory.peak <= _USABLE * self.gpu.memory

    @property
    def cost(self) -> float:
        return self.hours * self.setting.processes * self.gpu.price


class Planner:
    """Plans one training.

    Args:
        spec: the training.
        rows: its training rows.
        build: makes a `LanguageModelLoss` for a method, with or without gradient checkpointing; called under the meta
            device.
    """

    def __init__(self, spec: TrainSpec, rows: Sequence[Example], build: Callable[[Method, bool], Any]) -> None:
        self.spec = spec
        self.work = work_of(spec, rows)
        self._measured = lru_cache(lambda method, checkpointing: _measure(build, method, checkpointing, self.work))
        self.asked = Setting(spec.method, spec.processes, spec.zero_stage, spec.gradient_checkpointing, spec.offload)

    def memory(self, setting: Setting, *, on_gpu: bool) -> Memory:
        """The memory of one process with a setting."""
        parameters, block, _ = self._measured(setting.method, setting.gradient_checkpointing)
        return memory(
            parameters,
            block,
            one_block=self.work.one_block and setting.processes == self.spec.processes,
            zero_stage=replace(self.spec, **asdict(setting)).stage,
            processes=setting.processes,
            offload=setting.offload,
            half=self.spec.dtype == "bfloat16",
            on_gpu=on_gpu,
        )

    def offer(self, gpu: Gpu, setting: Setting) -> Offer:
        """Memory, hours and cost of a setting on GPUs of one kind."""
        parameters, _, flops = self._measured(setting.method, setting.gradient_checkpointing)
        peak = gpu.flops if self.spec.dtype == "bfloat16" else gpu.flops / 2  # fp32 as TF32
        seconds = flops / (peak * EFFICIENCY * setting.processes)
        if setting.offload:
            seconds += self.work.steps * parameters.trained / _CPU_ADAM
        return Offer(gpu, setting, self.memory(setting, on_gpu=True), seconds / 3600)

    def cheapest(self, gpu: Gpu) -> Offer | None:
        """The cheapest setting that fits; a smaller method (LoRA, QLoRA) only if the config's own never fits."""
        methods: tuple[Method, ...] = ("full", "lora", "qlora")
        for method in methods[methods.index(self.spec.method) :]:
            offers = [self.offer(gpu, setting) for setting in _settings(method)]
            if fitting := [offer for offer in offers if offer.fits]:
                return min(fitting, key=lambda offer: (round(offer.cost, 4), offer.setting.processes))
        return None


def work_of(spec: TrainSpec, rows: Sequence[Example]) -> Work:
    """Steps, tokens and blocks of a training, by packing all of it."""
    order = BatchOrder(rows=len(rows), batch_size=spec.batch_size, seed=spec.seed)
    steps = order.steps(epochs=spec.epochs, max_steps=spec.max_steps)
    tokens = trained = blocks = most = squares = 0
    largest: tuple[int, ...] = ()
    for step_blocks in blocks_by_step(rows, spec, steps=steps):
        blocks += len(step_blocks)
        most = max(most, len(step_blocks) // spec.processes)
        for block in step_blocks:
            lengths = tuple(len(row.input_ids) for row in block)
            tokens += sum(lengths)
            squares += sum(length * length for length in lengths)
            trained += sum(row.trained_tokens for row in block)
            largest = max(largest, lengths, key=sum)
    packing = tokens / max(1, blocks * spec.block_tokens)
    return Work(len(rows), steps, tokens, trained, blocks, packing, most == 1, largest, squares)


def _measure(
    build: Callable[[Method, bool], Any], method: Method, checkpointing: bool, work: Work
) -> tuple[Parameters, Pass, float]:
    """Sizes, peaks and FLOPs of the whole training, from a model without contents."""
    with torch.device("meta"):
        module = build(method, checkpointing)
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_contents(module)
        block = measure_pass(module, lengths=work.largest)
        sizes = Parameters.of(module, four_bit=method == "qlora")
        return sizes, block, flops_of(module.model, work, checkpointing=checkpointing)


def flops_of(model: Any, work: Work, *, checkpointing: bool) -> float:
    """FLOPs of a whole training of a causal LM, with the recomputation of `checkpointing`."""
    head = model.get_output_embeddings()
    matrices = [p for module in model.modules() if module is not head for p in _matrices(module)]
    layers = sum(p.numel() for p in matrices)
    trainable = sum(p.numel() for p in matrices if p.requires_grad)
    width = model.config.hidden_size * model.config.num_hidden_layers
    forward = 2 * layers * work.tokens + 2 * width * work.squares  # causal: half of 4
    backward = forward + 2 * trainable * work.tokens + 2 * width * work.squares
    words = head.weight.numel() * work.trained_tokens
    loss = (4 + 2 * head.weight.requires_grad) * words
    return float(forward * (2 if checkpointing else 1) + backward + loss)


def _matrices(module: Any) -> list[Any]:
    """Weights that a module multiplies with: neither embeddings, which are looked up, nor norms (one dimension)."""
    if isinstance(module, torch.nn.Embedding):
        return []
    return [p for p in module.parameters(recurse=False) if p.dim() == 2]


def _settings(method: Method) -> Iterator[Setting]:
    stages = {1: (1,), 2: (1, 3), 4: (1, 3), 8: (1, 3)}
    for processes, zero in stages.items():
        for stage in zero if method != "qlora" else zero[:1]:
            for checkpointing in (False, True):
                yield Setting(method, processes, stage, checkpointing, offload=False)
                if method == "full":
                    yield Setting(method, processes, stage, checkpointing, offload=True)
