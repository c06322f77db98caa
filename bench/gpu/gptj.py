"""How fast GPT-J-6B and LLaMA-7B are fine-tuned on one GPU: tokens a second, MFU, peak memory, where a step goes.

python -m bench.gpu.gptj [--runs gptj-full gptj-lora:compile gptj-full:trainer …] [--steps 10] [--block 2048]

A run is a model and a method; after a colon, `compile` sets train.compile and `trainer` measures the peer instead:
transformers' Trainer on DeepSpeed, which pads each batch of eight rows to its longest. Random weights of the models'
real shapes, rows of Alpaca's lengths, the same in each run. Without a GPU it runs a small shape on the CPU, so that it
is never broken. Each run is a process of its own. MFU is model FLOPs, without padding and recomputation, over 989
TFLOP/s, the peak of H100 and H200 in dense bf16.
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
import torch.distributed as dist

from bench import results
from bench.specs import group_of_one, plain_spec

ROOT = Path(__file__).parents[2]
PEAK = 989e12
ALPACA_ROWS = 52_002
# Lengths of `alpaca_2k.json` under Dolly's prompt in tokens: lognormal answers after prompts of about one length.
ANSWER_LOG_MEAN, ANSWER_LOG_SD, PROMPT = 5.378, 0.313, 23
MODELS = ("gptj-full", "gptj-lora", "llama-full", "llama-lora")
RUNS = [f"{model}{how}" for model in MODELS for how in ("", ":compile", ":trainer")]
PRICE = 4.5  # USD an hour, for the forecast
PEER_BATCH = 8  # rows that the peer pads together
_WARM_UP = 3
_STARTED = time.perf_counter()
_KINDS = {
    "matrix products": ("gemm", "nvjet", "cutlass", "cublas", "xmma"),
    "attention": ("flash", "fmha", "attention"),
    "optimizer": ("adam", "multi_tensor", "foreach", "lpnorm"),
    "copies": ("memcpy", "memset", "copy", "catarray"),
}


def rows(count: int, *, words: int, seed: int = 5) -> list[Any]:
    """Rows of Alpaca's lengths; the answer has loss."""
    from dolly.training_set import Example

    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        answer = int(np.clip(np.exp(draw.normal(ANSWER_LOG_MEAN, ANSWER_LOG_SD)), 4, 1000))
        ids = draw.integers(0, words, PROMPT + answer)
        made.append(Example(f"{number:06d}", "alpaca", ids, np.arange(len(ids)) >= PROMPT))
    return made


def model_config(family: str, *, small: bool) -> Any:
    """The published shapes of GPT-J-6B and LLaMA-7B; small ones for a CPU."""
    from transformers import GPTJConfig, LlamaConfig

    if family == "gptj":
        shape = {"n_embd": 128, "n_layer": 2, "n_head": 4, "rotary_dim": 16, "vocab_size": 1000} if small else {}
        return GPTJConfig(**shape, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    shape = {"hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaConfig(**(shape | {"vocab_size": 1000} if small else {"vocab_size": 32_000}))


def build(family: str, spec: Any, folder: str, *, peer: bool) -> Any:
    """The model as Dolly trains it, or for the peer as transformers has it, with random weights."""
    from transformers import AutoModelForCausalLM

    from bench.train_job import LORA
    from dolly.train.model import compile_layers, shape

    on_gpu = torch.cuda.is_available()
    config = model_config(family, small=not on_gpu)
    config.save_pretrained(folder)
    torch.manual_seed(0)
    with torch.device("cuda" if on_gpu else "cpu"):
        if not peer:
            model = shape(folder, dtype=spec.dtype, words=1, **spec.shaping).model
        else:
            model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, spec.dtype))
            if spec.method == "lora":
                from peft import LoraConfig, inject_adapter_in_model

                inject_adapter_in_model(LoraConfig(**LORA), model)
    if spec.compile:
        compile_layers(model)
    return model.train()


