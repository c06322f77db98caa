"""How fast GPT-J-6B and LLaMA-7B are fine-tuned on one GPU: tokens a second, MFU, peak memory, where a step goes.

python -m bench.gpu.gptj [--variants gptj-full gptj-lora llama-full llama-lora] [--steps 10] [--block 2048]

Random weights of the models' real shapes, rows of Alpaca's lengths, packed; the project's own Trainer on DeepSpeed. It
needs torch, transformers and deepspeed only (peft, if it is there, else adapters of its own). Without a GPU it runs a
small shape on the CPU, so that it is never broken. Each variant is a process of its own. MFU is model FLOPs without
recomputation over 989 TFLOP/s, the peak of H100 and H200 in dense bf16.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench import results
from bench.specs import group_of_one, plain_spec

ROOT = Path(__file__).parents[2]
PEAK = 989e12
ALPACA_ROWS = 52_002
# Lengths of `alpaca_2k.json` under Dolly's prompt in tokens: lognormal answers after prompts of about one length.
ANSWER_LOG_MEAN, ANSWER_LOG_SD, PROMPT = 5.378, 0.313, 23
VARIANTS = ("gptj-full", "gptj-lora", "llama-full", "llama-lora")
PRICE = 4.5  # USD an hour, for the forecast
_WARM_UP = 3


def rows(count: int, *, words: int, seed: int = 5) -> list[Any]:
    """Rows of Alpaca's lengths; the answer is learnt."""
    from dolly.training_set import Example

    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        answer = int(np.clip(np.exp(draw.normal(ANSWER_LOG_MEAN, ANSWER_LOG_SD)), 4, 1000))
        ids = draw.integers(0, words, PROMPT + answer)
        made.append(Example(f"{number:06d}", "alpaca", ids, np.arange(len(ids)) >= PROMPT))
    return made


def model_config(name: str, *, small: bool) -> Any:
    """The published shapes of GPT-J-6B and LLaMA-7B; small ones for a CPU."""
    from transformers import GPTJConfig, LlamaConfig

    if name == "gptj":
        shape = {"n_embd": 128, "n_layer": 2, "n_head": 4, "rotary_dim": 16, "vocab_size": 1000} if small else {}
        return GPTJConfig(**shape, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    shape = {"hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaConfig(**(shape | {"vocab_size": 1000} if small else {"vocab_size": 32_000}))


class Adapter(nn.Module):
    """A linear layer with a low-rank one beside it, as peft makes it, for machines without peft."""

    def __init__(self, base: nn.Linear, rank: int = 16, scale: float = 2.0) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        like = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.down = nn.Parameter(torch.randn(rank, base.in_features, **like) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, **like))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        low = nn.functional.linear(states, self.down)
        return self.base(states) + self.scale * nn.functional.linear(low, self.up)


def add_adapters(model: Any) -> None:
    """Freezes a model and puts an adapter to each linear layer but the vocabulary's."""
    model.requires_grad_(False)
    head = model.get_output_embeddings()
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear) and layer is not head:
            model.set_submodule(name, Adapter(layer))


def build(name: str, method: str, *, on_gpu: bool, checkpointing: bool) -> Any:
    from transformers import AutoModelForCausalLM

    device, dtype = ("cuda", torch.bfloat16) if on_gpu else ("cpu", torch.float32)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(model_config(name, small=not on_gpu), dtype=dtype)
        if method == "lora":
            add_adapters(model)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def variant(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Trains one variant for some steps; returns its figures."""
    from dolly.train.engine import Trainer
    from dolly.train.model import compile_layers
    from dolly.train.plan import flops_of, work_of

    family, method = name.split("-")
    on_gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        group_of_one(folder)
        torch.manual_seed(0)
        model = build(family, method, on_gpu=on_gpu, checkpointing=given.gradient_checkpointing)
        if given.compile:
            compile_layers(model)
        spec = plain_spec(
            output=folder,
            method=method,
            dtype="bfloat16" if on_gpu else "float32",
            learning_rate=1e-5,
            zero_stage=given.zero,
            offload=given.offload,
            block_tokens=given.block,
            batch_size=given.rows_per_step,
            max_steps=given.steps + _WARM_UP,
        )
        data = rows(4 * given.rows_per_step, words=model.config.vocab_size)
        trainer = Trainer(model, spec, train=data, evaluation=[], report=lambda *_: None)
        seconds = [timed(trainer, step) for step in range(given.steps + _WARM_UP)][_WARM_UP:]
        work = work_of(spec, data)
        share = given.steps / (given.steps + _WARM_UP)
        useful = flops_of(trainer.model, work, checkpointing=False) * share
        tokens = work.tokens * share
        figures = {
            "variant": name,
            "tokens_per_second": round(tokens / sum(seconds)),
            "median_step_seconds": round(float(np.median(seconds)), 4),
            "tokens_per_step": round(tokens / given.steps),
            "packing": round(work.packing, 3),
            "model_tflops_per_second": round(useful / sum(seconds) / 1e12, 2),
            "mfu": round(useful / sum(seconds) / PEAK, 4),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
            "profile": profiled(trainer, given.steps + _WARM_UP - 1, on_gpu=on_gpu),
        }
        mean = tokens / (given.steps * given.rows_per_step)
        hours = ALPACA_ROWS * mean / figures["tokens_per_second"] / 3600
        return figures | {"alpaca_52002_hours": round(hours, 3), "alpaca_52002_usd": round(hours * PRICE, 2)}


def timed(trainer: Any, step: int) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    trainer._step(step)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def profiled(trainer: Any, step: int, *, on_gpu: bool, top: int = 12) -> list[dict[str, Any]]:
    """The operations that a step spends most time in, with their share of it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        timed(trainer, step)
    key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda event: -getattr(event, key))
    total = sum(getattr(event, key) for event in events) or 1
    return [
        {"operation": e.key[:80], "share": round(getattr(e, key) / total, 4), "calls": e.count} for e in events[:top]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=10, help=f"timed, after {_WARM_UP} others")
    parser.add_argument("--block", type=int, default=2048, help="tokens of a block")
    parser.add_argument("--rows-per-step", type=int, default=64)
    parser.add_argument("--zero", type=int, choices=[0, 1, 2, 3], default=1)
    parser.add_argument("--offload", action="store_true")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help="where the result is kept")
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(variant(given.variants[0], given)))
        return
    options = [a for a in sys.argv[1:] if a not in ("--variants", *VARIANTS)]
    found = []
    for name in given.variants:
        command = [sys.executable, "-m", "bench.gpu.gptj", "--alone", "--variants", name, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            found.append({"variant": name, "failed": done.stderr.strip().splitlines()[-1][:300]})
        else:
            found.append(json.loads(done.stdout.splitlines()[-1]))
        print({k: v for k, v in found[-1].items() if k != "profile"}, file=sys.stderr, flush=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    settings = {k: v for k, v in vars(given).items() if k not in ("alone", "folder", "variants")}
    figures = {"gpu": gpu, "settings": settings, "runs": found}
    results.save("gptj", figures, packages=("torch", "transformers", "deepspeed"), folder=given.folder)


if __name__ == "__main__":
    main()