def run(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Trains for some steps; returns the run's figures."""
    from dolly.train.plan import flops_of, work_of

    kind, _, how = name.partition(":")
    family, method = kind.split("-")
    on_gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        spec = plain_spec(
            output=folder,
            method=method,
            dtype="bfloat16" if on_gpu else "float32",
            learning_rate=1e-5,
            zero_stage=given.zero,
            offload=given.offload,
            block_tokens=given.block,
            batch_size=given.rows_per_step,
            max_steps=given.steps + _WARM_UP + 1,
            compile=how == "compile",
            gradient_checkpointing=given.gradient_checkpointing,
            lora_rank=16,
            lora_alpha=32,
            lora_dropout=0.0,
            lora_targets=(),
        )
        note(name, "builds the model")
        group_of_one(folder)
        model = build(family, spec, folder, peer=how == "trainer")
        data = rows(given.rows_per_step * spec.max_steps, words=model.config.vocab_size)
        note(name, "builds the optimizer")
        step = peer(model, spec, data) if how == "trainer" else ours(model, spec, data)
        note(name, "trains")
        seconds = [timed(step) for _ in range(given.steps + _WARM_UP)][_WARM_UP:]
        note(name, f"has trained: {seconds}")
        work = work_of(spec, data)
        share = given.steps / spec.max_steps
        tokens = work.tokens * share
        useful = flops_of(model, work, checkpointing=False) * share
        figures = {
            "run": name,
            "tokens_per_second": round(tokens / sum(seconds)),
            "median_step_seconds": round(float(np.median(seconds)), 4),
            "fastest_and_slowest_step": [round(min(seconds), 4), round(max(seconds), 4)],
            "tokens_per_step": round(tokens / given.steps),
            "packing": round(work.packing, 3),
            "model_tflops_per_second": round(useful / sum(seconds) / 1e12, 2),
            "mfu": round(useful / sum(seconds) / PEAK, 4),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
            "profile": profiled(step, on_gpu=on_gpu),
        }
        hours = ALPACA_ROWS * work.tokens / len(data) / figures["tokens_per_second"] / 3600
        return figures | {"alpaca_52002_hours": round(hours, 3), "alpaca_52002_usd": round(hours * PRICE, 2)}


def ours(model: Any, spec: Any, data: list[Any]) -> Any:
    """A function that makes one step of Dolly's Trainer."""
    from itertools import count

    from dolly.train.engine import Trainer

    trainer = Trainer(model, spec, train=data, evaluation=[], report=lambda *_: None)
    steps = count()
    return lambda: trainer._step(next(steps))


def peer(model: Any, spec: Any, data: list[Any]) -> Any:
    """A function that makes one step of transformers' Trainer on DeepSpeed, in bf16 with fp32 master weights."""
    from threading import Semaphore, Thread

    from transformers import Trainer, TrainerCallback, TrainingArguments

    from bench.train_job import padded
    from dolly.train.engine import deepspeed_config

    config = deepspeed_config(spec) | {"train_micro_batch_size_per_gpu": PEER_BATCH}
    del config["managed_gradient_accumulation"]
    config["gradient_accumulation_steps"] = spec.batch_size // PEER_BATCH
    arguments = TrainingArguments(
        spec.output,
        per_device_train_batch_size=PEER_BATCH,
        gradient_accumulation_steps=spec.batch_size // PEER_BATCH,
        max_steps=spec.max_steps,
        learning_rate=spec.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=spec.clip_norm,
        bf16=spec.dtype == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        deepspeed=config,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    go, done = Semaphore(0), Semaphore(0)

    class Gate(TrainerCallback):  # type: ignore[misc]
        """Starts each step when it is asked for."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            go.acquire()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            done.release()

    trainer = Trainer(model, arguments, train_dataset=data, data_collator=padded, callbacks=[Gate()])
    failed: list[BaseException] = []

    def train() -> None:
        try:
            trainer.train()
        except BaseException as error:
            failed.append(error)
            done.release()

    Thread(target=train, daemon=True).start()

    def step() -> None:
        go.release()
        done.acquire()
        if failed:
            raise failed[0]

    return step


def note(name: str, what: str) -> None:
    print(f"{time.perf_counter() - _STARTED:6.1f} s {name} {what}", file=sys.stderr, flush=True)


def timed(step: Any) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def profiled(step: Any, *, on_gpu: bool, top: int = 16) -> dict[str, Any]:
    """The operations that a step spends most time in, and the time by kind, each as a share of the step."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        seconds = timed(step)
    key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda event: -getattr(event, key))
    shares = [(event.key, getattr(event, key) / 1e6 / seconds, event.count) for event in events]
    kinds: dict[str, float] = {}
    for name, share, _ in shares:
        kind = next((k for k, marks in _KINDS.items() if any(m in name.lower() for m in marks)), "elementwise and rest")
        kinds[kind] = kinds.get(kind, 0.0) + share
    return {
        "step_seconds": round(seconds, 4),
        "kinds": {kind: round(share, 4) for kind, share in sorted(kinds.items(), key=lambda item: -item[1])},
        "operations": [
            {"operation": name[:100], "share": round(share, 4), "calls": calls} for name, share, calls in shares[:top]
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(MODELS), metavar="MODEL-METHOD[:HOW]")
    parser.add_argument("--steps", type=int, default=10, help=f"timed, after {_WARM_UP} others")
    parser.add_argument("--block", type=int, default=2048, help="tokens of a block")
    parser.add_argument("--rows-per-step", type=int, default=64)
    parser.add_argument("--zero", type=int, choices=[0, 1, 2, 3], default=1)
    parser.add_argument("--offload", action="store_true")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="gptj", help="of the result")
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help="where the result is kept")
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(run(given.runs[0], given)), flush=True)
        dist.destroy_process_group()
        note(given.runs[0], "ends")
        return
    options = [a for a in sys.argv[1:] if a not in ("--runs", *RUNS)]
    found = []
    for name in given.runs:
        command = [sys.executable, "-m", "bench.gpu.gptj", "--alone", "--runs", name, *options]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            found.append({"run": name, "failed": f"exit code {done.returncode}"})
        else:
            found.append(json.loads(done.stdout.splitlines()[-1]))
        print({k: v for k, v in found[-1].items() if k != "profile"}, file=sys.stderr, flush=True)
        print(json.dumps(found[-1].get("profile")), file=sys.stderr, flush=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    settings = {k: v for k, v in vars(given).items() if k not in ("alone", "folder", "runs", "name")}
    figures = {"gpu": gpu, "settings": settings, "runs": found}
    results.save(given.name, figures, packages=("torch", "transformers", "deepspeed", "peft"), folder=given.folder)


if __name__ == "__main__":
    main()
